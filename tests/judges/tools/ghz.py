"""ghz: makes many calls at once, and reports how they ended."""

from programs import CERTIFICATES, go_install
from tools.check import Check, messages, run

VERSION = "v0.121.0"


class Ghz:
    name = "ghz"

    def prepare(self):
        self.program = go_install("github.com/bojand/ghz/cmd/ghz", VERSION)
        return VERSION

    def run(self, servers):
        return run(self.checks(servers))

    def checks(self, servers):
        security = ["--cacert", CERTIFICATES / "ca.pem"] if servers.tls else ["--insecure"]
        ghz = [self.program, *security, "--format=json", "--total=300", "--concurrency=20", "--connections=2"]
        tutorials = f"127.0.0.1:{servers.tutorials}"

        for name, method, data in CALLS:
            yield Check(name, [*ghz, f"--call={method}", f"--data={data}", tutorials], ALL_WELL, outcomes)
        # The test service refuses a message that is not compressed where one was promised.
        yield Check(
            "compressed calls",
            [
                *[*ghz, "--enable-compression", "--call=grpc.testing.TestService.UnaryCall"],
                *[f"--data={COMPRESSED}", f"127.0.0.1:{servers.test_service}"],
            ],
            ALL_WELL,
            outcomes,
        )


CALLS = [
    ("calls of one message each way", "helloworld.Greeter.SayHello", '{"name": "you"}'),
    ("calls of many replies", "number_stream.NumberService.GetNumbers", '{"limit": 20}'),
    ("calls of many requests", "sum_stream.SumService.CalculateSum", '[{"number": 3}, {"number": 4}]'),
    ("calls of many messages each way", "chat.ChatService.Chat", '[{"message": "a"}, {"message": "b"}]'),
]

COMPRESSED = '{"expect_compressed": {"value": true}, "response_compressed": {"value": true}, "response_size": 9999}'

ALL_WELL = {"count": 300, "statusCodeDistribution": {"OK": 300}, "errorDistribution": {}}


def outcomes(text):
    """Of the report, what is not about time."""
    match messages(text):
        case [dict() as report]:
            return {name: report.get(name) for name in ALL_WELL}
        case other:
            return other

"""grpcurl: calls methods that it knows from reflection."""

from programs import CERTIFICATES, go_install
from tools.check import Check, messages, run
from tools.tutorials import CALLS, GREETER, METHODS, POINT, REFUSAL, REFUSED, SERVICES

VERSION = "v1.9.4"


class Grpcurl:
    name = "grpcurl"

    def prepare(self):
        self.program = go_install("github.com/fullstorydev/grpcurl/cmd/grpcurl", VERSION)
        return VERSION

    def run(self, servers):
        return run(self.checks(servers))

    def checks(self, servers):
        security = ["-cacert", CERTIFICATES / "ca.pem"] if servers.tls else ["-plaintext"]
        grpcurl = [self.program, *security]
        tutorials = f"127.0.0.1:{servers.tutorials}"

        yield Check("list", [*grpcurl, tutorials, "list"], SERVICES)
        yield Check("list of a service", [*grpcurl, tutorials, "list", "helloworld.Greeter"], METHODS)
        yield Check(
            "describe a service",
            [*grpcurl, tutorials, "describe", "helloworld.Greeter"],
            f"helloworld.Greeter is a service:\n{GREETER}",
        )
        yield Check(
            "describe a message",
            [*grpcurl, tutorials, "describe", "routeguide.Point"],
            f"routeguide.Point is a message:\n{POINT}",
        )
        for call in CALLS:
            command = [*grpcurl, "-d", call.requests, tutorials, call.method]
            yield Check(call.name, command, call.replies, messages)
        yield Check(
            REFUSED.name,
            [*grpcurl, "-d", REFUSED.requests, tutorials, REFUSED.method],
            "",
            errors=f"ERROR:\n  Code: InvalidArgument\n  Message: {REFUSAL}\n",
            code=64 + 3,
        )
        # It sends ten tasks, and then one in 40 s. Either end may be the first to see that time is up, and the
        # message is that end's.
        yield Check(
            "a call that ends at its deadline",
            [*grpcurl, "-max-time", "2", tutorials, "Contact/getTask"],
            10,
            lambda text: len(messages(text)),
            errors=["ERROR:", "  Code: DeadlineExceeded"],
            read_errors=lambda text: text.splitlines()[:2],
            code=64 + 4,
        )
        # The test service sends these two back.
        yield Check(
            "metadata of both ends",
            [
                *[*grpcurl, "-v", "-d", "{}"],
                *["-H", "x-grpc-test-echo-initial: first", "-H", "x-grpc-test-echo-trailing-bin: q6ur"],
                *[f"127.0.0.1:{servers.test_service}", "grpc.testing.TestService/UnaryCall"],
            ],
            METADATA,
        )


METADATA = """
Resolved method descriptor:
rpc UnaryCall ( .grpc.testing.SimpleRequest ) returns ( .grpc.testing.SimpleResponse );

Request metadata to send:
x-grpc-test-echo-initial: first
x-grpc-test-echo-trailing-bin: q6ur

Response headers received:
content-type: application/grpc
x-grpc-test-echo-initial: first

Response contents:
{
  "payload": {}
}

Response trailers received:
x-grpc-test-echo-trailing-bin: q6ur
Sent 1 request and received 1 response
"""

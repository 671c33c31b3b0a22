"""evans: lists, describes and calls, by the older reflection."""

from programs import CERTIFICATES, go_install
from tools.check import Check, messages, run
from tools.tutorials import CALLS, GREETER, METHODS, POINT, REFUSAL, REFUSED, SERVICES

VERSION = "v0.10.11"


class Evans:
    name = "evans"

    def prepare(self):
        self.program = go_install("github.com/ktr0731/evans", VERSION)
        return VERSION

    def run(self, servers):
        return run(self.checks(servers))

    def checks(self, servers):
        security = ["--tls", "--cacert", CERTIFICATES / "ca.pem"] if servers.tls else []
        server = ["--reflection", "--host", "127.0.0.1", "--port", servers.tutorials]
        evans = [self.program, *security, *server, "cli"]

        yield Check("list", [*evans, "list"], SERVICES)
        yield Check("list of a service", [*evans, "list", "helloworld.Greeter"], METHODS)
        yield Check("describe a service", [*evans, "desc", "helloworld.Greeter"], f"helloworld.Greeter:\n{GREETER}")
        yield Check("describe a message", [*evans, "desc", "routeguide.Point"], f"routeguide.Point:\n{POINT}")
        for call in CALLS:
            command = [*evans, "call", call.method.replace("/", ".")]
            yield Check(call.name, command, call.replies, messages, given=call.requests)
        yield Check(
            REFUSED.name,
            [*evans, "call", REFUSED.method.replace("/", ".")],
            "",
            errors="evans: code = InvalidArgument, number = 3, message = \"" + REFUSAL.replace('"', '\\"') + '"\n',
            code=1,
            given=REFUSED.requests,
        )

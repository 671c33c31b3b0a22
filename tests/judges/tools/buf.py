"""buf: `buf curl` speaks gRPC without grpc-go, on Go's own HTTP/2."""

from programs import CERTIFICATES, SCRATCH, find_program, output
from tools.check import Check, messages, run
from tools.tutorials import CALLS, REFUSAL, REFUSED, SERVICES

VERSION = "1.75.0"


class Buf:
    name = "buf curl"

    def prepare(self):
        # npm has it built; to build it takes minutes.
        folder = SCRATCH / f"buf-{VERSION}"
        self.program = folder / "node_modules" / ".bin" / "buf"
        if not self.program.exists():
            folder.mkdir(exist_ok=True)
            flags = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
            output(find_program("npm"), "install", *flags, f"--prefix={folder}", f"@bufbuild/buf@{VERSION}")
        return VERSION

    def run(self, servers):
        return run(self.checks(servers))

    def checks(self, servers):
        security = ["--cacert", CERTIFICATES / "ca.pem"] if servers.tls else ["--http2-prior-knowledge"]
        curl = [self.program, "curl", "--protocol=grpc", *security]
        url = f"{'https' if servers.tls else 'http'}://127.0.0.1:{servers.tutorials}"

        yield Check("list of services", [*curl, "--list-services", url], SERVICES)
        for call in CALLS:
            command = [*curl, "--data", call.requests, f"{url}/{call.method}"]
            yield Check(call.name, command, call.replies, messages)
        greet = CALLS[0]
        yield Check(
            "a call by the older reflection",
            [*curl, "--reflect-protocol=grpc-v1alpha", "--data", greet.requests, f"{url}/{greet.method}"],
            greet.replies,
            messages,
        )
        yield Check(
            REFUSED.name,
            [*curl, "--data", REFUSED.requests, f"{url}/{REFUSED.method}"],
            "",
            errors='{\n   "code": "invalid_argument",\n   "message": "' + REFUSAL.replace('"', '\\"') + '"\n}\n',
            code=3 << 3,
        )

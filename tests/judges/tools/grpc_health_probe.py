"""grpc_health_probe: asks a server's health for Kubernetes, and says it by its exit code."""

from programs import CERTIFICATES, go_install
from tools.check import Check, run

VERSION = "v0.4.40"

# Of the probe: the call failed, as it does for a service that the server does not know.
CALL_FAILED = 3


class GrpcHealthProbe:
    name = "grpc_health_probe"

    def prepare(self):
        self.program = go_install("github.com/grpc-ecosystem/grpc-health-probe", VERSION)
        return VERSION

    def run(self, servers):
        return run(self.checks(servers))

    def checks(self, servers):
        security = ["-tls", "-tls-ca-cert", CERTIFICATES / "ca.pem"] if servers.tls else []
        probe = [self.program, *security, "-addr", f"127.0.0.1:{servers.tutorials}", *PATIENCE]

        # The probe says all on standard error.
        yield Check("the server", probe, "", errors="status: SERVING\n")
        yield Check("a service", [*probe, "-service", "routeguide.RouteGuide"], "", errors="status: SERVING\n")
        yield Check("the server, compressed", [*probe, "-gzip"], "", errors="status: SERVING\n")
        yield Check(
            "a service that is not there",
            [*probe, "-service", "routeguide.Nothing"],
            "",
            errors="error: health rpc failed: rpc error: code = NotFound desc = the health of this service is not known\n",
            code=CALL_FAILED,
        )


# It gives up after a second, which a busy machine may take.
PATIENCE = ["-connect-timeout=20s", "-rpc-timeout=20s"]

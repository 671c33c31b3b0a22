"""The tools of the field, which must work with barewire's servers as they are.

Each check is one run of a tool, over clear text and over TLS, and says all that must come of it: what is
printed, what is complained of, and the exit code. The servers are `barewire serve`, with the services of the
tutorials, and `barewire interop server`, for what those services do not show.
"""

import dataclasses

from peers.barewire import Barewire
from programs import free_port, serving
from results import count
from tools.buf import Buf
from tools.evans import Evans
from tools.ghz import Ghz
from tools.grpc_health_probe import GrpcHealthProbe
from tools.grpcui import Grpcui
from tools.grpcurl import Grpcurl

JUDGE = "Tools of the field"

TOOLS = [Grpcurl, Ghz, GrpcHealthProbe, Buf, Evans, Grpcui]


def judges(program):
    """One judge for each tool, as `judge.py` runs them."""
    ours = Barewire(program)
    return [Field(ours, tool()) for tool in TOOLS]


@dataclasses.dataclass
class Servers:
    """Who is called."""

    # The ports of 127.0.0.1.
    tutorials: int
    test_service: int
    tls: bool


class Field:
    """One tool."""

    def __init__(self, ours, tool):
        self.ours = ours
        self.tool = tool
        self.name = tool.name

    def prepare(self):
        return self.tool.prepare()

    def run(self):
        for security, tls in [("clear text", False), ("TLS", True)]:
            servers = Servers(free_port(), free_port(), tls)
            tutorials = self.ours.serve(servers.tutorials, tls)
            test_service = self.ours.server(servers.test_service, tls)
            with (
                serving(tutorials, servers.tutorials),
                serving(test_service, servers.test_service, "test_service.log"),
            ):
                found = dict(self.tool.run(servers))
            failed = {check: problem for check, problem in found.items() if problem is not None}
            yield count(JUDGE, self.name, security, found, failed)

"""barewire itself: `barewire interop`."""

from peers.flags import client_flags, server_flags
from programs import output


class Barewire:
    name = "barewire"
    server_lacks = {}
    client_lacks = {}

    def __init__(self, program):
        self.program = program

    def prepare(self):
        return output(self.program, "--version").split()[1]

    def server(self, port, tls):
        return [self.program, "interop", "server", f"--port={port}", *server_flags(tls)]

    def client(self, case, port, tls):
        flags = ["--server_host=localhost", f"--server_port={port}", f"--test_case={case}"]
        return [self.program, "interop", "client", *flags, *client_flags(tls)]

"""barewire itself: `barewire interop`, and `barewire serve` for the judges that need no other program."""

from peers.flags import client_flags, server_flags
from programs import CERTIFICATES, output


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

    def serve(self, port, tls):
        """Serves the tutorials, with health and reflection."""
        certificate = [f"--tls-cert={CERTIFICATES / 'server.pem'}", f"--tls-key={CERTIFICATES / 'server.key'}"]
        return [self.program, "serve", f"--addr=127.0.0.1:{port}", *(certificate if tls else [])]

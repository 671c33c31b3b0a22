"""Python: grpcio, which publishes no interop programs; our cases and our server, written on it."""

import json
import sys

from peers.flags import client_flags, server_flags
from programs import HERE, PACKAGE, SCRATCH, output


class Python:
    name = "Python (grpcio)"
    no_flag = "grpcio does not tell whether a message came compressed"
    server_lacks = {
        "client_compressed_unary": no_flag,
        "client_compressed_streaming": no_flag,
    }
    client_lacks = {
        "client_compressed_streaming": "grpcio's client compresses all messages of a call, or none",
        "orca_per_rpc": "grpcio keeps the load of a call from the application",
    }

    def prepare(self):
        prepare = HERE.parent / "interop" / "python" / "prepare.py"
        said = output(sys.executable, prepare, PACKAGE, PACKAGE / "target" / "tmp" / "interop")
        self.python = json.loads(said)["python"]
        self.messages = SCRATCH / "messages.bin"
        protos = ["grpc/testing/test.proto", "xds/service/orca/v3/orca.proto"]
        output(
            *[self.python, "-m", "grpc_tools.protoc", f"-I{PACKAGE / 'proto'}", "--include_imports"],
            *[f"--descriptor_set_out={self.messages}", *protos],
        )
        return output(self.python, "-c", "import grpc; print(grpc.__version__)").strip()

    def server(self, port, tls):
        script = HERE / "python" / "test_server.py"
        return [self.python, script, self.messages, f"--port={port}", *server_flags(tls)]

    def client(self, case, port, tls):
        script = HERE / "python" / "test_client.py"
        flags = [f"--server_port={port}", f"--test_case={case}", *client_flags(tls)]
        return [self.python, script, self.messages, *flags]

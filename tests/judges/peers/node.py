"""Node: grpc-js, which publishes no interop programs; our cases and our server, written on it."""

import json
import shutil

from peers.flags import client_flags, server_flags
from programs import HERE, SCRATCH, find_program, output

SOURCE = HERE / "node"
VERSION = json.loads((SOURCE / "package.json").read_text())["dependencies"]["@grpc/grpc-js"]


class Node:
    name = "Node (grpc-js)"
    no_flag = "grpc-js does not tell whether a message came compressed"
    no_compression = "grpc-js's server compresses nothing"
    server_lacks = {
        "client_compressed_unary": no_flag,
        "client_compressed_streaming": no_flag,
        "server_compressed_unary": no_compression,
        "server_compressed_streaming": no_compression,
    }
    client_lacks = {}

    def prepare(self):
        folder = SCRATCH / f"node-{VERSION}"
        lock = (SOURCE / "package-lock.json").read_bytes()
        # npm writes this file last.
        installed = folder / "node_modules" / ".package-lock.json"
        if not installed.exists() or (folder / "package-lock.json").read_bytes() != lock:
            folder.mkdir(exist_ok=True)
            for name in ["package.json", "package-lock.json"]:
                shutil.copy(SOURCE / name, folder)
            output(find_program("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)
        self.node = ["env", f"NODE_PATH={folder / 'node_modules'}", find_program("node")]
        return VERSION

    def server(self, port, tls):
        return [*self.node, SOURCE / "test_server.js", f"--port={port}", *server_flags(tls)]

    def client(self, case, port, tls):
        flags = [f"--server_port={port}", f"--test_case={case}", *client_flags(tls)]
        return [*self.node, SOURCE / "test_client.js", *flags]

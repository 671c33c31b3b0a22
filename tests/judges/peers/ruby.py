"""Ruby: the interop programs of grpc's gem, as Debian packages it."""

import pathlib
import shutil

from programs import CERTIFICATES, HERE, SCRATCH, SERVER_NAME, NotHere, debian_packages, find_program, output


class Ruby:
    name = "Ruby (grpc)"
    server_lacks = {
        "client_compressed_unary": "grpc's Ruby server does not look whether a message came compressed",
        "client_compressed_streaming": "grpc's Ruby server does not look whether a message came compressed",
        "server_compressed_unary": "grpc's Ruby server compresses nothing",
        "server_compressed_streaming": "grpc's Ruby server compresses nothing",
        "pick_first_unary": "grpc's Ruby server does not fill server_id",
        "orca_per_rpc": "grpc's Ruby server reports no load",
        "orca_oob": "grpc's Ruby server reports no load",
    }
    client_lacks = dict.fromkeys(
        [
            "server_compressed_unary",
            "server_compressed_streaming",
            "special_status_message",
            "pick_first_unary",
            "orca_per_rpc",
            "orca_oob",
            "rpc_soak",
            "channel_soak",
        ],
        "grpc's Ruby client has no such case",
    )

    def prepare(self):
        debian_packages("ruby", "ruby-grpc")
        ruby = find_program("ruby")
        self.ruby = [ruby, "-r", HERE / "ruby" / "last_words.rb"]
        self.programs = link_programs()
        return output(ruby, "-e", "require 'grpc'; puts GRPC::VERSION").strip()

    def server(self, port, tls):
        return [*self.ruby, self.programs / "server.rb", f"--port={port}", f"--use_tls={word(tls)}"]

    def client(self, case, port, tls):
        flags = ["--server_host=localhost", f"--server_port={port}", f"--test_case={case}"]
        security = [f"--use_tls={word(tls)}", "--use_test_ca=true", f"--server_host_override={SERVER_NAME}"]
        return [*self.ruby, self.programs / "client.rb", *flags, *security]


def link_programs():
    """The programs beside our certificates, which they look for near themselves."""
    files = output(find_program("dpkg"), "-L", "ruby-grpc").splitlines()
    clients = [pathlib.Path(file) for file in files if file.endswith("/pb/test/client.rb")]
    if not clients:
        raise NotHere("the package ruby-grpc has no interop programs")
    package = clients[0].parent.parent.parent
    folder = SCRATCH / "ruby"
    shutil.rmtree(folder, ignore_errors=True)
    certificates = folder / "spec" / "testdata"
    certificates.mkdir(parents=True)
    for name in ["pb", "lib"]:
        (folder / name).symlink_to(package / name)
    for name, ours in [("ca.pem", "ca.pem"), ("server1.pem", "server.pem"), ("server1.key", "server.key")]:
        (certificates / name).symlink_to(CERTIFICATES / ours)
    return folder / "pb" / "test"


def word(tls):
    return "true" if tls else "false"

"""C++: gRPC of Debian, which packages no interop programs; our cases and our server, written on it."""

import hashlib
import shutil

from peers.flags import client_flags, server_flags
from programs import HERE, PACKAGE, SCRATCH, debian_packages, find_program, output

SOURCES = HERE / "cpp"
SERVICES = ["grpc/testing/test.proto", "xds/service/orca/v3/orca.proto"]
PROTOS = [
    *SERVICES,
    "grpc/testing/empty.proto",
    "grpc/testing/messages.proto",
    "xds/data/orca/v3/orca_load_report.proto",
]


class Cpp:
    name = "C++ (grpc++)"
    server_lacks = {}
    client_lacks = {"orca_per_rpc": "grpc++ keeps the load of a call from the application"}

    def prepare(self):
        debian_packages(
            *["g++", "libgrpc++-dev", "libprotobuf-dev", "pkg-config"],
            *["protobuf-compiler", "protobuf-compiler-grpc"],
        )
        version = output(find_program("pkg-config"), "--modversion", "grpc++").strip()
        self.folder = SCRATCH / f"cpp-{version}-{hash_of_sources()}"
        if not self.folder.exists():
            build(self.folder)
        return version

    def server(self, port, tls):
        return [self.folder / "test_server", f"--port={port}", *server_flags(tls)]

    def client(self, case, port, tls):
        flags = [f"--server_port={port}", f"--test_case={case}", *client_flags(tls)]
        return [self.folder / "test_client", *flags]


def hash_of_sources():
    sources = [*sorted(SOURCES.iterdir()), *(PACKAGE / "proto" / proto for proto in PROTOS)]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]


def build(folder):
    """Both programs. The folder is there once they are whole."""
    parts = folder.with_name(f"{folder.name}.parts")
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    protoc = [find_program("protoc"), f"-I{PACKAGE / 'proto'}"]
    output(*protoc, f"--cpp_out={parts}", *PROTOS)
    plugin = f"--plugin=protoc-gen-grpc={find_program('grpc_cpp_plugin')}"
    output(*protoc, plugin, f"--grpc_out={parts}", *SERVICES)

    compiler = find_program("g++")
    programs = ["test_server", "test_client"]
    sources = [*parts.rglob("*.cc"), *(SOURCES / f"{program}.cc" for program in programs)]
    output(compiler, "-std=c++17", f"-I{parts}", "-c", *sources, cwd=parts)
    stubs = list(parts.glob("*.pb.o"))
    libraries = output(find_program("pkg-config"), "--libs", "grpc++", "protobuf").split()
    for program in programs:
        output(compiler, "-o", parts / program, parts / f"{program}.o", *stubs, *libraries)
    parts.rename(folder)

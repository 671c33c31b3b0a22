"""Java: the interop programs of grpc-java, which it publishes whole, with all that they need."""

import shutil

from peers.flags import client_flags
from programs import CERTIFICATES, SCRATCH, find_program, output

VERSION = "1.79.0"
DISTRIBUTION = f"grpc-interop-testing-{VERSION}"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


class Java:
    name = "Java (grpc-java)"
    no_look = "grpc-java's server does not look whether a message came compressed"
    server_lacks = {
        "client_compressed_unary": no_look,
        "client_compressed_streaming": no_look,
        "server_compressed_streaming": "grpc-java's server compresses no messages of a stream",
        "pick_first_unary": "grpc-java's server does not fill server_id",
    }
    client_lacks = {}

    def prepare(self):
        self.java = find_program("java")
        folder = SCRATCH / f"java-{VERSION}"
        if not folder.exists():
            unpack_distribution(folder)
        libraries = folder / DISTRIBUTION / "lib"
        self.classes = f"{certificate_classes()}:{libraries}/*"
        return VERSION

    def server(self, port, tls):
        return self.program("TestServiceServer", f"--port={port}", f"--use_tls={str(tls).lower()}")

    def client(self, case, port, tls):
        # The balancer is for the cases of load reports.
        balancer = '{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}'
        flags = [f"--server_port={port}", f"--test_case={case}", f"--service_config_json={balancer}"]
        known = [flag for flag in client_flags(tls) if not flag.startswith("--ca_file=")]
        return self.program("TestServiceClient", *flags, *known)

    def program(self, name, *flags):
        # A case is over before the slower of the two compilers pays.
        java = [self.java, "-XX:TieredStopAtLevel=1", "-cp", self.classes]
        return [*java, f"io.grpc.testing.integration.{name}", *flags]


def unpack_distribution(folder):
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    distribution = f"-Dartifact=io.grpc:grpc-interop-testing:{VERSION}:tar"
    output(find_program("mvn"), "-B", "-q", COPY, distribution, f"-DoutputDirectory={part}")
    archive = part / f"{DISTRIBUTION}.tar"
    shutil.unpack_archive(archive, part)
    archive.unlink()
    part.rename(folder)


def certificate_classes():
    """A folder of resources with our certificates, by the names that the programs load theirs by.

    No flag names a certificate. They lie in grpc-java's libraries, and whatever comes before those in
    the class path is taken instead.
    """
    folder = CERTIFICATES / "java"
    (folder / "certs").mkdir(parents=True)
    for ours, theirs in [("ca.pem", "ca.pem"), ("server.pem", "server1.pem"), ("server.key", "server1.key")]:
        shutil.copy(CERTIFICATES / ours, folder / "certs" / theirs)
    return folder

"""What all judges need: programs that are run, servers that listen, certificates, packages."""

import contextlib
import functools
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent
SCRATCH = PACKAGE / "target" / "judges"
CERTIFICATES = SCRATCH / "certificates"

# What the certificate is for, as that of grpc's test credentials.
SERVER_NAME = "foo.test.google.fr"

START_TIMEOUT = 30

STACK_TRACE = re.compile(r"at \S+\(|\.\.\. \d+ more$")


class NotHere(Exception):
    """A judge cannot be had on this machine."""


def output(*command, **options):
    """What a program prints. `NotHere` if it fails."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise NotHere(f"{pathlib.Path(command[0]).name} failed: {last_line(done.stderr or done.stdout)}")
    return done.stdout


def last_line(text):
    """The last line that says something, which those of Java's stack traces do not."""
    lines = [line.strip() for line in text.splitlines()]
    said = [line for line in lines if line and not STACK_TRACE.match(line)]
    return said[-1] if said else "nothing was said"


def find_program(name):
    path = shutil.which(name)
    if path is None:
        raise NotHere(f"{name} is not installed")
    return path


def go_install(package, version, name=None, pins=()):
    """A program of a Go module, built once; gives its path.

    It is built in a module of its own, since `go install` also wants the list of all versions there are,
    and not every proxy has that. `pins` are `MODULE@VERSION`, for programs that do not lock what they need.
    """
    program_name = package.rsplit("/", 1)[-1]
    folder = SCRATCH / "go" / f"{program_name if name is None else name}-{version}"
    program = folder / program_name
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "go.mod").write_text("module judges\n")
        options = {"cwd": folder, "env": {**os.environ, "GOFLAGS": "-modcacherw"}}
        output(find_program("go"), "get", f"{package}@{version}", *pins, **options)
        output(find_program("go"), "build", "-o", program, package, **options)
    return program


def debian_packages(*packages):
    """Installs what is missing of Debian's packages, where there is apt and the right to use it."""
    missing = [name for name in packages if not is_installed(name)]
    if not missing:
        return
    apt = find_program("apt-get")
    update_package_lists()
    output(apt, "install", "-y", "--no-install-recommends", *missing)


def is_installed(package):
    query = [find_program("dpkg-query"), "-W", "-f", "${Status}", package]
    done = subprocess.run(query, capture_output=True, text=True)
    return done.returncode == 0 and done.stdout.endswith(" installed")


@functools.cache
def update_package_lists():
    output(find_program("apt-get"), "update")


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextlib.contextmanager
def serving(command, port, log_name="server.log", **options):
    """A server at work. `RuntimeError` with what it said if it does not come up, or not get through."""
    log_path = SCRATCH / log_name
    with open(log_path, "w") as log:
        words = [str(word) for word in command]
        server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
    try:
        wait_for(server, port, log_path)
        yield server
        look_after(server, log_path)
    finally:
        server.terminate()
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for(server, port, log_path):
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended: {last_line(log_path.read_text())}")
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the server does not listen after {START_TIMEOUT} s")


def look_after(server, log_path):
    """Whether all went well. Judges that take a lost connection for an answer do not see a server fall."""
    said = log_path.read_text(errors="replace")
    if server.poll() is not None:
        raise RuntimeError(f"the server ended too soon: {last_line(said)}")
    panics = [line for line in said.splitlines() if " panicked at " in line]
    if panics:
        raise RuntimeError(f"the server panicked: {panics[0]}")


def make_certificates():
    """An authority, and a server's certificate that it signed; both anew for each run."""
    shutil.rmtree(CERTIFICATES, ignore_errors=True)
    CERTIFICATES.mkdir(parents=True)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    (CERTIFICATES / "extensions").write_text(
        "subjectAltName=DNS:*.test.google.fr,DNS:localhost,IP:127.0.0.1\n"
        "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
    )
    openssl = [find_program("openssl")]
    output(
        *[*openssl, "req", "-x509", *new_key, "-subj", "/CN=judges", "-days", "7"],
        *["-keyout", CERTIFICATES / "ca.key", "-out", CERTIFICATES / "ca.pem"],
    )
    output(
        *[*openssl, "req", *new_key, "-subj", "/CN=server"],
        *["-keyout", CERTIFICATES / "server.key", "-out", CERTIFICATES / "server.csr"],
    )
    output(
        *[*openssl, "x509", "-req", "-in", CERTIFICATES / "server.csr", "-days", "7", "-CAcreateserial"],
        *["-CA", CERTIFICATES / "ca.pem", "-CAkey", CERTIFICATES / "ca.key"],
        *["-extfile", CERTIFICATES / "extensions", "-out", CERTIFICATES / "server.pem"],
    )

"""What is run: the programs of `peers/`, built once, and tools of the system."""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent
PEERS = HERE / "peers"
SCRATCH = PACKAGE / "target" / "benches"
CERTIFICATES = SCRATCH / "certificates"

# What is measured has a core for itself, and what puts load on it another one.
MEASURED_CORE, LOAD_CORE = 0, 1

# No run of a program takes so many seconds, under valgrind either.
RUN_TIMEOUT = 300


class NotHere(Exception):
    """Something cannot be had on this machine."""


class Failed(Exception):
    """A program did not do what it was told."""


@dataclasses.dataclass(frozen=True)
class Peer:
    """A program of `peers/`, and how it is told to serve or to call."""

    name: str
    package: str
    # The crate whose version is told.
    crate: str
    serve: tuple = ("serve",)
    # Empty where its client is not measured.
    call: tuple = ()
    tls: bool = False
    # The kinds of calls that it serves.
    kinds: tuple = ("hello", "download", "upload", "echo")

    def program(self):
        return SCRATCH / "release" / self.package


BAREWIRE = Peer("barewire", "peer-barewire", "barewire", call=("call",), tls=True)
TONIC = Peer("tonic", "peer-tonic", "tonic", call=("call",), tls=True)
H2_BEST = Peer("h2, best use", "peer-h2", "h2", serve=("serve", "best"), call=("call",), tls=True)
H2_TASKS = Peer("h2, a task each", "peer-h2", "h2", serve=("serve", "task"), tls=True)
CONNECT = Peer("connect-rust", "peer-connect", "connectrpc")
VOLO = Peer("volo", "peer-volo", "volo-grpc")
NTEX = Peer("ntex-grpc", "peer-ntex", "ntex-grpc", kinds=("hello",))
ALL_PEERS = [BAREWIRE, TONIC, H2_BEST, H2_TASKS, CONNECT, VOLO, NTEX]
LOAD = Peer("load", "load", "load")


def output(command):
    """What a program prints. `Failed` if it fails."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=RUN_TIMEOUT)
    except subprocess.TimeoutExpired:
        raise Failed(f"{words[0]} takes more than {RUN_TIMEOUT} s") from None
    if done.returncode != 0:
        raise Failed(last_line(done.stderr or done.stdout))
    return done.stdout


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "nothing was said"


@functools.cache
def build(package):
    """Builds one program of `peers/` by itself. `NotHere` if it does not build."""
    manifest = PEERS / "Cargo.toml"
    command = ["cargo", "build", "--release", "--manifest-path", manifest]
    done = subprocess.run([*command, "--target-dir", SCRATCH, "-p", package], stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise NotHere(f"{package} does not build: {last_line(done.stderr)}")


def find_tool(name, package):
    """A program of the system. Installs Debian's package of it where that is possible."""
    if shutil.which(name) is None and shutil.which("apt-get") is not None:
        update_package_lists()
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", package], capture_output=True)
    path = shutil.which(name)
    if path is None:
        raise NotHere(f"{name} is not installed")
    return path


@functools.cache
def update_package_lists():
    subprocess.run(["apt-get", "update"], capture_output=True)


@functools.cache
def certificates():
    """A certificate that is its own authority, made anew for each run."""
    shutil.rmtree(CERTIFICATES, ignore_errors=True)
    CERTIFICATES.mkdir(parents=True)
    command = [find_tool("openssl", "openssl"), "req", "-x509", "-nodes", "-days", "7", "-subj", "/CN=localhost"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
    certificate, key = CERTIFICATES / "certificate.pem", CERTIFICATES / "key.pem"
    output([*command, *curve, *names, "-keyout", key, "-out", certificate])
    return certificate, key


def pinned(core):
    """The words before a command that keep it on a core."""
    cores = sorted(os.sched_getaffinity(0))
    return [find_tool("taskset", "util-linux"), "-c", str(cores[core % len(cores)])]


@dataclasses.dataclass
class Server:
    address: str
    pid: int


@contextlib.contextmanager
def serving(peer, options=(), tls=False, under=(), core=MEASURED_CORE):
    """A server at work, under another program if one is named."""
    build(peer.package)
    words = [*pinned(core), *under, peer.program(), *peer.serve, *options]
    if tls:
        certificate, key = certificates()
        words += [f"certificate={certificate}", f"key={key}"]
    with open(SCRATCH / f"{peer.package}.log", "w+") as log:
        server = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            address = server.stdout.readline().strip()
            if not address:
                log.seek(0)
                raise Failed(f"{peer.name} does not serve: {last_line(log.read())}")
            yield Server(address, server.pid)
        finally:
            end(server)


def end(process):
    """Ends a program that was started, and those that it started."""
    with contextlib.suppress(ProcessLookupError):
        for child in children(process.pid) or [process.pid]:
            os.kill(child, 15)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


def children(pid):
    """strace watches a child; valgrind and taskset become what they run."""
    with contextlib.suppress(OSError):
        text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(word) for word in text.split()]
    return []


def call_options(server, tls):
    """What every client is told."""
    options = [f"address={server.address}"]
    if tls:
        certificate, _ = certificates()
        options.append(f"roots={certificate}")
    return options


def run_load(mode, server, words, tls=False):
    """Puts load on a server, and yields what that cost it."""
    build(LOAD.package)
    words = [*words, f"pid={server.pid}", *call_options(server, tls)]
    return json.loads(output([*pinned(LOAD_CORE), LOAD.program(), mode, *words]))


def run_client(peer, server, words, tls=False, under=()):
    """Has a client make calls, and yields what that cost it."""
    build(peer.package)
    words = [*peer.call, *words, *call_options(server, tls)]
    return json.loads(output([*pinned(MEASURED_CORE), *under, peer.program(), *words]))

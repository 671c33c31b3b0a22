"""The interop tests with other implementations: our client with their servers, their clients with ours.

    python3 tests/judges/judge.py [--barewire PROGRAM] [--only TEXT]

| judge  | what it is |
|--------|------------|
| Go     | the interop programs of grpc-go, which `go install` builds |
| Python | grpcio, which publishes no interop programs: our cases and our server, written on it |

Every pairing runs over clear text and over TLS, one process for each case, as the document has it. A
case that a judge has no means for is not run, and the table says why. So it does for a judge that
cannot be had here. Neither counts as passed. Exit code 0 says that every case that ran has passed.

Whatever is installed or made lies below `target/judges`, and is found there the next time. The results
are there too: `results.md` and `results.json`.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = HERE.parent.parent
SCRATCH = PACKAGE / "target" / "judges"

GRPC_GO = "v1.85.0"

# The cases of the document, in its order, that need neither an account of Google Cloud nor a proxy.
CASES = [
    "empty_unary",
    "large_unary",
    "client_compressed_unary",
    "server_compressed_unary",
    "client_streaming",
    "client_compressed_streaming",
    "server_streaming",
    "server_compressed_streaming",
    "ping_pong",
    "empty_stream",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
    "pick_first_unary",
    "orca_per_rpc",
    "orca_oob",
    "rpc_soak",
    "channel_soak",
]

# grpc-go's own script allows 20 s.
CASE_TIMEOUT = 30
START_TIMEOUT = 30

# What the certificate is for, as that of grpc's test credentials.
SERVER_NAME = "foo.test.google.fr"


class NotHere(Exception):
    """A judge cannot be had on this machine."""


class Barewire:
    name = "barewire"
    # What a server, and a client, has no means for: the case, and why.
    server_lacks = {}
    client_lacks = {}

    def __init__(self, program):
        self.program = program

    def prepare(self):
        version = output(self.program, "--version").split()[1]
        return version

    def server(self, port, tls):
        return [self.program, "interop", "server", f"--port={port}", *server_flags(tls)]

    def client(self, case, port, tls):
        flags = ["--server_host=localhost", f"--server_port={port}", f"--test_case={case}"]
        return [self.program, "interop", "client", *flags, *client_flags(tls)]


class Go:
    name = "Go (grpc-go)"
    no_compression = "grpc-go's programs have none of the cases of compression"
    server_lacks = {
        "client_compressed_unary": no_compression,
        "server_compressed_unary": no_compression,
        "client_compressed_streaming": no_compression,
        "server_compressed_streaming": no_compression,
        "pick_first_unary": "grpc-go's server does not fill server_id",
    }
    client_lacks = {case: why for case, why in server_lacks.items() if "compressed" in case}

    def prepare(self):
        go = shutil.which("go")
        if go is None:
            raise NotHere("go is not installed")
        self.folder = SCRATCH / f"grpc-go-{GRPC_GO}"
        if not (self.folder / "client").exists():
            programs = [f"google.golang.org/grpc/interop/{side}@{GRPC_GO}" for side in ("server", "client")]
            environment = {**os.environ, "GOBIN": str(self.folder)}
            done = subprocess.run([go, "install", *programs], env=environment, capture_output=True, text=True)
            if done.returncode != 0:
                raise NotHere(f"go install failed: {last_line(done.stderr)}")
        return GRPC_GO

    def server(self, port, tls):
        return [self.folder / "server", f"--port={port}", *server_flags(tls)]

    def client(self, case, port, tls):
        # As grpc-go's own script has it. The balancer is for the cases of load reports.
        balancer = '{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}'
        flags = [f"--server_port={port}", f"--test_case={case}", f"--service_config_json={balancer}"]
        return [self.folder / "client", *flags, *client_flags(tls)]


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
        command = [sys.executable, prepare, PACKAGE, PACKAGE / "target" / "tmp" / "interop"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise NotHere(f"the Python environment cannot be made: {last_line(done.stderr)}")
        self.python = json.loads(done.stdout)["python"]
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


def server_flags(tls):
    if not tls:
        return ["--use_tls=false"]
    folder = SCRATCH / "certificates"
    return [
        "--use_tls=true",
        f"--tls_cert_file={folder / 'server.pem'}",
        f"--tls_key_file={folder / 'server.key'}",
    ]


def client_flags(tls):
    if not tls:
        return ["--use_tls=false"]
    authority = SCRATCH / "certificates" / "ca.pem"
    return [
        "--use_tls=true",
        "--use_test_ca=true",
        f"--ca_file={authority}",
        f"--server_host_override={SERVER_NAME}",
    ]


def make_certificates():
    """An authority, and a server's certificate that it signed; both anew for each run."""
    folder = SCRATCH / "certificates"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    (folder / "extensions").write_text(
        "subjectAltName=DNS:*.test.google.fr\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n"
    )
    openssl = ["openssl"]
    output(
        *[*openssl, "req", "-x509", *new_key, "-subj", "/CN=judges", "-days", "7"],
        *["-keyout", folder / "ca.key", "-out", folder / "ca.pem"],
    )
    output(
        *[*openssl, "req", *new_key, "-subj", "/CN=server"],
        *["-keyout", folder / "server.key", "-out", folder / "server.csr"],
    )
    output(
        *[*openssl, "x509", "-req", "-in", folder / "server.csr", "-days", "7", "-CAcreateserial"],
        *["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key"],
        *["-extfile", folder / "extensions", "-out", folder / "server.pem"],
    )


@contextlib.contextmanager
def serving(judge, tls):
    """A server at work; yields its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log_path = SCRATCH / "server.log"
    with open(log_path, "w") as log:
        command = [str(word) for word in judge.server(port, tls)]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for(server, port, log_path)
        yield port
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


def run_case(client, case, port, tls):
    """`None` if it passed, else what was said."""
    command = [str(word) for word in client.client(case, port, tls)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=CASE_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {CASE_TIMEOUT} s"
    return None if done.returncode == 0 else last_line(done.stdout)


def run_pairing(client, server):
    lacks = {**server.server_lacks, **client.client_lacks}
    cases = [case for case in CASES if case not in lacks]
    result = {
        "client": client.name,
        "server": server.name,
        "not_run": {case: lacks[case] for case in CASES if case in lacks},
    }
    for key, tls in [("clear", False), ("tls", True)]:
        failed = {}
        with serving(server, tls) as port:
            for case in cases:
                problem = run_case(client, case, port, tls)
                if problem is not None:
                    failed[case] = problem
        result[key] = {"passed": len(cases) - len(failed), "total": len(cases), "failed": failed}
        print(f"{client.name} → {server.name}, {key}: {score(result[key])}", file=sys.stderr)
    return result


def score(counts):
    return f"{counts['passed']}/{counts['total']}"


def format_results(versions, results, missing):
    lines = ["| client | server | clear text | TLS | not run |", "|---|---|---|---|---|"]
    for result in results:
        clear, tls = score(result["clear"]), score(result["tls"])
        not_run = len(result["not_run"])
        lines.append(f"| {result['client']} | {result['server']} | {clear} | {tls} | {not_run} |")
    lines.append("")
    lines.extend(f"{name}: {version}" for name, version in versions.items())
    lines.extend(f"{name}: not run, since {why}" for name, why in missing.items())
    for result in results:
        pairing = f"{result['client']} → {result['server']}"
        for key in ("clear", "tls"):
            for case, problem in result[key]["failed"].items():
                lines.append(f"FAILED {pairing}, {key}, {case}: {problem}")
        for case, why in result["not_run"].items():
            lines.append(f"not run {pairing}, {case}: {why}")
    return "\n".join(lines) + "\n"


def output(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed: {last_line(done.stderr)}")
    return done.stdout


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "nothing was said"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    program = PACKAGE / "target" / "debug" / "barewire"
    parser.add_argument("--barewire", default=program, type=pathlib.Path, help=f"default: {program}")
    parser.add_argument("--only", default="", help="the judges with this text in their name")
    options = parser.parse_args()

    SCRATCH.mkdir(parents=True, exist_ok=True)
    make_certificates()
    ours = Barewire(options.barewire)
    versions, missing = {ours.name: ours.prepare()}, {}
    results = [run_pairing(ours, ours)]
    for judge in [Go(), Python()]:
        if options.only.lower() not in judge.name.lower():
            continue
        try:
            versions[judge.name] = judge.prepare()
        except NotHere as why:
            missing[judge.name] = str(why)
            continue
        results.append(run_pairing(ours, judge))
        results.append(run_pairing(judge, ours))

    text = format_results(versions, results, missing)
    (SCRATCH / "results.md").write_text(text)
    everything = {"versions": versions, "missing": missing, "results": results}
    (SCRATCH / "results.json").write_text(json.dumps(everything, indent=2))
    print(text, end="")
    failed = any(result[key]["failed"] for result in results for key in ("clear", "tls"))
    sys.exit(1 if failed else 0)


main()

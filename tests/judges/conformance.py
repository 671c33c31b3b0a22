"""The Connect conformance suite, as far as it is about gRPC over HTTP/2: `connectconformance`.

Our server is called by the suite's two clients, and our client calls its two servers; one of each is
grpc-go, without TLS. Our side is the program in `conformance/`, and `conformance.yaml` says what is run.
No case is among those that are known to fail.
"""

import contextlib
import os
import re
import signal
import subprocess

from programs import HERE, SCRATCH, find_program, go_install, last_line, output
from results import Result

JUDGE = "Connect conformance"
VERSION = "v1.0.5"

# A whole run takes less than a minute.
RUN_TIMEOUT = 300

# The part of a name that only cases without TLS have.
CLEAR_TEXT = "**/TLS:false/**"


class Conformance:
    name = JUDGE

    def prepare(self):
        self.suite = go_install("connectrpc.com/conformance/cmd/connectconformance", VERSION)
        target = SCRATCH / "conformance"
        manifest = HERE / "conformance" / "Cargo.toml"
        cargo = [find_program("cargo"), "build", "--locked", "--manifest-path", manifest]
        output(*cargo, "--target-dir", target)
        self.program = target / "debug" / "barewire-conformance"
        return VERSION

    def run(self):
        for mode in ["server", "client"]:
            for security, selection in [("clear text", "--run"), ("TLS", "--skip")]:
                flags = ["--conf", HERE / "conformance.yaml", "--mode", mode, selection, CLEAR_TEXT]
                yield run_suite(mode, security, [self.suite, *flags, "--", self.program, mode])


def run_suite(mode, security, command):
    words = [str(word) for word in command]
    # In a group of its own: cut short, it leaves the programs behind that it has started.
    how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "start_new_session": True}
    with subprocess.Popen(words, text=True, errors="replace", **how) as suite:
        try:
            report, complaints = suite.communicate(timeout=RUN_TIMEOUT)
        except subprocess.TimeoutExpired:
            return Result(JUDGE, mode, security, 0, 0, {"the suite": f"no end after {RUN_TIMEOUT} s"})
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(suite.pid, signal.SIGKILL)
    passed, total = read_summary(report)
    failed = read_failures(report)
    # Whatever else went wrong, the suite has said so.
    if not failed and (suite.returncode != 0 or passed != total or total == 0):
        failed["the suite"] = last_line(complaints or report)
    return Result(JUDGE, mode, security, passed, total, failed)


def read_summary(report):
    """How many cases passed, of how many."""
    lines = r"^Total cases: \d+\n(\d+) passed, (\d+) failed(?:\nAnother (\d+) could not be run)?"
    summary = re.search(lines, report, re.MULTILINE)
    passed, failed, not_run = (int(count or 0) for count in summary.groups()) if summary else (0, 0, 0)
    return passed, passed + failed + not_run


def read_failures(report):
    """Case → what was said of it, which follows its name line by line behind tabs."""
    failures = re.findall(r"^FAILED: (.*):\n((?:\t.*\n)*)", report, re.MULTILINE)
    return {case: "; ".join(line.strip() for line in said.splitlines()) for case, said in failures}

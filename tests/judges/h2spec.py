"""h2spec, which plays a client that breaks the rules of HTTP/2, and HPACK, and watches what the server does.

Its cases are those of RFC 7540 and RFC 7541, the strict ones included, and a case has a name as
`http2/6.9.1/2`: the third part is its number in the section.
"""

import subprocess
import xml.etree.ElementTree

from peers.barewire import Barewire
from programs import SCRATCH, free_port, go_install, last_line, serving
from results import count

VERSION = "v2.2.1+incompatible"

# What its modules were when the version was locked: h2spec itself locks none.
PINS = ["github.com/fatih/color@v1.19.0", "github.com/spf13/cobra@v1.10.2", "golang.org/x/net@v0.62.0"]

# The whole run takes a second. A case that waits in vain takes two.
RUN_TIMEOUT = 600


class H2spec:
    name = "h2spec"

    def __init__(self, program):
        self.ours = Barewire(program)

    def prepare(self):
        self.h2spec = go_install("github.com/summerwind/h2spec/cmd/h2spec", VERSION, pins=PINS)
        return (
            f"{VERSION}: 146 cases. Commit af83a65f0b62, which Go's proxy did not give us, adds hpack/2.3.3/2, "
            "and tests/calls/malformed.rs plays that one"
        )

    def run(self):
        for security, tls in [("clear text", False), ("TLS", True)]:
            port = free_port()
            with serving(self.ours.serve(port, tls), port):
                cases = self.play(port, ["--tls", "--insecure"] if tls else [])
            failed = {name: case.said for name, case in cases.items() if case.outcome in ["failure", "error"]}
            not_run = {name: "h2spec skips it" for name, case in cases.items() if case.outcome == "skipped"}
            run = [name for name in cases if name not in not_run]
            yield count(self.name, "barewire serve", security, run, failed, not_run)

    def play(self, port, flags):
        """The cases by name."""
        report = SCRATCH / "h2spec.xml"
        report.unlink(missing_ok=True)
        done = subprocess.run(
            [self.h2spec, "--strict", f"--port={port}", f"--junit-report={report}", *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_TIMEOUT,
        )
        if not report.exists():
            raise RuntimeError(f"h2spec wrote no report: {last_line(done.stdout)}")
        return parse_report(report)


class Case:
    """What h2spec says of a case: `outcome` is the tag of what is in its element, if anything is."""

    def __init__(self, element):
        verdict = next(iter(element), None)
        self.outcome = "passed" if verdict is None else verdict.tag
        self.said = "" if verdict is None else f"{element.get('classname')}: {' '.join((verdict.text or '').split())}"


def parse_report(path):
    return {
        f"{suite.get('package')}/{number}": Case(element)
        for suite in xml.etree.ElementTree.parse(path).getroot()
        for number, element in enumerate(suite, start=1)
    }

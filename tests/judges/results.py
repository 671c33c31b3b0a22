"""What a judge found."""

import dataclasses


@dataclasses.dataclass
class Result:
    """One cell of the scoreboard: a judge, what it judged, and what came of it."""

    # What is judged by, as "gRPC interop", "Connect conformance", "h2spec", "Tools of the field": a table of the scoreboard.
    judge: str
    # Who was tested, as "barewire → Go (grpc-go)" or "server": a row.
    subject: str
    # "clear text" or "TLS": a column.
    security: str
    passed: int
    total: int
    # Case → what was said. Each of these makes the run fail.
    failed: dict = dataclasses.field(default_factory=dict)
    # Case → why it was not run. These are not counted in `total`.
    not_run: dict = dataclasses.field(default_factory=dict)
    # The name of the entry of `judge.py` that it comes from.
    source: str = ""

    def key(self):
        return f"{self.judge}: {self.subject}, {self.security}"

    def score(self):
        return f"{self.passed}/{self.total}" if self.total else "–"


def count(judge, subject, security, cases, failed, not_run=None):
    """The result of `cases`, of which `failed` did not pass."""
    return Result(judge, subject, security, len(cases) - len(failed), len(cases), failed, not_run or {})

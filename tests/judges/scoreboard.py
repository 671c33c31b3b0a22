"""SCOREBOARD.md: what the judges said, and the guard that no number drops.

`record.json` is the last run that was recorded, and SCOREBOARD.md is made from it and from nothing else.
"""

import dataclasses
import datetime
import json

from programs import HERE, PACKAGE
from results import Result

RECORD = HERE / "record.json"
SCOREBOARD = PACKAGE / "SCOREBOARD.md"


@dataclasses.dataclass
class Run:
    """All that one run of the judges found."""

    # UTC, as "2026-11-21".
    date: str
    # Judge → version.
    versions: dict
    # Judge → why it could not be had on the machine.
    missing: dict
    results: list

    def to_json(self):
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text):
        run = cls(**json.loads(text))
        run.results = [Result(**result) for result in run.results]
        return run

    def failures(self):
        return [
            f"{result.key()}, {case}: {said}"
            for result in self.results
            for case, said in result.failed.items()
        ]


def today():
    return datetime.datetime.now(datetime.timezone.utc).date().isoformat()


def drops(recorded, run, is_asked):
    """What `run` has less of than the recorded one. Of the judges that were recorded, those are missed that `is_asked(name)`."""
    passed = {result.key(): result for result in run.results}
    found = []
    for name, why in run.missing.items():
        if name not in recorded.missing:
            found.append(f"{name} could not be run: {why}")
    for result in recorded.results:
        if not is_asked(result.source) or result.source in run.missing:
            continue
        now = passed.get(result.key())
        if now is None:
            found.append(f"{result.key()}: {result.score()} before, not run now")
        elif now.passed < result.passed:
            found.append(f"{result.key()}: {result.score()} before, {now.score()} now")
    return found


def write(run):
    RECORD.write_text(run.to_json())
    SCOREBOARD.write_text(format_scoreboard(run))


def format_scoreboard(run):
    lines = [
        "# Scoreboard",
        "",
        "What the public judges of gRPC and HTTP/2 say of barewire. [`tests/judges/judge.py`](tests/judges/judge.py) wrote this from its",
        f"run of {run.date}, which `python3 tests/judges/judge.py --record` repeats; CI runs it without `--record`, and fails when a case",
        "fails or a number drops. Passed of run; what was not run is not counted, and is listed below with the reason.",
        "",
    ]
    for judge in dict.fromkeys(result.judge for result in run.results):
        lines += [f"## {judge}", "", *format_table([r for r in run.results if r.judge == judge]), ""]
    lines += ["## Versions", "", "| judge | version |", "|---|---|"]
    lines += [f"| {name} | {version} |" for name, version in run.versions.items()]
    lines.append("")
    lines += section("Could not be had", [f"- {name}: {why}" for name, why in run.missing.items()])
    lines += section("Failed", [f"- {failure}" for failure in run.failures()])
    lines += section("Not run", format_not_run(run.results))
    return "\n".join(lines)


def format_table(results):
    securities = list(dict.fromkeys(result.security for result in results))
    lines = [
        f"| what was judged | {' | '.join(securities)} | not run |",
        f"|---|{'---|' * len(securities)}---|",
    ]
    for subject in dict.fromkeys(result.subject for result in results):
        rows = {result.security: result for result in results if result.subject == subject}
        scores = [rows[security].score() if security in rows else "–" for security in securities]
        not_run = max(len(row.not_run) for row in rows.values())
        lines.append(f"| {subject} | {' | '.join(scores)} | {not_run} |")
    return lines


def format_not_run(results):
    """A line for each reason of a subject, with the cases it holds for."""
    reasons = {}
    for result in results:
        for case, why in result.not_run.items():
            reasons.setdefault((f"{result.judge}, {result.subject}", why), {})[case] = None
    return [f"- {subject}: {', '.join(cases)}: {why}" for (subject, why), cases in reasons.items()]


def section(title, lines):
    return [f"## {title}", "", *lines, ""] if lines else []

"""One run of a tool, and what must come of it."""

import dataclasses
import json
import os
import subprocess
from collections.abc import Callable

from programs import SCRATCH

CHECK_TIMEOUT = 60

# Some tools keep a cache or their settings at home.
HOME = SCRATCH / "home"


@dataclasses.dataclass
class Check:
    name: str
    command: list
    # What `read` makes of standard output.
    output: object
    read: Callable = str
    # What `read_errors` makes of standard error.
    errors: object = ""
    read_errors: Callable = str
    code: int = 0
    # Standard input.
    given: str = ""

    def problem(self):
        """`None` if all came that must, else what did."""
        HOME.mkdir(parents=True, exist_ok=True)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
        try:
            done = subprocess.run(
                [str(word) for word in self.command],
                input=self.given,
                capture_output=True,
                text=True,
                errors="replace",
                cwd=HOME,
                env={**environment, "HOME": str(HOME)},
                timeout=CHECK_TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            return f"no end after {CHECK_TIMEOUT} s"
        parts = [
            ("exit code", done.returncode, self.code),
            ("standard error", self.read_errors(done.stderr), self.errors),
            ("standard output", self.read(done.stdout), self.output),
        ]
        return difference(parts)


def run(checks):
    """As a tool's `run` gives them."""
    return ((check.name, check.problem()) for check in checks)


def difference(parts):
    """Of the parts, each its name, what it is and what it must be, those that are wrong; `None` if all are right."""
    wrong = [f"{name} is {came!r} and not {wanted!r}" for name, came, wanted in parts if came != wanted]
    return "; ".join(wrong) or None


def messages(text):
    """The JSON values that stand one after the other; the text itself where it is no JSON."""
    found = []
    rest = text.lstrip()
    while rest:
        try:
            value, end = json.JSONDecoder().raw_decode(rest)
        except ValueError:
            return text
        found.append(value)
        rest = rest[end:].lstrip()
    return found

"""The public judges of gRPC and HTTP/2, run against barewire.

    python3 tests/judges/judge.py [--only TEXT] [--list] [--record] [--barewire PROGRAM]

| file | judge |
|------|-------|
| `matrix.py`, `peers/` | gRPC's interop tests, against other implementations in both directions |
| `conformance.py`, `conformance/` | the Connect conformance suite, as far as it is about gRPC |
| `h2spec.py` | h2spec: HTTP/2 and HPACK, against our server |
| `field.py`, `tools/` | tools of the field, which must work with our server as they are |

Without `--record` the run is compared with the recorded one: it fails when a case fails, and when a number
has dropped. With `--record` it writes `record.json` and, from it, SCOREBOARD.md. A judge that cannot be had
on this machine is told of, with the reason; it does not count as passed.

Whatever is installed or built lies below `target/judges`, and is found there the next time; Debian's
packages are the exception. The result of every run is there too: `run.json`, `SCOREBOARD.md`.
"""

import argparse
import pathlib
import signal
import subprocess
import sys
import time

import field
import matrix
import scoreboard
from conformance import Conformance
from h2spec import H2spec
from programs import PACKAGE, SCRATCH, NotHere, make_certificates


def all_judges(program):
    """Each has a `name`, `prepare()`, which gives its version or raises `NotHere`, and `run()`, which yields results."""
    return [*matrix.judges(program), Conformance(), H2spec(program), *field.judges(program)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    program = PACKAGE / "target" / "debug" / "barewire"
    parser.add_argument("--barewire", default=program, type=pathlib.Path, help=f"default: {program.relative_to(PACKAGE)}")
    parser.add_argument("--only", default="", metavar="TEXT", help="the judges with this text in their name")
    parser.add_argument("--list", action="store_true", help="print the names of the judges")
    parser.add_argument("--record", action="store_true", help="write SCOREBOARD.md and what it is made from")
    options = parser.parse_args()

    def is_asked(name):
        return options.only.lower() in name.lower()

    judges = [judge for judge in all_judges(options.barewire.resolve()) if is_asked(judge.name)]
    if options.list:
        print(*(judge.name for judge in judges), sep="\n")
        return
    if options.record and options.only:
        parser.error("--record needs all judges, so it goes without --only")
    if not judges:
        parser.error(f"no judge has {options.only!r} in its name")
    if not options.barewire.exists():
        parser.error(f"{options.barewire} is not there: run cargo build")

    # As Ctrl-C does: the servers end with us.
    for cut_short in [signal.SIGTERM, signal.SIGHUP]:
        signal.signal(cut_short, lambda number, _: sys.exit(128 + number))
    SCRATCH.mkdir(parents=True, exist_ok=True)
    make_certificates()
    run, broken_down = hear(judges)
    sys.exit(0 if settle(run, broken_down, is_asked, options.record) else 1)


def hear(judges):
    """What they found, and which of them did not come to their end, with the reason."""
    broken_down = []
    run = scoreboard.Run(scoreboard.today(), {}, {}, [])
    for judge in judges:
        started = time.monotonic()
        try:
            run.versions[judge.name] = judge.prepare()
            prepared = time.monotonic()
            for result in judge.run():
                result.source = judge.name
                run.results.append(result)
                print(f"{result.key()}: {result.score()}", flush=True)
        except NotHere as why:
            run.missing[judge.name] = str(why)
            print(f"{judge.name}: could not be run: {why}", flush=True)
            continue
        except (OSError, RuntimeError, subprocess.SubprocessError) as why:
            # The others are heard all the same.
            broken_down.append(f"{judge.name} broke down: {why}")
            print(broken_down[-1], flush=True)
            continue
        print(f"{judge.name}: {prepared - started:.0f} s to prepare, {time.monotonic() - prepared:.0f} s to run", flush=True)
    return run, broken_down


def settle(run, broken_down, is_asked, record):
    """Writes the results, and says whether all is well."""
    (SCRATCH / "run.json").write_text(run.to_json())
    (SCRATCH / "SCOREBOARD.md").write_text(scoreboard.format_scoreboard(run))
    problems = broken_down + run.failures()
    if record and broken_down:
        problems.append("nothing was recorded, since numbers are missing")
    elif record:
        scoreboard.write(run)
    else:
        recorded = scoreboard.Run.from_json(scoreboard.RECORD.read_text())
        if scoreboard.format_scoreboard(recorded) != scoreboard.SCOREBOARD.read_text():
            problems.append("SCOREBOARD.md is not what record.json says")
        problems += scoreboard.drops(recorded, run, is_asked)
    passed = sum(result.passed for result in run.results)
    failed = sum(len(result.failed) for result in run.results)
    for problem in problems:
        print(f"FAILED {problem}")
    print(f"{passed} passed, {failed} failed")
    return not problems


main()

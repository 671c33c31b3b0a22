#!/usr/bin/env python3
"""Fails when a call costs more instructions than recorded.

    python3 benches/guard.py [--record]

Counts instructions of user space for a unary call, on the server and on the client, and for a message of
1 KiB in a server stream. What is recorded lies in `recorded.json`, with the compiler that it holds for;
another compiler may need a new record. A machine without valgrind skips it.
"""

import argparse
import json
import sys

import measures
from programs import BAREWIRE, HERE, LOAD, SCRATCH, NotHere, build, find_tool, output
from scenarios import SCENARIOS

GUARDED = ["unary 1 × 100", "client unary 1 × 100", "download 1 KiB from a loop"]
RECORD = HERE / "recorded.json"
# More than that is no chance.
TOLERANCE = 1.05


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true", help="write down what is counted now")
    options = parser.parse_args()
    try:
        find_tool("valgrind", "valgrind")
    except NotHere as why:
        print(f"skipped: {why}")
        return
    SCRATCH.mkdir(parents=True, exist_ok=True)
    for package in (LOAD.package, BAREWIRE.package):
        build(package)
    compiler = output(["rustc", "--version"]).strip()
    counts = {scenario.name: count(scenario) for scenario in SCENARIOS if scenario.name in GUARDED}
    if options.record:
        RECORD.write_text(json.dumps({"compiler": compiler, "instructions": counts}, indent=1, ensure_ascii=False) + "\n")
    sys.exit(0 if compare(json.loads(RECORD.read_text()), compiler, counts) else 1)


def count(scenario):
    # Its own server will do for the client: it is not what is counted.
    return round(measures.count_instructions(scenario, BAREWIRE, server_of_client=BAREWIRE))


def compare(record, compiler, counts):
    """Says how it stands, and whether that is well."""
    well = True
    for name, now in counts.items():
        before = record["instructions"][name]
        print(f"{name}: {now:,} instructions, {before:,} recorded, {now / before - 1:+.1%}")
        well &= now <= before * TOLERANCE
    if not well:
        print(f"FAILED: more than {TOLERANCE - 1:.0%} above the record")
        if compiler != record["compiler"]:
            print(f"this is {compiler}, the record is of {record['compiler']}")
    elif any(now * TOLERANCE < record["instructions"][name] for name, now in counts.items()):
        print("that is well below: python3 benches/guard.py --record keeps it so")
    return well


if __name__ == "__main__":
    main()

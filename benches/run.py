#!/usr/bin/env python3
"""Measures barewire beside its peers on this machine, and writes BENCHMARKS.md.

    python3 benches/run.py [--short] [--only TEXT] [--rounds N] [--list]

| file | what it holds |
|------|---------------|
| `scenarios.py` | what is measured |
| `measures.py`, `callgrind.py` | how it is measured |
| `features.py` | what each feature of barewire's server costs |
| `programs.py`, `peers/` | the programs that are run |
| `report.py`, `plots.py` | BENCHMARKS.md and its pictures |
| `guard.py` | run by CI: fails when a call costs more instructions than recorded |

It needs Rust, and Linux on two cores that have nothing else to do. valgrind, strace and perf are
installed where apt allows it; what cannot be measured without them is left out. All that is built lies
below `target/benches`, and the figures of the last run too: `results.json`.

A full run writes BENCHMARKS.md and `benches/plots`. The short form, and a run of some scenarios only,
leave both alone and write into `target/benches`.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import resource
import time

import callgrind
import features
import measures
import report
from programs import ALL_PEERS, LOAD, PACKAGE, PEERS, SCRATCH, Failed, NotHere, build, find_tool, output
from scenarios import SCENARIOS

FEATURES = "cost of features"


def main():
    options = parse_options()
    wanted = [scenario for scenario in SCENARIOS if is_wanted(scenario.name, scenario.short, options)]
    with_features = is_wanted(FEATURES, True, options)
    names = [scenario.name for scenario in wanted] + [FEATURES] * with_features
    if options.list:
        print(*names, sep="\n")
        return
    if not names:
        raise SystemExit(f"no scenario has {options.only!r} in its name")

    raise_descriptor_limit()
    SCRATCH.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    run = describe(options)
    peers = prepare(run)
    for place, scenario in enumerate(wanted, 1):
        say(f"[time and memory {place}/{len(wanted)}] {scenario.name}")
        run["results"][scenario.name] = measure(scenario, peers, run)
        save(run)
    say("What follows is counted; the machine may do other things again.")
    counted = [scenario for scenario in wanted if scenario.counted and scenario.group != "memory"]
    for place, scenario in enumerate(counted, 1):
        say(f"[counts {place}/{len(counted)}] {scenario.name}")
        count(scenario, peers, run)
        save(run)
    if with_features:
        say(FEATURES)
        measure_features(run, peers, options.short)
    run["minutes"] = round((time.monotonic() - started) / 60)
    save(run)

    whole = not options.short and not options.only
    folder, plots = (PACKAGE, PACKAGE / "benches" / "plots") if whole else (SCRATCH, SCRATCH / "plots")
    report.write(run, folder / "BENCHMARKS.md", plots)
    say(f"{run['minutes']} min; see {os.path.relpath(folder / 'BENCHMARKS.md')}")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="a few scenarios, two rounds")
    parser.add_argument("--only", default="", metavar="TEXT", help="the scenarios with this text in their name")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of what varies, such as time; default 5")
    parser.add_argument("--list", action="store_true", help="print the names of the scenarios")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.short else 5)
    return options


def is_wanted(name, short, options):
    return options.only.lower() in name.lower() and (short or not options.short)


def say(text):
    print(text, flush=True)


def raise_descriptor_limit():
    """Each connection takes one, of the load and of the server."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def describe(options):
    """All of a run but its figures."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rounds": options.rounds,
        "load": os.getloadavg()[0],
        "machine": machine(),
        "versions": {},
        "missing": {},
        "results": {},
        "features": [],
        "profiles": {},
    }


def machine():
    cpu = re.search(r"^model name\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    release = re.match(r"[\d.]+\d", platform.release())[0]
    return f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {release}"


def prepare(run):
    """Builds what can be built, and finds what can be found."""
    tools = {"instructions": callgrind.version, "system_calls": strace_version, "hardware": counters}
    for name, version in tools.items():
        try:
            run["versions"][name] = version()
        except NotHere as why:
            run["missing"][name] = str(why)
    run["versions"]["rustc"] = output(["rustc", "--version"]).split()[1]
    build(LOAD.package)
    found = []
    for peer in ALL_PEERS:
        try:
            say(f"building {peer.package}")
            build(peer.package)
            found.append(peer)
            run["versions"][peer.crate] = locked_version(peer.crate)
        except NotHere as why:
            run["missing"][peer.name] = str(why)
            say(str(why))
    for crate in ("tokio", "hyper", "rustls", "prost"):
        run["versions"][crate] = locked_version(crate)
    run["commit"] = commit()
    return found


def strace_version():
    return output([find_tool("strace", "strace"), "-V"]).split()[3]


def counters():
    if not measures.has_counters():
        raise NotHere("the processor's counters cannot be read here")
    return "instructions:u and instructions:k"


def locked_version(crate):
    lock = (PEERS / "Cargo.lock").read_text()
    return re.search(rf'^name = "{crate}"\nversion = "(.+)"$', lock, re.MULTILINE)[1]


def commit():
    """Which source of barewire this is."""
    try:
        changed = output(["git", "-C", PACKAGE, "status", "--porcelain", "--", "src"]).strip()
        return output(["git", "-C", PACKAGE, "rev-parse", "--short", "HEAD"]).strip() + (" with changes" if changed else "")
    except (Failed, FileNotFoundError):
        return "unknown"


def measure(scenario, peers, run):
    """What depends on what else the machine does: peer → measure → figure. Who fails is told of as missing."""
    peers = [peer for peer in peers if scenario.can(peer)]
    if scenario.group == "memory":
        found = {peer.name: attempt(memory, scenario, peer, run) for peer in peers}
        say("  bytes: " + line(found, "bytes"))
        return found
    try:
        rounds = measures.run_rounds(scenario, peers, run["rounds"], run["missing"])
    except Failed as why:
        run["missing"][scenario.name] = str(why)
        return {}
    found = {peer.name: figures for peer, figures in rounds.items()}
    say("  µs of CPU: " + line(found, "cpu_us"))
    return found


def count(scenario, peers, run):
    """Adds what is counted to the figures of those who have any."""
    found = run["results"][scenario.name]
    for peer in peers:
        if peer.name in found:
            found[peer.name].update(attempt(counts, scenario, peer, run))
    say("  instructions: " + line(found, "instructions"))


def attempt(figures, scenario, peer, run):
    try:
        return figures(scenario, peer, run)
    except Failed as why:
        run["missing"][f"{peer.name}, {scenario.name}"] = str(why)
        return {}


def memory(scenario, peer, _):
    return {"bytes": measures.memory_of_idle(scenario, peer)}


def counts(scenario, peer, run):
    """What is counted, where there is the tool for it."""
    figures = {}
    if "instructions" in run["versions"]:
        figures["instructions"] = measures.count_instructions(scenario, peer)
    if "system_calls" in run["versions"]:
        figures["system_calls"] = measures.count_system_calls(scenario, peer)
    if "hardware" in run["versions"]:
        figures.update(measures.count_hardware_instructions(scenario, peer))
    return figures


def line(found, measure):
    return ", ".join(f"{name} {report.number(figures.get(measure))}" for name, figures in found.items())


def measure_features(run, peers, short):
    if "instructions" not in run["versions"]:
        return
    for name, base, instructions in features.measure(short):
        run["features"].append({"name": name, "base": base, "instructions": instructions})
        say(f"  {name}: {report.number(instructions)}")
    for peer in peers:
        if peer in features.PROFILED:
            run["profiles"][peer.name] = features.profile(peer)


def save(run):
    (SCRATCH / "results.json").write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

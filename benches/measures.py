"""How it is measured: instructions, CPU time, system calls, latency, memory."""

import contextlib
import re
import statistics
import subprocess

import callgrind
from programs import H2_BEST, LOAD_CORE, SCRATCH, TONIC, Failed, find_tool, run_client, run_load, serving

# What perf counts, where it can.
EVENTS = {"hardware_user": "instructions:u", "hardware_kernel": "instructions:k"}
# How long one round of calls takes, about.
ROUND_SECONDS = 0.5


def run_once(scenario, peer, calls, under=(), serve_options=(), call_options=(), server_of_client=H2_BEST):
    """The calls of a scenario, and nothing before them, by a program that is started for them."""
    words = [*scenario.words(calls), *call_options]
    if scenario.of_client:
        with serving(server_of_client, tls=scenario.tls, core=LOAD_CORE) as server:
            run_client(peer, server, words, scenario.tls, under)
    else:
        with serving(peer, serve_options, scenario.tls, under) as server:
            run_load("calls", server, words, scenario.tls)


def count_instructions(scenario, peer, **options):
    """Of user space, for each call or message: what three times as many calls take more."""
    few = scenario.counted_calls
    counts = []
    for calls in (few, 3 * few):
        run_once(scenario, peer, calls, callgrind.under(), **options)
        counts.append(callgrind.total())
    return (counts[1] - counts[0]) / (2 * few * scenario.chunks)


def count_hardware_instructions(scenario, peer):
    """As the processor counts them, in the program and in the kernel."""
    few = scenario.counted_calls
    less, more = (perf_stat(scenario, peer, calls) for calls in (few, 3 * few))
    units = 2 * few * scenario.chunks
    return {name: (more[name] - less[name]) / units for name in EVENTS}


def perf_stat(scenario, peer, calls):
    path = SCRATCH / "perf.out"
    events = [word for event in EVENTS.values() for word in ("-e", event)]
    run_once(scenario, peer, calls, [find_tool("perf", "linux-perf"), "stat", "-x,", *events, "-o", path])
    counts = {line.split(",")[2]: line.split(",")[0] for line in path.read_text().splitlines() if "," in line}
    return {name: int(counts[event]) for name, event in EVENTS.items()}


def has_counters():
    """Whether the processor's counters can be read: in virtual machines they often cannot."""
    command = [find_tool("perf", "linux-perf"), "stat", "-x,", "-e", EVENTS["hardware_user"], "true"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode == 0 and "<not" not in done.stderr


def count_system_calls(scenario, peer):
    """For each call or message. What it takes to start is in it, and is little."""
    path = SCRATCH / "strace.out"
    calls = 2 * scenario.counted_calls
    run_once(scenario, peer, calls, [find_tool("strace", "strace"), "-f", "-c", "-o", path])
    [_, _, _, count, *_] = re.search(r"^.* total$", path.read_text(), re.MULTILINE)[0].split()
    return int(count) / (calls * scenario.chunks)


def run_rounds(scenario, peers, rounds, failures):
    """One peer after the other, so many times: for each peer the medians of what a round cost.

    Servers that are not measured at the moment wait on their sockets. Who fails is left out, and why goes
    to `failures`.
    """
    with contextlib.ExitStack() as stack:
        runs, reports = {}, {}
        if scenario.of_client:
            server = stack.enter_context(serving(H2_BEST, tls=scenario.tls, core=LOAD_CORE))
            for peer in peers:
                runs[peer] = lambda words, peer=peer: run_client(peer, server, words, scenario.tls)
        else:
            for peer in peers:
                server = stack.enter_context(serving(peer, tls=scenario.tls))
                runs[peer] = lambda words, server=server: run_load("calls", server, words, scenario.tls)
        words = round_words(scenario, runs.get(TONIC) or runs[peers[0]])
        for _ in range(rounds):
            for peer, run in list(runs.items()):
                try:
                    reports.setdefault(peer, []).append(run(words))
                except Failed as why:
                    failures[f"{peer.name}, {scenario.name}"] = str(why)
                    del runs[peer]
    return {peer: summary(scenario, reports[peer]) for peer in runs}


def round_words(scenario, run):
    """What a program is told, so that it works for about as long as a round."""
    calls = scenario.counted_calls
    for _ in range(2):
        report = run(scenario.words(calls))
        rate = report["calls"] / report["elapsed_ns"] * 1e9
        calls = max(1, int(rate * ROUND_SECONDS))
    words = [*scenario.words(calls), f"warm_up={scenario.warm_up}"]
    if scenario.spin:
        words.append("spin=1")
    if scenario.group == "rate":
        words = [*scenario.words(calls // 2), f"warm_up={scenario.warm_up}", "spin=1", f"rate={rate / 2:.0f}"]
    return words


def summary(scenario, reports):
    """Medians over rounds, for each call or message."""

    def median(value):
        return statistics.median(value(report) for report in reports)

    # Which part of it the kernel has is sampled so seldom that only all rounds together tell it.
    cpu_us = median(lambda report: (report["user_ns"] + report["system_ns"]) / report["calls"]) / scenario.chunks / 1e3
    kernel = sum(report["system_ns"] for report in reports) / sum(report["user_ns"] + report["system_ns"] for report in reports)
    return {
        "cpu_us": cpu_us,
        "system_us": cpu_us * kernel,
        "p50_us": median(lambda report: report["p50_ns"]) / 1e3,
        "p99_us": median(lambda report: report["p99_ns"]) / 1e3,
        "calls_per_s": median(lambda report: report["calls"] / report["elapsed_ns"]) * 1e9,
        "peak_kib": max(report["kib_peak"] for report in reports),
    }


def memory_of_idle(scenario, peer):
    """Bytes for each idle connection or stream."""
    mode = "idle_streams" if scenario.kind == "echo" else "idle_connections"
    with serving(peer) as server:
        report = run_load(mode, server, [*scenario.words(1), f"warm_up={scenario.warm_up}"])
    units = scenario.connections * (scenario.streams if mode == "idle_streams" else 1)
    return (report["kib_after"] - report["kib_before"]) * 1024 / units

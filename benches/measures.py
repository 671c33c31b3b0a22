"""How it is measured: instructions, CPU time, system calls, latency, memory."""

import contextlib
import re
import statistics

from programs import H2_BEST, LOAD_CORE, SCRATCH, TONIC, find_tool, run_client, run_load, serving

# How long one round of calls takes, about.
ROUND_SECONDS = 0.5
# callgrind takes each byte that `rep movsb` copies for an instruction, the processor does not. glibc then
# copies 32 bytes at a time.
COPY_IN_LOOPS = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-ERMS,-FSRM"
# System calls are counted over so many times the calls that instructions are counted over.
TRACED = 2


def run_once(scenario, peer, calls, under=(), options=()):
    """The calls of a scenario, and nothing before them, by a program that is started for them."""
    words = [*scenario.words(calls), *options]
    if scenario.of_client:
        with serving(H2_BEST, tls=scenario.tls, core=LOAD_CORE) as server:
            run_client(peer, server, words, scenario.tls, under)
    else:
        with serving(peer, tls=scenario.tls, under=under) as server:
            run_load("calls", server, words, scenario.tls)


def count_instructions(scenario, peer):
    """Of user space, for each call or message: what three times as many calls take more."""
    few = scenario.counted_calls
    less, more = (count_all_instructions(scenario, peer, calls) for calls in (few, 3 * few))
    return (more - less) / (2 * few * scenario.chunks)


def count_all_instructions(scenario, peer, calls):
    path = SCRATCH / "callgrind.out"
    valgrind = [find_tool("valgrind", "valgrind"), "--tool=callgrind", f"--callgrind-out-file={path}"]
    run_once(scenario, peer, calls, ["env", COPY_IN_LOOPS, *valgrind])
    return int(re.search(r"^(?:summary|totals): (\d+)", path.read_text(), re.MULTILINE)[1])


def count_system_calls(scenario, peer):
    """For each call or message. What it takes to start is in it, and is little."""
    path = SCRATCH / "strace.out"
    calls = TRACED * scenario.counted_calls
    run_once(scenario, peer, calls, [find_tool("strace", "strace"), "-f", "-c", "-o", path])
    # The line of the sums; the column of errors may be empty.
    [_, _, _, count, *_] = re.search(r"^.* total$", path.read_text(), re.MULTILINE)[0].split()
    return int(count) / (calls * scenario.chunks)


def run_rounds(scenario, peers, rounds):
    """One peer after the other, so many times: for each peer the medians of what a round cost.

    Servers that are not measured at the moment wait on their sockets.
    """
    with contextlib.ExitStack() as stack:
        if scenario.of_client:
            server = stack.enter_context(serving(H2_BEST, tls=scenario.tls, core=LOAD_CORE))
            runs = [lambda words, peer=peer: run_client(peer, server, words, scenario.tls) for peer in peers]
        else:
            servers = [stack.enter_context(serving(peer, tls=scenario.tls)) for peer in peers]
            runs = [lambda words, server=server: run_load("calls", server, words, scenario.tls) for server in servers]
        words = [*round_words(scenario, dict(zip((peer.name for peer in peers), runs)))]
        reports = [[] for _ in peers]
        for _ in range(rounds):
            for run, found in zip(runs, reports):
                found.append(run(words))
    return {peer.name: summary(scenario, found) for peer, found in zip(peers, reports)}


def round_words(scenario, runs):
    """What a program is told to work for about as long as a round."""
    first = scenario.counted_calls
    run = runs.get(TONIC.name) or next(iter(runs.values()))
    elapsed = run(scenario.words(first))["elapsed_ns"] / 1e9
    rate = first / elapsed
    if scenario.group == "rate":
        # Better known after a whole round.
        report = run(scenario.words(int(rate * ROUND_SECONDS)))
        rate = report["calls"] / report["elapsed_ns"] * 1e9 / 2
    calls = max(first, int(rate * ROUND_SECONDS))
    words = [*scenario.words(calls), f"warm_up={scenario.warm_up}"]
    return [*words, f"rate={rate:.0f}"] if scenario.group == "rate" else words


def summary(scenario, reports):
    """Medians over rounds, for each call or message."""

    def median(value):
        return statistics.median(value(report) for report in reports)

    units = scenario.chunks
    in_turn = scenario.kind == "echo"
    return {
        "user_us": median(lambda report: report["user_ns"] / report["calls"]) / units / 1e3,
        "system_us": median(lambda report: report["system_ns"] / report["calls"]) / units / 1e3,
        "p50_us": median(lambda report: report["p50_ns"]) / 1e3 / (1 if not in_turn else 1),
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

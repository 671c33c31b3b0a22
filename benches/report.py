"""BENCHMARKS.md: what a run found, in tables."""

import os

import features
import plots
from programs import BAREWIRE, H2_BEST, TONIC
from scenarios import GROUPS, SCENARIOS

# What the columns hold. Measures that were not taken leave no column.
COLUMNS = [
    # measure            heading                  ratios
    ("instructions",     "instructions",          True),
    ("hardware_user",    "hardware, program",     True),
    ("hardware_kernel",  "hardware, kernel",      False),
    ("cpu_us",           "CPU µs",                True),
    ("system_us",        "of it kernel",          False),
    ("system_calls",     "system calls",          False),
    ("p50_us",           "p50 µs",                False),
    ("p99_us",           "p99 µs",                False),
    ("peak_kib",         "peak KiB",              False),
]

LATENCY = ("p50_us", "p99_us")


def write(run, path, plot_folder):
    plot_paths = plots.write(run, plot_folder)
    links = {key: os.path.relpath(plot, path.parent) for key, plot in plot_paths.items()}
    lines = [
        *introduction(run),
        *summary(run),
        *[line for group in GROUPS for line in format_group(group, run, links)],
        *format_features(run),
        *format_profiles(run),
        *format_missing(run),
    ]
    path.write_text("\n".join(lines).rstrip() + "\n")


def introduction(run):
    versions = run["versions"]
    names = {"tonic": "tonic", "h2": "h2", "connectrpc": "connect-rust", "volo-grpc": "volo", "ntex-grpc": "ntex-grpc"}
    peers = [f"{name} {versions[crate]}" for crate, name in names.items() if crate in versions]
    below = [f"{crate} {versions[crate]}" for crate in ("tokio", "hyper", "rustls", "prost")]
    return [
        "# Benchmarks",
        "",
        "Written by `python3 benches/run.py`, which anybody can run; nothing in here was typed in by hand.",
        "",
        f"- **When**: {run['date']}, in {run['minutes']} minutes; medians of {run['rounds']} rounds, in which the peers take turns.",
        f"- **Where**: {run['machine']}. What is measured is kept on one core, what puts load on it on another. Before the",
        f"  run the machine's load was {run['load']:.1f}.",
        f"- **What**: barewire at {run['commit']}, {', '.join(peers)}; {', '.join(below)}; Rust {versions['rustc']}, fat LTO,",
        "  one worker thread, the default allocator. TLS is rustls on ring, AES-256-GCM. All have their defaults, but for",
        "  tonic's limit of 200 streams, which is raised to 1,000.",
        "- **h2** is the service on h2 alone, without gRPC's rules: no deadline, no limits, no status but OK. *A task each* is",
        "  the way that its documentation shows. *Best use* runs a call in its connection's task until it waits, joins what",
        "  is written and reads ahead: see `benches/peers/bare_h2`. It is the floor on which unary calls stand; for large",
        "  messages, joining costs a copy.",
        "- **The load** is `benches/peers/load`: it sends requests that were encoded before and counts the bytes of",
        "  the answers, so that it costs a fraction of what a server does. It announces windows of 4 MiB a stream and 16 MiB",
        "  a connection. Names and payloads are English words.",
        "",
        "What the numbers are, for each call, or each message of a stream:",
        "",
        "- **instructions**: in the program, not in the kernel, by valgrind's callgrind: what three times as many calls take more.",
        "  They repeat to half a per cent. glibc is told to copy 32 bytes at a time, not by `rep movsb`, which callgrind would",
        "  count for each byte; so large messages cost more here than on the processor.",
        *(
            ["- **hardware**: instructions as the processor counts them, by `perf stat`."]
            if "hardware" in versions
            else []
        ),
        "- **CPU µs**: time of all threads of the program, kernel included, from `/proc`; the share of the kernel is sampled. It",
        "  repeats to 10 or 20 per cent: trust ratios, and instructions first.",
        "- **system calls**: by `strace -f -c`.",
        "- **p50, p99**: from the moment when a call was due until its last byte came.",
        "- **peak KiB**: the most memory that was ever resident, `VmHWM`.",
        "- **÷ tonic**, **÷ h2**: the number to the left by that of tonic, and of h2's best use.",
        "",
    ]


def summary(run):
    """barewire in one table."""
    rows = []
    for scenario in measured(run, exclude=("memory",)):
        found = run["results"][scenario.name]
        ours = found[BAREWIRE.name]
        cells = []
        for measure in ("instructions", "cpu_us"):
            cells += [ratio(ours, found.get(peer.name), measure) for peer in (TONIC, H2_BEST)]
        if scenario.has_latency:
            cells += [ratio(ours, found.get(TONIC.name), measure) for measure in LATENCY]
        else:
            cells += [""] * len(LATENCY)
        rows.append([scenario.name, *cells])
    if not rows:
        return []
    headings = ["barewire", "instructions ÷ tonic", "÷ h2", "CPU ÷ tonic", "÷ h2", "p50 ÷ tonic", "p99 ÷ tonic"]
    return ["## In short", "", "Less than 1 is better.", "", *table(headings, rows), ""]


def measured(run, group=None, exclude=()):
    """Scenarios that barewire has figures of."""
    for scenario in SCENARIOS:
        if BAREWIRE.name in run["results"].get(scenario.name, ()):
            if scenario.group == group or group is None and scenario.group not in exclude:
                yield scenario


def format_group(group, run, links):
    scenarios = list(measured(run, group))
    if not scenarios:
        return []
    lines = [f"## {GROUPS[group]}", ""]
    lines += [picture for key, picture in pictures_of(links) if key == group]
    if group in ("growth", "memory"):
        return lines + format_across(scenarios, run)
    for scenario in scenarios:
        lines += [f"### {scenario.name}", "", *format_scenario(scenario, run["results"][scenario.name]), ""]
    return lines


def format_scenario(scenario, found):
    columns = [
        column
        for column in COLUMNS
        if any(column[0] in figures for figures in found.values())
        and (scenario.has_latency or column[0] not in LATENCY)
    ]
    headings = [f"per {scenario.unit}"]
    for _, heading, ratios in columns:
        headings += [heading, "÷ tonic", "÷ h2"] if ratios else [heading]
    rows = []
    for name, figures in found.items():
        row = [label(name, scenario)]
        for measure, _, ratios in columns:
            row.append(number(figures.get(measure)))
            if ratios:
                row += [ratio(figures, found.get(peer.name), measure) for peer in (TONIC, H2_BEST)]
        rows.append(row)
    return table(headings, rows)


def label(name, scenario):
    """h2's client has one way."""
    return "h2" if scenario.of_client and name == H2_BEST.name else name


def format_across(scenarios, run):
    """One row for each scenario, and the peers beside each other."""
    names = list(dict.fromkeys(name for scenario in scenarios for name in run["results"][scenario.name]))
    measures = [("bytes", "bytes")] if scenarios[0].group == "memory" else [("instructions", "instructions"), ("cpu_us", "CPU µs")]
    headings = [""] + [f"{name}, {heading}" for _, heading in measures for name in names]
    rows = []
    for scenario in scenarios:
        found = run["results"][scenario.name]
        rows.append([scenario.name, *(number(found.get(name, {}).get(measure)) for measure, _ in measures for name in names)])
    return [*table(headings, rows), ""]


def format_features(run):
    if not run["features"]:
        return []
    counts = {row["name"]: row["instructions"] for row in run["features"]}
    rows = []
    for row in run["features"]:
        more = row["instructions"] - counts[row["base"]]
        rows.append([row["name"], number(row["instructions"]), "" if row["name"] == row["base"] else f"{more:+,.0f}"])
    lines = [
        "## What features cost",
        "",
        "Each by itself, in instructions of a unary call at 1 × 100, beside barewire's defaults; what has a size, beside a",
        "plain call of that size.",
        "",
        *table(["", "instructions", "more"], rows),
        "",
    ]
    fixed = run["profiles"].get(BAREWIRE.name, {}).get("fixed", {})
    rows = [[name, number(of_lines), number(of_functions)] for name, (of_lines, of_functions) in fixed.items()]
    return [
        *lines,
        "What no configuration switches off. Of its source lines, wherever they were inlined; and of its functions, where",
        "they were not, with what was inlined into them and what the C library copies and allocates for them.",
        "",
        *table(["", "lines", "functions"], rows),
        "",
    ]


def format_profiles(run):
    if not run["profiles"]:
        return []
    profiles = run["profiles"]
    crates = {name: features.by_crate(profile["parts"]) for name, profile in profiles.items()}
    functions = {name: profile["functions"] for name, profile in profiles.items() if name != TONIC.name}
    files = {part: count for part, count in profiles[BAREWIRE.name]["parts"].items() if part.startswith("src/")}
    return [
        "## Where the instructions are",
        "",
        "Of a unary call at 1 × 100. By source, what was inlined counts where its text is; by function, where it went.",
        "",
        *beside_each_other("crate or library", crates, 16),
        *beside_each_other("file", {BAREWIRE.name: files}, 16),
        *beside_each_other("function", functions, 40),
    ]


def beside_each_other(heading, columns, rows):
    """The largest of all columns."""
    largest = {}
    for counts in columns.values():
        for name, count in counts.items():
            largest[name] = max(count, largest.get(name, 0))
    names = sorted(largest, key=largest.get, reverse=True)[:rows]
    cells = [[f"`{name}`", *(number(counts.get(name)) for counts in columns.values())] for name in names]
    return [*table([heading, *columns], cells), ""]


def format_missing(run):
    if not run["missing"]:
        return []
    return ["## Could not be measured", "", *(f"- {name}: {why}" for name, why in run["missing"].items()), ""]


def pictures_of(links):
    for (group, measure), path in links.items():
        yield group, f"![{measure}]({path})\n"


def table(headings, rows):
    lines = [f"| {' | '.join(headings)} |", f"|---|{'--:|' * (len(headings) - 1)}"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def ratio(figures, others, measure):
    mine, theirs = (figures or {}).get(measure), (others or {}).get(measure)
    return f"{mine / theirs:.2f}" if mine is not None and theirs else ""


def number(value):
    """With three digits that count."""
    if value is None:
        return ""
    for limit, divisor, unit in ((1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if abs(value) >= limit:
            return f"{value / divisor:,.{digits(value / divisor)}f}{unit}"
    return f"{value:,.{digits(value)}f}"


def digits(value):
    return 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0

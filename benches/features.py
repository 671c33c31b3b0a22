"""What each feature of barewire's server costs by itself, in instructions of a unary call."""

import collections
import dataclasses
import re

import callgrind
import measures
from programs import BAREWIRE, H2_BEST, TONIC
from scenarios import Scenario

SHAPE = Scenario("unary 1 × 100", "unary", "hello", streams=100)
ONE_KIB = dataclasses.replace(SHAPE, size=1 << 10)


@dataclasses.dataclass(frozen=True)
class Feature:
    name: str
    # What the server is told, and what the load.
    serve: tuple = ()
    call: tuple = ()
    # Beside which row it is measured.
    base: str = "defaults"
    scenario: Scenario = SHAPE


FEATURES = [
    Feature("defaults"),
    Feature("each call a task from its start", serve=("spawned=1",)),
    Feature("no keepalive", serve=("no_keepalive=1",)),
    Feature("a deadline sent by the client", call=("timeout=5000000u",)),
    Feature("a closure told of the outcome", serve=("closures=1",)),
    Feature("an interceptor with both hooks", serve=("interceptors=1",)),
    Feature("three interceptors", serve=("interceptors=3",)),
    Feature("CallSpans, nobody subscribes", serve=("spans=1",)),
    Feature("a subscriber at INFO", serve=("log=info",)),
    Feature("a subscriber at DEBUG", serve=("log=debug",)),
    Feature("a subscriber at TRACE", serve=("log=trace",)),
    Feature("CallSpans, a subscriber at INFO", serve=("spans=1", "log=info")),
    Feature("1 KiB", base="1 KiB", scenario=ONE_KIB),
    Feature("1 KiB that could be 512 fields", call=("repeated=1",), base="1 KiB", scenario=ONE_KIB),
    Feature("1 KiB, gzip both ways", serve=("gzip=1",), call=("gzip=1",), base="1 KiB", scenario=ONE_KIB),
]

# What no configuration switches off: its files.
FIXED = {
    "FrameMeter: joins writes, reads ahead, counts frames": r"transport/(meter|frame_\w+|ping_policy|rate|large_blocks)",
    "deadlines, when none is sent": r"(call/deadline|wire/timeout|transport/timer)",
    "limits of messages and metadata": r"(wire/(header_size|decode_cost)|call/inflight|transport/limits)",
    "interceptors, when there are none": r"call/(interceptor|interception|call_spans)",
    "call slots": r"server/call_count",
}
# Whose instructions are told by crate.
PROFILED = [BAREWIRE, TONIC, H2_BEST]


def measure(short):
    """Yields each feature with its instructions."""
    for feature in FEATURES:
        options = dict(serve_options=feature.serve, call_options=feature.call)
        if not short or feature.name == "defaults":
            yield feature.name, feature.base, measures.count_instructions(feature.scenario, BAREWIRE, **options)


def profile(peer):
    """Where the instructions of a unary call are."""
    calls = SHAPE.counted_calls
    profiles = []
    for times in (1, 3):
        measures.run_once(SHAPE, peer, times * calls, callgrind.under())
        profiles.append(callgrind.Profile.read())
    found = profiles[1].since(profiles[0], 2 * calls)
    return {
        "parts": found.by(lambda function, part, line: part),
        "functions": found.by(lambda function, part, line: short_name(function)),
        "fixed": dict(fixed_costs(found)) if peer == BAREWIRE else {},
    }


def short_name(function):
    """Without what tells one copy of a function from another."""
    return re.sub(r"'\d+$", "", function)


def fixed_costs(profile):
    """Instructions of the lines of each feature; and of its functions, with what they copy and allocate."""
    for name, files in FIXED.items():
        functions = re.compile("barewire::" + files.replace("/", "::").replace(r"\w+", r"\w*"))
        lines = sum(count for (_, part, _), count in profile.own.items() if re.match(f"src/{files}\\.rs", part))
        whole = sum(count for (function, _, _), count in profile.own.items() if functions.search(function))
        whole += sum(count for function, count in profile.in_library.items() if functions.search(function))
        yield name, (lines, whole)


def by_crate(parts):
    """barewire's files together."""
    crates = collections.Counter()
    for part, count in parts.items():
        crates["barewire" if part.startswith("src/") else part] += count
    return dict(crates)

#!/usr/bin/env python3
"""Builds the fuzz targets and lets them run.

    python3 fuzz/run.py [--seconds N] [--only TARGET ...] [--jobs N] [--list] [--minimize]

Needs Rust as it is installed for barewire, and a C++ compiler for libFuzzer; not cargo-fuzz. Each target begins
with its corpus in `fuzz/corpus` and with what earlier runs left in `target/fuzz/corpus`. AddressSanitizer watches,
and so does LeakSanitizer. An input that breaks an oracle, takes a minute or asks for 8 MiB at once is a finding: it is
kept in `target/fuzz/findings`, and the command fails. Mend the cause, and put the input into `fuzz/corpus/TARGET`
under a name that says what was wrong: `cargo test` replays it from then on.

`--minimize` adds to `fuzz/corpus` the smallest of the generated inputs that reach what the others do not.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SCRATCH = HERE.parent / "target" / "fuzz"
CORPORA = HERE / "corpus"
GENERATED = SCRATCH / "corpus"
FINDINGS = SCRATCH / "findings"

# What cargo-fuzz builds with. These options are for nightly compilers, and RUSTC_BOOTSTRAP lets a stable one take them.
FLAGS = ["--cfg=fuzzing", "-Ccodegen-units=1", "-Cdebug-assertions", "-Cpasses=sancov-module", "-Zsanitizer=address"]
# libFuzzer is told of every branch in what handles what a peer sent, and of the comparisons in some of it. Elsewhere, in
# tokio's clock or in the loops of a compressor, both take most of the time and say nothing. These options are for
# build scripts too, which they leave as they are: what they are options of is built into targets only.
COVERAGE = [
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
]
COMPARISONS = ["-Cllvm-args=-sanitizer-coverage-trace-compares"]
TOLD_OF = {
    **dict.fromkeys(["barewire", "http", "prost", "serde_json"], COVERAGE + COMPARISONS),
    **dict.fromkeys(["barewire-fuzz", "base64", "flate2", "h2", "miniz_oxide"], COVERAGE),
}

# What is off is for C: uses of a stack frame that is gone, bytes of memory that was never written to. Memory that was
# given back is kept from being used again for a while, but not until it fills the caches of the processor.
SANITIZER = "detect_stack_use_after_return=0:max_malloc_fill_size=0:quarantine_size_mb=16:malloc_context_size=3"
LIMITS = ["-timeout=60", "-rss_limit_mb=2048", "-malloc_limit_mb=8"]
# Bytes of an input, where libFuzzer would otherwise make it as long as the longest of the corpus: in `ops` a dozen
# steps, since forty take four times as long.
LONGEST = {"ops": 400}

# A corpus in git stays below both.
FILES = 100
BYTES = 100 * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=30, help="for each target (default: 30)")
    parser.add_argument("--only", nargs="+", metavar="TARGET", help="these targets")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="targets at once (default: one for each processor)")
    parser.add_argument("--list", action="store_true", help="say which targets there are")
    parser.add_argument("--minimize", action="store_true", help="add what was generated to the corpora in git; runs nothing")
    options = parser.parse_args()
    known = {path.stem: path for path in sorted((HERE / "fuzz_targets").glob("*.rs"))}
    if options.list:
        for target in known:
            print(f"{target:16} {len(list((CORPORA / target).iterdir())):3} inputs in git")
        return
    targets = options.only or list(known)
    unknown = [target for target in targets if target not in known]
    if unknown:
        sys.exit(f"there is no target {', '.join(unknown)}; --list names them")
    programs = build(targets)
    if options.minimize:
        for target in targets:
            minimize(target, programs / target)
        return
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        work = {target: pool.submit(run, target, programs / target, options.seconds) for target in targets}
        found = [report(target, outcome.result()) for target, outcome in work.items()]
    print(f"{len(targets)} targets, {sum(found)} with a finding")
    sys.exit(1 if any(found) else 0)


def build(targets):
    """Builds programs, and yields the directory in which they are."""
    about = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    host = re.search(r"^host: (.*)$", about, re.MULTILINE).group(1)
    # A target that is named is no build script, which would be built with the sanitizer too.
    command = ["cargo", "build", "--release", "--locked", "--target", host, "--target-dir", SCRATCH]
    command += ["--manifest-path", HERE / "Cargo.toml"]
    command += ["-Zprofile-rustflags"]
    for crate, options in TOLD_OF.items():
        command += ["--config", f"profile.release.package.{crate}.rustflags={options}"]
    for target in targets:
        command += ["--bin", target]
    flags = " ".join(filter(None, [os.environ.get("RUSTFLAGS"), *FLAGS]))
    subprocess.run(command, check=True, env={**os.environ, "RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": flags})
    return SCRATCH / host / "release"


def run(target, program, seconds):
    """Runs a target, and yields its exit code, what it said, and the seconds of a processor that it had."""
    findings, generated = FINDINGS / target, GENERATED / target
    findings.mkdir(parents=True, exist_ok=True)
    generated.mkdir(parents=True, exist_ok=True)
    command = [program, *LIMITS, f"-max_total_time={seconds}", "-print_final_stats=1", f"-artifact_prefix={findings}/"]
    command += [f"-max_len={LONGEST.get(target, 0)}", generated, CORPORA / target]
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, said, usage.ru_utime + usage.ru_stime


def environment():
    """What targets run with; who asks the sanitizer for something else gets it."""
    options = ":".join(filter(None, [SANITIZER, os.environ.get("ASAN_OPTIONS")]))
    return {**os.environ, "ASAN_OPTIONS": options}


def report(target, outcome):
    """Says what came out; yields whether that is a finding."""
    code, said, seconds = outcome
    units = re.search(r"number_of_executed_units: *(\d+)", said)
    covered = re.findall(r"cov: (\d+)", said)
    executions, edges = int(units.group(1)) if units else 0, covered[-1] if covered else "?"
    print(f"{target:16} {executions:>12,} executions in {seconds:>5.0f} s of a processor, {edges:>6} edges", flush=True)
    if code == 0:
        return False
    print(f"\n{said[-6_000:]}")
    kept = re.search(r"written to (\S+)", said)
    where = kept.group(1) if kept else "what it was is not known"
    print(f"FINDING in {target}: {where}")
    print(f"  again: python3 fuzz/run.py --only {target} --seconds 1, or give the file to the program in {SCRATCH}\n", flush=True)
    return True


def minimize(target, program):
    """Keeps what people named, and as many of the generated inputs as there is room for."""
    corpus = CORPORA / target
    named = [path for path in corpus.iterdir() if not is_generated(path)]
    with tempfile.TemporaryDirectory() as scratch:
        merged, candidates = pathlib.Path(scratch) / "merged", pathlib.Path(scratch) / "candidates"
        merged.mkdir()
        candidates.mkdir()
        for path in named:
            shutil.copy(path, merged)
        for path in [*corpus.iterdir(), *(GENERATED / target).glob("*")]:
            if is_generated(path):
                shutil.copy(path, candidates)
        # The fewest that reach all that they reach together.
        command = [program, *LIMITS, "-set_cover_merge=1", merged, candidates]
        subprocess.run(command, env=environment(), check=True, stderr=subprocess.DEVNULL)
        for path in corpus.iterdir():
            if is_generated(path):
                path.unlink()
        files, size = len(named), sum(path.stat().st_size for path in named)
        chosen = [path for path in merged.iterdir() if is_generated(path)]
        chosen.sort(key=lambda path: (path.stat().st_size, path.name))
        # Where there are too many, some of every size.
        for path in chosen[:: -(-len(chosen) // max(FILES - files, 1)) or 1]:
            if size + path.stat().st_size <= BYTES:
                shutil.copy(path, corpus)
                files, size = files + 1, size + path.stat().st_size
    print(f"{target:16} {files:3} inputs, {size:6,} bytes", flush=True)


def is_generated(path):
    """libFuzzer names inputs by their SHA-1."""
    return re.fullmatch("[0-9a-f]{40}", path.name) is not None


if __name__ == "__main__":
    main()

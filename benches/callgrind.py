"""Counts instructions of user space, by valgrind's callgrind."""

import collections
import re

from programs import PACKAGE, SCRATCH, find_tool, output

# callgrind takes each byte that `rep movsb` copies for an instruction, the processor does not. Without
# it glibc copies 32 bytes at a time.
COPY_IN_LOOPS = "GLIBC_TUNABLES=glibc.cpu.hwcaps=-ERMS,-FSRM"
OUT = SCRATCH / "callgrind.out"


def version():
    return output([find_tool("valgrind", "valgrind"), "--version"]).strip()


def under():
    """The words before a command whose instructions are counted."""
    OUT.unlink(missing_ok=True)
    return ["env", COPY_IN_LOOPS, find_tool("valgrind", "valgrind"), "--tool=callgrind", f"--callgrind-out-file={OUT}"]


def total():
    """Instructions of the program that ran under callgrind last."""
    return int(re.search(r"^(?:summary|totals): (\d+)", OUT.read_text(), re.MULTILINE)[1])


def by_part():
    """The same by source file of barewire, and by crate or library elsewhere.

    What was inlined counts where its text is, so that a file's count is of its own lines.
    """
    counts = collections.Counter()
    names = {}
    part = library = None
    after_call = False
    for line in OUT.read_text().splitlines():
        if named := re.match(r"(ob|f[lie])=(\(\d+\))(?: (.+))?", line):
            kind, number, name = named.groups()
            key = ("ob" if kind == "ob" else "file", number)
            names.setdefault(key, name)
            if kind == "ob":
                library = names[key]
            else:
                part = part_of(names[key], library)
        elif line.startswith(("cfi=", "cfl=", "cob=")):
            kind, number, name = re.match(r"c(.)\w=(\(\d+\))(?: (.+))?", line).groups()
            names.setdefault(("ob" if kind == "o" else "file", number), name)
        elif line.startswith("calls="):
            after_call = True
        elif line[:1] in "+-*0123456789" and line:
            # What a call costs is told where it happens.
            if not after_call:
                counts[part] += int(line.split()[1])
            after_call = False
    return counts


def part_of(path, library):
    if path.startswith(f"{PACKAGE}/src/"):
        return path.removeprefix(f"{PACKAGE}/")
    if crate := re.search(r"/registry/src/[^/]+/([^/]+)-\d[^/]*/", path):
        return crate[1]
    if re.search(r"/rustc/\w+/library/|/rust/deps/", path):
        return "std"
    if path.startswith(f"{PACKAGE}/benches/"):
        return "the service"
    if path.endswith(".rs"):
        return "std"
    return "libc"

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


class Profile:
    """Where the instructions of the last run are. Profiles can be subtracted and divided."""

    def __init__(self):
        # (function, file, line) → instructions of its own. What was inlined has the function that it
        # became part of, and the file and line where its text is.
        self.own = collections.Counter()
        # Function → instructions that the C library took for it, to copy and to allocate.
        self.in_library = collections.Counter()

    @classmethod
    def read(cls):
        profile, names = cls(), {}
        function = file = callee_file = None
        called = False
        line = 0
        for text in OUT.read_text().splitlines():
            if named := re.match(r"(fn|f[lie]|ob|cfn|cf[li]|cob)=(\(\d+\))(?: (.+))?", text):
                kind, number, name = named.groups()
                # A name is told once, with its number; each of the three kinds counts by itself.
                name = names.setdefault(("file" if kind[-1] in "lie" else kind[-2:], number), name)
                match kind:
                    case "fn":
                        function = name
                    case "fl" | "fi" | "fe":
                        file = name
                    case "cfl" | "cfi":
                        callee_file = name
            elif text.startswith("calls="):
                called = True
            elif text[:1] in tuple("+-*0123456789"):
                position, count, *_ = text.split()
                line = place(position, line)
                if not called:
                    profile.own[function, part_of(file), line] += int(count)
                # Where nothing is said of it, what is called is in the same file.
                elif part_of(callee_file or file) == LIBRARY:
                    profile.in_library[function] += int(count)
                called, callee_file = False, None
        return profile

    def since(self, before, calls):
        """What so many calls more have cost, each of them."""
        made = Profile()
        for name in ("own", "in_library"):
            more = getattr(self, name).copy()
            more.subtract(getattr(before, name))
            setattr(made, name, collections.Counter({key: count / calls for key, count in more.items() if count > 0}))
        return made

    def by(self, what):
        """Own instructions, by what `what` makes of function, file and line; the largest first."""
        sums = collections.Counter()
        for key, count in self.own.items():
            sums[what(*key)] += count
        return dict(sums.most_common())


LIBRARY = "libc"


def place(position, line):
    """The line that a cost is of: absolute, or as far from the last one."""
    if position == "*":
        return line
    return line + int(position) if position[0] in "+-" else int(position)


def part_of(path):
    """A file of barewire, or the crate or library that a file is of."""
    if path.startswith(f"{PACKAGE}/src/"):
        return path.removeprefix(f"{PACKAGE}/")
    if crate := re.search(r"/registry/src/[^/]+/([^/]+)-\d[^/]*/", path):
        return crate[1]
    if path.startswith(f"{PACKAGE}/benches/"):
        return "the service"
    return "std" if path.endswith(".rs") else LIBRARY

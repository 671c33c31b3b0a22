"""Does what README.md tells a new user to do, with the very texts that stand there.

Usage: readme.py PYTHON, where PYTHON is an interpreter that has grpcio.
"""

import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(after: str, language: str) -> str:
    """The first block in this language after these words."""
    found = re.search(rf"```{language}\n(.*?)```", README[README.index(after) :], re.DOTALL)
    if found is None:
        sys.exit(f"README.md has no {language} block after {after!r}")
    return found.group(1)


def build_the_example() -> None:
    """The crate of the section on use."""
    crate = ROOT / "target" / "readme" / "guide"
    shutil.rmtree(crate, ignore_errors=True)
    (crate / "src" / "bin").mkdir(parents=True)
    (crate / "proto").mkdir()
    manifest = block("`Cargo.toml`:", "toml").replace('"../barewire"', f'"{ROOT}"')
    package = '[package]\nname = "guide"\nversion = "0.1.0"\nedition = "2024"\n\n'
    (crate / "Cargo.toml").write_text(f"{package}{manifest}\n[workspace]\n", encoding="utf-8")
    (crate / "build.rs").write_text(block("`build.rs`:", "rust"), encoding="utf-8")
    (crate / "src" / "main.rs").write_text(block("`src/main.rs`.", "rust"), encoding="utf-8")
    (crate / "src" / "bin" / "client.rs").write_text(
        block("`src/bin/client.rs`.", "rust"), encoding="utf-8"
    )
    shutil.copy(ROOT / "proto" / "route_guide.proto", crate / "proto")
    shutil.copy(ROOT / "Cargo.lock", crate)
    target = ROOT / "target" / "readme" / "target"
    subprocess.run(["cargo", "check", "--target-dir", target], cwd=crate, check=True)


def serve_and_call(python: str) -> None:
    """The command that runs the main job, and the program that calls it."""
    command = block("## Try it", "sh").split()
    subprocess.run([*command[: command.index("--")], "--", "--version"], cwd=ROOT, check=True)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            for line in server.stdout:
                print(line, end="")
                if line.startswith("try"):
                    break
            else:
                sys.exit("the server did not start")
            answer = subprocess.run(
                [python, "-c", block("With Python's grpcio", "python")],
                check=True,
                capture_output=True,
                text=True,
            )
            expected = re.search(r"# (b'.*')\n", block("With Python's grpcio", "python")).group(1)
            if answer.stdout.strip() != expected:
                sys.exit(f"README.md promises {expected}, but this came: {answer.stdout}")
            call_the_tutorials()
        finally:
            server.terminate()
        if server.wait() != 0:
            sys.exit(f"the server ended with {server.returncode}")


def call_the_tutorials() -> None:
    """The commands that call the server, and what they print."""
    section = "## Call the tutorials"
    commands = [line.split() for line in block(section, "sh").splitlines()]
    answers = [
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for command in commands
    ]
    if "".join(answers) != block(section, "text"):
        sys.exit(f"README.md promises other lines than these: {answers}")


build_the_example()
serve_and_call(sys.argv[1])
print("README.md holds what it promises")

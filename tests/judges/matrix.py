"""The interop tests of gRPC in every pairing: our client with their servers, their clients with ours.

Every pairing runs over clear text and over TLS, one process for each case, as the document has it. A
case that a peer has no means for is not run, and the result says why.
"""

import subprocess

from cases import CASES
from peers.barewire import Barewire
from peers.cpp import Cpp
from peers.go import Go
from peers.java import Java
from peers.node import Node
from peers.python import Python
from peers.ruby import Ruby
from programs import free_port, last_line, serving
from results import count

JUDGE = "gRPC interop"

# grpc-go's own script allows 20 s.
CASE_TIMEOUT = 30

PEERS = [Cpp, Go, Java, Node, Python, Ruby]


def judges(program):
    """One judge for each peer, as `judge.py` runs them."""
    ours = Barewire(program)
    return [Itself(ours), *(Pairings(ours, peer()) for peer in PEERS)]


class Itself:
    def __init__(self, ours):
        self.ours = ours
        self.name = ours.name

    def prepare(self):
        return self.ours.prepare()

    def run(self):
        yield from run_pairing(self.ours, self.ours)


class Pairings:
    """Both directions with one peer."""

    def __init__(self, ours, peer):
        self.ours = ours
        self.peer = peer
        self.name = peer.name

    def prepare(self):
        return self.peer.prepare()

    def run(self):
        yield from run_pairing(self.ours, self.peer)
        yield from run_pairing(self.peer, self.ours)


def run_pairing(client, server):
    lacks = {**server.server_lacks, **client.client_lacks}
    cases = [case for case in CASES if case not in lacks]
    not_run = {case: lacks[case] for case in CASES if case in lacks}
    for security, tls in [("clear text", False), ("TLS", True)]:
        port = free_port()
        failed = {}
        with serving(server.server(port, tls), port):
            for case in cases:
                problem = run_case(client, case, port, tls)
                if problem is not None:
                    failed[case] = problem
        yield count(JUDGE, f"{client.name} → {server.name}", security, cases, failed, not_run)


def run_case(client, case, port, tls):
    """`None` if it passed, else what was said."""
    command = [str(word) for word in client.client(case, port, tls)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=CASE_TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {CASE_TIMEOUT} s"
    return None if done.returncode == 0 else last_line(done.stdout)

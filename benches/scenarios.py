"""What is measured: each scenario is one kind of call on so many connections."""

import dataclasses

GROUPS = {
    "unary": "Unary calls, the server",
    "tls": "Unary calls over TLS, the server",
    "download": "Server streams, the server",
    "upload": "Client streams and ping-pong, the server",
    "client": "The client",
    "rate": "Latency at half of tonic's top rate, the server",
    "growth": "Growth, the server",
    "memory": "Memory of idle connections and streams, the server",
}


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    group: str
    # As the programs know it: hello, download, upload, echo.
    kind: str
    connections: int = 1
    # Calls in flight on each connection.
    streams: int = 1
    # Bytes of a name or a payload.
    size: int = 5
    # Messages in each stream.
    chunks: int = 1
    through_channel: bool = False
    tls: bool = False
    # Calls of the smaller of the two runs that are counted; the other has three times as many.
    counted_calls: int = 1000
    # Calls on each connection before it is measured.
    warm_up: int = 10
    # Whether the load looks for answers all the time while time is measured, so that latency is the
    # server's alone.
    spin: bool = False
    # The names of those that are measured; empty: everyone who can.
    peers: tuple = ()
    # Part of the short form.
    short: bool = False
    # Whether instructions and system calls are counted.
    counted: bool = True

    @property
    def of_client(self):
        return self.group == "client"

    @property
    def has_latency(self):
        """Whether somebody waits for what is measured: for a call, or for the round trip of a message."""
        return self.kind == "hello" or self.kind == "echo" and not self.of_client

    @property
    def unit(self):
        return "message" if self.chunks > 1 else "call"

    def words(self, calls):
        """What the programs are told, but where to connect to."""
        words = [self.kind, f"streams={self.streams}", f"size={self.size}", f"chunks={self.chunks}", f"calls={calls}"]
        if not self.of_client:
            words.append(f"connections={self.connections}")
        if self.through_channel:
            words.append("through_channel=1")
        return words

    def can(self, peer):
        known = self.kind in peer.kinds and (peer.tls or not self.tls)
        return known and (bool(peer.call) or not self.of_client) and (not self.peers or peer.name in self.peers)


def unary(group, **more):
    """The rows that clear text and TLS share."""
    return [
        Scenario(f"{group} 1 × 1", group, "hello", spin=True, short=True, **more),
        Scenario(f"{group} 1 × 100", group, "hello", streams=100, short=True, **more),
        Scenario(f"{group} 50 × 10", group, "hello", connections=50, streams=10, counted_calls=2000, **more),
        Scenario(f"{group} 1 KiB, 1 × 100", group, "hello", streams=100, size=1 << 10, **more),
        Scenario(f"{group} 64 KiB, 1 × 10", group, "hello", streams=10, size=64 << 10, counted_calls=300, **more),
    ]


def downloads():
    sizes = [
        # what       bytes    messages  calls counted
        ("10 B",     10,      10_000,   2),
        ("1 KiB",    1 << 10, 2_000,    3),
        ("64 KiB",   1 << 16, 50,       4),
        ("1 MiB",    1 << 20, 10,       4),
    ]
    for what, size, chunks, calls in sizes:
        for way, through_channel in [("from a loop", False), ("through a channel", True)]:
            yield Scenario(
                f"download {what} {way}", "download", "download", size=size, chunks=chunks, counted_calls=calls,
                through_channel=through_channel, warm_up=1, short=what == "1 KiB" and not through_channel,
            )


def clients():
    few = dict(counted_calls=3, warm_up=1)
    return [
        Scenario("client unary 1 × 1", "client", "hello", spin=True),
        Scenario("client unary 1 × 100", "client", "hello", streams=100, short=True),
        Scenario("client unary 1 KiB, 1 × 100", "client", "hello", streams=100, size=1 << 10),
        Scenario("client unary 64 KiB, 1 × 10", "client", "hello", streams=10, size=64 << 10, counted_calls=300),
        Scenario("client unary TLS, 1 × 100", "client", "hello", streams=100, tls=True),
        Scenario("client download 10 B", "client", "download", size=10, chunks=10_000, **few),
        Scenario("client download 1 KiB", "client", "download", size=1 << 10, chunks=2_000, **few),
        Scenario("client download 64 KiB", "client", "download", size=1 << 16, chunks=50, **few),
        Scenario("client upload 1 KiB", "client", "upload", size=1 << 10, chunks=2_000, **few),
        Scenario("client ping-pong 100 B", "client", "echo", size=100, chunks=1_000, **few),
    ]


def growth():
    three = ("barewire", "tonic", "h2, best use")
    for connections in (1, 10, 100, 1_000, 10_000):
        yield Scenario(
            f"growth {connections:,} × 1", "growth", "hello", connections=connections, warm_up=1,
            counted_calls=max(1_000, connections), peers=three, short=connections == 100,
        )
    for streams in (10, 100, 1_000):
        yield Scenario(
            f"growth 1 × {streams:,}", "growth", "hello", streams=streams, peers=three, warm_up=streams,
        )


def memory():
    return [
        Scenario("idle connections, no call yet", "memory", "hello", connections=2_000, warm_up=0, short=True),
        Scenario("idle connections, after a call each", "memory", "hello", connections=2_000, warm_up=1),
        Scenario("idle streams, 100 on each connection", "memory", "echo", connections=50, streams=100),
    ]


SCENARIOS = [
    *unary("unary"),
    *unary("tls", tls=True),
    *downloads(),
    Scenario("upload 1 KiB", "upload", "upload", size=1 << 10, chunks=2_000, counted_calls=3, warm_up=1),
    Scenario("upload 64 KiB", "upload", "upload", size=1 << 16, chunks=50, counted_calls=4, warm_up=1),
    Scenario("ping-pong 100 B", "upload", "echo", size=100, chunks=1_000, counted_calls=3, warm_up=1, spin=True),
    *clients(),
    Scenario("half of the top rate, 10 connections", "rate", "hello", connections=10, streams=10, spin=True, counted=False),
    *growth(),
    *memory(),
]

"""What is the same of `barewire.control.Control`, whether threads or coroutines serve it."""

import grpc
from control_pb2 import Answer, Script

COMPRESSIONS = {
    "": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}
CODES = {code.value[0]: code for code in grpc.StatusCode}
# What a client says of itself, or to the server alone.
NOT_REPEATED = ["script-bin", "call-id", "user-agent", "grpc-previous-rpc-attempts"]


class Plan:
    """A call's script, and the metadata that it gives back."""

    def __init__(self, context, seen):
        metadata = [(name, value) for name, value in context.invocation_metadata()]
        scripts = [value for name, value in metadata if name == "script-bin"]
        self.script = Script.FromString(scripts[0] if scripts else b"")
        self.initial = [pair for pair in metadata if pair[0] not in NOT_REPEATED]
        self.trailing = [(f"trailing-{name}", value) for name, value in self.initial]
        self.seen = seen
        self.request_bytes = 0

    def take(self, request):
        """Notes that a request was read."""
        self.seen.read()
        self.request_bytes += len(request.body)

    def answer(self, body):
        """An answer with this body."""
        return Answer(
            body=body, requests=self.seen.seen.requests, request_bytes=self.request_bytes
        )

    def steps(self):
        """What this call is to do."""
        return [
            step
            for step in self.script.steps
            if not step.only_first or self.seen.number < step.only_first
        ]

    def failure(self, fail):
        """How to end a call with this error: a code, a text and trailing metadata."""
        if fail.details:
            self.trailing.append(("grpc-status-details-bin", fail.details))
        if fail.pushback:
            self.trailing.append(("grpc-retry-pushback-ms", fail.pushback))
        return CODES[fail.code], fail.text, tuple(self.trailing)

"""What servers remember of calls that have a name, for clients that ask how a call went."""

import threading
import time

from control_pb2 import SeenCall, SeenReply

# Further than any deadline of a test: grpcio says so of calls that have none.
NO_DEADLINE_SECONDS = 10_000_000


class Seen:
    """All named calls of one server."""

    def __init__(self):
        self._calls = {}
        self._changed = threading.Condition()

    def begin(self, context):
        """Remembers a call that begins."""
        metadata = dict(context.invocation_metadata())
        with self._changed:
            calls = self._calls.setdefault(metadata.get("call-id"), [])
            call = Call(self._changed, context, metadata, len(calls))
            calls.append(call)
            self._changed.notify_all()
        return call

    def wait(self, request):
        """The calls that are asked for, when as many of them are there as the request wants."""

        def enough():
            calls = self._calls.get(request.call_id, [])
            ended = sum(call.seen.ended for call in calls)
            return len(calls) >= request.begun and ended >= request.ended

        with self._changed:
            self._changed.wait_for(enough, request.wait_ms / 1000)
            calls = self._calls.get(request.call_id, [])
            return SeenReply(calls=[call.seen for call in calls])


class Call:
    """One call, from its beginning to its end."""

    def __init__(self, changed, context, metadata, number):
        # How many calls of this name came before.
        self.number = number
        self._changed = changed
        self._began_at = time.monotonic()
        self._done = False
        self.over = threading.Event()
        self.seen = SeenCall(peer=context.peer())
        remaining = context.time_remaining()
        if remaining is not None and remaining < NO_DEADLINE_SECONDS:
            self.seen.remaining_ms = remaining * 1000
        if "grpc-previous-rpc-attempts" in metadata:
            self.seen.previous_attempts = metadata["grpc-previous-rpc-attempts"]

    def read(self):
        """Notes that one more request was read."""
        self.seen.requests += 1

    def done(self):
        """Notes that the server has done what it was to do."""
        self._done = True

    def end(self, cancelled=False):
        """Notes that the call is over. Only the first end counts."""
        with self._changed:
            if self.seen.ended:
                return
            self.seen.ended = True
            self.seen.cancelled = cancelled or not self._done
            self.seen.lasted_ms = (time.monotonic() - self._began_at) * 1000
            self._changed.notify_all()
        self.over.set()

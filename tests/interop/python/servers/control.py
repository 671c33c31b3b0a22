"""`barewire.control.Control`, served by threads. `control.proto` says what it does."""

import itertools

from control_pb2 import Answer
from control_pb2_grpc import ControlServicer
from script import COMPRESSIONS, Plan


class Control(ControlServicer):
    """Does what its calls say."""

    def __init__(self, seen):
        self._calls = seen

    def Unary(self, request, context):
        return self._answer_once(iter([request]), context)

    def ServerStream(self, request, context):
        return self._play(iter([request]), context)

    def ClientStream(self, request_iterator, context):
        return self._answer_once(request_iterator, context)

    def Bidi(self, request_iterator, context):
        return self._play(request_iterator, context)

    def Seen(self, request, context):
        return self._calls.wait(request)

    def _answer_once(self, requests, context):
        answer = Answer()
        for answer in self._play(requests, context):
            pass
        return answer

    def _play(self, requests, context):
        seen = self._calls.begin(context)
        if not context.add_callback(seen.end):
            # It is over already.
            seen.end()
        plan = Plan(context, seen)
        if plan.script.compression:
            context.set_compression(COMPRESSIONS[plan.script.compression])
        context.set_trailing_metadata(tuple(plan.trailing))
        stage = Stage(requests, context, plan)
        steps = plan.steps()
        if not steps:
            stage.read(None)
            yield from stage.send(plan.answer(b""))
        for step in steps:
            yield from stage.play(step)
        seen.done()


class Stage:
    """Where the steps of one call are done. What they yield is sent."""

    def __init__(self, requests, context, plan):
        self._requests = requests
        self._context = context
        self._plan = plan
        self._headers_are_sent = False

    def play(self, step):
        action = step.WhichOneof("action")
        if action == "wait_ms":
            self._plan.seen.over.wait(step.wait_ms / 1000)
        elif action == "headers":
            self._send_headers()
        elif action == "answer":
            yield from self._answer(step.answer)
        elif action == "read":
            self.read(step.read)
        elif action == "read_all":
            self.read(None)
        elif action == "echo":
            for request in self._requests:
                self._plan.take(request)
                yield from self.send(self._plan.answer(request.body))
        elif action == "fail":
            self._fail(step.fail)
        elif action == "raise":
            raise ValueError("this server has a mistake in it")

    def read(self, count):
        for request in itertools.islice(self._requests, count):
            self._plan.take(request)

    def send(self, answer):
        self._send_headers()
        yield answer

    def _answer(self, answers):
        body = b"x" * answers.size
        endless = itertools.count()
        for _ in endless if answers.endless else range(answers.count or 1):
            if self._plan.seen.over.is_set():
                return
            if answers.plain:
                self._context.disable_next_message_compression()
            yield from self.send(self._plan.answer(body))

    def _send_headers(self):
        if not self._headers_are_sent:
            self._headers_are_sent = True
            self._context.send_initial_metadata(tuple(self._plan.initial))

    def _fail(self, fail):
        code, text, trailing = self._plan.failure(fail)
        self._context.set_trailing_metadata(trailing)
        self._plan.seen.done()
        self._context.abort(code, text)

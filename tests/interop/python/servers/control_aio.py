"""`barewire.control.Control`, served by coroutines. `control.proto` says what it does."""

import asyncio
import itertools

from control_pb2 import Answer
from control_pb2_grpc import ControlServicer
from script import COMPRESSIONS, Plan


class Control(ControlServicer):
    """Does what its calls say."""

    def __init__(self, seen):
        self._calls = seen

    async def Unary(self, request, context):
        return await self._answer_once(one(request), context)

    async def ServerStream(self, request, context):
        async for answer in self._play(one(request), context):
            yield answer

    async def ClientStream(self, request_iterator, context):
        return await self._answer_once(request_iterator, context)

    async def Bidi(self, request_iterator, context):
        async for answer in self._play(request_iterator, context):
            yield answer

    async def Seen(self, request, context):
        return await asyncio.to_thread(self._calls.wait, request)

    async def _answer_once(self, requests, context):
        answer = Answer()
        async for answer in self._play(requests, context):
            pass
        return answer

    async def _play(self, requests, context):
        seen = self._calls.begin(context)
        # A call cancelled while it reads looks to the coroutine as if the client had said all.
        context.add_done_callback(lambda context: seen.end(cancelled=context.cancelled()))
        plan = Plan(context, seen)
        if plan.script.compression:
            context.set_compression(COMPRESSIONS[plan.script.compression])
        context.set_trailing_metadata(tuple(plan.trailing))
        stage = Stage(aiter(requests), context, plan)
        steps = plan.steps()
        if not steps:
            await stage.read(None)
            async for answer in stage.send(plan.answer(b"")):
                yield answer
        for step in steps:
            async for answer in stage.play(step):
                yield answer
        seen.done()


class Stage:
    """Where the steps of one call are done. What they yield is sent.

    A call that is over takes its coroutine with it: whatever it awaits raises CancelledError.
    """

    def __init__(self, requests, context, plan):
        self._requests = requests
        self._context = context
        self._plan = plan
        self._headers_are_sent = False

    async def play(self, step):
        action = step.WhichOneof("action")
        if action == "wait_ms":
            await asyncio.sleep(step.wait_ms / 1000)
        elif action == "headers":
            await self._send_headers()
        elif action == "answer":
            async for answer in self._answer(step.answer):
                yield answer
        elif action == "read":
            await self.read(step.read)
        elif action == "read_all":
            await self.read(None)
        elif action == "echo":
            async for request in self._requests:
                self._plan.take(request)
                async for answer in self.send(self._plan.answer(request.body)):
                    yield answer
        elif action == "fail":
            await self._fail(step.fail)
        elif action == "raise":
            raise ValueError("this server has a mistake in it")

    async def read(self, count):
        while count is None or count > 0:
            try:
                self._plan.take(await anext(self._requests))
            except StopAsyncIteration:
                return
            count = count and count - 1

    async def send(self, answer):
        await self._send_headers()
        yield answer

    async def _answer(self, answers):
        body = b"x" * answers.size
        endless = itertools.count()
        for _ in endless if answers.endless else range(answers.count or 1):
            if answers.plain:
                self._context.disable_next_message_compression()
            async for answer in self.send(self._plan.answer(body)):
                yield answer

    async def _send_headers(self):
        if not self._headers_are_sent:
            self._headers_are_sent = True
            await self._context.send_initial_metadata(tuple(self._plan.initial))

    async def _fail(self, fail):
        code, text, trailing = self._plan.failure(fail)
        self._plan.seen.done()
        await self._context.abort(code, text, trailing)


async def one(request):
    """A stream of one request."""
    yield request

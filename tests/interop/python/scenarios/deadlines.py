"""Deadlines, in each kind of call. After each the same connection is as good as before."""

import asyncio
import itertools
import queue
import threading
import time

import grpc
from chat_pb2 import ChatRequest
from chat_pb2_grpc import ChatServiceStub
from contact_pb2 import ClientMsg, Empty
from contact_pb2_grpc import ContactStub
from harness import aio_failure, code_of, failure, greets, same, scenario
from hellostreamingworld_pb2 import HelloRequest
from hellostreamingworld_pb2_grpc import MultiGreeterStub
from helloworld_pb2 import HelloRequest as Greeting
from helloworld_pb2_grpc import GreeterStub

EXPIRED = grpc.StatusCode.DEADLINE_EXCEEDED
MILLION = HelloRequest(name="you", num_greetings="1000000")


def one_that_never_ends():
    """Requests without an end. They cost a thread of grpcio's, as long as the process lives."""
    yield ClientMsg(msg="first")
    threading.Event().wait()


@scenario("plain")
def a_deadline_that_is_far_off_changes_nothing(server):
    with server.channel() as channel:
        for timeout in [1000, 86400 * 365, 10.000001]:
            same(
                GreeterStub(channel).SayHello(Greeting(name="you"), timeout=timeout).message,
                "Hello, you!",
            )


@scenario("plain")
def a_unary_call_with_hardly_any_time(server):
    with server.channel() as channel:
        greets(server, channel)
        stub = GreeterStub(channel)
        for timeout in [0, 0.00001, 0.0001, 0.001, 0.002] * 20:
            try:
                stub.SayHello(Greeting(name="you"), timeout=timeout)
            except grpc.RpcError as error:
                same(error.code(), EXPIRED)
        greets(server, channel)


@scenario("plain")
def a_server_stream_that_does_not_end(server):
    with server.channel() as channel:
        start = time.monotonic()
        call = ContactStub(channel).getTask(Empty(), timeout=1)
        error = failure(lambda: list(call))
        took = time.monotonic() - start
        same(error.code(), EXPIRED)
        assert 0.9 <= took <= 10, f"{took} s"
        greets(server, channel)


@scenario("plain")
def a_server_stream_that_is_not_read(server):
    with server.channel() as channel:
        call = MultiGreeterStub(channel).sayHello(MILLION, timeout=0.7)
        # The code comes without anyone reading the replies.
        same(call.code(), EXPIRED)
        greets(server, channel)


@scenario("plain")
def a_server_stream_in_full_flow(server):
    with server.channel() as channel:
        call = MultiGreeterStub(channel).sayHello(MILLION, timeout=0.7)
        count = 0
        try:
            for count, reply in enumerate(call):
                same(reply.message, f"Hello number {count}, you!")
            # A machine may be so fast.
            same(count, 999_999)
        except grpc.RpcError as error:
            same(error.code(), EXPIRED)
        greets(server, channel)


@scenario("plain")
def a_client_stream_that_is_not_finished(server):
    with server.channel() as channel:
        stub = ContactStub(channel)
        same(code_of(stub.tellResult, one_that_never_ends(), timeout=0.5), EXPIRED)
        future = stub.tellResult.future(one_that_never_ends(), timeout=0.5)
        same(future.exception(timeout=20).code(), EXPIRED)
        same(future.code(), EXPIRED)
        greets(server, channel)


@scenario("plain")
def a_bidi_stream_on_which_nothing_happens(server):
    with server.channel() as channel:
        requests = queue.Queue()
        call = ChatServiceStub(channel).Chat(iter(requests.get, None), timeout=1.5)
        requests.put(ChatRequest(message="Hello"))
        same(next(call).message, "You said: Hello")
        same(code_of(lambda: next(call)), EXPIRED)
        requests.put(None)
        greets(server, channel)


@scenario("plain")
def deadlines_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            greeter, contact, chat = (
                GreeterStub(channel),
                ContactStub(channel),
                ChatServiceStub(channel),
            )
            same((await greeter.SayHello(Greeting(name="you"), timeout=100)).message, "Hello, you!")
            same((await aio_failure(contact.getTask(Empty(), timeout=0.5))).code(), EXPIRED)

            unfinished = contact.tellResult(timeout=0.5)
            await unfinished.write(ClientMsg(msg="first"))
            same((await aio_failure(unfinished)).code(), EXPIRED)

            quiet = chat.Chat(timeout=1.5)
            await quiet.write(ChatRequest(message="Hello"))
            same((await quiet.read()).message, "You said: Hello")
            try:
                await quiet.read()
                raise AssertionError("there is no second answer")
            except grpc.aio.AioRpcError as error:
                same(error.code(), EXPIRED)
            same(await quiet.code(), EXPIRED)
            same((await greeter.SayHello(Greeting(name="you"))).message, "Hello, you!")

    asyncio.run(main())


@scenario("plain", limit=60)
def a_hundred_deadlines_at_once(server):
    with server.channel() as channel:
        contact, greeter = ContactStub(channel), MultiGreeterStub(channel)
        calls = [contact.getTask(Empty(), timeout=1 + i / 100) for i in range(50)]
        calls += [greeter.sayHello(MILLION, timeout=1 + i / 100) for i in range(50)]
        for call in calls[:50]:
            same(len(list(itertools.islice(call, 10))), 10)
        same({call.code() for call in calls}, {EXPIRED})
        greets(server, channel)

"""Clients that change their mind in the middle of a call, or leave. The server lives on."""

import asyncio
import itertools
import queue
import subprocess
import sys
import threading

import grpc
from chat_pb2 import ChatRequest
from chat_pb2_grpc import ChatServiceStub
from contact_pb2 import ClientMsg, Empty
from contact_pb2_grpc import ContactStub
from harness import code_of, greets, same, scenario
from hellostreamingworld_pb2 import HelloRequest
from hellostreamingworld_pb2_grpc import MultiGreeterStub
from helloworld_pb2 import HelloRequest as Greeting
from helloworld_pb2_grpc import GreeterStub

CANCELLED = grpc.StatusCode.CANCELLED
MILLION = HelloRequest(name="you", num_greetings="1000000")


@scenario("plain")
def a_server_stream_in_full_flow(server):
    with server.channel() as channel:
        for replies in [0, 1, 5, 1000]:
            call = MultiGreeterStub(channel).sayHello(MILLION)
            same(len(list(itertools.islice(call, replies))), replies)
            assert call.cancel()
            same((call.code(), call.cancelled()), (CANCELLED, True))
            same(code_of(lambda: list(call)), CANCELLED)
        greets(server, channel)


@scenario("plain")
def a_server_stream_that_waits(server):
    with server.channel() as channel:
        call = ContactStub(channel).getTask(Empty())
        same(len(list(itertools.islice(call, 10))), 10)
        # The reader waits for an eleventh when the call is cancelled from elsewhere.
        timer = threading.Timer(0.3, call.cancel)
        timer.start()
        same(code_of(lambda: list(call)), CANCELLED)
        greets(server, channel)


@scenario("plain")
def a_client_stream_before_its_end(server):
    with server.channel() as channel:
        requests = queue.Queue()
        future = ContactStub(channel).tellResult.future(iter(requests.get, None))
        for i in range(10):
            requests.put(ClientMsg(msg=str(i)))
        assert future.cancel()
        assert future.cancelled()
        try:
            future.result(timeout=10)
            raise AssertionError("a cancelled call has no result")
        except grpc.FutureCancelledError:
            pass
        same(future.code(), CANCELLED)
        requests.put(None)
        greets(server, channel)


@scenario("plain")
def a_bidi_stream_between_two_messages(server):
    with server.channel() as channel:
        requests = queue.Queue()
        call = ChatServiceStub(channel).Chat(iter(requests.get, None))
        for i in range(3):
            requests.put(ChatRequest(message=str(i)))
            same(next(call).message, f"You said: {i}")
        call.cancel()
        same(code_of(lambda: next(call)), CANCELLED)
        requests.put(None)
        greets(server, channel)


@scenario("plain")
def cancellation_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            call = MultiGreeterStub(channel).sayHello(MILLION)
            async for reply in call:
                same(reply.message, "Hello number 0, you!")
                break
            assert call.cancel()
            same((await call.code(), call.cancelled()), (CANCELLED, True))

            chat = ChatServiceStub(channel).Chat()
            await chat.write(ChatRequest(message="Hello"))
            same((await chat.read()).message, "You said: Hello")
            chat.cancel()
            try:
                await chat.read()
                raise AssertionError("a cancelled call goes on")
            except asyncio.CancelledError:
                pass
            same(await chat.code(), CANCELLED)

            tell = ContactStub(channel).tellResult()
            await tell.write(ClientMsg(msg="first"))
            tell.cancel()
            same(await tell.code(), CANCELLED)

            # The task that waits for the next message is cancelled, and with it the call.
            tasks = ContactStub(channel).getTask(Empty())
            for _ in range(10):
                await tasks.read()
            try:
                await asyncio.wait_for(tasks.read(), 0.3)
                raise AssertionError("there is no eleventh task")
            except asyncio.TimeoutError:
                pass
            same(await tasks.code(), CANCELLED)
            same((await GreeterStub(channel).SayHello(Greeting(name="you"))).message, "Hello, you!")

    asyncio.run(main())


@scenario("plain", limit=60)
def a_thousand_calls_on_one_connection(server):
    with server.channel() as channel:
        greeter, chat = MultiGreeterStub(channel), ChatServiceStub(channel)
        for i in range(500):
            stream = greeter.sayHello(MILLION)
            talk = chat.Chat(ChatRequest(message=str(n)) for n in range(100))
            if i % 2:
                next(stream)
            stream.cancel()
            talk.cancel()
        greets(server, channel)


@scenario("plain")
def a_channel_closed_over_open_calls(server):
    channel = server.channel()
    requests = queue.Queue()
    stream = MultiGreeterStub(channel).sayHello(MILLION)
    talk = ChatServiceStub(channel).Chat(iter(requests.get, None))
    requests.put(ChatRequest(message="Hello"))
    next(stream)
    next(talk)
    tell = ContactStub(channel).tellResult.future(iter(requests.get, None))
    channel.close()
    same(code_of(lambda: list(stream)), CANCELLED)
    same(code_of(lambda: list(talk)), CANCELLED)
    same(tell.code(), CANCELLED)
    requests.put(None)
    requests.put(None)
    greets(server)


@scenario("plain")
def an_asyncio_channel_closed_over_open_calls(server):
    async def main():
        channel = server.aio_channel()
        stream = MultiGreeterStub(channel).sayHello(MILLION)
        talk = ChatServiceStub(channel).Chat()
        await stream.read()
        await talk.write(ChatRequest(message="Hello"))
        await talk.read()
        await channel.close()
        same((await stream.code(), await talk.code()), (CANCELLED, CANCELLED))

    asyncio.run(main())
    greets(server)


@scenario("plain")
def a_client_that_is_killed(server):
    client = (
        "import sys, grpc, contact_pb2, contact_pb2_grpc as c\n"
        "call = c.ContactStub(grpc.insecure_channel(sys.argv[1])).getTask(contact_pb2.Empty())\n"
        "for task in call: print(task.task.encode(), flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", client, server.address], stdout=subprocess.PIPE
    )
    same(len([process.stdout.readline() for _ in range(10)]), 10)
    process.kill()
    process.wait()
    process.stdout.close()
    greets(server)

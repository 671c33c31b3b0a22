"""Many calls, many channels, many streams at once."""

import asyncio
import concurrent.futures
import itertools
import queue
import threading

import grpc
from chat_pb2 import ChatRequest
from chat_pb2_grpc import ChatServiceStub
from contact_pb2 import Empty
from contact_pb2_grpc import ContactStub
from harness import greets, same, scenario
from hellostreamingworld_pb2 import HelloRequest as Greetings
from hellostreamingworld_pb2_grpc import MultiGreeterStub
from helloworld_pb2 import HelloRequest
from helloworld_pb2_grpc import GreeterStub
from sum_stream_pb2 import NumberRequest
from sum_stream_pb2_grpc import SumServiceStub


def unary(channel, i):
    same(GreeterStub(channel).SayHello(HelloRequest(name=str(i))).message, f"Hello, {i}!")


def server_stream(channel, i):
    replies = MultiGreeterStub(channel).sayHello(Greetings(name=str(i), num_greetings="50"))
    same([reply.message for reply in replies], [f"Hello number {n}, {i}!" for n in range(50)])


def client_stream(channel, i):
    same(
        SumServiceStub(channel).CalculateSum(NumberRequest(number=i) for _ in range(50)).sum, 50 * i
    )


def bidi_stream(channel, i):
    requests = queue.Queue()
    call = ChatServiceStub(channel).Chat(iter(requests.get, None))
    for n in range(10):
        requests.put(ChatRequest(message=f"{i} {n}"))
        same(next(call).message, f"You said: {i} {n}")
    requests.put(None)
    same(list(call), [])


KINDS = [unary, server_stream, client_stream, bidi_stream]


def at_once(count, work):
    """Runs `work(i)` in so many threads, which all begin at the same moment."""
    start = threading.Barrier(count, timeout=30)

    def begin(i):
        start.wait()
        work(i)

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        for future in [pool.submit(begin, i) for i in range(count)]:
            future.result()


@scenario("plain", limit=90)
def two_hundred_unary_calls_from_threads(server):
    with server.channel() as channel:
        at_once(200, lambda i: unary(channel, i))


@scenario("plain", limit=90)
def two_hundred_calls_of_all_kinds_from_threads(server):
    with server.channel() as channel:
        at_once(200, lambda i: KINDS[i % 4](channel, i))


@scenario("tls", limit=90)
def two_hundred_calls_of_all_kinds_over_tls(server):
    with server.channel() as channel:
        at_once(200, lambda i: KINDS[i % 4](channel, i))


@scenario("plain", limit=90)
def two_hundred_futures(server):
    with server.channel() as channel:
        stub = GreeterStub(channel)
        futures = [stub.SayHello.future(HelloRequest(name=str(i))) for i in range(200)]
        same([future.result().message for future in futures], [f"Hello, {i}!" for i in range(200)])


@scenario("plain", limit=90)
def two_hundred_calls_of_all_kinds_asyncio(server):
    async def unary(channel, i):
        same(
            (await GreeterStub(channel).SayHello(HelloRequest(name=str(i)))).message, f"Hello, {i}!"
        )

    async def server_stream(channel, i):
        call = MultiGreeterStub(channel).sayHello(Greetings(name=str(i), num_greetings="50"))
        same(
            [reply.message async for reply in call], [f"Hello number {n}, {i}!" for n in range(50)]
        )

    async def client_stream(channel, i):
        call = SumServiceStub(channel).CalculateSum()
        for _ in range(50):
            await call.write(NumberRequest(number=i))
        await call.done_writing()
        same((await call).sum, 50 * i)

    async def bidi_stream(channel, i):
        call = ChatServiceStub(channel).Chat()
        for n in range(10):
            await call.write(ChatRequest(message=f"{i} {n}"))
            same((await call.read()).message, f"You said: {i} {n}")
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF

    async def main():
        kinds = [unary, server_stream, client_stream, bidi_stream]
        async with server.aio_channel() as channel:
            await asyncio.gather(*(kinds[i % 4](channel, i) for i in range(200)))

    asyncio.run(main())


@scenario("plain", limit=90)
def two_hundred_streams_open_at_the_same_time(server):
    with server.channel() as channel:
        stub = ChatServiceStub(channel)
        queues = [queue.Queue() for _ in range(200)]
        calls = [stub.Chat(iter(requests.get, None)) for requests in queues]
        for text in ["first", "second"]:
            for requests in queues:
                requests.put(ChatRequest(message=text))
            same([next(call).message for call in calls], [f"You said: {text}"] * 200)
        for requests in queues:
            requests.put(None)
        same([list(call) for call in calls], [[]] * 200)


@scenario("plain", limit=90)
def twenty_channels(server):
    channels = [server.channel() for _ in range(20)]
    at_once(20, lambda i: [kind(channels[i], i) for kind in KINDS])
    for channel in channels:
        channel.close()


@scenario("plain", limit=90)
def two_hundred_channels_one_after_the_other(server):
    for _ in range(200):
        greets(server)


@scenario("plain", limit=60)
def busy_streams_beside_one_that_nobody_reads(server):
    with server.channel() as channel:
        unread = MultiGreeterStub(channel).sayHello(
            Greetings(name="x" * 1000, num_greetings="1000000")
        )
        waiting = ContactStub(channel).getTask(Empty())
        same(len(list(itertools.islice(waiting, 10))), 10)
        at_once(20, lambda i: [kind(channel, i) for kind in KINDS])
        unread.cancel()
        waiting.cancel()


@scenario("plain", limit=90)
def a_thousand_calls_one_after_the_other(server):
    with server.channel() as channel:
        stub = GreeterStub(channel)
        for i in range(1000):
            same(stub.SayHello(HelloRequest(name=str(i))).message, f"Hello, {i}!")

"""hellostreamingworld.MultiGreeter: a stream as long as the client asks, from a lower-case method."""

import asyncio
import itertools

import grpc
from harness import failure, greets, same, scenario
from hellostreamingworld_pb2 import HelloRequest
from hellostreamingworld_pb2_grpc import MultiGreeterStub

TEN = [f"Hello number {i}, you!" for i in range(10)]


@scenario("plain")
def say_hello_as_the_tutorial_reads_it(server):
    async def main():
        async with server.aio_channel() as channel:
            stub = MultiGreeterStub(channel)
            same([reply.message async for reply in stub.sayHello(HelloRequest(name="you"))], TEN)
            stream = stub.sayHello(HelloRequest(name="you"))
            replies = []
            while True:
                reply = await stream.read()
                if reply == grpc.aio.EOF:
                    break
                replies.append(reply.message)
            same(replies, TEN)
            same(await stream.code(), grpc.StatusCode.OK)

    asyncio.run(main())


@scenario("plain")
def say_hello_sync(server):
    with server.channel() as channel:
        replies = MultiGreeterStub(channel).sayHello(HelloRequest(name="世界"))
        same([reply.message for reply in replies], [f"Hello number {i}, 世界!" for i in range(10)])


@scenario("plain")
def num_greetings_is_a_number_of_replies(server):
    with server.channel() as channel:
        stub = MultiGreeterStub(channel)
        for text, count in [("", 10), ("0", 0), ("1", 1), ("7", 7), ("10", 10), ("2500", 2500)]:
            call = stub.sayHello(HelloRequest(name="you", num_greetings=text))
            replies = [reply.message for reply in call]
            same(len(replies), count)
            same(replies, [f"Hello number {i}, you!" for i in range(count)])
            same(call.code(), grpc.StatusCode.OK)


@scenario("plain")
def num_greetings_goes_up_to_a_million(server):
    with server.channel() as channel:
        call = MultiGreeterStub(channel).sayHello(HelloRequest(name="you", num_greetings="1000000"))
        replies = [reply.message for reply in itertools.islice(call, 10)]
        call.cancel()
        same(replies, TEN)
        greets(server, channel)


@scenario("plain")
def num_greetings_refuses_all_else(server):
    with server.channel() as channel:
        stub = MultiGreeterStub(channel)
        for text in [
            "ten",
            "-1",
            "1.5",
            "1e3",
            "0x10",
            "1000001",
            "99999999999999999999999",
            "7 ",
            "七",
        ]:
            error = failure(stub.sayHello, HelloRequest(name="you", num_greetings=text))
            same((text, error.code()), (text, grpc.StatusCode.INVALID_ARGUMENT))
            assert error.details(), f"{text!r} is refused without a word"


@scenario("plain")
def num_greetings_refuses_all_else_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            call = MultiGreeterStub(channel).sayHello(HelloRequest(num_greetings="ten"))
            try:
                await call.read()
                raise AssertionError("there is no first reply")
            except grpc.aio.AioRpcError as error:
                same(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
            same(await call.code(), grpc.StatusCode.INVALID_ARGUMENT)

    asyncio.run(main())

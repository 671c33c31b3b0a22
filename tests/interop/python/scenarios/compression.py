"""Channels and calls with gzip and deflate: requests come compressed, and the answers may be."""

import asyncio

import grpc
from chat_pb2 import ChatRequest
from chat_pb2_grpc import ChatServiceStub
from contact_pb2 import ClientMsg, Empty
from contact_pb2_grpc import ContactStub
from harness import failure, greets, same, scenario
from hellostreamingworld_pb2 import HelloRequest as Greetings
from hellostreamingworld_pb2_grpc import MultiGreeterStub
from helloworld_pb2 import HelloRequest
from helloworld_pb2_grpc import GreeterStub
from sum_stream_pb2 import NumberRequest
from sum_stream_pb2_grpc import SumServiceStub

GZIP, DEFLATE, NONE = (
    grpc.Compression.Gzip,
    grpc.Compression.Deflate,
    grpc.Compression.NoCompression,
)
NAMES = [
    "",
    "you",
    "世界" * 100,
    "x" * 100_000,
    "x" * 1024 * 1024,
    "".join(map(str, range(10_000))),
]


def every_kind_of_call(channel, **options):
    """Makes one call of each kind and compares what comes back."""
    for name in NAMES:
        same(
            GreeterStub(channel).SayHello(HelloRequest(name=name), **options).message,
            f"Hello, {name}!",
        )
    same(
        GreeterStub(channel)
        .SayHello.future(HelloRequest(name="x" * 999), **options)
        .result()
        .message[-1],
        "!",
    )
    replies = MultiGreeterStub(channel).sayHello(Greetings(name="x" * 999), **options)
    same([len(reply.message) for reply in replies], [len("Hello number 0, !") + 999] * 10)
    numbers = (NumberRequest(number=number) for number in range(1000))
    same(SumServiceStub(channel).CalculateSum(numbers, **options).sum, 499_500)
    chat = ChatServiceStub(channel).Chat((ChatRequest(message=name) for name in NAMES), **options)
    same([response.message for response in chat], [f"You said: {name}" for name in NAMES])


@scenario("plain")
def gzip_on_the_channel(server):
    with server.channel(compression=GZIP) as channel:
        every_kind_of_call(channel)


@scenario("plain")
def gzip_on_the_channel_by_its_option(server):
    # As the tutorial has it: the option by its name and number.
    with server.channel(options=[("grpc.default_compression_algorithm", GZIP.value)]) as channel:
        every_kind_of_call(channel)


@scenario("plain")
def gzip_on_the_call(server):
    with server.channel() as channel:
        every_kind_of_call(channel, compression=GZIP)
        every_kind_of_call(channel)


@scenario("plain")
def gzip_on_the_channel_but_not_on_the_call(server):
    with server.channel(compression=GZIP) as channel:
        every_kind_of_call(channel, compression=NONE)
        every_kind_of_call(channel)


@scenario("plain")
def deflate_on_the_channel(server):
    with server.channel(compression=DEFLATE) as channel:
        every_kind_of_call(channel)


@scenario("plain")
def deflate_on_the_call(server):
    with server.channel(compression=GZIP) as channel:
        every_kind_of_call(channel, compression=DEFLATE)


@scenario("plain")
def gzip_asyncio(server):
    async def main():
        async with server.aio_channel(compression=GZIP) as channel:
            stub = GreeterStub(channel)
            for name in NAMES:
                same((await stub.SayHello(HelloRequest(name=name))).message, f"Hello, {name}!")
            call = ChatServiceStub(channel).Chat()
            for name in NAMES:
                await call.write(ChatRequest(message=name))
                same((await call.read()).message, f"You said: {name}")
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
        async with server.aio_channel() as channel:
            call = GreeterStub(channel).SayHello(HelloRequest(name="x" * 1000), compression=DEFLATE)
            same(len((await call).message), 1008)

    asyncio.run(main())


@scenario("tls")
def gzip_over_tls(server):
    with server.channel(compression=GZIP) as channel:
        every_kind_of_call(channel)


@scenario("plain")
def an_error_on_a_gzip_channel(server):
    with server.channel(compression=GZIP) as channel:
        error = failure(
            MultiGreeterStub(channel).sayHello, Greetings(name="x" * 1000, num_greetings="ten")
        )
        same(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
        error = failure(channel.unary_unary("/helloworld.Greeter/Missing"), b"x" * 1000)
        same(error.code(), grpc.StatusCode.UNIMPLEMENTED)
        greets(server, channel)


@scenario("plain")
def a_message_that_unpacks_to_too_much(server):
    # Few bytes on the wire: what counts against the limit is what they become.
    large = ClientMsg(msg="x" * (16 * 1024 * 1024))
    at_limit = ClientMsg(msg="x" * (4 * 1024 * 1024 - 5))
    same(at_limit.ByteSize(), 4 * 1024 * 1024)
    for compression in [GZIP, DEFLATE]:
        with server.channel(compression=compression) as channel:
            stub = ContactStub(channel)
            same(stub.tellResult(iter([at_limit])), Empty())
            error = failure(stub.tellResult, iter([large]))
            same(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
            greets(server, channel)

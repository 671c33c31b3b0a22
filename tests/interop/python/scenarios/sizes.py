"""Messages from nothing to the limit of 4 MiB, and one byte above it."""

import asyncio

import grpc
from contact_pb2 import ClientMsg, Empty
from contact_pb2_grpc import ContactStub
from harness import aio_failure, failure, greets, same, scenario
from helloworld_pb2 import HelloReply, HelloRequest
from helloworld_pb2_grpc import GreeterStub

KIB = 1024
LIMIT = 4 * KIB * KIB
SIZES = [
    0,
    1,
    2,
    127,
    128,
    16 * KIB - 1,
    16 * KIB,
    16 * KIB + 1,
    64 * KIB - 1,
    64 * KIB,
    64 * KIB + 1,
    KIB * KIB,
]
# grpcio refuses answers above 4 MiB too, unless told otherwise.
UNLIMITED = [("grpc.max_receive_message_length", -1)]


def of_size(message, field, size):
    """A message with one string field that takes exactly so many bytes on the wire."""
    if size == 0:
        return message()
    # Tag and length come before the text, and the length is longer for longer texts.
    for overhead in range(2, 7):
        made = message(**{field: "x" * max(size - overhead, 0)})
        if made.ByteSize() == size:
            return made
    raise AssertionError(f"no message has {size} bytes")


@scenario("plain")
def requests_and_replies_of_all_sizes(server):
    with server.channel() as channel:
        stub = GreeterStub(channel)
        for size in SIZES:
            name = "x" * size
            same(stub.SayHello(HelloRequest(name=name)), HelloReply(message=f"Hello, {name}!"))


@scenario("plain")
def streams_of_all_sizes(server):
    names = ["x" * size for size in SIZES]
    with server.channel() as channel:
        replies = GreeterStub(channel).SayHelloBidiStream(HelloRequest(name=name) for name in names)
        for name, reply in zip(names, replies, strict=True):
            same(reply.message, f"Hello, {name}!")


@scenario("plain")
def a_request_at_the_limit(server):
    with server.channel(options=UNLIMITED) as channel:
        for size in [LIMIT - 1, LIMIT]:
            request = of_size(HelloRequest, "name", size)
            reply = GreeterStub(channel).SayHello(request)
            same(len(reply.message), len(request.name) + len("Hello, !"))
            same(
                ContactStub(channel).tellResult(iter([of_size(ClientMsg, "msg", size)] * 3)),
                Empty(),
            )


@scenario("plain")
def a_request_above_the_limit(server):
    with server.channel(options=UNLIMITED) as channel:
        for size in [LIMIT + 1, LIMIT + 2, 2 * LIMIT, 8 * LIMIT]:
            error = failure(GreeterStub(channel).SayHello, of_size(HelloRequest, "name", size))
            same((size, error.code()), (size, grpc.StatusCode.RESOURCE_EXHAUSTED))
            assert error.details(), "it is refused without a word"
            greets(server, channel)


@scenario("plain")
def a_message_above_the_limit_in_a_stream(server):
    small, large = ClientMsg(msg="small"), of_size(ClientMsg, "msg", LIMIT + 1)
    with server.channel() as channel:
        stub = ContactStub(channel)
        for requests in [[large], [small, large, small], [small, large, large]]:
            same(
                failure(stub.tellResult, iter(requests)).code(), grpc.StatusCode.RESOURCE_EXHAUSTED
            )
        results = stub.sendStatus(iter([small, small, large]))
        same([next(results).ret, next(results).ret], ["服务端接收到消息:small"] * 2)
        same(failure(lambda: next(results)).code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        greets(server, channel)


@scenario("plain")
def the_limit_asyncio(server):
    async def main():
        async with server.aio_channel(options=UNLIMITED) as channel:
            stub = GreeterStub(channel)
            reply = await stub.SayHello(of_size(HelloRequest, "name", LIMIT))
            assert len(reply.message) > LIMIT - 10
            error = await aio_failure(stub.SayHello(of_size(HelloRequest, "name", LIMIT + 1)))
            same(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
            same((await stub.SayHello(HelloRequest(name="you"))).message, "Hello, you!")

    asyncio.run(main())


@scenario("plain")
def many_large_messages_at_once(server):
    with server.channel(options=UNLIMITED) as channel:
        stub = GreeterStub(channel)
        name = "x" * (KIB * KIB)
        futures = [stub.SayHello.future(HelloRequest(name=name)) for _ in range(16)]
        for future in futures:
            same(len(future.result(timeout=25).message), len(name) + len("Hello, !"))


@scenario("plain")
def a_client_with_a_limit_of_its_own(server):
    with server.channel(options=[("grpc.max_receive_message_length", 1000)]) as channel:
        error = failure(GreeterStub(channel).SayHello, HelloRequest(name="x" * 1000))
        same(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
        greets(server, channel)


@scenario("plain")
def metadata_above_the_limit(server):
    with server.channel() as channel:
        stub = GreeterStub(channel)
        metadata = [(f"key-{i}", "x" * 1000) for i in range(10)]
        same(stub.SayHello(HelloRequest(name="you"), metadata=metadata).message, "Hello, you!")
        for metadata in [[("key", "x" * 40_000)], [(f"key-{i}", "x" * 1000) for i in range(40)]]:
            error = failure(stub.SayHello, HelloRequest(name="you"), metadata=metadata)
            same(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
            greets(server, channel)

"""helloworld.Greeter and greet.Greeter: the services that every tutorial begins with."""

import asyncio
import queue

import greet_pb2
import greet_pb2_grpc
import grpc
import helloworld_pb2
import helloworld_pb2_grpc
from harness import same, scenario
from helloworld_pb2 import HelloRequest

NUMBERED = [f"Hello number {i}, you!" for i in range(10)]


@scenario("plain")
def say_hello(server):
    with server.channel() as channel:
        stub = helloworld_pb2_grpc.GreeterStub(channel)
        for name in ["you", "", "世界", "a b\tc\n", "%41", "x" * 1000]:
            same(stub.SayHello(HelloRequest(name=name)).message, f"Hello, {name}!")


@scenario("plain")
def say_hello_with_call(server):
    with server.channel() as channel:
        stub = helloworld_pb2_grpc.GreeterStub(channel)
        reply, call = stub.SayHello.with_call(HelloRequest(name="you"), timeout=10)
        same(reply, helloworld_pb2.HelloReply(message="Hello, you!"))
        same(call.code(), grpc.StatusCode.OK)
        same(call.details(), "")
        same(list(call.trailing_metadata()), [])


@scenario("plain")
def say_hello_future(server):
    with server.channel() as channel:
        stub = helloworld_pb2_grpc.GreeterStub(channel)
        done = queue.Queue()
        futures = [stub.SayHello.future(HelloRequest(name=str(i))) for i in range(20)]
        for future in futures:
            future.add_done_callback(done.put)
        same(
            [future.result(timeout=10).message for future in futures],
            [f"Hello, {i}!" for i in range(20)],
        )
        assert all(future.done() and future.code() is grpc.StatusCode.OK for future in futures)
        assert all(future.exception() is None for future in futures)
        same({done.get(timeout=10) for _ in futures}, set(futures))


@scenario("plain")
def say_hello_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            stub = helloworld_pb2_grpc.GreeterStub(channel)
            call = stub.SayHello(HelloRequest(name="you"))
            same((await call).message, "Hello, you!")
            same(await call.code(), grpc.StatusCode.OK)
            same(await call.details(), "")
            same(len(await call.trailing_metadata()), 0)
            replies = await asyncio.gather(
                *(stub.SayHello(HelloRequest(name=str(i))) for i in range(20))
            )
            same([reply.message for reply in replies], [f"Hello, {i}!" for i in range(20)])

    asyncio.run(main())


@scenario("plain")
def say_hello_again(server):
    with server.channel() as channel:
        stub = helloworld_pb2_grpc.GreeterStub(channel)
        same(stub.SayHello2(HelloRequest(name="you")).message, "Hello again, you!")
        same(
            stub.SayHello2.future(HelloRequest(name="世界")).result().message, "Hello again, 世界!"
        )
        reply, call = stub.SayHello2.with_call(HelloRequest())
        same((reply.message, call.code()), ("Hello again, !", grpc.StatusCode.OK))


@scenario("plain")
def say_hello_again_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            stub = helloworld_pb2_grpc.GreeterStub(channel)
            same((await stub.SayHello2(HelloRequest(name="you"))).message, "Hello again, you!")

    asyncio.run(main())


@scenario("plain")
def stream_reply(server):
    with server.channel() as channel:
        stub = helloworld_pb2_grpc.GreeterStub(channel)
        call = stub.SayHelloStreamReply(HelloRequest(name="you"))
        same([reply.message for reply in call], NUMBERED)
        same((call.code(), call.details()), (grpc.StatusCode.OK, ""))


@scenario("plain")
def stream_reply_asyncio_for(server):
    async def main():
        async with server.aio_channel() as channel:
            call = helloworld_pb2_grpc.GreeterStub(channel).SayHelloStreamReply(
                HelloRequest(name="you")
            )
            same([reply.message async for reply in call], NUMBERED)
            same(await call.code(), grpc.StatusCode.OK)

    asyncio.run(main())


@scenario("plain")
def stream_reply_asyncio_read(server):
    async def main():
        async with server.aio_channel() as channel:
            call = helloworld_pb2_grpc.GreeterStub(channel).SayHelloStreamReply(
                HelloRequest(name="you")
            )
            for wanted in NUMBERED:
                same((await call.read()).message, wanted)
            # The end stays the end.
            assert await call.read() is grpc.aio.EOF
            assert await call.read() is grpc.aio.EOF

    asyncio.run(main())


@scenario("plain")
def bidi_stream_answers_each_request_before_the_next(server):
    with server.channel() as channel:
        requests = queue.Queue()
        call = helloworld_pb2_grpc.GreeterStub(channel).SayHelloBidiStream(iter(requests.get, None))
        for name in ["a", "世界", "", "d"]:
            requests.put(HelloRequest(name=name))
            same(next(call).message, f"Hello, {name}!")
        requests.put(None)
        same(list(call), [])
        same(call.code(), grpc.StatusCode.OK)


@scenario("plain")
def bidi_stream_without_a_request(server):
    with server.channel() as channel:
        call = helloworld_pb2_grpc.GreeterStub(channel).SayHelloBidiStream(iter([]))
        same(list(call), [])
        same(call.code(), grpc.StatusCode.OK)


@scenario("plain")
def bidi_stream_asyncio_for(server):
    async def requests():
        for i in range(5):
            yield HelloRequest(name=str(i))

    async def main():
        async with server.aio_channel() as channel:
            call = helloworld_pb2_grpc.GreeterStub(channel).SayHelloBidiStream(requests())
            same([reply.message async for reply in call], [f"Hello, {i}!" for i in range(5)])

    asyncio.run(main())


@scenario("plain")
def bidi_stream_asyncio_read(server):
    async def main():
        async with server.aio_channel() as channel:
            call = helloworld_pb2_grpc.GreeterStub(channel).SayHelloBidiStream()
            for i in range(5):
                await call.write(HelloRequest(name=str(i)))
                same((await call.read()).message, f"Hello, {i}!")
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            same(await call.code(), grpc.StatusCode.OK)

    asyncio.run(main())


@scenario("plain")
def greet_say_hello(server):
    with server.channel() as channel:
        stub = greet_pb2_grpc.GreeterStub(channel)
        request = greet_pb2.HelloRequest(name="you")
        same(stub.SayHello(request), greet_pb2.HelloReply(message="Hello, you!"))
        same(stub.SayHello.future(request).result().message, "Hello, you!")
        reply, call = stub.SayHello.with_call(request)
        same((reply.message, call.code()), ("Hello, you!", grpc.StatusCode.OK))


@scenario("plain")
def greet_say_hello_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            reply = await greet_pb2_grpc.GreeterStub(channel).SayHello(
                greet_pb2.HelloRequest(name="世界")
            )
            same(reply.message, "Hello, 世界!")

    asyncio.run(main())

"""Calls of what is not there."""

import asyncio

import grpc
from harness import failure, greets, same, scenario

UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED


@scenario("plain")
def an_unknown_method_says_so(server):
    with server.channel() as channel:
        error = failure(channel.unary_unary("/helloworld.Greeter/SayHallo"), b"")
        same(
            (error.code(), error.details()),
            (UNIMPLEMENTED, "helloworld.Greeter has no method SayHallo"),
        )
        # Names are compared letter by letter.
        error = failure(channel.unary_unary("/hellostreamingworld.MultiGreeter/SayHello"), b"")
        same(
            (error.code(), error.details()),
            (UNIMPLEMENTED, "hellostreamingworld.MultiGreeter has no method SayHello"),
        )
        greets(server, channel)


@scenario("plain")
def an_unknown_service_says_so(server):
    with server.channel() as channel:
        for service in [
            "there.is.no.Such",
            "Greeter",
            "helloworld.greeter",
            "helloworld.Greeter.SayHello",
        ]:
            error = failure(channel.unary_unary(f"/{service}/SayHello"), b"")
            same((service, error.code()), (service, UNIMPLEMENTED))
            assert service in error.details() and "service" in error.details(), error.details()
        greets(server, channel)


@scenario("plain")
def every_kind_of_call_learns_it(server):
    def requests():
        for _ in range(100):
            yield b"\x0a\x03you"

    with server.channel() as channel:
        for path in ["/helloworld.Greeter/Missing", "/missing.Service/SayHello"]:
            same(failure(channel.unary_unary(path), b"").code(), UNIMPLEMENTED)
            same(failure(channel.unary_stream(path), b"").code(), UNIMPLEMENTED)
            same(failure(channel.stream_unary(path), requests()).code(), UNIMPLEMENTED)
            same(failure(channel.stream_stream(path), requests()).code(), UNIMPLEMENTED)
            same(channel.unary_unary(path).future(b"").exception(timeout=10).code(), UNIMPLEMENTED)
        greets(server, channel)


@scenario("plain")
def it_does_not_wait_for_the_request(server):
    async def main():
        async with server.aio_channel() as channel:
            for path in ["/helloworld.Greeter/Missing", "/missing.Service/SayHello"]:
                call = channel.stream_unary(path)()
                same(await asyncio.wait_for(call.code(), 20), UNIMPLEMENTED)
                call = channel.stream_stream(path)()
                same(await asyncio.wait_for(call.code(), 20), UNIMPLEMENTED)

    asyncio.run(main())


@scenario("plain")
def paths_that_are_no_paths(server):
    with server.channel() as channel:
        for path in [
            "/",
            "//",
            "/helloworld.Greeter",
            "/helloworld.Greeter/",
            "/helloworld.Greeter/SayHello/x",
        ]:
            same((path, failure(channel.unary_unary(path), b"").code()), (path, UNIMPLEMENTED))
        same(
            failure(channel.unary_unary("/helloworld.Greeter/SayHello?x=1"), b"").code(),
            UNIMPLEMENTED,
        )
        greets(server, channel)

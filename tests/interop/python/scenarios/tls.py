"""TLS: a server certificate, client certificates, and clients that get it wrong."""

import asyncio

import grpc
from chat_pb2 import ChatRequest
from chat_pb2_grpc import ChatServiceStub
from harness import aio_failure, failure, greets, same, scenario
from hellostreamingworld_pb2 import HelloRequest as Greetings
from hellostreamingworld_pb2_grpc import MultiGreeterStub
from helloworld_pb2 import HelloRequest
from helloworld_pb2_grpc import GreeterStub

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def refused(channel):
    """Asserts that no call gets through this channel, and that the client learns that by itself."""
    with channel:
        error = failure(GreeterStub(channel).SayHello, HelloRequest(name="you"), timeout=20)
        same(error.code(), UNAVAILABLE)


def every_kind_of_call(channel):
    same(GreeterStub(channel).SayHello(HelloRequest(name="世界")).message, "Hello, 世界!")
    replies = MultiGreeterStub(channel).sayHello(Greetings(name="you", num_greetings="2500"))
    same(len(list(replies)), 2500)
    chat = ChatServiceStub(channel).Chat(ChatRequest(message=str(i)) for i in range(100))
    same([response.message for response in chat], [f"You said: {i}" for i in range(100)])
    # Many TLS records.
    same(
        len(GreeterStub(channel).SayHello(HelloRequest(name="x" * 1024 * 1024)).message),
        1024 * 1024 + 8,
    )


@scenario("tls")
def a_client_that_knows_the_authority(server):
    with server.channel() as channel:
        every_kind_of_call(channel)


@scenario("tls")
def by_the_name_localhost(server):
    with grpc.secure_channel(f"localhost:{server.port}", server.credentials()) as channel:
        every_kind_of_call(channel)


@scenario("tls")
def asyncio_too(server):
    async def main():
        async with server.aio_channel() as channel:
            same(
                (await GreeterStub(channel).SayHello(HelloRequest(name="you"))).message,
                "Hello, you!",
            )
            call = MultiGreeterStub(channel).sayHello(Greetings(name="you"))
            same(len([reply async for reply in call]), 10)

    asyncio.run(main())


@scenario("tls")
def a_client_that_does_not_know_the_authority(server):
    refused(
        grpc.secure_channel(
            server.address, grpc.ssl_channel_credentials(server.pem("stranger.pem"))
        )
    )
    refused(grpc.secure_channel(server.address, grpc.ssl_channel_credentials()))
    greets(server)


@scenario("tls")
def a_client_that_wants_another_name(server):
    options = [("grpc.ssl_target_name_override", "other.example")]
    refused(grpc.secure_channel(server.address, server.credentials(), options))
    greets(server)


@scenario("tls")
def a_client_certificate_nobody_asked_for(server):
    credentials = grpc.ssl_channel_credentials(
        server.pem("ca.pem"), server.pem("client.key"), server.pem("client.pem")
    )
    with grpc.secure_channel(server.address, credentials) as channel:
        every_kind_of_call(channel)


@scenario("tls")
def a_plain_text_client_on_a_tls_port(server):
    refused(grpc.insecure_channel(server.address))

    async def main():
        async with grpc.aio.insecure_channel(server.address) as channel:
            error = await aio_failure(
                GreeterStub(channel).SayHello(HelloRequest(name="you"), timeout=20)
            )
            same(error.code(), UNAVAILABLE)

    asyncio.run(main())
    greets(server)


@scenario("plain")
def a_tls_client_on_a_plain_text_port(server):
    refused(grpc.secure_channel(server.address, grpc.ssl_channel_credentials(server.pem("ca.pem"))))
    greets(server)


@scenario("mutual_tls")
def a_client_with_a_certificate(server):
    with server.channel() as channel:
        every_kind_of_call(channel)


@scenario("mutual_tls")
def a_client_with_a_certificate_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            same(
                (await GreeterStub(channel).SayHello(HelloRequest(name="you"))).message,
                "Hello, you!",
            )

    asyncio.run(main())


@scenario("mutual_tls")
def a_client_without_a_certificate(server):
    refused(grpc.secure_channel(server.address, grpc.ssl_channel_credentials(server.pem("ca.pem"))))
    greets(server)


@scenario("mutual_tls")
def a_client_with_a_certificate_of_its_own_making(server):
    credentials = grpc.ssl_channel_credentials(
        server.pem("ca.pem"), server.pem("stranger.key"), server.pem("stranger.pem")
    )
    refused(grpc.secure_channel(server.address, credentials))
    greets(server)


@scenario("mutual_tls")
def a_plain_text_client_where_certificates_are_asked_for(server):
    refused(grpc.insecure_channel(server.address))
    greets(server)

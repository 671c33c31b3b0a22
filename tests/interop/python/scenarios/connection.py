"""Connections: made before there is a server, lost, kept alive, ended by a server that stops."""

import asyncio
import itertools
import queue
import socket
import threading

import grpc
from chat_pb2 import ChatRequest
from chat_pb2_grpc import ChatServiceStub
from contact_pb2 import Empty
from contact_pb2_grpc import ContactStub
from harness import OwnServer, failure, greets, same, scenario
from helloworld_pb2 import HelloRequest
from helloworld_pb2_grpc import GreeterStub

# Tries again at once: nobody wants to wait in a test.
IMPATIENT = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
]


def free_port():
    """A port on which nobody listened a moment ago. Only a server that starts late needs one."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def when(channel, state):
    """Gives an event that comes when the channel is in this state."""
    event = threading.Event()
    channel.subscribe(lambda now: event.set() if now is state else None, try_to_connect=True)
    return event


@scenario("nothing")
def a_call_that_waits_for_the_server_to_start(server):
    port = free_port()
    later = OwnServer(server, None, f"127.0.0.1:{port}")
    with later.channel(options=IMPATIENT) as channel:
        failed = when(channel, grpc.ChannelConnectivity.TRANSIENT_FAILURE)
        assert failed.wait(20)
        stub = GreeterStub(channel)
        same(failure(stub.SayHello, HelloRequest(name="you")).code(), grpc.StatusCode.UNAVAILABLE)
        future = stub.SayHello.future(HelloRequest(name="you"), wait_for_ready=True, timeout=20)
        with server.start(port=port):
            same(future.result().message, "Hello, you!")


@scenario("nothing")
def a_call_that_waits_for_the_server_to_start_asyncio(server):
    port = free_port()
    later = OwnServer(server, None, f"127.0.0.1:{port}")

    async def main():
        async with later.aio_channel(options=IMPATIENT) as channel:
            call = GreeterStub(channel).SayHello(
                HelloRequest(name="you"), wait_for_ready=True, timeout=20
            )
            state = channel.get_state(try_to_connect=True)
            while state is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                await channel.wait_for_state_change(state)
                state = channel.get_state(try_to_connect=True)
            with server.start(port=port):
                same((await call).message, "Hello, you!")

    asyncio.run(main())


@scenario("plain")
def a_channel_is_ready_before_the_first_call(server):
    with server.channel() as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
        greets(server, channel)


@scenario("nothing")
def a_client_connects_again_after_a_restart(server):
    with server.start() as first:
        port = first.port
        with first.channel(options=IMPATIENT) as channel:
            greets(first, channel)
            lost = when(channel, grpc.ChannelConnectivity.IDLE)
            first.terminate()
            same(first.exit_code(), 0)
            assert lost.wait(20)
            error = failure(GreeterStub(channel).SayHello, HelloRequest(name="you"), timeout=10)
            same(error.code(), grpc.StatusCode.UNAVAILABLE)
            with server.start(port=port):
                greets(first, channel)


@scenario("nothing")
def a_server_killed_in_mid_call(server):
    with server.start() as own, own.channel() as channel:
        call = ContactStub(channel).getTask(Empty())
        same(len(list(itertools.islice(call, 10))), 10)
        own.process.kill()
        same(failure(lambda: list(call)).code(), grpc.StatusCode.UNAVAILABLE)


@scenario("nothing")
def a_server_that_stops_finishes_its_calls(server):
    with server.start() as own, own.channel() as channel:
        requests = queue.Queue()
        call = ChatServiceStub(channel).Chat(iter(requests.get, None))
        requests.put(ChatRequest(message="before"))
        same(next(call).message, "You said: before")
        told = when(channel, grpc.ChannelConnectivity.IDLE)
        own.terminate()
        # GOAWAY has come: the channel looks for another connection, the call stays on this one.
        assert told.wait(10)
        for i in range(10):
            requests.put(ChatRequest(message=str(i)))
            same(next(call).message, f"You said: {i}")
        requests.put(None)
        same(list(call), [])
        same((call.code(), call.details()), (grpc.StatusCode.OK, ""))
        same(own.exit_code(), 0)


@scenario("nothing")
def a_server_that_stops_finishes_many_calls(server):
    with server.start() as own, own.channel() as channel:
        stub = ChatServiceStub(channel)
        queues = [queue.Queue() for _ in range(100)]
        calls = [stub.Chat(iter(requests.get, None)) for requests in queues]
        for requests, call in zip(queues, calls):
            requests.put(ChatRequest(message="before"))
            same(next(call).message, "You said: before")
        told = when(channel, grpc.ChannelConnectivity.IDLE)
        own.terminate()
        assert told.wait(10)
        for requests in queues:
            requests.put(ChatRequest(message="after"))
            requests.put(None)
        same(
            [[response.message for response in call] for call in calls], [["You said: after"]] * 100
        )
        same({call.code() for call in calls}, {grpc.StatusCode.OK})
        same(own.exit_code(), 0)


@scenario("nothing")
def a_server_that_stops_does_not_wait_for_a_stream_without_end(server):
    with server.start() as own, own.channel() as channel:
        call = ContactStub(channel).getTask(Empty())
        same(len(list(itertools.islice(call, 10))), 10)
        own.terminate()
        # The client may look for another server.
        same(failure(lambda: list(call)).code(), grpc.StatusCode.UNAVAILABLE)
        same(own.exit_code(), 0)


@scenario("nothing")
def a_server_that_nobody_talks_to_stops_at_once(server):
    with server.start() as own:
        own.terminate()
        same(own.exit_code(timeout=5), 0)
    with server.start() as own, own.channel() as channel:
        # An open connection without a call is no reason to stay.
        greets(own, channel)
        own.terminate()
        same(own.exit_code(timeout=10), 0)


@scenario("nothing")
def several_addresses_serve_the_same(server):
    with server.start("--addr", "127.0.0.1:0") as own:
        same(len(own.addresses), 2)
        assert own.addresses[0] != own.addresses[1]
        for address in own.addresses:
            greets(OwnServer(server, None, address))


@scenario("plain")
def keepalive_as_careful_clients_have_it(server):
    options = [
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_connection_idle_ms", 10_000),
    ]
    with server.channel(options=options) as channel:
        for _ in range(3):
            greets(server, channel)


@scenario("plain")
def too_many_pings_are_answered_by_going_away(server):
    options = [
        ("grpc.keepalive_time_ms", 100),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    with server.channel(options=options) as channel:
        call = ContactStub(channel).getTask(Empty(), timeout=20)
        same(len(list(itertools.islice(call, 10))), 10)
        # Nothing comes for long, and the client asks all the time whether anything still will.
        error = failure(lambda: list(call))
        same(error.code(), grpc.StatusCode.UNAVAILABLE)
        greets(server, channel)

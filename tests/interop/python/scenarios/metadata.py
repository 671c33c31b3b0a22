"""Custom metadata in both directions, by a server that gives all of it back."""

import asyncio
import os
import queue

import grpc
from echo_pb2 import EchoRequest
from echo_pb2_grpc import EchoStub
from harness import failure, same, scenario

# Several values of a key keep their order; that of the keys means nothing.
SENT = [
    ("plain", "text"),
    ("a", "one letter"),
    ("with-dash_and.dot-0", "x"),
    ("several", "first"),
    ("several", "second, with a comma"),
    ("several", "first"),
    ("printable", "".join(chr(c) for c in range(0x21, 0x7F))),
    ("blanks-inside", "a  b   c"),
    ("percent", "100%25 %zz"),
    ("all-bytes-bin", bytes(range(256))),
    ("several-bin", b"\x00"),
    ("several-bin", b"\x00\x01"),
    ("several-bin", b"\x00\x01\x02"),
    ("text-bin", "世界".encode()),
]

# To answers, or to requests, and then it comes back.
ADDED_BY_PROXIES = (
    "content-length",
    "date",
    "server",
    "x-envoy-",
    "x-forwarded-proto",
    "x-request-id",
)


def sorted_by_key(metadata):
    # Sorting leaves the values of one key in their order.
    return sorted(((key, value) for key, value in metadata), key=lambda pair: pair[0])


def without_proxy(metadata):
    """What is left without what a proxy adds, if there is one."""
    if "BAREWIRE_INTEROP_PROXY" not in os.environ:
        return metadata
    return [
        (key, value)
        for key, value in metadata
        if not key.removeprefix("trailing-").startswith(ADDED_BY_PROXIES)
    ]


def came_back(initial, trailing, sent=SENT):
    """Asserts that both kinds of metadata are what was sent, and nothing more."""
    initial = [(key, value) for key, value in initial if key != "grpc-accept-encoding"]
    same(sorted_by_key(without_proxy(initial)), sorted_by_key(sent))
    wanted = [(f"trailing-{key}", value) for key, value in sent]
    same(sorted_by_key(without_proxy(trailing)), sorted_by_key(wanted))


@scenario("echo")
def of_a_call_that_ends_well(server):
    with server.channel() as channel:
        for early_headers in [False, True]:
            request = EchoRequest(body=b"x", early_headers=early_headers)
            response, call = EchoStub(channel).Unary.with_call(request, metadata=SENT)
            same(response.body, b"x")
            came_back(call.initial_metadata(), call.trailing_metadata())


@scenario("echo")
def of_a_future(server):
    with server.channel() as channel:
        future = EchoStub(channel).Unary.future(EchoRequest(body=b"x"), metadata=SENT)
        same(future.result(timeout=10).body, b"x")
        came_back(future.initial_metadata(), future.trailing_metadata())


@scenario("echo")
def of_a_call_that_fails_at_once(server):
    with server.channel() as channel:
        request = EchoRequest(code=grpc.StatusCode.NOT_FOUND.value[0], text="nothing here")
        error = failure(EchoStub(channel).Unary, request, metadata=SENT)
        same((error.code(), error.details()), (grpc.StatusCode.NOT_FOUND, "nothing here"))
        # All there is are trailers: nothing counts as initial metadata.
        same(list(error.initial_metadata()), [])
        came_back(SENT, error.trailing_metadata())


@scenario("echo")
def of_a_call_that_fails_after_its_headers(server):
    with server.channel() as channel:
        request = EchoRequest(
            code=grpc.StatusCode.ABORTED.value[0], text="too late", early_headers=True
        )
        error = failure(EchoStub(channel).Unary, request, metadata=SENT)
        same((error.code(), error.details()), (grpc.StatusCode.ABORTED, "too late"))
        came_back(error.initial_metadata(), error.trailing_metadata())


@scenario("echo")
def of_a_stream(server):
    with server.channel() as channel:
        requests = queue.Queue()
        call = EchoStub(channel).Stream(iter(requests.get, None), metadata=SENT)
        requests.put(EchoRequest(body=b"one"))
        same(next(call).body, b"one")
        requests.put(EchoRequest(body=b"two"))
        same(next(call).body, b"two")
        requests.put(None)
        same(list(call), [])
        came_back(call.initial_metadata(), call.trailing_metadata())


@scenario("echo")
def of_a_stream_that_fails_in_the_middle(server):
    with server.channel() as channel:
        requests = [EchoRequest(body=b"one"), EchoRequest(code=9, text="no more")]
        call = EchoStub(channel).Stream(iter(requests), metadata=SENT)
        same(next(call).body, b"one")
        error = failure(lambda: next(call))
        same((error.code(), error.details()), (grpc.StatusCode.FAILED_PRECONDITION, "no more"))
        came_back(call.initial_metadata(), call.trailing_metadata())


@scenario("echo")
def is_read_before_any_message(server):
    with server.channel() as channel:
        requests = queue.Queue()
        call = EchoStub(channel).Stream(iter(requests.get, None), metadata=SENT)
        requests.put(EchoRequest(early_headers=True))
        # This waits for the headers alone: there is no message yet.
        initial = call.initial_metadata()
        requests.put(EchoRequest(body=b"x"))
        requests.put(None)
        same([response.body for response in call], [b"x"])
        came_back(initial, call.trailing_metadata())


@scenario("echo")
def asyncio_too(server):
    async def main():
        async with server.aio_channel() as channel:
            stub = EchoStub(channel)
            call = stub.Unary(EchoRequest(body=b"x"), metadata=SENT)
            same((await call).body, b"x")
            came_back(await call.initial_metadata(), await call.trailing_metadata())

            call = stub.Unary(EchoRequest(code=5, text="nothing here"), metadata=SENT)
            same(await call.code(), grpc.StatusCode.NOT_FOUND)
            came_back(SENT, await call.trailing_metadata())

            call = stub.Stream(metadata=SENT)
            await call.write(EchoRequest(early_headers=True))
            initial = await call.initial_metadata()
            await call.write(EchoRequest(body=b"x"))
            same((await call.read()).body, b"x")
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF
            came_back(initial, await call.trailing_metadata())

    asyncio.run(main())


@scenario("echo")
def values_without_a_byte(server):
    sent = [("empty", ""), ("empty-bin", b""), ("some-bin", b""), ("some-bin", b"x")]
    with server.channel() as channel:
        response, call = EchoStub(channel).Unary.with_call(EchoRequest(), metadata=sent)
        same(response.body, b"")
        came_back(call.initial_metadata(), call.trailing_metadata(), sent)


@scenario("echo")
def binary_values_of_every_length(server):
    # Base64 without padding ends in three different ways.
    sent = [(f"length-{length}-bin", bytes(range(length))) for length in range(40)]
    with server.channel() as channel:
        _, call = EchoStub(channel).Unary.with_call(EchoRequest(), metadata=sent)
        came_back(call.initial_metadata(), call.trailing_metadata(), sent)


@scenario("echo")
def much_of_it(server):
    options = [("grpc.max_metadata_size", 65536), ("grpc.absolute_max_metadata_size", 65536)]
    for sent in [[("long", "x" * 10_000)], [(f"key-{i}", "x" * 20) for i in range(100)]]:
        with server.channel(options=options) as channel:
            _, call = EchoStub(channel).Unary.with_call(EchoRequest(), metadata=sent)
            came_back(call.initial_metadata(), call.trailing_metadata(), sent)


@scenario("echo")
def what_the_protocol_says_itself_is_no_metadata(server):
    with server.channel(compression=grpc.Compression.Gzip) as channel:
        request = EchoRequest(body=b"x" * 1000)
        _, call = EchoStub(channel).Unary.with_call(request, timeout=100, metadata=[("k", "v")])
        came_back(call.initial_metadata(), call.trailing_metadata(), [("k", "v")])


@scenario("echo")
def of_many_calls_at_once_stays_apart(server):
    with server.channel() as channel:
        stub = EchoStub(channel)
        futures = [stub.Unary.future(EchoRequest(), metadata=[("k", str(i))]) for i in range(200)]
        for i, future in enumerate(futures):
            future.result(timeout=20)
            came_back(future.initial_metadata(), future.trailing_metadata(), [("k", str(i))])

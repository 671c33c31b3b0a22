"""How calls fail: each code, and every kind of text."""

import asyncio

import grpc
from echo_pb2 import EchoRequest
from echo_pb2_grpc import EchoStub
from harness import aio_failure, failure, same, scenario

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
TEXTS = [
    "",
    "plain text",
    "非 ASCII: 世界, é, 😀",
    "100% and %41 and %zz and a % at the end %",
    "\ttest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n",
    "".join(chr(c) for c in range(128)),
    "x" * 3000,
    "界" * 800,
]


@scenario("echo")
def each_code_of_a_unary_call(server):
    same(len(CODES), 16)
    with server.channel() as channel:
        stub = EchoStub(channel)
        for code in CODES:
            for early_headers in [False, True]:
                text = f"this is {code.name}"
                request = EchoRequest(code=code.value[0], text=text, early_headers=early_headers)
                error = failure(stub.Unary, request)
                same((error.code(), error.details()), (code, text))
                future = stub.Unary.future(request)
                same(future.exception(timeout=10).code(), code)
                same((future.code(), future.details()), (code, text))


@scenario("echo")
def each_code_of_a_stream(server):
    with server.channel() as channel:
        stub = EchoStub(channel)
        for code in CODES:
            failing = EchoRequest(code=code.value[0], text=f"this is {code.name}")
            # At once, after headers, after a message.
            for before in [[], [EchoRequest(early_headers=True)], [EchoRequest(body=b"x")] * 3]:
                call = stub.Stream(iter([*before, failing]))
                bodies = [next(call).body for request in before if not request.early_headers]
                same(bodies, [request.body for request in before if not request.early_headers])
                error = failure(next, call)
                same((error.code(), error.details()), (code, failing.text))


@scenario("echo")
def each_code_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            stub = EchoStub(channel)
            for code in CODES:
                failing = EchoRequest(code=code.value[0], text=f"this is {code.name}")
                error = await aio_failure(stub.Unary(failing))
                same((error.code(), error.details()), (code, failing.text))
                call = stub.Stream()
                await call.write(EchoRequest(body=b"x"))
                same((await call.read()).body, b"x")
                await call.write(failing)
                same((await call.code(), await call.details()), (code, failing.text))

    asyncio.run(main())


@scenario("echo")
def texts_come_as_they_were(server):
    with server.channel() as channel:
        stub = EchoStub(channel)
        for text in TEXTS:
            for early_headers in [False, True]:
                request = EchoRequest(code=13, text=text, early_headers=early_headers)
                error = failure(stub.Unary, request)
                same((error.code(), error.details()), (grpc.StatusCode.INTERNAL, text))


@scenario("echo")
def a_text_longer_than_the_client_takes(server):
    # The client announces how much it takes. The code must come; of the text, what has room.
    options = [("grpc.max_metadata_size", 4096), ("grpc.absolute_max_metadata_size", 4096)]
    with server.channel(options=options) as channel:
        stub = EchoStub(channel)
        # Its settings are known to the server once a call has been answered.
        same(stub.Unary(EchoRequest(body=b"x")).body, b"x")
        for early_headers in [False, True]:
            request = EchoRequest(code=5, text="界" * 10_000, early_headers=early_headers)
            error = failure(stub.Unary, request)
            same(error.code(), grpc.StatusCode.NOT_FOUND)
            assert request.text.startswith(error.details()), error.details()
        same(stub.Unary(EchoRequest(body=b"x")).body, b"x")


@scenario("echo")
def a_failure_that_leaves_requests_unread(server):
    def requests():
        yield EchoRequest(code=9, text="enough")
        for _ in range(1000):
            yield EchoRequest(body=b"x" * 1000)

    with server.channel() as channel:
        stub = EchoStub(channel)
        for _ in range(20):
            error = failure(stub.Stream, requests())
            same((error.code(), error.details()), (grpc.StatusCode.FAILED_PRECONDITION, "enough"))
        same(stub.Unary(EchoRequest(body=b"x")).body, b"x")

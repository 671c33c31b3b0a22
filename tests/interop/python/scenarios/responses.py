"""Large answers, and messages that come back byte for byte."""

import asyncio
import os
import queue

import grpc
from echo_pb2 import EchoRequest, EchoResponse
from echo_pb2_grpc import EchoStub
from harness import failure, same, scenario

KIB = 1024
MIB = KIB * KIB
SIZES = [1, 2, 127, 128, 16 * KIB - 1, 16 * KIB, 16 * KIB + 1, 64 * KIB, MIB]
# The largest body whose message has 4 MiB: one byte for the tag and four for the length.
LARGEST = 4 * MIB - 5


@scenario("echo")
def bodies_of_all_sizes_come_back(server):
    with server.channel() as channel:
        stub = EchoStub(channel)
        for size in [0, *SIZES, LARGEST]:
            body = os.urandom(size)
            assert stub.Unary(EchoRequest(body=body)).body == body, f"{size} bytes"
        bodies = [os.urandom(size) for size in [0, *SIZES]]
        responses = stub.Stream(EchoRequest(body=body) for body in bodies)
        assert [response.body for response in responses] == bodies


@scenario("echo")
def bodies_come_back_from_gzip_and_deflate(server):
    for compression in [grpc.Compression.Gzip, grpc.Compression.Deflate]:
        with server.channel(compression=compression) as channel:
            stub = EchoStub(channel)
            for size in [0, *SIZES, LARGEST]:
                # What cannot be compressed, and what can be very well.
                for body in [os.urandom(size), bytes(size)]:
                    assert stub.Unary(EchoRequest(body=body)).body == body, f"{size} bytes"


@scenario("echo")
def large_answers(server):
    with server.channel() as channel:
        stub = EchoStub(channel)
        for size in [*SIZES, LARGEST]:
            same(len(stub.Unary(EchoRequest(response_size=size)).body), size)


@scenario("echo")
def answers_above_the_clients_limit(server):
    size = LARGEST + 1
    same(EchoResponse(body=bytes(size)).ByteSize(), 4 * MIB + 1)
    with server.channel() as channel:
        stub = EchoStub(channel)
        for compression in [None, grpc.Compression.Gzip]:
            request = EchoRequest(response_size=size)
            error = failure(stub.Unary, request, compression=compression)
            same(error.code(), grpc.StatusCode.RESOURCE_EXHAUSTED)
            same(stub.Unary(EchoRequest(body=b"x")).body, b"x")


@scenario("echo")
def answers_of_many_mebibytes(server):
    with server.channel(options=[("grpc.max_receive_message_length", -1)]) as channel:
        stub = EchoStub(channel)
        for size in [4 * MIB, 16 * MIB, 64 * MIB]:
            same(len(stub.Unary(EchoRequest(response_size=size), timeout=25).body), size)
        requests = [EchoRequest(response_size=8 * MIB)] * 4
        same([len(response.body) for response in stub.Stream(iter(requests))], [8 * MIB] * 4)


@scenario("echo")
def a_large_answer_beside_small_ones(server):
    with server.channel(options=[("grpc.max_receive_message_length", -1)]) as channel:
        stub = EchoStub(channel)
        large = [stub.Unary.future(EchoRequest(response_size=8 * MIB)) for _ in range(4)]
        for i in range(200):
            same(stub.Unary(EchoRequest(body=str(i).encode())).body, str(i).encode())
        same([len(future.result(timeout=25).body) for future in large], [8 * MIB] * 4)


@scenario("echo", limit=60)
def ten_thousand_messages_one_by_one(server):
    with server.channel() as channel:
        requests = queue.Queue()
        call = EchoStub(channel).Stream(iter(requests.get, None))
        for i in range(10_000):
            requests.put(EchoRequest(body=str(i).encode()))
            same(next(call).body, str(i).encode())
        requests.put(None)
        same(list(call), [])


@scenario("echo", limit=60)
def large_messages_in_both_directions_at_once(server):
    async def main():
        async with server.aio_channel() as channel:
            call = EchoStub(channel).Stream()
            bodies = [os.urandom(MIB) for _ in range(4)] * 8

            async def write():
                for body in bodies:
                    await call.write(EchoRequest(body=body))
                await call.done_writing()

            writer = asyncio.create_task(write())
            count = 0
            async for response in call:
                assert response.body == bodies[count], f"message {count} came back changed"
                count += 1
            await writer
            same((count, await call.code()), (len(bodies), grpc.StatusCode.OK))

    asyncio.run(main())

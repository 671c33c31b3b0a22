"""number_stream.NumberService: the numbers below a limit."""

import asyncio

import grpc
from harness import same, scenario
from number_stream_pb2 import NumberRequest
from number_stream_pb2_grpc import NumberServiceStub


@scenario("plain")
def get_numbers(server):
    with server.channel() as channel:
        stub = NumberServiceStub(channel)
        for limit in [10, 1, 5000]:
            call = stub.GetNumbers(NumberRequest(limit=limit))
            same([response.number for response in call], list(range(limit)))
            same(call.code(), grpc.StatusCode.OK)


@scenario("plain")
def get_numbers_below_zero_are_none(server):
    with server.channel() as channel:
        stub = NumberServiceStub(channel)
        for limit in [0, -1, -(2**31)]:
            call = stub.GetNumbers(NumberRequest(limit=limit))
            same(list(call), [])
            same(call.code(), grpc.StatusCode.OK)


@scenario("plain")
def get_numbers_asyncio_for(server):
    async def main():
        async with server.aio_channel() as channel:
            call = NumberServiceStub(channel).GetNumbers(NumberRequest(limit=100))
            same([response.number async for response in call], list(range(100)))

    asyncio.run(main())


@scenario("plain")
def get_numbers_asyncio_read(server):
    async def main():
        async with server.aio_channel() as channel:
            stub = NumberServiceStub(channel)
            call = stub.GetNumbers(NumberRequest(limit=3))
            same([(await call.read()).number for _ in range(3)], [0, 1, 2])
            assert await call.read() is grpc.aio.EOF
            assert await stub.GetNumbers(NumberRequest()).read() is grpc.aio.EOF

    asyncio.run(main())

"""sum_stream.SumService: the sum of all numbers sent."""

import asyncio

import grpc
from harness import failure, same, scenario
from sum_stream_pb2 import NumberRequest
from sum_stream_pb2_grpc import SumServiceStub

LARGEST = 2**31 - 1
SMALLEST = -(2**31)


def requests(numbers):
    return (NumberRequest(number=number) for number in numbers)


@scenario("plain")
def calculate_sum(server):
    with server.channel() as channel:
        stub = SumServiceStub(channel)
        cases = [
            range(1, 11),
            [],
            [0],
            [-5, 3],
            [LARGEST],
            [SMALLEST],
            [LARGEST - 1, 1],
            [SMALLEST, LARGEST],
        ]
        for numbers in cases:
            same(stub.CalculateSum(requests(numbers)).sum, sum(numbers))


@scenario("plain")
def calculate_sum_overflow_is_out_of_range(server):
    with server.channel() as channel:
        stub = SumServiceStub(channel)
        for numbers in [[LARGEST, 1], [SMALLEST, -1], [LARGEST, LARGEST, LARGEST]]:
            error = failure(stub.CalculateSum, requests(numbers))
            same(error.code(), grpc.StatusCode.OUT_OF_RANGE)
            assert len(error.details()) > 5, f"{error.details()!r} is not a clear text"


@scenario("plain")
def calculate_sum_with_call_and_future(server):
    with server.channel() as channel:
        stub = SumServiceStub(channel)
        response, call = stub.CalculateSum.with_call(requests([1, 2, 3]))
        same((response.sum, call.code()), (6, grpc.StatusCode.OK))
        future = stub.CalculateSum.future(requests([4, 5]))
        same((future.result(timeout=10).sum, future.code()), (9, grpc.StatusCode.OK))
        failed = stub.CalculateSum.future(requests([LARGEST, 1]))
        same(failed.exception(timeout=10).code(), grpc.StatusCode.OUT_OF_RANGE)


@scenario("plain")
def calculate_sum_asyncio_iterator(server):
    async def numbers():
        for number in range(1, 11):
            yield NumberRequest(number=number)

    async def main():
        async with server.aio_channel() as channel:
            same((await SumServiceStub(channel).CalculateSum(numbers())).sum, 55)

    asyncio.run(main())


@scenario("plain")
def calculate_sum_asyncio_write(server):
    async def main():
        async with server.aio_channel() as channel:
            call = SumServiceStub(channel).CalculateSum()
            for number in range(1, 11):
                await call.write(NumberRequest(number=number))
            await call.done_writing()
            same((await call).sum, 55)
            same(await call.code(), grpc.StatusCode.OK)

    asyncio.run(main())


@scenario("plain", limit=120)
def calculate_sum_of_100_000_numbers(server):
    with server.channel() as channel:
        numbers = [i % 7 for i in range(100_000)]
        same(SumServiceStub(channel).CalculateSum(requests(numbers)).sum, sum(numbers))

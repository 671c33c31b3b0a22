"""Contact, a service without a package: a server that pushes tasks to its clients."""

import asyncio
import itertools
import queue
import re
import time

import grpc
from contact_pb2 import ClientMsg, Empty
from contact_pb2_grpc import ContactStub
from harness import code_of, greets, same, scenario


def numbers(tasks):
    """The numbers of tasks, which must be from 100 to 200."""
    found = [re.fullmatch(r"任务:(\d+)", task.task) for task in tasks]
    assert all(found), [task.task for task in tasks]
    found = [int(each[1]) for each in found]
    assert all(100 <= number <= 200 for number in found), found
    return found


@scenario("plain")
def send_status_confirms_each_message_at_once(server):
    with server.channel() as channel:
        requests = queue.Queue()
        call = ContactStub(channel).sendStatus(iter(requests.get, None))
        for text in ["1", "状态", "", "x" * 5000]:
            requests.put(ClientMsg(msg=text))
            same(next(call).ret, f"服务端接收到消息:{text}")
        requests.put(None)
        same(list(call), [])
        same(call.code(), grpc.StatusCode.OK)


@scenario("plain")
def send_status_asyncio(server):
    async def requests():
        for i in range(5):
            yield ClientMsg(msg=str(i))

    async def main():
        async with server.aio_channel() as channel:
            stub = ContactStub(channel)
            wanted = [f"服务端接收到消息:{i}" for i in range(5)]
            same([result.ret async for result in stub.sendStatus(requests())], wanted)
            call = stub.sendStatus()
            for i in range(5):
                await call.write(ClientMsg(msg=str(i)))
                same((await call.read()).ret, wanted[i])
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF

    asyncio.run(main())


@scenario("plain")
def tell_result_reads_to_the_end(server):
    with server.channel() as channel:
        stub = ContactStub(channel)
        for count in [0, 1, 1000]:
            read = []
            requests = (read.append(i) or ClientMsg(msg=str(i)) for i in range(count))
            same(stub.tellResult(requests), Empty())
            same(len(read), count)
        same(stub.tellResult.future(iter([ClientMsg(msg="done")])).result(timeout=10), Empty())
        response, call = stub.tellResult.with_call(iter([ClientMsg(msg="done")]))
        same((response, call.code()), (Empty(), grpc.StatusCode.OK))


@scenario("plain")
def tell_result_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            call = ContactStub(channel).tellResult()
            for i in range(10):
                await call.write(ClientMsg(msg=str(i)))
            await call.done_writing()
            same(await call, Empty())

    asyncio.run(main())


@scenario("nothing")
def get_task_gives_the_list_from_its_start_to_everyone(server):
    with (
        server.start("--task-interval", "0.3") as own,
        own.channel() as one,
        own.channel() as other,
    ):
        first = ContactStub(one).getTask(Empty())
        tasks = list(itertools.islice(first, 30))
        numbers(tasks)
        second = ContactStub(other).getTask(Empty())
        same(list(itertools.islice(second, 30)), tasks)
        # From here on both hear of the same bursts.
        same(list(itertools.islice(first, 20)), list(itertools.islice(second, 20)))
        first.cancel()
        # The list outlives the client that asked first.
        third = ContactStub(other).getTask(Empty())
        same(list(itertools.islice(third, 30)), tasks)
        # And whoever stays goes on hearing.
        numbers(itertools.islice(second, 10))


@scenario("nothing")
def get_task_waits_for_the_interval(server):
    with server.start("--task-interval", "3600") as own, own.channel() as channel:
        stub = ContactStub(channel)
        call = stub.getTask(Empty())
        tasks = list(itertools.islice(call, 10))
        numbers(tasks)
        later = stub.getTask(Empty(), timeout=2)
        same(list(itertools.islice(later, 10)), tasks)
        same(code_of(lambda: list(later)), grpc.StatusCode.DEADLINE_EXCEEDED)


@scenario("nothing")
def get_task_makes_no_tasks_while_nobody_listens(server):
    interval = 0.05
    with server.start("--task-interval", str(interval)) as own, own.channel() as channel:
        stub = ContactStub(channel)
        start = time.monotonic()
        call = stub.getTask(Empty())
        next(call)
        call.cancel()
        listened = time.monotonic() - start
        # Forty bursts, were they made.
        time.sleep(40 * interval)
        start = time.monotonic()
        call = stub.getTask(Empty(), timeout=8 * interval)
        tasks = []
        same(code_of(lambda: tasks.extend(call)), grpc.StatusCode.DEADLINE_EXCEEDED)
        listened += time.monotonic() - start
        bursts = len(tasks) / 10
        assert bursts <= 4 + listened / interval, f"{bursts} bursts in {listened} s"
        assert tasks, "the list of before is gone"


@scenario("plain")
def get_task_by_default_begins_with_ten(server):
    with server.channel() as channel:
        call = ContactStub(channel).getTask(Empty())
        same(len(numbers(itertools.islice(call, 10))), 10)
        call.cancel()
        same(call.code(), grpc.StatusCode.CANCELLED)


@scenario("fast_tasks")
def get_task_brings_new_bursts(server):
    with server.channel() as channel:
        call = ContactStub(channel).getTask(Empty(), timeout=20)
        same(len(numbers(itertools.islice(call, 50))), 50)
        call.cancel()


@scenario("fast_tasks")
def get_task_asyncio_for(server):
    async def main():
        async with server.aio_channel() as channel:
            tasks = []
            call = ContactStub(channel).getTask(Empty(), timeout=20)
            async for task in call:
                tasks.append(task)
                if len(tasks) == 40:
                    break
            call.cancel()
            numbers(tasks)

    asyncio.run(main())


@scenario("fast_tasks")
def get_task_asyncio_read(server):
    async def main():
        async with server.aio_channel() as channel:
            call = ContactStub(channel).getTask(Empty(), timeout=20)
            numbers([await call.read() for _ in range(40)])
            call.cancel()
            same(await call.code(), grpc.StatusCode.CANCELLED)

    asyncio.run(main())


@scenario("fast_tasks")
def clients_of_get_task_come_and_go(server):
    for _ in range(20):
        with server.channel() as channel:
            call = ContactStub(channel).getTask(Empty(), timeout=20)
            numbers(itertools.islice(call, 10))
            # Leaves without a word: the channel is closed over the open call.
    greets(server)


@scenario("plain")
def all_methods_at_once_as_the_tutorial_does(server):
    with server.channel() as channel:
        stub = ContactStub(channel)
        tasks = stub.getTask(Empty())
        statuses = queue.Queue()
        confirmed = stub.sendStatus(iter(statuses.get, None))
        for task in itertools.islice(tasks, 10):
            statuses.put(ClientMsg(msg=task.task))
            same(next(confirmed).ret, f"服务端接收到消息:{task.task}")
            same(stub.tellResult(iter([ClientMsg(msg=task.task)])), Empty())
        statuses.put(None)
        same(list(confirmed), [])
        tasks.cancel()

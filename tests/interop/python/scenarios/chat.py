"""chat.ChatService: each message comes back at once."""

import asyncio
import queue
import threading

import grpc
from chat_pb2 import ChatRequest
from chat_pb2_grpc import ChatServiceStub
from harness import same, scenario


@scenario("plain")
def chat_answers_each_message_before_the_next(server):
    with server.channel() as channel:
        requests = queue.Queue()
        call = ChatServiceStub(channel).Chat(iter(requests.get, None))
        for message in ["Hello", "How are you?", "", "再见"]:
            requests.put(ChatRequest(message=message))
            same(next(call).message, f"You said: {message}")
        requests.put(None)
        same(list(call), [])
        same((call.code(), call.details()), (grpc.StatusCode.OK, ""))


@scenario("plain")
def chat_from_a_generator(server):
    with server.channel() as channel:
        call = ChatServiceStub(channel).Chat(ChatRequest(message=str(i)) for i in range(50))
        same([response.message for response in call], [f"You said: {i}" for i in range(50)])


@scenario("plain")
def chat_asyncio_for(server):
    async def requests():
        for i in range(50):
            yield ChatRequest(message=str(i))

    async def main():
        async with server.aio_channel() as channel:
            call = ChatServiceStub(channel).Chat(requests())
            same(
                [response.message async for response in call], [f"You said: {i}" for i in range(50)]
            )

    asyncio.run(main())


@scenario("plain")
def chat_asyncio_read(server):
    async def main():
        async with server.aio_channel() as channel:
            call = ChatServiceStub(channel).Chat()
            for message in ["Hello", "", "再见"]:
                await call.write(ChatRequest(message=message))
                same((await call.read()).message, f"You said: {message}")
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF

    asyncio.run(main())


@scenario("plain")
def two_chats_at_once_on_one_channel(server):
    with server.channel() as channel:
        stub = ChatServiceStub(channel)
        # Neither goes on before the other has its answer, so both streams are open all the time.
        together = threading.Barrier(2, timeout=20)
        problems = []

        def chat(who):
            try:
                requests = queue.Queue()
                call = stub.Chat(iter(requests.get, None))
                for i in range(50):
                    together.wait()
                    requests.put(ChatRequest(message=f"{who} {i}"))
                    same(next(call).message, f"You said: {who} {i}")
                requests.put(None)
                same(list(call), [])
            except BaseException as problem:
                problems.append(problem)
                together.abort()

        threads = [threading.Thread(target=chat, args=[who], daemon=True) for who in ["one", "two"]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        same(problems, [])


@scenario("plain", limit=120)
def chat_of_10_000_messages(server):
    with server.channel() as channel:
        call = ChatServiceStub(channel).Chat(ChatRequest(message=str(i)) for i in range(10_000))
        count = 0
        for count, response in enumerate(call, start=1):
            same(response.message, f"You said: {count - 1}")
        same((count, call.code()), (10_000, grpc.StatusCode.OK))


@scenario("plain", limit=120)
def chat_of_10_000_messages_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            call = ChatServiceStub(channel).Chat()

            async def write():
                for i in range(10_000):
                    await call.write(ChatRequest(message=str(i)))
                await call.done_writing()

            writer = asyncio.create_task(write())
            responses = [response.message async for response in call]
            await writer
            same(len(responses), 10_000)
            same(responses, [f"You said: {i}" for i in range(10_000)])

    asyncio.run(main())

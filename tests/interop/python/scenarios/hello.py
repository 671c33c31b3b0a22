"""hello.Hello: another tutorial's route guide, with floats and the same answers for everyone."""

import asyncio
import queue
import threading

import grpc
from harness import same, scenario
from hello_pb2 import Feature, Point, Rectangle, RouteNote, RouteSummary
from hello_pb2_grpc import HelloStub

HERE = Point(latitude=39.90420150756836, longitude=-116.5)
THERE = Point(latitude=-1.25, longitude=0.0)
TEN = [Feature(name="Beijing-Shanghai", location=HERE)] * 10
EARLY = RouteSummary(point_count=1, feature_count=2, distance=3, elapsed_time=4)


@scenario("plain")
def get_feature(server):
    with server.channel() as channel:
        stub = HelloStub(channel)
        for place in [HERE, THERE, Point()]:
            same(stub.GetFeature(place), Feature(name="北京", location=place))
        same(stub.GetFeature.future(HERE).result(timeout=10).name, "北京")
        feature, call = stub.GetFeature.with_call(HERE)
        same((feature.location, call.code()), (HERE, grpc.StatusCode.OK))


@scenario("plain")
def list_features(server):
    with server.channel() as channel:
        call = HelloStub(channel).ListFeatures(Rectangle(lo=HERE, hi=THERE))
        same(list(call), TEN)
        same(call.code(), grpc.StatusCode.OK)


@scenario("plain")
def record_route_answers_while_the_client_still_sends(server):
    answered = threading.Event()
    waited = []

    def points():
        yield HERE
        waited.append(answered.wait(20))
        yield THERE

    with server.channel() as channel:
        summary, call = HelloStub(channel).RecordRoute.with_call(points())
        same(waited, [])
        answered.set()
        same((summary, call.code()), (EARLY, grpc.StatusCode.OK))


@scenario("plain")
def record_route_answers_a_client_that_never_pauses(server):
    over = threading.Event()

    def points():
        while not over.is_set():
            yield HERE

    with server.channel() as channel:
        stub = HelloStub(channel)
        for _ in range(20):
            same(stub.RecordRoute(points(), timeout=10), EARLY)
        over.set()


@scenario("plain")
def record_route_of_nothing(server):
    with server.channel() as channel:
        stub = HelloStub(channel)
        same(stub.RecordRoute(iter([])), RouteSummary())
        same(stub.RecordRoute.future(iter([])).result(timeout=10), RouteSummary())
        same(stub.RecordRoute.future(iter([HERE, THERE])).result(timeout=10), EARLY)


@scenario("plain")
def route_chat_repeats_each_note_at_once(server):
    with server.channel() as channel:
        requests = queue.Queue()
        call = HelloStub(channel).RouteChat(iter(requests.get, None))
        for place, text in [(HERE, "one"), (HERE, "two"), (THERE, "三"), (Point(), "")]:
            note = RouteNote(location=place, message=text)
            requests.put(note)
            same(next(call), note)
        requests.put(None)
        same(list(call), [])
        same(call.code(), grpc.StatusCode.OK)


@scenario("plain")
def every_method_asyncio(server):
    notes = [RouteNote(location=HERE, message=str(i)) for i in range(5)]

    async def requests():
        for note in notes:
            yield note

    async def main():
        async with server.aio_channel() as channel:
            stub = HelloStub(channel)
            same(await stub.GetFeature(HERE), Feature(name="北京", location=HERE))
            same([feature async for feature in stub.ListFeatures(Rectangle(lo=HERE))], TEN)
            same([note async for note in stub.RouteChat(requests())], notes)
            call = stub.RouteChat()
            for note in notes:
                await call.write(note)
                same(await call.read(), note)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF

    asyncio.run(main())


@scenario("plain")
def record_route_asyncio_answers_while_the_client_still_sends(server):
    async def main():
        async with server.aio_channel() as channel:
            stub = HelloStub(channel)
            call = stub.RecordRoute()
            await call.write(HERE)
            # Nothing says that the client is done.
            same(await asyncio.wait_for(call, 20), EARLY)
            same(await call.code(), grpc.StatusCode.OK)
            call = stub.RecordRoute()
            await call.done_writing()
            same(await call, RouteSummary())

    asyncio.run(main())

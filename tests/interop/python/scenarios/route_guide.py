"""routeguide.RouteGuide, with the places of features.json; once with those barewire brings along."""

import asyncio
import itertools
import json
import math
import queue
import threading
import time

import grpc
from harness import failure, same, scenario
from route_guide_pb2 import Feature, Point, Rectangle, RouteNote
from route_guide_pb2_grpc import RouteGuideStub


def places(server):
    """The features of the database, in its order."""
    with open(server.features, encoding="utf-8") as file:
        rows = json.load(file)
    return [Feature(name=row["name"], location=Point(**row["location"])) for row in rows]


def point(latitude, longitude):
    return Point(latitude=latitude, longitude=longitude)


def metres(one, other):
    """The distance of two points on a sphere, by the haversine formula."""
    lat1, lat2 = math.radians(one.latitude / 1e7), math.radians(other.latitude / 1e7)
    lon = math.radians(other.longitude / 1e7) - math.radians(one.longitude / 1e7)
    a = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin(lon / 2) ** 2
    return 6_371_000 * 2 * math.atan2(math.sqrt(a), math.sqrt(1 - a))


def length(points):
    return int(sum(metres(one, other) for one, other in itertools.pairwise(points)))


@scenario("plain")
def get_feature(server):
    with server.channel() as channel:
        stub = RouteGuideStub(channel)
        for feature in places(server):
            same(stub.GetFeature(feature.location), feature)


@scenario("plain")
def get_feature_where_nothing_is(server):
    with server.channel() as channel:
        stub = RouteGuideStub(channel)
        for nowhere in [point(0, 0), point(409146138, -746188905), point(-900000000, 1800000000)]:
            same(stub.GetFeature(nowhere), Feature(name="", location=nowhere))


@scenario("plain")
def get_feature_in_every_way(server):
    place = places(server)[0]

    async def main():
        async with server.aio_channel() as channel:
            same(await RouteGuideStub(channel).GetFeature(place.location), place)

    with server.channel() as channel:
        stub = RouteGuideStub(channel)
        same(stub.GetFeature.future(place.location).result(timeout=10), place)
        feature, call = stub.GetFeature.with_call(place.location)
        same((feature, call.code()), (place, grpc.StatusCode.OK))
    asyncio.run(main())


@scenario("plain")
def list_features_in_a_rectangle_with_corners_in_any_order(server):
    low, high, left, right = 100000000, 200000000, 100000000, 200000000
    inside = [place for place in places(server) if low <= place.location.latitude <= high]
    inside = [place for place in inside if left <= place.location.longitude <= right]
    same(len(inside), 5)
    assert any(place.name == "" for place in inside)
    corners = [
        ((low, left), (high, right)),
        ((high, right), (low, left)),
        ((low, right), (high, left)),
        ((high, left), (low, right)),
    ]
    with server.channel() as channel:
        stub = RouteGuideStub(channel)
        for lo, hi in corners:
            same(list(stub.ListFeatures(Rectangle(lo=point(*lo), hi=point(*hi)))), inside)


@scenario("plain")
def list_features_in_large_and_small_rectangles(server):
    with server.channel() as channel:
        stub = RouteGuideStub(channel)
        earth = Rectangle(lo=point(-900000000, -1800000000), hi=point(900000000, 1800000000))
        same(list(stub.ListFeatures(earth)), places(server))
        for place in places(server):
            same(list(stub.ListFeatures(Rectangle(lo=place.location, hi=place.location))), [place])
        nothing = stub.ListFeatures(Rectangle(lo=point(1, 1), hi=point(2, 2)))
        same(list(nothing), [])
        same(nothing.code(), grpc.StatusCode.OK)


@scenario("plain")
def list_features_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            stub = RouteGuideStub(channel)
            earth = Rectangle(lo=point(-900000000, -1800000000), hi=point(900000000, 1800000000))
            same([feature async for feature in stub.ListFeatures(earth)], places(server))
            call = stub.ListFeatures(earth)
            for place in places(server):
                same(await call.read(), place)
            assert await call.read() is grpc.aio.EOF

    asyncio.run(main())


@scenario("plain")
def record_route(server):
    known = [place.location for place in places(server)]
    nameless = [place.location for place in places(server) if not place.name]
    # points                                               features met
    cases = [
        ([],                                               0),
        ([known[0]],                                       1),
        ([point(1, 1)],                                    0),
        ([point(1, 1), point(2, 2)],                       0),
        (nameless,                                         2),
        ([point(1, 1), known[1], point(5, 5), known[2]],   2),
        ([point(0, 0), point(0, 1800000000)],              0),
        (known,                                            len(known)),
    ]  # fmt: skip
    with server.channel() as channel:
        stub = RouteGuideStub(channel)
        for points, features in cases:
            summary = stub.RecordRoute(iter(points))
            same((summary.point_count, summary.feature_count), (len(points), features))
            same(summary.distance, length(points))


@scenario("plain")
def record_route_of_thousands_of_points(server):
    points = [point(i * 1000, i * 2000) for i in range(5000)]
    with server.channel() as channel:
        summary = RouteGuideStub(channel).RecordRoute(iter(points))
        same((summary.point_count, summary.feature_count), (5000, 0))
        # The sum of 5,000 floating point numbers depends a little on how it is made.
        assert abs(summary.distance - length(points)) <= 1, summary


@scenario("plain")
def record_route_tells_whole_seconds(server):
    sent_first = []

    def points():
        sent_first.append(time.monotonic())
        yield point(1, 1)
        # Time itself is what this scenario is about.
        threading.Event().wait(1.3)
        yield point(2, 2)

    with server.channel() as channel:
        start = time.monotonic()
        summary = RouteGuideStub(channel).RecordRoute(points())
        longest = time.monotonic() - start
        assert 1 <= summary.elapsed_time <= longest, (summary, longest)
        start = time.monotonic()
        summary = RouteGuideStub(channel).RecordRoute(iter([point(1, 1)]))
        assert 0 <= summary.elapsed_time <= time.monotonic() - start, summary


@scenario("plain")
def record_route_in_every_way(server):
    points = [place.location for place in places(server)]
    wanted = (len(points), len(points), length(points))

    def short(summary):
        return (summary.point_count, summary.feature_count, summary.distance)

    async def main():
        async with server.aio_channel() as channel:
            stub = RouteGuideStub(channel)
            call = stub.RecordRoute()
            for each in points:
                await call.write(each)
            await call.done_writing()
            same(short(await call), wanted)
            # grpc.aio takes a plain iterator too, as the tutorial's client gives it.
            same(short(await stub.RecordRoute(iter(points))), wanted)

    with server.channel() as channel:
        stub = RouteGuideStub(channel)
        same(short(stub.RecordRoute.future(iter(points)).result(timeout=10)), wanted)
        summary, call = stub.RecordRoute.with_call(iter(points))
        same((short(summary), call.code()), (wanted, grpc.StatusCode.OK))
    asyncio.run(main())


# Place and text of a note, and the texts that come back for it.
NOTES = [
    ((0, 1), "first", []),
    ((0, 2), "second", []),
    ((0, 1), "third", ["first"]),
    ((0, 1), "", ["first", "third"]),
    ((0, 2), "五", ["second"]),
    ((0, 1), "sixth", ["first", "third", ""]),
    ((0, 2), "seventh", ["second", "五"]),
    ((1, 0), "eighth", []),
]


@scenario("plain")
def route_chat_gives_the_earlier_notes_of_the_place(server):
    with server.channel() as channel:
        stub = RouteGuideStub(channel)
        # The second call begins with no notes, although the first one left some.
        for _ in range(2):
            requests = queue.Queue()
            call = stub.RouteChat(iter(requests.get, None))
            for place, text, earlier in NOTES:
                requests.put(RouteNote(location=point(*place), message=text))
                for message in earlier:
                    same(next(call), RouteNote(location=point(*place), message=message))
            requests.put(None)
            same(list(call), [])
            same(call.code(), grpc.StatusCode.OK)


@scenario("plain")
def route_chat_keeps_two_calls_apart(server):
    with server.channel() as channel:
        stub = RouteGuideStub(channel)
        queues = [queue.Queue(), queue.Queue()]
        calls = [stub.RouteChat(iter(requests.get, None)) for requests in queues]
        for place, text, earlier in NOTES:
            for i, (requests, call) in enumerate(zip(queues, calls)):
                requests.put(RouteNote(location=point(*place), message=f"{i} {text}"))
                same(
                    [next(call).message for _ in earlier], [f"{i} {message}" for message in earlier]
                )
        for requests, call in zip(queues, calls):
            requests.put(None)
            same(list(call), [])


@scenario("plain")
def route_chat_asyncio(server):
    notes = [RouteNote(location=point(*place), message=text) for place, text, _ in NOTES]
    wanted = [message for _, _, earlier in NOTES for message in earlier]

    async def requests():
        for note in notes:
            yield note

    async def main():
        async with server.aio_channel() as channel:
            stub = RouteGuideStub(channel)
            same([note.message async for note in stub.RouteChat(requests())], wanted)
            call = stub.RouteChat()
            for note, (_, _, earlier) in zip(notes, NOTES):
                await call.write(note)
                same([(await call.read()).message for _ in earlier], earlier)
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF

    asyncio.run(main())


@scenario("fast_tasks")
def the_database_that_barewire_brings_along(server):
    with server.channel() as channel:
        stub = RouteGuideStub(channel)
        tutorial = point(409146138, -746188906)
        feature = stub.GetFeature(tutorial)
        same(feature.location, tutorial)
        assert feature.name, "the tutorial's point has a name"
        earth = Rectangle(lo=point(-900000000, -1800000000), hi=point(900000000, 1800000000))
        everything = list(stub.ListFeatures(earth))
        assert len(everything) >= 50, f"{len(everything)} places"
        assert feature in everything
        assert any(not each.name for each in everything), "all places have names"
        # The rectangle that the tutorials' clients ask for is not empty.
        tutorial = Rectangle(lo=point(400000000, -750000000), hi=point(420000000, -730000000))
        assert feature in list(stub.ListFeatures(tutorial))


@scenario("plain")
def a_request_that_is_no_point_is_refused(server):
    with server.channel() as channel:
        call = channel.unary_unary("/routeguide.RouteGuide/GetFeature")
        # A varint without an end.
        error = failure(call, b"\x08\xff\xff")
        same(error.code(), grpc.StatusCode.INTERNAL)

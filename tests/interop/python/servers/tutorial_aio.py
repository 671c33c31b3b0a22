"""Those services of the tutorials that are also taught with asyncio: a coroutine for each call."""

import time

import hellostreamingworld_pb2
import helloworld_pb2
import route_guide_pb2
from hellostreamingworld_pb2_grpc import MultiGreeterServicer, add_MultiGreeterServicer_to_server
from helloworld_pb2_grpc import GreeterServicer, add_GreeterServicer_to_server
from places import distance, feature_at, is_inside, read_features
from route_guide_pb2_grpc import RouteGuideServicer, add_RouteGuideServicer_to_server


def add_all(server, route_db):
    """Adds these services to a server."""
    add_GreeterServicer_to_server(Greeter(), server)
    add_MultiGreeterServicer_to_server(MultiGreeter(), server)
    add_RouteGuideServicer_to_server(RouteGuide(read_features(route_db)), server)


class Greeter(GreeterServicer):
    async def SayHello(self, request, context):
        return helloworld_pb2.HelloReply(message=f"Hello, {request.name}!")

    async def SayHello2(self, request, context):
        return helloworld_pb2.HelloReply(message=f"Hello again, {request.name}!")

    async def SayHelloStreamReply(self, request, context):
        for i in range(10):
            yield helloworld_pb2.HelloReply(message=f"Hello number {i}, {request.name}!")

    async def SayHelloBidiStream(self, request_iterator, context):
        async for request in request_iterator:
            yield helloworld_pb2.HelloReply(message=f"Hello, {request.name}!")


class MultiGreeter(MultiGreeterServicer):
    async def sayHello(self, request, context):
        for i in range(10):
            message = f"Hello number {i}, {request.name}!"
            yield hellostreamingworld_pb2.HelloReply(message=message)


class RouteGuide(RouteGuideServicer):
    def __init__(self, features):
        self.features = features

    async def GetFeature(self, request, context):
        feature = feature_at(self.features, request)
        return feature or route_guide_pb2.Feature(name="", location=request)

    async def ListFeatures(self, request, context):
        for feature in self.features:
            if is_inside(feature.location, request):
                yield feature

    async def RecordRoute(self, request_iterator, context):
        point_count = feature_count = 0
        metres = 0.0
        previous = None
        began_at = time.monotonic()
        async for point in request_iterator:
            point_count += 1
            if feature_at(self.features, point):
                feature_count += 1
            if previous:
                metres += distance(previous, point)
            previous = point
        return route_guide_pb2.RouteSummary(
            point_count=point_count,
            feature_count=feature_count,
            distance=int(metres),
            elapsed_time=int(time.monotonic() - began_at),
        )

    async def RouteChat(self, request_iterator, context):
        notes = []
        async for note in request_iterator:
            for earlier in notes:
                if earlier.location == note.location:
                    yield earlier
            notes.append(note)

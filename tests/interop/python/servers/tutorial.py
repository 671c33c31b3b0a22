"""The nine services of the tutorials, as their servers have them: a thread for each call."""

import random
import threading
import time

import chat_pb2
import contact_pb2
import greet_pb2
import grpc
import hello_pb2
import hellostreamingworld_pb2
import helloworld_pb2
import number_stream_pb2
import route_guide_pb2
import sum_stream_pb2
from chat_pb2_grpc import ChatServiceServicer, add_ChatServiceServicer_to_server
from contact_pb2_grpc import ContactServicer, add_ContactServicer_to_server
from greet_pb2_grpc import GreeterServicer as GreetServicer
from greet_pb2_grpc import add_GreeterServicer_to_server as add_GreetServicer_to_server
from hello_pb2_grpc import HelloServicer, add_HelloServicer_to_server
from hellostreamingworld_pb2_grpc import MultiGreeterServicer, add_MultiGreeterServicer_to_server
from helloworld_pb2_grpc import GreeterServicer, add_GreeterServicer_to_server
from number_stream_pb2_grpc import NumberServiceServicer, add_NumberServiceServicer_to_server
from places import distance, feature_at, is_inside, read_features
from route_guide_pb2_grpc import RouteGuideServicer, add_RouteGuideServicer_to_server
from sum_stream_pb2_grpc import SumServiceServicer, add_SumServiceServicer_to_server


def add_all(server, route_db, task_interval):
    """Adds all nine services to a server."""
    add_GreeterServicer_to_server(Greeter(), server)
    add_MultiGreeterServicer_to_server(MultiGreeter(), server)
    add_GreetServicer_to_server(Greet(), server)
    add_NumberServiceServicer_to_server(NumberService(), server)
    add_SumServiceServicer_to_server(SumService(), server)
    add_ChatServiceServicer_to_server(ChatService(), server)
    add_RouteGuideServicer_to_server(RouteGuide(read_features(route_db)), server)
    add_HelloServicer_to_server(Hello(), server)
    add_ContactServicer_to_server(Contact(task_interval), server)


class Greeter(GreeterServicer):
    def SayHello(self, request, context):
        return helloworld_pb2.HelloReply(message=f"Hello, {request.name}!")

    def SayHello2(self, request, context):
        return helloworld_pb2.HelloReply(message=f"Hello again, {request.name}!")

    def SayHelloStreamReply(self, request, context):
        for i in range(10):
            yield helloworld_pb2.HelloReply(message=f"Hello number {i}, {request.name}!")

    def SayHelloBidiStream(self, request_iterator, context):
        for request in request_iterator:
            yield helloworld_pb2.HelloReply(message=f"Hello, {request.name}!")


class MultiGreeter(MultiGreeterServicer):
    def sayHello(self, request, context):
        for i in range(number_of_greetings(request, context)):
            message = f"Hello number {i}, {request.name}!"
            yield hellostreamingworld_pb2.HelloReply(message=message)


def number_of_greetings(request, context):
    """How many greetings are asked for. Who asks for what is no number is told so."""
    asked = request.num_greetings
    if asked == "":
        return 10
    if asked.isascii() and asked.isdigit() and int(asked) <= 1_000_000:
        return int(asked)
    return context.abort(
        grpc.StatusCode.INVALID_ARGUMENT, f"num_greetings is {asked!r}, no number up to 1000000"
    )


class Greet(GreetServicer):
    def SayHello(self, request, context):
        return greet_pb2.HelloReply(message=f"Hello, {request.name}!")


class NumberService(NumberServiceServicer):
    def GetNumbers(self, request, context):
        for number in range(request.limit):
            yield number_stream_pb2.NumberResponse(number=number)


class SumService(SumServiceServicer):
    def CalculateSum(self, request_iterator, context):
        total = sum(request.number for request in request_iterator)
        if not -(2**31) <= total < 2**31:
            context.abort(grpc.StatusCode.OUT_OF_RANGE, f"the sum {total} is not within int32")
        return sum_stream_pb2.SumResponse(sum=total)


class ChatService(ChatServiceServicer):
    def Chat(self, request_iterator, context):
        for request in request_iterator:
            yield chat_pb2.ChatResponse(message=f"You said: {request.message}")


class RouteGuide(RouteGuideServicer):
    def __init__(self, features):
        self.features = features

    def GetFeature(self, request, context):
        feature = feature_at(self.features, request)
        return feature or route_guide_pb2.Feature(name="", location=request)

    def ListFeatures(self, request, context):
        for feature in self.features:
            if is_inside(feature.location, request):
                yield feature

    def RecordRoute(self, request_iterator, context):
        point_count = feature_count = 0
        metres = 0.0
        previous = None
        began_at = time.monotonic()
        for point in request_iterator:
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

    def RouteChat(self, request_iterator, context):
        notes = []
        for note in request_iterator:
            for earlier in notes:
                if earlier.location == note.location:
                    yield earlier
            notes.append(note)


class Hello(HelloServicer):
    def GetFeature(self, request, context):
        return hello_pb2.Feature(name="北京", location=request)

    def ListFeatures(self, request, context):
        for _ in range(10):
            yield hello_pb2.Feature(name="Beijing-Shanghai", location=request.lo)

    def RecordRoute(self, request_iterator, context):
        for _ in request_iterator:
            return hello_pb2.RouteSummary(
                point_count=1, feature_count=2, distance=3, elapsed_time=4
            )
        return hello_pb2.RouteSummary()

    def RouteChat(self, request_iterator, context):
        yield from request_iterator


class Contact(ContactServicer):
    def __init__(self, task_interval):
        self.task_interval = task_interval
        self.tasks = []
        self.next_burst_at = time.monotonic()
        self.lock = threading.Lock()

    def sendStatus(self, request_iterator, context):
        for request in request_iterator:
            yield contact_pb2.Result(ret=f"服务端接收到消息:{request.msg}")

    def getTask(self, request, context):
        left = threading.Event()
        context.add_callback(left.set)
        seen = 0
        while not left.is_set():
            for task in self.tasks_after(seen):
                yield contact_pb2.ServerMsg(task=task)
                seen += 1
            left.wait(self.next_burst_at - time.monotonic())

    def tellResult(self, request_iterator, context):
        for _ in request_iterator:
            pass
        return contact_pb2.Empty()

    def tasks_after(self, seen):
        with self.lock:
            if time.monotonic() >= self.next_burst_at:
                self.next_burst_at = time.monotonic() + self.task_interval
                self.tasks += [f"任务:{random.randint(100, 200)}" for _ in range(10)]
            return self.tasks[seen:]

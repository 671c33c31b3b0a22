"""Server reflection: v1alpha by grpcio's own package, v1 by our own stubs."""

import queue

import grpc
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha import reflection_pb2 as v1alpha
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_reflection.v1alpha.reflection_pb2_grpc import ServerReflectionStub as V1AlphaStub
from harness import failure, same, scenario
from reflection_v1 import reflection_pb2 as v1
from reflection_v1.reflection_pb2_grpc import ServerReflectionStub as V1Stub

SERVICES = {
    "Contact",
    "chat.ChatService",
    "greet.Greeter",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "hello.Hello",
    "hellostreamingworld.MultiGreeter",
    "helloworld.Greeter",
    "number_stream.NumberService",
    "routeguide.RouteGuide",
    "sum_stream.SumService",
}
NOT_FOUND = grpc.StatusCode.NOT_FOUND.value[0]


def both_versions(channel):
    return [(v1alpha, V1AlphaStub(channel)), (v1, V1Stub(channel))]


@scenario("plain")
def lists_every_service(server):
    with server.channel() as channel:
        services = list(ProtoReflectionDescriptorDatabase(channel).get_services())
        same(set(services), SERVICES)
        same(len(services), len(SERVICES))


@scenario("plain")
def describes_every_service(server):
    with server.channel() as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        for name in SERVICES:
            same(pool.FindServiceByName(name).full_name, name)


@scenario("plain")
def describes_every_method(server):
    # package                method                         request                 answer
    cases = [
        ("helloworld.",          "Greeter.SayHello",            "HelloRequest",         "HelloReply"),
        ("helloworld.",          "Greeter.SayHello2",           "HelloRequest",         "HelloReply"),
        ("helloworld.",          "Greeter.SayHelloStreamReply", "HelloRequest",         "stream HelloReply"),
        ("helloworld.",          "Greeter.SayHelloBidiStream",  "stream HelloRequest",  "stream HelloReply"),
        ("hellostreamingworld.", "MultiGreeter.sayHello",       "HelloRequest",         "stream HelloReply"),
        ("greet.",               "Greeter.SayHello",            "HelloRequest",         "HelloReply"),
        ("number_stream.",       "NumberService.GetNumbers",    "NumberRequest",        "stream NumberResponse"),
        ("sum_stream.",          "SumService.CalculateSum",     "stream NumberRequest", "SumResponse"),
        ("chat.",                "ChatService.Chat",            "stream ChatRequest",   "stream ChatResponse"),
        ("routeguide.",          "RouteGuide.GetFeature",       "Point",                "Feature"),
        ("routeguide.",          "RouteGuide.ListFeatures",     "Rectangle",            "stream Feature"),
        ("routeguide.",          "RouteGuide.RecordRoute",      "stream Point",         "RouteSummary"),
        ("routeguide.",          "RouteGuide.RouteChat",        "stream RouteNote",     "stream RouteNote"),
        ("hello.",               "Hello.GetFeature",            "Point",                "Feature"),
        ("hello.",               "Hello.ListFeatures",          "Rectangle",            "stream Feature"),
        ("hello.",               "Hello.RecordRoute",           "stream Point",         "RouteSummary"),
        ("hello.",               "Hello.RouteChat",             "stream RouteNote",     "stream RouteNote"),
        ("",                     "Contact.sendStatus",          "stream ClientMsg",     "stream Result"),
        ("",                     "Contact.getTask",             "Empty",                "stream ServerMsg"),
        ("",                     "Contact.tellResult",          "stream ClientMsg",     "Empty"),
    ]  # fmt: skip
    with server.channel() as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        for package, name, request, answer in cases:
            method = pool.FindMethodByName(package + name)
            same(method.client_streaming, request.startswith("stream "))
            same(method.server_streaming, answer.startswith("stream "))
            same(method.input_type.full_name, package + request.removeprefix("stream "))
            same(method.output_type.full_name, package + answer.removeprefix("stream "))


@scenario("plain")
def describes_messages_and_fields(server):
    with server.channel() as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        point = pool.FindMessageTypeByName("routeguide.Point")
        fields = [(field.name, field.number, field.type) for field in point.fields]
        int32 = FieldDescriptor.TYPE_INT32
        same(fields, [("latitude", 1, int32), ("longitude", 2, int32)])
        same(pool.FindFieldByName("hello.Point.latitude").type, FieldDescriptor.TYPE_FLOAT)


@scenario("plain")
def finds_files_by_name(server):
    with server.channel() as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        for name, service in [("route_guide.proto", "RouteGuide"), ("contact.proto", "Contact")]:
            file = database.FindFileByName(name)
            same((file.name, [each.name for each in file.service]), (name, [service]))


@scenario("plain")
def does_not_know_what_is_not_there(server):
    with server.channel() as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        lookups = [
            (database.FindFileContainingSymbol, ["no.Such"]),
            (database.FindFileContainingSymbol, ["helloworld"]),
            (database.FindFileContainingSymbol, ["helloworld.Greeter.Missing"]),
            (database.FindFileByName, ["no_such.proto"]),
            (database.FindAllExtensionNumbers, ["no.Such"]),
        ]
        for lookup, arguments in lookups:
            try:
                found = lookup(*arguments)
            except KeyError:
                continue
            raise AssertionError(f"{lookup.__name__}{arguments} found {found}")


@scenario("plain")
def a_known_message_without_extensions_has_none(server):
    with server.channel() as channel:
        same(
            ProtoReflectionDescriptorDatabase(channel).FindAllExtensionNumbers(
                "helloworld.HelloRequest"
            ),
            [],
        )


@scenario("plain")
def a_client_can_call_what_it_only_knows_from_reflection(server):
    with server.channel() as channel:
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        method = pool.FindMethodByName("routeguide.RouteGuide.GetFeature")
        request, reply = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        call = channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=request.SerializeToString,
            response_deserializer=reply.FromString,
        )
        feature = call(request(latitude=525200066, longitude=134049540))
        same((feature.name, feature.location.latitude), ("Berlin", 525200066))


@scenario("plain")
def both_versions_answer_a_mixed_stream_in_order(server):
    with server.channel() as channel:
        for version, stub in both_versions(channel):
            request = version.ServerReflectionRequest
            extension = version.ExtensionRequest(
                containing_type="helloworld.HelloRequest", extension_number=100
            )
            requests = [
                request(host="h", list_services=""),
                request(host="h", file_containing_symbol="no.Such"),
                request(host="h", file_containing_symbol="helloworld.Greeter"),
                request(host="h", file_containing_symbol="routeguide.Feature"),
                request(host="h", file_by_filename="chat.proto"),
                request(host="h", file_by_filename="no_such.proto"),
                request(host="h", all_extension_numbers_of_type="no.Such"),
                request(host="h", file_containing_extension=extension),
                request(host="h", list_services="*"),
            ]
            answers = list(stub.ServerReflectionInfo(iter(requests)))
            same([answer.original_request for answer in answers], requests)
            same([answer.valid_host for answer in answers], ["h"] * len(requests))
            kinds = [answer.WhichOneof("message_response") for answer in answers]
            listed, error, found = (
                "list_services_response",
                "error_response",
                "file_descriptor_response",
            )
            same(kinds, [listed, error, found, found, found, error, error, error, listed])
            for answer in answers:
                if answer.HasField("error_response"):
                    same(answer.error_response.error_code, NOT_FOUND)
                    assert answer.error_response.error_message
            names = [[file.name for file in files(answer)] for answer in answers[2:5]]
            same(names, [["helloworld.proto"], ["route_guide.proto"], ["chat.proto"]])
            for answer in [answers[0], answers[-1]]:
                same({each.name for each in answer.list_services_response.service}, SERVICES)


def files(answer):
    return [
        FileDescriptorProto.FromString(each)
        for each in answer.file_descriptor_response.file_descriptor_proto
    ]


@scenario("plain")
def an_unknown_symbol_does_not_end_the_stream(server):
    with server.channel() as channel:
        for version, stub in both_versions(channel):
            requests = queue.Queue()
            call = stub.ServerReflectionInfo(iter(requests.get, None))
            for symbol, kind in [
                ("no.Such", "error_response"),
                ("Contact", "file_descriptor_response"),
            ] * 3:
                requests.put(version.ServerReflectionRequest(file_containing_symbol=symbol))
                same(next(call).WhichOneof("message_response"), kind)
            requests.put(None)
            same(list(call), [])


@scenario("plain")
def a_request_that_asks_nothing(server):
    with server.channel() as channel:
        for version, stub in both_versions(channel):
            error = failure(stub.ServerReflectionInfo, iter([version.ServerReflectionRequest()]))
            same(error.code(), grpc.StatusCode.INVALID_ARGUMENT)


@scenario("tls")
def reflection_over_tls(server):
    with server.channel() as channel:
        same(set(ProtoReflectionDescriptorDatabase(channel).get_services()), SERVICES)

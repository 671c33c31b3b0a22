"""What the tools call, and what must come of it: the services of `barewire serve`."""

import dataclasses

SERVICES = """\
Contact
chat.ChatService
greet.Greeter
grpc.health.v1.Health
grpc.reflection.v1.ServerReflection
grpc.reflection.v1alpha.ServerReflection
hello.Hello
hellostreamingworld.MultiGreeter
helloworld.Greeter
number_stream.NumberService
routeguide.RouteGuide
sum_stream.SumService
"""

# Of one service, as tools of two families print them.
METHODS = """\
helloworld.Greeter.SayHello
helloworld.Greeter.SayHello2
helloworld.Greeter.SayHelloBidiStream
helloworld.Greeter.SayHelloStreamReply
"""
GREETER = """\
service Greeter {
  rpc SayHello ( .helloworld.HelloRequest ) returns ( .helloworld.HelloReply );
  rpc SayHello2 ( .helloworld.HelloRequest ) returns ( .helloworld.HelloReply );
  rpc SayHelloBidiStream ( stream .helloworld.HelloRequest ) returns ( stream .helloworld.HelloReply );
  rpc SayHelloStreamReply ( .helloworld.HelloRequest ) returns ( stream .helloworld.HelloReply );
}
"""
POINT = """\
message Point {
  int32 latitude = 1;
  int32 longitude = 2;
}
"""


@dataclasses.dataclass
class Call:
    name: str
    method: str
    # JSON, one message after the other.
    requests: str
    replies: list


CALLS = [
    Call(
        "a call of one message each way",
        "helloworld.Greeter/SayHello",
        '{"name": "you"}',
        [{"message": "Hello, you!"}],
    ),
    Call(
        "a call of many replies",
        "number_stream.NumberService/GetNumbers",
        '{"limit": 3}',
        [{}, {"number": 1}, {"number": 2}],
    ),
    Call(
        "a call of many requests",
        "sum_stream.SumService/CalculateSum",
        '{"number": 3} {"number": 4}',
        [{"sum": 7}],
    ),
    Call(
        "a call of many messages each way",
        "chat.ChatService/Chat",
        '{"message": "a"} {"message": "b"}',
        [{"message": "You said: a"}, {"message": "You said: b"}],
    ),
    Call(
        "names and text beyond ASCII",
        "hello.Hello/GetFeature",
        '{"latitude": 1.5}',
        [{"name": "北京", "location": {"latitude": 1.5}}],
    ),
]

# A call that is refused, with INVALID_ARGUMENT and this message.
REFUSED = Call(
    "a call that is refused",
    "hellostreamingworld.MultiGreeter/sayHello",
    '{"num_greetings": "+1"}',
    [],
)
REFUSAL = 'num_greetings "+1" is not a number from 0 to 1000000'

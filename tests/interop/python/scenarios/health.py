"""grpc.health.v1.Health, asked by grpcio's own package."""

import asyncio

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse, HealthListRequest
from grpc_health.v1.health_pb2_grpc import HealthStub
from harness import failure, same, scenario

SERVING = HealthCheckResponse.SERVING
NOT_SERVING = HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN = HealthCheckResponse.SERVICE_UNKNOWN


@scenario("plain")
def check(server):
    with server.channel() as channel:
        stub = HealthStub(channel)
        for service in ["", "helloworld.Greeter", "Contact", "routeguide.RouteGuide"]:
            same(
                (service, stub.Check(HealthCheckRequest(service=service)).status),
                (service, SERVING),
            )


@scenario("plain")
def check_of_an_unknown_service(server):
    with server.channel() as channel:
        stub = HealthStub(channel)
        for service in ["no.Such", "helloworld.greeter", "helloworld", " "]:
            error = failure(stub.Check, HealthCheckRequest(service=service))
            same((service, error.code()), (service, grpc.StatusCode.NOT_FOUND))


@scenario("plain")
def watch_answers_at_once_and_stays(server):
    with server.channel() as channel:
        stub = HealthStub(channel)
        for service, status in [
            ("", SERVING),
            ("helloworld.Greeter", SERVING),
            ("no.Such", SERVICE_UNKNOWN),
        ]:
            call = stub.Watch(HealthCheckRequest(service=service), timeout=2)
            same((service, next(call).status), (service, status))
            same(failure(lambda: next(call)).code(), grpc.StatusCode.DEADLINE_EXCEEDED)


@scenario("plain")
def list_has_all_services(server):
    with server.channel() as channel:
        statuses = HealthStub(channel).List(HealthListRequest()).statuses
        for service in ["helloworld.Greeter", "Contact", "routeguide.RouteGuide"]:
            same((service, statuses[service].status), (service, SERVING))
        assert "no.Such" not in statuses


@scenario("tls")
def health_over_tls_asyncio(server):
    async def main():
        async with server.aio_channel() as channel:
            stub = HealthStub(channel)
            same((await stub.Check(HealthCheckRequest())).status, SERVING)
            call = stub.Watch(HealthCheckRequest(service="helloworld.Greeter"))
            same((await call.read()).status, SERVING)
            call.cancel()
            call = stub.Check(HealthCheckRequest(service="no.Such"))
            same(await call.code(), grpc.StatusCode.NOT_FOUND)

    asyncio.run(main())


@scenario("nothing")
def watch_learns_that_the_server_stops(server):
    with server.start() as own, own.channel() as channel:
        stub = HealthStub(channel)
        calls = [
            stub.Watch(HealthCheckRequest(service=service))
            for service in ["", "helloworld.Greeter"]
        ]
        same([next(call).status for call in calls], [SERVING] * 2)
        own.terminate()
        same([next(call).status for call in calls], [NOT_SERVING] * 2)
        for call in calls:
            call.cancel()
        same(own.exit_code(), 0)

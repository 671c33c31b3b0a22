"""The cases of the interop tests on grpcio.

    test_client.py MESSAGES --server_port=PORT --test_case=CASE --use_tls=BOOL --use_test_ca=BOOL
        --ca_file=FILE --server_host_override=HOST
"""

import argparse
import queue
import time

import grpc
from messages import (
    ECHO_INITIAL,
    ECHO_TRAILING,
    Empty,
    OrcaLoadReport,
    OrcaLoadReportRequest,
    SimpleRequest,
    SimpleResponse,
    StreamingInputCallRequest,
    StreamingInputCallResponse,
    StreamingOutputCallRequest,
    StreamingOutputCallResponse,
    load_report,
    parse_bool,
)

LARGE_REQUEST, LARGE_RESPONSE = 271_828, 314_159
REQUEST_BYTES = [27_182, 8, 1_828, 45_904]
RESPONSE_SIZES = [31_415, 9, 2_653, 58_979]
# No case takes longer.
TIMEOUT = 20

INITIAL_VALUE, TRAILING_VALUE = "test_initial_metadata_value", b"\xab\xab\xab"


class Service:
    """The calls of the services, on one channel."""

    def __init__(self, channel):
        test = "/grpc.testing.TestService"
        unary, stream_out = channel.unary_unary, channel.unary_stream
        stream_in, both = channel.stream_unary, channel.stream_stream
        output = StreamingOutputCallRequest, StreamingOutputCallResponse
        self.empty_call = call(unary, f"{test}/EmptyCall", Empty, Empty)
        self.unary_call = call(unary, f"{test}/UnaryCall", SimpleRequest, SimpleResponse)
        self.streaming_output_call = call(stream_out, f"{test}/StreamingOutputCall", *output)
        self.streaming_input_call = call(
            *[stream_in, f"{test}/StreamingInputCall"],
            *[StreamingInputCallRequest, StreamingInputCallResponse],
        )
        self.full_duplex_call = call(both, f"{test}/FullDuplexCall", *output)
        self.unimplemented_method = call(unary, f"{test}/UnimplementedCall", Empty, Empty)
        nobody = "/grpc.testing.UnimplementedService/UnimplementedCall"
        self.unimplemented_service = call(unary, nobody, Empty, Empty)
        load = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics"
        self.load_reports = call(stream_out, load, OrcaLoadReportRequest, OrcaLoadReport)


def call(shape, path, request, response):
    return shape(
        path,
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )


class Requests:
    """A stream of requests that is told what to say."""

    def __init__(self):
        self.ready = queue.Queue()

    def send(self, request):
        self.ready.put(request)

    def finish(self):
        self.ready.put(None)

    def __iter__(self):
        return iter(self.ready.get, None)


def empty_unary(service):
    equal(service.empty_call(Empty(), timeout=TIMEOUT), Empty())


def large_unary(service):
    is_large(service.unary_call(large_request(), timeout=TIMEOUT))


def client_compressed_unary(service):
    request = large_request()
    request.expect_compressed.value = True
    fails(grpc.StatusCode.INVALID_ARGUMENT, service.unary_call, request)
    gzip = grpc.Compression.Gzip
    is_large(service.unary_call(request, compression=gzip, timeout=TIMEOUT))
    request.expect_compressed.value = False
    is_large(service.unary_call(request, timeout=TIMEOUT))


def server_compressed_unary(service):
    # Whether it came compressed, grpcio does not tell.
    for compressed in (True, False):
        request = large_request()
        request.response_compressed.value = compressed
        is_large(service.unary_call(request, timeout=TIMEOUT))


def client_streaming(service):
    requests = []
    for length in REQUEST_BYTES:
        request = StreamingInputCallRequest()
        request.payload.body = bytes(length)
        requests.append(request)
    response = service.streaming_input_call(iter(requests), timeout=TIMEOUT)
    equal(response.aggregated_payload_size, 74_922)


def server_streaming(service):
    request = StreamingOutputCallRequest()
    for size in RESPONSE_SIZES:
        request.response_parameters.add(size=size)
    responses = list(service.streaming_output_call(request, timeout=TIMEOUT))
    equal([response.payload.body for response in responses], [bytes(size) for size in RESPONSE_SIZES])


def server_compressed_streaming(service):
    request = StreamingOutputCallRequest()
    for size, compressed in [(31_415, True), (92_653, False)]:
        request.response_parameters.add(size=size).compressed.value = compressed
    responses = list(service.streaming_output_call(request, timeout=TIMEOUT))
    equal([response.payload.body for response in responses], [bytes(31_415), bytes(92_653)])


def ping_pong(service):
    requests = Requests()
    responses = service.full_duplex_call(iter(requests), timeout=TIMEOUT)
    for length, size in zip(REQUEST_BYTES, RESPONSE_SIZES):
        requests.send(ping(length, size))
        equal(next(responses).payload.body, bytes(size))
    requests.finish()
    equal(list(responses), [])


def empty_stream(service):
    equal(list(service.full_duplex_call(iter([]), timeout=TIMEOUT)), [])


def custom_metadata(service):
    metadata = [(ECHO_INITIAL, INITIAL_VALUE), (ECHO_TRAILING, TRAILING_VALUE)]
    unary = service.unary_call.with_call
    response, called = unary(large_request(), metadata=metadata, timeout=TIMEOUT)
    is_large(response)
    echoes_are_back(called)

    requests = Requests()
    called = service.full_duplex_call(iter(requests), metadata=metadata, timeout=TIMEOUT)
    requests.send(ping(LARGE_REQUEST, LARGE_RESPONSE))
    equal(next(called).payload.body, bytes(LARGE_RESPONSE))
    requests.finish()
    equal(list(called), [])
    echoes_are_back(called)


def status_code_and_message(service):
    text = "test status message"
    fails_with_text(service, text)
    request = StreamingOutputCallRequest()
    request.response_status.code = 2
    request.response_status.message = text
    responses = service.full_duplex_call(iter([request]), timeout=TIMEOUT)
    equal(fails(grpc.StatusCode.UNKNOWN, next, responses).details(), text)


def special_status_message(service):
    text = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"
    fails_with_text(service, text)


def unimplemented_method(service):
    fails(grpc.StatusCode.UNIMPLEMENTED, service.unimplemented_method, Empty())


def unimplemented_service(service):
    fails(grpc.StatusCode.UNIMPLEMENTED, service.unimplemented_service, Empty())


def cancel_after_begin(service):
    requests = Requests()
    called = service.streaming_input_call.future(iter(requests), timeout=TIMEOUT)
    called.cancel()
    requests.finish()
    equal(called.code(), grpc.StatusCode.CANCELLED)


def cancel_after_first_response(service):
    requests = Requests()
    called = service.full_duplex_call(iter(requests), timeout=TIMEOUT)
    requests.send(ping(REQUEST_BYTES[0], RESPONSE_SIZES[0]))
    equal(next(called).payload.body, bytes(RESPONSE_SIZES[0]))
    called.cancel()
    requests.finish()
    equal(called.code(), grpc.StatusCode.CANCELLED)


def timeout_on_sleeping_server(service):
    requests = Requests()
    request = StreamingOutputCallRequest()
    request.payload.body = bytes(27_182)
    requests.send(request)
    called = service.full_duplex_call(iter(requests), timeout=0.001)
    status = fails(grpc.StatusCode.DEADLINE_EXCEEDED, next, called)
    requests.finish()
    equal(status.code(), grpc.StatusCode.DEADLINE_EXCEEDED)


def pick_first_unary(service):
    request = SimpleRequest(response_size=1, fill_server_id=True)
    request.payload.body = bytes(1)
    ids = {service.unary_call(request, timeout=TIMEOUT).server_id for _ in range(100)}
    equal((len(ids), "" in ids), (1, False))


def orca_oob(service):
    requests = Requests()
    responses = service.full_duplex_call(iter(requests), timeout=30)
    wanted = OrcaLoadReportRequest()
    wanted.report_interval.seconds = 1
    reports = service.load_reports(wanted, timeout=30)
    for cpu, memory, other in [(0.8210, 0.5847, 0.30499), (0.29309, 0.2, 0.2039)]:
        request = StreamingOutputCallRequest()
        request.orca_oob_report.cpu_utilization = cpu
        request.orca_oob_report.memory_utilization = memory
        request.orca_oob_report.utilization["util"] = other
        request.response_parameters.add(size=1)
        requests.send(request)
        next(responses)
        expected = load_report(request.orca_oob_report)
        deadline = time.monotonic() + 10
        while (last := next(reports)) != expected:
            if time.monotonic() > deadline:
                equal(last, expected)
    requests.finish()
    equal(list(responses), [])
    reports.cancel()


def rpc_soak(service):
    for _ in range(10):
        start = time.monotonic()
        large_unary(service)
        equal(time.monotonic() - start < 1, True)


def channel_soak(connect):
    for _ in range(10):
        start = time.monotonic()
        with connect() as channel:
            large_unary(Service(channel))
        equal(time.monotonic() - start < 1, True)


def large_request():
    request = SimpleRequest(response_size=LARGE_RESPONSE)
    request.payload.body = bytes(LARGE_REQUEST)
    return request


def ping(length, size):
    request = StreamingOutputCallRequest()
    request.payload.body = bytes(length)
    request.response_parameters.add(size=size)
    return request


def is_large(response):
    equal(response.payload.body, bytes(LARGE_RESPONSE))


def echoes_are_back(called):
    initial = [value for key, value in called.initial_metadata() if key == ECHO_INITIAL]
    trailing = [value for key, value in called.trailing_metadata() if key == ECHO_TRAILING]
    equal((initial, trailing), ([INITIAL_VALUE], [TRAILING_VALUE]))


def fails_with_text(service, text):
    request = SimpleRequest()
    request.response_status.code = 2
    request.response_status.message = text
    equal(fails(grpc.StatusCode.UNKNOWN, service.unary_call, request).details(), text)


def fails(code, function, argument):
    """The failure of a call, which must be of this code."""
    try:
        came = function(argument)
    except grpc.RpcError as error:
        if error.code() != code:
            raise AssertionError(f"expected {code}; came {error.code()}: {error.details()}") from None
        return error
    raise AssertionError(f"expected {code}; came {shortened(came)}")


def equal(came, expected):
    if came != expected:
        raise AssertionError(f"expected {shortened(expected)}; came {shortened(came)}")


def shortened(value):
    text = " ".join(repr(value).split())
    return text if len(text) <= 200 else f"{text[:200]}…"


CASES = {
    function.__name__: function
    for function in [
        empty_unary,
        large_unary,
        client_compressed_unary,
        server_compressed_unary,
        client_streaming,
        server_streaming,
        server_compressed_streaming,
        ping_pong,
        empty_stream,
        custom_metadata,
        status_code_and_message,
        special_status_message,
        unimplemented_method,
        unimplemented_service,
        cancel_after_begin,
        cancel_after_first_response,
        timeout_on_sleeping_server,
        pick_first_unary,
        orca_oob,
        rpc_soak,
    ]
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("messages")
    parser.add_argument("--server_port", type=int, required=True)
    parser.add_argument("--test_case", required=True, choices=[*CASES, "channel_soak"])
    parser.add_argument("--use_tls", type=parse_bool, default=False)
    parser.add_argument("--use_test_ca", type=parse_bool, default=False)
    parser.add_argument("--ca_file")
    parser.add_argument("--server_host_override")
    options = parser.parse_args()
    address = f"localhost:{options.server_port}"

    def connect():
        if not options.use_tls:
            return grpc.insecure_channel(address)
        with open(options.ca_file, "rb") as authority:
            credentials = grpc.ssl_channel_credentials(authority.read())
        name = [("grpc.ssl_target_name_override", options.server_host_override)]
        return grpc.secure_channel(address, credentials, name)

    if options.test_case == "channel_soak":
        channel_soak(connect)
        return
    with connect() as channel:
        CASES[options.test_case](Service(channel))


main()

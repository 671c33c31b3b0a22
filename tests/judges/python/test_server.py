"""`grpc.testing.TestService` and `xds.service.orca.v3.OpenRcaService` on grpcio.

    test_server.py MESSAGES --port=PORT --use_tls=BOOL --tls_cert_file=FILE --tls_key_file=FILE
"""

import argparse
import os
import threading
import time
from concurrent import futures

import grpc
from messages import (
    ECHO_INITIAL,
    ECHO_TRAILING,
    LOAD_METRICS,
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

SERVER_ID = f"python-{os.getpid()}"

# What the load is, and who may say so.
load = OrcaLoadReport()
load_turn = threading.Lock()


def empty_call(request, context):
    return Empty()


def unary_call(request, context):
    trailers = echo(context)
    if request.HasField("orca_per_query_report"):
        report = load_report(request.orca_per_query_report)
        trailers.append((LOAD_METRICS, report.SerializeToString()))
        context.set_trailing_metadata(trailers)
    check_status(request, context)
    if not request.response_compressed.value:
        context.disable_next_message_compression()
    response = SimpleResponse(server_id=SERVER_ID if request.fill_server_id else "")
    response.payload.body = bytes(request.response_size)
    return response


def streaming_output_call(request, context):
    echo(context)
    check_status(request, context)
    yield from answers(request, context)


def streaming_input_call(requests, context):
    total = sum(len(request.payload.body) for request in requests)
    return StreamingInputCallResponse(aggregated_payload_size=total)


def full_duplex_call(requests, context):
    global load
    echo(context)
    my_turn = False
    try:
        for request in requests:
            check_status(request, context)
            if request.HasField("orca_oob_report"):
                my_turn = my_turn or load_turn.acquire()
                load = load_report(request.orca_oob_report)
            yield from answers(request, context)
    finally:
        if my_turn:
            load_turn.release()


def half_duplex_call(requests, context):
    echo(context)
    for request in list(requests):
        yield from answers(request, context)


def stream_core_metrics(request, context):
    while context.is_active():
        yield load
        time.sleep(max(1, request.report_interval.seconds))


def echo(context):
    """Begins the response, with metadata of the request. Its headers name a coding, and each message
    says by itself whether it uses it."""
    metadata = context.invocation_metadata()
    context.set_compression(grpc.Compression.Gzip)
    if initial := [tuple(pair) for pair in metadata if pair[0] == ECHO_INITIAL]:
        context.send_initial_metadata(initial)
    trailers = [tuple(pair) for pair in metadata if pair[0] == ECHO_TRAILING]
    context.set_trailing_metadata(trailers)
    return trailers


def check_status(request, context):
    if request.response_status.code != 0:
        codes = {code.value[0]: code for code in grpc.StatusCode}
        context.abort(codes[request.response_status.code], request.response_status.message)


def answers(request, context):
    for parameters in request.response_parameters:
        time.sleep(parameters.interval_us / 1e6)
        if not parameters.compressed.value:
            context.disable_next_message_compression()
        response = StreamingOutputCallResponse()
        response.payload.body = bytes(parameters.size)
        if parameters.fill_peer_socket_address.value:
            response.peer_socket_address = context.peer()
        yield response


def handlers():
    unary, stream_out = grpc.unary_unary_rpc_method_handler, grpc.unary_stream_rpc_method_handler
    stream_in, both = grpc.stream_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
    test_service = {
        "EmptyCall": unary(empty_call, *codec(Empty)),
        "UnaryCall": unary(unary_call, *codec(SimpleRequest)),
        "StreamingOutputCall": stream_out(streaming_output_call, *codec(StreamingOutputCallRequest)),
        "StreamingInputCall": stream_in(streaming_input_call, *codec(StreamingInputCallRequest)),
        "FullDuplexCall": both(full_duplex_call, *codec(StreamingOutputCallRequest)),
        "HalfDuplexCall": both(half_duplex_call, *codec(StreamingOutputCallRequest)),
    }
    load_service = {
        "StreamCoreMetrics": stream_out(stream_core_metrics, *codec(OrcaLoadReportRequest)),
    }
    return [
        grpc.method_handlers_generic_handler("grpc.testing.TestService", test_service),
        grpc.method_handlers_generic_handler("xds.service.orca.v3.OpenRcaService", load_service),
    ]


def codec(request):
    """Bytes to a request, and a response to bytes."""
    return request.FromString, lambda response: response.SerializeToString()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("messages")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--use_tls", type=parse_bool, default=False)
    parser.add_argument("--tls_cert_file")
    parser.add_argument("--tls_key_file")
    options = parser.parse_args()

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    server.add_generic_rpc_handlers(handlers())
    address = f"[::]:{options.port}"
    if options.use_tls:
        with open(options.tls_cert_file, "rb") as certificate, open(options.tls_key_file, "rb") as key:
            pair = (key.read(), certificate.read())
        server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    else:
        server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


main()

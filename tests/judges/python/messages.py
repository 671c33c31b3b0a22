"""The messages of the interop tests, made from descriptors.

Not from what protoc prints: the protos lie in `grpc/`, and so does grpcio.
"""

import pathlib
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_pool = descriptor_pool.DescriptorPool()
_files = descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(sys.argv[1]).read_bytes())
for _file in _files.file:
    _pool.Add(_file)


def _message(name):
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(name))


Empty = _message("grpc.testing.Empty")
SimpleRequest = _message("grpc.testing.SimpleRequest")
SimpleResponse = _message("grpc.testing.SimpleResponse")
StreamingInputCallRequest = _message("grpc.testing.StreamingInputCallRequest")
StreamingInputCallResponse = _message("grpc.testing.StreamingInputCallResponse")
StreamingOutputCallRequest = _message("grpc.testing.StreamingOutputCallRequest")
StreamingOutputCallResponse = _message("grpc.testing.StreamingOutputCallResponse")
OrcaLoadReport = _message("xds.data.orca.v3.OrcaLoadReport")
OrcaLoadReportRequest = _message("xds.service.orca.v3.OrcaLoadReportRequest")

ECHO_INITIAL = "x-grpc-test-echo-initial"
ECHO_TRAILING = "x-grpc-test-echo-trailing-bin"
LOAD_METRICS = "endpoint-load-metrics-bin"


def load_report(asked):
    """The report that a test asks for."""
    return OrcaLoadReport(
        cpu_utilization=asked.cpu_utilization,
        mem_utilization=asked.memory_utilization,
        request_cost=asked.request_cost,
        utilization=asked.utilization,
    )


def parse_bool(text):
    """A flag's value, as the official programs take it."""
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"

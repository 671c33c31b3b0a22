// The cases of the interop tests on grpc++.
//
//     test_client --server_port=PORT --test_case=CASE --use_tls=BOOL --use_test_ca=BOOL
//         --ca_file=FILE --server_host_override=HOST

#include <google/protobuf/util/message_differencer.h>

#include <chrono>
#include <functional>
#include <iomanip>
#include <iostream>
#include <set>
#include <tuple>
#include <vector>

#include "messages.h"

using namespace grpc::testing;
using grpc::Status;
using grpc::StatusCode;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

namespace {

const int LARGE_REQUEST = 271828, LARGE_RESPONSE = 314159;
const std::vector<int> REQUEST_BYTES = {27182, 8, 1828, 45904};
const std::vector<int> RESPONSE_SIZES = {31415, 9, 2653, 58979};
const std::string INITIAL_VALUE = "test_initial_metadata_value";
const std::string TRAILING_VALUE = "\xab\xab\xab";

using Metadata = std::multimap<grpc::string_ref, grpc::string_ref>;

// The service, on one channel.
struct Client {
    std::shared_ptr<grpc::Channel> channel;
    std::unique_ptr<TestService::Stub> service;
    // Another channel to the same server.
    std::function<Client()> connect;
};

// One call. No case takes longer than it may.
struct Call : grpc::ClientContext {
    explicit Call(milliseconds timeout = seconds(20)) {
        set_deadline(system_clock::now() + timeout);
    }
};

// What is expected, and looked at.

std::string text(const std::string& value) {
    std::ostringstream quoted;
    quoted << std::hex << std::setfill('0');
    for (unsigned char byte : value) {
        if (byte < ' ' || byte > '~') {
            quoted << "\\x" << std::setw(2) << int{byte};
        } else {
            quoted << byte;
        }
    }
    return '"' + quoted.str() + '"';
}

std::string text(bool value) { return value ? "true" : "false"; }
std::string text(size_t value) { return std::to_string(value); }
std::string text(int value) { return std::to_string(value); }

std::string text(const Status& status) {
    return "status " + text(status.error_code()) + " " + text(status.error_message());
}

template <class Value>
void expect(const std::string& what, const Value& expected, const Value& came) {
    if (expected == came) return;
    throw std::runtime_error(what + ": expected " + text(expected) + "; came " + text(came));
}

void ends(StatusCode code, const Status& came) {
    if (came.error_code() == code) return;
    throw std::runtime_error("expected status " + text(code) + "; came " + text(came));
}

// The next message of a stream.
template <class Stream, class Message>
void next(Stream& stream, Message& message) {
    if (stream.Read(&message)) return;
    throw std::runtime_error("expected one more message; came " + text(stream.Finish()));
}

// The end of a stream that has no more messages.
template <class Stream>
Status is_over(StatusCode code, Stream& stream) {
    StreamingOutputCallResponse response;
    expect("a message too many", false, stream.Read(&response));
    Status status = stream.Finish();
    ends(code, status);
    return status;
}

void is_zeros(const Payload& payload, size_t size) {
    expect("bytes of payload", size, payload.body().size());
    expect("a payload of zeros", true, payload.body() == std::string(size, '\0'));
}

// The only value of a key.
std::string only(const Metadata& metadata, const std::string& key) {
    expect("values of " + key, size_t{1}, metadata.count(key));
    grpc::string_ref value = metadata.find(key)->second;
    return std::string(value.data(), value.size());
}

void echoes_are_back(const Call& call) {
    expect(ECHO_INITIAL, INITIAL_VALUE, only(call.GetServerInitialMetadata(), ECHO_INITIAL));
    expect(ECHO_TRAILING, TRAILING_VALUE, only(call.GetServerTrailingMetadata(), ECHO_TRAILING));
}

// Messages.

template <class Request>
Request with_payload(size_t size) {
    Request request;
    request.mutable_payload()->set_body(std::string(size, '\0'));
    return request;
}

SimpleRequest large_request() {
    auto request = with_payload<SimpleRequest>(LARGE_REQUEST);
    request.set_response_size(LARGE_RESPONSE);
    return request;
}

StreamingOutputCallRequest ping(size_t length, int size) {
    auto request = with_payload<StreamingOutputCallRequest>(length);
    request.add_response_parameters()->set_size(size);
    return request;
}

template <class Request>
Request with_status(const std::string& message) {
    Request request;
    request.mutable_response_status()->set_code(StatusCode::UNKNOWN);
    request.mutable_response_status()->set_message(message);
    return request;
}

// The cases, in the order of the document.

void empty_unary(Client& client) {
    Call call;
    Empty response;
    ends(StatusCode::OK, client.service->EmptyCall(&call, Empty(), &response));
    expect("bytes of the response", size_t{0}, response.ByteSizeLong());
}

void large_call(Client& client, Call& call, const SimpleRequest& request) {
    SimpleResponse response;
    ends(StatusCode::OK, client.service->UnaryCall(&call, request, &response));
    is_zeros(response.payload(), LARGE_RESPONSE);
}

void large_unary(Client& client) {
    Call call;
    large_call(client, call, large_request());
}

void client_compressed_unary(Client& client) {
    SimpleRequest request = large_request();
    request.mutable_expect_compressed()->set_value(true);
    Call probe;
    SimpleResponse nothing;
    ends(StatusCode::INVALID_ARGUMENT, client.service->UnaryCall(&probe, request, &nothing));

    Call compressed;
    compressed.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    large_call(client, compressed, request);

    request.mutable_expect_compressed()->set_value(false);
    Call plain;
    large_call(client, plain, request);
}

void server_compressed_unary(Client& client) {
    for (bool compressed : {true, false}) {
        SimpleRequest request = large_request();
        request.mutable_response_compressed()->set_value(compressed);
        Call call;
        large_call(client, call, request);
        expect("a response compressed", compressed, came_compressed(call));
    }
}

void client_streaming(Client& client) {
    Call call;
    StreamingInputCallResponse response;
    auto writer = client.service->StreamingInputCall(&call, &response);
    for (int length : REQUEST_BYTES) {
        writer->Write(with_payload<StreamingInputCallRequest>(length));
    }
    writer->WritesDone();
    ends(StatusCode::OK, writer->Finish());
    expect("aggregated_payload_size", 74922, response.aggregated_payload_size());
}

void client_compressed_streaming(Client& client) {
    auto first = with_payload<StreamingInputCallRequest>(27182);
    first.mutable_expect_compressed()->set_value(true);
    auto second = with_payload<StreamingInputCallRequest>(45904);
    second.mutable_expect_compressed()->set_value(false);

    Call probe;
    StreamingInputCallResponse nothing;
    auto writer = client.service->StreamingInputCall(&probe, &nothing);
    writer->Write(first);
    writer->WritesDone();
    ends(StatusCode::INVALID_ARGUMENT, writer->Finish());

    Call call;
    call.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    StreamingInputCallResponse response;
    writer = client.service->StreamingInputCall(&call, &response);
    writer->Write(first);
    writer->Write(second, grpc::WriteOptions().set_no_compression());
    writer->WritesDone();
    ends(StatusCode::OK, writer->Finish());
    expect("aggregated_payload_size", 73086, response.aggregated_payload_size());
}

void server_streaming(Client& client) {
    StreamingOutputCallRequest request;
    for (int size : RESPONSE_SIZES) request.add_response_parameters()->set_size(size);
    Call call;
    auto reader = client.service->StreamingOutputCall(&call, request);
    StreamingOutputCallResponse response;
    for (int size : RESPONSE_SIZES) {
        next(*reader, response);
        is_zeros(response.payload(), size);
    }
    is_over(StatusCode::OK, *reader);
}

void server_compressed_streaming(Client& client) {
    const std::vector<std::tuple<int, bool>> wanted = {{31415, true}, {92653, false}};
    StreamingOutputCallRequest request;
    for (auto [size, compressed] : wanted) {
        ResponseParameters* parameters = request.add_response_parameters();
        parameters->set_size(size);
        parameters->mutable_compressed()->set_value(compressed);
    }
    Call call;
    auto reader = client.service->StreamingOutputCall(&call, request);
    StreamingOutputCallResponse response;
    for (auto [size, compressed] : wanted) {
        next(*reader, response);
        expect("a response compressed", compressed, came_compressed(call));
        is_zeros(response.payload(), size);
    }
    is_over(StatusCode::OK, *reader);
}

void ping_pong(Client& client) {
    Call call;
    auto stream = client.service->FullDuplexCall(&call);
    StreamingOutputCallResponse response;
    for (size_t i = 0; i < REQUEST_BYTES.size(); i++) {
        stream->Write(ping(REQUEST_BYTES[i], RESPONSE_SIZES[i]));
        next(*stream, response);
        is_zeros(response.payload(), RESPONSE_SIZES[i]);
    }
    stream->WritesDone();
    is_over(StatusCode::OK, *stream);
}

void empty_stream(Client& client) {
    Call call;
    auto stream = client.service->FullDuplexCall(&call);
    stream->WritesDone();
    is_over(StatusCode::OK, *stream);
}

void custom_metadata(Client& client) {
    Call unary;
    unary.AddMetadata(ECHO_INITIAL, INITIAL_VALUE);
    unary.AddMetadata(ECHO_TRAILING, TRAILING_VALUE);
    large_call(client, unary, large_request());
    echoes_are_back(unary);

    Call duplex;
    duplex.AddMetadata(ECHO_INITIAL, INITIAL_VALUE);
    duplex.AddMetadata(ECHO_TRAILING, TRAILING_VALUE);
    auto stream = client.service->FullDuplexCall(&duplex);
    stream->Write(ping(LARGE_REQUEST, LARGE_RESPONSE));
    // Initial metadata is there before the first message is read.
    stream->WaitForInitialMetadata();
    expect(ECHO_INITIAL, INITIAL_VALUE, only(duplex.GetServerInitialMetadata(), ECHO_INITIAL));
    StreamingOutputCallResponse response;
    next(*stream, response);
    is_zeros(response.payload(), LARGE_RESPONSE);
    stream->WritesDone();
    is_over(StatusCode::OK, *stream);
    echoes_are_back(duplex);
}

void fails_with_text(Client& client, const std::string& message) {
    Call call;
    SimpleResponse response;
    auto request = with_status<SimpleRequest>(message);
    Status status = client.service->UnaryCall(&call, request, &response);
    ends(StatusCode::UNKNOWN, status);
    expect("the text", message, status.error_message());
}

void status_code_and_message(Client& client) {
    const std::string message = "test status message";
    fails_with_text(client, message);

    Call call;
    auto stream = client.service->FullDuplexCall(&call);
    stream->Write(with_status<StreamingOutputCallRequest>(message));
    stream->WritesDone();
    Status status = is_over(StatusCode::UNKNOWN, *stream);
    expect("the text", message, status.error_message());
}

void special_status_message(Client& client) {
    fails_with_text(
        client, u8"\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n");
}

void unimplemented_method(Client& client) {
    Call call;
    Empty response;
    ends(StatusCode::UNIMPLEMENTED, client.service->UnimplementedCall(&call, Empty(), &response));
}

void unimplemented_service(Client& client) {
    auto service = UnimplementedService::NewStub(client.channel);
    Call call;
    Empty response;
    ends(StatusCode::UNIMPLEMENTED, service->UnimplementedCall(&call, Empty(), &response));
}

void cancel_after_begin(Client& client) {
    Call call;
    StreamingInputCallResponse response;
    auto writer = client.service->StreamingInputCall(&call, &response);
    call.TryCancel();
    ends(StatusCode::CANCELLED, writer->Finish());
}

void cancel_after_first_response(Client& client) {
    Call call;
    auto stream = client.service->FullDuplexCall(&call);
    stream->Write(ping(REQUEST_BYTES[0], RESPONSE_SIZES[0]));
    StreamingOutputCallResponse response;
    next(*stream, response);
    is_zeros(response.payload(), RESPONSE_SIZES[0]);
    call.TryCancel();
    ends(StatusCode::CANCELLED, stream->Finish());
}

void timeout_on_sleeping_server(Client& client) {
    Call call(milliseconds(1));
    auto stream = client.service->FullDuplexCall(&call);
    // The millisecond may be over before it is sent.
    stream->Write(with_payload<StreamingOutputCallRequest>(27182));
    is_over(StatusCode::DEADLINE_EXCEEDED, *stream);
}

void pick_first_unary(Client& client) {
    auto request = with_payload<SimpleRequest>(1);
    request.set_response_size(1);
    request.set_fill_server_id(true);
    std::set<std::string> ids;
    auto end = steady_clock::now() + seconds(30);
    for (int i = 0; i < 100; i++) {
        Call call;
        SimpleResponse response;
        ends(StatusCode::OK, client.service->UnaryCall(&call, request, &response));
        ids.insert(response.server_id());
    }
    expect("100 calls within 30 s", true, steady_clock::now() < end);
    expect("different server_id", size_t{1}, ids.size());
    expect("an empty server_id", false, ids.begin()->empty());
}

// Reads reports until the expected one is there, for at most 10 s.
void is_reported(grpc::ClientReader<OrcaLoadReport>& reports, const TestOrcaReport& asked) {
    OrcaLoadReport expected = load_report(asked), last;
    auto end = steady_clock::now() + seconds(10);
    do {
        next(reports, last);
        if (google::protobuf::util::MessageDifferencer::Equals(expected, last)) return;
    } while (steady_clock::now() < end);
    throw std::runtime_error(
        "expected the load " + expected.ShortDebugString() + "; came " + last.ShortDebugString());
}

void orca_oob(Client& client) {
    Call call(seconds(30)), load_call(seconds(30));
    auto stream = client.service->FullDuplexCall(&call);
    auto service = xds::service::orca::v3::OpenRcaService::NewStub(client.channel);
    xds::service::orca::v3::OrcaLoadReportRequest wanted;
    wanted.mutable_report_interval()->set_seconds(1);
    auto reports = service->StreamCoreMetrics(&load_call, wanted);

    const std::vector<std::tuple<double, double, double>> loads = {
        {0.8210, 0.5847, 0.30499},
        {0.29309, 0.2, 0.2039},
    };
    StreamingOutputCallResponse response;
    for (auto [cpu, memory, other] : loads) {
        StreamingOutputCallRequest request;
        TestOrcaReport* report = request.mutable_orca_oob_report();
        report->set_cpu_utilization(cpu);
        report->set_memory_utilization(memory);
        (*report->mutable_utilization())["util"] = other;
        request.add_response_parameters()->set_size(1);
        stream->Write(request);
        next(*stream, response);
        is_reported(*reports, *report);
    }
    stream->WritesDone();
    is_over(StatusCode::OK, *stream);
    load_call.TryCancel();
    OrcaLoadReport last;
    while (reports->Read(&last)) continue;
    ends(StatusCode::CANCELLED, reports->Finish());
}

const int SOAK_ITERATIONS = 10;
const seconds SOAK_LATENCY(1);

void rpc_soak(Client& client) {
    for (int i = 0; i < SOAK_ITERATIONS; i++) {
        auto start = steady_clock::now();
        large_unary(client);
        expect("an end within 1 s", true, steady_clock::now() - start < SOAK_LATENCY);
    }
}

void channel_soak(Client& client) {
    for (int i = 0; i < SOAK_ITERATIONS; i++) {
        auto start = steady_clock::now();
        Client next = client.connect();
        large_unary(next);
        expect("an end within 1 s", true, steady_clock::now() - start < SOAK_LATENCY);
    }
}

const std::map<std::string, void (*)(Client&)> CASES = {
    {"empty_unary", empty_unary},
    {"large_unary", large_unary},
    {"client_compressed_unary", client_compressed_unary},
    {"server_compressed_unary", server_compressed_unary},
    {"client_streaming", client_streaming},
    {"client_compressed_streaming", client_compressed_streaming},
    {"server_streaming", server_streaming},
    {"server_compressed_streaming", server_compressed_streaming},
    {"ping_pong", ping_pong},
    {"empty_stream", empty_stream},
    {"custom_metadata", custom_metadata},
    {"status_code_and_message", status_code_and_message},
    {"special_status_message", special_status_message},
    {"unimplemented_method", unimplemented_method},
    {"unimplemented_service", unimplemented_service},
    {"cancel_after_begin", cancel_after_begin},
    {"cancel_after_first_response", cancel_after_first_response},
    {"timeout_on_sleeping_server", timeout_on_sleeping_server},
    {"pick_first_unary", pick_first_unary},
    {"orca_oob", orca_oob},
    {"rpc_soak", rpc_soak},
    {"channel_soak", channel_soak},
};

Client connect(const Flags& flags) {
    grpc::ChannelArguments arguments;
    // Else channels to one server share a connection.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto credentials = grpc::InsecureChannelCredentials();
    if (flags.uses_tls()) {
        credentials = grpc::SslCredentials({flags.read("ca_file"), "", ""});
        arguments.SetSslTargetNameOverride(flags.get("server_host_override"));
    }
    std::string address = "localhost:" + flags.get("server_port");
    auto channel = grpc::CreateCustomChannel(address, credentials, arguments);
    return {channel, TestService::NewStub(channel), [flags] { return connect(flags); }};
}

}  // namespace

int main(int count, char** words) {
    try {
        Flags flags(count, words);
        auto found = CASES.find(flags.get("test_case"));
        if (found == CASES.end()) throw std::runtime_error("there is no case of this name");
        Client client = connect(flags);
        found->second(client);
    } catch (const std::exception& error) {
        std::cerr << error.what() << std::endl;
        return 1;
    }
}

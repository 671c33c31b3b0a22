// `grpc.testing.TestService` and `xds.service.orca.v3.OpenRcaService` on grpc++.
//
//     test_server --port=PORT --use_tls=BOOL --tls_cert_file=FILE --tls_key_file=FILE

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <mutex>
#include <thread>

#include "messages.h"

using namespace grpc::testing;
using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;

namespace {

const std::string LOAD_METRICS = "endpoint-load-metrics-bin";

// What the load is, and who may say so.
class Load {
public:
    std::mutex turn;

    OrcaLoadReport get() {
        std::lock_guard<std::mutex> held(lock);
        return report;
    }

    void set(const OrcaLoadReport& now) {
        std::lock_guard<std::mutex> held(lock);
        report = now;
    }

private:
    std::mutex lock;
    OrcaLoadReport report;
};

// Copies metadata of the request to the response.
void echo(ServerContext* call) {
    for (const auto& [key, value] : call->client_metadata()) {
        std::string copy(value.data(), value.size());
        if (key == ECHO_INITIAL) call->AddInitialMetadata(ECHO_INITIAL, copy);
        if (key == ECHO_TRAILING) call->AddTrailingMetadata(ECHO_TRAILING, copy);
    }
}

// The status that the client asks for, which is OK where it asks for none.
template <class Request>
Status asked_status(const Request& request) {
    const EchoStatus& asked = request.response_status();
    return Status(static_cast<StatusCode>(asked.code()), asked.message());
}

template <class Request>
Status check_compression(ServerContext* call, const Request& request) {
    if (!request.has_expect_compressed()) return Status::OK;
    if (request.expect_compressed().value() == came_compressed(*call)) return Status::OK;
    return Status(StatusCode::INVALID_ARGUMENT, "expect_compressed is not how the message came");
}

// Sends what the request asks for. Response-Headers name a coding, and each message says by itself
// whether it uses it.
template <class Writer>
void answer(ServerContext* call, const StreamingOutputCallRequest& request, Writer* writer) {
    for (const ResponseParameters& parameters : request.response_parameters()) {
        std::this_thread::sleep_for(std::chrono::microseconds(parameters.interval_us()));
        StreamingOutputCallResponse response;
        response.mutable_payload()->set_body(std::string(parameters.size(), '\0'));
        if (parameters.fill_peer_socket_address().value()) {
            response.set_peer_socket_address(call->peer());
        }
        grpc::WriteOptions options;
        if (!parameters.compressed().value()) options.set_no_compression();
        writer->Write(response, options);
    }
}

class TestServer final : public TestService::Service {
public:
    explicit TestServer(Load& load) : load(load) {}

    Status EmptyCall(ServerContext*, const Empty*, Empty*) override { return Status::OK; }

    Status UnaryCall(
        ServerContext* call, const SimpleRequest* request, SimpleResponse* response) override {
        echo(call);
        if (request->has_orca_per_query_report()) {
            OrcaLoadReport report = load_report(request->orca_per_query_report());
            call->AddTrailingMetadata(LOAD_METRICS, report.SerializeAsString());
        }
        Status status = asked_status(*request);
        if (status.ok()) status = check_compression(call, *request);
        if (!status.ok()) return status;
        if (request->response_compressed().value()) {
            call->set_compression_algorithm(GRPC_COMPRESS_GZIP);
        }
        response->mutable_payload()->set_body(std::string(request->response_size(), '\0'));
        if (request->fill_server_id()) response->set_server_id(id);
        return Status::OK;
    }

    Status StreamingOutputCall(
        ServerContext* call, const StreamingOutputCallRequest* request,
        grpc::ServerWriter<StreamingOutputCallResponse>* writer) override {
        call->set_compression_algorithm(GRPC_COMPRESS_GZIP);
        echo(call);
        Status status = asked_status(*request);
        if (status.ok()) answer(call, *request, writer);
        return status;
    }

    Status StreamingInputCall(
        ServerContext* call, grpc::ServerReader<StreamingInputCallRequest>* reader,
        StreamingInputCallResponse* response) override {
        size_t total = 0;
        StreamingInputCallRequest request;
        while (reader->Read(&request)) {
            Status status = check_compression(call, request);
            if (!status.ok()) return status;
            total += request.payload().body().size();
        }
        response->set_aggregated_payload_size(total);
        return Status::OK;
    }

    Status FullDuplexCall(
        ServerContext* call,
        grpc::ServerReaderWriter<StreamingOutputCallResponse, StreamingOutputCallRequest>* stream)
        override {
        call->set_compression_algorithm(GRPC_COMPRESS_GZIP);
        echo(call);
        // From the first report to the end of the call: each client waits to see its own.
        std::unique_lock<std::mutex> turn(load.turn, std::defer_lock);
        StreamingOutputCallRequest request;
        while (stream->Read(&request)) {
            Status status = asked_status(request);
            if (!status.ok()) return status;
            if (request.has_orca_oob_report()) {
                if (!turn.owns_lock()) turn.lock();
                load.set(load_report(request.orca_oob_report()));
            }
            answer(call, request, stream);
        }
        return Status::OK;
    }

private:
    Load& load;
    const std::string id = "cpp-" + std::to_string(getpid());
};

class LoadReports final : public xds::service::orca::v3::OpenRcaService::Service {
public:
    explicit LoadReports(Load& load) : load(load) {}

    Status StreamCoreMetrics(
        ServerContext* call, const xds::service::orca::v3::OrcaLoadReportRequest* request,
        grpc::ServerWriter<OrcaLoadReport>* writer) override {
        int64_t seconds = std::max<int64_t>(1, request->report_interval().seconds());
        while (!call->IsCancelled() && writer->Write(load.get())) {
            std::this_thread::sleep_for(std::chrono::seconds(seconds));
        }
        return Status::OK;
    }

private:
    Load& load;
};

std::shared_ptr<grpc::ServerCredentials> credentials(const Flags& flags) {
    if (!flags.uses_tls()) return grpc::InsecureServerCredentials();
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs.push_back({flags.read("tls_key_file"), flags.read("tls_cert_file")});
    return grpc::SslServerCredentials(options);
}

void serve(const Flags& flags) {
    Load load;
    TestServer test_server(load);
    LoadReports load_reports(load);
    grpc::ServerBuilder builder;
    builder.RegisterService(&test_server);
    builder.RegisterService(&load_reports);
    builder.AddListeningPort("[::]:" + flags.get("port"), credentials(flags));
    std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
    if (!server) throw std::runtime_error("cannot listen on port " + flags.get("port"));
    server->Wait();
}

}  // namespace

int main(int count, char** words) {
    try {
        serve(Flags(count, words));
    } catch (const std::exception& error) {
        std::cerr << error.what() << std::endl;
        return 1;
    }
}

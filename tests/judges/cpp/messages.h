// What server and client share: names of metadata, messages by size, the flags of the command line.

#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

#include "grpc/testing/test.grpc.pb.h"
#include "xds/service/orca/v3/orca.grpc.pb.h"

// From gRPC's library, which has it for tests such as these; no header tells of it.
uint32_t grpc_call_test_only_get_message_flags(grpc_call* call);

const std::string ECHO_INITIAL = "x-grpc-test-echo-initial";
const std::string ECHO_TRAILING = "x-grpc-test-echo-trailing-bin";

// Whether the last message that was read came compressed.
template <class Context>
bool came_compressed(Context& call) {
    // The first bit stays where the library leaves a message as it came, the second where not.
    const uint32_t compressed = 0x80000000, was_compressed = 0x40000000;
    uint32_t flags = grpc_call_test_only_get_message_flags(call.c_call());
    return (flags & (compressed | was_compressed)) != 0;
}

using xds::data::orca::v3::OrcaLoadReport;

// The report that a test asks for.
inline OrcaLoadReport load_report(const grpc::testing::TestOrcaReport& asked) {
    OrcaLoadReport report;
    report.set_cpu_utilization(asked.cpu_utilization());
    report.set_mem_utilization(asked.memory_utilization());
    *report.mutable_request_cost() = asked.request_cost();
    *report.mutable_utilization() = asked.utilization();
    return report;
}

// The flags of the official programs, each as --NAME=VALUE.
class Flags {
public:
    Flags(int count, char** words) {
        for (int i = 1; i < count; i++) {
            std::string word = words[i];
            size_t equals = word.find('=');
            if (word.rfind("--", 0) != 0 || equals == std::string::npos) {
                throw std::runtime_error("expected --NAME=VALUE; came " + word);
            }
            values[word.substr(2, equals - 2)] = word.substr(equals + 1);
        }
    }

    const std::string& get(const std::string& name) const {
        auto found = values.find(name);
        if (found == values.end()) throw std::runtime_error("there is no --" + name);
        return found->second;
    }

    bool uses_tls() const { return get("use_tls") == "true"; }

    // What is in the file that the flag names.
    std::string read(const std::string& name) const {
        std::ifstream file(get(name));
        if (!file) throw std::runtime_error("cannot read " + get(name));
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }

private:
    std::map<std::string, std::string> values;
};

//! Prints Rust for `proto/`, as the build script of any user of barewire does.

fn main() -> std::io::Result<()> {
    let protos = [
        "proto/connectrpc/conformance/v1/client.proto",
        "proto/connectrpc/conformance/v1/server.proto",
        "proto/connectrpc/conformance/v1/service.proto",
        "proto/google/rpc/status.proto",
    ];
    barewire::codegen::compile_protos(&protos, &["proto"])
}

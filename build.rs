//! Compiles `proto/`, for the services of the `barewire` command, with the generator that users run.
//!
//! What the library itself serves, health and reflection, was printed before and is committed, so
//! that without the command there is nothing to do here.

#[cfg(feature = "cli")]
#[path = "src/codegen/mod.rs"]
pub mod codegen;

#[cfg(feature = "cli")]
fn main() -> std::io::Result<()> {
    let protos = [
        "proto/chat.proto",
        "proto/contact.proto",
        "proto/greet.proto",
        "proto/hello.proto",
        "proto/hellostreamingworld.proto",
        "proto/helloworld.proto",
        "proto/number_stream.proto",
        "proto/route_guide.proto",
        "proto/sum_stream.proto",
    ];
    codegen::compile_protos(&protos, &["proto"])?;
    // The interop tests have descriptors of their own, which their service names by hand.
    let protos = [
        "proto/grpc/testing/test.proto",
        "proto/xds/service/orca/v3/orca.proto",
    ];
    codegen::compile_protos(&protos, &["proto"])
}

#[cfg(not(feature = "cli"))]
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
}

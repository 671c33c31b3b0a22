//! tonic's half of `bench.proto`; its messages are those of `harness`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../proto/bench.proto");
    let descriptors = protox::compile(["../proto/bench.proto"], ["../proto"])?;
    tonic_prost_build::configure()
        .extern_path(".bench", "::harness::messages")
        .compile_fds(descriptors)?;
    Ok(())
}

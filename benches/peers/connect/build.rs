//! connect-rust's messages and service of `bench.proto`, without protoc.

use std::error::Error;
use std::path::PathBuf;

use buffa_codegen::BytesRepr;
use connectrpc_build::CodeGenConfig;
use protox::prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../proto/bench.proto");
    let descriptors = protox::compile(["../proto/bench.proto"], ["../proto"])?;
    let path = PathBuf::from(std::env::var("OUT_DIR")?).join("bench.bin");
    std::fs::write(&path, descriptors.encode_to_vec())?;
    let mut config = CodeGenConfig::default();
    config.bytes_fields = vec![(".".to_owned(), BytesRepr::Bytes)];
    connectrpc_build::Config::new()
        .buffa_config(config)
        .files(&["bench.proto"])
        .descriptor_set(path)
        .generate_json(false)
        .include_file("_connectrpc.rs")
        .compile()?;
    Ok(())
}

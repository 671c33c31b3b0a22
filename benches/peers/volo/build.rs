//! volo's messages and service of `bench.proto`.

use std::path::PathBuf;

fn main() {
    println!("cargo:rerun-if-changed=../proto/bench.proto");
    volo_build::Builder::protobuf()
        .add_service("../proto/bench.proto")
        .include_dirs(vec![PathBuf::from("../proto")])
        .filename("bench.rs".into())
        .write()
        .unwrap();
}

//! What options change.

use std::fs;
use std::path::Path;

use barewire::codegen::{Options, compile_protos};

use crate::support::{child, is_child, options, package, scratch, written};

fn greeter_with(test: &str, change: impl FnOnce(&mut Options)) -> String {
    let scratch = scratch(test);
    let mut options = options(&scratch);
    change(&mut options);
    options
        .compile(&["greet.proto"], &[package("proto")])
        .unwrap();
    String::from_utf8(written(&scratch)["greet.rs"].clone()).unwrap()
}

#[test]
#[rustfmt::skip]
fn services_become_what_is_asked_for() {
    let cases = [
        // server  client
        (true,     true),
        (true,     false),
        (false,    true),
        (false,    false),
    ];
    for (server, client) in cases {
        let text = greeter_with("asked_for", |options| (options.server, options.client) = (server, client));
        assert!(text.contains("pub struct HelloRequest {"), "{text}");
        for item in ["::barewire::__server! {", "pub trait Greeter:", "pub struct GreeterServer<T>"] {
            assert_eq!(text.contains(item), server, "{item}: {text}");
        }
        for item in ["::barewire::__client! {", "pub struct GreeterClient {"] {
            assert_eq!(text.contains(item), client, "{item}: {text}");
        }
        assert_eq!(text.contains("::barewire::"), server || client, "{text}");
    }
}

#[test]
fn what_is_in_rust_already_is_not_printed() {
    let text = greeter_with("extern", |options| {
        let request = (".greet.HelloRequest", "::elsewhere::HelloRequest");
        options
            .extern_paths
            .push((request.0.to_owned(), request.1.to_owned()));
    });
    assert!(!text.contains("struct HelloRequest"), "{text}");
    assert!(
        text.contains("::barewire::Request<::elsewhere::HelloRequest>"),
        "{text}"
    );
}

#[test]
fn types_have_the_attributes_asked_for() {
    let text = greeter_with("attributes", |options| {
        let attribute = (".greet.HelloReply", "#[derive(Eq)]");
        options
            .type_attributes
            .push((attribute.0.to_owned(), attribute.1.to_owned()));
    });
    assert_eq!(text.matches("#[derive(Eq)]").count(), 1, "{text}");
    assert!(
        text.contains("/// A greeting.\n#[derive(Eq)]\n#[derive("),
        "{text}"
    );
}

#[test]
fn cargo_is_told_of_every_file_that_was_read() {
    if is_child() {
        return compile_protos(&["a.proto"], &["proto"]).unwrap();
    }
    let scratch = scratch("rerun");
    let import = "syntax = 'proto3'; import 'b.proto'; import 'google/protobuf/empty.proto';";
    fs::write(scratch.join("proto/a.proto"), import).unwrap();
    fs::write(
        scratch.join("proto/b.proto"),
        "syntax = 'proto3'; message M {}",
    )
    .unwrap();

    let output = child(
        "options::cargo_is_told_of_every_file_that_was_read",
        |command| {
            command
                .current_dir(&scratch)
                .env("OUT_DIR", scratch.join("out"));
        },
    );
    let output = String::from_utf8(output.stdout).unwrap();
    let told: Vec<_> = output
        .lines()
        .filter_map(|line| line.strip_prefix("cargo:"))
        .collect();
    assert_eq!(
        told,
        [
            "rerun-if-changed=proto/b.proto",
            "rerun-if-changed=proto/a.proto"
        ]
    );
    assert!(
        written(&scratch).contains_key("_.rs"),
        "OUT_DIR is where files go"
    );
}

#[test]
fn a_file_may_be_named_by_its_path_or_by_the_name_that_imports_call_it() {
    let text = greeter_with("by_name", |_| ());
    let scratch = scratch("by_path");
    let proto = package("proto").join(Path::new("greet.proto"));
    options(&scratch)
        .compile(&[proto], &[package("proto")])
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&written(&scratch)["greet.rs"]),
        text
    );
}

//! What is printed is formatted as rustfmt would.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{is_installed, options, package, rust_of, scratch};

/// Has rustfmt look at every file of Rust in a directory.
fn assert_formatted(directory: &Path) {
    if !is_installed("rustfmt") {
        return;
    }
    let files = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect();
    assert!(!files.is_empty());
    for file in &files {
        // It leaves alone what is in macros, so modules take their places.
        let text = fs::read_to_string(file).unwrap();
        let text = text.replace("\n::barewire::__server! {\n", "\nmod server {\n");
        let text = text.replace("\n::barewire::__client! {\n", "\nmod client {\n");
        assert!(!text.contains("\n::barewire::"), "{text}");
        fs::write(file, text).unwrap();
    }
    let mut rustfmt = Command::new("rustfmt");
    rustfmt.args(["--check", "--color", "never", "--edition", "2024"]);
    let output = rustfmt.args(&files).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{errors}");

    // Where it would have a line too long, ours is better.
    let said = String::from_utf8_lossy(&output.stdout);
    let mut changes = said.split("Diff in ").skip(1);
    let change = changes.find(|change| {
        let lines = change.lines().skip(1).filter(|line| !line.starts_with('-'));
        lines
            .map(str::len)
            .max()
            .is_some_and(|width| width <= 1 + 100)
    });
    assert_eq!(change, None);
}

#[test]
fn rustfmt_has_nothing_to_change_in_our_own_files() {
    let scratch = scratch("formatted");
    let protos = fs::read_dir(package("proto"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut protos: Vec<_> = protos.filter(|path| path.is_file()).collect();
    protos.push(package("proto/grpc/health/v1/health.proto"));
    protos.push(package("proto/grpc/reflection/v1/reflection.proto"));
    protos.push(package("tests/codegen/keywords.proto"));
    protos.push(package("tests/codegen/comments.proto"));
    protos.push(package("tests/codegen/clients.proto"));
    let includes = [package("proto"), package("tests/codegen")];
    options(&scratch).compile(&protos, &includes).unwrap();
    assert_formatted(&scratch.join("out"));
}

/// Every place where a line breaks comes for some length of name.
#[test]
fn rustfmt_has_nothing_to_change_for_names_of_any_length() {
    let scratch = scratch("lengths");
    let mut proto = "syntax = 'proto3'; package lengths;".to_owned();
    for length in 1..=50 {
        let name = "N".to_owned() + &"a".repeat(length - 1);
        let field = name.to_lowercase();
        let value = name.to_uppercase();
        proto += &format!(
            "
            message {name}{length} {{
                message {name} {{
                    enum {name} {{ {value}A = 0; {value}B = 1 [deprecated = true]; }}
                    oneof {field}a {{ {name} {field} = 1; string {field}b = 2; }}
                    {name} {field}c = 3;
                }}
                {name} {field} = 1;
                repeated {name}.{name} {field}a = 2 [deprecated = true];
                map<string, {name}> {field}b = 3;
                map<int32, {name}.{name}> {field}c = 4;
                oneof {field}d {{ string {field}e = 5; {name} {field}f = 6; int32 {field}g = 7; }}
                optional bytes {field}h = 8;
            }}
            message Empty{length} {{}}
            service S{name}{length} {{
                rpc {name}A({name}{length}) returns ({name}{length});
                rpc {name}B({name}{length}) returns (stream Empty{length});
                rpc {name}C(stream {name}{length}) returns (Empty{length});
                rpc {name}D(stream {name}{length}) returns (stream {name}{length});
                rpc {name}E({name}{length}.{name}) returns ({name}{length}.{name});
                rpc {name}F(stream {name}{length}.{name}) returns (stream {name}{length}.{name});
            }}"
        );
    }
    let path = scratch.join("proto/lengths.proto");
    fs::write(&path, proto).unwrap();
    options(&scratch)
        .compile(&[path], &[scratch.join("proto")])
        .unwrap();
    assert_formatted(&scratch.join("out"));
}

#[test]
fn texts_in_attributes_are_kept_whole() {
    let default =
        "a, b, c, and \\\"d\\\", \\\\, so that the line must break, which it may not do here";
    let proto = format!(
        "syntax = 'proto2'; message M {{ optional string s = 1 [default = \"{default}\"]; }}"
    );
    let text = rust_of("defaults", &proto);
    assert!(
        text.contains(&format!("\n        default = \"{default}\"\n    )]\n")),
        "{text}"
    );
}

//! What is printed once and committed is what would be printed now.

use std::fs;

use crate::support::{assert_committed, options, package, scratch, written};

#[test]
fn the_services_of_the_library_are_as_printed() {
    let protos = [
        "grpc/health/v1/health.proto",
        "grpc/reflection/v1/reflection.proto",
        "grpc/reflection/v1alpha/reflection.proto",
    ];
    let scratch = scratch("committed");
    // Each on its own: whoever serves one carries the descriptors of one.
    for proto in protos {
        options(&scratch)
            .compile(&[proto], &[package("proto")])
            .unwrap();
    }

    let printed = written(&scratch);
    let committed = package("src/services/generated");
    for (name, bytes) in &printed {
        assert_committed(&committed.join(name), bytes);
    }
    let names = fs::read_dir(committed)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, printed.keys().cloned().collect::<Vec<_>>());
}

#[test]
fn a_service_is_a_trait_and_a_wrapper() {
    let scratch = scratch("route_guide");
    options(&scratch)
        .compile(&["route_guide.proto"], &[package("proto")])
        .unwrap();
    let expected = package("tests/codegen/route_guide.expected.rs");
    assert_committed(&expected, &written(&scratch)["routeguide.rs"]);
}

#[test]
fn what_the_tests_compile_is_as_printed() {
    let scratch = scratch("printed");
    let protos = ["keywords.proto", "comments.proto", "clients.proto"];
    options(&scratch)
        .compile(&protos, &[package("tests/codegen")])
        .unwrap();
    for (name, bytes) in written(&scratch) {
        assert_committed(&package("tests/codegen/printed").join(name), &bytes);
    }
}

#[test]
fn what_the_interop_tests_call_is_as_printed() {
    let scratch = scratch("interop");
    options(&scratch)
        .compile(&["control.proto"], &[package("tests/interop")])
        .unwrap();
    for (name, bytes) in written(&scratch) {
        assert_committed(&package("tests/interop/printed").join(name), &bytes);
    }
}

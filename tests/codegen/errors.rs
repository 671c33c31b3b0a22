//! What is said about files that are broken or absent.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use barewire::codegen::{Options, compile_protos};

use crate::support::{child, compile_some, error_of, is_child, options, scratch};

#[test]
#[rustfmt::skip]
fn a_broken_file_is_an_error_with_line_and_column() {
    let cases = [
        // the file                                                             where, and what
        ("syntax = 'proto3';\n  massage M {}",                                  "2:3: expected 'enum', 'extend', 'import', 'message', 'option', 'service', 'package' or ';', but found 'massage'"),
        ("syntax = 'proto3';\nmessage M { string a = 1 }",                      "2:26: expected ';' or '[', but found '}'"),
        ("syntax = 'proto3';\nmessage M {\n    Missing a = 1;\n}",              "3:5: name 'Missing' is not defined"),
        ("syntax = 'proto3';\nmessage M { string a = 1; string b = 1; }",       "2:38: field number '1' is already used"),
        ("syntax = 'proto3';\nservice S { rpc A(M) returns (N); }\nmessage M {}", "2:31: name 'N' is not defined"),
        ("syntax = 'proto3';\nimport 'absent.proto';",                          "2:1: import 'absent.proto' not found; searched in /proto"),
        ("syntax = 'proto4';",                                                  "1:10: unknown syntax 'proto4'"),
    ];
    for (proto, error) in cases {
        assert_eq!(error_of("broken", &[("b.proto", proto)]), format!("/proto/b.proto:{error}"), "{proto}");
    }
}

#[test]
fn an_error_in_an_import_is_told_of_the_import() {
    let files = [
        ("a.proto", "syntax = 'proto3'; import 'b.proto';"),
        ("b.proto", "syntax = 'proto3';\n  oops"),
    ];
    let error = error_of("broken_import", &files);
    assert!(
        error.starts_with("/proto/b.proto:2:3: expected 'enum', "),
        "{error}"
    );
}

#[test]
fn an_import_cycle_is_an_error() {
    let files = [
        ("a.proto", "syntax = 'proto3'; import 'b.proto';"),
        ("b.proto", "syntax = 'proto3'; import 'a.proto';"),
    ];
    let error = error_of("cycle", &files);
    assert_eq!(
        error,
        "import cycle detected: a.proto -> b.proto -> a.proto"
    );
}

#[test]
fn an_absent_file_is_an_error_with_the_directories_searched() {
    let error = compile_some("absent", &[], &["absent.proto"]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let proto = scratch("absent").join("proto").display().to_string();
    let searched = format!("file '{proto}/absent.proto' not found; searched in {proto}");
    assert_eq!(error.to_string(), searched);

    let options = options(&scratch("absent"));
    let error = options
        .compile(&["absent.proto"], &["no/such"])
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "file 'absent.proto' not found; searched in no/such (no such directory)"
    );

    let includes: [&str; 0] = [];
    let error = options
        .compile(&["absent.proto"], &includes)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "file 'absent.proto' not found; no include directory was given"
    );
}

#[test]
fn a_file_outside_of_all_directories_is_an_error() {
    let scratch = scratch("outside");
    fs::write(scratch.join("a.proto"), "syntax = 'proto3';").unwrap();
    let proto = scratch.join("a.proto");
    let error = options(&scratch).compile(&[&proto], &[scratch.join("proto")]);
    let expected = format!("file '{}' is not in any include path; ", proto.display());
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn a_main_that_returns_the_error_prints_it_unquoted() {
    let error = compile_some("debug", &[], &["a.proto"]).unwrap_err();
    let in_debug = format!("{error:?}");
    assert!(in_debug.contains(&error.to_string()), "{in_debug}");
    assert!(!in_debug.contains('"'), "{in_debug}");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let scratch = scratch("unwritable");
    let proto = scratch.join("proto/a.proto");
    fs::write(&proto, "syntax = 'proto3'; message M {}").unwrap();
    let options = Options {
        out_dir: Some(Path::new("/no/such").to_owned()),
        ..options(&scratch)
    };
    let error = options
        .compile(&[&proto], &[scratch.join("proto")])
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("cannot write /no/such/_."), "{error}");
}

#[test]
fn outside_of_a_build_script_out_dir_must_be_said() {
    if is_child() {
        let error = compile_protos(&["a.proto"], &["."])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("OUT_DIR is not set"), "{error}");
        return;
    }
    child(
        "errors::outside_of_a_build_script_out_dir_must_be_said",
        |command| {
            command.env_remove("OUT_DIR");
        },
    );
}

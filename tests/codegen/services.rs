//! Names of services, methods and messages.

use crate::support::{compile, error_of, options, package, rust_of, scratch, written};

#[test]
#[rustfmt::skip]
fn methods_have_the_names_that_rust_gives() {
    let cases = [
        // in the .proto      in Rust
        ("GetFeature",        "get_feature"),
        ("sayHello",          "say_hello"),
        ("SayHello2",         "say_hello2"),
        ("GetHTTPThing",      "get_http_thing"),
        ("get_thing",         "get_thing"),
        ("GET",               "get"),
        ("type",              "r#type"),
        ("Match",             "r#match"),
        ("async",             "r#async"),
        ("gen",               "r#gen"),
        ("try",               "r#try"),
        ("static",            "r#static"),
        ("self",              "self_"),            // these no `r#` makes names
        ("crate",             "crate_"),
        ("Super",             "super_"),
        ("union",             "union"),            // a keyword only where unions are declared
    ];
    let methods = cases.map(|(name, _)| format!("rpc {name}(M) returns (M);")).concat();
    let proto = format!("syntax = 'proto3'; package names; service S {{ {methods} }} message M {{}}");
    let text = rust_of("method_names", &proto);
    for (name, rust_name) in cases {
        assert!(text.contains(&format!("        fn {rust_name}(\n")), "{name}: {text}");
        assert!(text.contains(&format!("\n                    \"{name}\" => {{\n")), "{name}: {text}");
        assert!(text.contains(&format!(" handler.{rust_name}(request).await?;\n")), "{name}: {text}");
    }
}

#[test]
#[rustfmt::skip]
fn the_arguments_are_the_line_of_the_proto() {
    let cases: [(&str, &[&str], &str); 4] = [
        ("rpc A(In) returns (Out);",               &["request: ::barewire::Request<In>,"],                                                              "Response<Out>"),
        ("rpc A(In) returns (stream Out);",        &["request: ::barewire::Request<In>,", "replies: ::barewire::Replies<Out>,"],                        "Result<()"),
        ("rpc A(stream In) returns (Out);",        &["requests: ::barewire::Request<::barewire::Inbound<In>>,"],                                        "Response<Out>"),
        ("rpc A(stream In) returns (stream Out);", &["requests: ::barewire::Request<::barewire::Inbound<In>>,", "replies: ::barewire::Replies<Out>,"],  "Result<()"),
    ];
    for (method, arguments, result) in cases {
        let proto = format!("syntax = 'proto3'; service S {{ {method} }} message In {{}} message Out {{}}");
        let text = rust_of("kinds", &proto);
        let arguments: String = arguments.iter().map(|argument| format!("            {argument}\n")).collect();
        let head = format!("        fn a(\n            &self,\n{arguments}        ) -> ");
        assert!(text.contains(&head), "{method}: {text}");
        assert!(text.contains(&format!("{result}, ::barewire::Status>")), "{method}: {text}");
    }
}

#[test]
fn a_service_without_package_is_called_by_its_own_name() {
    let scratch = scratch("no_package");
    options(&scratch)
        .compile(&["contact.proto"], &[package("proto")])
        .unwrap();
    let written = written(&scratch);
    assert_eq!(
        written.keys().collect::<Vec<_>>(),
        ["_.descriptor_set.bin", "_.rs"]
    );

    let text = String::from_utf8_lossy(&written["_.rs"]);
    assert!(text.contains("fn name(&self) -> &'static str {\n            \"Contact\"\n        }"));
    assert!(text.contains("\"sendStatus\" => handler.send_status("));
}

#[test]
fn a_service_may_have_no_method() {
    let text = rust_of(
        "no_method",
        "syntax = 'proto3'; package p; service Nothing {}",
    );
    assert!(
        text.contains("pub trait Nothing: ::std::marker::Send + ::std::marker::Sync + 'static {}")
    );
    assert!(text.contains("Err(call.unknown_method())"));
    assert!(text.contains("pub struct NothingClient {"), "{text}");
    // With no method, these would be warnings of the compiler.
    for unused in ["handler", "mut call", "match"] {
        assert!(!text.contains(unused), "{unused}: {text}");
    }
}

#[test]
#[rustfmt::skip]
fn a_service_may_be_called_like_what_is_printed_for_it() {
    let cases = [
        ("Self", "pub struct SelfServer<T>(pub T);", "impl<T: Self_> ::barewire::Service for SelfServer<T> {"),
        ("T",    "pub struct TServer<U>(pub U);",    "impl<U: T> ::barewire::Service for TServer<U> {"),
    ];
    for (name, wrapper, head) in cases {
        let text = rust_of("service_names", &format!("syntax = 'proto3'; service {name} {{}}"));
        assert!(text.contains(wrapper), "{text}");
        assert!(text.contains(head), "{text}");
    }
}

#[test]
#[rustfmt::skip]
fn messages_may_be_called_like_what_services_are_printed_with() {
    let scratch = scratch("keywords");
    options(&scratch).compile(&["keywords.proto"], &[package("tests/codegen")]).unwrap();
    let text = String::from_utf8(written(&scratch)["codegen.keywords.rs"].clone()).unwrap();
    let services = &text[text.find("::barewire::__server!").unwrap()..];

    let cases = [
        ("Result<",   "::std::result::Result<"),
        ("Err(",      "::std::result::Result::Err("),
        ("Box::",     "::std::boxed::Box::"),
        ("Future<",   "::std::future::Future<"),
        ("Request<",  "::barewire::Request<"),
        ("Response<", "::barewire::Response<"),
        ("Inbound<",  "::barewire::Inbound<"),
        ("Replies<",  "::barewire::Replies<"),
        ("Service for", "::barewire::Service for"),
        ("ServerCall)", "::barewire::ServerCall)"),
        ("Serving<",  "::barewire::Serving<"),
        ("Into<",     "::std::convert::Into<"),
        ("Outbound<", "::barewire::Outbound<"),
        ("Channel,",  "::barewire::Channel,"),
        ("MethodPath::", "::barewire::MethodPath::"),
    ];
    for (name, path) in cases {
        assert!(services.contains(path), "{path}");
        assert_eq!(services.matches(name).count(), services.matches(path).count(), "{name}");
    }
    assert!(!services.contains("+ Send") && !services.contains(": Send"), "{services}");
}

#[test]
fn messages_of_google_are_those_of_prost() {
    let text = rust_of(
        "well_known",
        "syntax = 'proto3'; package p;
        import 'google/protobuf/any.proto';
        import 'google/protobuf/empty.proto';
        import 'google/protobuf/timestamp.proto';
        import 'google/protobuf/wrappers.proto';
        service S {
            rpc A(google.protobuf.Empty) returns (google.protobuf.Timestamp);
            rpc B(stream google.protobuf.StringValue) returns (stream google.protobuf.Any);
        }",
    );
    assert!(text.contains("request: ::barewire::Request<()>,"), "{text}");
    assert!(
        text.contains("::barewire::Response<::prost_types::Timestamp>"),
        "{text}"
    );
    assert!(
        text.contains("::barewire::Inbound<::prost::alloc::string::String>"),
        "{text}"
    );
    assert!(
        text.contains("::barewire::Replies<::prost_types::Any>"),
        "{text}"
    );
}

#[test]
fn messages_of_other_packages_are_found_where_packages_lie() {
    let written = compile(
        "packages",
        &[
            (
                "bank.proto",
                "syntax = 'proto3'; package my.bank; message Account { string id = 1; }",
            ),
            (
                "shop.proto",
                "syntax = 'proto3'; package my.shop; import 'bank.proto';
                service Shop { rpc Pay(my.bank.Account) returns (my.bank.Account); }",
            ),
        ],
    );
    let text = String::from_utf8(written.unwrap()["my.shop.rs"].clone()).unwrap();
    assert!(
        text.contains("request: ::barewire::Request<super::bank::Account>,"),
        "{text}"
    );
}

#[test]
#[rustfmt::skip]
fn two_names_that_become_one_are_an_error() {
    let cases = [
        // what the service and its package hold                             where, and what
        ("service S {\n rpc GetX(M) returns (M);\n  rpc get_x(M) returns (M); }", "3:3: methods `GetX` and `get_x` would both be `get_x` in Rust"),
        ("service S {\n rpc self(M) returns (M); rpc Self(M) returns (M); }",     "2:27: methods `self` and `Self` would both be `self_` in Rust"),
        ("service S {}\nmessage SServer {}",                                     "2:1: two items would be `SServer` in Rust"),
        ("message SClient {}\n service S {}",                                    "1:44: two items would be `SClient` in Rust"),
        ("service S {}\n service SClient {}",                                    "2:2: two items would be `SClient` in Rust"),
        ("service my_service {}\n  service MyService {}",                         "2:3: two items would be `MyService` in Rust"),
        ("message my_message {}\n   enum MyMessage { NONE = 0; }",                "2:4: two items would be `MyMessage` in Rust"),
    ];
    for (items, error) in cases {
        let proto = format!("syntax = 'proto3'; package p; message M {{}} {items}");
        assert_eq!(error_of("name_clash", &[("s.proto", &proto)]), format!("/proto/s.proto:{error}"));
    }
}

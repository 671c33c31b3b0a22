//! Clients: what is printed of them, and that it compiles, with whichever features the crate has.

use crate::support::rust_of;

/// Names that clients have, and that compilers and linters know.
pub mod printed {
    include!("printed/codegen.clients.rs");
}

#[test]
#[rustfmt::skip]
fn the_method_is_the_line_of_the_proto() {
    let cases = [
        ("rpc A(In) returns (Out);",               "In", "::barewire::Response<Out>",                                 "unary"),
        ("rpc A(In) returns (stream Out);",        "In", "::barewire::Inbound<Out>",                                  "server_streaming"),
        ("rpc A(stream In) returns (Out);",        "()", "(::barewire::Outbound<In>, ::barewire::Inbound<Out>)",      "client_streaming"),
        ("rpc A(stream In) returns (stream Out);", "()", "(::barewire::Outbound<In>, ::barewire::Inbound<Out>)",      "bidi"),
    ];
    for (method, request, result, shape) in cases {
        let proto = format!("syntax = 'proto3'; package p; service S {{ {method} }} message In {{}} message Out {{}}");
        let text = rust_of("client_kinds", &proto);
        let client = &text[text.find("impl SClient {").unwrap()..];
        let words = client.split_whitespace().collect::<Vec<_>>().join(" ");
        let argument = format!("request: impl ::std::convert::Into<::barewire::Request<{request}>>,");
        for part in [
            &format!("pub async fn a( &self, {argument} ) -> ::std::result::Result<"),
            result,
            "MethodPath::from_static(\"/p.S/A\");",
            &format!("self.channel.{shape}(path, request).await }}"),
        ] {
            assert!(words.contains(part), "{part}: {text}");
        }
    }
}

#[test]
#[rustfmt::skip]
fn a_call_may_be_called_like_what_a_client_has() {
    let cases = [
        // in the .proto   in Rust
        ("new",            "new_"),
        ("New",            "new_"),
        ("new_",           "new_"),
        ("clone",          "clone"),
        ("type",           "r#type"),
        ("Self",           "self_"),
    ];
    for (name, rust_name) in cases {
        let proto = format!("syntax = 'proto3'; service S {{ rpc {name}(M) returns (M); }} message M {{}}");
        let text = rust_of("client_names", &proto);
        assert!(text.contains(&format!("        pub async fn {rust_name}(\n")), "{name}: {text}");
        assert!(text.contains(&format!("\"/S/{name}\"")), "{name}: {text}");
    }
}

#[cfg(feature = "client")]
mod with_the_feature {
    use barewire::Channel;

    use super::printed::{ChannelClient, Option, RequestClient, SelfClient};

    fn assert_send(_: impl Send) {}

    /// Never run: that it compiles is the test.
    #[expect(dead_code)]
    fn futures_of_calls_are_send(channel: Channel) {
        let client = ChannelClient::new(channel.clone());
        // The trait's method is still there for who asks for it by its full name.
        let client = Clone::clone(&client);
        assert_send(client.new_(Option {}));
        assert_send(client.clone(Option {}));
        assert_send(client.r#type(barewire::Request::new(Option {})));
        assert_send(client.self_(Option {}));
        assert_send(client.channel(Option {}));
        assert_send(client.request(()));
        assert_send(client.path(barewire::Request::new(())));
        assert_send(RequestClient::new(channel.clone()).request(Option {}));
        assert_send(SelfClient::new(channel).self_(()));
    }
}

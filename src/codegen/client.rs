//! Prints a client: a method for each call of a service, on top of a channel.
//!
//! As all that is printed, it names what it uses in full. It stands in a macro, as what serves does.

use prost_build::{Method, Service};

use super::layout::{break_types, let_call, method_result};
use super::service::{full_name, method_docs, service_docs, stem};

/// Prints what it takes to call a service.
pub(super) fn print_client(service: &Service, text: &mut String) {
    let docs = service_docs(service, "Calls the service");
    let client = format!("{}Client", stem(service));
    let methods: String = service
        .methods
        .iter()
        .map(|method| format_method(service, method))
        .collect();
    text.push_str(&format!(
        "\
::barewire::__client! {{
{docs}    #[derive(Clone, Debug)]
    pub struct {client} {{
        channel: ::barewire::Channel,
    }}

    impl {client} {{
        /// Calls go through `channel`. Clones of it share its connections.
        pub fn new(channel: ::barewire::Channel) -> Self {{
            Self {{ channel }}
        }}
{methods}    }}
}}
"
    ));
}

/// A method of the client. Here an `async fn` will do: its future is `Send` because that of the
/// channel is, and the compiler sees it.
fn format_method(service: &Service, method: &Method) -> String {
    let Method {
        name,
        proto_name,
        input_type: input,
        output_type: output,
        client_streaming,
        server_streaming,
        ..
    } = method;
    // No name in a `.proto` file becomes one that ends so.
    let name = if name == "new" { "new_" } else { name };
    let docs = method_docs(method);

    let halves = format!("(::barewire::Outbound<{input}>, ::barewire::Inbound<{output}>)");
    let (shape, message, result) = match (client_streaming, server_streaming) {
        (false, false) => ("unary", &**input, format!("::barewire::Response<{output}>")),
        (false, true) => (
            "server_streaming",
            &**input,
            format!("::barewire::Inbound<{output}>"),
        ),
        (true, false) => ("client_streaming", "()", halves),
        (true, true) => ("bidi", "()", halves),
    };
    let request = break_types(&format!(
        "            request: impl ::std::convert::Into<::barewire::Request<{message}>>,"
    ));
    let result = method_result(&format!(
        "::std::result::Result<{result}, ::barewire::Status>"
    ));
    let path = let_call(
        "            ",
        "path",
        "::barewire::MethodPath::from_static",
        &format!("\"/{}/{proto_name}\"", full_name(service)),
    );
    format!(
        "
{docs}        pub async fn {name}(
            &self,
{request}
{result}
{path}
            self.channel.{shape}(path, request).await
        }}
"
    )
}

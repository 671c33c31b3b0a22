//! Prints what it takes to serve a service: a trait for its calls, and the wrapper that hands calls
//! to it.
//!
//! All paths are printed in full, from `::std` or `::barewire`, since a `.proto` file may call its
//! messages `Result`, `Option` or `Send`. `tests/codegen/route_guide.expected.rs` shows the whole.

use prost_build::{Comments, Method, Service};

use super::errors::MethodClash;
use super::layout::{break_types, handler_call, handler_call_in_one_line, impl_head, trait_head};

/// The first two methods that would have one name in Rust.
pub(super) fn method_clash(service: &Service) -> Option<MethodClash> {
    service
        .methods
        .iter()
        .enumerate()
        .find_map(|(index, second)| {
            let mut earlier = service.methods.iter().take(index);
            let first = earlier.find(|first| first.name == second.name)?;
            Some(MethodClash {
                package: service.package.clone(),
                service: service.proto_name.clone(),
                first: first.proto_name.clone(),
                second: second.proto_name.clone(),
                name: second.name.clone(),
            })
        })
}

/// Prints what it takes to serve a service.
///
/// It stands in a macro that drops it where the crate has no feature `server`: a build script knows
/// the features of its own `barewire`, and not those of the program's.
pub(super) fn print_server(service: &Service, descriptor_set_name: &str, text: &mut String) {
    text.push_str("::barewire::__server! {\n");
    text.push_str(&format_trait(service));
    text.push('\n');
    text.push_str(&format_wrapper(service, descriptor_set_name));
    text.push_str("}\n");
}

fn format_trait(service: &Service) -> String {
    let docs = service_docs(service, "The service");
    let name = &service.name;
    let methods = service
        .methods
        .iter()
        .map(format_signature)
        .collect::<Vec<_>>()
        .join("\n");

    let head = trait_head(name, "::std::marker::Send + ::std::marker::Sync + 'static");
    format!("{docs}{head}\n{methods}    }}\n")
}

/// A method of the trait. It is not an `async fn`, which could not promise that its future is
/// `Send`; users may write one nevertheless.
fn format_signature(method: &Method) -> String {
    let Method {
        name,
        input_type: input,
        output_type: output,
        ..
    } = method;
    let docs = method_docs(method);
    let status = "::barewire::Status";

    let request = if method.client_streaming {
        format!("            requests: ::barewire::Request<::barewire::Inbound<{input}>>,")
    } else {
        format!("            request: ::barewire::Request<{input}>,")
    };
    let request = break_types(&request);
    if method.server_streaming {
        let replies = format!("            replies: ::barewire::Replies<{output}>,");
        let replies = break_types(&replies);
        return format!(
            "\
{docs}        fn {name}(
            &self,
{request}
{replies}
        ) -> impl ::std::future::Future<Output = ::std::result::Result<(), {status}>>
        + ::std::marker::Send;
"
        );
    }
    let result = break_types(&format!(
        "            Output = ::std::result::Result<::barewire::Response<{output}>, {status}>,"
    ));
    format!(
        "\
{docs}        fn {name}(
            &self,
{request}
        ) -> impl ::std::future::Future<
{result}
        > + ::std::marker::Send;
"
    )
}

fn format_wrapper(service: &Service, descriptor_set_name: &str) -> String {
    let full_name = full_name(service);
    let name = &service.name;
    let wrapper = format!("{}Server", stem(service));
    // A service may be called like the parameter.
    let handler = if name == "T" { "U" } else { "T" };

    let head = impl_head(
        &format!("impl<{handler}: {name}> ::barewire::Service"),
        &format!("{wrapper}<{handler}>"),
    );
    let serve = format_serve(service);
    format!(
        "    /// Serves `{full_name}` with what implements [`{name}`].
    pub struct {wrapper}<{handler}>(pub {handler});

{head}
        fn name(&self) -> &'static str {{
            \"{full_name}\"
        }}

        fn file_descriptor_set(&self) -> &'static [u8] {{
            ::std::include_bytes!(\"{descriptor_set_name}\")
        }}

{serve}    }}
"
    )
}

fn format_serve(service: &Service) -> String {
    if service.methods.is_empty() {
        return "        fn serve(&self, call: ::barewire::ServerCall) -> ::barewire::Serving<'_> {
            ::std::boxed::Box::pin(async move { ::std::result::Result::Err(call.unknown_method()) })
        }
"
        .to_owned();
    }
    let arms: String = service.methods.iter().map(format_arm).collect();
    // The reference makes calls of `handler` calls of the trait, even of a method called `into`,
    // which a value would rather take from the standard library.
    format!(
        "        fn serve(&self, mut call: ::barewire::ServerCall) -> ::barewire::Serving<'_> {{
            ::std::boxed::Box::pin(async move {{
                let handler = &self.0;
                match call.method() {{
{arms}                    _ => ::std::result::Result::Err(call.unknown_method()),
                }}
            }})
        }}
"
    )
}

fn format_arm(method: &Method) -> String {
    let Method {
        name,
        proto_name,
        client_streaming,
        server_streaming,
        ..
    } = method;
    let mut arguments = vec![if *client_streaming {
        "call.requests()"
    } else {
        "request"
    }];
    if *server_streaming {
        arguments.push("call.replies()");
    }

    let arm = format!("                    \"{proto_name}\" => ");
    if *client_streaming
        && *server_streaming
        && let Some(line) = handler_call_in_one_line(&arm, name, &arguments, ",")
    {
        return line + "\n";
    }
    let request = "                        let request = call.request().await?;\n";
    let request = if *client_streaming { "" } else { request };
    let answer = if *server_streaming {
        handler_call("                        ", name, &arguments, "")
    } else {
        let response = handler_call(
            "                        let response = ",
            name,
            &arguments,
            "?;",
        );
        response + "\n                        call.reply(response).await"
    };
    format!("{arm}{{\n{request}{answer}\n                    }}\n")
}

/// What names begin with that are printed for a service. `Self` itself is `Self_`, for which the
/// compiler wants no underscore in front of more.
pub(super) fn stem(service: &Service) -> &str {
    service.name.trim_end_matches('_')
}

pub(super) fn full_name(service: &Service) -> String {
    match service.package.as_str() {
        "" => service.proto_name.clone(),
        package => format!("{package}.{}", service.proto_name),
    }
}

/// The comments of a service, or what is said of one that has none.
pub(super) fn service_docs(service: &Service, fallback: &str) -> String {
    let fallback = format!("{fallback} `{}`.", full_name(service));
    docs(1, &service.comments, &fallback)
}

pub(super) fn method_docs(method: &Method) -> String {
    let fallback = format!("The call `{}`.", method.proto_name);
    docs(2, &method.comments, &fallback)
}

/// The comments of an item, or `fallback`: there are crates whose items all want documentation.
fn docs(depth: u8, comments: &Comments, fallback: &str) -> String {
    let mut docs = String::new();
    comments.append_with_indent(depth, &mut docs);
    if docs.is_empty() {
        docs = format!("{}/// {fallback}\n", "    ".repeat(depth.into()));
    }
    docs
}

//! Metadata, both ways, and what of it fits.

use barewire::{Metadata, Response, Server, ServerCall, ServerConfig, Service, Serving, Status};
use bytes::Bytes;
use http::HeaderValue;

use crate::support::{Call, Client, Probe, piped_server};
use crate::tokio;

async fn echo(fields: &[(&str, &[u8])]) -> crate::support::Answer {
    let client = Client::over(piped_server(Probe::default(), ServerConfig::default())).await;
    let mut request = http::Request::post("http://localhost/test.Probe/Metadata")
        .header("content-type", "application/grpc");
    for (name, value) in fields {
        request = request.header(*name, HeaderValue::from_bytes(value).unwrap());
    }
    let mut call: Call = client.send_request(request.body(()).unwrap(), false).await;
    call.send_message("x").await;
    call.finish().await
}

#[tokio::test]
async fn p056_several_values_of_a_key_keep_their_order() {
    let answer = echo(&[
        ("x-many", b"one"),
        ("x-many", b"two, three"),
        ("x-many", b""),
    ])
    .await;
    for map in [&answer.headers, &answer.trailers] {
        let values: Vec<_> = map.get_all("x-many").iter().collect();
        assert_eq!(values, ["one", "two, three", ""]);
    }
}

#[tokio::test]
async fn p054_any_legal_http_value_survives() {
    let answer = echo(&[("x-odd", b"a\tb\xe9")]).await;
    assert_eq!(answer.code(), Some("0"));
    assert_eq!(answer.headers["x-odd"].as_bytes(), b"a\tb\xe9");
}

#[tokio::test]
async fn p058_binary_values_come_padded_or_not_and_leave_unpadded() {
    let answer = echo(&[("x-bytes-bin", b"AA=="), ("x-more-bin", b"q6ur")]).await;
    assert_eq!(answer.headers["x-more-bin"], "q6ur");
    assert!(["AA", "AA=="].contains(&answer.headers["x-bytes-bin"].to_str().unwrap()));
}

#[tokio::test]
async fn p060_a_binary_value_that_is_not_base64_is_internal() {
    let answer = echo(&[("x-bytes-bin", b"***")]).await;
    assert_eq!(answer.code(), Some("13"));
    assert_eq!(answer.text(), "value of x-bytes-bin is not base64");
}

#[tokio::test]
async fn p051_reserved_fields_are_not_metadata() {
    let answer = echo(&[
        ("grpc-future", b"1"),
        ("te", b"trailers"),
        ("user-agent", b"me"),
    ])
    .await;
    for map in [&answer.headers, &answer.trailers] {
        for name in ["grpc-future", "te", "user-agent", "host"] {
            assert_eq!(map.get(name), None, "{name}");
        }
    }
}

/// Fails with a long text, details and metadata.
struct Verbose;

impl Service for Verbose {
    fn name(&self) -> &'static str {
        "test.Probe"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            let mut metadata = Metadata::new();
            match call.method() {
                "Text" => Err(Status::not_found("t".repeat(10_000))
                    .with_details(Bytes::from_static(b"\x08\x05"))),
                "Kept" => {
                    metadata.insert("x-kept", &"m".repeat(700))?;
                    Err(Status::not_found("text").with_metadata(metadata))
                }
                _ => {
                    metadata.insert("x-large", &"m".repeat(10_000))?;
                    call.reply(Response {
                        trailers: metadata,
                        ..Response::new(String::new())
                    })
                    .await
                }
            }
        })
    }
}

#[tokio::test]
async fn p116_trailers_fit_what_the_client_takes() {
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    tokio::spawn(Server::new().add(Verbose).serve_io(theirs));
    let client = Client::with(ours, h2::client::Builder::new().max_header_list_size(1_024)).await;
    // The client's SETTINGS must have been read; the answer to a first call shows it.
    client.call("Text", &[]).await;

    let answer = client.call("Text", &[]).await;
    assert_eq!(answer.code(), Some("5"));
    assert!(
        (200..512).contains(&answer.text().len()),
        "{}",
        answer.text().len()
    );
    assert_eq!(answer.headers.get("grpc-status-details-bin"), None);

    let answer = client.call("Kept", &[]).await;
    assert_eq!((answer.code(), answer.text()), (Some("5"), "text"));
    assert_eq!(answer.headers["x-kept"].len(), 700);

    let answer = client.call("Large", &[]).await;
    assert_eq!(answer.code(), Some("8"), "{answer:?}");
}

//! `wire::request_headers`: P15–P18, P25, P26, P30–P32, P36, P41–P45, P60, P81.

use std::time::Duration;

use barewire::wire::{
    AcceptEncoding, Code, ContentType, Encoding, Metadata, MethodPath, Rejection, RequestHeaders,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Extensions, HeaderName, HeaderValue, Method, Request, StatusCode, Version};

use crate::support::lines;

const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// A request as the transport hands it over.
fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Parts {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .version(Version::HTTP_2);
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        request = request.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    request.body(()).unwrap().into_parts().0
}

fn parse(fields: &[(&str, &str)]) -> RequestHeaders {
    let fields = [&[GRPC], fields].concat();
    RequestHeaders::parse(request(
        "POST",
        "http://localhost:50051/pkg.Service/Method",
        &fields,
    ))
    .unwrap()
}

/// The answer to a request that does not become a call, as lines.
fn rejected(parts: Parts) -> Vec<String> {
    let response = RequestHeaders::parse(parts).unwrap_err().into_response();
    let status = format!(":status: {}", response.status().as_u16());
    [vec![status], lines(response.headers())].concat()
}

#[test]
fn a_request_becomes_a_call() {
    let mut parts = request(
        "POST",
        "https://greeter.example:443/helloworld.Greeter/SayHello",
        &[
            ("te", "trailers"),
            ("content-type", "application/grpc+proto"),
            ("user-agent", "grpc-python/1.80.0"),
            ("grpc-timeout", "250m"),
            ("grpc-encoding", "identity"),
            ("grpc-accept-encoding", "identity, deflate, gzip"),
            ("request-id", "7"),
            ("trace-bin", "q6ur"),
        ],
    );
    parts.extensions.insert(42_u8);
    let headers = RequestHeaders::parse(parts).unwrap();
    assert_eq!(
        (headers.path.service(), headers.path.method()),
        ("helloworld.Greeter", "SayHello")
    );
    assert_eq!(headers.authority.unwrap(), "greeter.example:443");
    assert!(headers.https);
    assert_eq!(headers.timeout, Some(Duration::from_millis(250)));
    assert_eq!(headers.encoding, Encoding::Identity);
    assert!(headers.accept_encoding.contains(Encoding::Gzip));
    assert_eq!(headers.content_type, ContentType::GrpcProto);
    assert_eq!(
        headers.metadata.get("user-agent"),
        Some("grpc-python/1.80.0")
    );
    assert_eq!(headers.metadata.get("request-id"), Some("7"));
    assert_eq!(
        headers.metadata.get_bin("trace-bin").unwrap(),
        [0xab, 0xab, 0xab].as_slice()
    );
    assert_eq!(headers.metadata.len(), 3, "{:?}", headers.metadata);
    assert_eq!(headers.extensions.get(), Some(&42_u8));
}

#[test]
fn p016_fields_may_come_in_any_order() {
    let headers = parse(&[
        ("request-id", "7"),
        ("grpc-timeout", "1S"),
        ("te", "trailers"),
    ]);
    assert_eq!(headers.timeout, Some(Duration::from_secs(1)));
    assert_eq!(headers.metadata.get("request-id"), Some("7"));
}

#[test]
fn p017_another_method_than_post_gets_405() {
    for method in ["GET", "DELETE", "PUT", "OPTIONS", "HEAD", "post", "POSTS"] {
        // Even if all the rest is wrong as well.
        for fields in [&[GRPC][..], &[]] {
            let answer = rejected(request(method, "/not-a-method", fields));
            assert_eq!(
                answer,
                [
                    ":status: 405",
                    "content-type: text/plain; charset=utf-8",
                    "allow: POST"
                ],
                "{method}"
            );
        }
    }
}

#[test]
#[rustfmt::skip]
fn p018_the_scheme_is_what_the_client_says() {
    for (uri, https) in [("http://a/S/M", false), ("https://a/S/M", true), ("/S/M", false)] {
        let headers = RequestHeaders::parse(request("POST", uri, &[GRPC])).unwrap();
        assert_eq!(headers.https, https, "{uri}");
    }
}

#[test]
#[rustfmt::skip]
fn p022_a_path_without_two_names_is_unimplemented() {
    for uri in ["*", "/", "/Method", "http://localhost", "http://localhost/S/"] {
        let answer = rejected(request("POST", uri, &[GRPC]));
        assert_eq!(answer[..3], [":status: 200", "content-type: application/grpc", "grpc-status: 12"], "{uri}");
    }
}

#[test]
#[rustfmt::skip]
fn p025_host_stands_in_for_a_missing_authority() {
    let cases: &[(&str, &[(&str, &str)], Option<&str>)] = &[
        ("http://a:1/S/M", &[],                    Some("a:1")),
        ("http://a:1/S/M", &[("host", "b:2")],     Some("a:1")),    // both: host is dropped
        ("/S/M",           &[("host", "b:2")],     Some("b:2")),
        ("/S/M",           &[],                    None),
    ];
    for (uri, fields, authority) in cases {
        let headers = RequestHeaders::parse(request("POST", uri, &[&[GRPC], *fields].concat())).unwrap();
        assert_eq!(headers.authority.as_ref().map(|authority| authority.as_str()), *authority, "{uri} {fields:?}");
        assert!(!headers.metadata.contains("host"));
    }
}

#[test]
#[rustfmt::skip]
fn p025_two_hosts_or_a_broken_one_are_internal() {
    let cases: &[(&str, &[(&str, &str)], &str)] = &[
        ("/S/M",         &[GRPC, ("host", "a"), ("host", "b")], "host appears more than once"),
        ("http://a/S/M", &[GRPC, ("host", "a"), ("host", "a")], "host appears more than once"),
        ("/S/M",         &[GRPC, ("host", "a b")],              "host \"a b\" is not an authority"),
        ("/S/M",         &[GRPC, ("host", "")],                 "host \"\" is not an authority"),
    ];
    for (uri, fields, text) in cases {
        let answer = rejected(request("POST", uri, fields));
        let expected = [":status: 200", "content-type: application/grpc", "grpc-status: 13", &format!("grpc-message: {text}")];
        assert_eq!(answer, expected, "{fields:?}");
    }
}

#[test]
fn p026_a_request_without_te_is_served() {
    assert_eq!(parse(&[]).path.as_str(), "/pkg.Service/Method");
}

#[test]
fn p030_what_is_not_grpc_gets_415_and_no_status() {
    let cases: &[&[(&str, &str)]] = &[
        &[],
        &[("content-type", "image/jpeg")],
        &[("content-type", "application/grpc-web")],
        &[("content-type", "application/grpc+foo")], // P31, D6
        &[("content-type", "")],
    ];
    for fields in cases {
        let answer = rejected(request("POST", "/S/M", fields));
        assert_eq!(
            answer,
            [":status: 415", "content-type: text/plain; charset=utf-8"],
            "{fields:?}, D7: no grpc-status"
        );
        // Not even when a rule of gRPC is broken too.
        let broken = [*fields, &[("grpc-timeout", "x"), ("a-bin", "*")]].concat();
        assert_eq!(
            rejected(request("POST", "/x", &broken)),
            [":status: 415", "content-type: text/plain; charset=utf-8"],
            "{fields:?}"
        );
    }
}

#[test]
fn p032_the_answer_has_the_media_type_of_the_request() {
    for media_type in ["application/grpc", "application/grpc+proto"] {
        let answer = rejected(request("POST", "/x", &[("content-type", media_type)]));
        assert_eq!(answer[1], format!("content-type: {media_type}"));
    }
}

#[test]
fn p036_a_malformed_timeout_ends_the_call_with_internal() {
    for value in ["", "5x", "+1S", "123456789S"] {
        let answer = rejected(request("POST", "/S/M", &[GRPC, ("grpc-timeout", value)]));
        assert_eq!(
            (&*answer[0], &*answer[2]),
            (":status: 200", "grpc-status: 13"),
            "{value}, D8"
        );
        assert!(
            answer[3].starts_with("grpc-message: grpc-timeout \""),
            "{}",
            answer[3]
        );
        assert_eq!(answer.len(), 4);
    }
}

#[test]
fn p037_a_timeout_of_zero_is_handed_on() {
    assert_eq!(
        parse(&[("grpc-timeout", "0n")]).timeout,
        Some(Duration::ZERO)
    );
}

#[test]
fn p039_no_timeout_means_no_timeout() {
    assert_eq!(parse(&[]).timeout, None);
}

#[test]
fn p042_accepted_codings_may_come_in_several_lines() {
    let headers = parse(&[
        ("grpc-accept-encoding", "gzip"),
        ("grpc-accept-encoding", "deflate,br"),
    ]);
    let accepted = headers.accept_encoding;
    assert!(accepted.contains(Encoding::Gzip) && accepted.contains(Encoding::Deflate));
    assert_eq!(parse(&[]).accept_encoding, AcceptEncoding::IDENTITY);
}

#[test]
fn p044_the_message_type_is_ignored() {
    let headers = parse(&[("grpc-message-type", "**nonsense**"), ("grpc-future", "1")]);
    assert!(headers.metadata.is_empty());
}

#[test]
fn p045_earlier_attempts_are_handed_to_the_application() {
    let headers = parse(&[("grpc-previous-rpc-attempts", "2")]);
    assert_eq!(
        headers.metadata.get("grpc-previous-rpc-attempts"),
        Some("2")
    );
}

#[test]
fn p060_a_binary_value_that_is_not_base64_ends_the_call_with_internal() {
    let answer = rejected(request(
        "POST",
        "/S/M",
        &[GRPC, ("a", "***"), ("x-bin", "***")],
    ));
    assert_eq!(
        answer[2..],
        [
            "grpc-status: 13",
            "grpc-message: value of x-bin is not base64"
        ]
    );
}

#[test]
fn p081_an_unknown_coding_is_unimplemented_and_the_known_ones_are_named() {
    let supported = AcceptEncoding::SUPPORTED.to_string();
    for value in ["foo", "x-gzip", "GZIP", "gzip, deflate", ""] {
        let fields = [GRPC, ("grpc-encoding", value)];
        let rejection = RequestHeaders::parse(request("POST", "/S/M", &fields)).unwrap_err();
        let text = format!("grpc-encoding {value:?} is not supported; supported: {supported}");
        match &rejection {
            Rejection::Status {
                status,
                accept_encoding: true,
                ..
            } => {
                assert_eq!(
                    (status.code, &*status.message),
                    (Code::Unimplemented, &*text)
                );
            }
            other => panic!("{other:?}"),
        }
        let response = rejection.into_response();
        assert_eq!(response.headers()["grpc-status"], "12");
        assert_eq!(response.headers()["grpc-accept-encoding"], supported);
    }
}

#[test]
fn p082_other_rejections_say_nothing_of_codings() {
    let answer = rejected(request("POST", "/x", &[GRPC]));
    assert!(
        !answer
            .iter()
            .any(|line| line.starts_with("grpc-accept-encoding")),
        "{answer:?}"
    );
}

#[cfg(feature = "gzip")]
#[test]
fn p041_the_coding_of_the_request_is_taken() {
    assert_eq!(parse(&[("grpc-encoding", "gzip")]).encoding, Encoding::Gzip);
    assert_eq!(
        parse(&[("grpc-encoding", "deflate")]).encoding,
        Encoding::Deflate
    );
    assert_eq!(parse(&[]).encoding, Encoding::Identity);
}

#[test]
fn p112_a_rule_of_grpc_is_broken_over_http_200() {
    let broken: &[(&str, &str)] = &[
        ("grpc-timeout", "x"),
        ("x-bin", "*"),
        ("grpc-encoding", "foo"),
    ];
    for field in broken {
        let answer = rejected(request("POST", "/S/M", &[GRPC, *field]));
        assert_eq!(answer[0], ":status: 200", "{field:?}");
    }
    let rejection = RequestHeaders::parse(request("GET", "/S/M", &[])).unwrap_err();
    assert!(matches!(
        rejection,
        Rejection::Http(StatusCode::METHOD_NOT_ALLOWED)
    ));
}

#[test]
fn p015_a_request_is_written_in_order() {
    let mut metadata = Metadata::new();
    metadata.insert("request-id", "7").unwrap();
    metadata.insert_bin("trace-bin", &[0xab; 3]).unwrap();
    let headers = RequestHeaders {
        path: MethodPath::parse(PathAndQuery::from_static("/pkg.Service/Method")).unwrap(),
        authority: Some("localhost:50051".parse().unwrap()),
        https: false,
        timeout: Some(Duration::from_millis(100)),
        encoding: Encoding::Gzip,
        accept_encoding: AcceptEncoding::IDENTITY.with(Encoding::Gzip),
        content_type: ContentType::Grpc,
        metadata,
        extensions: Extensions::new(),
    };
    let request = headers.to_request();
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri(), "http://localhost:50051/pkg.Service/Method");
    assert_eq!(request.version(), Version::HTTP_2);
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        lines(request.headers()),
        [
            "grpc-timeout: 100000u",
            "te: trailers",
            "content-type: application/grpc",
            &format!("user-agent: grpc-rust-barewire/{version}"), // P43
            "grpc-encoding: gzip",
            "grpc-accept-encoding: identity, gzip",
            "request-id: 7",
            "trace-bin: q6ur",
        ]
    );
}

#[test]
fn p041_what_is_not_needed_is_not_sent() {
    let mut headers = parse(&[
        ("user-agent", "someone/1"),
        ("x", "1"),
        ("grpc-timeout", "1S"),
    ]);
    headers.timeout = None;
    headers.https = true;
    let request = headers.to_request();
    assert_eq!(request.uri(), "https://localhost:50051/pkg.Service/Method");
    let names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["te", "content-type", "user-agent", "x"]);
    assert_eq!(request.headers().get_all("user-agent").iter().count(), 1);

    headers.authority = None;
    assert_eq!(headers.to_request().uri(), "/pkg.Service/Method");
}

#[test]
fn what_was_written_is_read() {
    let first = parse(&[
        ("grpc-timeout", "3S"),
        ("x", "1"),
        ("x", "2"),
        ("y-bin", "AA"),
    ]);
    let (parts, ()) = first.to_request().into_parts();
    let second = RequestHeaders::parse(parts).unwrap();
    assert_eq!(second.path, first.path);
    assert_eq!(second.authority, first.authority);
    assert_eq!(second.timeout, first.timeout);
    assert_eq!(second.metadata.get_all("x").collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(
        second.metadata.get_bin("y-bin"),
        first.metadata.get_bin("y-bin")
    );
}

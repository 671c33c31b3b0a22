//! `wire::response_headers`: P28, P32, P42, P83, P89, P94, P95, P98, P108, P111, P113.

use barewire::wire::{
    AcceptEncoding, Code, ContentType, Encoding, Metadata, NotGrpc, Origin, ResponseHeaders,
    ResponseStart, WireError,
};
use http::response::Parts;
use http::{Response, StatusCode};

use crate::support::{headers, lines};

const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn response(status: u16, fields: &[(&str, &str)]) -> Parts {
    let (mut parts, ()) = Response::builder()
        .status(status)
        .body(())
        .unwrap()
        .into_parts();
    parts.headers = headers(fields);
    parts
}

#[test]
#[rustfmt::skip]
fn p089_a_response_begins_with_its_type_its_codings_and_metadata() {
    let mut metadata = Metadata::new();
    metadata.append("a", "1").unwrap();
    metadata.append("a", "2").unwrap();
    let gzip = AcceptEncoding::IDENTITY.with(Encoding::Gzip);
    let cases: [(ResponseHeaders, &[&str]); 4] = [
        (ResponseHeaders::default(),
            &["content-type: application/grpc"]),
        (ResponseHeaders { content_type: ContentType::GrpcProto, ..Default::default() },     // P32
            &["content-type: application/grpc+proto"]),
        (ResponseHeaders { metadata: metadata.clone(), ..Default::default() },
            &["content-type: application/grpc", "a: 1", "a: 2"]),
        (ResponseHeaders { content_type: ContentType::GrpcProto, encoding: Encoding::Deflate, accept_encoding: Some(gzip), metadata },
            &["content-type: application/grpc+proto", "grpc-encoding: deflate", "grpc-accept-encoding: identity, gzip", "a: 1", "a: 2"]),
    ];
    for (headers, expected) in cases {
        let response = headers.clone().into_response();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(lines(response.headers()), *expected);
        #[cfg(feature = "gzip")]
        assert_eq!(ResponseStart::parse(response.into_parts().0, false), Ok(ResponseStart::Headers(headers)));
    }
}

#[test]
fn p028_either_media_type_begins_a_response() {
    for (value, content_type) in [
        ("application/grpc", ContentType::Grpc),
        ("application/grpc+proto", ContentType::GrpcProto),
    ] {
        let start = ResponseStart::parse(response(200, &[("content-type", value)]), false);
        let expected = ResponseHeaders {
            content_type,
            ..Default::default()
        };
        assert_eq!(start, Ok(ResponseStart::Headers(expected)));
    }
}

#[test]
fn p042_no_list_of_codings_is_not_the_same_as_identity() {
    let fields = [GRPC, ("grpc-accept-encoding", "identity")];
    for (fields, expected) in [
        (&fields[..1], None),
        (&fields, Some(AcceptEncoding::IDENTITY)),
    ] {
        match ResponseStart::parse(response(200, fields), false) {
            Ok(ResponseStart::Headers(headers)) => assert_eq!(headers.accept_encoding, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
#[cfg(feature = "gzip")]
fn p042_lists_of_codings_in_several_lines_are_one_and_of_other_fields_the_first_counts() {
    let fields = [
        GRPC,
        ("content-type", "text/html"),
        ("grpc-encoding", "gzip"),
        ("grpc-encoding", "snappy"),
        ("grpc-accept-encoding", "identity"),
        ("a", "1"),
        ("grpc-accept-encoding", "gzip,br"),
        ("grpc-accept-encoding", "deflate"),
        ("a", "2"),
    ];
    let mut metadata = Metadata::new();
    metadata.append("a", "1").unwrap();
    metadata.append("a", "2").unwrap();
    let all = AcceptEncoding::IDENTITY
        .with(Encoding::Gzip)
        .with(Encoding::Deflate);
    let expected = ResponseHeaders {
        content_type: ContentType::Grpc,
        encoding: Encoding::Gzip,
        accept_encoding: Some(all),
        metadata,
    };
    let start = ResponseStart::parse(response(200, &fields), false);
    assert_eq!(start, Ok(ResponseStart::Headers(expected)));
}

#[test]
fn p060_initial_metadata_that_cannot_be_decoded_is_internal() {
    let error = ResponseStart::parse(response(200, &[GRPC, ("a-bin", "*")]), false).unwrap_err();
    assert_eq!(error, WireError::InvalidBase64("a-bin".into()));
    assert_eq!(error.code(), Code::Internal);
}

#[test]
fn p083_a_response_in_an_unknown_coding_is_internal() {
    let error = ResponseStart::parse(response(200, &[GRPC, ("grpc-encoding", "br")]), false);
    let error = error.unwrap_err();
    assert_eq!(error, WireError::UnsupportedResponseEncoding("br".into()));
    assert_eq!(error.code(), Code::Internal);
    assert!(error.to_string().contains("\"br\""), "{error}");
}

#[test]
fn p094_a_status_in_the_first_of_two_blocks_means_nothing() {
    let fields = [
        GRPC,
        ("grpc-status", "5"),
        ("grpc-message", "no"),
        ("a", "1"),
    ];
    match ResponseStart::parse(response(200, &fields), false) {
        Ok(ResponseStart::Headers(headers)) => {
            assert_eq!(headers.metadata.iter().count(), 1, "{headers:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn p095_metadata_of_trailers_only_is_trailing() {
    let fields = [
        GRPC,
        ("grpc-status", "5"),
        ("grpc-message", "no%21"),
        ("a", "1"),
    ];
    let Ok(ResponseStart::TrailersOnly(trailers)) =
        ResponseStart::parse(response(200, &fields), true)
    else {
        panic!("the end of the stream makes it Trailers-Only");
    };
    let status = trailers.outcome.unwrap_err();
    assert_eq!((status.code, &*status.message), (Code::NotFound, "no!"));
    assert_eq!(status.origin, Origin::Peer);
    assert_eq!(status.metadata.get("a"), Some("1"));
    assert_eq!(status.metadata.len(), 1, "{:?}", status.metadata);
}

#[test]
fn p096_trailers_only_may_say_ok() {
    let start = ResponseStart::parse(response(200, &[GRPC, ("grpc-status", "0")]), true);
    let Ok(ResponseStart::TrailersOnly(trailers)) = start else {
        panic!("{start:?}")
    };
    assert_eq!(trailers.outcome, Ok(()));
}

#[test]
fn p098_interim_responses_are_skipped_but_may_not_be_the_last() {
    for status in [100, 103, 199] {
        assert_eq!(
            ResponseStart::parse(response(status, &[]), false),
            Ok(ResponseStart::Interim)
        );
        let error = ResponseStart::parse(response(status, &[("grpc-status", "0")]), true);
        let error = error.unwrap_err();
        let expected = WireError::InterimResponseEnded(StatusCode::from_u16(status).unwrap());
        assert_eq!(error, expected);
        assert_eq!(error.code(), Code::Internal);
    }
}

#[test]
#[rustfmt::skip]
fn p108_a_status_counts_whatever_http_says() {
    let cases: &[(u16, &[(&str, &str)], Code, Origin)] = &[
        (404, &[GRPC, ("grpc-status", "5")],                           Code::NotFound,         Origin::Peer),
        (503, &[("grpc-status", "16")],                                Code::Unauthenticated,  Origin::Peer),
        (200, &[("content-type", "text/html"), ("grpc-status", "13")], Code::Internal,         Origin::Peer),
        (404, &[GRPC],                                                 Code::Unimplemented,    Origin::Local),  // P111
        (503, &[GRPC],                                                 Code::Unavailable,      Origin::Local),
        (200, &[GRPC],                                                 Code::Unknown,          Origin::Local),
        (200, &[GRPC, ("grpc-status", "")],                            Code::Unknown,          Origin::Local),
    ];
    for (http, fields, code, origin) in cases {
        match ResponseStart::parse(response(*http, fields), true) {
            Ok(ResponseStart::TrailersOnly(trailers)) => {
                let status = trailers.outcome.unwrap_err();
                assert_eq!((status.code, status.origin), (*code, *origin), "{http} {fields:?}");
            }
            other => panic!("{http} {fields:?}: {other:?}"),
        }
    }
}

#[test]
fn p108_another_http_status_may_begin_a_grpc_response() {
    let start = ResponseStart::parse(response(404, &[GRPC]), false);
    assert_eq!(
        start,
        Ok(ResponseStart::Headers(ResponseHeaders::default())),
        "trailers decide"
    );
}

#[test]
#[rustfmt::skip]
fn p113_an_answer_that_is_not_grpc_is_mapped_and_quoted() {
    let html = Some(("content-type", "text/html"));
    let cases: &[(u16, Option<(&str, &str)>, &[u8], Code, &str)] = &[
        (502, html, b"<h1>no</h1>", Code::Unavailable,   "answer is not gRPC: HTTP status 502 Bad Gateway, content-type text/html: <h1>no</h1>"),
        (200, html, b"",            Code::Unknown,       "answer is not gRPC: HTTP status 200 OK, content-type text/html"),
        (404, None, b"a\xffb",      Code::Unimplemented, "answer is not gRPC: HTTP status 404 Not Found, content-type none: a\u{fffd}b"),
        (415, None, b"",            Code::Unknown,       "answer is not gRPC: HTTP status 415 Unsupported Media Type, content-type none"),
    ];
    for (http, field, body, code, text) in cases {
        let fields: Vec<_> = field.iter().copied().collect();
        for end_stream in [false, true] {
            let start = ResponseStart::parse(response(*http, &fields), end_stream);
            let Ok(ResponseStart::NotGrpc(answer)) = start else { panic!("{start:?}") };
            let status = answer.into_status(body);
            assert_eq!((status.code, &*status.message, status.origin), (*code, *text, Origin::Local));
        }
    }
}

#[test]
fn p113_a_kibibyte_of_a_foreign_body_is_quoted() {
    let answer = NotGrpc {
        http_status: StatusCode::BAD_GATEWAY,
        content_type: None,
    };
    let text = answer.into_status(&[b'x'; 5000]).message;
    assert_eq!(text.bytes().filter(|byte| *byte == b'x').count(), 1024);
}

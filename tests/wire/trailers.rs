//! `wire::trailers`: P90, P93, P99, P100, P106–P116.

use barewire::wire::{Code, ContentType, Metadata, Origin, Status, Trailers, WireError};
use bytes::Bytes;
use http::StatusCode;

use crate::support::{headers, lines};

fn failed(status: Status) -> Trailers {
    Trailers {
        outcome: Err(status),
        metadata: Metadata::new(),
    }
}

fn metadata(fields: &[(&str, &str)]) -> Metadata {
    Metadata::from_headers(headers(fields)).unwrap()
}

fn parse(fields: &[(&str, &str)]) -> Trailers {
    Trailers::parse(headers(fields), StatusCode::OK)
}

#[test]
#[rustfmt::skip]
fn p090_trailers_always_say_how_the_call_ended() {
    let ok = |metadata| Trailers { outcome: Ok(()), metadata };
    let both = Trailers {
        outcome: Err(Status::aborted("x").with_metadata(metadata(&[("b", "2")]))),
        metadata: metadata(&[("a", "1")]),
    };
    let details = Status::not_found("").with_details(Bytes::from_static(b"\x08\x05"));
    let cases: &[(Trailers, &[&str])] = &[
        (ok(Metadata::new()),                         &["grpc-status: 0"]),
        (ok(metadata(&[("a", "1"), ("a", "2")])),     &["grpc-status: 0", "a: 1", "a: 2"]),
        (failed(Status::not_found("no feature")),     &["grpc-status: 5", "grpc-message: no feature"]),
        (failed(Status::internal("")),                &["grpc-status: 13"]),                 // nothing to say
        (failed(Status::unknown("100%\n")),           &["grpc-status: 2", "grpc-message: 100%25%0A"]),
        (failed(Status::aborted(String::from("own"))), &["grpc-status: 10", "grpc-message: own"]),
        (failed(details),                             &["grpc-status: 5", "grpc-status-details-bin: CAU"]),
        (both,                                        &["grpc-status: 10", "grpc-message: x", "b: 2", "a: 1"]),
    ];
    for (trailers, expected) in cases {
        assert_eq!(lines(&trailers.clone().into_headers()), *expected);
        assert_eq!(lines(&trailers.clone().into_headers_within(None).unwrap()), *expected);
    }
}

#[test]
#[rustfmt::skip]
fn p093_trailers_only_is_one_block_with_all_of_it() {
    let trailers = failed(Status::unimplemented("no").with_metadata(metadata(&[("a", "1")])));
    let response = trailers.into_trailers_only(ContentType::GrpcProto);
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(lines(response.headers()), [
        "content-type: application/grpc+proto", "grpc-status: 12", "grpc-message: no", "a: 1",
    ]);
    let ok = Trailers { outcome: Ok(()), metadata: metadata(&[("a", "1")]) };
    let response = ok.into_trailers_only(ContentType::Grpc);
    assert_eq!(lines(response.headers()), ["content-type: application/grpc", "grpc-status: 0", "a: 1"]);
}

#[test]
fn p099_nothing_but_a_zero_is_ok() {
    assert_eq!(parse(&[("grpc-status", "0")]).outcome, Ok(()));
    for fields in [&[][..], &[("grpc-message", "OK")], &[("status", "0")]] {
        assert!(parse(fields).outcome.is_err(), "{fields:?}");
    }
}

#[test]
fn p100_a_response_without_trailers_has_failed() {
    let status = Trailers::missing(StatusCode::OK).outcome.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::Internal, Origin::Local),
        "D5"
    );
    assert_eq!(status, WireError::MissingTrailers.into());

    let status = Trailers::missing(StatusCode::BAD_GATEWAY)
        .outcome
        .unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "P111");
    assert_eq!(
        status.message,
        "response ended without trailers, HTTP status 502 Bad Gateway"
    );
}

#[test]
fn p100_trailers_without_a_status_are_unknown() {
    let trailers = parse(&[("a", "1"), ("grpc-message", "lost")]);
    let status = trailers.outcome.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::Unknown, Origin::Local),
        "D5"
    );
    assert_eq!(status.message, "trailers have no grpc-status");
    assert_eq!(status.metadata.get("a"), Some("1"));
    assert_eq!(WireError::MissingStatus.code(), Code::Unknown);
}

#[test]
#[rustfmt::skip]
fn p106_a_status_is_a_decimal_number_without_leading_zeros() {
    for value in ["", "x", "+1", "-1", "01", "00", "1 ", " 1", "1.0", "0x5", "5 5", "5,5", "NOT_FOUND", "99999999999", "٥"] {
        let status = parse(&[("grpc-status", value), ("grpc-message", "m")]).outcome.unwrap_err();
        assert_eq!((status.code, status.origin), (Code::Unknown, Origin::Local), "{value:?}");
        let quoted = value.as_bytes().escape_ascii();
        assert_eq!(status.message, format!("grpc-status \"{quoted}\" is not a number: m"));
    }
    for code in Code::ALL {
        let status = parse(&[("grpc-status", &code.number().to_string())]).outcome.unwrap_err();
        assert_eq!((status.code, status.origin, &*status.message), (code, Origin::Peer, ""));
    }
}

#[test]
fn p106_two_statuses_are_none() {
    for rest in [&["5"][..], &["0"], &["5", "0"], &["0", "0", "0"]] {
        let rest = rest.iter().map(|value| ("grpc-status", *value));
        let fields: Vec<_> = [("grpc-status", "0")].into_iter().chain(rest).collect();
        let status = parse(&fields).outcome.unwrap_err();
        assert_eq!(status, WireError::RepeatedStatus.into(), "{fields:?}");
        assert_eq!(status.code, Code::Unknown);
    }
}

#[test]
fn p107_a_number_without_a_code_is_kept_in_the_text() {
    for number in ["17", "99", "4294967295"] {
        let status = parse(&[("grpc-status", number), ("grpc-message", "why")])
            .outcome
            .unwrap_err();
        assert_eq!(status.code, Code::Unknown);
        assert_eq!(
            status.message,
            format!("grpc-status {number} has no meaning: why")
        );
    }
    assert_eq!(WireError::UnknownStatus(17).code(), Code::Unknown);
}

#[test]
fn p108_a_status_counts_whatever_http_says() {
    let trailers = Trailers::parse(headers(&[("grpc-status", "0")]), StatusCode::NOT_FOUND);
    assert_eq!(trailers.outcome, Ok(()));
}

#[test]
#[rustfmt::skip]
fn p109_p110_the_text_is_percent_encoded_and_read_leniently() {
    let cases: &[(&str, &str)] = &[
        ("100%25",        "100%"),
        ("gr%C3%B6%C3%9Fer", "größer"),
        ("100%",          "100%"),
        ("%zz",           "%zz"),
        ("%ff",           "\u{fffd}"),
        ("größer",        "größer"),
    ];
    for (value, text) in cases {
        let status = parse(&[("grpc-status", "5"), ("grpc-message", value)]).outcome.unwrap_err();
        assert_eq!((status.code, &*status.message), (Code::NotFound, *text), "{value}");
    }
}

#[test]
fn p111_http_decides_when_the_status_is_missing() {
    for (http, code) in [
        (400, Code::Internal),
        (401, Code::Unauthenticated),
        (418, Code::Unknown),
    ] {
        let http = StatusCode::from_u16(http).unwrap();
        let status = Trailers::parse(headers(&[]), http).outcome.unwrap_err();
        assert_eq!((status.code, status.origin), (code, Origin::Local));
        assert_eq!(
            status.message,
            format!("trailers have no grpc-status, HTTP status {http}")
        );
    }
}

#[test]
fn p112_every_code_leaves_over_http_200() {
    for code in Code::ALL {
        let response = failed(Status::new(code, "x")).into_trailers_only(ContentType::Grpc);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], code.number().to_string());
    }
}

#[test]
#[rustfmt::skip]
fn p114_details_that_cannot_be_used_are_dropped_and_the_status_stays() {
    let cases: &[(&[(&str, &str)], &[u8])] = &[
        (&[("grpc-status-details-bin", "CAUSBG5vbmU")],      b"\x08\x05\x12\x04none"),
        (&[("grpc-status-details-bin", "CAUSBG5vbmU=")],     b"\x08\x05\x12\x04none"),
        (&[("grpc-status-details-bin", "CA0")],              b""),      // D13: speaks of code 13
        (&[("grpc-status-details-bin", "***")],              b""),      // P60: no panic
        (&[("grpc-status-details-bin", "CA")],               b""),      // a damaged message
        (&[("grpc-status-details-bin", "CAU,CAU")],          b""),      // two
        (&[("grpc-status-details-bin", "***,CAU")],          b""),      // of which one cannot be read
        (&[("grpc-status-details-bin", "CAU"), ("grpc-status-details-bin", "CAU")], b""),
        (&[("grpc-status-details-bin", "")],                 b""),
        (&[],                                                b""),
    ];
    for (fields, details) in cases {
        let fields = [&[("grpc-status", "5"), ("grpc-message", "none")], *fields].concat();
        let status = parse(&fields).outcome.unwrap_err();
        assert_eq!((status.code, &*status.message), (Code::NotFound, "none"), "{fields:?}");
        assert_eq!(status.details, *details, "{fields:?}");
        assert_eq!(status.origin, Origin::Peer);
    }
}

#[test]
fn p114_broken_details_do_not_turn_success_into_failure() {
    let trailers = parse(&[("grpc-status", "0"), ("grpc-status-details-bin", "***")]);
    assert_eq!(trailers.outcome, Ok(()));
    assert_eq!(trailers.metadata.get_bin("grpc-status-details-bin"), None);
}

#[test]
fn p115_details_of_the_status_replace_those_in_its_metadata() {
    let fields = [
        ("grpc-status-details-bin", "AAAA"),
        ("grpc-status-details-bin", "BBBB"),
    ];
    let status = Status::not_found("")
        .with_details(Bytes::from_static(b"\x08\x05"))
        .with_metadata(metadata(&fields));
    let sent = lines(&failed(status).into_headers());
    assert_eq!(sent, ["grpc-status: 5", "grpc-status-details-bin: CAU"]);

    // Without details of its own a status passes on those that it was given.
    let status = Status::not_found("").with_metadata(metadata(&fields[..1]));
    let sent = lines(&failed(status).into_headers());
    assert_eq!(sent, ["grpc-status: 5", "grpc-status-details-bin: AAAA"]);
}

#[test]
fn p115_a_status_from_a_peer_can_be_passed_on() {
    let fields = [
        ("grpc-status", "5"),
        ("grpc-message", "none"),
        ("grpc-status-details-bin", "CAU"),
        ("a", "1"),
    ];
    let sent = lines(&parse(&fields).into_headers());
    let expected = [
        "grpc-status: 5",
        "grpc-message: none",
        "grpc-status-details-bin: CAU",
        "a: 1",
    ];
    assert_eq!(sent, expected);
}

#[test]
fn p060_trailing_metadata_that_cannot_be_decoded_is_internal_unless_the_call_has_failed() {
    let status = parse(&[("grpc-status", "0"), ("a-bin", "*")])
        .outcome
        .unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::Internal, Origin::Local)
    );
    assert_eq!(status.message, "value of a-bin is not base64");
    let status = parse(&[("grpc-status", "5"), ("a-bin", "*")])
        .outcome
        .unwrap_err();
    assert_eq!((status.code, status.origin), (Code::NotFound, Origin::Peer));
    assert_eq!(status.metadata.get_bin("a-bin"), None);
}

#[test]
#[rustfmt::skip]
fn p116_what_is_too_large_loses_its_details_and_then_its_text() {
    let status = || Status::not_found("no größere x").with_details(Bytes::from_static(b"\x08\x05"));
    // grpc-status 44, grpc-message 44 + 22, grpc-status-details-bin 55 + 3
    let cases: &[(usize, &[&str])] = &[
        (168, &["grpc-status: 5", "grpc-message: no gr%C3%B6%C3%9Fere x", "grpc-status-details-bin: CAU"]),
        (167, &["grpc-status: 5", "grpc-message: no gr%C3%B6%C3%9Fere x"]),
        (110, &["grpc-status: 5", "grpc-message: no gr%C3%B6%C3%9Fere x"]),
        (109, &["grpc-status: 5", "grpc-message: no gr%C3%B6%C3%9Fere "]),
        (105, &["grpc-status: 5", "grpc-message: no gr%C3%B6%C3%9F"]),
        (104, &["grpc-status: 5", "grpc-message: no gr%C3%B6"]),      // never half a character
        (100, &["grpc-status: 5", "grpc-message: no gr%C3%B6"]),
        (99,  &["grpc-status: 5", "grpc-message: no gr%C3%B6"]),
        (98,  &["grpc-status: 5", "grpc-message: no gr"]),
        (93,  &["grpc-status: 5", "grpc-message: no gr"]),
        (89,  &["grpc-status: 5", "grpc-message: n"]),
        (88,  &["grpc-status: 5", "grpc-message: "]),
        (87,  &["grpc-status: 5"]),
        (44,  &["grpc-status: 5"]),
    ];
    for (limit, expected) in cases {
        let sent = failed(status()).into_headers_within(Some(*limit)).unwrap();
        assert_eq!(lines(&sent), *expected, "within {limit}");
        // Trailers-Only has two more fields: ":status" of 42 and "content-type" of 60.
        let only = failed(status()).into_trailers_only_within(ContentType::Grpc, Some(limit + 102)).unwrap();
        assert_eq!(lines(only.headers())[1..], **expected, "within {limit} + 102");
    }
    let too_large = WireError::HeaderListTooLarge { size: 44, limit: 43 };
    assert_eq!(failed(status()).into_headers_within(Some(43)), Err(too_large));
}

#[test]
fn p116_metadata_is_not_dropped_silently() {
    let trailers = Trailers {
        outcome: Ok(()),
        metadata: metadata(&[("a", "1")]),
    };
    assert!(trailers.clone().into_headers_within(Some(44 + 34)).is_ok());
    let error = trailers.into_headers_within(Some(44 + 33)).unwrap_err();
    assert_eq!(
        error,
        WireError::HeaderListTooLarge {
            size: 78,
            limit: 77
        }
    );
    assert_eq!(error.code(), Code::ResourceExhausted);
}

//! `wire::header_size`: P63, P64.

use barewire::wire::header_size::{
    STATUS_FIELD_SIZE, check_header_list, header_list_size, request_header_list_size,
};
use barewire::wire::{Code, WireError};
use http::Request;

use crate::support::headers;

#[test]
#[rustfmt::skip]
fn p063_a_field_is_its_name_its_value_and_32() {
    let cases: &[(&[(&str, &str)], usize)] = &[
        (&[],                                     0),
        (&[("a", "")],                            33),
        (&[("te", "trailers")],                   42),
        (&[("x", "1"), ("x", "22")],              34 + 35),   // each value is a field
        (&[("trace-bin", "q6ur")],                45),        // as base64
        (&[("grpc-status", "0")],                 44),
    ];
    for (fields, size) in cases {
        assert_eq!(header_list_size(&headers(fields)), *size, "{fields:?}");
    }
    assert_eq!(STATUS_FIELD_SIZE, ":status".len() + "200".len() + 32);
}

#[test]
fn p063_pseudo_header_fields_count() {
    let request = Request::post("http://localhost:50051/S/M?x").header("te", "trailers");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let expected = (":method".len() + "POST".len() + 32)
        + (":scheme".len() + "http".len() + 32)
        + (":authority".len() + "localhost:50051".len() + 32)
        + (":path".len() + "/S/M?x".len() + 32)
        + 42;
    assert_eq!(
        request_header_list_size(&parts.method, &parts.uri, &parts.headers),
        expected
    );

    let (parts, ()) = Request::post("/S/M").body(()).unwrap().into_parts();
    assert_eq!(
        request_header_list_size(&parts.method, &parts.uri, &parts.headers),
        7 + 4 + 32 + 5 + 4 + 32
    );
}

#[test]
#[rustfmt::skip]
fn p064_a_header_list_may_be_as_large_as_the_limit() {
    let too_large = WireError::HeaderListTooLarge { size: 101, limit: 100 };
    let too_many = WireError::TooManyHeaderFields { count: 9, limit: 8 };
    let cases = [
        (100, 8, Ok(())),
        (0,   0, Ok(())),
        (101, 8, Err(too_large.clone())),
        (100, 9, Err(too_many.clone())),
        (101, 9, Err(too_large.clone())),
    ];
    for (size, fields, expected) in cases {
        assert_eq!(check_header_list(size, fields, 100, 8), expected, "{size} {fields}");
    }
    assert_eq!(too_large.code(), Code::ResourceExhausted);
    assert_eq!(too_many.code(), Code::ResourceExhausted);
}

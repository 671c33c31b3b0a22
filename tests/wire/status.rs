//! `wire::status`: the sixteen codes, and `Status` as users see it.

use barewire::wire::{Code, Metadata, Origin, Status};
use bytes::Bytes;

#[test]
#[rustfmt::skip]
fn a_code_has_a_number_and_a_name() {
    let cases = [
        (1,  "CANCELLED",           Code::Cancelled,          Status::cancelled("x")),
        (2,  "UNKNOWN",             Code::Unknown,            Status::unknown("x")),
        (3,  "INVALID_ARGUMENT",    Code::InvalidArgument,    Status::invalid_argument("x")),
        (4,  "DEADLINE_EXCEEDED",   Code::DeadlineExceeded,   Status::deadline_exceeded("x")),
        (5,  "NOT_FOUND",           Code::NotFound,           Status::not_found("x")),
        (6,  "ALREADY_EXISTS",      Code::AlreadyExists,      Status::already_exists("x")),
        (7,  "PERMISSION_DENIED",   Code::PermissionDenied,   Status::permission_denied("x")),
        (8,  "RESOURCE_EXHAUSTED",  Code::ResourceExhausted,  Status::resource_exhausted("x")),
        (9,  "FAILED_PRECONDITION", Code::FailedPrecondition, Status::failed_precondition("x")),
        (10, "ABORTED",             Code::Aborted,            Status::aborted("x")),
        (11, "OUT_OF_RANGE",        Code::OutOfRange,         Status::out_of_range("x")),
        (12, "UNIMPLEMENTED",       Code::Unimplemented,      Status::unimplemented("x")),
        (13, "INTERNAL",            Code::Internal,           Status::internal("x")),
        (14, "UNAVAILABLE",         Code::Unavailable,        Status::unavailable("x")),
        (15, "DATA_LOSS",           Code::DataLoss,           Status::data_loss("x")),
        (16, "UNAUTHENTICATED",     Code::Unauthenticated,    Status::unauthenticated("x")),
    ];
    assert_eq!(cases.each_ref().map(|case| case.2), Code::ALL);
    for (number, name, code, status) in cases {
        assert_eq!((code.number(), code.name()), (number, name));
        assert_eq!(u8::try_from(code as i32), Ok(number));
        assert_eq!(Code::from_number(u32::from(number)), Some(code));
        assert_eq!(Code::from_name(name), Some(code));
        assert_eq!(Code::from_name(&name.to_lowercase()), Some(code));
        assert_eq!(code.to_string(), name);
        assert_eq!(status, Status::new(code, "x"));
        assert_eq!(status.to_string(), format!("{name}: x"));
    }
}

#[test]
fn zero_and_numbers_past_16_have_no_code() {
    for number in [0, 17, 99, 256, 256 + 5, u32::MAX] {
        assert_eq!(Code::from_number(number), None, "{number}");
    }
}

#[test]
fn ok_and_what_is_no_name_have_no_code() {
    for name in ["OK", "", "UNAVAILABLE ", "CANCELED", "14", "Unavailable!"] {
        assert_eq!(Code::from_name(name), None, "{name:?}");
    }
}

#[test]
fn a_status_is_small_enough_to_be_returned() {
    assert!(size_of::<Status>() <= 128, "{} bytes", size_of::<Status>());
    assert!(
        size_of::<Metadata>() <= 16,
        "{} bytes",
        size_of::<Metadata>()
    );
}

#[test]
fn a_status_says_what_and_who() {
    let mut metadata = Metadata::new();
    metadata.insert("retry-in", "3").unwrap();
    let status = Status::not_found(format!("no feature at {}", 7))
        .with_details(Bytes::from_static(b"\x08\x05"))
        .with_metadata(metadata);
    assert_eq!(status.to_string(), "NOT_FOUND: no feature at 7");
    assert_eq!(status.origin, Origin::Local);
    assert_eq!(status.details, "\x08\x05");
    assert_eq!(status.metadata.get("retry-in"), Some("3"));
    assert_eq!(status, status.clone());
    assert_ne!(status, Status::not_found("no feature at 7"));
    assert_eq!(
        Status::aborted("").to_string(),
        "ABORTED",
        "nothing to say, nothing said"
    );
    let error: Box<dyn std::error::Error> = status.into();
    assert!(error.source().is_none());
}

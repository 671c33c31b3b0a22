//! `wire::error`: every variant, its code and its text. What provokes each is tested where it
//! happens; here the mapping is laid down once more, so that a change shows.

use barewire::wire::{AcceptEncoding, Code, Encoding, Origin, Status, WireError};
use http::StatusCode;

#[test]
#[rustfmt::skip]
fn every_broken_rule_has_a_code_and_says_what_was_found() {
    let supported = AcceptEncoding::SUPPORTED;
    let cases: Vec<(WireError, Code, String)> = vec![
        (WireError::InvalidFlag(2),
            Code::Internal, "message flag 0x02 is neither 0 (plain) nor 1 (compressed)".into()),                       // P69
        (WireError::MessageTooLarge { length: 11, limit: 10 },
            Code::ResourceExhausted, "message of 11 bytes is longer than the limit of 10".into()),                     // D3
        (WireError::DecompressedTooLarge { limit: 10 },
            Code::ResourceExhausted, "message is longer than the limit of 10 bytes once decompressed".into()),         // D3
        (WireError::TruncatedMessage { missing: 3 },
            Code::Internal, "stream ended inside a message, 3 bytes or more before its end".into()),                   // P87
        (WireError::CompressedWithoutEncoding,
            Code::Internal, "message flag is 1 (compressed) but grpc-encoding is absent or identity".into()),          // P80
        (WireError::EncodingNotBuilt(Encoding::Gzip),
            Code::Internal, "this build of barewire does not have gzip: it lacks the feature \"gzip\"".into()),
        (WireError::CorruptMessage { encoding: Encoding::Gzip, reason: "invalid gzip header".into() },
            Code::Internal, "message is not valid gzip: invalid gzip header".into()),                                  // P84
        (WireError::BytesAfterMessage { encoding: Encoding::Gzip, count: 5 },
            Code::Internal, "5 bytes follow the end of the gzip message".into()),
        (WireError::MissingMessage,
            Code::Unimplemented, "exactly one message is due, but none came".into()),                                  // D1
        (WireError::ExtraMessage,
            Code::Unimplemented, "exactly one message is due, but a second one came".into()),                          // D1
        (WireError::InvalidPath("*".into()),
            Code::Unimplemented, "path \"*\" is not /service/method".into()),                                          // P22
        (WireError::RepeatedHost,
            Code::Internal, "host appears more than once".into()),                                                     // P25
        (WireError::InvalidHost("a b".into()),
            Code::Internal, "host \"a b\" is not an authority".into()),
        (WireError::TimeoutWithoutUnit("5x".into()),
            Code::Internal, "grpc-timeout \"5x\" has no unit of H M S m u n".into()),                                  // D8
        (WireError::InvalidTimeoutDigits("+1S".into()),
            Code::Internal, "grpc-timeout \"+1S\" is not 1 to 8 digits and a unit".into()),                            // D8
        (WireError::InvalidBase64("a-bin".into()),
            Code::Internal, "value of a-bin is not base64".into()),                                                    // P60
        (WireError::UnsupportedRequestEncoding("br".into()),
            Code::Unimplemented, format!("grpc-encoding \"br\" is not supported; supported: {supported}")),            // P81
        (WireError::UnsupportedResponseEncoding("br".into()),
            Code::Internal, format!("grpc-encoding \"br\" of the response is not supported; supported: {supported}")), // P83
        (WireError::HeaderListTooLarge { size: 101, limit: 100 },
            Code::ResourceExhausted, "header fields of 101 bytes are larger than the limit of 100".into()),
        (WireError::TooManyHeaderFields { count: 9, limit: 8 },
            Code::ResourceExhausted, "9 header fields are more than the limit of 8".into()),
        (WireError::InterimResponseEnded(StatusCode::CONTINUE),
            Code::Internal, "HTTP status 100 Continue ended the stream, though a final response is due".into()),       // P98
        (WireError::MissingTrailers,
            Code::Internal, "response ended without trailers".into()),                                                 // D5
        (WireError::MissingStatus,
            Code::Unknown, "trailers have no grpc-status".into()),                                                     // D5
        (WireError::InvalidStatus("01".into()),
            Code::Unknown, "grpc-status \"01\" is not a number".into()),                                               // P106
        (WireError::RepeatedStatus,
            Code::Unknown, "grpc-status appears more than once".into()),
        (WireError::UnknownStatus(17),
            Code::Unknown, "grpc-status 17 has no meaning".into()),                                                    // P107
    ];
    for (error, code, text) in cases {
        assert_eq!(error.code(), code, "{error:?}");
        assert_eq!(error.to_string(), text);
        let status = Status::from(error);
        assert_eq!((status.code, &*status.message, status.origin), (code, &*text, Origin::Local));
    }
}

#[test]
fn p121_codes_that_belong_to_applications_are_never_made_here() {
    let theirs = [
        "InvalidArgument",
        "NotFound",
        "AlreadyExists",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "DataLoss",
    ];
    for source in [
        include_str!("../../src/wire/error.rs"),
        include_str!("../../src/wire/tables.rs"),
    ] {
        for code in theirs {
            // They may be looked for, and turned into others. They are not the result of anything.
            for made in [format!("=> Code::{code}"), format!("= Code::{code}")] {
                assert!(!source.contains(&made), "{made}");
            }
        }
    }
}

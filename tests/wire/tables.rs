//! `wire::tables`: P111, P117, P122, D2, D4.

use barewire::spec::http2::error_name;
use barewire::wire::Code;
use barewire::wire::tables::{code_for_control_plane, code_for_http_status, code_for_reset};

#[test]
#[rustfmt::skip]
fn p117_a_reset_has_a_code() {
    let cases = [
        (0x00, "NO_ERROR",            Code::Internal),
        (0x01, "PROTOCOL_ERROR",      Code::Internal),
        (0x02, "INTERNAL_ERROR",      Code::Internal),
        (0x03, "FLOW_CONTROL_ERROR",  Code::Internal),            // D4
        (0x04, "SETTINGS_TIMEOUT",    Code::Internal),
        (0x05, "STREAM_CLOSED",       Code::Internal),
        (0x06, "FRAME_SIZE_ERROR",    Code::Internal),
        (0x07, "REFUSED_STREAM",      Code::Unavailable),
        (0x08, "CANCEL",              Code::Cancelled),
        (0x09, "COMPRESSION_ERROR",   Code::Internal),
        (0x0a, "CONNECT_ERROR",       Code::Internal),
        (0x0b, "ENHANCE_YOUR_CALM",   Code::ResourceExhausted),
        (0x0c, "INADEQUATE_SECURITY", Code::PermissionDenied),
        (0x0d, "HTTP_1_1_REQUIRED",   Code::Internal),
    ];
    for (number, name, code) in cases {
        assert_eq!(code_for_reset(number), code, "{name}");
        assert_eq!(error_name(number), Some(name));
    }
    for number in [0x0e, 0xff, u32::MAX] {
        assert_eq!(code_for_reset(number), Code::Unknown, "{number:#x}");
        assert_eq!(error_name(number), None);
    }
}

#[test]
fn p111_an_http_status_has_a_code_when_grpc_status_is_missing() {
    for status in 0..1000 {
        let code = match status {
            400 => Code::Internal,
            401 => Code::Unauthenticated,
            403 => Code::PermissionDenied,
            404 => Code::Unimplemented,
            429 | 502 | 503 | 504 => Code::Unavailable,
            _ => Code::Unknown, // 200, 418, 431 (D2), 505, 800 among them
        };
        assert_eq!(code_for_http_status(status), code, "{status}");
    }
}

#[test]
fn p122_what_only_an_application_may_say_is_internal_from_anyone_else() {
    for code in Code::ALL {
        let expected = match code.name() {
            "INVALID_ARGUMENT"
            | "NOT_FOUND"
            | "ALREADY_EXISTS"
            | "FAILED_PRECONDITION"
            | "ABORTED"
            | "OUT_OF_RANGE"
            | "DATA_LOSS" => Code::Internal,
            _ => code,
        };
        assert_eq!(code_for_control_plane(code), expected, "{code}");
    }
}

//! What a call's end means when it ends without a status: two tables, row for row as the
//! documents have them. And a third one, for a status that comes from elsewhere than the call.
//!
//! They are read in one direction only. A server never turns a status into an HTTP status: a call
//! that failed is an HTTP success, 200, and says so in its trailers.
//!
//! Spec: gRPC-HTTP2 §Errors; gRPC, HTTP to gRPC Status Code Mapping; gRPC-Codes; gRFC A54.

use crate::spec::http2::error;
use crate::wire::status::Code;

/// The code for FLOW_CONTROL_ERROR. The document says INTERNAL; grpc-go says RESOURCE_EXHAUSTED.
pub const FLOW_CONTROL_VIOLATION: Code = Code::Internal;

/// The code of a call whose stream the peer reset, by the error code of RST_STREAM.
///
/// CANCEL becomes CANCELLED; a client whose own deadline has passed says DEADLINE_EXCEEDED instead.
/// The document has no row for STREAM_CLOSED and HTTP_1_1_REQUIRED, and none for codes that it
/// does not know; those rows are as grpc-go's.
#[must_use]
pub const fn code_for_reset(error_code: u32) -> Code {
    match error_code {
        // A reset that reports no error still takes the status away, even if all messages came.
        error::NO_ERROR => Code::Internal,
        error::PROTOCOL_ERROR => Code::Internal,
        error::INTERNAL_ERROR => Code::Internal,
        error::FLOW_CONTROL_ERROR => FLOW_CONTROL_VIOLATION,
        error::SETTINGS_TIMEOUT => Code::Internal,
        error::STREAM_CLOSED => Code::Internal,
        error::FRAME_SIZE_ERROR => Code::Internal,
        // Nothing was done with the request, so it may be tried again.
        error::REFUSED_STREAM => Code::Unavailable,
        error::CANCEL => Code::Cancelled,
        error::COMPRESSION_ERROR => Code::Internal,
        error::CONNECT_ERROR => Code::Internal,
        error::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        error::INADEQUATE_SECURITY => Code::PermissionDenied,
        error::HTTP_1_1_REQUIRED => Code::Internal,
        _ => Code::Unknown,
    }
}

/// The code of a response that has no `grpc-status`, by its HTTP status.
#[must_use]
pub const fn code_for_http_status(status: u16) -> Code {
    match status {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        // 431 (Request Header Fields Too Large) among them, which h2 itself answers: the document has
        // no row for it. grpc-java says INTERNAL there.
        _ => Code::Unknown,
    }
}

/// The code of a call that failed because something else did which was to prepare it: call credentials,
/// a resolver, a balancer.
///
/// Seven codes say something about what the call asks for, which only the server's application can
/// know. From anyone else they are a mistake: INTERNAL.
#[must_use]
pub const fn code_for_control_plane(code: Code) -> Code {
    match code {
        Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::DataLoss => Code::Internal,
        Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::Unauthenticated => code,
    }
}

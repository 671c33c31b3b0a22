//! What h2 says of a stream or a connection, as the [`Status`] of a call.

use crate::wire::tables::code_for_reset;
use crate::wire::{Code, Status};

/// How a server's call ends when its stream failed: its client is gone, or broke the protocol.
///
/// Whatever the client's reason was, for the handler it is a cancellation. gRPC-HTTP2 §Errors.
pub(crate) fn status_of_server_stream(error: &h2::Error) -> Status {
    match error.reason() {
        Some(reason) if error.is_reset() && !error.is_remote() => Status::new(
            code_for_reset(u32::from(reason)),
            format!("the request broke HTTP/2 and was reset: {reason}"),
        ),
        Some(reason) if error.is_reset() => Status::new(
            Code::Cancelled,
            format!("the client reset the stream: {reason}"),
        ),
        Some(_) | None => Status::new(
            Code::Cancelled,
            format!("the connection to the client is lost: {error}"),
        ),
    }
}

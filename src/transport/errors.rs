//! What h2 says of a stream or a connection, as the [`Status`] of a call.

use crate::wire::Status;
use crate::wire::tables::code_for_reset;

#[cfg(feature = "client")]
use super::client_connection::ConnectionState;

/// How a server's call ends when its stream failed: its client is gone, or broke the protocol.
///
/// Whatever the client's reason was, for the handler it is a cancellation. gRPC-HTTP2 §Errors.
#[cfg(feature = "server")]
pub(crate) fn status_of_server_stream(error: &h2::Error) -> Status {
    match error.reason() {
        Some(reason) if error.is_reset() && !error.is_remote() => Status::new(
            code_for_reset(u32::from(reason)),
            format!("the request broke HTTP/2 and was reset: {reason}"),
        ),
        Some(reason) if error.is_reset() => {
            Status::cancelled(format!("the client reset the stream: {reason}"))
        }
        Some(_) | None => {
            Status::cancelled(format!("the connection to the client is lost: {error}"))
        }
    }
}

/// How a client's call ends when its stream failed before the trailers came.
///
/// A stream that the server refused, or that is above the last one of its GOAWAY, was not seen by its
/// application. gRPC-HTTP2 §Errors; gRFC A6 §Transparent Retries.
#[cfg(feature = "client")]
pub(super) fn status_of_client_stream(
    error: &h2::Error,
    stream: u32,
    connection: &ConnectionState,
) -> Status {
    if let Some(error) = connection.header_list_too_large(stream) {
        return error.into();
    }
    let peer = connection.peer();
    match error.reason() {
        Some(h2::Reason::REFUSED_STREAM) if error.is_reset() && error.is_remote() => {
            Status::unavailable(format!("{peer} refused the stream: REFUSED_STREAM")).unprocessed()
        }
        Some(reason) if error.is_reset() && error.is_remote() => Status::new(
            code_for_reset(u32::from(reason)),
            format!("{peer} reset the stream: {}", name_of(reason)),
        ),
        Some(reason) if error.is_reset() => Status::new(
            code_for_reset(u32::from(reason)),
            format!(
                "the response of {peer} broke HTTP/2 or is larger than we accept, and was reset: {}",
                name_of(reason)
            ),
        ),
        Some(_) if error.is_go_away() && error.is_remote() => {
            let why = connection.why_it_ended(error);
            Status::unavailable(format!("{peer} took no more streams: {why}")).unprocessed()
        }
        Some(_) | None => {
            let why = connection.why_it_ended(error);
            Status::unavailable(format!("the connection to {peer} was lost: {why}"))
        }
    }
}

/// An error code as RFC 9113 §7 names it.
#[cfg(feature = "client")]
fn name_of(reason: h2::Reason) -> String {
    let code = u32::from(reason);
    crate::spec::http2::error_name(code).map_or_else(|| format!("{code:#x}"), str::to_owned)
}

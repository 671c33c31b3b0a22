//! What a peer can do wrong: one variant per rule, and the code that each of them becomes.
//!
//! A [`WireError`] is a finding about bytes, with the evidence in it. [`WireError::code`] is the
//! only place where such a finding becomes a status code. Where the documents contradict each
//! other or common practice, the choice has a constant of its own, right above.
//!
//! Spec: gRPC-HTTP2 §Errors, gRPC-Codes §Codes made by the library, gRPC-Compression.

use http::StatusCode;
use thiserror::Error;

use crate::wire::compression::{AcceptEncoding, Encoding};
use crate::wire::status::{Code, Status};

/// The code for zero or several messages where exactly one is due. gRPC-Codes says UNIMPLEMENTED;
/// grpc-go and grpc-java say INTERNAL, and the document's authors have called its choice a mistake.
pub const CARDINALITY_VIOLATION: Code = Code::Unimplemented;

/// The code for a message over a limit, on whichever side it is noticed. gRPC-Codes.
pub const MESSAGE_OVER_LIMIT: Code = Code::ResourceExhausted;

/// The code for trailers without a status after a response that was HTTP 200.
/// The table of HTTP statuses has UNKNOWN for 200.
pub const TRAILERS_WITHOUT_STATUS: Code = Code::Unknown;

/// The code for a response whose last DATA frame ends the stream, so that no trailers can come.
/// The document gives no row for it; grpc-go says INTERNAL.
pub const RESPONSE_WITHOUT_TRAILERS: Code = Code::Internal;

/// A rule of the wire that the peer, or what we were told to send, breaks.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WireError {
    /// A message began with a flag other than 0 or 1. gRPC-HTTP2 §Requests (Compressed-Flag).
    #[error("message flag {0:#04x} is neither 0 (plain) nor 1 (compressed)")]
    InvalidFlag(u8),

    /// A message is longer than the limit says. Known from the five bytes before it.
    #[error("message of {length} bytes is longer than the limit of {limit}")]
    MessageTooLarge {
        /// The length that was announced.
        length: usize,
        /// The most that is allowed.
        limit: usize,
    },

    /// A compressed message grew past the limit. How long it would have become is not known.
    #[error("message is longer than the limit of {limit} bytes once decompressed")]
    DecompressedTooLarge {
        /// The most that is allowed.
        limit: usize,
    },

    /// The stream ended inside a message. gRPC-HTTP2 §Requests (Message-Length).
    #[error("stream ended inside a message, {missing} bytes or more before its end")]
    TruncatedMessage {
        /// How many bytes were still to come, as far as that is known.
        missing: usize,
    },

    /// A message had flag 1 though no coding was named. gRPC-HTTP2 §Requests (Compressed-Flag).
    #[error("message flag is 1 (compressed) but grpc-encoding is absent or identity")]
    CompressedWithoutEncoding,

    /// A message is to be written or read in a coding that was left out of this build.
    #[error("this build of barewire does not have {0}: it lacks the feature \"gzip\"")]
    EncodingNotBuilt(Encoding),

    /// A compressed message is not what its coding makes. gRPC-Compression.
    #[error("message is not valid {encoding}: {reason}")]
    CorruptMessage {
        /// The coding it should have.
        encoding: Encoding,
        /// What the decoder said.
        reason: Box<str>,
    },

    /// A compressed message goes on after its end: a second gzip member, or junk. A message is
    /// one member, because anything after it would be read by some peers and dropped by others.
    #[error("{count} bytes follow the end of the {encoding} message")]
    BytesAfterMessage {
        /// The coding of the message.
        encoding: Encoding,
        /// How many bytes came too much.
        count: usize,
    },

    /// A message is not what its type says. gRPC-Codes.
    #[error("message is not valid protobuf: {0}")]
    InvalidProtobuf(Box<str>),

    /// No message came where one is due. gRPC-Codes.
    #[error("exactly one message is due, but none came")]
    MissingMessage,

    /// A second message came where one is due. gRPC-Codes.
    #[error("exactly one message is due, but a second one came")]
    ExtraMessage,

    /// `:path` is not a slash, a service, a slash and a method. gRPC-HTTP2 §Requests (Path).
    #[error("path \"{0}\" is not /service/method")]
    InvalidPath(Box<str>),

    /// No service has this name. gRPC-Codes.
    #[error("there is no service {0}")]
    UnknownService(Box<str>),

    /// The service has no method of this name. gRPC-Codes.
    #[error("{service} has no method {method}")]
    UnknownMethod {
        /// The service.
        service: Box<str>,
        /// What it does not have.
        method: Box<str>,
    },

    /// `host` came more than once. Which one is meant cannot be told. gRFC A41.
    #[error("host appears more than once")]
    RepeatedHost,

    /// `host` stands in for `:authority` but is none. RFC 9113 §8.3.1.
    #[error("host \"{0}\" is not an authority")]
    InvalidHost(Box<str>),

    /// `grpc-timeout` does not end with a unit. gRPC-HTTP2 §Requests (TimeoutUnit).
    #[error("grpc-timeout \"{0}\" has no unit of H M S m u n")]
    TimeoutWithoutUnit(Box<str>),

    /// `grpc-timeout` is not one to eight digits before its unit. gRPC-HTTP2 §Requests
    /// (TimeoutValue).
    #[error("grpc-timeout \"{0}\" is not 1 to 8 digits and a unit")]
    InvalidTimeoutDigits(Box<str>),

    /// A `-bin` value is not base64. gRPC-HTTP2 §Requests (Custom-Metadata).
    #[error("value of {0} is not base64")]
    InvalidBase64(Box<str>),

    /// The request's messages are in a coding that we cannot read. gRPC-Compression.
    #[error("grpc-encoding \"{0}\" is not supported; supported: {SUPPORTED}")]
    UnsupportedRequestEncoding(Box<str>),

    /// The response's messages are in a coding that we cannot read. gRPC-Compression.
    #[error("grpc-encoding \"{0}\" of the response is not supported; supported: {SUPPORTED}")]
    UnsupportedResponseEncoding(Box<str>),

    /// The messages of all calls together take more memory than they may.
    #[error(
        "message of about {bytes} bytes in memory finds no room within the {limit} of all calls"
    )]
    TooManyBytesInflight {
        /// What the message would have taken.
        bytes: usize,
        /// The most that all may take.
        limit: usize,
    },

    /// Header fields together are larger than the limit. RFC 9113 §6.5.2 says how to count.
    #[error("header fields of {size} bytes are larger than the limit of {limit}")]
    HeaderListTooLarge {
        /// Their size.
        size: usize,
        /// The most that is allowed.
        limit: usize,
    },

    /// There are more header fields than the limit says.
    #[error("{count} header fields are more than the limit of {limit}")]
    TooManyHeaderFields {
        /// How many there are.
        count: usize,
        /// The most that is allowed.
        limit: usize,
    },

    /// An interim response (1xx) ended the stream. RFC 9113 §8.1.
    #[error("HTTP status {0} ended the stream, though a final response is due")]
    InterimResponseEnded(StatusCode),

    /// The response ended with its messages: no trailers came. gRPC-HTTP2 §Responses.
    #[error("response ended without trailers")]
    MissingTrailers,

    /// Trailers came without `grpc-status`. gRPC-HTTP2 §Responses (Status).
    #[error("trailers have no grpc-status")]
    MissingStatus,

    /// `grpc-status` is not a decimal number without leading zeros. gRPC-HTTP2 §Responses (Status).
    #[error("grpc-status \"{0}\" is not a number")]
    InvalidStatus(Box<str>),

    /// `grpc-status` came more than once. Which one is meant cannot be told.
    #[error("grpc-status appears more than once")]
    RepeatedStatus,

    /// `grpc-status` is a number that has no code. gRPC-Codes.
    #[error("grpc-status {0} has no meaning")]
    UnknownStatus(u32),
}

impl WireError {
    /// The status code that this becomes.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::InvalidFlag(_)
            | Self::TruncatedMessage { .. }
            | Self::CompressedWithoutEncoding
            | Self::EncodingNotBuilt(_)
            | Self::CorruptMessage { .. }
            | Self::BytesAfterMessage { .. }
            | Self::InvalidProtobuf(_)
            | Self::RepeatedHost
            | Self::InvalidHost(_)
            | Self::TimeoutWithoutUnit(_)
            | Self::InvalidTimeoutDigits(_)
            | Self::InvalidBase64(_)
            | Self::UnsupportedResponseEncoding(_)
            | Self::InterimResponseEnded(_) => Code::Internal,
            Self::MessageTooLarge { .. } | Self::DecompressedTooLarge { .. } => MESSAGE_OVER_LIMIT,
            Self::HeaderListTooLarge { .. }
            | Self::TooManyHeaderFields { .. }
            | Self::TooManyBytesInflight { .. } => Code::ResourceExhausted,
            Self::MissingMessage | Self::ExtraMessage => CARDINALITY_VIOLATION,
            Self::InvalidPath(_)
            | Self::UnknownService(_)
            | Self::UnknownMethod { .. }
            | Self::UnsupportedRequestEncoding(_) => Code::Unimplemented,
            Self::MissingTrailers => RESPONSE_WITHOUT_TRAILERS,
            Self::MissingStatus => TRAILERS_WITHOUT_STATUS,
            Self::InvalidStatus(_) | Self::RepeatedStatus | Self::UnknownStatus(_) => Code::Unknown,
        }
    }
}

impl From<WireError> for Status {
    fn from(error: WireError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

/// What a peer sent, fit to be quoted in a text: printable and short.
pub(super) fn quote(bytes: &[u8]) -> Box<str> {
    let Some(start) = bytes.get(..QUOTE_LIMIT) else {
        return bytes.escape_ascii().to_string().into();
    };
    format!("{}…", start.escape_ascii()).into()
}

/// What the texts above name as supported.
const SUPPORTED: AcceptEncoding = AcceptEncoding::SUPPORTED;

/// Enough to recognize a value in a capture, and little enough for a header field.
const QUOTE_LIMIT: usize = 64;

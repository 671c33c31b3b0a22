//! Names and numbers of gRPC: header fields, the media type, message flags, units, status codes.
//!
//! A field's name is here twice: as text in [`names`], to `match` on, and as a [`HeaderName`], to
//! put into a header map. The second is made from the first.
//!
//! Spec: gRPC-HTTP2 §Requests, §Responses; gRPC-Codes; gRFC A6.

use http::HeaderName;

/// Names of header fields as text, lower-case as HTTP/2 wants them.
pub mod names {
    /// The media type of the body, which marks a request as gRPC.
    pub const CONTENT_TYPE: &str = "content-type";
    /// `te: trailers`: the client understands trailers. It detects proxies that do not.
    pub const TE: &str = "te";
    /// Which library speaks: `grpc-<language>[-<variant>]/<version>`.
    pub const USER_AGENT: &str = "user-agent";
    /// The authority where HTTP/1.1 writes it; in HTTP/2 `:authority` replaces it.
    pub const HOST: &str = "host";
    /// The methods that a resource has, in an answer 405. RFC 9110 §10.2.1.
    pub const ALLOW: &str = "allow";
    /// The length of the body in bytes. gRPC does not send it.
    pub const CONTENT_LENGTH: &str = "content-length";

    /// How long the client will wait: digits and a unit.
    pub const TIMEOUT: &str = "grpc-timeout";
    /// The coding of the messages whose flag is 1.
    pub const ENCODING: &str = "grpc-encoding";
    /// The codings that the sender can read.
    pub const ACCEPT_ENCODING: &str = "grpc-accept-encoding";
    /// The fully qualified type of the messages. Optional, and nobody needs it.
    pub const MESSAGE_TYPE: &str = "grpc-message-type";

    /// How the call ended: a decimal status code, in the trailers.
    pub const STATUS: &str = "grpc-status";
    /// Why it ended so, percent-encoded.
    pub const MESSAGE: &str = "grpc-message";
    /// The same and more as a serialized `google.rpc.Status`.
    pub const STATUS_DETAILS: &str = "grpc-status-details-bin";

    /// How often this call was tried before. gRFC A6.
    pub const PREVIOUS_RPC_ATTEMPTS: &str = "grpc-previous-rpc-attempts";
    /// How long a server asks a client to wait before it tries again. gRFC A6.
    pub const RETRY_PUSHBACK: &str = "grpc-retry-pushback-ms";
    /// A span's identity, from the tracing format of OpenCensus.
    pub const TRACE: &str = "grpc-trace-bin";
    /// Labels for statistics, from OpenCensus.
    pub const TAGS: &str = "grpc-tags-bin";

    /// What names of the protocol itself begin with.
    pub const RESERVED_PREFIX: &str = "grpc-";
    /// What names of binary metadata end with; their values are base64.
    pub const BINARY_SUFFIX: &str = "-bin";

    /// Speaks of an HTTP/1.1 connection, as do the four below. They make an HTTP/2 message
    /// malformed. RFC 9113 §8.2.2.
    pub const CONNECTION: &str = "connection";
    /// Speaks of an HTTP/1.1 connection.
    pub const KEEP_ALIVE: &str = "keep-alive";
    /// Speaks of an HTTP/1.1 connection.
    pub const PROXY_CONNECTION: &str = "proxy-connection";
    /// Speaks of an HTTP/1.1 connection.
    pub const TRANSFER_ENCODING: &str = "transfer-encoding";
    /// Speaks of an HTTP/1.1 connection.
    pub const UPGRADE: &str = "upgrade";
}

/// [`names::CONTENT_TYPE`] as a header name.
pub const CONTENT_TYPE: HeaderName = HeaderName::from_static(names::CONTENT_TYPE);
/// [`names::TE`] as a header name.
pub const TE: HeaderName = HeaderName::from_static(names::TE);
/// [`names::USER_AGENT`] as a header name.
pub const USER_AGENT: HeaderName = HeaderName::from_static(names::USER_AGENT);
/// [`names::ALLOW`] as a header name.
pub const ALLOW: HeaderName = HeaderName::from_static(names::ALLOW);
/// [`names::TIMEOUT`] as a header name.
pub const TIMEOUT: HeaderName = HeaderName::from_static(names::TIMEOUT);
/// [`names::ENCODING`] as a header name.
pub const ENCODING: HeaderName = HeaderName::from_static(names::ENCODING);
/// [`names::ACCEPT_ENCODING`] as a header name.
pub const ACCEPT_ENCODING: HeaderName = HeaderName::from_static(names::ACCEPT_ENCODING);
/// [`names::STATUS`] as a header name.
pub const STATUS: HeaderName = HeaderName::from_static(names::STATUS);
/// [`names::MESSAGE`] as a header name.
pub const MESSAGE: HeaderName = HeaderName::from_static(names::MESSAGE);
/// [`names::STATUS_DETAILS`] as a header name.
pub const STATUS_DETAILS: HeaderName = HeaderName::from_static(names::STATUS_DETAILS);
/// [`names::PREVIOUS_RPC_ATTEMPTS`] as a header name.
pub const PREVIOUS_RPC_ATTEMPTS: HeaderName = HeaderName::from_static(names::PREVIOUS_RPC_ATTEMPTS);

/// The media type of gRPC, bare: the messages are protobuf unless the two ends know better.
pub const MEDIA_TYPE: &str = "application/grpc";
/// The media type with the subtype that says protobuf.
pub const MEDIA_TYPE_PROTO: &str = "application/grpc+proto";
/// The subtype, as it stands behind the `+`.
pub const SUBTYPE_PROTO: &str = "proto";

/// The value of `te`.
pub const TRAILERS: &str = "trailers";
/// The only method that calls use.
pub const METHOD: &str = "POST";

/// Compressed-Flag of a message that is sent as it is.
pub const FLAG_PLAIN: u8 = 0;
/// Compressed-Flag of a message in the coding that `grpc-encoding` names.
pub const FLAG_COMPRESSED: u8 = 1;

/// The coding that changes nothing.
pub const IDENTITY: &str = "identity";
/// The gzip format of RFC 1952.
pub const GZIP: &str = "gzip";
/// The zlib format of RFC 1950, not the bare deflate stream of RFC 1951 inside it.
pub const DEFLATE: &str = "deflate";

/// The most digits of a `grpc-timeout`.
pub const TIMEOUT_DIGITS_LIMIT: usize = 8;
/// The unit hour of `grpc-timeout`.
pub const HOUR: u8 = b'H';
/// The unit minute of `grpc-timeout`.
pub const MINUTE: u8 = b'M';
/// The unit second of `grpc-timeout`.
pub const SECOND: u8 = b'S';
/// The unit millisecond of `grpc-timeout`.
pub const MILLISECOND: u8 = b'm';
/// The unit microsecond of `grpc-timeout`.
pub const MICROSECOND: u8 = b'u';
/// The unit nanosecond of `grpc-timeout`.
pub const NANOSECOND: u8 = b'n';

/// Field number of `code` in `google.rpc.Status`, the message of [`names::STATUS_DETAILS`].
pub const STATUS_DETAILS_CODE_FIELD: u64 = 1;

/// Status codes as (number, name). gRPC-Codes.
pub mod status {
    /// The call went well. This is not a failure, so no `Code` of barewire stands for it.
    pub const OK: (u8, &str) = (0, "OK");
    /// The call was cancelled, typically by the caller.
    pub const CANCELLED: (u8, &str) = (1, "CANCELLED");
    /// The cause is not known, or has no code here.
    pub const UNKNOWN: (u8, &str) = (2, "UNKNOWN");
    /// The request makes no sense, whatever the state of the system.
    pub const INVALID_ARGUMENT: (u8, &str) = (3, "INVALID_ARGUMENT");
    /// The deadline passed before the call was done.
    pub const DEADLINE_EXCEEDED: (u8, &str) = (4, "DEADLINE_EXCEEDED");
    /// What was asked for is not there.
    pub const NOT_FOUND: (u8, &str) = (5, "NOT_FOUND");
    /// What was to be made is there already.
    pub const ALREADY_EXISTS: (u8, &str) = (6, "ALREADY_EXISTS");
    /// The caller is known and may not do this.
    pub const PERMISSION_DENIED: (u8, &str) = (7, "PERMISSION_DENIED");
    /// A quota, a limit or the memory is used up.
    pub const RESOURCE_EXHAUSTED: (u8, &str) = (8, "RESOURCE_EXHAUSTED");
    /// The system is not in the state that the call needs.
    pub const FAILED_PRECONDITION: (u8, &str) = (9, "FAILED_PRECONDITION");
    /// The call lost against another one that ran beside it.
    pub const ABORTED: (u8, &str) = (10, "ABORTED");
    /// The request goes past the end of what is there now.
    pub const OUT_OF_RANGE: (u8, &str) = (11, "OUT_OF_RANGE");
    /// The server does not have this method.
    pub const UNIMPLEMENTED: (u8, &str) = (12, "UNIMPLEMENTED");
    /// Something that always holds did not hold.
    pub const INTERNAL: (u8, &str) = (13, "INTERNAL");
    /// The service cannot be reached now; trying again may help.
    pub const UNAVAILABLE: (u8, &str) = (14, "UNAVAILABLE");
    /// Data is lost or damaged for good.
    pub const DATA_LOSS: (u8, &str) = (15, "DATA_LOSS");
    /// It is not known who the caller is.
    pub const UNAUTHENTICATED: (u8, &str) = (16, "UNAUTHENTICATED");
}

//! Every number and name of the protocols, once.
//!
//! ```text
//!  grpc      header names, media type, message flags, units of time, status codes
//!  http2     frame types, flags, settings, error codes
//!  protobuf  wire types
//! ```
//!
//! A name such as `grpc-timeout` stands in this folder as a literal and nowhere else. Each entry
//! says what the protocol means by it; what barewire does with it is said where it is done.
//!
//! Spec: gRPC-HTTP2, gRPC-Codes, RFC 9113, Protocol Buffers §Encoding.

pub mod grpc;
pub mod http2;
pub mod protobuf;

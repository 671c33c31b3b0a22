//! Content-Type: what marks a request, and its response, as gRPC.
//!
//! ```text
//!  application/grpc          application/grpc+proto          application/grpc;charset=utf-8
//! ```
//!
//! Behind a `+` stands how messages are encoded. Without it they are protobuf as well, so
//! barewire takes these two and no other: a request in another encoding is not for us, and gets
//! HTTP 415 like one that is not gRPC at all. The document leaves open what to answer; grpc-go
//! reads unknown subtypes as protobuf.
//!
//! Case does not matter to a reader, nor do blanks before a parameter, and parameters are ignored.
//! `application/grpc-web` and other names that only begin alike are something else.
//!
//! Spec: gRPC-HTTP2 §Requests (Content-Type), RFC 9110 §8.3.1.

use http::HeaderValue;

use crate::spec::grpc::{MEDIA_TYPE, MEDIA_TYPE_PROTO, SUBTYPE_PROTO};

/// A media type of gRPC. A response has that of its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ContentType {
    /// `application/grpc`.
    #[default]
    Grpc,
    /// `application/grpc+proto`.
    GrpcProto,
}

impl ContentType {
    /// Reads a `content-type`; `None` if it is not one of gRPC with protobuf messages.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        // What nearly everybody sends needs no taking apart.
        if value == MEDIA_TYPE.as_bytes() {
            return Some(Self::Grpc);
        }
        let essence = value.split(|byte| *byte == b';').next()?.trim_ascii();
        let (media_type, rest) = essence.split_at_checked(MEDIA_TYPE.len())?;
        if !media_type.eq_ignore_ascii_case(MEDIA_TYPE.as_bytes()) {
            return None;
        }
        match rest.split_first() {
            None => Some(Self::Grpc),
            Some((b'+', subtype)) if subtype.eq_ignore_ascii_case(SUBTYPE_PROTO.as_bytes()) => {
                Some(Self::GrpcProto)
            }
            Some(_) => None,
        }
    }

    /// The value to send.
    #[must_use]
    pub const fn header_value(self) -> HeaderValue {
        match self {
            Self::Grpc => HeaderValue::from_static(MEDIA_TYPE),
            Self::GrpcProto => HeaderValue::from_static(MEDIA_TYPE_PROTO),
        }
    }
}

//! No codings but `identity`: a build without the feature `gzip`.
//!
//! Spec: gRPC-HTTP2 §Requests (Message-Encoding).

use bytes::Bytes;

use crate::wire::compression::{AcceptEncoding, Encoding};
use crate::wire::error::WireError;

pub(super) const SUPPORTED: AcceptEncoding = AcceptEncoding::IDENTITY;

pub(super) fn compress(encoding: Encoding, body: &[u8]) -> Result<Bytes, WireError> {
    match encoding {
        Encoding::Identity => Ok(Bytes::copy_from_slice(body)),
        Encoding::Gzip | Encoding::Deflate => Err(WireError::EncodingNotBuilt(encoding)),
    }
}

pub(super) fn decompress(encoding: Encoding, _: &[u8], _: usize) -> Result<Bytes, WireError> {
    match encoding {
        Encoding::Identity => Err(WireError::CompressedWithoutEncoding),
        Encoding::Gzip | Encoding::Deflate => Err(WireError::EncodingNotBuilt(encoding)),
    }
}

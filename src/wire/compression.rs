//! Message-Encoding, Message-Accept-Encoding: how messages are compressed.
//!
//! ```text
//!  grpc-encoding: gzip                          the coding of messages whose flag is 1
//!  grpc-accept-encoding: identity, gzip         the codings that the sender can read
//! ```
//!
//! A coding is named once for a whole direction of a call, and each message says by its flag
//! whether it uses it. Every message is compressed on its own, so each can be read without those
//! before it. `identity` changes nothing and is always understood.
//!
//! What is read here came from a stranger: a few bytes can become gigabytes. [`decompress`] stops
//! one byte past its limit.
//!
//! Without the feature `gzip` no coding but `identity` is supported, and a request in another one
//! is refused like one in a coding that nobody knows.
//!
//! Spec: gRPC-HTTP2 §Requests (Message-Encoding, Message-Accept-Encoding), gRPC-Compression,
//! RFC 1950, RFC 1952.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use crate::spec::grpc::{ACCEPT_ENCODING, DEFLATE, GZIP, IDENTITY};
use crate::wire::error::WireError;

#[cfg(feature = "gzip")]
mod flate;
#[cfg(not(feature = "gzip"))]
mod identity_only;

#[cfg(feature = "gzip")]
use flate as codecs;
#[cfg(not(feature = "gzip"))]
use identity_only as codecs;

/// A coding of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// No compression.
    #[default]
    Identity,
    /// The gzip format.
    Gzip,
    /// The zlib format, which HTTP calls deflate.
    Deflate,
}

impl Encoding {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => IDENTITY,
            Self::Gzip => GZIP,
            Self::Deflate => DEFLATE,
        }
    }

    /// The coding of a name, whether this build supports it or not.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        let all = [Self::Identity, Self::Gzip, Self::Deflate];
        all.into_iter()
            .find(|encoding| encoding.name().as_bytes() == name)
    }

    /// The coding of a name, if this build supports it.
    pub(super) fn supported(name: &[u8]) -> Option<Self> {
        Self::from_name(name).filter(|encoding| AcceptEncoding::SUPPORTED.contains(*encoding))
    }

    /// The value of `grpc-encoding`.
    #[must_use]
    pub const fn header_value(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A set of codings that somebody can read. `identity` is always in it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct AcceptEncoding {
    gzip: bool,
    deflate: bool,
}

impl AcceptEncoding {
    /// Only `identity`: what a peer can read that does not say.
    pub const IDENTITY: Self = Self {
        gzip: false,
        deflate: false,
    };

    /// What this build can read.
    pub const SUPPORTED: Self = codecs::SUPPORTED;

    /// The same set with one more coding in it.
    #[must_use]
    pub const fn with(mut self, encoding: Encoding) -> Self {
        match encoding {
            Encoding::Identity => {}
            Encoding::Gzip => self.gzip = true,
            Encoding::Deflate => self.deflate = true,
        }
        self
    }

    /// Whether a coding is in the set.
    #[must_use]
    pub const fn contains(self, encoding: Encoding) -> bool {
        match encoding {
            Encoding::Identity => true,
            Encoding::Gzip => self.gzip,
            Encoding::Deflate => self.deflate,
        }
    }

    /// Reads `grpc-accept-encoding`, which may come in several lines.
    #[must_use]
    pub fn parse(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT_ENCODING).into_iter();
        lines.fold(Self::IDENTITY, |accepted, line| {
            accepted.with_list(line.as_bytes())
        })
    }

    /// The same set with the codings of a list: names with commas between them, and perhaps
    /// blanks. Names that we do not know are no error; they are of no use to us.
    #[must_use]
    pub fn with_list(self, list: &[u8]) -> Self {
        let names = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        names.filter_map(Encoding::from_name).fold(self, Self::with)
    }

    /// The value of `grpc-accept-encoding`.
    #[must_use]
    pub const fn header_value(self) -> HeaderValue {
        HeaderValue::from_static(self.list())
    }

    const fn list(self) -> &'static str {
        match (self.gzip, self.deflate) {
            (false, false) => IDENTITY,
            (true, false) => "identity, gzip",
            (false, true) => "identity, deflate",
            (true, true) => "identity, gzip, deflate",
        }
    }
}

impl fmt::Display for AcceptEncoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.list())
    }
}

impl fmt::Debug for AcceptEncoding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.list())
    }
}

/// The most that so many compressed bytes can become: two bits may say 258 bytes. RFC 1951 §3.2.5.
#[must_use]
pub const fn most_decompressed(length: usize) -> usize {
    length.saturating_mul(4 * 258)
}

/// Compresses one message.
///
/// # Errors
///
/// [`WireError::EncodingNotBuilt`] if this build does not have the coding.
pub fn compress(encoding: Encoding, body: &[u8]) -> Result<Bytes, WireError> {
    codecs::compress(encoding, body)
}

/// Restores one message that came with flag 1. It may become `limit` bytes long and no longer.
///
/// # Errors
///
/// - [`WireError::CompressedWithoutEncoding`] for `identity`: there is nothing to restore.
/// - [`WireError::CorruptMessage`] and [`WireError::BytesAfterMessage`] if the bytes are not
///   exactly one message of the coding.
/// - [`WireError::DecompressedTooLarge`] at the first byte past the limit.
/// - [`WireError::EncodingNotBuilt`] if this build does not have the coding.
pub fn decompress(encoding: Encoding, body: &[u8], limit: usize) -> Result<Bytes, WireError> {
    codecs::decompress(encoding, body, limit)
}

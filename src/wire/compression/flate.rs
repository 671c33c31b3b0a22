//! gzip and zlib: the codings of a build with the feature `gzip`.
//!
//! A message is exactly one gzip member or one zlib stream. gzip allows several members in a row;
//! readers differ in what they do with the second, so it is refused, as is anything else behind
//! the end.
//!
//! Spec: RFC 1950 §2.2, RFC 1952 §2.2, gRPC-Compression.

use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::bufread::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::wire::compression::{AcceptEncoding, Encoding, most_decompressed};
use crate::wire::error::{WireError, quote};

pub(super) const SUPPORTED: AcceptEncoding = AcceptEncoding::IDENTITY
    .with(Encoding::Gzip)
    .with(Encoding::Deflate);

pub(super) fn compress(encoding: Encoding, body: &[u8]) -> Result<Bytes, WireError> {
    let room = Vec::with_capacity(body.len() / 2 + FORMAT_OVERHEAD);
    let compressed = match encoding {
        Encoding::Identity => return Ok(Bytes::copy_from_slice(body)),
        Encoding::Gzip => {
            let mut encoder = GzEncoder::new(room, Compression::default());
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
        Encoding::Deflate => {
            let mut encoder = ZlibEncoder::new(room, Compression::default());
            encoder.write_all(body).and_then(|()| encoder.finish())
        }
    };
    match compressed {
        Ok(compressed) => Ok(Bytes::from(compressed)),
        // Any bytes can be compressed, and a Vec takes all that is written to it.
        Err(error) => unreachable!("compressing into memory failed: {error}"),
    }
}

pub(super) fn decompress(
    encoding: Encoding,
    body: &[u8],
    limit: usize,
) -> Result<Bytes, WireError> {
    // One byte more than allowed is enough to know.
    let enough = limit.saturating_add(1);
    let most = most_decompressed(body.len()).min(enough);
    let mut rest = body;
    let message = match encoding {
        Encoding::Identity => return Err(WireError::CompressedWithoutEncoding),
        Encoding::Gzip => {
            let room = gzip_length(body).min(most);
            read_within(GzDecoder::new(&mut rest), encoding, limit, room)?
        }
        Encoding::Deflate => read_within(ZlibDecoder::new(&mut rest), encoding, limit, 0)?,
    };
    if !rest.is_empty() {
        return Err(WireError::BytesAfterMessage {
            encoding,
            count: rest.len(),
        });
    }
    Ok(Bytes::from(message))
}

/// What a gzip member says of its length: its last four bytes. It is the peer's word, and taken for no
/// more than how much room to begin with. RFC 1952 §2.3.1 (ISIZE).
fn gzip_length(body: &[u8]) -> usize {
    let length = body.last_chunk().copied().map_or(0, u32::from_le_bytes);
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn read_within(
    decoder: impl Read,
    encoding: Encoding,
    limit: usize,
    room: usize,
) -> Result<Vec<u8>, WireError> {
    let enough = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    // Beyond its room the vector grows with what comes out, so a small message that would become a
    // large one costs little.
    let mut message = Vec::with_capacity(room);
    match decoder.take(enough).read_to_end(&mut message) {
        Ok(_) if message.len() > limit => Err(WireError::DecompressedTooLarge { limit }),
        Ok(_) => {
            // What it grew to is up to twice as much, and fields of the message may keep all of it.
            message.shrink_to_fit();
            Ok(message)
        }
        Err(error) => {
            let reason = quote(error.to_string().as_bytes());
            Err(WireError::CorruptMessage { encoding, reason })
        }
    }
}

/// About what the formats add to a message that does not become smaller.
const FORMAT_OVERHEAD: usize = 32;

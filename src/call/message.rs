//! A prost message to length-prefixed bytes, and back.
//!
//! Spec: gRPC-HTTP2 §Requests (Length-Prefixed-Message); gRPC-Compression.

use bytes::{BufMut, Bytes, BytesMut};

use crate::wire::framing::{PREFIX_LENGTH, RawMessage, prefix};
use crate::wire::{Encoding, WireError, compression};

/// Small messages that follow each other share allocations of this size.
const SHARED_ALLOCATION: usize = 16 * 1024;

/// Appends `message` to `buffer`, prefix and all, and says how many bytes that took.
///
/// # Errors
///
/// RESOURCE_EXHAUSTED if it is larger than `limit`, as sent. Nothing is appended then.
pub(crate) fn encode_message<M: prost::Message>(
    message: &M,
    encoding: Encoding,
    limit: usize,
    buffer: &mut BytesMut,
) -> Result<usize, WireError> {
    let length = message.encoded_len();
    // An empty message is as short as it gets. Compressed, it would only grow.
    if encoding == Encoding::Identity || length == 0 {
        return append_plain(message, length, limit, buffer);
    }
    let mut plain = BytesMut::with_capacity(length);
    message.encode_raw(&mut plain);
    let compressed = compression::compress(encoding, &plain)?;
    // The flag of a message may say that it is not compressed, whatever the headers announce.
    // gRPC-Compression §Compression Method Asymmetry.
    if compressed.len() >= length {
        return append_plain(message, length, limit, buffer);
    }
    append(true, compressed.len(), limit, buffer, |buffer| {
        buffer.put_slice(&compressed)
    })
}

fn append_plain<M: prost::Message>(
    message: &M,
    length: usize,
    limit: usize,
    buffer: &mut BytesMut,
) -> Result<usize, WireError> {
    append(false, length, limit, buffer, |buffer| {
        message.encode_raw(buffer)
    })
}

fn append(
    compressed: bool,
    length: usize,
    limit: usize,
    buffer: &mut BytesMut,
    body: impl FnOnce(&mut BytesMut),
) -> Result<usize, WireError> {
    if length > limit {
        return Err(WireError::MessageTooLarge { length, limit });
    }
    let prefix = prefix(compressed, length)?;
    let whole = PREFIX_LENGTH + length;
    // The first message gets what it needs; the second shows that more will follow.
    if buffer.capacity() - buffer.len() < whole {
        let shared = if buffer.is_empty() {
            0
        } else {
            SHARED_ALLOCATION
        };
        buffer.reserve(whole.max(shared));
    }
    buffer.put_slice(&prefix);
    body(buffer);
    Ok(whole)
}

/// The bytes of the message in `raw`, which came in a call whose headers announced `encoding`.
///
/// # Errors
///
/// INTERNAL if it is compressed and should not be, or badly; RESOURCE_EXHAUSTED if it is larger than
/// `limit` once decompressed.
#[inline]
pub(crate) fn decompress_message(
    raw: RawMessage,
    encoding: Encoding,
    limit: usize,
) -> Result<Bytes, WireError> {
    if !raw.compressed {
        return Ok(raw.body);
    }
    if encoding == Encoding::Identity {
        return Err(WireError::CompressedWithoutEncoding);
    }
    compression::decompress(encoding, &raw.body, limit)
}

/// The message that these bytes are.
///
/// # Errors
///
/// INTERNAL if they are none.
pub(crate) fn decode_message<M: prost::Message + Default>(body: Bytes) -> Result<M, WireError> {
    M::decode(body).map_err(|error| WireError::InvalidProtobuf(error.to_string().into()))
}

//! Messages and their prefix, without a library for them where there is no need of one.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use harness::Fault;
use prost::Message;

const PREFIX: usize = 5;

/// A message behind its length.
pub fn frame(message: &impl Message) -> Result<Bytes, Fault> {
    let mut framed = BytesMut::with_capacity(PREFIX + message.encoded_len());
    put(&mut framed, message)?;
    Ok(framed.freeze())
}

/// Adds a message and its length.
pub fn put(into: &mut BytesMut, message: &impl Message) -> Result<(), Fault> {
    let length = message.encoded_len();
    into.reserve(PREFIX + length);
    into.put_u8(0);
    into.put_u32(u32::try_from(length)?);
    message.encode(into)?;
    Ok(())
}

/// What came of a stream of messages, until they are whole.
#[derive(Default)]
pub struct Deframer(BytesMut);

impl Deframer {
    pub fn add(&mut self, chunk: &[u8]) {
        self.0.extend_from_slice(chunk);
    }

    /// The next message, if it is whole.
    pub fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Fault> {
        let Some(&[_, a, b, c, d]) = self.0.first_chunk() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d]))?;
        if self.0.len() < PREFIX + length {
            return Ok(None);
        }
        self.0.advance(PREFIX);
        Ok(Some(M::decode(self.0.split_to(length).freeze())?))
    }
}

/// The one message of a body in one piece.
pub fn only<M: Message + Default>(mut body: Bytes) -> Result<M, Fault> {
    if body.len() < PREFIX {
        return Err("a message without its length".into());
    }
    body.advance(PREFIX);
    Ok(M::decode(body)?)
}

//! Messages coming in.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;

use super::message::decode_message;
use crate::transport::recv::RecvHalf;
use crate::wire::{Encoding, Status, WireError};

/// The messages that the other side sends, in order.
pub struct Inbound<M> {
    recv: RecvHalf,
    encoding: Encoding,
    message_limit: usize,
    messages: PhantomData<fn() -> M>,
}

impl<M: prost::Message + Default> Inbound<M> {
    pub(crate) fn new(recv: RecvHalf, encoding: Encoding, message_limit: usize) -> Self {
        Self {
            recv,
            encoding,
            message_limit,
            messages: PhantomData,
        }
    }

    /// The next message; `None` when the other side has said all it will say.
    ///
    /// # Errors
    ///
    /// - RESOURCE_EXHAUSTED: the message is larger than the limit, as sent or decompressed.
    /// - INTERNAL: the message is cut, badly framed, badly compressed, or no such message.
    /// - CANCELLED: the other side gave up, or the connection is lost.
    ///
    /// # Cancel safety
    ///
    /// Safe. A message of which a part has come stays buffered, and the next call goes on with it.
    pub async fn next(&mut self) -> Result<Option<M>, Status> {
        match poll_fn(|cx| self.recv.poll_message(cx)).await? {
            Some(raw) => decode_message(raw, self.encoding, self.message_limit).map(Some),
            None => Ok(None),
        }
    }

    /// The only message, where exactly one is due.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next), and UNIMPLEMENTED if none came, or more than one. gRPC-Codes.
    ///
    /// # Cancel safety
    ///
    /// Not safe: a message that came is lost if another is still awaited.
    pub async fn single(&mut self) -> Result<M, Status> {
        let Some(message) = self.next().await? else {
            return Err(WireError::MissingMessage.into());
        };
        // The second message is not decoded: that there is one is the fault.
        match poll_fn(|cx| self.recv.poll_message(cx)).await? {
            Some(_) => Err(WireError::ExtraMessage.into()),
            None => Ok(message),
        }
    }
}

/// A request that nobody reads any more is thrown away as it comes.
impl<M> Drop for Inbound<M> {
    fn drop(&mut self) {
        self.recv.discard();
    }
}

impl<M> fmt::Debug for Inbound<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound")
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

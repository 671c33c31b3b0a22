//! Messages going out: the request of a client that streams.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::BytesMut;

use super::two_halves::{Half, SharedCall};
use crate::call::message::encode_message;
use crate::wire::{Encoding, Status};

/// The messages that a client sends, in order.
///
/// To drop it before [`finish`](Self::finish) cancels the call.
pub struct Outbound<M> {
    call: Arc<SharedCall>,
    encoding: Encoding,
    /// What Request-Headers say about compression.
    announced: Encoding,
    message_limit: usize,
    /// Where messages are encoded, one after the other.
    buffer: BytesMut,
    finished: bool,
    messages: PhantomData<fn(M)>,
}

impl<M: prost::Message> Outbound<M> {
    pub(super) fn new(call: Arc<SharedCall>, encoding: Encoding, message_limit: usize) -> Self {
        Self {
            call,
            encoding,
            announced: encoding,
            message_limit,
            buffer: BytesMut::new(),
            finished: false,
            messages: PhantomData,
        }
    }

    /// Sends one message. Returns when it is queued, which waits while the server takes messages more
    /// slowly than they come.
    ///
    /// # Errors
    ///
    /// - RESOURCE_EXHAUSTED: the message is larger than the limit. It is not sent, and the call is
    ///   cancelled: this is its status.
    /// - INTERNAL: [`finish`](Self::finish) was called before.
    /// - The call's status, if it has ended badly.
    /// - CANCELLED, if the server takes no more. It may have answered early; the
    ///   [`Inbound`](crate::Inbound) tells how the call ends.
    ///
    /// # Cancel safety
    ///
    /// Safe. A message whose `send` was dropped is either not sent at all, or wholly, when the call is
    /// next used.
    pub async fn send(&mut self, message: M) -> Result<(), Status> {
        if self.finished {
            return Err(Status::internal("a message after the last one"));
        }
        // In a fast sequence most messages find room at once, and nobody need be woken for them.
        if !self.call.has_room() {
            self.room().await?;
        }
        self.buffer.clear();
        // A request with a gap is not the one that was meant. gRPC-Codes.
        encode_message(
            &message,
            self.encoding,
            self.message_limit,
            &mut self.buffer,
        )
        .map_err(|error| self.call.act(|call, _| call.fail_to_send(error)))?;
        if self.call.push(&mut self.buffer) {
            return Ok(());
        }
        self.room().await
    }

    async fn room(&self) -> Result<(), Status> {
        poll_fn(|cx| {
            self.call
                .poll(Half::Request, cx, |call, cx| call.poll_room(cx))
        })
        .await
    }

    /// How to compress messages from here on: not at all, or as the request said at the start. See
    /// [`Request::encoding`](crate::Request::encoding).
    ///
    /// # Errors
    ///
    /// INTERNAL if the request named another coding.
    pub fn set_encoding(&mut self, encoding: Encoding) -> Result<(), Status> {
        if encoding != Encoding::Identity && encoding != self.announced {
            return Err(Status::internal(format!(
                "the request headers name the coding {}, so {encoding} cannot be used",
                self.announced
            )));
        }
        self.encoding = encoding;
        Ok(())
    }

    /// Says that there are no more messages. What the server answers comes by the
    /// [`Inbound`](crate::Inbound).
    ///
    /// # Errors
    ///
    /// The call's status, if it has failed already.
    pub fn finish(&mut self) -> Result<(), Status> {
        self.finished = true;
        self.call.act(|call, cx| call.finish(cx))
    }
}

impl<M> Drop for Outbound<M> {
    fn drop(&mut self) {
        if !self.finished {
            self.call
                .act(|call, _| call.give_up("the caller dropped the request before its end"));
        }
    }
}

impl<M> fmt::Debug for Outbound<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("finished", &self.finished)
            .finish_non_exhaustive()
    }
}

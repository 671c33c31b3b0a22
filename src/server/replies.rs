//! Messages going out, one after the other.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::task::ready;

use crate::call::message::encode_message;
use crate::transport::counters::Counters;
use crate::transport::reply_queue::ReplyQueue;
use crate::wire::{AcceptEncoding, Encoding, Metadata, Status};

/// The stream of messages that a server answers with.
///
/// To drop it says nothing: the call ends with what the handler returns. A handler that returns `Ok`
/// while its `Replies` lives on in another task, or was dropped there by a panic, has not seen its
/// stream through, and the client is told UNKNOWN.
pub struct Replies<M> {
    queue: ReplyQueue,
    accept_encoding: AcceptEncoding,
    message_limit: usize,
    counters: Counters,
    messages: PhantomData<fn(M)>,
}

impl<M> Replies<M> {
    pub(super) fn new(
        queue: ReplyQueue,
        accept_encoding: AcceptEncoding,
        message_limit: usize,
        counters: Counters,
    ) -> Self {
        {
            let mut queue = queue.lock();
            queue.answered = true;
            queue.replies_alive += 1;
        }
        Self {
            queue,
            accept_encoding,
            message_limit,
            counters,
            messages: PhantomData,
        }
    }

    /// Sends Response-Headers with `metadata` now. Otherwise they leave with the first message, or
    /// with the status, which then stays open to a retry by the client.
    ///
    /// # Errors
    ///
    /// INTERNAL if they have left already; the call's status if it is over.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn send_headers(&mut self, metadata: Metadata) -> Result<(), Status> {
        poll_fn(|cx| self.queue.poll_room(cx).map_ok(drop)).await?;
        let mut queue = self.queue.lock();
        if queue.headers_sent || queue.headers_wanted || queue.messages > 0 {
            return Err(Status::internal("the response headers were sent already"));
        }
        queue.metadata = metadata;
        queue.headers_wanted = true;
        queue.wake_writer();
        Ok(())
    }

    /// Sends one message. Returns when it is queued, which waits while the client takes messages
    /// more slowly than they come.
    ///
    /// # Errors
    ///
    /// - RESOURCE_EXHAUSTED: the message is larger than the limit. The stream may go on without it.
    /// - The call's status, if it is over.
    ///
    /// # Cancel safety
    ///
    /// Safe: a message whose `send` was dropped is not sent.
    pub async fn send(&mut self, message: M) -> Result<(), Status>
    where
        M: prost::Message,
    {
        poll_fn(|cx| {
            let mut queue = ready!(self.queue.poll_room(cx))?;
            let encoding = queue.encoding;
            let length = encode_message(&message, encoding, self.message_limit, &mut queue.bytes)
                .inspect_err(|error| self.counters.count_sent(error))?;
            queue.queued(length);
            std::task::Poll::Ready(Ok(()))
        })
        .await
    }

    /// How to compress messages from here on. Before the first message any coding will do; one that
    /// the client does not accept is not used. Afterwards compression can be switched off and on
    /// again, since the headers have named the coding.
    ///
    /// # Errors
    ///
    /// INTERNAL if the headers that were sent name another coding.
    pub fn set_encoding(&mut self, encoding: Encoding) -> Result<(), Status> {
        let accepted = self.accept_encoding.contains(encoding);
        let encoding = if accepted {
            encoding
        } else {
            Encoding::Identity
        };
        let mut queue = self.queue.lock();
        let open = !queue.headers_sent && !queue.headers_wanted && queue.messages == 0;
        if open {
            queue.announced = encoding;
        } else if encoding != Encoding::Identity && encoding != queue.announced {
            return Err(Status::internal(format!(
                "the response headers name the coding {}, so {} cannot be used",
                queue.announced.name(),
                encoding.name()
            )));
        }
        queue.encoding = encoding;
        Ok(())
    }

    /// Trailing metadata, for a call that ends well. One that does not has its own, in
    /// [`Status::metadata`].
    pub fn set_trailers(&mut self, metadata: Metadata) {
        self.queue.lock().trailers = metadata;
    }
}

impl<M> Drop for Replies<M> {
    fn drop(&mut self) {
        let mut queue = self.queue.lock();
        queue.replies_alive -= 1;
        queue.replies_panicked |= std::thread::panicking();
    }
}

impl<M> fmt::Debug for Replies<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replies").finish_non_exhaustive()
    }
}

//! The queue between a handler and the writer of its response.
//!
//! h2 gives one handle per response. If the handler held it, a handler that waits for something else
//! could not be told that its client is gone. So the writer keeps the handle and watches, and the
//! handler puts encoded messages here.
//!
//! The queue is one buffer of bytes. A handler that sends faster than the wire takes fills it, and
//! many small messages leave as one DATA frame; it is emptied as soon as the handler waits, so that
//! no message is late for it.

use std::any::Any;
#[cfg(feature = "client")]
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use super::sync::{Mutex, MutexGuard, Notify};
use crate::wire::{Encoding, Metadata, Status};

/// A handler may queue its next message while less than this waits, here and in the writer.
const QUEUE_LIMIT: usize = 32 * 1024;

/// Both ends of the queue. Clones are the same queue.
#[derive(Clone)]
pub(crate) struct ReplyQueue(Arc<Mutex<QueueState>>);

/// What waits to be written, and what was said about it.
pub(crate) struct QueueState {
    /// Length-prefixed messages, back to back.
    pub(crate) bytes: BytesMut,
    /// Bytes that the writer has taken and not handed over yet.
    in_writer: usize,
    /// Initial metadata, until Response-Headers leave.
    pub(crate) metadata: Metadata,
    /// Response-Headers are to leave before the first message.
    pub(crate) headers_wanted: bool,
    /// Response-Headers have left.
    pub(crate) headers_sent: bool,
    /// Trailing metadata for a call that ends OK.
    pub(crate) trailers: Metadata,
    /// How messages are compressed from here on.
    pub(crate) encoding: Encoding,
    /// What Response-Headers said, or will say, about compression.
    pub(crate) announced: Encoding,
    /// The handler said something, or asked for the means to.
    pub(crate) answered: bool,
    /// How many `Replies` there are; while there are any, the handler may not be done.
    pub(crate) replies_alive: usize,
    /// A `Replies` was dropped by a panic.
    pub(crate) replies_panicked: bool,
    /// Messages queued so far.
    pub(crate) messages: u64,
    /// Their bytes, prefixes included.
    pub(crate) queued_bytes: u64,
    /// Dropped with what is queued: whatever the handler's side wants to be told of that.
    pub(crate) charge: Option<Box<dyn Any + Send>>,
    /// Why nothing can be queued any more.
    closed: Option<Status>,
    /// Whoever waits for that.
    sealed: Option<Arc<Notify>>,
    /// The handler, waiting for room.
    producer: Option<Waker>,
    /// The call's task.
    writer: Option<Waker>,
}

impl ReplyQueue {
    pub(crate) fn new(encoding: Encoding) -> Self {
        Self(Arc::new(Mutex::new(QueueState {
            bytes: BytesMut::new(),
            in_writer: 0,
            metadata: Metadata::new(),
            headers_wanted: false,
            headers_sent: false,
            trailers: Metadata::new(),
            encoding,
            announced: encoding,
            answered: false,
            replies_alive: 0,
            replies_panicked: false,
            messages: 0,
            queued_bytes: 0,
            charge: None,
            closed: None,
            sealed: None,
            producer: None,
            writer: None,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, QueueState> {
        // Whoever panicked while it was held has left the queue as it was: messages are appended by
        // encoders that cannot fail.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until another message may be queued.
    ///
    /// # Errors
    ///
    /// The status with which the call ended before.
    pub(crate) fn poll_room(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<MutexGuard<'_, QueueState>, Status>> {
        let mut state = self.lock();
        if let Some(status) = &state.closed {
            return Poll::Ready(Err(status.clone()));
        }
        if state.bytes.len() + state.in_writer < QUEUE_LIMIT {
            return Poll::Ready(Ok(state));
        }
        state.producer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Nothing more may be queued: whoever still wants to sees `status`. What is queued stays.
    pub(crate) fn seal(&self, status: Status) {
        let mut state = self.lock();
        state.closed = Some(status);
        if let Some(producer) = state.producer.take() {
            producer.wake();
        }
        if let Some(sealed) = &state.sealed {
            sealed.notify_waiters();
        }
    }

    /// Resolves when nothing can be queued any more: the call is over.
    #[cfg(feature = "client")]
    pub(crate) async fn sealed(&self) {
        let sealed = Arc::clone(self.lock().sealed.get_or_insert_default());
        let mut sealed = pin!(sealed.notified());
        // Looked at after the waiting began, so that the end cannot come unseen between.
        sealed.as_mut().enable();
        if self.lock().closed.is_none() {
            sealed.await;
        }
    }

    /// Drops what is queued.
    pub(crate) fn clear(&self) {
        let mut state = self.lock();
        state.bytes = BytesMut::new();
        state.charge = None;
    }
}

impl QueueState {
    /// Whether the writer has something to do.
    pub(crate) fn has_work(&self) -> bool {
        !self.bytes.is_empty() || (self.headers_wanted && !self.headers_sent)
    }

    /// Something was queued: wakes the writer if it runs in another task than the caller.
    pub(crate) fn queued(&mut self, length: usize) {
        self.answered = true;
        self.messages += 1;
        self.queued_bytes += u64::try_from(length).unwrap_or(0);
        self.wake_writer();
    }

    /// The writer has something to do.
    pub(crate) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    /// The handler runs now, in the writer's own task, and the writer looks afterwards: no need to
    /// wake it.
    pub(crate) fn writer_looks_later(&mut self) {
        self.writer = None;
    }

    /// The writer waits for work.
    pub(crate) fn writer_waits(&mut self, cx: &Context<'_>) {
        self.writer = Some(cx.waker().clone());
    }

    /// Takes what is queued. The handler has room again once that is [handed over](Self::handed_over).
    pub(crate) fn take(&mut self) -> BytesMut {
        self.in_writer = self.bytes.len();
        // The only message so far has a buffer of just its size; the messages of a stream share one.
        if self.messages <= 1 {
            std::mem::take(&mut self.bytes)
        } else {
            self.bytes.split()
        }
    }

    /// The writer has nothing left of what it took. Says whether a handler in this very task waited for
    /// that, and is to be polled once more.
    pub(crate) fn handed_over(&mut self, cx: &Context<'_>) -> bool {
        if std::mem::take(&mut self.in_writer) == 0 {
            return false;
        }
        match self.producer.take() {
            Some(producer) if producer.will_wake(cx.waker()) => true,
            Some(producer) => {
                producer.wake();
                false
            }
            None => false,
        }
    }
}

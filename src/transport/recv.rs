//! RecvHalf: messages in. Bytes are taken from h2 as they come, deframed, and their window is given
//! back as messages are taken.
//!
//! Two work on it. The **pump**, in the call's task, moves everything that h2 holds into one
//! contiguous buffer, also while the handler sleeps: what lies in h2 unread counts against the whole
//! connection. The **reader**, which is the handler's `Inbound`, takes messages from the buffer; it
//! may live in another task.
//!
//! A byte's window is given back when its message is taken. A message that is not whole yet is the
//! exception: while the reader waits for it, its bytes are given back at once, or a message larger
//! than the window could never become whole.
//!
//! Spec: gRPC-HTTP2 §Data Frames; RFC 9113 §5.2.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::errors::status_of_server_stream;
use crate::wire::{Deframer, RawMessage, Status};

/// Both ends of the buffer. Clones are the same buffer.
#[derive(Clone)]
pub(crate) struct RecvHalf(Arc<Mutex<RecvState>>);

struct RecvState {
    /// `None` once the call is over.
    stream: Option<h2::RecvStream>,
    deframer: Deframer,
    end: Option<Result<(), Status>>,
    reader: Option<Waker>,
    /// Nobody reads any more: what comes is thrown away.
    discarding: bool,
    /// Bytes thrown away.
    discarded: usize,
    /// Bytes that count against our windows.
    unreleased: usize,
    /// Give back in pieces of this size while the reader is busy.
    release_step: usize,
    messages: u64,
    bytes: u64,
}

impl RecvHalf {
    /// Takes over the receiving half of a stream.
    pub(crate) fn new(stream: h2::RecvStream, message_limit: usize, window: usize) -> Self {
        Self(Arc::new(Mutex::new(RecvState {
            stream: Some(stream),
            deframer: Deframer::new(message_limit),
            end: None,
            reader: None,
            discarding: false,
            discarded: 0,
            unreleased: 0,
            release_step: window / 4,
            messages: 0,
            bytes: 0,
        })))
    }

    /// Moves what h2 holds into the buffer. To be polled by the call's task whenever it runs.
    pub(crate) fn pump(&self, cx: &mut Context<'_>) {
        self.lock().pump(cx);
    }

    /// The next message.
    ///
    /// # Errors
    ///
    /// A message that breaks the framing; a stream that was reset or lost.
    pub(crate) fn poll_message(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<RawMessage>, Status>> {
        self.lock().poll_message(cx)
    }

    /// Messages and body bytes that came so far.
    pub(crate) fn received(&self) -> (u64, u64) {
        let state = self.lock();
        (state.messages, state.bytes)
    }

    /// Whether the client has said all it will say.
    pub(crate) fn has_ended(&self) -> bool {
        self.lock().end.is_some()
    }

    /// Nobody will read any more: drops what is buffered, and from here on whatever comes. Unread, it
    /// would take up the window of the connection's other calls.
    pub(crate) fn discard(&self) {
        self.lock().discard();
    }

    /// Discards up to `limit` bytes. Ready when the request has ended or the limit is reached.
    pub(crate) fn poll_discard(&self, cx: &mut Context<'_>, limit: usize) -> Poll<()> {
        let mut state = self.lock();
        state.discard();
        state.pump(cx);
        if state.end.is_some() || state.discarded >= limit {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// The call is over: a reader that is still there sees `status`. Lets go of the stream.
    pub(crate) fn close(&self, status: impl FnOnce() -> Status) {
        let mut state = self.lock();
        let stream = state.stream.take();
        if state.end.is_none() {
            state.end = Some(Err(status()));
        }
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
        drop(state);
        // Outside of the lock: to drop the last handle takes h2's lock and may wake its task.
        drop(stream);
    }

    fn lock(&self) -> MutexGuard<'_, RecvState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RecvState {
    fn pump(&mut self, cx: &mut Context<'_>) {
        let Some(stream) = &mut self.stream else {
            return;
        };
        if self.end.is_some() {
            return;
        }
        let mut came = 0;
        while self.end.is_none() {
            match stream.poll_data(cx) {
                Poll::Ready(Some(Ok(chunk))) => {
                    came += chunk.len();
                    if !self.discarding {
                        self.deframer.push(chunk);
                    }
                }
                // Request trailers may follow; they mean nothing to gRPC and go with the stream.
                Poll::Ready(None) => self.end = Some(Ok(())),
                // h2 repeats a stream's error for ever; the first one is the end.
                Poll::Ready(Some(Err(error))) => {
                    self.end = Some(Err(status_of_server_stream(&error)));
                }
                Poll::Pending => break,
            }
        }
        if came == 0 && self.end.is_none() {
            return;
        }
        self.unreleased += came;
        self.bytes += u64::try_from(came).unwrap_or(0);
        if self.discarding {
            self.discarded += came;
            self.release_now(self.unreleased);
        }
        // A reader in the pump's own task is polled right after the pump and needs no waking.
        let elsewhere = |reader: &mut Waker| !reader.will_wake(cx.waker());
        if let Some(reader) = self.reader.take_if(elsewhere) {
            reader.wake();
        }
    }

    fn discard(&mut self) {
        if !self.discarding {
            self.discarding = true;
            self.discarded = self.deframer.buffered();
            self.deframer = Deframer::new(0);
            self.release_now(self.unreleased);
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawMessage>, Status>> {
        if let Some(message) = self.deframer.next_message()? {
            self.messages += 1;
            self.release(self.deframer.buffered());
            return Poll::Ready(Ok(Some(message)));
        }
        match &self.end {
            None => {
                // A reader that waits has taken every whole message; what is left is the beginning
                // of one.
                self.release_now(self.unreleased);
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(Ok(())) => {
                self.release_now(self.unreleased);
                self.deframer.finish()?;
                Poll::Ready(Ok(None))
            }
            Some(Err(status)) => Poll::Ready(Err(status.clone())),
        }
    }

    // In steps, since each release takes h2's lock.
    fn release(&mut self, still_buffered: usize) {
        let releasable = self.unreleased.saturating_sub(still_buffered);
        if releasable >= self.release_step {
            self.release_now(releasable);
        }
    }

    fn release_now(&mut self, length: usize) {
        if length == 0 {
            return;
        }
        if let Some(stream) = &mut self.stream {
            // Fails only for more than was received, which `unreleased` rules out.
            let _ = stream.flow_control().release_capacity(length);
        }
        self.unreleased = self.unreleased.saturating_sub(length);
    }
}

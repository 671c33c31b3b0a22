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
//! than the window could never become whole. Until it is, nothing but the bound over all connections
//! limits what such messages take.
//!
//! Spec: gRPC-HTTP2 §Data Frames; RFC 9113 §5.2.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::connection_shared::ConnectionShared;
use super::counters::{Counter, Counters};
use super::errors::status_of_server_stream;
use crate::wire::{Deframer, RawMessage, Status};

/// Both ends of the buffer. Clones are the same buffer.
#[derive(Clone)]
pub(crate) struct RecvHalf(Arc<Mutex<RecvState>>);

/// A [`RecvHalf`] that keeps nothing alive.
pub(crate) struct WeakRecvHalf(Weak<Mutex<RecvState>>);

impl WeakRecvHalf {
    pub(crate) fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }

    pub(crate) fn upgrade(&self) -> Option<RecvHalf> {
        self.0.upgrade().map(RecvHalf)
    }
}

struct RecvState {
    connection: Arc<ConnectionShared>,
    /// `None` once the call is over.
    stream: Option<h2::RecvStream>,
    deframer: Deframer,
    end: Option<Result<(), Status>>,
    reader: Option<Waker>,
    /// The call's task.
    pump: Option<Waker>,
    /// The connection gave the stream up.
    evicted: bool,
    /// Since when much was unread or unfinished, or the last message taken if that is later.
    held_since: Option<Instant>,
    /// Nobody reads any more: what comes is thrown away.
    discarding: bool,
    /// Bytes that count against our windows.
    unreleased: usize,
    /// The same, and those of a message that is not whole, which do not any more.
    held: usize,
    /// Give back in pieces of this size while the reader is busy.
    release_step: usize,
    messages: u64,
    bytes: u64,
}

impl RecvHalf {
    /// Takes over the receiving half of a stream.
    pub(crate) fn new(
        stream: h2::RecvStream,
        message_limit: usize,
        connection: Arc<ConnectionShared>,
    ) -> Self {
        let release_step = connection.stream_window() / 4;
        Self(Arc::new(Mutex::new(RecvState {
            connection,
            stream: Some(stream),
            deframer: Deframer::new(message_limit),
            end: None,
            reader: None,
            pump: None,
            evicted: false,
            held_since: None,
            discarding: false,
            unreleased: 0,
            held: 0,
            release_step,
            messages: 0,
            bytes: 0,
        })))
    }

    /// Moves what h2 holds into the buffer. To be polled by the call's task whenever it runs. Ready,
    /// with the call's status, when the connection has given the stream up.
    pub(crate) fn poll_pump(&self, cx: &mut Context<'_>) -> Poll<Status> {
        let mut state = self.lock();
        if state.pump(cx) {
            state
                .connection
                .unread
                .held_by(WeakRecvHalf(Arc::downgrade(&self.0)));
        }
        match &state.end {
            Some(Err(status)) if state.evicted => Poll::Ready(status.clone()),
            Some(_) | None => Poll::Pending,
        }
    }

    /// Since when much is unread; `None` if not much is.
    pub(super) fn unread_since(&self) -> Option<Instant> {
        let state = self.lock();
        state.held_since.filter(|_| state.is_much(state.unreleased))
    }

    /// Since when much is unread, or of a message that is not whole; `None` if not much is.
    pub(super) fn held_since(&self) -> Option<Instant> {
        self.lock().held_since
    }

    /// Gives the stream up: its call ends with `status`, and its bytes go back to the window.
    pub(super) fn evict(&self, status: Status) {
        let mut state = self.lock();
        state.discard();
        state.end = Some(Err(status));
        state.evicted = true;
        for waiting in [state.reader.take(), state.pump.take()]
            .into_iter()
            .flatten()
        {
            waiting.wake();
        }
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

    /// The connection of this stream.
    pub(super) fn connection(&self) -> Arc<ConnectionShared> {
        Arc::clone(&self.lock().connection)
    }

    /// What is counted on the server of this stream.
    pub(crate) fn counters(&self) -> Counters {
        self.lock().connection.counters().clone()
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

    /// Discards what comes. Ready when the request has ended.
    pub(crate) fn poll_discard(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        state.discard();
        // Nothing is held by a stream that throws all away.
        let _ = state.pump(cx);
        if state.end.is_some() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// The call is over: a reader that is still there sees `status`. Lets go of the stream.
    pub(crate) fn close(&self, status: impl FnOnce() -> Status) {
        let mut state = self.lock();
        let stream = state.stream.take();
        // What is unread goes back with the stream.
        state.connection.left_window(state.unreleased);
        state.unreleased = 0;
        state.hold(0);
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
    /// Says whether the stream now holds much, and did not before.
    fn pump(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        if self.end.is_some() {
            return false;
        }
        if !self
            .pump
            .as_ref()
            .is_some_and(|pump| pump.will_wake(cx.waker()))
        {
            self.pump = Some(cx.waker().clone());
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
            return false;
        }
        let window = self.connection.stream_window();
        let had_room = self.unreleased < window;
        self.unreleased += came;
        self.held += came;
        if self.unreleased >= window && had_room && !self.discarding {
            self.connection.count(Counter::StreamWindow);
        }
        self.connection.is_unread(came);
        self.bytes += u64::try_from(came).unwrap_or(0);
        if self.discarding {
            self.release_all();
        }
        // A reader in the pump's own task is polled right after the pump and needs no waking.
        let elsewhere = |reader: &mut Waker| !reader.will_wake(cx.waker());
        if let Some(reader) = self.reader.take_if(elsewhere) {
            reader.wake();
        }
        let begins = self.is_much(self.held) && self.held_since.is_none();
        if begins {
            self.held_since = Some(Instant::now());
        }
        begins
    }

    fn discard(&mut self) {
        if !self.discarding {
            self.discarding = true;
            self.deframer = Deframer::new(0);
            self.release_all();
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawMessage>, Status>> {
        let message = self.deframer.next_message().inspect_err(|error| {
            self.connection.counters().count_received(error);
        })?;
        if let Some(message) = message {
            self.messages += 1;
            if self.held_since.is_some() {
                self.held_since = Some(Instant::now());
            }
            // It was the one that had begun.
            if self.held > self.unreleased {
                self.hold(self.unreleased);
            }
            self.release(self.deframer.buffered());
            return Poll::Ready(Ok(Some(message)));
        }
        match &self.end {
            None => {
                self.release_all();
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(Ok(())) => {
                self.release_all();
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
            self.hold(self.unreleased);
        }
    }

    /// Gives back all the window there is. What is still buffered is the beginning of a message, since a
    /// reader that waits has taken every whole one.
    fn release_all(&mut self) {
        if self.unreleased > 0 {
            self.release_now(self.unreleased);
        }
        let buffered = self.deframer.buffered();
        if self.held > buffered {
            self.hold(buffered);
        }
    }

    fn release_now(&mut self, length: usize) {
        if let Some(stream) = &mut self.stream {
            // Fails only for more than was received, which `unreleased` rules out.
            let _ = stream.flow_control().release_capacity(length);
        }
        self.unreleased -= length;
        self.connection.left_window(length);
    }

    /// No more than so much is held any more.
    fn hold(&mut self, bytes: usize) {
        self.connection.was_read(self.held - bytes);
        self.held = bytes;
        if !self.is_much(bytes) {
            self.held_since = None;
        }
    }

    fn is_much(&self, bytes: usize) -> bool {
        bytes >= self.release_step.saturating_mul(2)
    }
}

impl Drop for RecvState {
    fn drop(&mut self) {
        // Only a call that was dropped half-way has not been closed.
        self.connection.left_window(self.unreleased);
        self.connection.was_read(self.held);
    }
}

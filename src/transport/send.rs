//! SendHalf: bytes out, under flow control.
//!
//! h2 buffers without bound whatever it is handed. So bytes wait here until the peer's windows and
//! h2's own buffer have room, and only that much is handed over. Nothing is reserved while there is
//! nothing to send: reserved window is lost to the connection's other streams.
//!
//! Spec: RFC 9113 §5.2.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Sleep, sleep};

use super::counters::{Counter, Counters};
use super::timer::poll_timer;
#[cfg(feature = "client")]
use crate::spec::http2;

/// The stream is no more: the peer reset it, or its connection is lost. Nothing can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// What became of a request that was handed over as a whole.
#[cfg(feature = "client")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It leaves at once.
    All,
    /// Some of it may have to wait until the peer makes room.
    Perhaps,
}

/// The sending half of a stream whose headers have left.
pub(crate) struct SendHalf {
    stream: h2::SendStream<Bytes>,
    pending: Bytes,
    /// Nothing follows what is pending.
    last: bool,
    stall_timeout: Option<Duration>,
    /// No room was found, which has been counted.
    waits: bool,
    /// Runs while the peer takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Whoever waits for the peer to go away is woken by h2 also when there is room to send.
    watched: bool,
}

impl SendHalf {
    /// A peer that takes no byte for `stall_timeout` has its stream reset.
    pub(crate) fn new(stream: h2::SendStream<Bytes>, stall_timeout: Option<Duration>) -> Self {
        Self {
            stream,
            pending: Bytes::new(),
            last: false,
            stall_timeout,
            waits: false,
            stalled: None,
            watched: false,
        }
    }

    /// Whether bytes wait for room.
    pub(crate) fn is_blocked(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Bytes to send next, and whether they are the last. Only when nothing else is pending.
    pub(crate) fn begin(&mut self, bytes: Bytes, last: bool) {
        self.pending = bytes;
        self.last = last;
    }

    /// Hands over a whole request. What the peer has no room for yet waits in h2: it is in memory
    /// anyway, and is all there will be. Up to [`DEFAULT_WINDOW`](http2::DEFAULT_WINDOW) there is
    /// room, unless the peer gives streams less than that to begin with.
    #[cfg(feature = "client")]
    pub(crate) fn send_whole(&mut self, bytes: Bytes) -> Result<Sent, Gone> {
        let sent = match u32::try_from(bytes.len()) {
            Ok(length) if length <= http2::DEFAULT_WINDOW => Sent::All,
            Ok(_) | Err(_) => Sent::Perhaps,
        };
        self.stream.send_data(bytes, true).map_err(|_| Gone)?;
        Ok(sent)
    }

    /// Hands over as much as there is room for. Ready when all of it is.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        counters: &Counters,
    ) -> Poll<Result<(), Gone>> {
        if self.watched && !self.pending.is_empty() {
            // To ask for room would wake the very task that does so, for a turn in which nothing is left
            // to do.
            self.watched = false;
            let mut nobody = Context::from_waker(Waker::noop());
            if self.stream.poll_reset(&mut nobody).is_ready() {
                return Poll::Ready(Err(Gone));
            }
        }
        while !self.pending.is_empty() {
            self.stream.reserve_capacity(self.pending.len());
            let room = self.stream.capacity();
            if room == 0 {
                match self.stream.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => continue,
                    Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(Err(Gone)),
                    Poll::Pending => {
                        if !std::mem::replace(&mut self.waits, true) {
                            counters.count(Counter::StreamSendBuffer);
                        }
                        return self.poll_stalled(cx).map(Err);
                    }
                }
            }
            self.waits = false;
            self.stalled = None;
            let chunk = self.pending.split_to(room.min(self.pending.len()));
            let end_stream = self.last && self.pending.is_empty();
            self.stream.send_data(chunk, end_stream).map_err(|_| Gone)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Bytes that wait for room.
    #[cfg(feature = "server")]
    pub(super) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// The stream was reset because the peer took nothing.
    #[cfg(feature = "server")]
    pub(super) fn has_stalled(&self) -> bool {
        self.stalled
            .as_ref()
            .is_some_and(|timer| timer.is_elapsed())
    }

    /// Waits for something else than the peer's windows, that the peer may keep from coming.
    #[cfg(feature = "server")]
    pub(super) fn poll_held_up(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        // What is reserved is lost to other streams.
        self.stream.reserve_capacity(0);
        self.poll_stalled(cx)
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        let Some(timeout) = self.stall_timeout else {
            return Poll::Pending;
        };
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(poll_timer(timer.as_mut(), cx));
        self.stream.send_reset(h2::Reason::CANCEL);
        Poll::Ready(Gone)
    }

    /// As [`poll_send`](Self::poll_send), and ready also when the peer is gone meanwhile.
    #[cfg(feature = "server")]
    pub(crate) fn poll_all(
        &mut self,
        cx: &mut Context<'_>,
        counters: &Counters,
    ) -> Poll<Result<(), Gone>> {
        match self.poll_send(cx, counters) {
            Poll::Ready(sent) => Poll::Ready(sent),
            Poll::Pending => self.poll_gone(cx).map(Err),
        }
    }

    /// Ends the stream without trailers.
    pub(crate) fn finish(&mut self) -> Result<(), Gone> {
        self.stream.send_data(Bytes::new(), true).map_err(|_| Gone)
    }

    /// Ends the stream with its trailers.
    #[cfg(feature = "server")]
    pub(crate) fn send_trailers(&mut self, trailers: http::HeaderMap) -> Result<(), Gone> {
        self.stream.send_trailers(trailers).map_err(|_| Gone)
    }

    /// Breaks the stream off.
    #[cfg(feature = "server")]
    pub(crate) fn cancel(&mut self) {
        self.stream.send_reset(h2::Reason::CANCEL);
    }

    /// Breaks the stream off after all that matters was said, unless it has ended. gRPC-HTTP2
    /// §Responses.
    #[cfg(feature = "client")]
    pub(crate) fn stop(&mut self) {
        self.stream.send_reset(h2::Reason::NO_ERROR);
    }

    /// Ready when the peer reset the stream, or the connection is lost.
    #[cfg(feature = "server")]
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        self.watched = true;
        self.stream.poll_reset(cx).map(|_| Gone)
    }
}

//! FrameMeter: the byte stream under h2, joined, read ahead, and counted.
//!
//! ```text
//!   h2  ── frames ──▶  join buffer ──▶  socket        flushed by the connection task, not by h2
//!       ◀── frames ──  read-ahead  ◀──  socket        one read serves many frames
//!               └── FrameScanner on both ways: kinds, sizes, times
//! ```
//!
//! h2 answers PING and SETTINGS out of sight, flushes after every frame, and reads a whole burst
//! before any handler runs. The meter stands between it and the socket and changes none of the
//! bytes, with one exception: it completes our GOAWAY with a reason in words, which h2 cannot.
//!
//! - **Joins writes.** What h2 writes is gathered, and `poll_flush` of h2 does nothing. The
//!   connection task calls [`FrameMeter::poll_drain`] when it has done all it can, so that the
//!   frames of many calls leave in one write.
//! - **Reads ahead** once the peer sends more than h2's buffer takes.
//! - **Counts frames**, and remembers the first limit that a peer crossed, for the connection task
//!   to act on.
//! - **Gives way** after many small DATA frames, so that handlers run between bursts: h2 holds every
//!   unread frame against the connection. And after many bytes, whatever they are: a peer that sends
//!   faster than h2 reads would never let the connection task look at what passed. And behind a server's
//!   GOAWAY, so that streams that are open leave before what follows it is answered.
//!
//! Spec: RFC 9113 §4.1, §6, §10.5.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::Io;
use super::counters::Counters;
use super::frame_counts::{FrameCounts, FrameLimits};
use super::frame_scanner::{FrameScanner, Way};
use crate::spec::http2::{FRAME_HEAD_LENGTH, PREFACE, frame as frame_type};

/// So many small DATA frames are read before handlers get their turn.
const SMALL_DATA_FRAMES_PER_TURN: u32 = 128;
/// So many bytes are read before the connection task and all others get theirs. The smallest frames
/// are nine bytes.
const BYTES_PER_TURN: usize = 256 * 1024;
/// One read takes this much once a peer is found to send a lot. More is not faster.
const READ_AHEAD: usize = 64 * 1024;
/// Frames are joined up to here; then h2 waits until the socket takes some.
const JOIN_LIMIT: usize = 256 * 1024;
/// An idle connection keeps buffers up to here, so that a call now and then allocates nothing.
const KEPT_BUFFER: usize = 2 * 1024;
/// A piece of this size goes to the socket by itself: to copy it would cost more than a write.
const PASS_BY: usize = 64 * 1024;

/// One connection's byte stream, shared by h2, which reads and writes it, and the connection task,
/// which flushes it and asks what passed. They never run at the same time, so the lock is free.
#[derive(Clone)]
pub(crate) struct SharedMeter(Arc<Mutex<FrameMeter>>);

impl SharedMeter {
    /// A server's end: the preface comes in.
    #[cfg(feature = "server")]
    pub(super) fn server(io: Io, limits: FrameLimits, counters: Counters) -> Self {
        Self::new(io, FrameCounts::new(limits, counters), PREFACE.len(), 0)
    }

    /// A client's end: the preface goes out.
    #[cfg(feature = "client")]
    pub(super) fn client(io: Io, limits: FrameLimits, counters: Counters) -> Self {
        Self::new(io, FrameCounts::new(limits, counters), 0, PREFACE.len())
    }

    fn new(io: Io, counts: FrameCounts, inbound_skip: usize, outbound_skip: usize) -> Self {
        Self(Arc::new(Mutex::new(FrameMeter {
            io,
            is_client: outbound_skip > 0,
            read_ahead: BytesMut::new(),
            scanned: 0,
            more_is_likely: false,
            small_frames: 0,
            unbroken_bytes: 0,
            held: false,
            turn_over: false,
            ended: false,
            joined: BytesMut::new(),
            blocked: false,
            inbound: FrameScanner::after(inbound_skip, Way::In),
            outbound: FrameScanner::after(outbound_skip, Way::Out),
            counts,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, FrameMeter> {
        // A panic while it was held leaves counters off by one at worst.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module's description.
pub(crate) struct FrameMeter {
    io: Io,
    /// The peer is a server.
    is_client: bool,
    read_ahead: BytesMut,
    /// So many bytes at the start of it have been looked at.
    scanned: usize,
    /// The last read filled all the room there was, so more is likely waiting.
    more_is_likely: bool,
    /// Small DATA frames, and bytes, that were read since the meter gave way.
    small_frames: u32,
    unbroken_bytes: usize,
    /// h2 finds nothing to read.
    held: bool,
    /// h2 found nothing more to read, and writes.
    turn_over: bool,
    ended: bool,
    joined: BytesMut,
    /// h2 could not write all it had.
    blocked: bool,
    inbound: FrameScanner,
    outbound: FrameScanner,
    counts: FrameCounts,
}

impl FrameMeter {
    /// What passed so far.
    pub(crate) fn counts(&self) -> &FrameCounts {
        &self.counts
    }

    /// Tells the ping policy whether calls are open, since PINGs are rarer without any.
    #[cfg(feature = "server")]
    pub(crate) fn calls_open(&mut self, any: bool) {
        self.counts.calls_open(any);
    }

    /// Each GOAWAY that h2 writes from here on carries these words.
    #[cfg(feature = "server")]
    pub(crate) fn explain_goaway(&mut self, text: &'static str) {
        self.counts.goaway_text = Some(text);
    }

    /// Lets h2 find nothing to read, or again what comes. Whoever holds it back sees to what comes
    /// meanwhile: h2 is not woken.
    pub(crate) fn hold_reads(&mut self, held: bool) {
        self.held = held;
    }

    /// Reads until at least `wanted` bytes are there to look at. They stay in place for h2.
    ///
    /// # Errors
    ///
    /// Those of the socket. The end of the stream is no error: fewer bytes are there then.
    pub(crate) fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        wanted: usize,
    ) -> Poll<io::Result<&[u8]>> {
        while self.read_ahead.len() < wanted && !self.ended {
            // A peer that has not begun to speak is not worth much memory.
            ready!(self.poll_read_ahead(cx, KEPT_BUFFER))?;
        }
        Poll::Ready(Ok(&self.read_ahead))
    }

    /// Writes what was joined. Ready when nothing is left.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_joined(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Whether h2 has frames that found no room here.
    #[cfg(feature = "server")]
    pub(crate) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether frames wait to be drained.
    pub(crate) fn has_joined(&self) -> bool {
        !self.joined.is_empty()
    }

    /// Gives back the memory that a busy peer made us take.
    pub(crate) fn release_buffers(&mut self) {
        // Small or not: the small one served the peer's first bytes, and is of no more use.
        if self.read_ahead.is_empty() && self.read_ahead.capacity() > 0 {
            self.read_ahead = BytesMut::new();
            self.more_is_likely = false;
        }
        if self.joined.is_empty() && self.joined.capacity() > KEPT_BUFFER {
            self.joined = BytesMut::new();
        }
        self.counts.release_buffers();
    }

    /// Reads and drops what still comes. Ready at the end of the stream, with what was dropped.
    #[cfg(feature = "server")]
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<()> {
        let mut dropped = self.read_ahead.len();
        self.read_ahead.clear();
        while dropped < limit && !self.ended {
            if ready!(self.poll_read_ahead(cx, READ_AHEAD)).is_err() {
                break;
            }
            dropped += self.read_ahead.len();
            self.read_ahead.clear();
        }
        Poll::Ready(())
    }

    /// Puts bytes of our own between frames: the answer to a peer that speaks something else.
    #[cfg(feature = "server")]
    pub(crate) fn join(&mut self, bytes: &[u8]) {
        self.joined.extend_from_slice(bytes);
    }

    /// Ends our direction.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_joined(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_read_ahead(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<()>> {
        self.read_ahead.reserve(room);
        let read = std::pin::pin!(self.io.read_buf(&mut self.read_ahead));
        let length = ready!(read.poll(cx))?;
        self.ended = length == 0;
        self.more_is_likely = length >= room / 2;
        self.counts.read_at(Instant::now());
        Poll::Ready(Ok(()))
    }

    fn poll_write_joined(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.joined.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.joined))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.joined.advance(written);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read_frames(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The connection task ends a connection that crossed a limit. It runs once h2 finds nothing.
        if self.held || self.counts.abuse.is_some() {
            return Poll::Pending;
        }
        if self.small_frames >= SMALL_DATA_FRAMES_PER_TURN || self.unbroken_bytes >= BYTES_PER_TURN
        {
            // Woken at once, but behind the handlers that are ready.
            self.small_frames = 0;
            self.unbroken_bytes = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.read_ahead.is_empty() && self.more_is_likely {
            ready!(self.poll_read_ahead(cx, READ_AHEAD))?;
        }
        let before = into.filled().len();
        let mut unseen_from = before;
        if self.read_ahead.is_empty() {
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            let room = into.remaining();
            ready!(Pin::new(&mut self.io).poll_read(cx, into))?;
            self.more_is_likely = into.remaining() == 0 && room > 0;
            self.counts.read_at(Instant::now());
        } else {
            let length = self.read_ahead.len().min(into.remaining());
            into.put_slice(&self.read_ahead.split_to(length));
            let scanned = self.scanned.min(length);
            self.scanned -= scanned;
            unseen_from += scanned;
        }
        let bytes = into.filled().get(unseen_from..).unwrap_or_default();
        self.unbroken_bytes += bytes.len();
        let (counts, small_frames) = (&mut self.counts, &mut self.small_frames);
        self.inbound
            .scan(bytes, |found| counts.received(found, small_frames));
        if self.counts.abuse.is_some() {
            // What crossed a limit is not worth the work of being read.
            into.set_filled(before);
            return Poll::Pending;
        }
        if let Some(behind) = self.counts.behind_goaway.take()
            && self.is_client
        {
            self.stop_behind_goaway(into, behind);
        }
        Poll::Ready(Ok(()))
    }

    /// h2 gets what is behind a GOAWAY when it has written all it had to. A server in a drain sends a PING
    /// there, and counts the streams that come before the answer.
    fn stop_behind_goaway(&mut self, into: &mut ReadBuf<'_>, behind: usize) {
        let end = into.filled().len() - behind;
        let mut rest = BytesMut::from(into.filled().get(end..).unwrap_or_default());
        into.set_filled(end);
        rest.extend_from_slice(&self.read_ahead);
        self.read_ahead = rest;
        self.scanned += behind;
        self.small_frames = SMALL_DATA_FRAMES_PER_TURN;
    }

    fn poll_write_frames(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // Unless it gets to the end.
        self.blocked = true;
        if bytes.len() >= PASS_BY {
            ready!(self.poll_write_joined(cx))?;
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
            let passed = bytes.get(..written).unwrap_or(bytes);
            self.sent(passed);
            self.blocked = false;
            return Poll::Ready(Ok(written));
        }
        if self.joined.len() >= JOIN_LIMIT {
            ready!(self.poll_write_joined(cx))?;
        }
        self.joined.extend_from_slice(bytes);
        self.sent(bytes);
        self.blocked = false;
        Poll::Ready(Ok(bytes.len()))
    }

    fn sent(&mut self, bytes: &[u8]) {
        let counts = &mut self.counts;
        let mut goaway = None;
        self.outbound.scan(bytes, |found| {
            if let Some(follow) = counts.sent(&found) {
                goaway = Some(follow);
            }
        });
        if let Some(follow) = goaway {
            self.complete_goaway(follow);
        }
    }

    // h2's GOAWAY has seventeen bytes and no text. The reason goes behind it, and its length grows by
    // as much. RFC 9113 §6.8 (Additional Debug Data). So many joined bytes follow the frame.
    fn complete_goaway(&mut self, follow: usize) {
        const PLAIN_LENGTH: u8 = 8;
        let Some(text) = self.counts.goaway_text else {
            return;
        };
        let Ok(text_length) = u8::try_from(text.len()) else {
            return;
        };
        let Some(end) = self.joined.len().checked_sub(follow) else {
            return;
        };
        let start = end.checked_sub(FRAME_HEAD_LENGTH + usize::from(PLAIN_LENGTH));
        let Some(frame) = start.and_then(|start| self.joined.get_mut(start..end)) else {
            return;
        };
        if let [0, 0, length @ PLAIN_LENGTH, frame_type::GOAWAY, ..] = frame {
            *length = PLAIN_LENGTH.saturating_add(text_length);
            let rest = self.joined.split_off(end);
            self.joined.extend_from_slice(text.as_bytes());
            self.joined.extend_from_slice(&rest);
        }
    }
}

impl AsyncRead for SharedMeter {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut meter = self.lock();
        // What h2 could not write is still to come.
        if meter.turn_over && !meter.blocked {
            meter.counts.turn_begins();
        }
        let polled = meter.poll_read_frames(cx, into);
        meter.turn_over = polled.is_pending();
        polled
    }
}

impl AsyncWrite for SharedMeter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.lock().poll_write_frames(cx, bytes)
    }

    // The connection task flushes, when it has done all it can.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_close(cx)
    }
}

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
//!   unread frame against the connection.
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
use super::config::Http2Config;
use super::frame_scanner::{Found, FrameHead, FrameScanner};
use super::ping_policy::PingPolicy;
use super::rate::Bucket;
use crate::spec::http2::{
    FRAME_HEAD_LENGTH, PREFACE, error as error_code, flag, frame as frame_type, setting,
};

/// Small enough to be charged by h2: it holds 256 bytes less the payload against the connection.
const SMALL_DATA_FRAME: usize = 256;
/// So many small DATA frames are read before handlers get their turn.
const SMALL_DATA_FRAMES_PER_TURN: u32 = 128;
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
    pub(crate) fn new(io: Io, config: &Http2Config) -> Self {
        Self(Arc::new(Mutex::new(FrameMeter::new(io, config))))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, FrameMeter> {
        // A panic while it was held leaves counters off by one at worst.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module's description.
pub(crate) struct FrameMeter {
    io: Io,
    read_ahead: BytesMut,
    /// The last read filled all the room there was, so more is likely waiting.
    more_is_likely: bool,
    small_frames: u32,
    ended: bool,
    joined: BytesMut,
    inbound: FrameScanner,
    outbound: FrameScanner,
    seen: Seen,
}

/// What passed, as far as the connection task asks for it.
pub(crate) struct Seen {
    /// When the last bytes came.
    pub(crate) last_read_at: Instant,
    /// When the header block that is not whole yet began, as far as frame heads tell.
    pub(crate) header_block_since: Option<Instant>,
    /// The peer's SETTINGS came.
    pub(crate) settings: bool,
    /// The peer acknowledged ours.
    pub(crate) settings_acked: bool,
    /// The header list size that the peer said it accepts.
    pub(crate) peer_max_header_list_size: Option<usize>,
    /// The first limit that the peer crossed.
    pub(crate) abuse: Option<Abuse>,
    /// RST_STREAM frames that h2 may have written by itself, and counts against the connection.
    pub(crate) resets_written: u64,
    /// DATA frames without a byte and without END_STREAM.
    pub(crate) empty_data_frames: u64,
    /// We said GOAWAY for a fault: nothing but the end of the connection follows.
    pub(crate) fatal_goaway: bool,
    now: Instant,
    frames_answered: u64,
    /// `frames_answered` when the last PING came.
    frames_answered_at_ping: Option<u64>,
    window_updates: u64,
    window_update_slack: u64,
    pings: Bucket,
    ping_policy: PingPolicy,
    settings_frames: Bucket,
    idle_frames: Bucket,
    faulty_streams: Bucket,
    /// Words for the GOAWAY that h2 is about to write.
    goaway_text: Option<&'static str>,
}

/// A limit that a peer crossed, in words that go into the GOAWAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abuse(pub(crate) &'static str);

impl FrameMeter {
    fn new(io: Io, config: &Http2Config) -> Self {
        let now = Instant::now();
        Self {
            io,
            read_ahead: BytesMut::new(),
            more_is_likely: false,
            small_frames: 0,
            ended: false,
            joined: BytesMut::new(),
            inbound: FrameScanner::after(PREFACE.len()),
            outbound: FrameScanner::after(0),
            seen: Seen {
                last_read_at: now,
                header_block_since: None,
                settings: false,
                settings_acked: false,
                peer_max_header_list_size: None,
                abuse: None,
                resets_written: 0,
                empty_data_frames: 0,
                fatal_goaway: false,
                now,
                frames_answered: 0,
                frames_answered_at_ping: None,
                window_updates: 0,
                window_update_slack: config.window_update_slack,
                pings: Bucket::new(config.pings, now),
                ping_policy: PingPolicy::new(config.min_ping_interval, config.max_ping_strikes),
                settings_frames: Bucket::new(config.settings_frames, now),
                idle_frames: Bucket::new(config.idle_frames, now),
                faulty_streams: Bucket::new(config.faulty_streams, now),
                goaway_text: None,
            },
        }
    }

    /// What passed so far.
    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Tells the ping policy whether calls are open, since PINGs are rarer without any.
    pub(crate) fn calls_open(&mut self, any: bool) {
        self.seen.ping_policy.calls_open(any);
    }

    /// Each GOAWAY that h2 writes from here on carries these words.
    pub(crate) fn explain_goaway(&mut self, text: &'static str) {
        self.seen.goaway_text = Some(text);
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
            ready!(self.poll_read_ahead(cx))?;
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

    /// Whether frames wait to be drained.
    pub(crate) fn has_joined(&self) -> bool {
        !self.joined.is_empty()
    }

    /// Gives back the memory that a busy peer made us take.
    pub(crate) fn release_buffers(&mut self) {
        if self.read_ahead.is_empty() && self.read_ahead.capacity() > KEPT_BUFFER {
            self.read_ahead = BytesMut::new();
            self.more_is_likely = false;
        }
        if self.joined.is_empty() && self.joined.capacity() > KEPT_BUFFER {
            self.joined = BytesMut::new();
        }
    }

    /// Reads and drops what still comes. Ready at the end of the stream, with what was dropped.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<()> {
        let mut dropped = self.read_ahead.len();
        self.read_ahead.clear();
        while dropped < limit && !self.ended {
            if ready!(self.poll_read_ahead(cx)).is_err() {
                break;
            }
            dropped += self.read_ahead.len();
            self.read_ahead.clear();
        }
        Poll::Ready(())
    }

    /// Puts bytes of our own between frames: the answer to a peer that speaks something else.
    pub(crate) fn join(&mut self, bytes: &[u8]) {
        self.joined.extend_from_slice(bytes);
    }

    /// Ends our direction.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write_joined(cx))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.read_ahead.reserve(READ_AHEAD);
        let read = std::pin::pin!(self.io.read_buf(&mut self.read_ahead));
        let length = ready!(read.poll(cx))?;
        self.ended = length == 0;
        self.more_is_likely = length >= READ_AHEAD / 2;
        self.seen.read_at(Instant::now());
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
        if self.small_frames >= SMALL_DATA_FRAMES_PER_TURN {
            // Woken at once, but behind the handlers that are ready.
            self.small_frames = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.read_ahead.is_empty() && self.more_is_likely {
            ready!(self.poll_read_ahead(cx))?;
        }
        let before = into.filled().len();
        if self.read_ahead.is_empty() {
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            let room = into.remaining();
            ready!(Pin::new(&mut self.io).poll_read(cx, into))?;
            self.more_is_likely = into.remaining() == 0 && room > 0;
            self.seen.read_at(Instant::now());
        } else {
            let length = self.read_ahead.len().min(into.remaining());
            into.put_slice(&self.read_ahead.split_to(length));
        }
        let bytes = into.filled().get(before..).unwrap_or_default();
        let (seen, small_frames) = (&mut self.seen, &mut self.small_frames);
        self.inbound
            .scan(bytes, |found| seen.received(found, small_frames));
        Poll::Ready(Ok(()))
    }

    fn poll_write_frames(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if bytes.len() >= PASS_BY {
            ready!(self.poll_write_joined(cx))?;
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, bytes))?;
            let passed = bytes.get(..written).unwrap_or(bytes);
            self.sent(passed);
            return Poll::Ready(Ok(written));
        }
        if self.joined.len() >= JOIN_LIMIT {
            ready!(self.poll_write_joined(cx))?;
        }
        self.joined.extend_from_slice(bytes);
        self.sent(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn sent(&mut self, bytes: &[u8]) {
        let seen = &mut self.seen;
        let mut goaway = None;
        self.outbound.scan(bytes, |found| {
            if let Some(follow) = seen.sent(&found) {
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
        let Some(text) = self.seen.goaway_text else {
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

impl Seen {
    fn read_at(&mut self, now: Instant) {
        self.now = now;
        self.last_read_at = now;
    }

    fn received(&mut self, found: Found<'_>, small_frames: &mut u32) {
        match found {
            Found::Head(head) => self.received_head(head, small_frames),
            Found::Payload(head, payload, _) => {
                if head.kind == frame_type::SETTINGS {
                    self.received_settings(payload);
                }
            }
            Found::BlockEnd => self.header_block_since = None,
        }
    }

    fn received_head(&mut self, head: FrameHead, small_frames: &mut u32) {
        let ack = head.flags & flag::ACK != 0;
        let too_many = match head.kind {
            frame_type::DATA => {
                if head.length < SMALL_DATA_FRAME && head.flags & flag::END_STREAM == 0 {
                    *small_frames += 1;
                    self.empty_data_frames += u64::from(head.length == 0);
                }
                return;
            }
            frame_type::HEADERS | frame_type::CONTINUATION => {
                self.header_block_since.get_or_insert(self.now);
                return;
            }
            frame_type::RST_STREAM | frame_type::GOAWAY | frame_type::PUSH_PROMISE => return,
            frame_type::WINDOW_UPDATE => {
                self.window_updates += 1;
                let earned = self.frames_answered.saturating_mul(10);
                let allowed = earned.saturating_add(self.window_update_slack);
                (self.window_updates > allowed).then_some("too_many_window_updates")
            }
            frame_type::PING if !ack => {
                let allowed = self.ping_policy.received(self.now) && self.ping_is_earned();
                (!allowed).then_some("too_many_pings")
            }
            frame_type::SETTINGS => {
                self.settings_acked |= ack;
                self.settings |= !ack;
                (!self.settings_frames.take(self.now)).then_some("too_many_settings")
            }
            // PING acknowledgements, PRIORITY, and types that we do not know.
            _ => (!self.idle_frames.take(self.now)).then_some("too_many_idle_frames"),
        };
        if self.abuse.is_none() {
            self.abuse = too_many.map(Abuse);
        }
    }

    fn received_settings(&mut self, payload: &[u8]) {
        let (entries, _) = payload.as_chunks::<6>();
        for &[i0, i1, v0, v1, v2, v3] in entries {
            if u16::from_be_bytes([i0, i1]) == setting::MAX_HEADER_LIST_SIZE {
                let size = u32::from_be_bytes([v0, v1, v2, v3]);
                self.peer_max_header_list_size = usize::try_from(size).ok();
            }
        }
    }

    // Clients measure bandwidth with a PING for each of our frames, or fewer. Only those between which
    // we sent nothing cost a token.
    fn ping_is_earned(&mut self) -> bool {
        let before = self.frames_answered_at_ping.replace(self.frames_answered);
        before.is_some_and(|before| before < self.frames_answered) || self.pings.take(self.now)
    }

    /// Where a GOAWAY just passed, how many bytes follow it.
    fn sent(&mut self, found: &Found<'_>) -> Option<usize> {
        match found {
            Found::Head(head) => {
                if matches!(head.kind, frame_type::HEADERS | frame_type::DATA) {
                    self.frames_answered += 1;
                    self.ping_policy.answered();
                }
                None
            }
            Found::Payload(head, payload, follow) => match head.kind {
                frame_type::RST_STREAM => {
                    self.reset_sent(payload);
                    None
                }
                frame_type::GOAWAY => {
                    // After the last stream's id comes the error code; 0 is none.
                    let code = payload.get(4..8).unwrap_or_default();
                    self.fatal_goaway |= code.iter().any(|byte| *byte != 0);
                    Some(*follow)
                }
                _ => None,
            },
            Found::BlockEnd => None,
        }
    }

    fn reset_sent(&mut self, payload: &[u8]) {
        let Some(&code) = payload.first_chunk::<4>() else {
            return;
        };
        match u32::from_be_bytes(code) {
            // Our own decisions.
            error_code::NO_ERROR | error_code::CANCEL => {}
            // Ours or h2's, and no fault: a stream too many, a frame too late.
            error_code::REFUSED_STREAM | error_code::STREAM_CLOSED => self.resets_written += 1,
            // h2's answer to a stream that broke the protocol.
            _ => {
                self.resets_written += 1;
                if !self.faulty_streams.take(self.now) {
                    self.abuse.get_or_insert(Abuse("too_many_stream_errors"));
                }
            }
        }
    }
}

impl AsyncRead for SharedMeter {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.lock().poll_read_frames(cx, into)
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

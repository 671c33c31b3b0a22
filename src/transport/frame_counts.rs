//! FrameCounts: which frames passed on a connection, and whether a peer sent too many of a kind.
//!
//! h2 answers PING, SETTINGS and WINDOW_UPDATE out of sight, and has no opinion on how many there
//! are. Each kind that costs us something and a peer nothing has a budget here; the first that is
//! used up is remembered, and the connection task acts on it.
//!
//! Spec: RFC 9113 §6, §10.5; gRFC A8 §Server Enforcement.

use tokio::time::Instant;

use super::counters::{Counter, Counters};
use super::frame_scanner::{Found, FrameHead};
use super::large_blocks::BlockMeasure;
use super::late_frames::{LateFrames, Remembered, SMALL_DATA_FRAME};
use super::ping_policy::PingPolicy;
use super::rate::{Bucket, Rate};
use crate::spec::http2::{DEFAULT_WINDOW, error as error_code, flag, frame as frame_type, setting};

/// After so many empty DATA frames h2 ends the connection; it has no setting for that.
const EMPTY_DATA_FRAMES: u64 = 100;

/// The last stream's id and an error code. RFC 9113 §6.8.
const GOAWAY_WITHOUT_WORDS: usize = 8;

/// An idle connection keeps room for so many streams that have ended.
const KEPT_STREAMS: usize = 8;

/// Header blocks beyond those that are due. One stream may have too many of them, which is a fault of
/// that stream only.
const HEADER_BLOCK_SLACK: u64 = 10_000;

/// How many frames of each kind a peer may send. `None` counts none against it.
pub(super) struct FrameLimits {
    pub(super) window_update_slack: u64,
    pub(super) pings: Rate,
    pub(super) ping_policy: Option<PingPolicy>,
    pub(super) settings_frames: Rate,
    pub(super) idle_frames: Rate,
    pub(super) faulty_streams: Option<Rate>,
    pub(super) header_blocks: Option<BlockMeasure>,
    /// Header blocks for each one of ours.
    pub(super) header_blocks_each: Option<u64>,
    /// Streams that h2 remembers after it has reset them.
    pub(super) remembered: Remembered,
    /// What h2 takes over the life of a connection.
    pub(super) max_local_error_reset_streams: usize,
    pub(super) data_frame_budget: usize,
}

/// A GOAWAY of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GoAway {
    /// Its error code.
    pub(crate) code: u32,
    /// Its words for people.
    pub(crate) text: Box<str>,
}

/// What passed, as far as the connection task asks for it.
pub(crate) struct FrameCounts {
    counters: Counters,
    /// When the last bytes came.
    pub(crate) last_read_at: Instant,
    /// When the header block that is not whole yet began, as far as frame heads tell.
    pub(crate) header_block_since: Option<Instant>,
    /// The peer's SETTINGS came.
    pub(crate) settings: bool,
    /// The peer acknowledged ours.
    pub(crate) settings_acked: bool,
    /// How many SETTINGS of the peer we acknowledged: h2 does so when it obeys them.
    pub(crate) settings_obeyed: u64,
    /// The peer's last GOAWAY.
    pub(crate) goaway: Option<GoAway>,
    /// One has just passed: so many bytes of those looked at follow it.
    pub(super) behind_goaway: Option<usize>,
    /// The header list size that the peer said it accepts.
    pub(crate) peer_max_header_list_size: Option<usize>,
    /// The peer said that it takes promises of streams: ENABLE_PUSH of 1. Clients may.
    pub(crate) enables_push: bool,
    /// The first limit that the peer crossed.
    pub(crate) abuse: Option<Abuse>,
    /// RST_STREAM frames that h2 may have written by itself, and counts against the connection.
    pub(crate) resets_written: u64,
    /// Streams that were refused: h2 does not tell of those that it refuses.
    pub(crate) streams_refused: u64,
    /// We said GOAWAY for a fault of this code: nothing but the end of the connection follows.
    pub(crate) fatal_goaway: Option<u32>,
    /// How often we said GOAWAY. In a drain the second one follows the answer to its PING.
    pub(crate) goaways_sent: u32,
    /// DATA frames without a byte and without END_STREAM.
    pub(crate) empty_data_frames: u64,
    late_frames: LateFrames,
    /// Streams that HEADERS of ours have ended since h2 began to write.
    ended_streams: Vec<u32>,
    /// Bytes that the peer may still send us, on all streams together.
    window_left: u64,
    /// Half of what h2 takes over the life of a connection.
    half_of_resets: u64,
    half_of_budget: usize,
    now: Instant,
    frames_answered: u64,
    /// Bytes of DATA that h2 has written.
    pub(crate) data_bytes_sent: u64,
    /// `frames_answered` when the last PING came.
    frames_answered_at_ping: Option<u64>,
    window_updates: u64,
    window_update_slack: u64,
    pings: Bucket,
    ping_policy: Option<PingPolicy>,
    settings_frames: Bucket,
    idle_frames: Bucket,
    faulty_streams: Option<Bucket>,
    header_blocks: Option<BlockMeasure>,
    header_blocks_each: Option<u64>,
    header_blocks_received: u64,
    header_blocks_sent: u64,
    /// The highest stream whose HEADERS passed on the way out.
    pub(crate) last_headers_stream: u32,
    /// Words for the GOAWAY that h2 is about to write.
    pub(super) goaway_text: Option<&'static str>,
}

/// A limit that a peer crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Abuse {
    /// In words that go into the GOAWAY.
    pub(crate) text: &'static str,
    pub(crate) counter: Counter,
}

impl Abuse {
    pub(super) const fn new(text: &'static str, counter: Counter) -> Self {
        Self { text, counter }
    }
}

impl FrameCounts {
    pub(super) fn new(limits: FrameLimits, counters: Counters) -> Self {
        let now = Instant::now();
        Self {
            counters,
            last_read_at: now,
            header_block_since: None,
            settings: false,
            settings_acked: false,
            settings_obeyed: 0,
            goaway: None,
            behind_goaway: None,
            peer_max_header_list_size: None,
            enables_push: false,
            abuse: None,
            resets_written: 0,
            streams_refused: 0,
            fatal_goaway: None,
            goaways_sent: 0,
            empty_data_frames: 0,
            late_frames: LateFrames::new(limits.remembered, now),
            ended_streams: Vec::new(),
            window_left: u64::from(DEFAULT_WINDOW),
            half_of_resets: u64::try_from(limits.max_local_error_reset_streams / 2)
                .unwrap_or(u64::MAX),
            half_of_budget: limits.data_frame_budget / 2,
            now,
            frames_answered: 0,
            data_bytes_sent: 0,
            frames_answered_at_ping: None,
            window_updates: 0,
            window_update_slack: limits.window_update_slack,
            pings: Bucket::new(limits.pings, now),
            ping_policy: limits.ping_policy,
            settings_frames: Bucket::new(limits.settings_frames, now),
            idle_frames: Bucket::new(limits.idle_frames, now),
            faulty_streams: limits.faulty_streams.map(|rate| Bucket::new(rate, now)),
            header_blocks: limits.header_blocks,
            header_blocks_each: limits.header_blocks_each,
            header_blocks_received: 0,
            header_blocks_sent: 0,
            last_headers_stream: 0,
            goaway_text: None,
        }
    }

    #[cfg(feature = "server")]
    pub(super) fn calls_open(&mut self, any: bool) {
        if let Some(policy) = &mut self.ping_policy {
            policy.calls_open(any);
        }
    }

    pub(super) fn read_at(&mut self, now: Instant) {
        self.now = now;
        self.last_read_at = now;
    }

    /// h2 counts some things over the whole life of a connection, and gives up on it in the end. A peer
    /// with a long-lived connection that has many cancelled calls, or is fond of empty DATA, does no
    /// wrong. So this says in time that the connection is to be replaced, and for what.
    pub(crate) fn worn_by(&self) -> Option<Counter> {
        if self.resets_written > self.half_of_resets
            || self.empty_data_frames > EMPTY_DATA_FRAMES / 2
        {
            Some(Counter::MaxLocalErrorResetStreams)
        } else if self.late_frames.cost() > self.half_of_budget {
            Some(Counter::DataFrameBudget)
        } else {
            None
        }
    }

    /// h2 has written all it had, and begins to read again.
    pub(super) fn turn_begins(&mut self) {
        self.late_frames.turn_begins();
        self.ended_streams.clear();
    }

    /// Gives back the memory that a busy peer made us take.
    pub(super) fn release_buffers(&mut self) {
        self.late_frames.release_buffers();
        if self.ended_streams.capacity() > KEPT_STREAMS {
            self.ended_streams = Vec::new();
        }
    }

    pub(super) fn received(&mut self, found: Found<'_>, small_frames: &mut u32) {
        match found {
            Found::Head(head) => self.received_head(head, small_frames),
            Found::Payload(head, payload, follow) => {
                if head.kind == frame_type::GOAWAY {
                    self.behind_goaway.get_or_insert(follow);
                }
                self.received_payload(head, payload, small_frames);
            }
            Found::BlockEnd => self.header_block_since = None,
        }
    }

    // Rare, and out of the way of what is not.
    #[cold]
    fn received_payload(&mut self, head: FrameHead, payload: &[u8], small_frames: &mut u32) {
        match head.kind {
            frame_type::DATA => self.received_padded(head, payload, small_frames),
            frame_type::SETTINGS => self.received_settings(payload),
            frame_type::GOAWAY => self.received_goaway(payload),
            _ => {}
        }
    }

    fn received_head(&mut self, head: FrameHead, small_frames: &mut u32) {
        let ack = head.flags & flag::ACK != 0;
        let too_many = match head.kind {
            frame_type::DATA => {
                self.take_window(head.length);
                // How much of a padded one is padding, its payload tells.
                if head.flags & (flag::END_STREAM | flag::PADDED) == 0 {
                    self.received_data(head.stream, head.length, small_frames);
                }
                return;
            }
            frame_type::HEADERS | frame_type::CONTINUATION => {
                self.header_block_since.get_or_insert(self.now);
                if let Some(measure) = &mut self.header_blocks {
                    measure.head(head);
                }
                self.header_blocks_received += u64::from(head.kind == frame_type::HEADERS);
                self.too_many_header_blocks()
                    .then_some(("too_many_header_blocks", Counter::HeaderBlocks))
            }
            frame_type::RST_STREAM | frame_type::GOAWAY | frame_type::PUSH_PROMISE => return,
            frame_type::WINDOW_UPDATE => {
                self.window_updates += 1;
                // One DATA frame may carry many messages, and a peer may give window back for each.
                let earned = self
                    .frames_answered
                    .saturating_mul(10)
                    .saturating_add(self.data_bytes_sent / 4);
                let allowed = earned.saturating_add(self.window_update_slack);
                (self.window_updates > allowed)
                    .then_some(("too_many_window_updates", Counter::WindowUpdateSlack))
            }
            frame_type::PING if !ack => {
                let now = self.now;
                let policy = self.ping_policy.as_mut();
                let timely = policy.is_none_or(|policy| policy.received(now));
                if !timely {
                    Some(("too_many_pings", Counter::MaxPingStrikes))
                } else {
                    (!self.ping_is_earned()).then_some(("too_many_pings", Counter::Pings))
                }
            }
            frame_type::SETTINGS => {
                self.settings_acked |= ack;
                self.settings |= !ack;
                (!self.settings_frames.take(self.now))
                    .then_some(("too_many_settings", Counter::SettingsFrames))
            }
            // PING acknowledgements, PRIORITY, and types that we do not know.
            _ => (!self.idle_frames.take(self.now))
                .then_some(("too_many_idle_frames", Counter::IdleFrames)),
        };
        if self.abuse.is_none() {
            self.abuse = too_many.map(|(text, counter)| Abuse::new(text, counter));
        }
    }

    /// A DATA frame came that is not its stream's last.
    #[inline]
    fn received_data(&mut self, stream: u32, bytes: usize, small_frames: &mut u32) {
        if bytes >= SMALL_DATA_FRAME {
            self.late_frames.received_large(bytes);
            return;
        }
        *small_frames += 1;
        if bytes == 0 {
            self.empty_data_frames += 1;
        } else {
            self.late_frames.received_small(stream, bytes, self.now);
        }
    }

    // All of a DATA frame counts, its padding too. RFC 9113 §6.9.1.
    #[inline]
    fn take_window(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        match self.window_left.checked_sub(bytes) {
            Some(left) if left > 0 => self.window_left = left,
            Some(_) | None => self.window_is_used_up(),
        }
    }

    #[cold]
    fn window_is_used_up(&mut self) {
        if self.window_left > 0 {
            self.window_left = 0;
            self.counters.count(Counter::ConnectionWindow);
        }
    }

    // The first byte says how many there are at the end that mean nothing. RFC 9113 §6.1. A frame of
    // none, or of too few for that, ends the connection.
    fn received_padded(&mut self, head: FrameHead, payload: &[u8], small_frames: &mut u32) {
        let padding = payload.first().map(|length| usize::from(*length) + 1);
        let bytes = padding.and_then(|padding| head.length.checked_sub(padding));
        if let Some(bytes) = bytes.filter(|_| head.flags & flag::END_STREAM == 0) {
            self.received_data(head.stream, bytes, small_frames);
        }
    }

    fn received_settings(&mut self, payload: &[u8]) {
        let (entries, _) = payload.as_chunks::<6>();
        for &[i0, i1, v0, v1, v2, v3] in entries {
            let value = u32::from_be_bytes([v0, v1, v2, v3]);
            match u16::from_be_bytes([i0, i1]) {
                setting::ENABLE_PUSH => self.enables_push |= value == 1,
                setting::MAX_HEADER_LIST_SIZE => {
                    self.peer_max_header_list_size = usize::try_from(value).ok();
                }
                _ => {}
            }
        }
    }

    // The last stream's id, an error code, and the rest is text. RFC 9113 §6.8.
    fn received_goaway(&mut self, payload: &[u8]) {
        let (code, text) = payload.split_at_checked(8).unwrap_or_default();
        if let Some(&code) = code.last_chunk::<4>() {
            self.goaway = Some(GoAway {
                code: u32::from_be_bytes(code),
                text: text.escape_ascii().to_string().into(),
            });
        }
    }

    // A response has one block or two, and interim ones before them, which wait in h2 until somebody
    // looks at the response. That may be never.
    fn too_many_header_blocks(&self) -> bool {
        self.header_blocks_each.is_some_and(|each| {
            let due = self.header_blocks_sent.saturating_mul(each);
            self.header_blocks_received > due.saturating_add(HEADER_BLOCK_SLACK)
        })
    }

    // Clients measure bandwidth with a PING for each of our frames, or fewer. Only those between which
    // we sent nothing cost a token.
    fn ping_is_earned(&mut self) -> bool {
        let before = self.frames_answered_at_ping.replace(self.frames_answered);
        before.is_some_and(|before| before < self.frames_answered) || self.pings.take(self.now)
    }

    /// Where a GOAWAY without words just passed, how many bytes follow it.
    pub(super) fn sent(&mut self, found: &Found<'_>) -> Option<usize> {
        match found {
            Found::Head(head) => {
                if matches!(head.kind, frame_type::HEADERS | frame_type::DATA) {
                    self.frames_answered += 1;
                    if head.kind == frame_type::DATA {
                        let length = u64::try_from(head.length).unwrap_or(u64::MAX);
                        self.data_bytes_sent = self.data_bytes_sent.saturating_add(length);
                    }
                    if head.kind == frame_type::HEADERS {
                        self.header_blocks_sent += 1;
                        self.last_headers_stream = self.last_headers_stream.max(head.stream);
                        if head.flags & flag::END_STREAM != 0 {
                            self.ended_streams.push(head.stream);
                        }
                    }
                    if let Some(policy) = &mut self.ping_policy {
                        policy.answered();
                    }
                }
                let ack = head.flags & flag::ACK != 0;
                self.settings_obeyed += u64::from(head.kind == frame_type::SETTINGS && ack);
                None
            }
            Found::Payload(head, payload, follow) => self.sent_payload(*head, payload, *follow),
            Found::BlockEnd => None,
        }
    }

    // Rare, and out of the way of what is not.
    #[cold]
    fn sent_payload(&mut self, head: FrameHead, payload: &[u8], follow: usize) -> Option<usize> {
        match head.kind {
            frame_type::RST_STREAM => {
                self.late_frames.reset(head.stream, Instant::now());
                self.reset_sent(head.stream, payload);
                None
            }
            // Of the whole connection. RFC 9113 §6.9.
            frame_type::WINDOW_UPDATE => {
                let more = payload.first_chunk().copied().map_or(0, u32::from_be_bytes);
                self.window_left = self.window_left.saturating_add(u64::from(more));
                None
            }
            frame_type::GOAWAY => {
                self.goaways_sent = self.goaways_sent.saturating_add(1);
                // After the last stream's id comes the error code; 0 is none.
                let code = payload.get(4..).and_then(<[u8]>::first_chunk);
                let code = code.copied().map(u32::from_be_bytes);
                let fault = code.filter(|code| *code != error_code::NO_ERROR);
                self.fatal_goaway = self.fatal_goaway.or(fault);
                (head.length == GOAWAY_WITHOUT_WORDS).then_some(follow)
            }
            _ => None,
        }
    }

    fn reset_sent(&mut self, stream: u32, payload: &[u8]) {
        let Some(&code) = payload.first_chunk::<4>() else {
            return;
        };
        match u32::from_be_bytes(code) {
            // Our own decisions.
            error_code::NO_ERROR | error_code::CANCEL => {}
            // Ours or h2's, and no fault: a stream too many, a frame too late.
            error_code::REFUSED_STREAM => {
                self.resets_written += 1;
                self.streams_refused += 1;
            }
            error_code::STREAM_CLOSED => {
                self.resets_written += 1;
                self.counters.count(Counter::MaxConcurrentResetStreams);
            }
            // h2's answer to a stream that broke the protocol.
            code => {
                self.resets_written += 1;
                // To a request whose headers are too large it says HEADERS before, with 431, and that this is
                // all.
                if code == error_code::PROTOCOL_ERROR && self.ended_streams.contains(&stream) {
                    self.counters.count(Counter::MaxHeaderListSize);
                }
                let now = self.now;
                let bucket = self.faulty_streams.as_mut();
                if bucket.is_some_and(|bucket| !bucket.take(now)) {
                    let abuse = Abuse::new("too_many_stream_errors", Counter::FaultyStreams);
                    self.abuse.get_or_insert(abuse);
                }
            }
        }
    }
}

//! What must hold for the byte stream under h2, whatever passes and however it is cut. FrameMeter is no
//! part of the public API, so its files are compiled once more; `tests/client/corpus.rs` replays its
//! corpus.

#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    unreachable_pub
)]

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use barewire::Counter;
use counters::Counters;
use frame_counts::FrameLimits;
use large_blocks::{BlockMeasure, LargeBlocks};
use late_frames::Remembered;
use meter::SharedMeter;
use ping_policy::PingPolicy;
use rate::Rate;

mod counters {
    use std::sync::{Arc, Mutex};

    pub(super) use barewire::Counter;

    /// All that was counted, in order.
    #[derive(Clone, Default)]
    pub(super) struct Counters(Arc<Mutex<Vec<Counter>>>);

    impl Counters {
        pub(super) fn count(&self, counter: Counter) {
            self.0.lock().unwrap().push(counter);
        }

        pub(super) fn of(&self, counter: Counter) -> usize {
            let counted = self.0.lock().unwrap();
            counted.iter().filter(|one| **one == counter).count()
        }
    }
}
#[path = "../src/transport/frame_counts.rs"]
mod frame_counts;
#[path = "../src/transport/frame_scanner.rs"]
mod frame_scanner;
#[path = "../src/transport/large_blocks.rs"]
mod large_blocks;
#[path = "../src/transport/late_frames.rs"]
mod late_frames;
#[path = "../src/transport/meter.rs"]
mod meter;
#[path = "../src/transport/ping_policy.rs"]
mod ping_policy;
#[path = "../src/transport/rate.rs"]
mod rate;

type Io = Box<dyn barewire::ByteStream>;

/// Input: a byte that says whose end it is and which bytes pass; how many steps there are; the steps; the
/// bytes. A step reads, writes, drains or changes how the socket cuts.
///
/// Every byte passes once and unchanged, but for the words that complete a GOAWAY; what was counted is
/// what a plain parser counts; after a limit was crossed nothing more is given to be read.
pub fn meter(data: &[u8]) {
    let Some((&[manner, count], rest)) = data.split_first_chunk() else {
        return;
    };
    let (steps, bytes) = rest.split_at(usize::from(count % 64).min(rest.len()));
    let half = bytes.len() / 2;
    let (inbound, outbound) = match manner >> 1 & 3 {
        0 => (bytes, &[][..]),
        1 => (&[][..], bytes),
        2 => (bytes, bytes),
        _ => bytes.split_at(half),
    };
    let mut line = Line::new(manner & 1 == 0, inbound, outbound);
    for step in steps {
        line.step(step & 7, SIZES[usize::from(step >> 3)]);
    }
    line.finish();
}

/// Around the head of a frame, and around the limits of the meter.
const SIZES: [usize; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 23, 24, 25, 33, 64,
    100, 256, 1_024, 2_048, 16_384, 70_000,
];

/// Small, and never filled up again. The seventh PING is too much on a server, too early or not.
fn limits(server: bool, large: LargeBlocks) -> FrameLimits {
    let rate = |burst| Rate {
        burst,
        per_second: 0,
    };
    FrameLimits {
        window_update_slack: 9,
        pings: rate(6),
        ping_policy: server.then(|| PingPolicy::new(Duration::from_secs(3_600), STRIKES)),
        settings_frames: rate(5),
        idle_frames: rate(7),
        faulty_streams: server.then(|| rate(4)),
        header_blocks: (!server).then(|| BlockMeasure::new(BLOCK_LIMIT, large)),
        header_blocks_each: (!server).then_some(18),
        remembered: Remembered {
            streams: 3,
            duration: Duration::from_secs(3_600),
        },
        max_local_error_reset_streams: 10,
        data_frame_budget: 10_000,
    }
}

const STRIKES: u32 = 3;
const BLOCK_LIMIT: usize = 40;
const PREFACE_LENGTH: usize = 24;
const WORDS: &str = "go away";

/// A meter between what h2 does and a socket.
struct Line<'a> {
    meter: SharedMeter,
    counters: Counters,
    socket: Socket,
    large: LargeBlocks,
    inbound: &'a [u8],
    outbound: &'a [u8],
    read: usize,
    scanned: usize,
    written: usize,
    held: bool,
    words: bool,
    /// GOAWAY frames that must have got their words.
    completed: usize,
    model: Model,
}

impl<'a> Line<'a> {
    fn new(server: bool, inbound: &'a [u8], outbound: &'a [u8]) -> Self {
        let socket = Socket::default();
        socket.lock().inbound = inbound.to_vec();
        let large = LargeBlocks::default();
        let limits = limits(server, large.clone());
        let counters = Counters::default();
        let io: Io = Box::new(socket.clone());
        let meter = if server {
            SharedMeter::server(io, limits, counters.clone())
        } else {
            SharedMeter::client(io, limits, counters.clone())
        };
        Self {
            meter,
            counters,
            socket,
            large,
            inbound,
            outbound,
            read: 0,
            scanned: 0,
            written: 0,
            held: false,
            words: false,
            completed: 0,
            model: Model::new(server),
        }
    }

    fn step(&mut self, kind: u8, size: usize) {
        let cx = &mut Context::from_waker(Waker::noop());
        match kind {
            0 | 1 => {
                let _ = self.read(size);
            }
            2 | 3 => {
                let _ = self.write(size);
            }
            4 => assert!(!matches!(
                self.meter.lock().poll_drain(cx),
                Poll::Ready(Err(_))
            )),
            5 => self.socket.lock().piece = size,
            6 => {
                self.held = !self.held;
                self.meter.lock().hold_reads(self.held);
                self.meter.lock().release_buffers();
            }
            _ if size.is_multiple_of(2) => {
                self.words = true;
                self.meter.lock().explain_goaway(WORDS);
            }
            _ => {
                let mut meter = self.meter.lock();
                if let Poll::Ready(found) = meter.poll_peek(cx, size) {
                    let found = found.unwrap();
                    let from = match self.model.abuse {
                        None => self.read,
                        Some(_) => self.scanned,
                    };
                    let expected = &self.inbound[from..];
                    assert!(expected.starts_with(found));
                    assert!(found.len() >= size.min(expected.len()));
                }
            }
        }
        self.compare();
    }

    /// Whether anything was read, or is known never to be.
    fn read(&mut self, size: usize) -> Poll<usize> {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut buffer = vec![0; size];
        let mut buffer = ReadBuf::new(&mut buffer);
        let (begin, scanned_before) = (self.read, self.scanned);
        let polled = Pin::new(&mut self.meter).poll_read(cx, &mut buffer);
        let found = buffer.filled();
        let read = self.read + found.len();
        assert_eq!(found, &self.inbound[self.read..read]);
        self.read = read;
        // What the socket gave and does not wait to be read was looked at.
        let taken = self.socket.lock().taken;
        let waiting = match self.meter.lock().poll_peek(cx, 0) {
            Poll::Ready(Ok(waiting)) => waiting.len(),
            other => panic!("{other:?}"),
        };
        let mut scanned = (taken - waiting).max(self.scanned);
        let goaways = self.model.goaways;
        if polled.is_ready() {
            // A client gives out no more than up to a GOAWAY, and has looked further.
            scanned = scanned.max(taken.min(begin + size));
        }
        self.model.received(&self.inbound[self.scanned..scanned]);
        self.scanned = scanned;
        if polled.is_pending() {
            assert!(found.is_empty());
        }
        // What crossed a limit is looked at, and not given out.
        let stopped = !self.model.server && goaways < self.model.goaways;
        let goes_on = begin < scanned_before && self.read <= scanned;
        assert!(self.read == scanned || stopped || goes_on || self.model.abuse.is_some());
        polled.map(|result| {
            result.unwrap();
            found.len()
        })
    }

    fn write(&mut self, size: usize) -> Poll<usize> {
        let cx = &mut Context::from_waker(Waker::noop());
        let end = (self.written + size).min(self.outbound.len());
        let piece = &self.outbound[self.written..end];
        let polled = Pin::new(&mut self.meter).poll_write(cx, piece);
        assert_eq!(self.meter.lock().is_blocked(), polled.is_pending());
        polled.map(|written| {
            let written = written.unwrap();
            assert!(written > 0 || piece.is_empty());
            self.written += written;
            let goaway = self.model.sent(&piece[..written]);
            // Small enough to be joined.
            self.completed += usize::from(goaway && self.words && size < 64 * 1_024);
            written
        })
    }

    /// Lets everything pass that is left.
    fn finish(&mut self) {
        self.socket.lock().piece = usize::MAX;
        self.held = false;
        self.meter.lock().hold_reads(false);
        let mut turns_given = 0;
        while self.model.abuse.is_none() {
            match self.read(1_000) {
                Poll::Ready(0) => break,
                Poll::Ready(_) => turns_given = 0,
                // Other tasks have their turn, once in a while.
                Poll::Pending if turns_given == 0 => turns_given += 1,
                // It crossed a limit: the loop ends.
                Poll::Pending if self.model.abuse.is_some() => {}
                Poll::Pending => panic!("{} bytes are never read", self.inbound.len() - self.read),
            }
        }
        while self.written < self.outbound.len() {
            assert!(self.write(1_000).is_ready());
        }
        self.compare();
        if self.model.abuse.is_some() {
            assert!(self.read(1_000).is_pending());
        } else {
            assert_eq!(self.read, self.inbound.len());
        }
        for (stream, bytes) in &self.model.large_blocks {
            assert_eq!(self.large.take(*stream), Some(*bytes), "{stream}");
        }
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(matches!(
            self.meter.lock().poll_drain(cx),
            Poll::Ready(Ok(()))
        ));
        assert!(!self.meter.lock().has_joined());
        let socket = self.socket.lock();
        let completed = without_words(&socket.outbound, self.outbound, self.model.outbound.skip);
        assert!(
            completed >= self.completed,
            "{completed}, {}",
            self.completed
        );
        assert!(self.words || completed == 0);
    }

    /// Counts twice.
    fn compare(&self) {
        let (meter, model) = (self.meter.lock(), &self.model);
        let counts = meter.counts();
        assert_eq!(counts.settings, model.settings);
        assert_eq!(counts.settings_acked, model.settings_acked);
        assert_eq!(counts.settings_obeyed, model.settings_obeyed);
        assert_eq!(counts.header_block_since.is_some(), model.in_block);
        assert_eq!(counts.empty_data_frames, model.empty_data_frames);
        assert_eq!(counts.peer_max_header_list_size, model.header_list_size);
        assert_eq!(counts.data_bytes_sent, model.data_bytes_sent);
        assert_eq!(counts.last_headers_stream, model.last_headers_stream);
        assert_eq!(counts.resets_written, model.resets_written);
        assert_eq!(counts.streams_refused, model.streams_refused);
        assert_eq!(counts.fatal_goaway, model.fatal_goaway);
        assert_eq!(counts.goaways_sent, model.goaways_sent);
        assert_eq!(counts.abuse.map(|abuse| abuse.text), model.abuse);
        let of = |counter| self.counters.of(counter);
        assert_eq!(of(Counter::ConnectionWindow), model.windows_used_up);
        assert_eq!(of(Counter::MaxConcurrentResetStreams), model.forgotten);
        let goaway = counts.goaway.as_ref();
        let goaway = goaway.map(|goaway| (goaway.code, goaway.text.to_string()));
        assert_eq!(goaway, model.goaway);
    }
}

/// The counters, written down once more, over whole frames.
#[derive(Default)]
struct Model {
    server: bool,
    inbound: Frames,
    outbound: Frames,
    settings: bool,
    settings_acked: bool,
    settings_obeyed: u64,
    in_block: bool,
    empty_data_frames: u64,
    header_list_size: Option<usize>,
    data_bytes_sent: u64,
    last_headers_stream: u32,
    resets_written: u64,
    streams_refused: u64,
    forgotten: usize,
    window_used: usize,
    window_given: usize,
    windows_used_up: usize,
    fatal_goaway: Option<u32>,
    goaways_sent: u32,
    goaway: Option<(u32, String)>,
    /// So many have passed.
    goaways: u32,
    abuse: Option<&'static str>,
    large_blocks: BTreeMap<u32, usize>,
    block_bytes: usize,
    pings: u32,
    ping_came: bool,
    strikes: u32,
    answered: u64,
    answered_at_ping: Option<u64>,
    settings_frames: u32,
    idle_frames: u32,
    window_updates: u64,
    faulty_streams: u32,
}

impl Model {
    fn new(server: bool) -> Self {
        let skip = |skips| if skips { PREFACE_LENGTH } else { 0 };
        Self {
            server,
            window_given: 65_535,
            inbound: Frames::after(skip(server)),
            outbound: Frames::after(skip(!server)),
            ..Self::default()
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        for event in self.inbound.push(bytes) {
            match event {
                Event::Begins(frame) => self.received_head(&frame),
                Event::Ends(frame) => self.received_whole(&frame),
            }
        }
    }

    fn received_head(&mut self, frame: &Frame) {
        let ack = frame.flags & 1 != 0;
        let crossed = match (frame.kind, ack) {
            (0, ends) => {
                let padded = frame.flags & 8 != 0;
                self.empty_data_frames += u64::from(frame.length == 0 && !ends && !padded);
                let had_room = self.window_used < self.window_given;
                // Whoever sends more than that is forgiven here.
                self.window_used = self.window_given.min(self.window_used + frame.length);
                let has_room = self.window_used < self.window_given;
                self.windows_used_up += usize::from(had_room && !has_room);
                None
            }
            (1 | 9, _) => {
                self.in_block = true;
                self.block_bytes =
                    frame.length + if frame.kind == 1 { 0 } else { self.block_bytes };
                if !self.server && self.block_bytes > BLOCK_LIMIT + 256 + 5 {
                    self.large_blocks.insert(frame.stream, self.block_bytes);
                }
                None
            }
            (3 | 5 | 7, _) => None,
            (4, _) => {
                self.settings |= !ack;
                self.settings_acked |= ack;
                self.settings_frames += 1;
                (self.settings_frames > 5).then_some("too_many_settings")
            }
            (6, false) => {
                let early = self.ping_came;
                self.ping_came = true;
                self.strikes += u32::from(self.server && early);
                let struck = self.strikes > STRIKES;
                if !struck {
                    let earned = self
                        .answered_at_ping
                        .is_some_and(|then| then < self.answered);
                    self.answered_at_ping = Some(self.answered);
                    self.pings += u32::from(!earned);
                }
                (struck || self.pings > 6).then_some("too_many_pings")
            }
            (8, _) => {
                self.window_updates += 1;
                let allowed = self.answered * 10 + self.data_bytes_sent / 4 + 9;
                (self.window_updates > allowed).then_some("too_many_window_updates")
            }
            _ => {
                self.idle_frames += 1;
                (self.idle_frames > 7).then_some("too_many_idle_frames")
            }
        };
        self.abuse = self.abuse.or(crossed);
    }

    fn received_whole(&mut self, frame: &Frame) {
        self.goaways += u32::from(frame.kind == 7);
        match frame.kind {
            // Nothing but padding, and its length.
            0 if frame.flags & 9 == 8 => {
                let padding = frame.payload.first().map(|length| usize::from(*length));
                let empty = padding == frame.length.checked_sub(1);
                self.empty_data_frames += u64::from(empty && frame.length > 0);
            }
            1 | 9 if frame.flags & 4 != 0 => self.in_block = false,
            4 => {
                let entries = frame.payload.chunks_exact(6).take(1_024 / 6);
                for entry in entries.filter(|entry| entry[..2] == [0, 6]) {
                    self.header_list_size = Some(usize::try_from(number(&entry[2..])).unwrap());
                }
            }
            7 if frame.length >= 8 => {
                let text = &frame.payload[8..frame.length.min(1_024)];
                let text = text.escape_ascii().to_string();
                self.goaway = Some((number(&frame.payload[4..8]), text));
            }
            _ => {}
        }
    }

    /// Whether the last GOAWAY whose end was in these bytes is h2's, and was in them from its beginning.
    fn sent(&mut self, bytes: &[u8]) -> bool {
        let begins_at = self.outbound.bytes.len();
        let mut goaway = false;
        for event in self.outbound.push(bytes) {
            match event {
                Event::Begins(frame) if frame.kind <= 1 => {
                    self.answered += 1;
                    self.strikes = 0;
                    self.ping_came = false;
                    if frame.kind == 0 {
                        self.data_bytes_sent += u64::try_from(frame.length).unwrap();
                    } else {
                        self.last_headers_stream = self.last_headers_stream.max(frame.stream);
                    }
                }
                Event::Begins(frame) if frame.kind == 4 => {
                    self.settings_obeyed += u64::from(frame.flags & 1 != 0);
                }
                Event::Ends(frame) if frame.kind == 3 && frame.length >= 4 => {
                    let code = number(&frame.payload[..4]);
                    self.resets_written += u64::from(![0, 8].contains(&code));
                    self.streams_refused += u64::from(code == 7);
                    self.forgotten += usize::from(code == 5);
                    if self.server && ![0, 5, 7, 8].contains(&code) {
                        self.faulty_streams += 1;
                        if self.faulty_streams > 4 {
                            self.abuse.get_or_insert("too_many_stream_errors");
                        }
                    }
                }
                Event::Ends(frame) if (frame.kind, frame.stream) == (8, 0) => {
                    if frame.length >= 4 {
                        let more = number(&frame.payload[..4]);
                        self.window_given += usize::try_from(more).unwrap();
                    }
                }
                Event::Ends(frame) if frame.kind == 7 => {
                    goaway = frame.length == 8 && frame.at >= begins_at;
                    self.goaways_sent += 1;
                    if frame.length >= 8 {
                        let code = number(&frame.payload[4..8]);
                        let fault = Some(code).filter(|code| *code != 0);
                        self.fatal_goaway = self.fatal_goaway.or(fault);
                    }
                }
                Event::Begins(_) | Event::Ends(_) => {}
            }
        }
        goaway
    }
}

fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// One direction, all of it kept.
#[derive(Default)]
struct Frames {
    skip: usize,
    bytes: Vec<u8>,
    /// Where the frame begins that is not whole.
    at: usize,
    /// Its head was told of.
    begun: bool,
}

enum Event {
    Begins(Frame),
    Ends(Frame),
}

struct Frame {
    at: usize,
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frames {
    fn after(skip: usize) -> Self {
        Self {
            skip,
            at: skip,
            ..Self::default()
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.bytes.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(frame) = frame_at(&self.bytes, self.at) {
            let end = self.at + 9 + frame.length;
            if !self.begun {
                self.begun = true;
                events.push(Event::Begins(frame));
                continue;
            }
            if self.bytes.len() < end {
                break;
            }
            self.at = end;
            self.begun = false;
            events.push(Event::Ends(frame));
        }
        events
    }
}

/// The frame whose head begins here, with so much of its payload as there is.
fn frame_at(bytes: &[u8], at: usize) -> Option<Frame> {
    let head = bytes.get(at..at + 9)?;
    let length = usize::try_from(number(&head[..3])).unwrap();
    let payload = &bytes[at + 9..];
    Some(Frame {
        at,
        length,
        kind: head[3],
        flags: head[4],
        stream: number(&head[5..]) & 0x7fff_ffff,
        payload: payload[..length.min(payload.len())].to_vec(),
    })
}

/// Checks that `sent` is `written` but for the words in some GOAWAY frames, and counts those.
fn without_words(sent: &[u8], written: &[u8], skip: usize) -> usize {
    let skip = skip.min(written.len());
    let (mut sent_at, mut at, mut count) = (skip, skip, 0);
    assert_eq!(sent.get(..skip), written.get(..skip));
    while let (Some(frame), Some(passed)) = (frame_at(written, at), frame_at(sent, sent_at)) {
        at += 9 + frame.length;
        sent_at += 9 + passed.length;
        let extra = passed.length - frame.length;
        if extra > 0 {
            assert_eq!((frame.kind, frame.length, extra), (7, 8, WORDS.len()));
            assert_eq!(passed.payload, [&frame.payload, WORDS.as_bytes()].concat());
            count += 1;
        } else {
            assert_eq!(passed.payload, frame.payload);
        }
        assert_eq!(
            (passed.kind, passed.flags, passed.stream),
            (frame.kind, frame.flags, frame.stream)
        );
    }
    assert_eq!(sent.get(sent_at..), written.get(at..));
    count
}

/// A socket that gives and takes so many bytes at once.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<Cable>>);

#[derive(Default)]
struct Cable {
    piece: usize,
    inbound: Vec<u8>,
    taken: usize,
    outbound: Vec<u8>,
}

impl Socket {
    fn lock(&self) -> MutexGuard<'_, Cable> {
        self.0.lock().unwrap()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut cable = self.lock();
        if cable.piece == 0 {
            return Poll::Pending;
        }
        let left = cable.inbound.len() - cable.taken;
        let length = left.min(cable.piece).min(into.remaining());
        into.put_slice(&cable.inbound[cable.taken..cable.taken + length]);
        cable.taken += length;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut cable = self.lock();
        if cable.piece == 0 {
            return Poll::Pending;
        }
        let length = bytes.len().min(cable.piece);
        cable.outbound.extend_from_slice(&bytes[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

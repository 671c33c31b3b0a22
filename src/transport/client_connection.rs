//! One connection of a client: opens streams in order, knows GOAWAY, drives HTTP/2.
//!
//! ```text
//!   preface, SETTINGS ─▶ the server's SETTINGS ─▶ ┌ streams, as many as the server takes ┐ ─▶ GOAWAY
//!                         READY from here on      └ PING when it is silent               ┘
//! ```
//!
//! Calls open streams from their own tasks. One task drives the connection: it reads and writes what
//! the calls leave in h2, and writes when it has done all it can, so that the frames of many calls
//! leave together.
//!
//! Calls wait for a slot in the order in which they came, and one that is given up leaves the queue.
//!
//! After GOAWAY no stream is opened here; those that the server still answers go on.
//!
//! Spec: RFC 9113 §3.4, §5.1.2, §6.7, §6.8; gRFC A8.

use std::borrow::Cow;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Io;
use super::client_config::ClientHttp2Config;
use super::counters::{Counter, Counters};
use super::frame_counts::{Abuse, GoAway};
use super::large_blocks::LargeBlocks;
use super::leaks::assert_none_left;
use super::meter::SharedMeter;
use super::peer::Peer;
use super::response_reader::ResponseReader;
use super::send::SendHalf;
use super::stream_slots::{Closed, StreamSlots};
use super::timer::{after, poll_timer};
use crate::spec::http2::{self, FRAME_HEAD_LENGTH, error as error_code, frame};
use crate::wire::header_size::request_header_list_size;
use crate::wire::{Status, WireError};

/// A connection on which calls can be made. Clones are the same connection; when the last one is
/// dropped, it is closed as soon as its streams have ended.
#[derive(Clone)]
pub(crate) struct ClientConnection(Arc<Handle>);

struct Handle {
    send_request: h2::client::SendRequest<Bytes>,
    state: Arc<ConnectionState>,
}

/// What the calls of a connection share with the task that drives it.
pub(crate) struct ConnectionState {
    peer: Peer,
    pub(super) config: Arc<ClientHttp2Config>,
    pub(crate) counters: Counters,
    /// Responses with more header fields than we take.
    large_blocks: LargeBlocks,
    slots: StreamSlots,
    accepting: AtomicBool,
    farewell: watch::Sender<Option<Farewell>>,
    /// Why the connection was cut, if the reason is ours.
    cut: OnceLock<String>,
    /// The largest header list that the server says it accepts; 0 is nothing.
    peer_header_limit: AtomicUsize,
    /// The last stream whose headers h2 has written.
    last_written: AtomicU32,
    /// Nobody can open streams any more.
    released: AtomicBool,
    /// A response has begun.
    has_answered: AtomicBool,
    speakers: Mutex<Speakers>,
    /// Counts the turns of the connection's task.
    turn: AtomicU64,
}

/// Why a connection takes no more streams.
#[derive(Clone, Debug)]
pub(crate) struct Farewell {
    /// In words.
    pub(crate) why: Cow<'static, str>,
    /// The words are those of the server's GOAWAY.
    pub(crate) goaway: bool,
    /// The connection is gone, and its streams with it.
    pub(crate) lost: bool,
}

/// A call that has left it to its connection to send what it said.
pub(crate) trait Speaker: Send + Sync {
    /// Sends it, as far as there is room.
    fn speak(&self);
}

/// The calls that have.
struct Speakers {
    /// `None` once the connection is gone.
    queued: Option<Vec<Weak<dyn Speaker>>>,
    /// The connection's task.
    driver: Waker,
}

/// How busy a connection is, in streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Open now.
    pub(crate) open: usize,
    /// That the server takes at once.
    pub(crate) limit: usize,
    /// Calls that wait for one.
    pub(crate) waiting: usize,
}

/// The right to open one stream. Given back when it is dropped.
pub(crate) struct Slot(Arc<ConnectionState>);

/// A stream that was opened: the request can be sent, the response be read.
pub(crate) struct ClientStream {
    pub(crate) send: SendHalf,
    pub(crate) reader: ResponseReader,
}

/// Why a stream was not opened. Nothing was sent.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// The connection takes no more: another one may.
    Elsewhere,
    /// The request itself cannot be sent.
    Refused(Status),
}

/// Why a connection did not come to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The server answered in another language.
    #[error("{0}")]
    NotHttp2(NotHttp2),
    /// The server sent it away before it had begun.
    #[error("{0}")]
    GoAway(Cow<'static, str>),
    /// The same, and without a fault of anybody's: the server drains.
    #[error("{0}")]
    Drained(Cow<'static, str>),
    /// HTTP/2 was broken.
    #[error("{0}")]
    Http2(#[from] h2::Error),
    /// It was, where h2 does not look: [`ENABLES_PUSH`].
    #[error("the server sent {}", ENABLES_PUSH.text)]
    EnablesPush,
    /// The socket was.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What a server that does not speak HTTP/2 began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotHttp2 {
    /// Nothing: it closed the connection.
    Closed,
    /// Nothing: it reset the connection, which is how TCP closes one with unread bytes.
    Reset,
    /// A response of HTTP/1.
    Http1,
    /// A TLS record.
    Tls,
    /// Anything else.
    Junk,
}

/// Streams that may be open before the server has said how many it takes.
const STREAMS_BEFORE_SETTINGS: usize = 100;

impl ClientConnection {
    /// Speaks HTTP/2 on a byte stream, and waits for the server's SETTINGS. The task that drives the
    /// connection ends with it: when the peer closes it, when it fails, or when all clones are dropped
    /// and all streams have ended.
    ///
    /// # Errors
    ///
    /// The peer does not speak HTTP/2, or the stream broke.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the byte stream.
    pub(crate) async fn open(
        io: Io,
        peer: Peer,
        config: Arc<ClientHttp2Config>,
        counters: Counters,
    ) -> Result<Self, OpenError> {
        let large_blocks = LargeBlocks::default();
        let limits = config.frame_limits(large_blocks.clone());
        let meter = SharedMeter::client(io, limits, counters.clone());
        let (send_request, mut h2) = h2::client::Builder::new()
            // gRPC never uses it.
            .enable_push(false)
            // No call begins before the server's SETTINGS are there, which say how many there may be.
            .initial_max_send_streams(STREAMS_BEFORE_SETTINGS)
            .initial_window_size(config.stream_window)
            .initial_connection_window_size(config.connection_window)
            .max_frame_size(config.max_frame_size)
            .max_header_list_size(config.max_header_list_size)
            .max_send_buffer_size(config.stream_send_buffer)
            .data_frame_budget(config.data_frame_budget)
            .max_concurrent_reset_streams(config.max_concurrent_reset_streams)
            .reset_stream_duration(config.reset_stream_duration)
            .max_local_error_reset_streams(Some(config.max_local_error_reset_streams))
            .handshake::<_, Bytes>(meter.clone())
            .await?;
        // A server may wait for all of our preface before it speaks, and SETTINGS are a part of that. h2
        // writes them when it is polled, which is too early to read.
        meter.lock().hold_reads(true);
        let _ = poll_fn(|cx| Poll::Ready(Pin::new(&mut h2).poll(cx))).await;
        meter.lock().hold_reads(false);
        poll_fn(|cx| poll_first_bytes(&meter, cx)).await?;
        poll_fn(|cx| {
            if let Poll::Ready(end) = Pin::new(&mut h2).poll(cx) {
                // h2 keeps what was said to itself, and takes a GOAWAY without streams for an end.
                if let Some(goaway) = &meter.lock().counts().goaway {
                    let why = Farewell::of(goaway).why;
                    return Poll::Ready(Err(match goaway.code {
                        error_code::NO_ERROR => OpenError::Drained(why),
                        _ => OpenError::GoAway(why),
                    }));
                }
                return Poll::Ready(end.map_err(OpenError::from).and(Err(closed().into())));
            }
            let mut meter = meter.lock();
            // A socket that takes no more now is seen again with the next frame.
            if let Poll::Ready(Err(error)) = meter.poll_drain(cx) {
                return Poll::Ready(Err(error.into()));
            }
            if meter.counts().enables_push {
                return Poll::Ready(Err(OpenError::EnablesPush));
            }
            if meter.counts().settings_obeyed > 0 {
                return Poll::Ready(Ok(()));
            }
            Poll::Pending
        })
        .await?;
        let state = Arc::new(ConnectionState::new(peer, config, counters, large_blocks));
        let mut driver = Driver::new(h2, meter, Arc::clone(&state));
        driver.follow_settings();
        tokio::spawn(driver.run());
        Ok(Self(Arc::new(Handle {
            send_request,
            state,
        })))
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.0.state.peer
    }

    /// Whether new streams are welcome.
    pub(crate) fn is_accepting(&self) -> bool {
        self.0.state.accepting.load(Ordering::Acquire)
    }

    /// Resolves when no more streams are welcome, and says why.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn stops_accepting(&self) -> Farewell {
        let mut farewell = self.0.state.farewell.subscribe();
        let said = farewell.wait_for(Option::is_some).await;
        // The sender lives in the state, which `self` holds.
        said.ok()
            .and_then(|said| said.clone())
            .unwrap_or_else(|| Farewell::because("the connection was dropped"))
    }

    /// Whether the server has answered a call on it.
    pub(crate) fn has_answered(&self) -> bool {
        self.0.state.has_answered.load(Ordering::Relaxed)
    }

    /// How busy it is.
    pub(crate) fn load(&self) -> Load {
        self.0.state.slots.load()
    }

    /// Resolves when a call waits for a slot.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn waiting_for_stream(&self) {
        self.0.state.slots.are_wanted().await;
    }

    /// The right to open a stream, if there is one without waiting.
    pub(crate) fn try_slot(&self) -> Option<Slot> {
        let state = &self.0.state;
        state.slots.try_take().then(|| Slot(Arc::clone(state)))
    }

    /// The right to open a stream. First come, first served.
    ///
    /// # Errors
    ///
    /// [`NotOpened::Elsewhere`] if the connection takes no more.
    ///
    /// # Cancel safety
    ///
    /// Safe: whoever gives up leaves the queue.
    pub(crate) async fn slot(&self) -> Result<Slot, NotOpened> {
        let state = &self.0.state;
        match state.slots.take().await {
            Ok(()) => Ok(Slot(Arc::clone(state))),
            Err(Closed) => Err(NotOpened::Elsewhere),
        }
    }

    /// Opens a stream with these headers. They leave with what is sent next, or by themselves.
    ///
    /// # Errors
    ///
    /// Nothing was sent, for either of the reasons.
    pub(crate) fn open_stream(
        &self,
        slot: Slot,
        request: http::Request<()>,
    ) -> Result<ClientStream, NotOpened> {
        let state = &self.0.state;
        state.check_size(&request)?;
        if !self.is_accepting() {
            return Err(NotOpened::Elsewhere);
        }
        // h2 counts a stream that was reset until the reset has left. A request that finds no room
        // for that reason waits inside h2, and the handle that made it takes no other meanwhile.
        let opened = self.0.send_request.clone().send_request(request, false);
        let (response, stream) = opened.map_err(|error| state.not_opened(&error))?;
        let id = u32::from(response.stream_id());
        if id >= state.config.stream_id_limit {
            state.counters.count(Counter::StreamIdLimit);
            state.say_farewell(Farewell::because(
                "the connection has used up its stream ids",
            ));
        }
        Ok(ClientStream {
            send: SendHalf::new(stream, None),
            reader: ResponseReader::new(response, id, Arc::clone(state), slot),
        })
    }
}

impl fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConnection")
            .field("peer", self.peer())
            .field("load", &self.load())
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Before the handle of h2 is dropped, which wakes the driver.
        self.state.released.store(true, Ordering::Release);
    }
}

impl Drop for ConnectionState {
    fn drop(&mut self) {
        // No call is left that could have a stream.
        assert_none_left(self.slots.open(), "slots of streams");
    }
}

impl ConnectionState {
    fn new(
        peer: Peer,
        config: Arc<ClientHttp2Config>,
        counters: Counters,
        large_blocks: LargeBlocks,
    ) -> Self {
        Self {
            peer,
            config,
            counters,
            large_blocks,
            slots: StreamSlots::new(),
            accepting: AtomicBool::new(true),
            farewell: watch::Sender::new(None),
            cut: OnceLock::new(),
            peer_header_limit: AtomicUsize::new(0),
            last_written: AtomicU32::new(0),
            released: AtomicBool::new(false),
            has_answered: AtomicBool::new(false),
            speakers: Mutex::new(Speakers {
                queued: Some(Vec::new()),
                driver: Waker::noop().clone(),
            }),
            turn: AtomicU64::new(0),
        }
    }

    /// Has this call speak in the connection's next turn, with all others that want to. Says whether
    /// there will be one.
    pub(crate) fn send_soon(&self, speaker: Weak<dyn Speaker>) -> bool {
        let mut speakers = self.speakers();
        let Some(queued) = &mut speakers.queued else {
            return false;
        };
        queued.push(speaker);
        if queued.len() == 1 {
            speakers.driver.wake_by_ref();
        }
        true
    }

    /// The connection's turn. What is handed over in the same turn leaves in the same one.
    pub(crate) fn turn(&self) -> u64 {
        self.turn.load(Ordering::Relaxed)
    }

    fn speakers(&self) -> MutexGuard<'_, Speakers> {
        self.speakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has those speak who want to, for the connection's task to send what they say.
    fn let_speak(&self, cx: &Context<'_>) {
        self.turn.fetch_add(1, Ordering::Relaxed);
        let queued = {
            let mut speakers = self.speakers();
            if !speakers.driver.will_wake(cx.waker()) {
                speakers.driver.clone_from(cx.waker());
            }
            match &mut speakers.queued {
                Some(queued) if !queued.is_empty() => std::mem::take(queued),
                Some(_) | None => return,
            }
        };
        // Outside of the lock: they may well want to speak again.
        for speaker in queued.iter().filter_map(Weak::upgrade) {
            speaker.speak();
        }
    }

    /// The connection is gone. Who wants to speak finds that out.
    fn silence(&self) {
        let queued = self.speakers().queued.take();
        for speaker in queued.iter().flatten().filter_map(Weak::upgrade) {
            speaker.speak();
        }
    }

    /// A response has begun.
    pub(super) fn answered(&self) {
        // Looked at first, so that streams on many cores do not fight for the same line of memory.
        if !self.has_answered.load(Ordering::Relaxed) {
            self.has_answered.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(super) fn stream_window(&self) -> usize {
        usize::try_from(self.config.stream_window).unwrap_or(usize::MAX)
    }

    /// What is wrong with a header block that h2 has cut or refused, if there was one on this stream.
    pub(super) fn header_list_too_large(&self, stream: u32) -> Option<WireError> {
        let size = self.large_blocks.take(stream)?;
        let limit = self.config.max_metadata_size;
        self.counters.count(Counter::MaxMetadataSize);
        Some(WireError::HeaderListTooLarge { size, limit })
    }

    /// Why the streams of this connection ended, which h2 reports as `error`.
    pub(super) fn why_it_ended(&self, error: &h2::Error) -> String {
        if let Some(cut) = self.cut.get() {
            return cut.clone();
        }
        match &*self.farewell.borrow() {
            Some(farewell) => farewell.why.clone().into_owned(),
            None => text_of(error),
        }
    }

    /// Whether the headers of this stream are still inside h2, which will never write them now. Asked of
    /// streams that have failed.
    pub(super) fn never_wrote(&self, stream: u32) -> bool {
        // The driver may be about to tell of the last ones. Those count as not written, which does no
        // harm: the server has said that it did not take them.
        stream > self.last_written.load(Ordering::Relaxed)
    }

    /// No more streams from here on; whoever waits for a slot looks elsewhere.
    fn say_farewell(&self, farewell: Farewell) {
        self.stop_accepting();
        self.farewell.send_if_modified(|said| match said {
            Some(before) if before.lost => false,
            // Streams that outlived the first words end for the reason of the last.
            Some(before) if farewell.goaway => {
                before.why = farewell.why;
                before.goaway = true;
                true
            }
            // That it takes no more was said; that it is gone is news.
            Some(_) if !farewell.lost => false,
            Some(before) => {
                // GOAWAY tells more than how the socket was closed after it.
                if !before.goaway {
                    before.why = farewell.why;
                }
                before.lost = true;
                true
            }
            None => {
                *said = Some(farewell);
                true
            }
        });
    }

    fn stop_accepting(&self) {
        self.accepting.store(false, Ordering::Release);
        self.slots.close();
    }

    fn check_size(&self, request: &http::Request<()>) -> Result<(), NotOpened> {
        let limit = self.peer_header_limit.load(Ordering::Relaxed);
        if limit == 0 {
            return Ok(());
        }
        let size = request_header_list_size(request.method(), request.uri(), request.headers());
        if size > limit {
            self.counters.count(Counter::PeerHeaderListSize);
            let error = WireError::HeaderListTooLarge { size, limit };
            let text = format!("{error} that {} announced", self.peer);
            return Err(NotOpened::Refused(
                Status::new(error.code(), text).unprocessed(),
            ));
        }
        Ok(())
    }

    /// What it means that h2 did not open a stream.
    fn not_opened(&self, error: &h2::Error) -> NotOpened {
        if error.is_go_away() && error.is_remote() {
            // h2 knows before the driver does, and nobody should ask again until that says why.
            self.stop_accepting();
            return NotOpened::Elsewhere;
        }
        if error.is_go_away() || error.is_io() || error.is_reset() {
            // The driver says so when h2 has taken leave, which lasts as long as the server likes.
            self.say_farewell(Farewell::because(text_of(error)));
            return NotOpened::Elsewhere;
        }
        // h2's own complaint about the request, or stream ids that ran out.
        let text = format!("the request cannot be sent: {error}");
        NotOpened::Refused(Status::internal(text).unprocessed())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.slots.give_back();
    }
}

impl Farewell {
    /// The connection is of no use any more, though it is still there.
    fn because(why: impl Into<Cow<'static, str>>) -> Self {
        Self {
            why: why.into(),
            goaway: false,
            lost: false,
        }
    }

    fn of(goaway: &GoAway) -> Self {
        let GoAway { code, text } = goaway;
        let name = http2::error_name(*code).map_or_else(|| format!("{code:#x}"), str::to_owned);
        let why = if text.is_empty() {
            format!("the server said GOAWAY({name})")
        } else {
            format!("the server said GOAWAY({name}, \"{text}\")")
        };
        Self {
            why: why.into(),
            goaway: true,
            lost: false,
        }
    }
}

/// What a GOAWAY says to a client that asks too often whether its server is alive. gRFC A8.
const TOO_MANY_PINGS: &str = "too_many_pings";

/// Servers must not say that they take promises of streams, and h2 does not look. RFC 9113 §6.5.2.
const ENABLES_PUSH: Abuse = Abuse::new("ENABLE_PUSH of 1", Counter::Http2Errors);

/// Drives one connection until it ends.
struct Driver {
    h2: h2::client::Connection<SharedMeter, Bytes>,
    pings: Option<h2::PingPong>,
    meter: SharedMeter,
    state: Arc<ConnectionState>,
    /// How many SETTINGS of the server we have looked at since h2 obeyed them.
    settings_followed: u64,
    goaway_heard: Option<GoAway>,
    /// No more streams are opened, since h2 will not bear many more.
    is_worn: bool,
    /// The server said that we ask too often whether it is alive.
    has_complained: bool,
    ping_sent_at: Option<Instant>,
    /// Nothing is left to do but to say GOAWAY.
    closing_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Frames wait one turn of the other tasks, so that theirs leave in the same write.
    flush_next_turn: bool,
}

impl Driver {
    fn new(
        mut h2: h2::client::Connection<SharedMeter, Bytes>,
        meter: SharedMeter,
        state: Arc<ConnectionState>,
    ) -> Self {
        Self {
            pings: h2.ping_pong(),
            h2,
            meter,
            state,
            settings_followed: 0,
            goaway_heard: None,
            is_worn: false,
            has_complained: false,
            ping_sent_at: None,
            closing_since: None,
            timer: None,
            flush_next_turn: false,
        }
    }

    async fn run(mut self) {
        let end = poll_fn(|cx| self.poll(cx)).await;
        let why = match end {
            Ok(()) => Cow::Borrowed("the server closed the connection"),
            Err(why) => {
                tracing::debug!(peer = %self.state.peer, %why, "connection lost");
                Cow::Owned(why)
            }
        };
        self.state.say_farewell(Farewell {
            why,
            goaway: false,
            lost: true,
        });
        // Dropping h2 ends the streams that are left, which ask the state for the reason.
        let Self { h2, state, .. } = self;
        drop(h2);
        state.silence();
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        self.state.let_speak(cx);
        loop {
            if let Poll::Ready(end) = Pin::new(&mut self.h2).poll(cx) {
                self.listen();
                if let Err(error) = &end
                    && let Some(code) = error.reason().filter(|_| error.is_library())
                {
                    self.state.counters.count(Counter::of_fault(code));
                }
                return Poll::Ready(end.map_err(|error| text_of(&error)));
            }
            if let Some(Abuse { text: why, counter }) = self.listen() {
                self.state.counters.count(counter);
                return Poll::Ready(Err(self.cut(format!("the server sent {why}"))));
            }
            match self.poll_timers(cx) {
                Ok(true) => {}
                Ok(false) => break,
                Err(why) => return Poll::Ready(Err(self.cut(why))),
            }
        }
        self.poll_flush(cx)
    }

    fn cut(&self, why: String) -> String {
        // Set once: the first reason is the reason.
        self.state.cut.get_or_init(|| why).clone()
    }

    /// Looks at what the server said about the connection.
    fn listen(&mut self) -> Option<Abuse> {
        let (settings, goaway, worn_by, abuse) = {
            let meter = self.meter.lock();
            let counts = meter.counts();
            self.state
                .last_written
                .store(counts.last_headers_stream, Ordering::Relaxed);
            let goaway = counts
                .goaway
                .as_ref()
                .filter(|now| match &self.goaway_heard {
                    None => true,
                    // Who repeats it to say how far it got gives no new reason. RFC 9113 §6.8.
                    Some(before) => *now != before && now.code != error_code::NO_ERROR,
                });
            (
                counts.settings_obeyed,
                goaway.cloned(),
                counts.worn_by(),
                counts.enables_push.then_some(ENABLES_PUSH).or(counts.abuse),
            )
        };
        if settings != self.settings_followed {
            self.follow_settings();
        }
        if let Some(goaway) = goaway {
            self.hear_of_pings(&goaway);
            self.state.say_farewell(Farewell::of(&goaway));
            self.goaway_heard = Some(goaway);
        }
        if let Some(counter) = worn_by.filter(|_| !self.is_worn) {
            self.is_worn = true;
            self.state.counters.count(counter);
            self.state
                .say_farewell(Farewell::because("the connection is worn out"));
        }
        abuse
    }

    /// Counts a server that says we ask too often whether it is alive, be it with its first GOAWAY or a
    /// later one: the channel's next connections ask half as often. gRFC A8.
    fn hear_of_pings(&mut self, goaway: &GoAway) {
        let complains = goaway.code == error_code::ENHANCE_YOUR_CALM
            && goaway.text.contains(TOO_MANY_PINGS)
            && !self.has_complained;
        if complains {
            self.has_complained = true;
            self.state.counters.count(Counter::TooManyPings);
            tracing::warn!(peer = %self.state.peer, "the server said GOAWAY: too many pings");
        }
    }

    fn follow_settings(&mut self) {
        let header_limit = {
            let meter = self.meter.lock();
            let counts = meter.counts();
            self.settings_followed = counts.settings_obeyed;
            counts.peer_max_header_list_size
        };
        let own = usize::try_from(self.state.config.max_concurrent_streams).unwrap_or(usize::MAX);
        self.state
            .slots
            .set_limit(self.h2.max_concurrent_send_streams().min(own));
        self.state
            .peer_header_limit
            .store(header_limit.unwrap_or(0), Ordering::Relaxed);
    }

    /// Acts on what has run out of time. Says whether h2 has new work.
    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Result<bool, String> {
        let now = Instant::now;
        let open = self.state.slots.open();
        if self.state.released.load(Ordering::Acquire) && open == 0 {
            // A server that does not take our GOAWAY is not waited for.
            let since = *self.closing_since.get_or_insert_with(now);
            let over = after(since, self.state.config.goaway_linger);
            if self.poll_until(over, cx).is_ready() {
                self.state.counters.count(Counter::GoawayLinger);
                return Err("the server does not take our GOAWAY".to_owned());
            }
            return Ok(false);
        }
        let Some(keepalive) = self.state.config.keepalive() else {
            return Ok(false);
        };
        let last_read_at = self.meter.lock().counts().last_read_at;
        let timeout = self.state.config.keepalive_timeout;
        // The answer may come in the moment of the PING, on a clock that is coarse or stands still. What
        // came before the PING is older than that.
        if let Some(sent_at) = self.ping_sent_at.filter(|sent_at| last_read_at < *sent_at) {
            return match self.poll_until(after(sent_at, timeout), cx) {
                Poll::Ready(()) => {
                    self.state.counters.count(Counter::KeepaliveTimeout);
                    Err(format!(
                        "keepalive: the server did not answer a PING within {timeout:?}"
                    ))
                }
                Poll::Pending => Ok(false),
            };
        }
        self.ping_sent_at = None;
        if open == 0 && !self.state.config.keepalive_without_calls {
            return Ok(false);
        }
        if self
            .poll_until(after(last_read_at, keepalive), cx)
            .is_pending()
        {
            return Ok(false);
        }
        self.ping_sent_at = Some(now());
        Ok(self.send_ping())
    }

    fn poll_until(&mut self, moment: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(moment)));
        if timer.deadline() != moment {
            timer.as_mut().reset(moment);
        }
        poll_timer(timer.as_mut(), cx)
    }

    fn send_ping(&mut self) -> bool {
        let Some(pings) = &mut self.pings else {
            return false;
        };
        // The answer itself is not awaited: any byte of the server will do. Asking for it makes room
        // for the next PING.
        let mut cx = Context::from_waker(Waker::noop());
        let _ = pings.poll_pong(&mut cx);
        pings.send_ping(h2::Ping::opaque()).is_ok()
    }

    // The task runs as soon as one call has something to send. If others are at work, it goes behind
    // them once, so that one write takes the frames of all.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let open = self.state.slots.open();
        let mut meter = self.meter.lock();
        if meter.has_joined() && open > 1 && !self.flush_next_turn {
            self.flush_next_turn = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.flush_next_turn = false;
        // Pending is woken when the socket takes more; until then h2 may go on.
        if let Poll::Ready(Err(error)) = meter.poll_drain(cx) {
            return Poll::Ready(Err(error.to_string()));
        }
        if open == 0 {
            meter.release_buffers();
        }
        Poll::Pending
    }
}

fn text_of(error: &h2::Error) -> String {
    error
        .get_io()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

fn closed() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the server closed the connection before its SETTINGS came",
    )
}

/// Sends what is joined and looks at how the server begins: its first frame is SETTINGS.
fn poll_first_bytes(meter: &SharedMeter, cx: &mut Context<'_>) -> Poll<Result<(), OpenError>> {
    let mut meter = meter.lock();
    if let Poll::Ready(Err(error)) = meter.poll_drain(cx) {
        // What the server said before it went may tell more than that it went.
        tracing::trace!(%error, "the server takes no more");
    }
    match meter.poll_peek(cx, FRAME_HEAD_LENGTH) {
        Poll::Ready(Ok(bytes)) => Poll::Ready(NotHttp2::check(bytes).map_err(OpenError::NotHttp2)),
        // An error with words of its own, as those of TLS, says more.
        Poll::Ready(Err(error))
            if error.kind() == io::ErrorKind::ConnectionReset && error.get_ref().is_none() =>
        {
            Poll::Ready(Err(OpenError::NotHttp2(NotHttp2::Reset)))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
        Poll::Pending => Poll::Pending,
    }
}

impl NotHttp2 {
    fn check(bytes: &[u8]) -> Result<(), Self> {
        match bytes {
            [_, _, _, frame::SETTINGS, flags, 0, 0, 0, 0, ..] if flags & http2::flag::ACK == 0 => {
                Ok(())
            }
            [] => Err(Self::Closed),
            // A TLS record: an alert or a part of a handshake, major version 3. RFC 8446 §5.1.
            [0x15 | 0x16, 0x03, ..] => Err(Self::Tls),
            bytes if bytes.starts_with(b"HTTP/1") => Err(Self::Http1),
            // GOAWAY may be all that a server has to say; h2 reads it.
            [_, _, _, frame::GOAWAY, _, 0, 0, 0, 0, ..] => Ok(()),
            _ => Err(Self::Junk),
        }
    }

    /// What helps.
    pub(crate) fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Closed | Self::Reset | Self::Junk => None,
            Self::Http1 => Some("gRPC needs HTTP/2; is this the port of a gRPC server?"),
            Self::Tls => Some("connect with https:// instead"),
        }
    }
}

impl fmt::Display for NotHttp2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the peer closed the connection before it said anything",
            Self::Reset => "the peer reset the connection before it said anything",
            Self::Http1 => "the peer answered HTTP/1.1",
            Self::Tls => "the peer speaks TLS",
            Self::Junk => "the peer's first bytes are not an HTTP/2 SETTINGS frame",
        })
    }
}

//! One connection of a server, from its preface to its end.
//!
//! ```text
//!   preface ─▶ SETTINGS ─▶ ┌ accept streams, poll each new call once ┐ ─▶ GOAWAY ─▶ linger ─▶ closed
//!                          └ flush when nothing more can be done     ┘
//! ```
//!
//! One task drives a connection. It accepts streams and polls each new call where it stands; a call
//! that waits becomes a task of its own. Frames that calls leave in h2 go out in one write when the
//! task has done all it can.
//!
//! h2 has no timers. Those of a connection are in `timers`: how long it may be silent at the start,
//! when to ask whether the peer is alive, when it is too old or too long unused, and how long a
//! farewell may take.
//!
//! Spec: RFC 9113 §3.4, §5.4, §6.8.

mod timers;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_util::sync::ReusableBoxFuture;

use super::Io;
use super::config::{FirstPoll, Http2Config};
use super::connection_shared::{ConnectionShared, Order};
use super::counters::Counter;
use super::frame_counts::Abuse;
use super::meter::SharedMeter;
use super::open_connections::Listed;
use super::peer::Peer;
use super::phase::{Phase, PhaseWatch};
use super::preface::{NotHttp2, expect_preface};
use super::server_stream::{ServerStream, Slot};
use super::server_transport::ServerTransport;
use super::timer::after;
use super::turn::Turn;
use timers::jittered;

/// After so many new calls their answers are flushed, though more calls wait.
const CALLS_PER_FLUSH: u32 = 32;
/// After so many new calls other tasks get their turn,
const CALLS_PER_TURN: u32 = 256;
/// and after so long: requests may be small on the wire and a lot of work.
const TURN_TIME: Duration = Duration::from_millis(1);
/// How much is read and dropped after our last GOAWAY, besides the time that `goaway_linger` gives.
const LINGER_BYTES: usize = 256 * 1024;

/// What a call is, to a connection: something to poll until it has ended. Its memory serves one call
/// after another, until one waits and takes it along.
pub(crate) type CallFuture = ReusableBoxFuture<'static, ()>;
/// Makes a call of a stream.
pub(crate) type StartCall = Arc<dyn Fn(ServerStream, &mut CallFuture) + Send + Sync>;

/// Why a connection ended, for the log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// It did not begin as HTTP/2.
    #[error("{0}")]
    NotHttp2(NotHttp2),
    /// It said too little in the time it had.
    #[error("no HTTP/2 preface within {0:?}")]
    NoPreface(Duration),
    /// HTTP/2 was broken, or the socket.
    #[error("{0}")]
    Http2(#[from] h2::Error),
    /// The socket was.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Serves one connection until it ends.
///
/// # Errors
///
/// Whatever ended it before its time. There is nothing to do about it but to log it.
pub(crate) async fn serve_connection(
    io: Io,
    peer: Peer,
    server: Arc<ServerTransport>,
    phase: PhaseWatch,
    start: StartCall,
) -> Result<(), ConnectionError> {
    let opened_at = Instant::now();
    let config = Arc::clone(&server.config);
    let meter = SharedMeter::server(io, config.frame_limits(), server.counters.clone());
    // Boxed, so that a connection does not keep the room for its beginning.
    let opening = Box::pin(timeout(config.preface_timeout, open(&meter, &config)));
    let h2 = match phase.clone().until_cut(opening).await {
        Some(Ok(Ok(h2))) => h2,
        Some(Ok(Err(error))) => {
            if let ConnectionError::NotHttp2(what) = error {
                server.is_not_http2(&peer, what);
            }
            linger(&meter, &config).await;
            return Err(error);
        }
        Some(Err(_)) => {
            server.counters.count(Counter::PrefaceTimeout);
            return Err(ConnectionError::NoPreface(config.preface_timeout));
        }
        // A peer that has not begun loses nothing.
        None => return Ok(()),
    };
    let connection =
        ServerConnection::new(h2, meter.clone(), peer, server, phase, start, opened_at);
    let mut connection = Box::new(connection);
    let listed = connection.list();
    let end = poll_fn(|cx| connection.poll(cx)).await;
    drop(listed);
    if let Err(ConnectionError::Http2(error)) = &end
        && let Some(code) = error.reason().filter(|_| error.is_library())
        && connection.closing_since.is_none()
    {
        connection.shared.count(Counter::of_fault(code));
    }
    drop(connection);
    linger(&meter, &config).await;
    end
}

async fn open(
    meter: &SharedMeter,
    config: &Http2Config,
) -> Result<h2::server::Connection<SharedMeter, Bytes>, ConnectionError> {
    expect_preface(meter)
        .await?
        .map_err(ConnectionError::NotHttp2)?;
    let mut handshake = std::pin::pin!(
        h2::server::Builder::new()
            .max_concurrent_streams(config.max_concurrent_streams)
            .initial_window_size(config.stream_window)
            .initial_connection_window_size(config.connection_window)
            .max_frame_size(config.max_frame_size)
            .max_header_list_size(config.max_header_list_size)
            .max_send_buffer_size(config.stream_send_buffer)
            .data_frame_budget(config.data_frame_budget)
            .max_concurrent_reset_streams(config.max_concurrent_reset_streams)
            .reset_stream_duration(config.reset_stream_duration)
            .max_local_error_reset_streams(Some(config.max_local_error_reset_streams))
            // A client may open all its streams and cancel them again in one breath. More than that, and
            // h2 says GOAWAY(ENHANCE_YOUR_CALM).
            .max_pending_accept_reset_streams(
                usize::try_from(config.max_concurrent_streams).unwrap_or(usize::MAX),
            )
            .handshake::<_, Bytes>(meter.clone())
    );
    let h2 = poll_fn(|cx| {
        let opened = handshake.as_mut().poll(cx);
        // Our SETTINGS wait in the meter. A socket that is not ready for them is no reason to wait.
        let _ = meter.lock().poll_drain(cx)?;
        opened.map_err(ConnectionError::from)
    })
    .await?;
    Ok(h2)
}

/// Ends our direction and reads what still comes for a moment: a socket that is closed with bytes
/// unread resets the connection, and the reset overtakes our last words.
async fn linger(meter: &SharedMeter, config: &Http2Config) {
    let farewell = async {
        poll_fn(|cx| meter.lock().poll_close(cx)).await?;
        poll_fn(|cx| meter.lock().poll_discard(cx, LINGER_BYTES)).await;
        io::Result::Ok(())
    };
    // The peer may have been faster, or may not listen at all.
    let _ = timeout(config.goaway_linger, farewell).await;
}

struct ServerConnection {
    h2: h2::server::Connection<SharedMeter, Bytes>,
    pings: Option<h2::PingPong>,
    meter: SharedMeter,
    turn: Turn,
    shared: Arc<ConnectionShared>,
    start: StartCall,
    /// The call that was accepted last.
    call: CallFuture,
    /// Wakes this task when the server's phase changes.
    phase_changed: PhaseChange,
    timer: Pin<Box<Sleep>>,
    timer_polled: bool,
    opened_at: Instant,
    age_limit: Option<Instant>,
    idle_since: Option<Instant>,
    /// Since when unread requests have used up the window.
    full_since: Option<Instant>,
    /// Nothing is read, since all connections together hold too much.
    paused: bool,
    /// Bytes of replies that h2 had in hand when it last wrote all it could.
    in_hand: usize,
    /// Bytes of DATA that had been written when that was last looked at.
    data_sent: u64,
    ping_sent_at: Option<Instant>,
    drain: Option<Drain>,
    /// The last word was said then; h2 only flushes.
    closing_since: Option<Instant>,
    /// And the peer has had the time to take it.
    farewell_over: bool,
    /// Frames wait one turn of the other tasks, so that theirs leave in the same write.
    flush_next_turn: bool,
    /// Streams that had been refused when that was last counted.
    refused_before: u64,
}

/// A farewell that gives calls time to end.
struct Drain {
    began_at: Instant,
    /// When what is left is cut, if there is a limit besides the server's own.
    cut_at: Option<Instant>,
    /// New streams are refused: the peer did not answer the PING that marks the last of them.
    refusing: bool,
}

impl ServerConnection {
    fn new(
        mut h2: h2::server::Connection<SharedMeter, Bytes>,
        meter: SharedMeter,
        peer: Peer,
        server: Arc<ServerTransport>,
        phase: PhaseWatch,
        start: StartCall,
        opened_at: Instant,
    ) -> Self {
        let age_limit = server
            .config
            .max_connection_age
            .map(|age| after(opened_at, jittered(age)));
        let pings = h2.ping_pong();
        Self {
            h2,
            pings,
            meter,
            turn: Turn::new(),
            start,
            call: no_call(),
            phase_changed: Box::pin(phase.clone().next()),
            shared: Arc::new(ConnectionShared::new(peer, server, phase, opened_at)),
            timer: Box::pin(sleep_until(opened_at)),
            timer_polled: false,
            opened_at,
            age_limit,
            idle_since: Some(opened_at),
            full_since: None,
            paused: false,
            in_hand: 0,
            data_sent: 0,
            ping_sent_at: None,
            drain: None,
            closing_since: None,
            farewell_over: false,
            flush_next_turn: false,
            refused_before: 0,
        }
    }

    /// Has it known among the connections of the server.
    fn list(&self) -> Listed {
        let shared = Arc::clone(&self.shared);
        self.shared.server.open.add(shared, self.meter.clone())
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        let in_new_task = self.turn.begin(cx);
        if in_new_task {
            self.shared.driven_by(cx);
            self.timer_polled = false;
        }
        if in_new_task || self.shared.phase.has_moved() {
            self.follow_phase(cx);
        }
        let waker = self.turn.waker();
        let polled = self.poll_turn(cx, &mut Context::from_waker(&waker));
        self.turn.end();
        polled
    }

    /// Does all that can be done. h2 is polled with a waker of its own; the rest wakes the task itself.
    fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        turn: &mut Context<'_>,
    ) -> Poll<Result<(), ConnectionError>> {
        loop {
            if let Poll::Ready(end) = self.poll_calls(cx, turn) {
                return Poll::Ready(end.map_err(ConnectionError::from));
            }
            // A limit crossed or a time run out may have given h2 new work: a GOAWAY, a PING.
            let judged = self.closing_since.is_none() && self.judge();
            if !judged && !self.poll_timer(cx) {
                break;
            }
        }
        if self.farewell_over {
            return Poll::Ready(Ok(()));
        }
        self.poll_flush(cx)
    }

    /// Accepts what streams there are, and lets h2 read, answer and write frames on the way.
    fn poll_calls(
        &mut self,
        cx: &mut Context<'_>,
        turn: &mut Context<'_>,
    ) -> Poll<Result<(), h2::Error>> {
        let mut accepted: u32 = 0;
        self.in_hand = 0;
        let mut began_at = None;
        loop {
            self.turn.looks_again();
            let unsent = self.shared.unsent.bytes();
            match self.h2.poll_accept(turn) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    let now = Instant::now();
                    let taken = now.duration_since(*began_at.get_or_insert(now));
                    self.begin_call(request, respond, now, cx);
                    accepted += 1;
                    if accepted.is_multiple_of(CALLS_PER_FLUSH) {
                        // A socket that takes no more is seen again at the end of this turn.
                        let _ = self.meter.lock().poll_drain(cx);
                    }
                    if accepted >= CALLS_PER_TURN || taken >= TURN_TIME {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => {
                    self.in_hand = unsent;
                    return Poll::Pending;
                }
            }
        }
    }

    fn begin_call(
        &mut self,
        request: http::Request<h2::RecvStream>,
        mut respond: h2::server::SendResponse<Bytes>,
        received_at: Instant,
        cx: &mut Context<'_>,
    ) {
        let open = self.shared.calls.load(Ordering::Relaxed);
        let limit = usize::try_from(self.shared.config.max_concurrent_streams);
        let refusing = self.drain.as_ref().is_some_and(|drain| drain.refusing);
        if refusing || limit.is_ok_and(|limit| open >= limit) {
            // The client may try again elsewhere, without asking anyone. gRFC A6 §Transparent Retries.
            respond.send_reset(Reason::REFUSED_STREAM);
            return;
        }
        self.idle_since = None;
        // The peer's SETTINGS come before its first request.
        if let Some(limit) = self.meter.lock().counts().peer_max_header_list_size {
            self.shared.set_peer_header_limit(limit);
        }
        let slot = Slot::take(&self.shared);
        let stream = ServerStream::new(request, respond, received_at, slot);
        (self.start)(stream, &mut self.call);
        // The task that is spawned here ends with its call: when the handler returns, the client goes
        // away, the deadline passes, or this connection is closed and takes the stream with it.
        let waits = match self.shared.config.first_poll {
            FirstPoll::Inline => self.call.poll(cx).is_pending(),
            FirstPoll::Spawned => true,
        };
        if waits {
            tokio::spawn(std::mem::replace(&mut self.call, no_call()));
        }
    }

    // The connection task runs as soon as one handler has answered. If others are at work, it goes
    // behind them once, so that one write takes the frames of all.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        let calls = self.shared.calls.load(Ordering::Relaxed);
        let mut meter = self.meter.lock();
        meter.calls_open(calls > 0);
        if meter.has_joined() && calls > 1 && !self.flush_next_turn {
            self.flush_next_turn = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.flush_next_turn = false;
        // Pending is woken when the socket takes more; until then h2 may go on.
        let drained = meter.poll_drain(cx)?;
        let data_sent = meter.counts().data_bytes_sent;
        let mut sent = usize::try_from(data_sent - self.data_sent).unwrap_or(usize::MAX);
        self.data_sent = data_sent;
        // Some of what h2 had went with streams that were reset. Nothing of it is left now.
        if drained.is_ready() && !meter.is_blocked() {
            sent = sent.max(self.in_hand);
        }
        if sent > 0 {
            self.shared.was_sent(sent);
        }
        if calls == 0 {
            meter.release_buffers();
        }
        Poll::Pending
    }

    fn follow_phase(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready((watch, phase)) = self.phase_changed.as_mut().poll(cx) {
            match phase {
                Phase::Serving => {}
                Phase::Draining => self.begin_drain(None, None),
                Phase::Cutting => self.close(Reason::NO_ERROR, None),
                Phase::Gone => {
                    self.phase_changed = Box::pin(std::future::pending());
                    self.close(Reason::NO_ERROR, None);
                    return;
                }
            }
            self.phase_changed = Box::pin(watch.next());
        }
    }

    fn begin_drain(&mut self, why: Option<&'static str>, grace: Option<Duration>) {
        if self.closing_since.is_some() || self.drain.is_some() {
            return;
        }
        let now = Instant::now();
        self.drain = Some(Drain {
            began_at: now,
            cut_at: grace.map(|grace| after(now, grace)),
            refusing: false,
        });
        if let Some(why) = why {
            self.meter.lock().explain_goaway(why);
        }
        // h2 sends a PING behind the first GOAWAY. It serves to find a dead peer as well as ours do.
        self.ping_sent_at = Some(now);
        self.h2.graceful_shutdown();
    }

    fn close(&mut self, reason: Reason, why: Option<&'static str>) {
        if self.closing_since.is_some() {
            return;
        }
        self.closing_since = Some(Instant::now());
        if let Some(why) = why {
            self.meter.lock().explain_goaway(why);
        }
        self.h2.abrupt_shutdown(reason);
    }

    /// Looks at what passed, and acts on a limit that was crossed. Says whether h2 has new work.
    fn judge(&mut self) -> bool {
        let (abuse, refused, worn_by, fatal_goaway) = {
            let meter = self.meter.lock();
            let counts = meter.counts();
            (
                counts.abuse,
                counts.streams_refused,
                counts.worn_by(),
                counts.fatal_goaway,
            )
        };
        if refused != self.refused_before {
            let times = refused - self.refused_before;
            self.refused_before = refused;
            // In a drain streams are refused for another reason.
            if self.drain.is_none() {
                let counters = self.shared.counters();
                counters.add(Counter::MaxConcurrentStreams, times);
            }
        }
        if let Some(code) = fatal_goaway {
            // h2 gave up on the peer, and only waits for it to take its last word.
            self.shared.count(Counter::of_fault(code.into()));
            self.closing_since = Some(Instant::now());
            return false;
        }
        let too_many_cancelled = self.shared.too_many_cancelled();
        let abuse = abuse.or_else(|| {
            too_many_cancelled.then_some(Abuse::new(
                "too_many_cancellations",
                Counter::CancelledStreams,
            ))
        });
        if let Some(Abuse { text: why, counter }) = abuse {
            self.shared.count(counter);
            tracing::debug!(peer = %self.shared.peer, why, "connection closed for abuse");
            self.close(Reason::ENHANCE_YOUR_CALM, Some(why));
            return true;
        }
        if self.shared.has_orders() && self.obey() {
            return true;
        }
        if self.drain.as_ref().is_some_and(|drain| drain.refusing) && !self.h2.has_streams() {
            self.close(Reason::NO_ERROR, None);
            return true;
        }
        // The peer goes on on a new connection, and no call is lost.
        if let Some(counter) = worn_by.filter(|_| self.drain.is_none()) {
            self.shared.count(counter);
            self.begin_drain(None, None);
            return true;
        }
        false
    }
}

impl ServerConnection {
    /// Does what others want of this connection. Says whether h2 has new work.
    fn obey(&mut self) -> bool {
        if self.shared.has_order(Order::Cut) {
            self.shared.count(Counter::MaxBufferedBytesCut);
            self.close(Reason::ENHANCE_YOUR_CALM, Some("too_many_bytes_buffered"));
            return true;
        }
        if self.shared.has_order(Order::Pause) {
            let pause = self.shared.server.buffered.is_over();
            if pause && !self.paused {
                self.shared.count(Counter::MaxBufferedBytes);
            }
            if !pause {
                self.shared.forget(Order::Pause);
            }
            if pause != self.paused {
                self.paused = pause;
                self.meter.lock().hold_reads(pause);
                return true;
            }
        }
        // A call may have come since that was ordered.
        if self.shared.has_order(Order::Leave) && self.drain.is_none() {
            if self.shared.has_calls() {
                self.shared.forget(Order::Leave);
                return false;
            }
            self.shared.count(Counter::EvictIdleAfter);
            self.begin_drain(Some("max_connections"), None);
            return true;
        }
        false
    }
}

/// In place of a call, until there is one. It is never polled, and takes no memory.
fn no_call() -> CallFuture {
    ReusableBoxFuture::new(std::future::pending())
}

type PhaseChange = Pin<Box<dyn Future<Output = (PhaseWatch, Phase)> + Send>>;

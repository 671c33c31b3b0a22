//! The network: connections in memory, whose bytes take time and need not arrive.
//!
//! ```text
//!   client ── End ──▶ Way ──▶ End ── server
//!             End ◀── Way ◀── End
//! ```
//!
//! Each way is a queue of pieces, and each piece has a moment at which it arrives.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::chance::Chance;
use super::log::Log;
use super::plan::{Break, Links};

/// All connections that there were.
#[derive(Clone)]
pub struct Network(Arc<Mutex<State>>);

struct State {
    links: Links,
    chance: Chance,
    connections: Vec<Connection>,
    log: Log,
}

/// One connection, as the network sees it.
struct Connection {
    number: usize,
    server: usize,
    /// From the client, and to it.
    ways: [SharedWay; 2],
}

type SharedWay = Arc<Mutex<Way>>;

struct Way {
    pieces: VecDeque<(Instant, Vec<u8>)>,
    /// Of all pieces.
    bytes: usize,
    /// So many have come this way.
    passed: usize,
    breaks_at: Option<(usize, Break)>,
    end: Option<Ended>,
    stalled: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    ends_alive: usize,
}

/// How a way has ended for its reader, once it has read what is there, and for its writer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Fin,
    Reset,
}

impl Network {
    pub fn new(links: Links, seed: u64, log: Log) -> Self {
        Self(Arc::new(Mutex::new(State {
            links,
            chance: Chance::seeded(seed),
            connections: Vec::new(),
            log,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// How long something takes.
    pub fn latency(&self) -> Duration {
        let State { links, chance, .. } = &mut *self.lock();
        let most = usize::try_from(links.latency.as_millis()).unwrap();
        Duration::from_millis(chance.below(most + 1).try_into().unwrap())
    }

    /// How many bytes pass at once, where so many have before. Who has much to say need not say all of it
    /// in small pieces.
    fn piece(&self, passed: usize) -> usize {
        let State { links, chance, .. } = &mut *self.lock();
        links.piece.map_or(usize::MAX, |most| match passed {
            0..30_000 => 1 + chance.below(most),
            30_000.. => 16_384,
        })
    }

    /// Whether an attempt to connect fails: with `true` it does at once, with `false` never.
    pub fn refuses(&self) -> Option<bool> {
        let State { links, chance, .. } = &mut *self.lock();
        let refused = links.refuses.is_some_and(|times| chance.one_in(times));
        refused.then(|| !chance.one_in(3))
    }

    /// A connection to this server: the client's end, and the server's.
    pub fn connect(&self, server: usize) -> (End, End) {
        let mut state = self.lock();
        let State { links, chance, .. } = &mut *state;
        let mut way = || {
            let breaks = links.breaks.is_some_and(|times| chance.one_in(times));
            // Heads of connections are where there is most to break.
            let breaks_at = breaks.then(|| {
                let most = chance.of(&[60, 600, 6_000, 100_000]);
                let how = chance.of(&[Break::Fin, Break::HalfFin, Break::Reset]);
                (chance.below(most), how)
            });
            Arc::new(Mutex::new(Way::new(breaks_at)))
        };
        let ways = [way(), way()];
        let number = state.connections.len();
        state.connections.push(Connection {
            number,
            server,
            ways: ways.clone(),
        });
        let [there, back] = ways;
        let end = |reads: &SharedWay, writes: &SharedWay| End {
            reads: Arc::clone(reads),
            writes: Arc::clone(writes),
            network: self.clone(),
            timer: None,
        };
        (end(&back, &there), end(&there, &back))
    }

    /// Ends of connections that somebody holds.
    pub fn ends_alive(&self) -> usize {
        let state = self.lock();
        let ways = state.connections.iter().flat_map(|one| &one.ways);
        // Each end holds two ways.
        ways.map(|way| way.lock().unwrap().ends_alive)
            .sum::<usize>()
            / 2
    }

    /// Breaks one of the connections that are open.
    pub fn break_one(&self, nth: usize, how: Break) {
        self.with_one(nth, |one, log| {
            log.note(format!("connection {} breaks: {how:?}", one.number));
            one.break_off(how);
        });
    }

    /// Breaks all connections to a server.
    pub fn break_all(&self, server: usize, how: Break) {
        for one in &self.lock().connections {
            if one.server == server {
                one.break_off(how);
            }
        }
    }

    /// Stalls one of the connections that are open, and yields how to let it go on.
    pub fn stall(&self, nth: usize, directions: usize) -> impl FnOnce() + Send + 'static {
        let mut ways = Vec::new();
        self.with_one(nth, |one, log| {
            log.note(format!("connection {} stalls: {directions}", one.number));
            for (bit, way) in [1, 2].into_iter().zip(&one.ways) {
                if directions & bit != 0 {
                    way.lock().unwrap().stalled = true;
                    ways.push(Arc::clone(way));
                }
            }
        });
        move || {
            for way in ways {
                way.lock().unwrap().go_on();
            }
        }
    }

    fn with_one(&self, nth: usize, act: impl FnOnce(&Connection, &Log)) {
        let state = self.lock();
        let open: Vec<_> = state
            .connections
            .iter()
            .filter(|one| one.is_open())
            .collect();
        if let Some(one) = open.get(nth % open.len().max(1)) {
            act(one, &state.log);
        }
    }

    /// From now on nothing happens to bytes; those that are under way have arrived.
    pub fn calm(&self) {
        let mut state = self.lock();
        state.links.latency = Duration::ZERO;
        state.links.breaks = None;
        state.links.refuses = None;
        for way in state.connections.iter().flat_map(|one| &one.ways) {
            let mut way = way.lock().unwrap();
            way.breaks_at = None;
            way.pieces
                .iter_mut()
                .for_each(|(arrives_at, _)| *arrives_at = Instant::now());
            way.go_on();
        }
    }
}

impl Connection {
    fn is_open(&self) -> bool {
        self.ways.iter().all(|way| {
            let way = way.lock().unwrap();
            way.end.is_none() && way.ends_alive == 2
        })
    }

    fn break_off(&self, how: Break) {
        let [there, back] = &self.ways;
        match how {
            Break::Fin => [there, back].map(|way| way.lock().unwrap().end(Ended::Fin)),
            Break::HalfFin => [back, back].map(|way| way.lock().unwrap().end(Ended::Fin)),
            Break::Reset => [there, back].map(|way| way.lock().unwrap().end(Ended::Reset)),
        };
    }
}

impl Way {
    fn new(breaks_at: Option<(usize, Break)>) -> Self {
        Self {
            pieces: VecDeque::new(),
            bytes: 0,
            passed: 0,
            breaks_at,
            end: None,
            stalled: false,
            reader: None,
            writer: None,
            ends_alive: 2,
        }
    }

    fn end(&mut self, how: Ended) {
        if self.end.is_none() || how == Ended::Reset {
            self.end = Some(how);
        }
        if how == Ended::Reset {
            self.pieces.clear();
            self.bytes = 0;
            self.stalled = false;
        }
        self.wake();
    }

    fn go_on(&mut self) {
        self.stalled = false;
        self.wake();
    }

    fn wake(&mut self) {
        let wakers = [self.reader.take(), self.writer.take()];
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// One end of a connection.
pub struct End {
    reads: SharedWay,
    writes: SharedWay,
    network: Network,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Drop for End {
    fn drop(&mut self) {
        for way in [&self.reads, &self.writes] {
            way.lock().unwrap().ends_alive -= 1;
        }
        // The peer reads what is on the way, and writes into the void.
        self.writes.lock().unwrap().end(Ended::Fin);
        self.reads.lock().unwrap().end(Ended::Reset);
    }
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut way = this.reads.lock().unwrap();
        way.reader = Some(cx.waker().clone());
        if way.stalled {
            return Poll::Pending;
        }
        let Some((arrives_at, _)) = way.pieces.front() else {
            return match way.end {
                Some(Ended::Fin) => Poll::Ready(Ok(())),
                Some(Ended::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
                None => Poll::Pending,
            };
        };
        let arrives_at = *arrives_at;
        if arrives_at > Instant::now() {
            drop(way);
            let timer = this.timer.insert(Box::pin(sleep_until(arrives_at)));
            // A task that has done much in this turn finds no timer ready: it gets another turn.
            ready!(timer.as_mut().poll(cx));
            way = this.reads.lock().unwrap();
        }
        this.timer = None;
        let piece = this.network.piece(way.passed);
        let Some((_, bytes)) = way.pieces.front_mut() else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        let count = into.remaining().min(piece).min(bytes.len());
        into.put_slice(&bytes[..count]);
        bytes.drain(..count);
        if bytes.is_empty() {
            way.pieces.pop_front();
        }
        way.bytes -= count;
        if let Some(writer) = way.writer.take() {
            writer.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let latency = this.network.latency();
        let mut way = this.writes.lock().unwrap();
        match way.end {
            Some(Ended::Fin) => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Some(Ended::Reset) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            None => {}
        }
        let room = this.network.lock().links.room.saturating_sub(way.bytes);
        let piece = this.network.piece(way.passed);
        let left = way
            .breaks_at
            .map_or(usize::MAX, |(at, _)| at.saturating_sub(way.passed));
        if room == 0 {
            way.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = bytes.len().min(room).min(piece).min(left);
        if count > 0 {
            // Bytes do not overtake one another.
            let earliest = way.pieces.back().map(|(at, _)| *at);
            let arrives_at = (Instant::now() + latency).max(earliest.unwrap_or_else(Instant::now));
            way.pieces.push_back((arrives_at, bytes[..count].to_vec()));
            way.bytes += count;
            way.passed += count;
        }
        let breaks = way.breaks_at.filter(|(at, _)| way.passed >= *at);
        if let Some(reader) = way.reader.take() {
            reader.wake();
        }
        if let Some((_, how)) = breaks {
            way.breaks_at = None;
            drop(way);
            this.break_off(how);
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writes.lock().unwrap().end(Ended::Fin);
        Poll::Ready(Ok(()))
    }
}

impl End {
    /// At the byte that was just written.
    fn break_off(&self, how: Break) {
        match how {
            Break::HalfFin => self.writes.lock().unwrap().end(Ended::Fin),
            Break::Fin => {
                self.writes.lock().unwrap().end(Ended::Fin);
                self.reads.lock().unwrap().end(Ended::Fin);
            }
            Break::Reset => {
                self.writes.lock().unwrap().end(Ended::Reset);
                self.reads.lock().unwrap().end(Ended::Reset);
            }
        }
    }
}

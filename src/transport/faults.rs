//! FaultyIo: a byte stream that breaks where a test wants it to.
//!
//! ```text
//!   whoever holds it ── outbound ──▶ FaultyIo ──▶ the byte stream inside ──▶ the peer
//!                    ◀── inbound ───          ◀──                        ◀──
//! ```
//!
//! What a network does to a program it does seldom, and never twice in the same place. Here the place
//! is a byte: the connection ends at the 300th that is read, or falls silent at the 17th that is
//! written. A [`FaultHandle`] does the same at any moment while the program runs.
//!
//! Each direction has faults of its own. Where what is written ends, it ends for the peer too. A stall
//! looks the same from both ends: nothing comes, and nothing says why.

use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

pub use super::seed::foresee;
use super::timer::poll_timer;

/// A byte stream with [`Faults`]. Without any it passes on what it gets.
///
/// It is meant for tests: of clients, by a `Dialer` that wraps what it dials, and of servers. Delays
/// are those of tokio's clock, which tests can stop.
///
/// # Example
///
/// ```
/// use std::io::ErrorKind;
///
/// use barewire::faults::{Fault, Faults, FaultyIo, OneWay};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let (near, mut far) = tokio::io::duplex(1024);
/// let mut near = FaultyIo::new(
///     near,
///     Faults {
///         // Bytes come one by one, and the connection is reset at the sixth.
///         inbound: OneWay {
///             at_most: Some(1),
///             fault_at: Some((5, Fault::Reset)),
///             ..OneWay::default()
///         },
///         ..Faults::default()
///     },
/// );
///
/// far.write_all(b"hello, world").await?;
/// let mut text = Vec::new();
/// let error = near.read_to_end(&mut text).await.unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::ConnectionReset);
/// assert_eq!(text, b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FaultyIo<T> {
    io: T,
    /// Bytes that were read and are still delayed.
    held: BytesMut,
    inbound_delay: Option<Pin<Box<Sleep>>>,
    outbound_delay: Option<Pin<Box<Sleep>>>,
    /// The peer was told that nothing more comes.
    closed: bool,
    ways: Arc<Mutex<Ways>>,
}

/// What is wrong with a byte stream, seen by whoever holds the [`FaultyIo`]. By default nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// What is read.
    pub inbound: OneWay,
    /// What is written.
    pub outbound: OneWay,
}

/// What is wrong with one direction of a byte stream. By default nothing is. Bytes are counted from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneWay {
    /// So long each piece is held up: what one read found, or one write was given. Pieces follow one
    /// another, so small ones also make the stream slow.
    pub delay: Option<Duration>,
    /// So many bytes pass in one read or write at most; 1 makes a dribble, and so does 0.
    pub at_most: Option<usize>,
    /// The byte of this number arrives with all its bits turned over.
    pub corrupt_at: Option<u64>,
    /// So many bytes pass, and then this happens.
    pub fault_at: Option<(u64, Fault)>,
}

/// How a direction of a byte stream stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It ends: reads find the end, writes fail with [`io::ErrorKind::BrokenPipe`].
    Cut,
    /// It is reset: reads and writes fail with [`io::ErrorKind::ConnectionReset`].
    Reset,
    /// It falls silent: reads and writes wait, until [`FaultHandle::resume`].
    Stall,
}

/// Both directions, shared with the handles.
#[derive(Debug)]
struct Ways {
    inbound: Way,
    outbound: Way,
}

#[derive(Debug)]
struct Way {
    faults: OneWay,
    /// What has happened to it, if anything has.
    fault: Option<Fault>,
    passed: u64,
    /// Whoever waits in it.
    waker: Option<Waker>,
}

impl<T> FaultyIo<T> {
    /// Puts faults into a byte stream.
    pub fn new(io: T, faults: Faults) -> Self {
        Self {
            io,
            held: BytesMut::new(),
            inbound_delay: None,
            outbound_delay: None,
            closed: false,
            ways: Arc::new(Mutex::new(Ways {
                inbound: Way::new(faults.inbound),
                outbound: Way::new(faults.outbound),
            })),
        }
    }

    /// Makes things happen to the stream once somebody else holds it.
    pub fn handle(&self) -> FaultHandle {
        FaultHandle(Arc::clone(&self.ways))
    }
}

/// Makes things happen to a [`FaultyIo`], in both directions at once. Clones are handles of the same
/// stream.
#[derive(Clone, Debug)]
pub struct FaultHandle(Arc<Mutex<Ways>>);

impl FaultHandle {
    /// Ends the stream. The peer finds its end when whoever holds it next reads or writes.
    pub fn cut(&self) {
        self.set(|_| Some(Fault::Cut));
    }

    /// Resets the stream.
    pub fn reset(&self) {
        self.set(|_| Some(Fault::Reset));
    }

    /// Lets nothing pass, until [`resume`](Self::resume).
    pub fn stall(&self) {
        self.set(|fault| fault.or(Some(Fault::Stall)));
    }

    /// Ends what [`stall`](Self::stall) began, or a stall that a direction has come to by its count of
    /// bytes.
    pub fn resume(&self) {
        self.set(|fault| fault.filter(|fault| *fault != Fault::Stall));
    }

    /// How many bytes were read so far.
    pub fn read_bytes(&self) -> u64 {
        lock(&self.0).inbound.passed
    }

    /// How many bytes were written so far.
    pub fn written_bytes(&self) -> u64 {
        lock(&self.0).outbound.passed
    }

    fn set(&self, change: impl Fn(Option<Fault>) -> Option<Fault>) {
        let mut ways = lock(&self.0);
        ways.inbound.fault = change(ways.inbound.fault);
        ways.outbound.fault = change(ways.outbound.fault);
        let wakers = [ways.inbound.waker.take(), ways.outbound.waker.take()];
        drop(ways);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

fn lock(ways: &Mutex<Ways>) -> MutexGuard<'_, Ways> {
    ways.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Way {
    fn new(faults: OneWay) -> Self {
        let mut way = Self {
            faults,
            fault: None,
            passed: 0,
            waker: None,
        };
        way.pass(0);
        way
    }

    /// How many bytes may pass now, if any may; else what has happened. Whoever asks is woken when that
    /// changes.
    fn room(&mut self, cx: &Context<'_>) -> Result<usize, Fault> {
        self.waker = Some(cx.waker().clone());
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let at_most = self.faults.at_most.map_or(usize::MAX, |most| most.max(1));
        let left = self
            .faults
            .fault_at
            .map_or(u64::MAX, |(at, _)| at.saturating_sub(self.passed));
        Ok(at_most.min(usize::try_from(left).unwrap_or(usize::MAX)))
    }

    /// Damages a piece that is about to pass.
    fn corrupt(&self, piece: &mut [u8]) {
        let place = self
            .faults
            .corrupt_at
            .and_then(|at| at.checked_sub(self.passed));
        let place = place.and_then(|place| usize::try_from(place).ok());
        if let Some(byte) = place.and_then(|place| piece.get_mut(place)) {
            *byte = !*byte;
        }
    }

    /// Counts bytes that pass. The last one before a fault brings it about.
    fn pass(&mut self, count: usize) {
        self.passed = self
            .passed
            .saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if let Some((at, fault)) = self.faults.fault_at
            && self.passed >= at
        {
            self.faults.fault_at = None;
            self.fault = self.fault.or(Some(fault));
        }
    }
}

/// As much as sockets give in one read.
const READ_LIMIT: usize = 64 * 1024;

impl<T: AsyncRead + AsyncWrite + Unpin> FaultyIo<T> {
    fn poll_inbound(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (room, delay) = {
            let way = &mut lock(&self.ways).inbound;
            (way.room(cx), way.faults.delay)
        };
        let room = match room {
            Ok(room) => room.min(into.remaining()),
            Err(Fault::Cut) => return Poll::Ready(Ok(())),
            Err(Fault::Reset) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Err(Fault::Stall) => return Poll::Pending,
        };
        if self.held.is_empty() {
            self.held.reserve(room.min(READ_LIMIT));
            let mut limited = (&mut self.held).limit(room);
            let count = ready!(pin!(self.io.read_buf(&mut limited)).poll(cx))?;
            if count == 0 {
                return Poll::Ready(Ok(()));
            }
            self.inbound_delay = delay.map(|delay| Box::pin(sleep(delay)));
        }
        if let Some(delay) = &mut self.inbound_delay {
            ready!(poll_timer(delay.as_mut(), cx));
            self.inbound_delay = None;
        }
        let mut piece = self.held.split_to(room.min(self.held.len()));
        let way = &mut lock(&self.ways).inbound;
        way.corrupt(&mut piece);
        way.pass(piece.len());
        into.put_slice(&piece);
        Poll::Ready(Ok(()))
    }

    fn poll_outbound(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = ready!(self.poll_room(cx))?;
        if let Some(duration) = lock(&self.ways).outbound.faults.delay {
            let delay = self
                .outbound_delay
                .get_or_insert_with(|| Box::pin(sleep(duration)));
            ready!(poll_timer(delay.as_mut(), cx));
        }
        let mut piece: Vec<u8> = bytes.iter().copied().take(room).collect();
        lock(&self.ways).outbound.corrupt(&mut piece);
        let count = ready!(Pin::new(&mut self.io).poll_write(cx, &piece))?;
        self.outbound_delay = None;
        lock(&self.ways).outbound.pass(count);
        self.close_if_broken(cx);
        Poll::Ready(Ok(count))
    }

    /// How many bytes may be written now.
    fn poll_room(&mut self, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        match lock(&self.ways).outbound.room(cx) {
            Ok(room) => Poll::Ready(Ok(room)),
            Err(Fault::Cut) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Err(Fault::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Err(Fault::Stall) => Poll::Pending,
        }
    }

    /// Tells the peer that nothing more comes, if that is so. Each poll does, since a handle cannot.
    fn close_if_broken(&mut self, cx: &mut Context<'_>) {
        let fault = lock(&self.ways).outbound.fault;
        if !self.closed && matches!(fault, Some(Fault::Cut | Fault::Reset)) {
            // The stream is broken as far as its holder knows: how its end was taken is of no interest.
            self.closed = Pin::new(&mut self.io).poll_shutdown(cx).is_ready();
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for FaultyIo<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.close_if_broken(cx);
        this.poll_inbound(cx, into)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for FaultyIo<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.close_if_broken(cx);
        this.poll_outbound(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.close_if_broken(cx);
        ready!(this.poll_room(cx))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.close_if_broken(cx);
        if this.closed {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_room(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

//! Where connections come from: listeners, and what happens to a socket before HTTP/2 begins.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::config::ServerConfig;
use crate::transport::counters::{Counter, Counters};
use crate::transport::leaks::assert_none_left;
use crate::transport::peer::PeerAddress;
use crate::transport::{ByteStream, Io};

/// What a server listens on: a TCP listener, a Unix one, several TCP ones, or a queue of byte streams
/// that somebody else accepts. Made by `.into()`.
#[derive(Debug)]
pub struct Listeners {
    listeners: Vec<Listener>,
    /// Where the next look begins, so that a busy listener does not hide the others.
    first: AtomicUsize,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
    Queue(Mutex<mpsc::Receiver<Io>>),
    QueueOfResults(Mutex<mpsc::Receiver<io::Result<Io>>>),
}

impl From<TcpListener> for Listeners {
    fn from(listener: TcpListener) -> Self {
        Self::of(vec![Listener::Tcp(listener)])
    }
}

impl From<Vec<TcpListener>> for Listeners {
    fn from(listeners: Vec<TcpListener>) -> Self {
        Self::of(listeners.into_iter().map(Listener::Tcp).collect())
    }
}

#[cfg(unix)]
impl From<tokio::net::UnixListener> for Listeners {
    fn from(listener: tokio::net::UnixListener) -> Self {
        Self::of(vec![Listener::Unix(listener)])
    }
}

/// Byte streams that come from elsewhere: other kinds of sockets, or pipes in memory.
impl From<mpsc::Receiver<Box<dyn ByteStream>>> for Listeners {
    fn from(queue: mpsc::Receiver<Box<dyn ByteStream>>) -> Self {
        Self::of(vec![Listener::Queue(Mutex::new(queue))])
    }
}

/// The same from somebody who passes on what accepting them yields: an error is treated as one of our
/// own sockets, and so slows the queue down where the system has run out of something.
impl From<mpsc::Receiver<io::Result<Box<dyn ByteStream>>>> for Listeners {
    fn from(queue: mpsc::Receiver<io::Result<Box<dyn ByteStream>>>) -> Self {
        Self::of(vec![Listener::QueueOfResults(Mutex::new(queue))])
    }
}

/// A connection that was accepted, before any byte of it was read.
pub(super) struct Accepted {
    pub(super) io: Io,
    pub(super) address: PeerAddress,
}

impl Accepted {
    fn in_process(io: Io) -> Self {
        Self {
            io,
            address: PeerAddress::InProcess,
        }
    }
}

impl Listeners {
    fn of(listeners: Vec<Listener>) -> Self {
        Self {
            listeners,
            first: AtomicUsize::new(0),
        }
    }

    /// The next connection. Errors of the system are waited out: a server that runs out of file
    /// descriptors for a moment goes on when it has some again.
    ///
    /// The system is told to give up on a connection whose bytes nobody acknowledges for as long as
    /// our PING may stay unanswered. gRFC A18.
    pub(super) async fn accept(&self, config: &ServerConfig, counters: &Counters) -> Accepted {
        let http2 = &config.http2;
        let user_timeout = http2.keepalive_time.map(|_| http2.keepalive_timeout);
        let mut pause = config.accept_backoff_min;
        let mut in_a_row = 0;
        loop {
            let error = match poll_fn(|cx| self.poll_accept(cx, user_timeout)).await {
                Ok(accepted) => return accepted,
                Err(error) => error,
            };
            // Of a connection that was gone before it was accepted, say. The next one may be there.
            if !is_exhaustion(&error) && in_a_row < ERRORS_IN_A_ROW {
                in_a_row += 1;
                tracing::debug!(%error, "a connection could not be accepted");
                continue;
            }
            counters.count(Counter::AcceptBackoff);
            tracing::warn!(%error, ?pause, "cannot accept connections for now");
            sleep(pause).await;
            in_a_row = 0;
            pause = pause.saturating_mul(2).min(config.accept_backoff_max);
        }
    }

    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        user_timeout: Option<Duration>,
    ) -> Poll<io::Result<Accepted>> {
        let count = self.listeners.len().max(1);
        let first = self.first.fetch_add(1, Ordering::Relaxed) % count;
        for listener in self.listeners.iter().cycle().skip(first).take(count) {
            if let Poll::Ready(accepted) = listener.poll_accept(cx, user_timeout) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

impl Listener {
    fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        user_timeout: Option<Duration>,
    ) -> Poll<io::Result<Accepted>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx).map_ok(|(socket, address)| {
                // Frames are joined above; the system's own waiting for more only adds delay.
                let _ = socket.set_nodelay(true);
                if let Some(timeout) = user_timeout {
                    set_user_timeout(&socket, timeout);
                }
                Accepted {
                    io: Box::new(socket),
                    address: PeerAddress::Tcp(address),
                }
            }),
            #[cfg(unix)]
            Self::Unix(listener) => listener.poll_accept(cx).map_ok(|(socket, _)| Accepted {
                io: Box::new(socket),
                address: PeerAddress::Unix,
            }),
            Self::Queue(queue) => poll_queue(queue, cx).map(|io| Ok(Accepted::in_process(io))),
            Self::QueueOfResults(queue) => {
                poll_queue(queue, cx).map(|io| io.map(Accepted::in_process))
            }
        }
    }
}

fn poll_queue<T>(queue: &Mutex<mpsc::Receiver<T>>, cx: &mut Context<'_>) -> Poll<T> {
    let mut queue = queue.lock().unwrap_or_else(PoisonError::into_inner);
    match queue.poll_recv(cx) {
        Poll::Ready(Some(next)) => Poll::Ready(next),
        // Nobody brings any more: those that there are go on.
        Poll::Ready(None) | Poll::Pending => Poll::Pending,
    }
}

#[cfg(target_os = "linux")]
fn set_user_timeout(socket: &TcpStream, timeout: Duration) {
    // Without it a dead peer is found a little later, by our PING.
    let _ = socket2::SockRef::from(socket).set_tcp_user_timeout(Some(timeout));
}

#[cfg(not(target_os = "linux"))]
fn set_user_timeout(_: &TcpStream, _: Duration) {}

/// The system has no room for one more connection: the same accept would fail again at once.
fn is_exhaustion(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::OutOfMemory
        || error
            .raw_os_error()
            .is_some_and(|code| EXHAUSTION.contains(&code))
}

/// What `ErrorKind` has no name for: ENFILE, EMFILE and ENOBUFS, too many open files of the system or of
/// the process, and no room for buffers. On systems that number the last one otherwise it counts as any
/// other error.
#[cfg(any(target_os = "android", target_os = "linux"))]
const EXHAUSTION: [i32; 3] = [23, 24, 105];
#[cfg(all(unix, not(any(target_os = "android", target_os = "linux"))))]
const EXHAUSTION: [i32; 3] = [23, 24, 55];
/// The same of Windows: WSAEMFILE and WSAENOBUFS.
#[cfg(not(unix))]
const EXHAUSTION: [i32; 2] = [10_024, 10_055];

/// So many errors of other kinds are passed over before the first pause, and between two of them: a peer
/// can provoke some by leaving early, and a listener that is broken for good must not keep a processor
/// busy.
const ERRORS_IN_A_ROW: u32 = 100;

/// What makes a byte stream of a socket that HTTP/2 can begin on.
pub(crate) trait Secure: Send + Sync {
    /// The byte stream, and the certificates that the peer showed if it is TLS.
    fn secure(&self, io: Io) -> Securing<'_>;
}

pub(crate) type Securing<'a> =
    Pin<Box<dyn Future<Output = io::Result<(Io, Option<Vec<Bytes>>)>> + Send + 'a>>;

/// No TLS: the socket as it is.
pub(crate) struct PlainText;

impl Secure for PlainText {
    fn secure(&self, io: Io) -> Securing<'_> {
        Box::pin(async move { Ok((io, None)) })
    }
}

/// Connections by IP address.
#[derive(Default)]
pub(super) struct PerAddress(Mutex<HashMap<IpAddr, usize>>);

impl Drop for PerAddress {
    fn drop(&mut self) {
        let counts = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        assert_none_left(counts.len(), "addresses with connections");
    }
}

/// One connection of an address.
pub(super) struct AddressPermit {
    counts: Arc<PerAddress>,
    address: Option<IpAddr>,
}

impl PerAddress {
    /// Counts one more connection of `address`; `None` if it has `limit` already.
    pub(super) fn take(
        self: &Arc<Self>,
        address: &PeerAddress,
        limit: Option<usize>,
    ) -> Option<AddressPermit> {
        let (PeerAddress::Tcp(socket), Some(limit)) = (address, limit) else {
            return Some(AddressPermit {
                counts: Arc::clone(self),
                address: None,
            });
        };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(socket.ip()).or_default();
        if *count >= limit {
            return None;
        }
        *count += 1;
        Some(AddressPermit {
            counts: Arc::clone(self),
            address: Some(socket.ip()),
        })
    }
}

impl Drop for AddressPermit {
    fn drop(&mut self) {
        let Some(address) = self.address else { return };
        let mut counts = self.counts.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

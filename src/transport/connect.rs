//! An address to a connection: socket, TLS, HTTP/2, the server's SETTINGS.
//!
//! A connection that does not come to be says which of these steps failed, where, and, where the
//! server's bytes tell, what would help.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::client_config::ClientHttp2Config;
use super::client_connection::{ClientConnection, NotHttp2, OpenError};
use super::counters::{Counter, Counters};
use super::peer::{Peer, PeerAddress};
use super::{ByteStream, Io};
use crate::wire::Status;

/// Where a connection goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Address {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
    /// A socket in Linux's abstract namespace; its name without the leading NUL byte.
    UnixAbstract(Vec<u8>),
    /// A text that the dialer understands: `host:port`, or whatever follows `passthrough:///`.
    Named(String),
}

/// Makes byte streams to addresses. A plug for tunnels, and for tests.
pub trait Dialer: Send + Sync + 'static {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// Why it cannot be made. The address is tried again later.
    ///
    /// # Cancel safety
    ///
    /// Must be safe: dropped, the attempt is given up.
    fn dial<'a>(&'a self, address: &'a Address) -> Dialing<'a>;
}

/// A byte stream that is being made.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send + 'a>>;

/// What comes between the byte stream and HTTP/2.
pub(crate) trait SecureClient: Send + Sync {
    /// Shakes hands; yields the byte stream inside, and the server's certificates.
    fn secure(&self, io: Io) -> Securing<'_>;
}

/// A handshake.
pub(crate) type Securing<'a> =
    Pin<Box<dyn Future<Output = io::Result<(Io, Vec<Bytes>)>> + Send + 'a>>;

/// Makes connections of one channel.
pub(crate) struct Connector {
    pub(crate) dialer: Arc<dyn Dialer>,
    pub(crate) secure: Option<Arc<dyn SecureClient>>,
    pub(crate) http2: Arc<ClientHttp2Config>,
    pub(crate) counters: Counters,
}

/// The step at which a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectPhase {
    Connect,
    Tls,
    Http2,
}

/// Why a connection did not come to be.
#[derive(Clone, Debug)]
pub(crate) struct ConnectError {
    phase: ConnectPhase,
    address: Address,
    why: Arc<str>,
    remedy: Option<&'static str>,
    /// The server drains: another connection may find one that does not.
    pub(crate) drained: bool,
}

impl Connector {
    /// Connects, and waits for the server's SETTINGS.
    ///
    /// # Errors
    ///
    /// Which step failed, or did not end within `attempt_timeout`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives the attempt up.
    pub(crate) async fn connect(
        &self,
        address: &Address,
        attempt_timeout: Duration,
    ) -> Result<ClientConnection, ConnectError> {
        let deadline = super::timer::after(tokio::time::Instant::now(), attempt_timeout);
        let failed = |phase, why: String, remedy| ConnectError {
            phase,
            address: address.clone(),
            why: why.into(),
            remedy,
            drained: false,
        };
        let late = |phase| {
            self.counters.count(Counter::ConnectTimeout);
            let text = format!("not done within {attempt_timeout:?}");
            failed(phase, text, None)
        };

        let phase = ConnectPhase::Connect;
        let io = timeout_at(deadline, self.dialer.dial(address))
            .await
            .map_err(|_| late(phase))?
            .map_err(|error| failed(phase, error.to_string(), None))?;

        let phase = ConnectPhase::Tls;
        let (io, peer) = match &self.secure {
            None => (io, Peer::new(address.into())),
            Some(secure) => {
                let (io, certificates) = timeout_at(deadline, secure.secure(io))
                    .await
                    .map_err(|_| late(phase))?
                    .map_err(|error| failed(phase, error.to_string(), None))?;
                (io, Peer::with_certificates(address.into(), certificates))
            }
        };

        let phase = ConnectPhase::Http2;
        let opening = ClientConnection::open(io, peer, self.http2(), self.counters.clone());
        timeout_at(deadline, opening)
            .await
            .map_err(|_| late(phase))?
            .map_err(|error| {
                let remedy = match &error {
                    // Some servers have no alert for those who do not speak TLS.
                    OpenError::NotHttp2(NotHttp2::Closed | NotHttp2::Reset)
                        if self.secure.is_none() =>
                    {
                        Some("if it speaks TLS, connect with https:// instead")
                    }
                    OpenError::NotHttp2(what) => what.remedy(),
                    OpenError::GoAway(_)
                    | OpenError::Drained(_)
                    | OpenError::Http2(_)
                    | OpenError::EnablesPush
                    | OpenError::Io(_) => None,
                };
                ConnectError {
                    drained: matches!(error, OpenError::Drained(_)),
                    ..failed(phase, error.to_string(), remedy)
                }
            })
    }
}

impl Connector {
    // Each complaint of a server has the connections from then on ask half as often whether it is alive.
    // gRFC A8.
    fn http2(&self) -> Arc<ClientHttp2Config> {
        let complaints = self.counters.of(Counter::TooManyPings);
        match self.http2.keepalive() {
            Some(time) if complaints > 0 => {
                let factor = 2_u32.saturating_pow(u32::try_from(complaints).unwrap_or(u32::MAX));
                Arc::new(ClientHttp2Config {
                    keepalive_time: Some(time.saturating_mul(factor)),
                    ..ClientHttp2Config::clone(&self.http2)
                })
            }
            Some(_) | None => Arc::clone(&self.http2),
        }
    }
}

impl ConnectError {
    /// How a call ends that could not be made for want of a connection. Its server has not seen it.
    pub(crate) fn to_status(&self) -> Status {
        Status::unavailable(self.to_string()).unprocessed()
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            phase,
            address,
            why,
            remedy,
            drained: _,
        } = self;
        let what = match phase {
            ConnectPhase::Connect => "cannot connect to",
            ConnectPhase::Tls => "no TLS with",
            ConnectPhase::Http2 => "no HTTP/2 with",
        };
        write!(f, "{what} {address}: {why}")?;
        remedy.map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

impl From<&Address> for PeerAddress {
    fn from(address: &Address) -> Self {
        match address {
            Address::Tcp(address) => Self::Tcp(*address),
            Address::Unix(_) | Address::UnixAbstract(_) => Self::Unix,
            Address::Named(name) => Self::Named(name.as_str().into()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::UnixAbstract(name) => write!(f, "unix-abstract:{}", name.escape_ascii()),
            Self::Named(name) => name.fmt(f),
        }
    }
}

/// Opens sockets.
#[derive(Debug)]
pub(crate) struct SystemDialer {
    /// How long the system may leave data unacknowledged, where keepalive is on. gRFC A18.
    pub(crate) user_timeout: Option<Duration>,
}

impl Dialer for SystemDialer {
    fn dial<'a>(&'a self, address: &'a Address) -> Dialing<'a> {
        Box::pin(async move {
            match address {
                Address::Tcp(address) => self.tcp(TcpStream::connect(address).await?),
                Address::Named(name) => self.tcp(TcpStream::connect(name.as_str()).await?),
                Address::Unix(path) => unix::connect(path).await,
                Address::UnixAbstract(name) => unix::connect_abstract(name).await,
            }
        })
    }
}

impl SystemDialer {
    fn tcp(&self, stream: TcpStream) -> io::Result<Io> {
        // Frames leave when they are written: we join them ourselves.
        stream.set_nodelay(true)?;
        if let Some(timeout) = self.user_timeout {
            set_user_timeout(&stream, timeout);
        }
        Ok(Box::new(stream))
    }
}

#[cfg(target_os = "linux")]
fn set_user_timeout(stream: &TcpStream, timeout: Duration) {
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(timeout)) {
        // The connection works without.
        tracing::debug!(%error, "TCP_USER_TIMEOUT cannot be set");
    }
}

#[cfg(not(target_os = "linux"))]
fn set_user_timeout(_: &TcpStream, _: Duration) {}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::path::Path;

    use tokio::net::UnixStream;

    use crate::transport::Io;

    pub(super) async fn connect(path: &Path) -> io::Result<Io> {
        Ok(Box::new(UnixStream::connect(path).await?))
    }

    #[cfg(target_os = "linux")]
    pub(super) async fn connect_abstract(name: &[u8]) -> io::Result<Io> {
        use std::os::linux::net::SocketAddrExt;
        use std::os::unix::net::{SocketAddr, UnixStream as StdStream};

        // A local connect does not wait for anything but a full queue of connections.
        let stream = StdStream::connect_addr(&SocketAddr::from_abstract_name(name)?)?;
        stream.set_nonblocking(true)?;
        Ok(Box::new(UnixStream::from_std(stream)?))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) async fn connect_abstract(_: &[u8]) -> io::Result<Io> {
        let why = "abstract sockets exist on Linux only";
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }
}

#[cfg(not(unix))]
mod unix {
    use std::io;
    use std::path::Path;

    use crate::transport::Io;

    pub(super) async fn connect(_: &Path) -> io::Result<Io> {
        Err(unsupported())
    }

    pub(super) async fn connect_abstract(_: &[u8]) -> io::Result<Io> {
        Err(unsupported())
    }

    fn unsupported() -> io::Error {
        let why = "this system has no Unix sockets";
        io::Error::new(io::ErrorKind::Unsupported, why)
    }
}

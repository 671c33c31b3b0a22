//! Who is at the other end of a connection.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

/// The other end of a call's connection. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peer(Arc<PeerParts>);

#[derive(Debug)]
struct PeerParts {
    address: PeerAddress,
    certificates: Option<Vec<Bytes>>,
}

/// Where a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerAddress {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A socket in the file system, or without a name.
    Unix,
    /// A pipe in this process.
    InProcess,
    /// What a client's dialer was told to reach.
    Named(Arc<str>),
}

impl Peer {
    /// A peer at `address` on a connection without TLS.
    pub fn new(address: PeerAddress) -> Self {
        Self(Arc::new(PeerParts {
            address,
            certificates: None,
        }))
    }

    /// A peer at `address` on a TLS connection that showed `certificates`, its own first, each in
    /// DER. Empty if it was not asked for one, or had none.
    pub fn with_certificates(address: PeerAddress, certificates: Vec<Bytes>) -> Self {
        Self(Arc::new(PeerParts {
            address,
            certificates: Some(certificates),
        }))
    }

    /// Where the peer is.
    pub fn address(&self) -> &PeerAddress {
        &self.0.address
    }

    /// Whether the connection is TLS.
    pub fn is_tls(&self) -> bool {
        self.0.certificates.is_some()
    }

    /// The certificates that the peer proved to own, its own first, each in DER; verified against
    /// the client authorities of the server's TLS configuration. Empty without a client certificate.
    pub fn certificates(&self) -> &[Bytes] {
        self.0.certificates.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.address, f)
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => fmt::Display::fmt(address, f),
            Self::Unix => f.write_str("unix"),
            Self::InProcess => f.write_str("in-process"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

//! A client's side of TLS.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use rustls::RootCertStore;
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::TlsConnector;

use super::client_stream::ClientStream;
use super::error::{TlsError, TlsPart};
use super::failure::{explain_handshake, no_h2};
use super::first_bytes::FirstBytes;
use super::handshake::{ALPN_H2, offer_h2, provider};
use super::pem::{certificates, private_key, roots};
use super::verifier::ServerVerifier;
use crate::transport::{ByteStream, Io};

/// A client's side of TLS: whom to trust, and who we are. Clones share one configuration, so that
/// [`replace`](Self::replace) on one changes it for all.
///
/// TLS is of version 1.2 or 1.3, and the certificate of the server and its host name are always
/// verified. A server certificate that is its own authority, as `openssl req -x509` makes them, is
/// accepted when it is itself among the roots that were given.
///
/// # Example
///
/// ```no_run
/// use barewire::ClientTls;
///
/// let roots = std::fs::read("ca.pem")?;
/// let tls = ClientTls::with_roots(&roots)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ClientTls {
    config: Arc<RwLock<Arc<rustls::ClientConfig>>>,
    expected: Option<Expected>,
}

/// The name that a server must have, whatever it was connected to by.
#[derive(Clone)]
struct Expected {
    text: Arc<str>,
    name: ServerName<'static>,
}

impl ClientTls {
    /// Trusts the roots of the system. It reads files, so that it is for a program's start; keep it
    /// and clone it.
    ///
    /// Where `SSL_CERT_FILE` is set in the environment, or `SSL_CERT_DIR`, the roots are there instead.
    ///
    /// # Errors
    ///
    /// [`TlsError::NoSystemRoots`] if there are none.
    pub fn system() -> Result<Self, TlsError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Systems keep some that nobody can read any more.
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let problems = found.errors.iter().map(ToString::to_string);
            return Err(TlsError::NoSystemRoots(problems.collect()));
        }
        Self::verifying(ServerVerifier::new(roots, Vec::new())?)
    }

    /// Trusts the certificates of `pem` and what they have signed, and nobody else.
    ///
    /// # Errors
    ///
    /// Text that is not PEM, or holds something else.
    pub fn with_roots(pem: &[u8]) -> Result<Self, TlsError> {
        let given = certificates(TlsPart::Roots, pem)?;
        let roots = roots(&given).map_err(TlsError::Root)?;
        Self::verifying(ServerVerifier::new(roots, given)?)
    }

    /// A client with a rustls configuration of one's own, which verifies servers as it likes. ALPN may
    /// be left empty: it is `h2` then.
    ///
    /// # Errors
    ///
    /// [`TlsError::Alpn`] if it names protocols and `h2` is not among them.
    pub fn from_config(mut config: rustls::ClientConfig) -> Result<Self, TlsError> {
        offer_h2(&mut config.alpn_protocols)?;
        Ok(Self {
            config: Arc::new(RwLock::new(Arc::new(config))),
            expected: None,
        })
    }

    /// Shows `certificate_chain`, our own certificate first, to a server that asks for one, and proves
    /// it with `key`, both in PEM. Clones that were made before stay without.
    ///
    /// # Errors
    ///
    /// Text that is not PEM or holds something else; a key that does not fit.
    pub fn identity(self, certificate_chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates(TlsPart::CertificateChain, certificate_chain)?;
        let key = private_key(key)?;
        let mut config = rustls::ClientConfig::clone(&self.current());
        let identity = CertifiedKey::from_der(chain, key, config.crypto_provider())?;
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity));
        Ok(Self {
            config: Arc::new(RwLock::new(Arc::new(config))),
            ..self
        })
    }

    /// Takes the server for `name`, a host name or an IP address, whatever it was connected to by: the
    /// certificate must be for it, and the `:authority` of calls is this name.
    ///
    /// It is for tests, tunnels and proxies: a server that is reached under its own name needs none.
    ///
    /// # Errors
    ///
    /// [`TlsError::ServerName`] if no certificate could have this name.
    pub fn server_name(self, name: &str) -> Result<Self, TlsError> {
        let expected = Expected {
            text: name.into(),
            name: parse_name(name).ok_or_else(|| TlsError::ServerName(name.to_owned()))?,
        };
        Ok(Self {
            expected: Some(expected),
            ..self
        })
    }

    /// From here on, new connections are made with the roots and the identity of `other`: they can be
    /// renewed without a new channel. Connections that exist go on as they began, and the server's
    /// name stays.
    pub fn replace(&self, other: &Self) {
        let new = other.current();
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// Shakes hands on `io` with a server that is `host`, a name or an IP address without a port.
    /// Yields the byte stream inside TLS and the certificates that the server showed, its own first,
    /// each in DER.
    ///
    /// A channel does this by itself. Here it is for who makes byte streams of their own, such as
    /// through a tunnel.
    ///
    /// # Errors
    ///
    /// A handshake that failed, or did not settle on `h2`. The text says why, and what to try.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connection.
    pub async fn handshake(
        &self,
        io: impl ByteStream + 'static,
        host: &str,
    ) -> io::Result<(Box<dyn ByteStream>, Vec<Bytes>)> {
        self.connect(Box::new(io), host).await
    }

    /// As [`handshake`](Self::handshake).
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connection.
    pub(crate) async fn connect(&self, io: Io, host: &str) -> io::Result<(Io, Vec<Bytes>)> {
        let name = match &self.expected {
            Some(expected) => expected.name.clone(),
            None => parse_name(host).ok_or_else(|| not_a_name(host))?,
        };
        let connector = TlsConnector::from(self.current());
        let connecting = connector.connect(name, FirstBytes::new(io));
        let stream = match connecting.into_fallible().await {
            Ok(stream) => stream,
            Err((error, io)) => return Err(explain_handshake(error, &io)),
        };
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(ALPN_H2) {
            return Err(no_h2(session.alpn_protocol()));
        }
        let certificates = session.peer_certificates().unwrap_or_default();
        let certificates = certificates
            .iter()
            .map(|der| Bytes::copy_from_slice(der))
            .collect();
        Ok((Box::new(ClientStream::new(stream)), certificates))
    }

    /// What `:authority` is instead of the target's.
    pub(crate) fn authority_override(&self) -> Option<&str> {
        self.expected.as_ref().map(|expected| &*expected.text)
    }

    fn verifying(verifier: ServerVerifier) -> Result<Self, TlsError> {
        let config = rustls::ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Self::from_config(config)
    }

    fn current(&self) -> Arc<rustls::ClientConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTls")
            .field("server_name", &self.authority_override())
            .finish_non_exhaustive()
    }
}

// A target has brackets around an IPv6 address. RFC 3986 §3.2.2.
fn parse_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    ServerName::try_from(bare.unwrap_or(host).to_owned()).ok()
}

fn not_a_name(host: &str) -> io::Error {
    let why = format!(
        "no certificate can be for {host:?}, which is neither a host name nor an IP address; say \
         which name to expect (ClientTls::server_name, --server-name)"
    );
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

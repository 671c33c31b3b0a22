//! A server's side of TLS.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::error::{TlsError, TlsPart};
use super::handshake::{ALPN_H2, offer_h2, provider};
use super::pem::{certificates, private_key, roots};
use crate::transport::{ByteStream, Io};

/// A server's side of TLS. Clones share one configuration, so that [`replace`](Self::replace) on one
/// changes it for all.
#[derive(Clone)]
pub struct ServerTls(Arc<RwLock<Arc<rustls::ServerConfig>>>);

/// Whether clients show certificates, and whose.
#[derive(Clone, Copy, Debug)]
pub enum ClientCertificates<'a> {
    /// They are not asked.
    None,
    /// They may; one that is shown must come from these authorities, in PEM.
    Optional(&'a [u8]),
    /// They must, from these authorities, in PEM.
    Required(&'a [u8]),
}

impl ServerTls {
    /// A server that proves itself with `certificate_chain`, its own certificate first, and `key`,
    /// both in PEM.
    ///
    /// # Errors
    ///
    /// Text that is not PEM or holds something else; a key that does not fit.
    pub fn from_pem(
        certificate_chain: &[u8],
        key: &[u8],
        clients: ClientCertificates<'_>,
    ) -> Result<Self, TlsError> {
        let chain = certificates(TlsPart::CertificateChain, certificate_chain)?;
        let key = private_key(key)?;
        let provider = provider();
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match clients {
            ClientCertificates::None => builder.with_no_client_auth(),
            ClientCertificates::Optional(authorities) => {
                let roots = client_roots(authorities)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
            }
            ClientCertificates::Required(authorities) => {
                let roots = client_roots(authorities)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let config = builder.with_single_cert(chain, key)?;
        Self::from_config(config)
    }

    /// A server with a rustls configuration of one's own. ALPN may be left empty: it is `h2` then.
    ///
    /// # Errors
    ///
    /// [`TlsError::Alpn`] if it names protocols and `h2` is not among them.
    pub fn from_config(mut config: rustls::ServerConfig) -> Result<Self, TlsError> {
        offer_h2(&mut config.alpn_protocols)?;
        Ok(Self(Arc::new(RwLock::new(Arc::new(config)))))
    }

    /// From here on, new connections are served with the configuration of `other`: certificates can
    /// be renewed without a restart. Connections that exist go on as they began.
    pub fn replace(&self, other: &Self) {
        let new = other.current();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    fn current(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shakes hands on `io`; yields the byte stream and the certificates that the client showed.
    ///
    /// # Errors
    ///
    /// A handshake that failed, or did not settle on `h2`.
    ///
    /// # Cancel safety
    ///
    /// Dropping it closes the connection.
    pub(crate) async fn accept(&self, io: Io) -> io::Result<(Io, Vec<Bytes>)> {
        let acceptor = TlsAcceptor::from(self.current());
        let stream = match acceptor.accept(io).into_fallible().await {
            Ok(stream) => stream,
            Err((error, io)) => {
                linger(io).await;
                return Err(error);
            }
        };
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(ALPN_H2) {
            linger(stream).await;
            let why = "the client does not offer h2 by ALPN";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        let certificates = session.peer_certificates().unwrap_or_default();
        let certificates = certificates
            .iter()
            .map(|der| Bytes::copy_from_slice(der))
            .collect::<Vec<_>>();
        Ok((Box::new(stream), certificates))
    }
}

/// How long a client whose handshake failed may take to read why it is not let in.
const LINGER: Duration = Duration::from_secs(1);
/// How much of what it says meanwhile is read and dropped.
const LINGER_BYTES: u64 = 64 * 1024;

/// Ends our direction and reads what still comes. A client of TLS 1.3 speaks on before it is judged,
/// and a socket that is closed with bytes unread resets the connection: the reset would overtake the
/// alert that says why.
async fn linger(mut io: impl ByteStream) {
    let farewell = async {
        io.shutdown().await?;
        tokio::io::copy(&mut io.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    // The client may have been faster, or may not listen at all.
    let _ = timeout(LINGER, farewell).await;
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

fn client_roots(pem: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    let authorities = certificates(TlsPart::ClientAuthorities, pem)?;
    let roots = roots(&authorities).map_err(TlsError::Authority)?;
    Ok(Arc::new(roots))
}

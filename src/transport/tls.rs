//! TLS by rustls, with ALPN `h2`.
//!
//! A connection whose handshake does not settle on `h2` is closed: gRPC over TLS is HTTP/2 or nothing.
//! The cryptography is that of `ring`, asked for by name, so that another crate that links another
//! provider changes nothing here.
//!
//! Spec: RFC 9113 §3.2, §9.2; RFC 7301.

use std::fmt;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use rustls::RootCertStore;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::Io;

/// The protocol's name in ALPN. RFC 9113 §3.1.
const ALPN_H2: &[u8] = b"h2";

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

/// What is wrong with certificates or keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The text has no certificate in it.
    #[error("there is no certificate in it: looked for -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// The text has no private key in it.
    #[error("there is no private key in it: looked for -----BEGIN PRIVATE KEY----- and its like")]
    NoKey,
    /// The text is not PEM.
    #[error("it is not PEM: {0}")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// rustls does not take it: a key that does not fit its certificate, an authority that is none.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
    /// The client authorities cannot be used.
    #[error("{0}")]
    ClientAuthority(#[from] rustls::server::VerifierBuilderError),
    /// A configuration of one's own names other protocols.
    #[error("its ALPN protocols do not have h2 among them")]
    Alpn,
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
        let chain = certificates(certificate_chain)?;
        let mut keys = PrivateKeyDer::pem_slice_iter(key);
        let key = keys.next().ok_or(TlsError::NoKey)??;
        let provider = provider();
        let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let builder = match clients {
            ClientCertificates::None => builder.with_no_client_auth(),
            ClientCertificates::Optional(authorities) => {
                let roots = Arc::new(roots(authorities)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
            }
            ClientCertificates::Required(authorities) => {
                let roots = Arc::new(roots(authorities)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                builder.with_client_cert_verifier(verifier.build()?)
            }
        };
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        Ok(Self::shared(config))
    }

    /// A server with a rustls configuration of one's own. ALPN may be left empty: it is `h2` then.
    ///
    /// # Errors
    ///
    /// [`TlsError::Alpn`] if it names protocols and `h2` is not among them.
    pub fn from_config(mut config: rustls::ServerConfig) -> Result<Self, TlsError> {
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols = vec![ALPN_H2.to_vec()];
        }
        if !config
            .alpn_protocols
            .iter()
            .any(|protocol| protocol == ALPN_H2)
        {
            return Err(TlsError::Alpn);
        }
        Ok(Self::shared(config))
    }

    /// From here on, new connections are served with the configuration of `other`: certificates can
    /// be renewed without a restart. Connections that exist go on as they began.
    pub fn replace(&self, other: &Self) {
        let new = other.current();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    fn shared(config: rustls::ServerConfig) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    fn current(&self) -> Arc<rustls::ServerConfig> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shakes hands on `io`; yields the byte stream and the certificates that the client showed.
    ///
    /// # Errors
    ///
    /// A handshake that failed, or did not settle on `h2`.
    pub(crate) async fn accept(&self, io: Io) -> io::Result<(Io, Vec<Bytes>)> {
        let stream = TlsAcceptor::from(self.current()).accept(io).await?;
        let (_, session) = stream.get_ref();
        if session.alpn_protocol() != Some(ALPN_H2) {
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

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    if chain.is_empty() {
        Err(TlsError::NoCertificate)
    } else {
        Ok(chain)
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

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
use std::time::Duration;

use bytes::Bytes;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{InconsistentKeys, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::{ByteStream, Io};

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
    /// A text has no section of the kind that it is there for.
    #[error("{}", missing_text(part, wanted, found))]
    Missing {
        /// Which text.
        part: TlsPart,
        /// The label of the section that was looked for.
        wanted: &'static str,
        /// The labels of the sections that it has instead.
        found: Vec<String>,
    },
    /// A text is not PEM.
    #[error("{part} is damaged: {}", damage_text(error))]
    Pem {
        /// Which text.
        part: TlsPart,
        /// Where PEM is broken.
        error: PemError,
    },
    /// rustls does not take the chain or the key: one cannot be read, or they do not fit.
    #[error("{}", rejection_text(.0))]
    Rustls(#[from] rustls::Error),
    /// A client authority is no certificate.
    #[error("a client authority cannot be read: {}", reason_text(.0))]
    Authority(#[source] rustls::Error),
    /// The client authorities cannot be used.
    #[error("{0}")]
    ClientAuthority(#[from] rustls::server::VerifierBuilderError),
    /// A configuration of one's own names other protocols.
    #[error("the ALPN protocols of the configuration do not have h2 among them")]
    Alpn,
}

/// One of the texts that [`ServerTls::from_pem`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPart {
    /// What the server shows.
    CertificateChain,
    /// What the server proves it with.
    PrivateKey,
    /// Whose clients are let in.
    ClientAuthorities,
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

/// How long a client may take to read why it is not let in.
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

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn certificates(part: TlsPart, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem { part, error })?;
    if chain.is_empty() {
        Err(missing(part, "CERTIFICATE", pem))
    } else {
        Ok(chain)
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let part = TlsPart::PrivateKey;
    let mut keys = PrivateKeyDer::pem_slice_iter(pem);
    let key = keys.next().ok_or_else(|| missing(part, "PRIVATE KEY", pem));
    key?.map_err(|error| TlsError::Pem { part, error })
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(TlsPart::ClientAuthorities, pem)? {
        roots.add(certificate).map_err(TlsError::Authority)?;
    }
    Ok(roots)
}

fn missing(part: TlsPart, wanted: &'static str, pem: &[u8]) -> TlsError {
    let text = String::from_utf8_lossy(pem);
    let labels = text.lines().filter_map(|line| {
        let label = line.strip_prefix("-----BEGIN ")?;
        Some(label.trim_end().strip_suffix("-----")?.to_owned())
    });
    TlsError::Missing {
        part,
        wanted,
        found: labels.collect(),
    }
}

fn missing_text(part: &TlsPart, wanted: &str, found: &[String]) -> String {
    if found.is_empty() {
        format!("{part} is empty or not PEM: it has no -----BEGIN {wanted}-----")
    } else {
        let found = found.join(", ");
        format!("{part} has no {wanted} in it, only {found}")
    }
}

// The library prints lines as lists of numbers.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest says what it is in words of its own"
)]
fn damage_text(error: &PemError) -> String {
    match error {
        PemError::MissingSectionEnd { end_marker } => {
            // The label alone, whatever the library calls it.
            let label = String::from_utf8_lossy(end_marker);
            format!("the line -----END {label}----- is missing")
        }
        PemError::IllegalSectionStart { line } => {
            let line = String::from_utf8_lossy(line);
            format!("the line {:?} does not end in -----", line.trim_end())
        }
        PemError::Base64Decode(_) => "what stands between BEGIN and END is not base64".to_owned(),
        error => error.to_string(),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest says what it is in words of its own"
)]
fn rejection_text(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "the private key does not belong to the first certificate of the chain".to_owned()
        }
        rustls::Error::InvalidCertificate(_) => {
            format!("the certificate cannot be read: {}", reason_text(error))
        }
        // Made in one place here: of a key that no algorithm knows.
        rustls::Error::General(why) => format!("the private key cannot be used: {why}"),
        error => error.to_string(),
    }
}

// Without the words "invalid peer certificate": the one in question is our own.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest says what it is in words of its own"
)]
fn reason_text(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(why) => format!("{why:?}"),
        error => error.to_string(),
    }
}

impl fmt::Display for TlsPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CertificateChain => "the certificate chain",
            Self::PrivateKey => "the private key",
            Self::ClientAuthorities => "the list of client authorities",
        })
    }
}

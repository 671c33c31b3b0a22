//! What is wrong with certificates and keys, in words.

use std::fmt;

use rustls::InconsistentKeys;
use rustls::pki_types::pem::Error as PemError;

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

/// One of the texts that [`ServerTls::from_pem`](super::ServerTls::from_pem) takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPart {
    /// What the server shows.
    CertificateChain,
    /// What the server proves it with.
    PrivateKey,
    /// Whose clients are let in.
    ClientAuthorities,
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

//! What is wrong with certificates and keys, in words.

use std::fmt;

use rustls::pki_types::pem::Error as PemError;
use rustls::{CertificateError, InconsistentKeys};

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
    /// A root is no certificate.
    #[error("a root cannot be read: {}", reason_text(.0))]
    Root(#[source] rustls::Error),
    /// The authorities or roots cannot be used.
    #[error("{0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    /// A configuration of one's own names other protocols.
    #[error("the ALPN protocols of the configuration do not have h2 among them")]
    Alpn,
    /// The system has no roots. The texts say what was tried.
    #[error("{}", no_roots_text(.0))]
    NoSystemRoots(Vec<String>),
    /// No certificate could have this name.
    #[error("\"{0}\" is no name of a server: write a host name or an IP address, without a port")]
    ServerName(String),
}

/// A text in PEM that TLS is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsPart {
    /// What a server shows, or a client that is asked.
    CertificateChain,
    /// What they prove it with.
    PrivateKey,
    /// Whose clients a server lets in.
    ClientAuthorities,
    /// Whose servers a client trusts.
    Roots,
}

fn missing_text(part: &TlsPart, wanted: &str, found: &[String]) -> String {
    if found.is_empty() {
        format!("{part} is empty or not PEM: it has no -----BEGIN {wanted}-----")
    } else {
        let found = found.join(", ");
        format!("{part} has no {wanted} in it, only {found}")
    }
}

/// Where PEM is broken. The library prints lines as lists of numbers.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest says what it is in words of its own"
)]
pub(crate) fn damage_text(error: &PemError) -> String {
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
        rustls::Error::InvalidCertificate(why) => why_unreadable(why),
        error => error.to_string(),
    }
}

/// Why a certificate is of no use, whoever it is for.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest says what it is in words of its own"
)]
pub(super) fn why_unreadable(why: &CertificateError) -> String {
    match why {
        CertificateError::BadEncoding => "it is no X.509 certificate".to_owned(),
        // webpki's name for it. There is no other way to learn of it.
        CertificateError::Other(other) if other.0.to_string() == "UnsupportedCertVersion" => {
            "it is of X.509 version 1, as openssl x509 -req makes them without -extfile, and version \
             3 is needed, as openssl req -x509 makes them"
                .to_owned()
        }
        CertificateError::Other(other) => other.0.to_string(),
        why => format!("{why:?}"),
    }
}

fn no_roots_text(problems: &[String]) -> String {
    let problems = match problems {
        [] => String::new(),
        problems => format!(": {}", problems.join("; ")),
    };
    format!(
        "the system has no root certificates{problems}; install them (the package is often called \
         ca-certificates), name a file of them in the environment variable SSL_CERT_FILE, or give \
         them yourself (ClientTls::with_roots, --ca)"
    )
}

impl fmt::Display for TlsPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CertificateChain => "the certificate chain",
            Self::PrivateKey => "the private key",
            Self::ClientAuthorities => "the list of client authorities",
            Self::Roots => "the list of roots",
        })
    }
}

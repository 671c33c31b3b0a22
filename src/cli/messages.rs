//! What keeps the command from its work, in one sentence: what, why, and what to try.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::tutorial::RouteDatabaseError;

/// Why `barewire serve` does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// `--addr` is no address.
    #[error(
        "--addr \"{0}\" is not an address: write HOST:PORT, such as 127.0.0.1:50051, [::1]:50051 \
         or localhost:50051"
    )]
    NotAnAddress(String),
    /// The host of `--addr` has no address.
    #[error(
        "cannot find the address of {host}: {}; check the name, or write an IP address",
        reason(why)
    )]
    UnknownHost {
        /// The name.
        host: String,
        /// What the resolver says.
        why: io::Error,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {}", why_not_listen(*address, why))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        why: io::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {} of {flag}: {}", path.display(), why_not_read(why))]
    Unreadable {
        /// Which flag named the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
    /// A certificate without a key.
    #[error(
        "--tls-cert is given without --tls-key: TLS needs both; add --tls-key FILE, or leave out \
         --tls-cert to serve plain text"
    )]
    KeyMissing,
    /// A key without a certificate.
    #[error(
        "--tls-key is given without --tls-cert: TLS needs both; add --tls-cert FILE, or leave out \
         --tls-key to serve plain text"
    )]
    CertificateMissing,
    /// Clients are to show certificates, and there is no TLS.
    #[error(
        "--tls-client-ca is given without --tls-cert and --tls-key: clients show certificates in \
         TLS only; add both, or leave out --tls-client-ca"
    )]
    ClientAuthorityWithoutTls,
    /// Clients are to show certificates, of nobody.
    #[error(
        "--tls-client-auth is given without --tls-client-ca: add --tls-client-ca FILE with the \
         authorities that sign the clients' certificates"
    )]
    ClientAuthorityMissing,
    /// A file has no certificate in it.
    #[error(
        "{path} of {flag} has no certificate in PEM, which begins with -----BEGIN \
         CERTIFICATE-----; a file in DER is converted by: openssl x509 -inform der -in {path} -out \
         certificate.pem",
        path = path.display()
    )]
    NoCertificate {
        /// Which flag named the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A file has no key in it.
    #[error(
        "{path} of --tls-key has no private key in PEM, which begins with -----BEGIN PRIVATE \
         KEY-----; a file in DER is converted by: openssl pkey -inform der -in {path} -out key.pem",
        path = .0.display()
    )]
    NoKey(PathBuf),
    /// A key that only opens with a passphrase.
    #[error(
        "{path} of --tls-key is locked with a passphrase, which a server cannot type; unlock it \
         by: openssl pkey -in {path} -out key.pem",
        path = .0.display()
    )]
    LockedKey(PathBuf),
    /// The key stands where the certificate should.
    #[error(
        "{} of --tls-cert has a private key in it and no certificate: perhaps --tls-cert and \
         --tls-key are to change places",
        .0.display()
    )]
    KeyForCertificate(PathBuf),
    /// A file is damaged.
    #[error("{} of {flag} is damaged: {what}; make it or copy it anew", path.display())]
    DamagedPem {
        /// Which flag named the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The key is another one.
    #[error(
        "the key in {} does not fit the certificate in {}: give the key that the certificate was \
         made with, and begin the file of --tls-cert with the server's own certificate",
        key.display(),
        certificate.display()
    )]
    WrongKey {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// TLS does not take certificate or key.
    #[error(
        "TLS cannot use the certificate in {} with the key in {}: {why}; make them anew",
        certificate.display(),
        key.display()
    )]
    UnusableCertificate {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What TLS says.
        why: String,
    },
    /// TLS does not take the clients' authorities.
    #[error(
        "{} of --tls-client-ca cannot vouch for clients: {why}; give the certificate of the \
         authority that signs theirs",
        path.display()
    )]
    UnusableAuthority {
        /// The file.
        path: PathBuf,
        /// What TLS says.
        why: String,
    },
    /// The route guide's database is no such file.
    #[error(
        "the route database {} is broken at {error}; correct it: a database is a list like \
         [{{\"location\": {{\"latitude\": 409146138, \"longitude\": -746188906}}, \"name\": \
         \"Here\"}}]",
        path.display()
    )]
    RouteDatabase {
        /// The file.
        path: PathBuf,
        /// Where and what.
        error: RouteDatabaseError,
    },
    /// The system refuses something that no flag asks for.
    #[error(
        "cannot {what}: {}; the system is short of something, or forbids it",
        reason(why)
    )]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        why: io::Error,
    },
}

impl StartError {
    pub(super) fn unreadable(flag: &'static str, path: &Path, why: io::Error) -> Self {
        Self::Unreadable {
            flag,
            path: path.to_owned(),
            why,
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "systems have more errors than anyone has words for"
)]
fn why_not_listen(address: SocketAddr, why: &io::Error) -> String {
    let on = |port| SocketAddr::new(address.ip(), port);
    match why.kind() {
        io::ErrorKind::AddrInUse => {
            let next = address.port().checked_add(1).unwrap_or(50051);
            format!(
                "another program listens there; stop it, or choose another port with --addr {}",
                on(next)
            )
        }
        io::ErrorKind::PermissionDenied => format!(
            "this user may not; ports below 1024 are often kept for administrators, so choose a \
             higher one, such as --addr {}",
            on(50051)
        ),
        io::ErrorKind::AddrNotAvailable => format!(
            "this machine does not have that address; choose one that it has, or all of them with \
             --addr 0.0.0.0:{port} and --addr [::]:{port}",
            port = address.port()
        ),
        _ => format!("{}; choose another address with --addr", reason(why)),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "systems have more errors than anyone has words for"
)]
fn why_not_read(why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::NotFound => "there is no such file; check the path".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "this user may not read it; change its permissions, or the user".to_owned()
        }
        io::ErrorKind::IsADirectory => "it is a directory; name a file".to_owned(),
        _ => format!("{}; check the file", reason(why)),
    }
}

/// What the system says, without its number for it.
fn reason(why: &io::Error) -> String {
    let text = why.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_owned()
}

/// The sentence in what clap says of a command line that it does not understand.
pub fn usage_error(rendered: &str) -> String {
    let parts: Vec<&str> = rendered
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(|line| line.trim().trim_matches(['[', ']']))
        .filter(|line| !line.is_empty())
        .collect();
    let sentence = parts.join("; ");
    let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
    format!("{sentence}; barewire serve --help tells what there is")
}

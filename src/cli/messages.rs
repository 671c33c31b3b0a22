//! What keeps the command from its work, in one sentence: what, why, and what to try.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::tutorial::RouteDatabaseError;
use crate::{Code, Origin, Status, TlsError};

/// Why a command does not start.
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
    /// A port cannot be listened on.
    #[error("cannot listen on port {port}: {}", why_not_listen_on_port(*port, why))]
    ListenOnPort {
        /// The port.
        port: u16,
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
    /// A client's certificate without a key.
    #[error(
        "--cert is given without --key: a client proves its certificate with the key; add --key \
         FILE, or leave out --cert to show none"
    )]
    ClientKeyMissing,
    /// A client's key without a certificate.
    #[error(
        "--key is given without --cert: a client shows a certificate and proves it with the key; add \
         --cert FILE, or leave out --key to show none"
    )]
    ClientCertificateMissing,
    /// TLS for the interop tests, and no certificate.
    #[error(
        "--use_tls is given without {missing}: the server shows a certificate and proves it with the \
         key; add --tls_cert_file FILE and --tls_key_file FILE, such as server1.pem and server1.key \
         of grpc's test credentials, or leave out --use_tls"
    )]
    InteropServerTls {
        /// The flags that are not there.
        missing: &'static str,
    },
    /// The authority of the interop tests is to be trusted, and is not there.
    #[error(
        "--use_test_ca is given without --ca_file: add --ca_file FILE with the authority that signed \
         the server's certificate, such as ca.pem of grpc's test credentials, or leave out \
         --use_test_ca to trust the roots of the system"
    )]
    InteropAuthorityMissing,
    /// There is no such interop test.
    #[error("--test_case \"{name}\" is none of these: {}, all", known.join(", "))]
    UnknownCase {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// An interop test that is left out on purpose.
    #[error("--test_case {name} is not among ours: it wants {wants}")]
    CaseLeftOut {
        /// What was asked for.
        name: &'static str,
        /// What it would take.
        wants: &'static str,
    },
    /// A service config is none.
    #[error("--service_config_json is no service config: {why}")]
    ServiceConfig {
        /// What is wrong with it.
        why: String,
    },
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
        "{path} of {flag} has no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----; \
         a file in DER is converted by: openssl pkey -inform der -in {path} -out key.pem",
        path = path.display()
    )]
    NoKey {
        /// Which flag named the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A key that only opens with a passphrase.
    #[error(
        "{path} of {flag} is locked with a passphrase, which nobody is asked for; unlock it by: \
         openssl pkey -in {path} -out key.pem",
        path = path.display()
    )]
    LockedKey {
        /// Which flag named the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The key stands where the certificate should.
    #[error(
        "{} of {flag} has a private key in it and no certificate: perhaps the files of certificate \
         and key are to change places",
        path.display()
    )]
    KeyForCertificate {
        /// Which flag named the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
    },
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
         made with, and begin the file of {flag} with that certificate",
        key.display(),
        certificate.display()
    )]
    WrongKey {
        /// Which flag named the file of the certificate.
        flag: &'static str,
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
    /// TLS does not take the authorities.
    #[error(
        "{} of {flag} cannot vouch for anyone: {why}; give the certificate of an authority, or of \
         who is its own",
        path.display()
    )]
    UnusableAuthority {
        /// Which flag named the file.
        flag: &'static str,
        /// The file.
        path: PathBuf,
        /// What TLS says.
        why: String,
    },
    /// TLS cannot be set up, for no fault of a file.
    #[error("{0}")]
    Tls(TlsError),
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
fn why_not_listen_on_port(port: u16, why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::AddrInUse => {
            let next = port.checked_add(1).unwrap_or(10000);
            format!("another program listens there; stop it, or choose another with --port {next}")
        }
        io::ErrorKind::PermissionDenied => {
            "this user may not; ports below 1024 are often kept for administrators, so choose a \
             higher one, such as --port 10000"
                .to_owned()
        }
        _ => format!("{}; choose another with --port", reason(why)),
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
    without_error_number(&why.to_string())
}

fn without_error_number(text: &str) -> String {
    match text.split_once(" (os error ") {
        Some((before, rest)) => match rest.split_once(')') {
            Some((_, after)) => format!("{before}{after}"),
            None => before.to_owned(),
        },
        None => text.to_owned(),
    }
}

/// Why a command that calls a server does not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It does not even start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The address is none.
    #[error("{}", printable(&.0.message))]
    Target(Status),
    /// A call ended badly.
    #[error("{}", why_ended(address, status))]
    Ended {
        /// Where the server is, as the command line has it.
        address: String,
        /// How the call ended.
        status: Status,
    },
    /// What came cannot be printed.
    #[error("cannot print what came: {}; check where the output goes", reason(.0))]
    Print(io::Error),
}

fn why_ended(address: &str, status: &Status) -> String {
    let code = status.code;
    let message = printable(&without_error_number(&status.message));
    // Of a connection that did not come to be the message says all that is known, the remedy too if
    // there is one. Of several addresses it says what the last one had to say.
    let has_remedy = || {
        let last = message.rsplit_once("; the last: ");
        last.map_or(&*message, |(_, last)| last).contains("; ")
    };
    match status.origin {
        Origin::Local if code == Code::Unavailable && has_remedy() => message,
        Origin::Local if code == Code::Unavailable => format!(
            "{message}; check that a server listens at {address}, or start one: barewire serve"
        ),
        Origin::Local if code == Code::DeadlineExceeded => {
            format!("{message}; wait longer with --timeout")
        }
        Origin::Local => format!("the call of {address} failed with {code}: {message}"),
        Origin::Peer if code == Code::Unimplemented => format!(
            "{address} ended the call with {code}: {message}; check that it serves this tutorial"
        ),
        Origin::Peer => format!("{address} ended the call with {code}: {message}"),
    }
}

/// Of what a terminal is shown, a server must not choose the control characters.
fn printable(text: &str) -> String {
    let mut printable = String::new();
    for letter in text.chars() {
        if letter.is_control() {
            printable.extend(letter.escape_default());
        } else {
            printable.push(letter);
        }
    }
    printable
}

/// The sentence in what clap says of a command line that it does not understand. `command` is the part
/// of it that was understood, and `names` what may follow that, if something else did.
pub fn usage_error(rendered: &str, command: &str, names: &[&str]) -> String {
    let parts: Vec<&str> = rendered
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(|line| line.trim().trim_matches(['[', ']']))
        .filter(|line| !line.is_empty())
        .collect();
    let sentence = parts.join("; ");
    let sentence = sentence.strip_prefix("error: ").unwrap_or(&sentence);
    let names = if names.is_empty() {
        String::new()
    } else {
        format!("; there are {}", names.join(", "))
    };
    format!("{sentence}{names}; {command} --help tells what there is")
}

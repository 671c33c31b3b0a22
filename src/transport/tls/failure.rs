//! Why TLS failed, in a sentence with the remedy.
//!
//! In TLS 1.3 a client has finished its handshake before the server has looked at its certificate, so
//! that a refusal comes as an error of the first read. RFC 8446 §4.4.2.4, §6.2.

use std::io;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

use super::error::why_unreadable;
use super::first_bytes::FirstBytes;

/// What rustls says, and above it what that means here.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
struct TlsFailure {
    sentence: String,
    source: Error,
}

/// What a handshake failed of, and the bytes that came.
pub(super) fn explain_handshake(error: io::Error, io: &FirstBytes) -> io::Error {
    if let Some(instead) = io.instead_of_tls() {
        let why = format!(
            "the peer does not speak TLS: {instead}; connect without TLS (http://), or to its port \
             for TLS"
        );
        return io::Error::new(error.kind(), why);
    }
    if !is_lost(&error) {
        return explain(error);
    }
    let why = if io.is_empty() {
        "the peer closed the connection when it was greeted in TLS; if it speaks none, connect \
         without (http://)"
    } else {
        "the server closed the connection in the middle of the TLS handshake and did not say why"
    };
    io::Error::new(error.kind(), why)
}

/// What the first read after a handshake failed of. grpcio closes the connection to a client that it
/// does not accept, and sends no alert.
pub(super) fn explain_first_read(error: io::Error) -> io::Error {
    if !is_lost(&error) {
        return explain(error);
    }
    let why = format!(
        "the server closed the connection after the TLS handshake and did not say why; if it wants a \
         client certificate, {GIVE_IDENTITY}"
    );
    io::Error::new(error.kind(), why)
}

/// What a later read failed of.
pub(super) fn explain_read(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        let why = "the server closed the connection without the close_notify of TLS";
        return io::Error::new(error.kind(), why);
    }
    explain(error)
}

/// Both agreed on TLS, but on no protocol inside it, or on one that is not HTTP/2.
pub(super) fn no_h2(agreed: Option<&[u8]>) -> io::Error {
    let instead = match agreed {
        Some(protocol) => format!("but on {}", protocol.escape_ascii()),
        None => "nor on anything else".to_owned(),
    };
    let why = format!("{NO_H2}, {instead}; {H2_REMEDY}");
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn is_lost(error: &io::Error) -> bool {
    let lost = [
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::BrokenPipe,
    ];
    lost.contains(&error.kind())
}

// What rustls says is the source of the new error. What is not of rustls stays as it is.
fn explain(error: io::Error) -> io::Error {
    let kind = error.kind();
    match error.downcast::<Error>() {
        Ok(source) => {
            let sentence = sentence(&source);
            io::Error::new(kind, TlsFailure { sentence, source })
        }
        Err(error) => error,
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest says what it is in words of its own"
)]
fn sentence(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(why) => certificate_sentence(why),
        Error::AlertReceived(alert) => alert_sentence(*alert),
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => "the server's version of TLS is not one that is taken here; TLS 1.2 is the least"
            .to_owned(),
        error => format!("TLS failed: {error}"),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest says what it is in words of its own"
)]
fn certificate_sentence(why: &CertificateError) -> String {
    let what = match why {
        CertificateError::UnknownIssuer => {
            format!("is not signed by a known authority; {GIVE_ROOT}")
        }
        CertificateError::NotValidForNameContext {
            expected,
            presented,
        } => names_text(expected, presented),
        CertificateError::ExpiredContext { time, not_after } => format!(
            "expired {} ago; {CHECK_CLOCK}",
            duration_text(*not_after, *time)
        ),
        CertificateError::NotValidYetContext { time, not_before } => format!(
            "is valid only {} from now; {CHECK_CLOCK}",
            duration_text(*time, *not_before)
        ),
        CertificateError::BadSignature => {
            "is not signed by the authority that it names, or the server does not have its key"
                .to_owned()
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not meant for servers: serverAuth is not among its extended key usages".to_owned()
        }
        // webpki's name for it. There is no other way to learn of it.
        CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity" => format!(
            "is an authority's own, as openssl req -x509 makes them, and none of the roots that were \
             given; {GIVE_ROOT}"
        ),
        why => format!("cannot be used: {}", why_unreadable(why)),
    };
    format!("the server's certificate {what}")
}

const GIVE_ROOT: &str = "give the certificate of its authority as a root, or this one if it is its \
                         own (ClientTls::with_roots, --ca)";
const CHECK_CLOCK: &str = "renew it, or set the clock of this machine";
const GIVE_IDENTITY: &str = "give one that it accepts (ClientTls::identity, --cert and --key)";

fn names_text(expected: &ServerName<'_>, presented: &[String]) -> String {
    let host = expected.to_str();
    // As webpki prints them: DnsName("a.example"), IpAddress(127.0.0.1), and what is no host.
    let names = presented.iter().filter_map(|name| {
        name.strip_prefix("DnsName(\"")
            .and_then(|name| name.strip_suffix("\")"))
            .or_else(|| name.strip_prefix("IpAddress(")?.strip_suffix(')'))
    });
    let names = names.collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        let is_address = matches!(expected, ServerName::IpAddress(_));
        let kind = if is_address { "IP" } else { "DNS" };
        return format!(
            "names no host in a subjectAltName, and so is not for {host}; make it anew, with \
             openssl: -addext subjectAltName={kind}:{host}"
        );
    }
    format!(
        "is for {names}, not for {host}; connect to a name that it has, or say which one to expect \
         (ClientTls::server_name, --server-name)"
    )
}

/// From the earlier to the later.
fn duration_text(earlier: UnixTime, later: UnixTime) -> String {
    const UNITS: [(u64, &str); 3] = [(24 * 60 * 60, "days"), (60 * 60, "hours"), (60, "minutes")];
    let seconds = later.as_secs().saturating_sub(earlier.as_secs());
    let largest = UNITS.iter().find(|(length, _)| seconds >= 2 * length);
    match largest {
        Some((length, name)) => format!("{} {name}", seconds / length),
        None => format!("{seconds} s"),
    }
}

// The name of the alert stands in each, for those who look it up. RFC 8446 §6.2.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "of the rest there is nothing to say that would help"
)]
fn alert_sentence(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => {
            format!("the server wants a client certificate (alert {alert:?}); {GIVE_IDENTITY}")
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied => format!(
            "the server does not accept the client's certificate, or misses one (alert {alert:?}); \
             {GIVE_IDENTITY}"
        ),
        Alert::HandshakeFailure => format!(
            "the server and the client have no way of TLS in common, or the server wants a client \
             certificate (alert {alert:?}); {GIVE_IDENTITY}"
        ),
        Alert::NoApplicationProtocol => format!("{NO_H2} (alert {alert:?}); {H2_REMEDY}"),
        Alert::ProtocolVersion => {
            format!("the server takes none of the versions 1.2 and 1.3 of TLS (alert {alert:?})")
        }
        Alert::UnrecognisedName => format!(
            "the server knows no host of this name (alert {alert:?}); connect to a name that it has, \
             or say which one to ask for (ClientTls::server_name, --server-name)"
        ),
        alert => format!("the server ended TLS with the alert {alert:?}"),
    }
}

const NO_H2: &str = "the server does not agree on h2 by ALPN";
const H2_REMEDY: &str =
    "check that a gRPC server listens there, and that what stands before it passes HTTP/2 on";

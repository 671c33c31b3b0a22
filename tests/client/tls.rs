//! A client's TLS: whom it trusts, what it shows, and what it says when there is no connection.
//!
//! The servers are bare tokio-rustls on a pipe in memory, which can be made to do what a good server
//! would not; at the end stand our own.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use barewire::{ClientCertificates, ClientTls, Server, ServerTls, TlsError};
use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, DnValue, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{HandshakeKind, RootCertStore, SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::identities::{Identity, named};
use crate::tokio;

/// Longer than anything here takes, shorter than anyone waits for a test that hangs.
const PATIENCE: Duration = Duration::from_secs(20);

const TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
const TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

impl Identity {
    /// Signed by itself: what `openssl req -x509 -subj /CN=localhost` makes, and then as changed.
    fn tutorial(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = named(&["localhost"]);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.use_authority_key_identifier_extension = true;
        change(&mut parameters);
        Self::self_signed(parameters)
    }

    /// A client that trusts it.
    fn trusted(&self) -> ClientTls {
        ClientTls::with_roots(self.pem().as_bytes()).unwrap()
    }

    /// What a server shows and signs with, whether or not rustls would take it.
    fn shown(&self) -> CertifiedKey {
        certified(&self.der(), &self.key)
    }
}

fn certified(der: &CertificateDer<'static>, key: &KeyPair) -> CertifiedKey {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let key = ring::sign::any_supported_type(&key).unwrap();
    CertifiedKey::new(vec![der.clone()], key)
}

fn pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn dns(names: &[&str]) -> Vec<SanType> {
    names
        .iter()
        .map(|name| SanType::DnsName((*name).try_into().unwrap()))
        .collect()
}

/// What both ends learned of each other.
#[derive(Debug)]
struct Met {
    certificates: Vec<Bytes>,
    server_name: Option<String>,
    kind: HandshakeKind,
    version: Option<rustls::ProtocolVersion>,
    shown: Vec<CertificateDer<'static>>,
}

/// A server's configuration, for `h2`.
fn server(
    identity: CertifiedKey,
    versions: &[&'static SupportedProtocolVersion],
) -> rustls::ServerConfig {
    let mut config =
        rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// As [`server`], but clients must show a certificate from `authority`.
fn asking_server(
    identity: CertifiedKey,
    versions: &[&'static SupportedProtocolVersion],
    authority: &Identity,
) -> rustls::ServerConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// The client connects to the server as `host`, and five bytes go there and back. What goes wrong is
/// what the client says of it.
async fn meet(tls: &ClientTls, host: &str, server: rustls::ServerConfig) -> Result<Met, String> {
    meet_again(tls, host, &Arc::new(server)).await
}

async fn meet_again(
    tls: &ClientTls,
    host: &str,
    server: &Arc<rustls::ServerConfig>,
) -> Result<Met, String> {
    let (near, far) = duplex(64 * 1024);
    let client = async {
        let (mut io, certificates) = tls.handshake(near, host).await?;
        io.write_all(b"hello").await?;
        io.flush().await?;
        let mut echo = Vec::new();
        io.read_to_end(&mut echo).await?;
        assert_eq!(echo, b"hello");
        io::Result::Ok(certificates)
    };
    let server = async {
        let mut io = TlsAcceptor::from(Arc::clone(server)).accept(far).await?;
        let mut bytes = [0; 5];
        io.read_exact(&mut bytes).await?;
        io.write_all(&bytes).await?;
        io.shutdown().await?;
        let (_, session) = io.get_ref();
        io::Result::Ok(Met {
            certificates: Vec::new(),
            server_name: session.server_name().map(str::to_owned),
            kind: session.handshake_kind().unwrap(),
            version: session.protocol_version(),
            shown: session.peer_certificates().unwrap_or_default().to_vec(),
        })
    };
    let met = timeout(PATIENCE, async { tokio::join!(client, server) });
    match met.await.expect("an end in time") {
        (Ok(certificates), Ok(met)) => Ok(Met {
            certificates,
            ..met
        }),
        (Err(error), _) => Err(error.to_string()),
        (Ok(_), Err(error)) => panic!("the server failed alone: {error}"),
    }
}

/// [`meet`] with each version of TLS: both must end alike.
async fn meet_in_both(
    tls: &ClientTls,
    host: &str,
    identity: impl Fn() -> CertifiedKey,
) -> Result<Met, String> {
    let met = meet(tls, host, server(identity(), TLS12)).await;
    let again = meet(tls, host, server(identity(), TLS13)).await;
    assert_eq!(met.as_ref().err(), again.as_ref().err(), "{host}");
    again
}

const GIVE_ROOT: &str = "give the certificate of its authority as a root, or this one if it is its own (ClientTls::with_roots, --ca)";
const OTHER_NAME: &str = "connect to a name that it has, or say which one to expect (ClientTls::server_name, --server-name)";

/// One row of a table: how a certificate differs, the host, and what is wrong.
type Row<'a> = (&'a dyn Fn(&mut CertificateParams), &'a str, Option<String>);

#[tokio::test]
#[rustfmt::skip]
async fn a_certificate_that_is_itself_a_root_is_verified_as_any_other() {
    let is_for = |names: &str, host: &str| {
        Some(format!("the server's certificate is for {names}, not for {host}; {OTHER_NAME}"))
    };
    let has_none = |host: &str, name: &str| {
        Some(format!("the server's certificate names no host in a subjectAltName, and so is not for {host}; make it anew, with openssl: -addext subjectAltName={name}"))
    };
    let purpose = || Some("the server's certificate is not meant for servers: serverAuth is not among its extended key usages".to_owned());
    let client_auth = || vec![ExtendedKeyUsagePurpose::ClientAuth];
    let both = || vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    let any = || vec![ExtendedKeyUsagePurpose::Any];
    let ip = |text: &str| vec![SanType::IpAddress(text.parse().unwrap())];
    let second = || DnType::CustomDnType(vec![2, 5, 4, 3]); // a common name, unseen by rcgen
    let printable = || DnValue::PrintableString("localhost".try_into().unwrap());
    let mail = || vec![SanType::Rfc822Name("you@localhost".try_into().unwrap())];
    let critical = || {
        let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        unknown.set_criticality(true);
        vec![unknown]
    };
    let rows: &[Row<'_>] = &[
        // what differs from the tutorials' certificate                         host               what is wrong
        (&|_| {},                                                               "localhost",       None), // the common name
        (&|_| {},                                                               "LocalHost",       None),
        (&|_| {},                                                               "localhost.",      None),
        (&|c| c.distinguished_name.push(DnType::CountryName, "DE"),             "localhost",       None),
        (&|c| c.distinguished_name.push(DnType::CommonName, printable()),       "localhost",       None), // of another type
        (&|_| {},                                                               "other.example",   is_for("localhost", "other.example")),
        (&|_| {},                                                               "a.localhost",     is_for("localhost", "a.localhost")),
        (&|c| c.distinguished_name = named(&["127.0.0.1"]),                     "127.0.0.1",       has_none("127.0.0.1", "IP:127.0.0.1")),
        (&|c| c.distinguished_name = named(&["*.example"]),                     "a.example",       has_none("a.example", "DNS:a.example")),
        (&|c| c.distinguished_name.push(second(), "localhost"),                 "localhost",       has_none("localhost", "DNS:localhost")),
        (&|c| c.distinguished_name = named(&[]),                                "localhost",       has_none("localhost", "DNS:localhost")),
        // The common name counts only where there is no other.
        (&|c| c.subject_alt_names = dns(&["localhost"]),                        "localhost",       None),
        (&|c| c.subject_alt_names = dns(&["a.example", "*.b.example"]),         "c.b.example",     None),
        (&|c| c.subject_alt_names = dns(&["a.example", "*.b.example"]),         "localhost",       is_for("a.example, *.b.example", "localhost")),
        (&|c| c.subject_alt_names = mail(),                                     "localhost",       has_none("localhost", "DNS:localhost")),
        (&|c| c.subject_alt_names = ip("127.0.0.1"),                            "127.0.0.1",       None),
        (&|c| c.subject_alt_names = ip("::1"),                                  "::1",             None),
        (&|c| c.subject_alt_names = ip("::1"),                                  "[::1]",           None),
        (&|c| c.subject_alt_names = ip("127.0.0.1"),                            "localhost",       is_for("127.0.0.1", "localhost")),
        (&|c| c.subject_alt_names = ip("127.0.0.1"),                            "127.0.0.2",       is_for("127.0.0.1", "127.0.0.2")),
        // It need not be an authority's, and may be one's that may sign only.
        (&|c| c.is_ca = IsCa::NoCa,                                             "localhost",       None),
        (&|c| c.is_ca = IsCa::ExplicitNoCa,                                     "localhost",       None),
        (&|c| c.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)),             "localhost",       None),
        (&|c| c.key_usages = vec![KeyUsagePurpose::KeyCertSign],                "localhost",       None), // webpki does not look at these either
        (&|c| c.extended_key_usages = both(),                                   "localhost",       None),
        (&|c| c.extended_key_usages = client_auth(),                            "localhost",       purpose()),
        (&|c| c.extended_key_usages = any(),                                    "localhost",       purpose()),
        (&|c| c.not_after = date_time_ymd(2049, 12, 31),                        "localhost",       None),
        (&|c| c.not_after = date_time_ymd(2050, 1, 1),                          "localhost",       None), // written in another way from here on
        (&|c| c.not_after = date_time_ymd(9999, 12, 31),                        "localhost",       None),
        (&|c| c.not_before = date_time_ymd(1970, 1, 1),                         "localhost",       None),
        (&|c| c.custom_extensions = critical(),                                 "localhost",       Some("the server's certificate cannot be used: UnsupportedCriticalExtension".to_owned())),
    ];
    for (number, (change, host, expected)) in rows.iter().enumerate() {
        let identity = Identity::tutorial(change);
        let met = meet_in_both(&identity.trusted(), host, || identity.shown()).await;
        assert_eq!(met.as_ref().err(), expected.as_ref(), "row {number}");
        if let Ok(met) = met {
            assert_eq!(met.certificates, [identity.der().to_vec()]);
        }
    }
}

#[tokio::test]
async fn the_dates_of_a_certificate_that_is_itself_a_root_are_kept() {
    let at = |seconds: i64| {
        let moment = SystemTime::now();
        let distance = Duration::from_secs(seconds.unsigned_abs());
        if seconds < 0 {
            moment - distance
        } else {
            moment + distance
        }
    };
    #[rustfmt::skip]
    let rows = [
        // valid from, to, in seconds from now                what is wrong
        (-3600,           3600,                               None),
        (-3600,           -86_400 * 3 - 60,                   Some("expired 3 days ago")), // the wrong way round
        (-86_400 * 9,     -86_400 * 3 - 60,                   Some("expired 3 days ago")),
        (-86_400 * 9,     -3600 * 5 - 60,                     Some("expired 5 hours ago")),
        (-86_400 * 9,     -60 * 7 - 30,                       Some("expired 7 minutes ago")),
        (3600 * 4 + 60,   86_400,                             Some("is valid only 4 hours from now")),
    ];
    for (not_before, not_after, expected) in rows {
        let identity = Identity::tutorial(|parameters| {
            parameters.not_before = at(not_before).into();
            parameters.not_after = at(not_after).into();
        });
        let met = meet_in_both(&identity.trusted(), "localhost", || identity.shown()).await;
        let expected = expected.map(|text| {
            format!("the server's certificate {text}; renew it, or set the clock of this machine")
        });
        assert_eq!(met.err(), expected);
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn a_date_that_is_none_makes_a_certificate_unreadable() {
    let identity = Identity::tutorial(|parameters| {
        parameters.not_before = date_time_ymd(2020, 2, 29);
        parameters.not_after = date_time_ymd(2040, 2, 29);
    });
    let date = b"\x17\x0d400229000000Z";
    let at = identity.der().windows(date.len()).position(|bytes| bytes == date).unwrap();
    let fine: &[&[u8]] = &[
        b"\x17\x0d400229000000Z",
        b"\x17\x0d491231235959Z",
    ];
    let bad: &[&[u8]] = &[
        b"\x17\x0d410229000000Z", // no leap year
        b"\x17\x0d400001000000Z",
        b"\x17\x0d401301000000Z",
        b"\x17\x0d400100000000Z",
        b"\x17\x0d400431000000Z",
        b"\x17\x0d400229240000Z",
        b"\x17\x0d400229006000Z",
        b"\x17\x0d400229000060Z",
        b"\x17\x0d400229000000z",
        b"\x17\x0d4002290000001",
        b"\x17\x0d40022900000 Z",
        b"\x17\x0d+40229000000Z",
        b"\x17\x0d400229000Z+01", // RFC 5280 §4.1.2.5.1 wants seconds and Z
        b"\x18\x0d204002290000Z",
        b"\x18\x0d400229000000Z",
        b"\x04\x0d400229000000Z",
    ];
    let cases = fine.iter().map(|date| (date, None));
    for (date, expected) in cases.chain(bad.iter().map(|date| (date, Some("it is no X.509 certificate")))) {
        let mut der = identity.der().to_vec();
        der[at..at + date.len()].copy_from_slice(date);
        let der = CertificateDer::from(der);
        let tls = ClientTls::with_roots(pem(&der).as_bytes()).unwrap();
        let met = meet_in_both(&tls, "localhost", || certified(&der, &identity.key)).await;
        let expected = expected.map(|why| format!("the server's certificate cannot be used: {why}"));
        assert_eq!(met.err(), expected, "{}", date.escape_ascii());
    }
}

/// An element in DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match content.len() {
        0..=0x7f => vec![tag, length[1]],
        0x80..=0xff => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    [&head, content].concat()
}

/// The elements that stand there, each with its head, and the content of each.
fn elements(mut der: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (head, length) = match der[1] {
            0x81 => (3, usize::from(der[2])),
            0x82 => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
            length => (2, usize::from(length)),
        };
        let (one, rest) = der.split_at(head + length);
        found.push((one, &one[head..]));
        der = rest;
    }
    found
}

/// The same certificate, as `openssl x509 -req` makes it: without version and extensions.
fn version_1(der: &[u8]) -> CertificateDer<'static> {
    let certificate = elements(elements(der)[0].1);
    let fields = elements(certificate[0].1);
    let fields = fields[1..fields.len() - 1].iter().map(|(field, _)| *field);
    let fields = element(0x30, &fields.collect::<Vec<_>>().concat());
    let whole = [&fields, certificate[1].0, certificate[2].0].concat();
    CertificateDer::from(element(0x30, &whole))
}

const VERSION_1: &str = "it is of X.509 version 1, as openssl x509 -req makes them without -extfile, and version 3 is needed, as openssl req -x509 makes them";

#[tokio::test]
async fn a_certificate_of_version_1_is_refused_in_words() {
    let identity = Identity::tutorial(|_| {});
    let der = version_1(&identity.der());
    // It may be a root, which has signed others.
    let tls = ClientTls::with_roots(pem(&der).as_bytes()).unwrap();
    let signed = identity.sign(|_| {});
    meet_in_both(&tls, "localhost", || signed.shown())
        .await
        .unwrap();

    let met = meet_in_both(&tls, "localhost", || certified(&der, &identity.key)).await;
    let expected = format!("the server's certificate cannot be used: {VERSION_1}");
    assert_eq!(met.unwrap_err(), expected);

    let key = identity.key_pem();
    let expected = format!("the certificate cannot be read: {VERSION_1}");
    let own = tls.identity(pem(&der).as_bytes(), key.as_bytes());
    assert_eq!(own.unwrap_err().to_string(), expected);
    let own = ServerTls::from_pem(
        pem(&der).as_bytes(),
        key.as_bytes(),
        ClientCertificates::None,
    );
    assert_eq!(own.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn who_has_only_the_certificate_is_not_the_server() {
    let identity = Identity::tutorial(|_| {});
    let stolen = || certified(&identity.der(), &KeyPair::generate().unwrap());
    let met = meet_in_both(&identity.trusted(), "localhost", stolen).await;
    assert_eq!(
        met.unwrap_err(),
        "the server's certificate is not signed by the authority that it names, or the server does \
         not have its key"
    );
}

#[tokio::test]
#[rustfmt::skip]
async fn nobody_else_is_let_in_by_a_root() {
    let root = Identity::authority("root");
    let other = Identity::authority("other");
    let own = Identity::tutorial(|_| {});
    // The same names and key, and only another number.
    let alike = || {
        let mut parameters = own.parameters.clone();
        parameters.serial_number = Some(7.into());
        parameters.self_signed(&own.key).unwrap().der().clone()
    };
    let unknown = Some(format!("the server's certificate is not signed by a known authority; {GIVE_ROOT}"));
    let authority = Some(format!("the server's certificate is an authority's own, as openssl req -x509 makes them, and none of the roots that were given; {GIVE_ROOT}"));
    let no_name = Some("the server's certificate names no host in a subjectAltName, and so is not for localhost; make it anew, with openssl: -addext subjectAltName=DNS:localhost".to_owned());
    let expired = Some("the server's certificate expired".to_owned());
    let purpose = Some("the server's certificate is not meant for servers".to_owned());
    let other_name = Some(format!("the server's certificate is for localhost, not for other.example; {OTHER_NAME}"));
    let by = |signer: &Identity, change: &dyn Fn(&mut CertificateParams)| signer.sign(change).shown();
    let is_ca = |c: &mut CertificateParams| c.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let common_name = |c: &mut CertificateParams| {
        c.subject_alt_names = Vec::new();
        c.distinguished_name = named(&["localhost"]);
    };
    let old = |c: &mut CertificateParams| c.not_after = date_time_ymd(2002, 1, 1);
    let for_clients = |c: &mut CertificateParams| c.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let leaf = other.sign(|_| {});
    let with_leaf = [root.pem(), leaf.pem()].concat();
    let cases = [
        // roots           what the server shows         host              what is wrong
        (root.pem(),       by(&root, &|_| {}),           "localhost",      None),
        (root.pem(),       by(&root, &|_| {}),           "other.example",  other_name),
        (root.pem(),       by(&root, &old),              "localhost",      expired),
        (root.pem(),       by(&root, &for_clients),      "localhost",      purpose),
        (root.pem(),       by(&root, &common_name),      "localhost",      no_name),          // not given itself
        (root.pem(),       by(&root, &is_ca),            "localhost",      authority.clone()),
        (root.pem(),       by(&other, &|_| {}),          "localhost",      unknown.clone()),
        (root.pem(),       own.shown(),                  "localhost",      authority.clone()),
        (own.pem(),        by(&own, &|_| {}),            "localhost",      None),             // it is an authority, too
        (own.pem(),        certified(&alike(), &own.key), "localhost",     authority),
        (with_leaf.clone(), leaf.shown(),                "localhost",      None),             // whoever has signed it
        (with_leaf,        by(&other, &|_| {}),          "localhost",      unknown),
    ];
    for (number, (roots, shown, host, expected)) in cases.into_iter().enumerate() {
        let tls = ClientTls::with_roots(roots.as_bytes()).unwrap();
        let met = meet_in_both(&tls, host, || shown.clone()).await;
        match (met, expected) {
            (Ok(_), None) => {}
            (Err(error), Some(text)) => assert!(error.starts_with(&text), "row {number}: {error}"),
            (met, expected) => panic!("row {number}: {met:?}, not {expected:?}"),
        }
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn the_name_that_is_set_is_the_one_that_counts() {
    let authority = Identity::authority("root");
    let identity = authority.sign(|c| c.subject_alt_names = dns(&["foo.test.google.fr"]));
    let tls = authority.trusted();
    let set = tls.clone().server_name("foo.test.google.fr").unwrap();
    let met = meet_in_both(&set, "localhost", || identity.shown()).await.unwrap();
    assert_eq!(met.server_name.as_deref(), Some("foo.test.google.fr"));
    // What it was connected to is not looked at, be it a name or not.
    meet_in_both(&set, "/run/socket", || identity.shown()).await.unwrap();
    assert!(format!("{set:?}").contains("foo.test.google.fr"));

    let met = meet_in_both(&tls, "localhost", || identity.shown()).await;
    assert_eq!(met.unwrap_err(), format!("the server's certificate is for foo.test.google.fr, not for localhost; {OTHER_NAME}"));
    let met = meet_in_both(&tls, "/run/socket", || identity.shown()).await;
    assert_eq!(met.unwrap_err(), "no certificate can be for \"/run/socket\", which is neither a host name nor an IP address; say which name to expect (ClientTls::server_name, --server-name)");
    for name in ["", "a.example:443", "a b", "http://a.example", "*.example"] {
        let error = tls.clone().server_name(name).unwrap_err();
        assert_eq!(error.to_string(), format!("\"{name}\" is no name of a server: write a host name or an IP address, without a port"));
    }
}

#[tokio::test]
async fn p004_a_server_is_asked_for_by_name_but_not_by_address() {
    let authority = Identity::authority("root");
    let identity = authority.sign(|parameters| {
        let address = SanType::IpAddress("127.0.0.1".parse().unwrap());
        parameters.subject_alt_names.push(address);
    });
    for (host, expected) in [("localhost", Some("localhost")), ("127.0.0.1", None)] {
        let met = meet_in_both(&authority.trusted(), host, || identity.shown()).await;
        assert_eq!(met.unwrap().server_name.as_deref(), expected);
    }
}

#[tokio::test]
async fn p004_both_versions_of_tls_are_spoken() {
    let identity = Identity::tutorial(|_| {});
    for versions in [TLS12, TLS13] {
        let met = meet(
            &identity.trusted(),
            "localhost",
            server(identity.shown(), versions),
        )
        .await;
        assert_eq!(met.unwrap().version, Some(versions[0].version));
    }
}

/// A client's configuration as a user would make it.
fn client_config(authority: &Identity) -> rustls::ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[tokio::test]
#[rustfmt::skip]
async fn p003_a_connection_that_does_not_agree_on_h2_is_none() {
    let authority = Identity::authority("root");
    let identity = authority.sign(|_| {});
    let remedy = "check that a gRPC server listens there, and that what stands before it passes HTTP/2 on";
    let refused = Some(format!("the server does not agree on h2 by ALPN (alert NoApplicationProtocol); {remedy}"));
    let nothing = Some(format!("the server does not agree on h2 by ALPN, nor on anything else; {remedy}"));
    let http1 = Some(format!("the server does not agree on h2 by ALPN, but on http/1.1; {remedy}"));
    let cases: [(&[&str], &[&str], Option<String>); 7] = [
        // what a configuration offers   what the server takes    what is wrong
        (&[],                            &["h2"],                 None),
        (&["h2"],                        &["http/1.1", "h2"],     None),
        (&["http/1.1", "h2"],            &["h2", "http/1.1"],     None),
        (&[],                            &["http/1.1"],           refused),
        (&[],                            &[],                     nothing.clone()),
        (&["http/1.1", "h2"],            &["http/1.1", "h2"],     http1.clone()), // the server chooses
        (&["http/1.1", "h2"],            &["http/1.1"],           http1),
    ];
    let protocols = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();
    for (offered, taken, expected) in cases {
        for versions in [TLS12, TLS13] {
            let mut config = client_config(&authority);
            config.alpn_protocols = protocols(offered);
            let tls = ClientTls::from_config(config).unwrap();
            let mut config = server(identity.shown(), versions);
            config.alpn_protocols = protocols(taken);
            assert_eq!(meet(&tls, "localhost", config).await.err(), expected, "{offered:?} {taken:?}");
        }
    }
    // What we make ourselves offers h2.
    let mut config = server(identity.shown(), TLS13);
    config.alpn_protocols = Vec::new();
    assert_eq!(meet(&authority.trusted(), "localhost", config).await.err(), nothing);

    let mut config = client_config(&authority);
    config.alpn_protocols = protocols(&["http/1.1", "h2c"]);
    assert!(matches!(ClientTls::from_config(config).unwrap_err(), TlsError::Alpn));
}

#[tokio::test]
#[rustfmt::skip]
async fn a_configuration_of_ones_own_verifies_as_it_says() {
    // Nothing is added to it: webpki alone does not take an authority's certificate for a server's.
    let own = Identity::tutorial(|c| c.subject_alt_names = dns(&["localhost"]));
    let tls = ClientTls::from_config(client_config(&own)).unwrap();
    let met = meet_in_both(&tls, "localhost", || own.shown()).await;
    assert!(met.unwrap_err().starts_with("the server's certificate is an authority's own"));
}

#[tokio::test]
#[rustfmt::skip]
async fn a_server_that_does_not_accept_the_client_is_heard_however_late() {
    let (authority, clients) = (Identity::authority("root"), Identity::authority("clients"));
    let strangers = Identity::authority("strangers");
    let identity = authority.sign(|_| {});
    let for_clients = |c: &mut CertificateParams| c.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let for_servers = |c: &mut CertificateParams| c.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let old = |c: &mut CertificateParams| c.not_after = date_time_ymd(2002, 1, 1);
    let remedy = "give one that it accepts (ClientTls::identity, --cert and --key)";
    let wanted = format!("the server wants a client certificate (alert CertificateRequired); {remedy}");
    let refused = |alert: &str| format!("the server does not accept the client's certificate, or misses one (alert {alert}); {remedy}");
    let cases = [
        // what the client shows                what is wrong
        (Some(clients.sign(for_clients)),       None),
        (Some(clients.sign(|_| {})),            None),
        (None,                                  Some(wanted)),
        (Some(strangers.sign(for_clients)),     Some(refused("UnknownCA"))),
        (Some(clients.sign(old)),               Some(refused("CertificateExpired"))),
        (Some(clients.sign(for_servers)),       Some(refused("UnsupportedCertificate"))),
    ];
    for (shown, expected) in cases {
        for versions in [TLS12, TLS13] {
            let mut tls = authority.trusted();
            if let Some(shown) = &shown {
                tls = tls.identity(shown.pem().as_bytes(), shown.key_pem().as_bytes()).unwrap();
            }
            let config = asking_server(identity.shown(), versions, &clients);
            let met = meet(&tls, "localhost", config).await;
            assert_eq!(met.as_ref().err(), expected.as_ref(), "{:?}", versions[0].version);
            if let (Ok(met), Some(shown)) = (met, &shown) {
                assert_eq!(met.shown, std::slice::from_ref(&shown.der()));
            }
        }
    }
}

#[tokio::test]
async fn in_tls_1_3_the_first_read_says_that_the_client_is_not_accepted() {
    let authority = Identity::authority("root");
    let config = asking_server(authority.sign(|_| {}).shown(), TLS13, &authority);
    let (near, far) = duplex(64 * 1024);
    let server = tokio::spawn(TlsAcceptor::from(Arc::new(config)).accept(far));
    // The handshake is done, as far as the client can tell.
    let (mut io, _) = authority
        .trusted()
        .handshake(near, "localhost")
        .await
        .unwrap();
    let error = io.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(
        error.to_string().contains("(alert CertificateRequired)"),
        "{error}"
    );
    // What rustls has is not lost.
    let source = std::error::Error::source(error.get_ref().unwrap()).unwrap();
    assert_eq!(
        source.to_string(),
        "received fatal alert: CertificateRequired"
    );
    server.await.unwrap().unwrap_err();
}

#[tokio::test]
#[rustfmt::skip]
async fn a_server_that_goes_without_a_word_is_told_apart_by_when() {
    let authority = Identity::authority("root");
    let config = Arc::new(server(authority.sign(|_| {}).shown(), TLS13));
    let silent = "the server closed the connection after the TLS handshake and did not say why; if it wants a client certificate, give one that it accepts (ClientTls::identity, --cert and --key)";
    let cases = [
        // what it says before it closes    what is wrong
        (&b""[..],                          silent), // as grpcio, when it misses a client certificate
        (b"hello",                          "the server closed the connection without the close_notify of TLS"),
    ];
    for (bytes, expected) in cases {
        let (near, far) = duplex(64 * 1024);
        let server = async {
            let mut io = TlsAcceptor::from(Arc::clone(&config)).accept(far).await.unwrap();
            io.write_all(bytes).await.unwrap();
            io.flush().await.unwrap();
            // Dropped, it says no close_notify.
        };
        let trusted = authority.trusted();
        let (shaken, ()) = tokio::join!(trusted.handshake(near, "localhost"), server);
        let (mut io, _) = shaken.unwrap();
        let mut found = Vec::new();
        let error = io.read_to_end(&mut found).await.unwrap_err();
        assert_eq!((&found[..], error.kind()), (bytes, io::ErrorKind::UnexpectedEof));
        assert_eq!(error.to_string(), expected);
    }
}

/// Waits for a ClientHello, and answers with these bytes.
async fn answer(mut io: DuplexStream, bytes: &[u8]) {
    let mut hello = [0; 5];
    io.read_exact(&mut hello).await.unwrap();
    let length = u16::from_be_bytes([hello[3], hello[4]]);
    io.read_exact(&mut vec![0; length.into()]).await.unwrap();
    io.write_all(bytes).await.unwrap();
}

#[tokio::test]
#[rustfmt::skip]
async fn what_does_not_speak_tls_is_told_from_its_first_bytes() {
    let tls = Identity::authority("root").trusted();
    let plain = |what: &str| format!("the peer does not speak TLS: {what}; connect without TLS (http://), or to its port for TLS");
    let settings = [&[0, 0, 18, 4, 0, 0, 0, 0, 0][..], &[0; 18]].concat();
    let goaway = [&[0, 0, 8, 7, 0, 0, 0, 0, 0][..], &[0; 8]].concat();
    let alert = |number: u8| [21, 3, 1, 0, 2, 2, number];
    let cases: [(&[u8], String); 11] = [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",   plain("it answered in HTTP/1")),
        (b"HTTP/1.0 400 Bad Request\r\n\r\n",   plain("it answered in HTTP/1")),
        (&settings,                             plain("it sent plain HTTP/2")),
        (&goaway,                               plain("it sent plain HTTP/2")),
        (b"220 mail.example ESMTP\r\n",         plain("it began with \"220 mail.example ESMTP\\r\\n\"")),
        (b"\0\0\0\x01\x05bytes of something else", plain("it began with \"\\x00\\x00\\x00\\x01\\x05bytes of something \"")),
        (b"",                                   "the peer closed the connection when it was greeted in TLS; if it speaks none, connect without (http://)".to_owned()),
        (&[22, 3, 3, 0, 80, 2],                 "the server closed the connection in the middle of the TLS handshake and did not say why".to_owned()),
        (&alert(40),                            "the server and the client have no way of TLS in common, or the server wants a client certificate (alert HandshakeFailure); give one that it accepts (ClientTls::identity, --cert and --key)".to_owned()),
        (&alert(70),                            "the server takes none of the versions 1.2 and 1.3 of TLS (alert ProtocolVersion)".to_owned()),
        (&alert(112),                           format!("the server knows no host of this name (alert UnrecognisedName); {}", OTHER_NAME.replace("expect", "ask for"))),
    ];
    for (bytes, expected) in cases {
        let (near, far) = duplex(64 * 1024);
        let shaking = async { tokio::join!(tls.handshake(near, "localhost"), answer(far, bytes)) };
        let (outcome, ()) = timeout(PATIENCE, shaking).await.expect("an end in time");
        let error = outcome.err().unwrap().to_string();
        assert_eq!(error, expected, "{}", bytes.escape_ascii());
    }
}

#[tokio::test]
async fn p004_a_server_of_tls_1_1_is_none() {
    let tls = Identity::authority("root").trusted();
    // A ServerHello of version 3.2: random, no session, a suite, no compression.
    let body = [&[3, 2][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    let hello = [&[22, 3, 2, 0, length + 4, 2, 0, 0, length][..], &body].concat();
    let (near, far) = duplex(64 * 1024);
    let shaking = async { tokio::join!(tls.handshake(near, "localhost"), answer(far, &hello)) };
    let (outcome, ()) = timeout(PATIENCE, shaking).await.expect("an end in time");
    assert_eq!(
        outcome.err().unwrap().to_string(),
        "the server's version of TLS is not one that is taken here; TLS 1.2 is the least"
    );
}

#[tokio::test]
async fn what_is_replaced_is_replaced_for_all_clones_and_new_connections() {
    let (old, new) = (Identity::authority("old"), Identity::authority("new"));
    let (old_server, new_server) = (old.sign(|_| {}), new.sign(|_| {}));
    let tls = old.trusted().server_name("localhost").unwrap();
    let clone = tls.clone();
    meet_in_both(&clone, "a.example", || old_server.shown())
        .await
        .unwrap();
    meet_in_both(&clone, "a.example", || new_server.shown())
        .await
        .unwrap_err();

    tls.replace(&new.trusted());
    meet_in_both(&clone, "a.example", || old_server.shown())
        .await
        .unwrap_err();
    // The name stays.
    meet_in_both(&clone, "a.example", || new_server.shown())
        .await
        .unwrap();
    // What was made of it before goes its own way.
    let client = new.sign(|_| {});
    let (certificate, key) = (client.pem(), client.key_pem());
    let apart = clone
        .identity(certificate.as_bytes(), key.as_bytes())
        .unwrap();
    tls.replace(&old.trusted());
    meet_in_both(&apart, "a.example", || new_server.shown())
        .await
        .unwrap();
}

#[tokio::test]
async fn sessions_are_resumed_unless_something_was_changed() {
    let identity = Identity::tutorial(|_| {});
    let tls = identity.trusted();
    for versions in [TLS12, TLS13] {
        let tls = tls.clone();
        let config = Arc::new(server(identity.shown(), versions));
        let kind =
            async |tls: &ClientTls| meet_again(tls, "localhost", &config).await.unwrap().kind;
        assert_eq!(kind(&tls).await, HandshakeKind::Full);
        assert_eq!(kind(&tls).await, HandshakeKind::Resumed);
        let (certificate, key) = (identity.pem(), identity.key_pem());
        let other = tls
            .clone()
            .identity(certificate.as_bytes(), key.as_bytes())
            .unwrap();
        assert_eq!(kind(&other).await, HandshakeKind::Full);
        tls.replace(&identity.trusted());
        assert_eq!(kind(&tls).await, HandshakeKind::Full);
    }
}

#[test]
#[rustfmt::skip]
fn bad_files_are_told_in_words() {
    let identity = Identity::tutorial(|_| {});
    let (certificate, key) = (identity.pem(), identity.key_pem());
    let other = KeyPair::generate().unwrap().serialize_pem();
    let cut = certificate.replace("-----END CERTIFICATE-----", "");
    let no_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let roots: [(&str, &str); 5] = [
        ("",          "the list of roots is empty or not PEM: it has no -----BEGIN CERTIFICATE-----"),
        ("junk",      "the list of roots is empty or not PEM: it has no -----BEGIN CERTIFICATE-----"),
        (&key,        "the list of roots has no CERTIFICATE in it, only PRIVATE KEY"),
        (&cut,        "the list of roots is damaged: the line -----END CERTIFICATE----- is missing"),
        (no_x509,     "a root cannot be read: it is no X.509 certificate"),
    ];
    for (pem, expected) in roots {
        assert_eq!(ClientTls::with_roots(pem.as_bytes()).unwrap_err().to_string(), expected);
    }
    let identities: [(&str, &str, &str); 5] = [
        ("",          &key,         "the certificate chain is empty or not PEM: it has no -----BEGIN CERTIFICATE-----"),
        (&cut,        &key,         "the certificate chain is damaged: the line -----END CERTIFICATE----- is missing"),
        (no_x509,     &key,         "the certificate cannot be read: it is no X.509 certificate"),
        (&certificate, &certificate, "the private key has no PRIVATE KEY in it, only CERTIFICATE"),
        (&certificate, &other,      "the private key does not belong to the first certificate of the chain"),
    ];
    for (certificate, key, expected) in identities {
        let error = identity.trusted().identity(certificate.as_bytes(), key.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

/// Runs [`in_an_environment`] where `SSL_CERT_FILE` is `path`, and gives what it says.
fn system_roots(path: &std::path::Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "tls::in_an_environment",
            "--ignored",
            "--nocapture",
        ])
        .env("SSL_CERT_FILE", path)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, found) = text.split_once("found: ").expect(&text);
    found.lines().next().unwrap().to_owned()
}

#[test]
#[ignore = "system_roots runs it in an environment of its own"]
fn in_an_environment() {
    match ClientTls::system() {
        Ok(tls) => println!("found: {tls:?}"),
        Err(error) => println!("found: {error}"),
    }
}

#[test]
fn the_roots_of_the_system_are_where_the_environment_says() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (roots, empty) = (
        folder.join("client-roots.pem"),
        folder.join("client-empty.pem"),
    );
    std::fs::write(&roots, Identity::authority("root").pem()).unwrap();
    std::fs::write(&empty, "").unwrap();
    assert!(system_roots(&roots).starts_with("ClientTls"));
    let remedy = "install them (the package is often called ca-certificates), name a file of them \
                  in the environment variable SSL_CERT_FILE, or give them yourself \
                  (ClientTls::with_roots, --ca)";
    assert_eq!(
        system_roots(&empty),
        format!("the system has no root certificates; {remedy}")
    );
    let nowhere = folder.join("client-nowhere.pem");
    let found = system_roots(&nowhere);
    assert!(found.contains(&nowhere.display().to_string()), "{found}");
    assert!(found.ends_with(remedy), "{found}");
}

/// A server of ours.
async fn serve(tls: Option<ServerTls>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::new();
    if let Some(tls) = tls {
        server = server.tls(tls);
    }
    tokio::spawn(server.serve(listener));
    address
}

fn server_tls(identity: &Identity, clients: ClientCertificates<'_>) -> ServerTls {
    let (certificate, key) = (identity.pem(), identity.key_pem());
    ServerTls::from_pem(certificate.as_bytes(), key.as_bytes(), clients).unwrap()
}

/// The head of the server's first frame, after ours.
async fn first_frame(tls: &ClientTls, address: SocketAddr) -> io::Result<[u8; 9]> {
    let io = TcpStream::connect(address).await?;
    let talk = async {
        let (mut io, _) = tls.handshake(io, "localhost").await?;
        // The preface and empty SETTINGS. RFC 9113 §3.4.
        io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await?;
        io.flush().await?;
        let mut head = [0; 9];
        io.read_exact(&mut head).await?;
        Ok(head)
    };
    timeout(PATIENCE, talk).await.expect("an end in time")
}

#[tokio::test]
async fn our_own_server_is_met_with_the_certificate_of_the_tutorials() {
    let identity = Identity::tutorial(|_| {});
    let clients = Identity::authority("clients");
    let authorities = clients.pem();
    let asked = ClientCertificates::Required(authorities.as_bytes());
    let address = serve(Some(server_tls(&identity, asked))).await;

    let tls = identity.trusted();
    let error = first_frame(&tls, address).await.unwrap_err().to_string();
    assert!(
        error.starts_with("the server wants a client certificate"),
        "{error}"
    );

    let client = clients.sign(|_| {});
    let (certificate, key) = (client.pem(), client.key_pem());
    let tls = tls
        .identity(certificate.as_bytes(), key.as_bytes())
        .unwrap();
    let head = first_frame(&tls, address).await.unwrap();
    // SETTINGS, of the whole connection.
    assert_eq!(head[3..], [4, 0, 0, 0, 0, 0]);
}

#[tokio::test]
async fn our_own_server_without_tls_is_none_with_it() {
    let address = serve(None).await;
    let tls = Identity::authority("root").trusted();
    let error = first_frame(&tls, address).await.unwrap_err().to_string();
    assert_eq!(
        error,
        "the peer closed the connection when it was greeted in TLS; if it speaks none, connect \
         without (http://)"
    );
}

//! Calls over TLS: what is agreed on before the first frame, who is let in, and what is said to whom
//! brings bad files. The client is tokio-rustls and bare h2.
//!
//! Versions below 1.2 have no rows: rustls has no code for them on either side.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barewire::{
    ByteStream, ClientCertificates, Counter, Counters, Request, Response, Server, ServerCall,
    ServerConfig, ServerTls, Service, Serving, TlsError,
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::{SupportedProtocolVersion, version};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::identities::Identity;
use crate::support::{
    Answer, Client, PATIENCE, PREFACE, SETTINGS, connect, encoded, frame, hits, tcp_server,
};
use crate::tokio;

/// Tells its caller how the caller's connection looks from here.
struct Mirror;

impl Service for Mirror {
    fn name(&self) -> &'static str {
        "test.Probe"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            let request: Request<String> = call.request().await?;
            let message = match call.method() {
                "Peer" => {
                    let peer = request.peer().unwrap();
                    let certificates = peer.certificates().iter().map(|der| hex(der));
                    let certificates: Vec<String> = certificates.collect();
                    format!("tls {} [{}]", peer.is_tls(), certificates.join(" "))
                }
                "Echo" => request.message,
                _ => return Err(call.unknown_method()),
            };
            call.reply(Response::new(message)).await
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// Someone who signs certificates.
fn authority() -> Identity {
    // Two authorities of one name would be taken for each other.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    Identity::authority(&format!("authority {number}"))
}

impl Identity {
    fn server(&self) -> Self {
        self.sign(|parameters| {
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
    }

    fn client(&self) -> Self {
        self.sign(|parameters| {
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        })
    }

    fn expired_client(&self) -> Self {
        self.sign(|parameters| {
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            parameters.not_before = date_time_ymd(2001, 1, 1);
            parameters.not_after = date_time_ymd(2002, 1, 1);
        })
    }

    /// The server's side of TLS with this identity.
    fn tls(&self, clients: ClientCertificates<'_>) -> ServerTls {
        ServerTls::from_pem(self.pem().as_bytes(), self.key_pem().as_bytes(), clients).unwrap()
    }
}

const TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
const TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// What a client brings to a handshake.
struct Offer<'a> {
    trusted: &'a Identity,
    alpn: &'a [&'a str],
    versions: &'static [&'static SupportedProtocolVersion],
    identity: Option<&'a Identity>,
    provider: CryptoProvider,
}

impl<'a> Offer<'a> {
    /// `h2` in any version, without a certificate.
    fn new(trusted: &'a Identity) -> Self {
        Self {
            trusted,
            alpn: &["h2"],
            versions: rustls::ALL_VERSIONS,
            identity: None,
            provider: ring::default_provider(),
        }
    }

    async fn shake_hands(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        self.shake_hands_over(connect(address).await).await
    }

    async fn shake_hands_over<T: ByteStream>(&self, io: T) -> std::io::Result<TlsStream<T>> {
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(self.provider.clone()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(self.trusted.roots());
        let mut config = match self.identity {
            Some(identity) => config
                .with_client_auth_cert(vec![identity.der()], identity.private_key())
                .unwrap(),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = self
            .alpn
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        let connector = TlsConnector::from(Arc::new(config));
        let name = ServerName::try_from("localhost").unwrap();
        timeout(PATIENCE, connector.connect(name, io))
            .await
            .expect("a handshake in time")
    }

    async fn client(&self, address: SocketAddr) -> Client {
        Client::over(self.shake_hands(address).await.unwrap()).await
    }

    /// The answer to one call, or what the client learns instead: its handshake's error, or with TLS
    /// 1.3 the first error after it, since there the client is done before the server has judged.
    async fn call(&self, address: SocketAddr, method: &str) -> Result<Answer, String> {
        let io = self
            .shake_hands(address)
            .await
            .map_err(|error| error.to_string())?;
        let (mut send, connection) = h2::client::handshake(io)
            .await
            .map_err(|error| error.to_string())?;
        let ended = tokio::spawn(connection);
        let request = http::Request::post(format!("https://localhost/test.Probe/{method}"))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        if let Ok((response, mut body)) = send.send_request(request, false) {
            // A connection that is lost meanwhile is told of below.
            let _ = body.send_data(encoded("hello"), true);
            let call = crate::support::Call {
                send: body,
                response,
            };
            let answer = call.answer().await;
            if answer.reset.is_none() {
                return Ok(answer);
            }
        }
        drop(send);
        let ended = timeout(PATIENCE, ended)
            .await
            .expect("an end in time")
            .unwrap();
        Err(ended.expect_err("the call failed").to_string())
    }
}

async fn serve(tls: &ServerTls) -> SocketAddr {
    serve_with(tls, ServerConfig::default()).await
}

async fn serve_with(tls: &ServerTls, config: ServerConfig) -> SocketAddr {
    serve_counted(tls, config).await.0
}

async fn serve_counted(tls: &ServerTls, config: ServerConfig) -> (SocketAddr, Counters) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new()
        .with_config(config)
        .add(Mirror)
        .tls(tls.clone());
    let counters = server.counters();
    tokio::spawn(server.serve(listener));
    (address, counters)
}

/// A server with a certificate of `authority` that asks its clients for none.
async fn plain_server(authority: &Identity) -> SocketAddr {
    serve(&authority.server().tls(ClientCertificates::None)).await
}

#[tokio::test]
async fn a_call_goes_over_tls_of_both_versions() {
    let authority = authority();
    let address = plain_server(&authority).await;
    for versions in [TLS12, TLS13] {
        let mut offer = Offer::new(&authority);
        offer.versions = versions;
        let io = offer.shake_hands(address).await.unwrap();
        let (_, session) = io.get_ref();
        assert_eq!(session.protocol_version(), Some(versions[0].version));
        assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
        let client = Client::over(io).await;
        let answer = client.call("Peer", &["hello"]).await;
        assert_eq!(answer.messages, ["tls true []"]);
        assert_eq!(answer.code(), Some("0"));
    }
}

#[tokio::test]
async fn p286_a_handler_sees_that_there_is_no_tls() {
    let address = tcp_server(Mirror, ServerConfig::default()).await;
    let answer = Client::tcp(address).await.call("Peer", &["hello"]).await;
    assert_eq!(answer.messages, ["tls false []"]);
}

#[tokio::test]
async fn large_messages_and_many_calls_go_over_tls() {
    let authority = authority();
    let address = plain_server(&authority).await;
    let client = Offer::new(&authority).client(address).await;
    let large = "x".repeat(4 * 1024 * 1024 - 100);
    let calls = (0..100).map(|number: u32| {
        let (client, text) = (client.clone(), number.to_string());
        tokio::spawn(async move { (client.call("Echo", &[&text]).await, text) })
    });
    let calls: Vec<_> = calls.collect();
    let answer = client.call("Echo", &[&large]).await;
    assert!(answer.messages == [large]);
    for call in calls {
        let (answer, text) = call.await.unwrap();
        assert_eq!(answer.messages, [text]);
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn a_connection_that_does_not_agree_on_h2_is_closed_without_a_call() {
    let authority = authority();
    let identity = authority.server();
    let both = [b"http/1.1".to_vec(), b"h2".to_vec()];
    let cases: [(&[&str], &[Vec<u8>], Option<&str>); 7] = [
        // what the client offers     what the server takes     what the client is told
        (&["h2"],                     &[],                      None),
        (&["http/1.1", "h2"],         &[],                      None),
        (&["h2", "http/1.1"],         &both[1..],               None),
        (&["http/1.1"],               &[],                      Some("received fatal alert: NoApplicationProtocol")),
        (&["h2c", "h2-14", "H2"],     &[],                      Some("received fatal alert: NoApplicationProtocol")),
        // RFC 7301 §3.2 has an alert only for those who offer something.
        (&[],                         &[],                      Some("closed")),
        // A configuration of one's own may have more than h2, but nobody here speaks it.
        (&["http/1.1"],               &both,                    Some("closed")),
    ];
    for (offered, taken, expected) in cases {
        for versions in [TLS12, TLS13] {
            let mut config = server_config(&identity);
            config.alpn_protocols = taken.to_vec();
            let address = serve(&ServerTls::from_config(config).unwrap()).await;
            let mut offer = Offer::new(&authority);
            (offer.alpn, offer.versions) = (offered, versions);
            let found = match offer.shake_hands(address).await {
                Err(error) => Err(error.to_string()),
                Ok(mut io) if expected == Some("closed") => {
                    let mut rest = Vec::new();
                    let end = timeout(PATIENCE, io.read_to_end(&mut rest)).await.expect("an end in time");
                    assert_eq!((end.unwrap(), &rest[..]), (0, &b""[..]), "{offered:?}");
                    Err("closed".to_owned())
                }
                Ok(io) => Ok(Client::over(io).await.call("Peer", &["hello"]).await),
            };
            match expected {
                None => assert_eq!(found.unwrap().code(), Some("0"), "{offered:?}"),
                Some(text) => assert_eq!(found.unwrap_err(), text, "{offered:?}"),
            }
        }
    }
}

/// A configuration as a user would make it.
fn server_config(identity: &Identity) -> rustls::ServerConfig {
    rustls::ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![identity.der()], identity.private_key())
        .unwrap()
}

#[tokio::test]
async fn a_configuration_of_ones_own_must_have_h2_or_nothing_in_its_alpn() {
    let identity = authority().server();
    let mut config = server_config(&identity);
    config.alpn_protocols = vec![b"http/1.1".to_vec(), b"h2c".to_vec()];
    let error = ServerTls::from_config(config).unwrap_err();
    assert!(matches!(error, TlsError::Alpn), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the ALPN protocols of the configuration do not have h2 among them"
    );
}

/// Who the server asks for, as a test row has it.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Nobody,
    Anybody,
    Everybody,
}

#[tokio::test]
#[rustfmt::skip]
async fn p286_client_certificates_are_seen_or_judged_as_configured() {
    let (authority, clients, strangers) = (authority(), authority(), authority());
    let identity = authority.server();
    let (known, expired, unknown) = (clients.client(), clients.expired_client(), strangers.client());
    let not_for_clients = clients.server();
    let seen = format!("tls true [{}]", hex(&known.der()));
    let (nothing, seen) = (Ok("tls true []"), Ok(&*seen));
    let (wanted, expiry) = (Err("CertificateRequired"), Err("CertificateExpired"));
    let (stranger, purpose) = (Err("UnknownCA"), Err("UnsupportedCertificate"));
    let cases = [
        // asked             shown                      answer
        (Asked::Nobody,      None,                      nothing),
        (Asked::Nobody,      Some(&known),              nothing), // rustls keeps it to itself
        (Asked::Nobody,      Some(&unknown),            nothing),
        (Asked::Anybody,     None,                      nothing),
        (Asked::Anybody,     Some(&known),              seen),
        (Asked::Anybody,     Some(&unknown),            stranger),
        (Asked::Anybody,     Some(&expired),            expiry),
        (Asked::Anybody,     Some(&not_for_clients),    purpose),
        (Asked::Everybody,   None,                      wanted),
        (Asked::Everybody,   Some(&known),              seen),
        (Asked::Everybody,   Some(&unknown),            stranger),
        (Asked::Everybody,   Some(&expired),            expiry),
        (Asked::Everybody,   Some(&not_for_clients),    purpose),
    ];
    for (asked, shown, expected) in cases {
        let authorities = clients.pem();
        let authorities = authorities.as_bytes();
        let address = serve(&identity.tls(match asked {
            Asked::Nobody => ClientCertificates::None,
            Asked::Anybody => ClientCertificates::Optional(authorities),
            Asked::Everybody => ClientCertificates::Required(authorities),
        })).await;
        for versions in [TLS12, TLS13] {
            let mut offer = Offer::new(&authority);
            (offer.identity, offer.versions) = (shown, versions);
            let row = format!("{asked:?}, {:?}, {expected:?}", versions[0].version);
            match (offer.call(address, "Peer").await, expected) {
                (Ok(answer), Ok(text)) => assert_eq!(answer.messages, [text], "{row}"),
                (Err(error), Err(alert)) => {
                    assert!(error.contains(alert), "{row}: {error}");
                }
                (found, _) => panic!("{row}: {found:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_talks_on_still_reads_why_it_is_not_let_in() {
    let authority = authority();
    let identity = authority.server();
    let authorities = authority.pem();
    let asked = ClientCertificates::Required(authorities.as_bytes());
    let address = serve(&identity.tls(asked)).await;
    let mut offer = Offer::new(&authority);
    offer.versions = TLS13;
    let mut io = offer.shake_hands(address).await.unwrap();
    // The server has not judged yet, and has not read this either when it does.
    let _ = io.write_all(&[b'x'; 60_000]).await;
    let _ = io.flush().await;
    let mut rest = Vec::new();
    let end = timeout(PATIENCE, io.read_to_end(&mut rest))
        .await
        .expect("an end in time");
    let error = end.unwrap_err().to_string();
    assert_eq!(error, "received fatal alert: CertificateRequired");
}

#[tokio::test]
async fn new_connections_are_served_with_what_was_renewed() {
    let (old, new) = (authority(), authority());
    let tls = old.server().tls(ClientCertificates::None);
    let address = serve(&tls).await;
    let client = Offer::new(&old).client(address).await;
    assert_eq!(client.call("Echo", &["before"]).await.messages, ["before"]);
    let refused = Offer::new(&new).call(address, "Echo").await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");

    // The clients are now asked for certificates, too.
    let renewed = new.server();
    tls.replace(&renewed.tls(ClientCertificates::Required(new.pem().as_bytes())));

    let refused = Offer::new(&old).call(address, "Echo").await.unwrap_err();
    assert!(refused.contains("UnknownIssuer"), "{refused}");
    let refused = Offer::new(&new).call(address, "Echo").await.unwrap_err();
    assert!(refused.contains("CertificateRequired"), "{refused}");
    let identity = new.client();
    let mut offer = Offer::new(&new);
    offer.identity = Some(&identity);
    let answer = offer.call(address, "Echo").await.unwrap();
    assert_eq!(answer.messages, ["hello"]);
    // The connection from before goes on as it began.
    assert_eq!(client.call("Echo", &["after"]).await.messages, ["after"]);
}

#[tokio::test]
async fn the_provider_of_another_crate_changes_nothing() {
    let authority = authority();
    // Other tests of this process bring their own provider, so that none is installed yet.
    assert!(CryptoProvider::get_default().is_none());
    let ciphers = || async {
        let identity = authority.client();
        let tls = authority.server();
        let address =
            serve(&tls.tls(ClientCertificates::Required(authority.pem().as_bytes()))).await;
        for suite in ring::ALL_CIPHER_SUITES {
            let mut offer = Offer::new(&authority);
            offer.identity = Some(&identity);
            // Certificates of these tests have ECDSA keys.
            if suite.suite().as_str().unwrap().contains("_RSA_") {
                continue;
            }
            offer.provider.cipher_suites = vec![*suite];
            let tls12 = suite.version().version == rustls::ProtocolVersion::TLSv1_2;
            offer.versions = if tls12 { TLS12 } else { TLS13 };
            let answer = offer.call(address, "Echo").await.unwrap();
            assert_eq!(answer.code(), Some("0"), "{suite:?}");
        }
    };
    ciphers().await;
    // One that can do nearly nothing.
    let mut provider = ring::default_provider();
    provider.cipher_suites.truncate(1);
    provider.kx_groups.clear();
    provider.signature_verification_algorithms.all = &[];
    provider.signature_verification_algorithms.mapping = &[];
    provider.install_default().unwrap();
    ciphers().await;
}

#[test]
fn bad_files_are_told_in_words() {
    let authority = authority();
    let (one, other) = (authority.server(), authority.server());
    let (certificate, key, other_key) = (&*one.pem(), &*one.key_pem(), &*other.key_pem());
    let cut = certificate.replace("-----END CERTIFICATE-----", "");
    let not_base64 = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let no_x509 = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let bad_start = "-----BEGIN CERTIFICATE\nAAAA\n-----END CERTIFICATE-----\n";
    let locked = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let ca_first = format!("{}{certificate}", authority.pem());
    #[rustfmt::skip]
    let cases: [(&str, &str, Option<&str>, &str); 21] = [
        // chain        key         authorities     text
        ("",            key,        None,           "the certificate chain is empty or not PEM: it has no -----BEGIN CERTIFICATE-----"),
        ("junk",        key,        None,           "the certificate chain is empty or not PEM: it has no -----BEGIN CERTIFICATE-----"),
        ("\0\u{fffd}",  key,        None,           "the certificate chain is empty or not PEM: it has no -----BEGIN CERTIFICATE-----"),
        (key,           key,        None,           "the certificate chain has no CERTIFICATE in it, only PRIVATE KEY"),
        (&cut,          key,        None,           "the certificate chain is damaged: the line -----END CERTIFICATE----- is missing"),
        (not_base64,    key,        None,           "the certificate chain is damaged: what stands between BEGIN and END is not base64"),
        (bad_start,     key,        None,           "the certificate chain is damaged: the line \"-----BEGIN CERTIFICATE\" does not end in -----"),
        (no_x509,       key,        None,           "the certificate cannot be read: it is no X.509 certificate"),
        (certificate,   "",         None,           "the private key is empty or not PEM: it has no -----BEGIN PRIVATE KEY-----"),
        (certificate,   "junk",     None,           "the private key is empty or not PEM: it has no -----BEGIN PRIVATE KEY-----"),
        (certificate,   certificate, None,          "the private key has no PRIVATE KEY in it, only CERTIFICATE"),
        (certificate,   &locked,    None,           "the private key has no PRIVATE KEY in it, only ENCRYPTED PRIVATE KEY"),
        (certificate,   no_key,     None,           "the private key cannot be used: failed to parse private key as RSA, ECDSA, or EdDSA"),
        (certificate,   other_key,  None,           "the private key does not belong to the first certificate of the chain"),
        (&ca_first,     key,        None,           "the private key does not belong to the first certificate of the chain"),
        (certificate,   key,        Some(""),       "the list of client authorities is empty or not PEM: it has no -----BEGIN CERTIFICATE-----"),
        (certificate,   key,        Some("junk"),   "the list of client authorities is empty or not PEM: it has no -----BEGIN CERTIFICATE-----"),
        (certificate,   key,        Some(key),      "the list of client authorities has no CERTIFICATE in it, only PRIVATE KEY"),
        (certificate,   key,        Some(&cut),     "the list of client authorities is damaged: the line -----END CERTIFICATE----- is missing"),
        (certificate,   key,        Some(no_x509),  "a client authority cannot be read: it is no X.509 certificate"),
        ("",            "",         Some(""),       "the certificate chain is empty or not PEM: it has no -----BEGIN CERTIFICATE-----"),
    ];
    for (chain, key, authorities, text) in cases {
        let asked = authorities.map_or(ClientCertificates::None, |authorities| {
            ClientCertificates::Required(authorities.as_bytes())
        });
        let error = ServerTls::from_pem(chain.as_bytes(), key.as_bytes(), asked);
        assert_eq!(error.unwrap_err().to_string(), text);
    }
}

#[test]
fn keys_of_all_usual_kinds_are_taken() {
    let kinds = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ED25519,
    ];
    for kind in kinds {
        let key = KeyPair::generate_for(kind).unwrap();
        let signed = CertificateParams::default().self_signed(&key).unwrap();
        // What stands around the sections is no concern of ours.
        let chain = format!(
            "subject: someone\n{}\r\n\r\nissuer: the same\n",
            signed.pem()
        );
        let pem = key.serialize_pem();
        ServerTls::from_pem(chain.as_bytes(), pem.as_bytes(), ClientCertificates::None).unwrap();
    }
}

/// Short, since it is waited for, and long for a handshake on a busy machine.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_millis(500);

fn short_handshakes() -> ServerConfig {
    ServerConfig {
        tls_handshake_timeout: HANDSHAKE_TIMEOUT,
        ..ServerConfig::default()
    }
}

/// A server over TLS on one end of a pipe, with limits as they come; the other end, and what is counted.
async fn over_a_pipe(authority: &Identity) -> (DuplexStream, Counters) {
    let (queue, listener) = mpsc::channel::<Box<dyn ByteStream>>(1);
    let tls = authority.server().tls(ClientCertificates::None);
    let server = Server::new().add(Mirror).tls(tls);
    let counters = server.counters();
    tokio::spawn(server.serve(listener));
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    queue.send(Box::new(theirs)).await.unwrap();
    // There is room for another one when this one was taken.
    drop(queue.reserve().await.unwrap());
    (ours, counters)
}

#[tokio::test(start_paused = true)]
async fn a_handshake_has_ten_seconds() {
    let authority = authority();
    for late in [0, 9_999] {
        let (io, counters) = over_a_pipe(&authority).await;
        sleep(Duration::from_millis(late)).await;
        let io = Offer::new(&authority).shake_hands_over(io).await.unwrap();
        let client = Client::over(io).await;
        for _ in 0..2 {
            let answer = client.call("Echo", &["hello"]).await;
            assert_eq!(answer.code(), Some("0"), "{late} ms");
            // The time that a handshake has concerns it no more.
            sleep(Duration::from_secs(11)).await;
        }
        assert_eq!(hits(&counters), [], "{late} ms");
    }
    let client_hello_begins = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00];
    for said in [0, 1, client_hello_begins.len()] {
        let (mut io, counters) = over_a_pipe(&authority).await;
        let start = Instant::now();
        // A byte each second is no reason to wait longer.
        for byte in &client_hello_begins[..said] {
            io.write_all(&[*byte]).await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
        sleep(Duration::from_millis(9_999).saturating_sub(start.elapsed())).await;
        assert_eq!(hits(&counters), [], "{said} bytes");
        // Closed without a word.
        let mut answer = Vec::new();
        io.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"", "{said} bytes");
        assert_eq!(start.elapsed(), Duration::from_secs(10), "{said} bytes");
        assert_eq!(hits(&counters), [(Counter::TlsHandshakeTimeout, 1)]);
    }
    // And so is who comes a moment late.
    let (io, counters) = over_a_pipe(&authority).await;
    sleep(Duration::from_millis(10_001)).await;
    let refused = Offer::new(&authority).shake_hands_over(io).await;
    assert!(refused.is_err());
    assert_eq!(hits(&counters), [(Counter::TlsHandshakeTimeout, 1)]);
}

/// Reads until the server closes, and yields what it said.
async fn read_to_end(io: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is as good an end as any.
    let _ = timeout(PATIENCE, io.read_to_end(&mut bytes))
        .await
        .expect("an end in time");
    bytes
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_is_closed() {
    let authority = authority();
    let tls = authority.server().tls(ClientCertificates::None);
    let (address, counters) = serve_counted(&tls, short_handshakes()).await;
    let client_hello_begins = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00];
    for first in [&b""[..], &client_hello_begins] {
        let mut io = connect(address).await;
        io.write_all(first).await.unwrap();
        let start = Instant::now();
        assert_eq!(read_to_end(&mut io).await, b"");
        assert!(
            start.elapsed() >= HANDSHAKE_TIMEOUT / 2,
            "{:?}",
            start.elapsed()
        );
    }
    assert_eq!(hits(&counters), [(Counter::TlsHandshakeTimeout, 2)]);
}

#[tokio::test]
async fn p281_who_speaks_something_else_on_a_tls_port_is_closed_at_once() {
    let authority = authority();
    let tls = authority.server().tls(ClientCertificates::None);
    let (address, counters) = serve_counted(&tls, ServerConfig::default()).await;
    let mut http2 = PREFACE.to_vec();
    http2.extend(frame(SETTINGS, 0, 0, &[]));
    for first in [
        &http2[..],
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        &[0; 100],
    ] {
        let mut io = connect(address).await;
        io.write_all(first).await.unwrap();
        let start = Instant::now();
        let answer = read_to_end(&mut io).await;
        // At most an alert: type 21, two bytes of payload. RFC 8446 §5.1.
        assert!(
            matches!(answer[..], [] | [21, 3, _, 0, 2, 2, _]),
            "{answer:02x?}"
        );
        // Far less than the time that a handshake may take.
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
    }
    // A peer may read its alert before the server is done with it.
    let counted = async {
        while hits(&counters) != [(Counter::TlsHandshakeFailed, 3)] {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, counted).await.expect("three failures");
    let answer = Offer::new(&authority).call(address, "Echo").await.unwrap();
    assert_eq!(answer.messages, ["hello"]);
}

#[tokio::test]
async fn half_open_handshakes_do_not_lock_others_out_for_ever() {
    let authority = authority();
    let tls = authority.server().tls(ClientCertificates::None);
    let config = ServerConfig {
        max_handshakes: 1,
        ..short_handshakes()
    };
    let (address, counters) = serve_counted(&tls, config).await;
    let mut half_open = connect(address).await;
    half_open.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    let answer = Offer::new(&authority).call(address, "Echo").await.unwrap();
    assert_eq!(answer.messages, ["hello"]);
    assert_eq!(read_to_end(&mut half_open).await, b"");
    let late = Counter::TlsHandshakeTimeout;
    assert_eq!(hits(&counters), [(Counter::MaxHandshakes, 1), (late, 1)]);
}

#[tokio::test]
async fn a_drain_does_not_wait_for_half_open_handshakes() {
    let authority = authority();
    let tls = authority.server().tls(ClientCertificates::None);
    let config = ServerConfig {
        drain_timeout: Duration::from_millis(100),
        tls_handshake_timeout: 2 * PATIENCE,
        ..ServerConfig::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = Server::new().with_config(config).add(Mirror).tls(tls);
    let report = tokio::spawn(server.serve_until(listener, async move {
        let _ = stopped.await;
    }));
    let mut half_open = connect(address).await;
    half_open.write_all(&[0x16, 0x03, 0x01]).await.unwrap();
    // Connections are accepted in order, so that the other is accepted when this one is served.
    let answer = Offer::new(&authority).call(address, "Echo").await.unwrap();
    assert_eq!(answer.messages, ["hello"]);
    stop.send(()).unwrap();
    let report = timeout(PATIENCE, report).await.expect("an end in time");
    assert!(report.unwrap().unwrap().cut.is_empty());
    assert_eq!(read_to_end(&mut half_open).await, b"");
}

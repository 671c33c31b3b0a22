//! Rows 22 and 23: TLS that does not come to be, and clocks that are wrong.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use barewire::{
    Channel, ChannelConfig, ClientTls, Code, Counter, Counters, Server, ServerTls, Status,
};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::UnixTime;
use rustls::server::WebPkiClientVerifier;
use rustls::time_provider::TimeProvider;
use rustls::{SupportedProtocolVersion, version};
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::canary::Canary;
use crate::identities::Identity;
use crate::scene::{counted, method};
use crate::support::{PATIENCE, Probe, connect};
use crate::tokio;

const TLS12: &[&SupportedProtocolVersion] = &[&version::TLS12];
const TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// A wall clock that can be set. All who share it see the same time.
#[derive(Debug, Default)]
struct Clock {
    seconds_ahead: AtomicI64,
}

impl Clock {
    fn set_ahead(&self, seconds: i64) {
        self.seconds_ahead.store(seconds, Ordering::SeqCst);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap();
        let now = now + self.seconds_ahead.load(Ordering::SeqCst);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(
            u64::try_from(now).unwrap(),
        )))
    }
}

/// What a client brings.
struct Offer<'a> {
    trusted: &'a Identity,
    name: &'a str,
    identity: Option<&'a Identity>,
    versions: &'static [&'static SupportedProtocolVersion],
    clock: Arc<Clock>,
}

impl<'a> Offer<'a> {
    fn new(trusted: &'a Identity) -> Self {
        Self {
            trusted,
            name: "localhost",
            identity: None,
            versions: rustls::ALL_VERSIONS,
            clock: Arc::default(),
        }
    }

    fn channel(&self, server: SocketAddr) -> Channel {
        let clock = Arc::clone(&self.clock);
        let provider = Arc::new(ring::default_provider());
        let config = rustls::ClientConfig::builder_with_details(provider, clock)
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(self.trusted.roots());
        let mut config = match self.identity {
            Some(identity) => config
                .with_client_auth_cert(vec![identity.der()], identity.private_key())
                .unwrap(),
            None => config.with_no_client_auth(),
        };
        // Each connection is judged by itself.
        config.resumption = rustls::client::Resumption::disabled();
        let tls = ClientTls::from_config(config).unwrap();
        let config = ChannelConfig {
            tls: Some(tls.server_name(self.name).unwrap()),
            ..ChannelConfig::default()
        };
        Channel::with_config(&format!("https://{server}"), config).unwrap()
    }

    async fn call(&self, server: SocketAddr) -> Result<String, Status> {
        echo(&self.channel(server)).await
    }
}

async fn echo(channel: &Channel) -> Result<String, Status> {
    let call = channel.unary::<String, String>(method("Echo"), "hello".to_owned());
    let answer = timeout(PATIENCE, call).await.expect("an end in time")?;
    Ok(answer.message)
}

fn server_config(
    shown: &Identity,
    clients: Option<&Identity>,
    clock: Arc<Clock>,
) -> rustls::ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let config = rustls::ServerConfig::builder_with_details(Arc::clone(&provider), clock)
        .with_safe_default_protocol_versions()
        .unwrap();
    let config = match clients {
        Some(clients) => {
            let roots = Arc::new(clients.roots());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
        None => config.with_no_client_auth(),
    };
    config
        .with_single_cert(vec![shown.der()], shown.private_key())
        .unwrap()
}

/// A server that shows this, and takes clients with certificates of that authority, or any.
async fn serve(shown: &Identity, clients: Option<&Identity>) -> (SocketAddr, Counters) {
    serve_with(server_config(shown, clients, Arc::default())).await
}

async fn serve_with(config: rustls::ServerConfig) -> (SocketAddr, Counters) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tls = ServerTls::from_config(config).unwrap();
    let server = Server::new().add(Probe::default()).tls(tls);
    let counters = server.counters();
    tokio::spawn(server.serve(listener));
    (address, counters)
}

/// A server of TLS that has these protocols, and is none of ours.
async fn foreign(shown: &Identity, protocols: &[&str]) -> SocketAddr {
    let mut config = server_config(shown, None, Arc::default());
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().into())
        .collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            if let Ok(mut io) = acceptor.accept(io).await {
                let _ = io.read_to_end(&mut Vec::new()).await;
            }
        }
    });
    address
}

const GIVE_ROOT: &str = "give the certificate of its authority as a root, or this one if it is its own (ClientTls::with_roots, --ca)";
const GIVE_IDENTITY: &str = "give one that it accepts (ClientTls::identity, --cert and --key)";
const RENEW: &str = "renew it, or set the clock of this machine";
const H2_REMEDY: &str =
    "check that a gRPC server listens there, and that what stands before it passes HTTP/2 on";

/// A row: what a client brings, where to, and what it is told. `None` is a call that ends well.
struct Row<'a> {
    offer: Offer<'a>,
    server: SocketAddr,
    told: Option<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f22_a_handshake_that_fails_fails_on_both_sides_with_its_reason() {
    let (root, clients) = (Identity::authority("root"), Identity::authority("clients"));
    let strangers = Identity::authority("strangers");
    // Of the same name as the other, with another key.
    let impostor = Identity::authority("root");
    let known = clients.sign(|_| {});
    let (open, open_counters) = serve(&root.sign(|_| {}), None).await;
    let (asking, asking_counters) = serve(&root.sign(|_| {}), Some(&clients)).await;
    let mut offer = Offer::new(&root);
    let canary = Canary::start(offer.channel(open), method("Echo")).await;
    offer.identity = Some(&known);
    let known_canary = Canary::start(offer.channel(asking), method("Echo")).await;

    let server = |identity: Identity| async move { serve(&identity, None).await };
    let expired = server(root.sign(|c| c.not_after = in_days(-3).into())).await;
    let early = server(root.sign(|c| c.not_before = in_days(5).into())).await;
    let for_clients = server(root.sign(|c| {
        c.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }))
    .await;
    let by_impostor = server(impostor.sign(|_| {})).await;
    let an_authority = server(root.sign(|c| {
        c.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }))
    .await;
    let no_h2 = foreign(&root.sign(|_| {}), &["http/1.1"]).await;
    let no_alpn = foreign(&root.sign(|_| {}), &[]).await;

    let stranger = strangers.sign(|_| {});
    let old = clients.sign(|c| c.not_after = date_time_ymd(2002, 1, 1));
    let server_only = clients.sign(|c| {
        c.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });

    let plain = || Offer::new(&root);
    let row = |offer, server, told: Option<String>| Row {
        offer,
        server,
        told,
    };
    let bad = |text: &str| Some(format!("the server's certificate {text}"));
    let refused = |alert: &str| {
        Some(format!(
            "the server does not accept the client's certificate, or misses one (alert {alert}); {GIVE_IDENTITY}"
        ))
    };
    let shows = |identity| Offer {
        identity: Some(identity),
        ..Offer::new(&root)
    };
    let named = |name| Offer {
        name,
        ..Offer::new(&root)
    };
    #[rustfmt::skip]
    let rows = [
        // what the client brings    the server        what the client is told
        row(plain(),                 open,             None),
        row(named("LocalHost."),     open,             None),
        row(plain(),                 expired.0,        bad(&format!("expired 3 days ago; {RENEW}"))),
        row(plain(),                 early.0,          bad(&format!("is valid only 4 days from now; {RENEW}"))),
        row(Offer::new(&strangers),  open,             bad(&format!("is not signed by a known authority; {GIVE_ROOT}"))),
        row(named("other.example"),  open,             bad("is for localhost, not for other.example; connect to a name that it has, or say which one to expect (ClientTls::server_name, --server-name)")),
        row(plain(),                 for_clients.0,    bad("is not meant for servers: serverAuth is not among its extended key usages")),
        row(plain(),                 by_impostor.0,    bad("is not signed by the authority that it names, or the server does not have its key")),
        row(plain(),                 an_authority.0,   bad(&format!("is an authority's own, as openssl req -x509 makes them, and none of the roots that were given; {GIVE_ROOT}"))),
        row(plain(),                 no_h2,            Some(format!("the server does not agree on h2 by ALPN (alert NoApplicationProtocol); {H2_REMEDY}"))),
        row(plain(),                 no_alpn,          Some(format!("the server does not agree on h2 by ALPN, nor on anything else; {H2_REMEDY}"))),
        row(shows(&known),           asking,           None),
        row(plain(),                 asking,           Some(format!("the server wants a client certificate (alert CertificateRequired); {GIVE_IDENTITY}"))),
        row(shows(&stranger),        asking,           refused("UnknownCA")),
        row(shows(&old),             asking,           refused("CertificateExpired")),
        row(shows(&server_only),     asking,           refused("UnsupportedCertificate")),
    ];
    // Each with how many handshakes have failed.
    let mut ours = [
        (open, open_counters),
        (asking, asking_counters),
        expired,
        early,
        for_clients,
        by_impostor,
        an_authority,
    ]
    .map(|(address, counters)| (address, counters, 0));
    let mut cases = 0;
    for Row {
        mut offer,
        server,
        told,
    } in rows
    {
        for versions in [TLS12, TLS13] {
            cases += 1;
            offer.versions = versions;
            let answer = offer.call(server).await;
            match &told {
                None => assert_eq!(answer.unwrap(), "hello"),
                Some(told) => {
                    let status = answer.unwrap_err();
                    let step = if status.message.starts_with("no TLS") {
                        "TLS"
                    } else {
                        "HTTP/2"
                    };
                    let text = format!("no {step} with {server}: {told}");
                    assert_eq!((status.code, &*status.message), (Code::Unavailable, &*text));
                    assert!(status.unprocessed, "{status}");
                }
            }
            // A server of ours counts it once, be it after its client knows.
            let counting = ours.iter_mut().find(|(address, ..)| *address == server);
            if let Some((_, counters, failures)) = counting.filter(|_| told.is_some()) {
                *failures += 1;
                counted(counters, Counter::TlsHandshakeFailed, *failures).await;
            }
            // And no other does.
            for (address, counters, failures) in &ours {
                let failed = counters.of(Counter::TlsHandshakeFailed);
                assert_eq!(failed, *failures, "{address}: {told:?}");
            }
        }
    }
    assert_eq!(cases, 32);
    canary.ends_well().await;
    known_canary.ends_well().await;
}

/// So many days from now, and an hour less.
fn in_days(days: i64) -> SystemTime {
    let distance = Duration::from_secs(days.unsigned_abs() * 24 * 3600 + 3600);
    let now = SystemTime::now();
    match days {
        ..0 => now - distance,
        0.. => now + distance - 2 * Duration::from_secs(3600),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f22_a_version_below_1_2_is_refused_with_its_alert() {
    let root = Identity::authority("root");
    let (address, counters) = serve(&root.sign(|_| {}), None).await;
    let canary = Canary::start(Offer::new(&root).channel(address), method("Echo")).await;
    // A ClientHello of TLS 1.0 or 1.1: version, random, no session, one suite, no compression.
    for minor in [1, 2] {
        let body = [&[3, minor][..], &[7; 32], &[0, 0, 2, 0xc0, 0x13, 1, 0]].concat();
        let length = u8::try_from(body.len()).unwrap();
        let hello = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();
        let mut io = connect(address).await;
        io.write_all(&hello).await.unwrap();
        let mut answer = Vec::new();
        let end = timeout(PATIENCE, io.read_to_end(&mut answer)).await;
        let _ = end.expect("an end in time");
        // An alert, fatal: protocol_version; or handshake_failure, since nothing was offered that version
        // 1.2 could be spoken with. RFC 8446 §6.2.
        assert!(
            matches!(answer[..], [21, 3, _, 0, 2, 2, 40 | 70]),
            "{answer:02x?}"
        );
    }
    counted(&counters, Counter::TlsHandshakeFailed, 2).await;
    canary.ends_well().await;
}

/// grpcio goes like that from a client whose certificate it misses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f22_a_server_that_resets_after_the_handshake_may_miss_a_certificate() {
    let root = Identity::authority("root");
    let mut config = server_config(&root.sign(|_| {}), None, Arc::default());
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let goes = async {
        let (io, _) = listener.accept().await.unwrap();
        let mut io = acceptor.accept(io).await.unwrap();
        io.read_u8().await.unwrap();
        let (io, _) = io.into_inner();
        SockRef::from(&io).set_linger(Some(Duration::ZERO)).unwrap();
    };
    let offer = Offer::new(&root);
    let (answer, ()) = tokio::join!(offer.call(address), goes);
    let status = answer.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    let remedy = format!("if it wants a client certificate, {GIVE_IDENTITY}");
    assert!(status.message.ends_with(&remedy), "{status}");
}

const TEN_YEARS: i64 = 10 * 365 * 24 * 3600;

/// By the clocks that rustls asks; `tests/wall_clock` sets those of whole processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f23_a_clock_that_jumps_is_noticed_by_certificates_alone() {
    let (root, clients) = (Identity::authority("root"), Identity::authority("clients"));
    let short = |c: &mut CertificateParams| {
        (c.not_before, c.not_after) = (in_days(-1).into(), in_days(2).into());
    };
    let (shown, client) = (root.sign(short), clients.sign(short));
    let clock = Arc::new(Clock::default());
    let server_clock = Arc::new(Clock::default());
    let config = server_config(&shown, Some(&clients), Arc::clone(&server_clock));
    let (server, _) = serve_with(config).await;
    let offer = Offer {
        identity: Some(&client),
        clock: Arc::clone(&clock),
        ..Offer::new(&root)
    };
    // Connections that are there before the clocks jump, with a call that is open, and one with a
    // deadline.
    let channel = offer.channel(server);
    let canary = Canary::start(channel.clone(), method("Echo")).await;
    let chat = channel.bidi::<String, String>(method("Chat"), ());
    let (mut outbound, mut inbound) = chat.await.unwrap();
    let hour = barewire::Request::new(()).with_timeout(Duration::from_secs(3600));
    let late = channel.bidi::<String, String>(method("Chat"), hour);
    let (mut late_outbound, mut late_inbound) = late.await.unwrap();
    let mut go_on = async || {
        for (outbound, inbound) in [
            (&mut outbound, &mut inbound),
            (&mut late_outbound, &mut late_inbound),
        ] {
            outbound.send("still".to_owned()).await.unwrap();
            assert_eq!(inbound.next().await.unwrap().as_deref(), Some("still"));
        }
    };
    let jumps = [
        // the client's, the server's        what a new connection comes to
        (
            TEN_YEARS,
            0,
            Some("the server's certificate expired 3648 days ago; renew it"),
        ),
        (
            -TEN_YEARS,
            0,
            Some("the server's certificate is valid only 3648 days from now; renew it"),
        ),
        (0, TEN_YEARS, Some("(alert CertificateExpired)")),
        (0, -TEN_YEARS, Some("(alert CertificateExpired)")),
        (0, 0, None),
    ];
    for (client_ahead, server_ahead, told) in jumps {
        clock.set_ahead(client_ahead);
        server_clock.set_ahead(server_ahead);
        go_on().await;
        for versions in [TLS12, TLS13] {
            let offer = Offer {
                versions,
                clock: Arc::clone(&clock),
                ..Offer {
                    identity: Some(&client),
                    ..Offer::new(&root)
                }
            };
            match (offer.call(server).await, told) {
                (Ok(answer), None) => assert_eq!(answer, "hello"),
                (Err(status), Some(told)) => {
                    assert_eq!(status.code, Code::Unavailable, "{status}");
                    assert!(status.message.contains(told), "{status}");
                }
                (found, told) => panic!("{found:?} instead of {told:?}"),
            }
        }
        go_on().await;
    }
    canary.ends_well().await;
}

/// Whatever else looks at a clock looks at one that only goes forwards.
#[test]
fn f23_nothing_but_tls_looks_at_the_wall_clock() {
    let mut found = Vec::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    look_for_wall_clocks(&sources, &mut found);
    // The test service of the interop cases names itself by the time of its start.
    found.retain(|line| !line.ends_with("src/interop/service.rs"));
    assert_eq!(found, [] as [String; 0]);
}

fn look_for_wall_clocks(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            look_for_wall_clocks(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let names = [
                "SystemTime",
                "UNIX_EPOCH",
                "UnixTime::now",
                "chrono",
                "time::Offset",
            ];
            let named = names.iter().filter(|name| source.contains(*name));
            found.extend(named.map(|name| format!("{name} in {}", path.display())));
        }
    }
}

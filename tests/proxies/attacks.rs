//! Attacks through a proxy: several clients do wrong at once, for some seconds, and no call fails of
//! another client, which shares their connection to the server.
//!
//! ```text
//!  attackers, one of each kind ── calls as fast as they end ──▶ proxy ── one connection, counted ──▶ server
//!  victim ─────────────────────── a stream, and calls beside ─▶
//! ```
//!
//! These are the attacks of `tests/attacks` that are faults of calls. The others, of frames and header
//! blocks, end at the proxy: it makes new ones for the server.
//!
//! haproxy is attacked twice: as it is documented, where clients do not share connections, and told
//! to share one, but without the attacker that does not read. (See the exception in `faults.rs`.)
//!
//! `BAREWIRE_ATTACK_SECONDS=60` makes it last longer.

use std::env;
use std::future::pending;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use barewire::wire::framing::{RawMessage, encode_message};
use barewire::{ByteStream, ServerConfig};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::check::Check;
use crate::faults::HAPROXY_SHARES;
use crate::frames::{reset, settings_frame, window};
use crate::proxy::Kind;
use crate::site::{Backend, Site, Wire, in_time, server};
use crate::support::{
    Answer, Client, END_HEADERS, HEADERS, RawPeer, Seen, connect, encoded, frame, hits,
    request_block,
};
use crate::victim::Victim;

pub(crate) fn checks() -> Vec<Check> {
    vec![Check::named(
        "attacks::all_at_once".to_owned(),
        async |site: &Site| {
            make_bombs();
            run(site, Connections::AsDocumented, ATTACKS).await;
            if site.kind == Kind::Haproxy {
                let others = ATTACKS.iter().filter(|(name, _)| *name != NEVER_READING);
                run(
                    site,
                    Connections::Shared,
                    &others.copied().collect::<Vec<_>>(),
                )
                .await;
            }
        },
    )]
}

/// Whether clients share connections to the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connections {
    /// With Envoy they do.
    AsDocumented,
    /// haproxy can be told to.
    Shared,
}

/// Goes on and on. Panics if the server does not see it.
type Attack = fn(Attacker) -> Pin<Box<dyn Future<Output = ()> + Send>>;

const NEVER_READING: &str = "never_reading";
/// A server that shares two cores with all of this may take longer than a second to answer a check, and
/// be taken for dead.
const HAPROXY_CHECKS_NOTHING: &[(&str, &str)] = &[("default-server check", "default-server")];

#[rustfmt::skip]
const ATTACKS: &[(&str, Attack)] = &[
    ("rapid_cancels",       |attacker| Box::pin(attacker.cancels())),
    (NEVER_READING,         |attacker| Box::pin(attacker.never_reads())),
    ("slow_bodies",         |attacker| Box::pin(attacker.slow_bodies())),
    ("compression_bombs",   |attacker| Box::pin(attacker.makes_calls("/test.Probe/Echo", GZIP, &ZEROS, "8"))),
    ("tiny_fields",         |attacker| Box::pin(attacker.makes_calls("/test.Place/Length", GZIP, &TEXTS, "0"))),
    ("oversize_messages",   |attacker| Box::pin(attacker.makes_calls("/test.Probe/Echo", &[], &OVERSIZE, "8"))),
    ("oversize_metadata",   |attacker| Box::pin(attacker.oversize_metadata())),
    ("early_answers",       |attacker| Box::pin(attacker.makes_calls("/test.Probe/Refuse", &[], &LARGE, "7"))),
];

async fn run(site: &Site, connections: Connections, attacks: &[(&'static str, Attack)]) {
    let seen = Arc::new(Seen::default());
    let config = ServerConfig {
        // A server that was not optimised takes long for what an optimised one does at once.
        max_recv_message: 256 * 1024,
        ..ServerConfig::default()
    };
    let backend = Backend::start(site, server("one", &seen, config)).await;
    let wire = Wire::to(backend.port).await;
    let changes = match (site.kind, connections) {
        (Kind::Haproxy, Connections::AsDocumented) => HAPROXY_CHECKS_NOTHING,
        (Kind::Haproxy, Connections::Shared) => HAPROXY_SHARES,
        (Kind::Envoy | Kind::Nginx, _) => &[],
    };
    let proxy = site.changed_proxy(&[wire.port], changes);
    let victim = Victim::start(site.channel(proxy.address)).await;

    let mut rounds = Vec::new();
    let mut attackers = JoinSet::new();
    for (name, attack) in attacks {
        let attacker = Attacker {
            site: site.clone(),
            proxy: proxy.address,
            seen: Arc::clone(&seen),
            rounds: Arc::default(),
        };
        rounds.push((name, Arc::clone(&attacker.rounds)));
        attackers.spawn(attack(attacker));
    }
    // The attackers never end, but by a panic.
    let failed = tokio::select! {
        ended = attackers.join_next() => ended.and_then(Result::err),
        () = sleep(duration()) => None,
    };
    victim.goes_on().await;
    attackers.shutdown().await;

    let mut report = format!(
        "{} {}: calls of the victim {};",
        site.kind,
        site.security,
        victim.calls()
    );
    for (name, rounds) in &rounds {
        report += &format!(" {name} {}", rounds.load(Ordering::Relaxed));
    }
    println!(
        "\n  {report}; hit on the server: {:?}",
        hits(&backend.counters)
    );
    victim.stop().await;
    if let Some(failed) = failed {
        panic!("an attacker: {failed}");
    }
    for (name, rounds) in rounds {
        assert!(rounds.load(Ordering::Relaxed) > 0, "{name}: not once");
    }
    let none = |seen: &Seen| seen.running() == 0;
    seen.wait_for("handlers end", none).await;
    let is_shared = site.kind == Kind::Envoy || connections == Connections::Shared;
    match wire.connections() {
        1 => assert!(is_shared, "clients have their own"),
        count => assert!(!is_shared, "they share one, and there were {count}"),
    }
}

/// A client that does wrong in one way.
struct Attacker {
    site: Site,
    proxy: SocketAddr,
    seen: Arc<Seen>,
    /// How often.
    rounds: Arc<AtomicUsize>,
}

impl Attacker {
    /// Makes calls and takes each back with the next frame.
    async fn cancels(self) {
        let mut pace = interval(CANCEL_PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let client = self.client().await;
        loop {
            pace.tick().await;
            let mut peer = RawPeer::begin(self.io().await).await;
            let streams = (1..).step_by(2).take(CANCELS);
            let calls = streams.map(|stream| {
                let head = frame(HEADERS, END_HEADERS, stream, &request_block("Never"));
                [head, reset(stream, 8)].concat()
            });
            peer.write(&calls.collect::<Vec<_>>().concat()).await;
            // A thousand that come before the server looks at the first are too many for h2.
            let answer = call(&client, "/test.Probe/Echo", &[], &encoded("x")).await;
            assert_eq!(answer.code(), Some("0"), "{answer:?}");
            self.count(CANCELS);
        }
    }

    /// Has room for answers without end, and does not read.
    async fn never_reads(self) {
        const MOST: u32 = 0x7fff_ffff;
        let mut peer = RawPeer::begin(self.io().await).await;
        let mut said = settings_frame(&[(4, MOST)]);
        said.extend(window(0, MOST - 0xffff));
        for stream in (1..).step_by(2).take(STREAMS) {
            said.extend(frame(HEADERS, END_HEADERS, stream, &request_block("Flood")));
        }
        let begun = self.seen.begun();
        peer.write(&said).await;
        let all = |seen: &Seen| seen.begun() >= begun + STREAMS;
        self.seen.wait_for("all of them", all).await;
        self.count(STREAMS);
        pending().await
    }

    /// Messages byte by byte.
    async fn slow_bodies(self) {
        let client = self.client().await;
        let mut calls = Vec::new();
        for _ in 0..STREAMS {
            let mut call = client.start("Echo", &[]).await;
            call.send_bytes(Bytes::from_static(&[0, 0, 1, 0, 0])).await;
            calls.push(call);
        }
        let mut pace = interval(BYTE_PACE);
        loop {
            pace.tick().await;
            for call in &mut calls {
                call.send_bytes(Bytes::from_static(b"x")).await;
            }
            self.count(STREAMS);
        }
    }

    /// Calls with these bytes, which end with this code, said by the server.
    async fn makes_calls(self, path: &str, headers: &[(&str, &str)], bytes: &Bytes, code: &str) {
        loop {
            let client = self.client().await;
            for _ in 0..CALLS {
                let answer = call(&client, path, headers, bytes).await;
                assert_eq!(answer.code(), Some(code), "{path} {answer:?}");
                self.count(1);
            }
        }
    }

    async fn oversize_metadata(self) {
        let value = "x".repeat(10_000);
        let headers = [("one", &*value), ("two", &*value)];
        self.makes_calls("/test.Probe/Echo", &headers, &encoded("x"), "8")
            .await;
    }

    async fn client(&self) -> Client {
        Client::over(self.io().await).await
    }

    async fn io(&self) -> Box<dyn ByteStream> {
        self.site.secured(connect(self.proxy).await).await
    }

    fn count(&self, rounds: usize) {
        self.rounds.fetch_add(rounds, Ordering::Relaxed);
    }
}

async fn call(client: &Client, path: &str, headers: &[(&str, &str)], bytes: &Bytes) -> Answer {
    let mut request = http::Request::post(format!("http://localhost{path}"))
        .header("te", "trailers")
        .header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut call = client.send_request(request.body(()).unwrap(), false).await;
    call.send_bytes(bytes.clone()).await;
    in_time("an answer", call.finish_patiently()).await
}

const GZIP: &[(&str, &str)] = &[("grpc-encoding", "gzip")];

/// More than a message may become.
static ZEROS: LazyLock<Bytes> = LazyLock::new(|| bomb(&vec![0; 1024 * 1024]));
/// Two bytes for each text of a list, which is allowed.
static TEXTS: LazyLock<Bytes> = LazyLock::new(|| bomb(&[0x0a, 0].repeat(70_000)));
/// The beginning of a message that is too long, with more behind it than a window takes.
static OVERSIZE: LazyLock<Bytes> = LazyLock::new(|| {
    let prefix = [0, 1, 0, 0, 0];
    [&prefix[..], &[0; 300_000]].concat().into()
});
/// More than a window takes.
static LARGE: LazyLock<Bytes> = LazyLock::new(|| vec![0; 300_000].into());

fn make_bombs() {
    LazyLock::force(&ZEROS);
    LazyLock::force(&TEXTS);
}

/// A message, compressed, prefix and all.
fn bomb(message: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(message).unwrap();
    let body = encoder.finish().unwrap().into();
    let compressed = true;
    encode_message(&RawMessage { compressed, body }).unwrap()
}

fn duration() -> Duration {
    let seconds = match env::var("BAREWIRE_ATTACK_SECONDS") {
        Ok(text) => text.parse().expect("a whole number"),
        Err(_) => 4,
    };
    Duration::from_secs(seconds)
}

/// Streams of an attacker that are open at once.
const STREAMS: usize = 20;
/// Calls of an attacker on one connection, one after the other.
const CALLS: usize = 50;
/// Calls that are taken back at once. Envoy would end a connection with twice as many.
const CANCELS: usize = 200;
/// So that there are fewer than a server bears on one connection, which all clients share: a thousand a
/// second. (See `docs/proxies.md`.)
const CANCEL_PACE: Duration = Duration::from_millis(220);
/// How often a slow peer says a byte.
const BYTE_PACE: Duration = Duration::from_millis(20);

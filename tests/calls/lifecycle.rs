//! How connections and servers end.

use std::sync::Arc;
use std::time::Duration;

use barewire::{ByteStream, Counter, Counters, DrainReport, Http2Config, Server, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{
    ACK, Client, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PATIENCE, PING, PREFACE,
    Probe, RST_STREAM, RawPeer, Seen, connect, counted_server, encoded, frame, hits, piped_server,
    request_block,
};
use crate::tokio;

struct Draining {
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    report: JoinHandle<std::io::Result<DrainReport>>,
    counters: Counters,
}

async fn drainable(probe: Probe, config: ServerConfig) -> Draining {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::new().with_config(config).add(probe);
    let counters = server.counters();
    let report = tokio::spawn(server.serve_until(listener, async {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
    }));
    Draining {
        address,
        stop,
        report,
        counters,
    }
}

fn piped_with(probe: Probe, http2: Http2Config) -> DuplexStream {
    let config = ServerConfig {
        http2,
        ..ServerConfig::default()
    };
    piped_server(probe, config)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p154_a_drain_loses_none_of_1000_calls_in_flight() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let Draining {
        address,
        stop,
        report,
        ..
    } = drainable(probe, ServerConfig::default()).await;
    let mut calls = Vec::new();
    for _ in 0..10 {
        let client = Client::tcp(address).await;
        for _ in 0..100 {
            let client = client.clone();
            calls.push(tokio::spawn(
                async move { client.call("Slow", &["x"]).await },
            ));
        }
    }
    seen.wait_for("1,000 handlers run", |seen| seen.running() == 1_000)
        .await;
    stop.send(()).unwrap();
    // The handlers go on once the server has stopped listening.
    while TcpStream::connect(address).await.is_ok() {}
    while seen.running() > 0 {
        seen.gate.notify_waiters();
        tokio::task::yield_now().await;
    }
    for call in calls {
        let answer = call.await.unwrap();
        assert_eq!(
            (answer.code(), &answer.messages[..]),
            (Some("0"), &["x".to_owned()][..])
        );
    }
    let report = tokio::time::timeout(PATIENCE, report)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!((report.calls_at_start, report.cut.len()), (1_000, 0));
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_drain_does_not_wait_for_peers_that_never_began() {
    let mut config = ServerConfig {
        drain_timeout: Duration::from_millis(100),
        ..ServerConfig::default()
    };
    config.http2.preface_timeout = 2 * PATIENCE;
    let Draining {
        address,
        stop,
        report,
        ..
    } = drainable(Probe::default(), config).await;
    let mut peers = Vec::new();
    for first in [&b""[..], b"PRI * HT", PREFACE] {
        let mut io = connect(address).await;
        io.write_all(first).await.unwrap();
        peers.push(io);
    }
    // Connections are accepted in order, so that the others are accepted when this one is served.
    let client = Client::tcp(address).await;
    assert_eq!(client.call("Echo", &["hello"]).await.code(), Some("0"));
    stop.send(()).unwrap();
    let report = tokio::time::timeout(PATIENCE, report).await;
    let report = report.expect("an end in time").unwrap().unwrap();
    assert!(report.cut.is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p154_a_drain_cuts_what_does_not_end_and_reports_it() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let config = ServerConfig {
        drain_timeout: Duration::from_millis(100),
        ..ServerConfig::default()
    };
    let Draining {
        address,
        stop,
        report,
        counters,
    } = drainable(probe, config).await;
    let client = Client::tcp(address).await;
    let call = client.start("Never", &[]).await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    stop.send(()).unwrap();
    let answer = call.finish().await;
    assert!(answer.reset.is_some(), "{answer:?}");
    let report = tokio::time::timeout(PATIENCE, report)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(report.cut.len(), 1);
    assert_eq!(report.cut[0].path.as_str(), "/test.Probe/Never");
    assert_eq!(counters.of(Counter::DrainTimeout), 1);
    assert_eq!(seen.running(), 0);
}

/// A server of pipes that drains after a second, one of its connections, and how it came to its end.
struct PipedDrain {
    io: DuplexStream,
    seen: Arc<Seen>,
    counters: Counters,
    report: JoinHandle<std::io::Result<DrainReport>>,
}

async fn drains_after_a_second() -> PipedDrain {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let (queue, listener) = mpsc::channel::<Box<dyn ByteStream>>(1);
    let (io, far) = tokio::io::duplex(1024 * 1024);
    queue.send(Box::new(far)).await.unwrap();
    let server = Server::new().add(probe);
    let counters = server.counters();
    let second = tokio::time::sleep(Duration::from_secs(1));
    PipedDrain {
        io,
        seen,
        counters,
        report: tokio::spawn(server.serve_until(listener, second)),
    }
}

#[tokio::test(start_paused = true)]
async fn p154_a_drain_waits_thirty_seconds_and_then_cuts() {
    const ALL: &[u8] = b"\x7f\xff\xff\xff\0\0\0\0";
    const FIRST: &[u8] = b"\0\0\0\x01\0\0\0\0";
    // Counted from the start of the drain.
    for (milliseconds, is_cut) in [(29_900, false), (30_100, true)] {
        let ends_after = Duration::from_millis(milliseconds);
        let PipedDrain {
            io,
            seen,
            counters,
            report,
        } = drains_after_a_second().await;
        let drains_at = Instant::now() + Duration::from_secs(1);
        let mut peer = RawPeer::begin(io).await;
        let mut call = frame(HEADERS, END_HEADERS, 1, &request_block("Slow"));
        call.extend(frame(DATA, END_STREAM, 1, &encoded("x")));
        peer.write(&call).await;
        tokio::spawn(async move {
            tokio::time::sleep_until(drains_at + ends_after).await;
            seen.gate.notify_one();
        });
        // What is said about streams and the connection, and when.
        let mut heard = Vec::new();
        while let Some(frame) = peer.next_frame().await {
            let Frame {
                kind,
                stream,
                payload,
                ..
            } = frame;
            if kind == PING {
                let ack = crate::support::frame(PING, ACK, 0, &payload);
                peer.write(&ack).await;
            }
            if [HEADERS, DATA, RST_STREAM, GOAWAY].contains(&kind) {
                let payload = Some(payload).filter(|_| kind == GOAWAY);
                heard.push((drains_at.elapsed(), kind, stream, payload));
            }
        }
        let ended_after = drains_at.elapsed();
        drop(peer);
        let report = report.await.unwrap().unwrap();
        let mut expected = vec![
            (Duration::ZERO, GOAWAY, 0, Some(ALL.to_vec())),
            (Duration::ZERO, GOAWAY, 0, Some(FIRST.to_vec())),
        ];
        if is_cut {
            // What there is to say was said: the connection ends, and its streams with it.
            assert_eq!(ended_after, Duration::from_secs(30));
            assert_eq!(report.cut.len(), 1);
            assert_eq!(hits(&counters), [(Counter::DrainTimeout, 1)]);
        } else {
            expected.extend([HEADERS, DATA, HEADERS].map(|kind| (ends_after, kind, 1, None)));
            assert_eq!(ended_after, ends_after);
            assert!(report.cut.is_empty(), "{report:?}");
            assert_eq!(hits(&counters), []);
        }
        assert_eq!(heard, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn p152_a_drain_says_goaway_twice_around_a_ping() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let http2 = Http2Config {
        max_connection_age: Some(Duration::from_secs(60)),
        ..Http2Config::default()
    };
    let io = piped_with(probe, http2);
    let mut peer = RawPeer::begin(io).await;
    let start = Instant::now();
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &request_block("Slow"));
    bytes.extend(frame(DATA, END_STREAM, 1, &encoded("x")));
    peer.write(&bytes).await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    let first = read_patiently(&mut peer, GOAWAY).await;
    // P150: within a tenth of the age.
    let age = start.elapsed().as_secs_f64();
    assert!((54.0..=66.1).contains(&age), "{age}");
    assert_eq!(first[..8], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
    let ping = peer.frame_of(PING).await.unwrap();
    // A call that raced the GOAWAY is served.
    let mut bytes = frame(HEADERS, END_HEADERS, 3, &request_block("Echo"));
    bytes.extend(frame(DATA, END_STREAM, 3, &encoded("raced")));
    bytes.extend(frame(PING, ACK, 0, &ping.payload));
    peer.write(&bytes).await;
    // Its answer and the second GOAWAY come in either order.
    let (mut answered, mut last) = (false, Vec::new());
    while !answered || last.is_empty() {
        let frame = peer.frame().await.unwrap();
        answered |= frame.stream == 3 && frame.flags & END_STREAM != 0;
        if frame.kind == GOAWAY {
            last = frame.payload;
        }
    }
    assert_eq!(last[..8], [0, 0, 0, 3, 0, 0, 0, 0]);
    // The first call goes on to its end, then the connection closes.
    seen.gate.notify_one();
    assert_eq!(peer.frame_on(1).await.unwrap().kind, HEADERS);
    assert_eq!(peer.last_goaway().await, None);
}

/// The payload of the next frame of `kind`, however long it takes on a clock that is ours.
async fn read_patiently<T: ByteStream>(peer: &mut RawPeer<T>, kind: u8) -> Vec<u8> {
    loop {
        let mut head = [0; 9];
        peer.io.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        peer.io.read_exact(&mut payload).await.unwrap();
        if head[3] == kind {
            return payload;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p151_the_grace_of_an_old_connection_ends() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let http2 = Http2Config {
        max_connection_age: Some(Duration::from_secs(60)),
        max_connection_age_grace: Some(Duration::from_secs(4)),
        ..Http2Config::default()
    };
    let io = piped_with(probe, http2);
    let client = Client::over(io).await;
    let call = client.start("Never", &[]).await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    let start = Instant::now();
    let mut call = call;
    call.send.send_data(bytes::Bytes::new(), true).unwrap();
    assert!(call.response.await.is_err());
    let taken = start.elapsed().as_secs_f64();
    assert!((58.0..=70.1).contains(&taken), "{taken}");
    seen.wait_for("the handler is dropped", |seen| seen.running() == 0)
        .await;
}

#[tokio::test(start_paused = true)]
async fn p149_an_idle_connection_is_drained_but_not_a_busy_one() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let http2 = Http2Config {
        max_connection_idle: Some(Duration::from_secs(30)),
        ..Http2Config::default()
    };
    let io = piped_with(probe, http2);
    let mut peer = RawPeer::begin(io).await;
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &request_block("Slow"));
    bytes.extend(frame(DATA, END_STREAM, 1, &encoded("x")));
    peer.write(&bytes).await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    seen.gate.notify_one();
    let start = Instant::now();
    let goaway = read_patiently(&mut peer, GOAWAY).await;
    assert_eq!(goaway[..4], [0x7f, 0xff, 0xff, 0xff]);
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn p145_a_silent_peer_is_asked_and_then_closed() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let mut peer = RawPeer::begin(piped_server(probe, ServerConfig::default())).await;
    peer.write(&frame(HEADERS, END_HEADERS, 1, &request_block("Never")))
        .await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    let start = Instant::now();
    // The first PING is answered, and the connection lives; the second is not.
    for round in 1..=2 {
        let ping = read_patiently(&mut peer, PING).await;
        let taken = start.elapsed().as_secs();
        assert!((round * 300..=round * 300 + 1).contains(&taken), "{taken}");
        if round == 1 {
            peer.write(&frame(PING, ACK, 0, &ping)).await;
        }
    }
    let goaway = read_patiently(&mut peer, GOAWAY).await;
    assert_eq!(&goaway[4..], b"\0\0\0\0keepalive_timeout");
    assert_eq!(start.elapsed().as_secs(), 620);
    seen.wait_for("the handler is dropped", |seen| seen.running() == 0)
        .await;
}

/// A peer on whose connection a call runs, and that is told that the server drains. It answers nothing.
async fn drained() -> (RawPeer<DuplexStream>, Counters, Arc<Seen>) {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let config = ServerConfig {
        http2: Http2Config {
            max_connection_age: Some(Duration::from_secs(60)),
            ..Http2Config::default()
        },
        ..ServerConfig::default()
    };
    let (io, counters) = counted_server(probe, config);
    let mut peer = RawPeer::begin(io).await;
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &request_block("Slow"));
    bytes.extend(frame(DATA, END_STREAM, 1, &encoded("x")));
    peer.write(&bytes).await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    read_patiently(&mut peer, PING).await;
    (peer, counters, seen)
}

#[tokio::test(start_paused = true)]
async fn p260_a_drain_waits_five_seconds_for_the_answer_to_its_ping() {
    let (mut peer, counters, seen) = drained().await;
    tokio::time::sleep(Duration::from_millis(4_900)).await;
    let mut bytes = frame(HEADERS, END_HEADERS, 3, &request_block("Echo"));
    bytes.extend(frame(DATA, END_STREAM, 3, &encoded("still welcome")));
    peer.write(&bytes).await;
    while peer.frame_on(3).await.unwrap().flags & END_STREAM == 0 {}
    assert_eq!(counters.of(Counter::DrainPingTimeout), 0);
    seen.gate.notify_one();
    assert_eq!(peer.frame_on(1).await.unwrap().kind, HEADERS);
}

#[tokio::test(start_paused = true)]
async fn p260_a_drain_does_not_wait_for_a_peer_that_answers_no_ping() {
    let (mut peer, counters, seen) = drained().await;
    tokio::time::sleep(Duration::from_millis(5_100)).await;
    assert_eq!(counters.of(Counter::DrainPingTimeout), 1);
    // Too late for a new call; the old one is still waited for.
    peer.write(&frame(HEADERS, END_HEADERS, 3, &request_block("Echo")))
        .await;
    let refused = peer.frame_on(3).await.unwrap();
    assert_eq!(
        (refused.kind, refused.payload),
        (RST_STREAM, 7_u32.to_be_bytes().to_vec())
    );
    seen.gate.notify_one();
    assert_eq!(peer.frame_on(1).await.unwrap().kind, HEADERS);
    let start = Instant::now();
    assert!(peer.last_goaway().await.is_some());
    assert!(start.elapsed().as_secs() <= 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p123_a_lost_connection_drops_its_handlers() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let Draining { address, .. } = drainable(probe, ServerConfig::default()).await;
    let io = connect(address).await;
    let mut peer = RawPeer::begin(io).await;
    for number in 0..10 {
        peer.write(&frame(
            HEADERS,
            END_HEADERS,
            number * 2 + 1,
            &request_block("Never"),
        ))
        .await;
    }
    seen.wait_for("ten handlers run", |seen| seen.running() == 10)
        .await;
    drop(peer);
    seen.wait_for("all handlers are dropped", |seen| seen.running() == 0)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_dropped_cuts_its_calls() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let Draining {
        address, report, ..
    } = drainable(probe, ServerConfig::default()).await;
    let client = Client::tcp(address).await;
    let call = client.start("Never", &[]).await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    report.abort();
    assert!(call.finish().await.reset.is_some());
    seen.wait_for("the handler is dropped", |seen| seen.running() == 0)
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_too_many_is_resource_exhausted() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let config = ServerConfig {
        max_concurrent_calls: 2,
        ..ServerConfig::default()
    };
    let Draining { address, stop, .. } = drainable(probe, config).await;
    let client = Client::tcp(address).await;
    let calls = [
        client.start("Never", &[]).await,
        client.start("Never", &[]).await,
    ];
    seen.wait_for("two handlers run", |seen| seen.running() == 2)
        .await;
    let answer = client.call("Echo", &["x"]).await;
    assert_eq!(answer.code(), Some("8"));
    assert_eq!(answer.text(), "the server has too many calls under way");
    drop((calls, stop));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_too_many_waits() {
    let config = ServerConfig {
        max_connections: 1,
        ..ServerConfig::default()
    };
    let Draining { address, stop, .. } = drainable(Probe::default(), config).await;
    let client = Client::tcp(address).await;
    assert_eq!(client.call("Echo", &["first"]).await.messages, ["first"]);
    // The system accepts the second connection, but it is heard only when the first is gone.
    let second = tokio::spawn(async move {
        let client = Client::tcp(address).await;
        client.call("Echo", &["second"]).await
    });
    assert_eq!(client.call("Echo", &["again"]).await.messages, ["again"]);
    assert!(!second.is_finished());
    drop(client);
    assert_eq!(second.await.unwrap().messages, ["second"]);
    drop(stop);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_may_have_only_so_many_connections() {
    let config = ServerConfig {
        max_connections_per_ip: Some(1),
        ..ServerConfig::default()
    };
    let Draining {
        address, counters, ..
    } = drainable(Probe::default(), config).await;
    let client = Client::tcp(address).await;
    assert_eq!(client.call("Echo", &["first"]).await.code(), Some("0"));
    assert_eq!(hits(&counters), []);
    let mut second = connect(address).await;
    assert!(
        matches!(second.read(&mut [0; 1]).await, Ok(0) | Err(_)),
        "closed at once"
    );
    assert_eq!(hits(&counters), [(Counter::MaxConnectionsPerIp, 1)]);
    assert_eq!(client.call("Echo", &["still"]).await.code(), Some("0"));
}

#[tokio::test]
async fn a_configuration_that_contradicts_itself_is_refused() {
    let listener = || TcpListener::bind("127.0.0.1:0");
    let http2 = Http2Config {
        connection_window: 300_000,
        ..Http2Config::default()
    };
    let server = Server::new().with_config(ServerConfig {
        http2,
        ..ServerConfig::default()
    });
    let error = server.serve(listener().await.unwrap()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "connection_window is 300000, but must be at least four times stream_window (262144)"
    );
    let server = Server::new().add(Probe::default()).add(Probe::default());
    let error = server.serve(listener().await.unwrap()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "two services of this server are named test.Probe"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_listeners_serve_the_same() {
    let listeners = vec![
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    ];
    let addresses: Vec<_> = listeners
        .iter()
        .map(|one| one.local_addr().unwrap())
        .collect();
    let server = tokio::spawn(Server::new().add(Probe::default()).serve(listeners));
    for address in [addresses[1], addresses[0], addresses[1]] {
        let client = Client::tcp(address).await;
        assert_eq!(client.call("Echo", &["hello"]).await.messages, ["hello"]);
    }
    server.abort();
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_served() {
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("calls-unix.socket");
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(Server::new().add(Probe::default()).serve(listener));
    let client = Client::over(tokio::net::UnixStream::connect(&path).await.unwrap()).await;
    assert_eq!(client.call("Echo", &["hello"]).await.messages, ["hello"]);
    server.abort();
}

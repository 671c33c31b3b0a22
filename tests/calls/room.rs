//! What the connections of a server have together: places, and memory.

use std::net::SocketAddr;
use std::time::Duration;

use barewire::{Counter, Counters, Http2Config, Server, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{
    ACK, Call, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PATIENCE, PING, PREFACE,
    Probe, RST_STREAM, RawPeer, SETTINGS, WINDOW_UPDATE, connect, encoded, frame, hits,
    request_block,
};
use crate::tokio;

async fn server(probe: Probe, config: ServerConfig) -> (SocketAddr, Counters) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new().with_config(config).add(probe);
    let counters = server.counters();
    tokio::spawn(server.serve(listener));
    (address, counters)
}

/// Lets others work until that is so.
async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("in time");
}

/// A peer whose SETTINGS the server has acknowledged, so that it is listed.
async fn settled(address: SocketAddr) -> RawPeer<TcpStream> {
    let mut peer = RawPeer::begin(connect(address).await).await;
    ping(&mut peer).await;
    peer
}

/// Says PING and waits for the answer. What else comes is passed over.
async fn ping(peer: &mut RawPeer<TcpStream>) {
    peer.write(&frame(PING, 0, 0, b"are you?")).await;
    loop {
        let answer = peer.frame_of(PING).await.expect("an answer");
        if answer.flags == ACK {
            return;
        }
    }
}

fn call(stream: u32, method: &str, flags: u8, text: &str) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &request_block(method));
    let message = encoded(text);
    let mut chunks = message.chunks(16_384).peekable();
    while let Some(chunk) = chunks.next() {
        let flags = if chunks.peek().is_some() { 0 } else { flags };
        bytes.extend(frame(DATA, flags, stream, chunk));
    }
    bytes
}

#[tokio::test]
async fn the_connection_that_is_idle_for_the_longest_time_makes_room() {
    let probe = Probe::default();
    let (address, counters) = server(
        probe.clone(),
        ServerConfig {
            max_connections: 3,
            evict_idle_after: Duration::ZERO,
            ..ServerConfig::default()
        },
    )
    .await;
    let mut busy = settled(address).await;
    busy.write(&call(1, "Slow", END_STREAM, "x")).await;
    probe
        .seen
        .wait_for("a call", |seen| seen.running() == 1)
        .await;
    let mut oldest = settled(address).await;
    let mut newer = settled(address).await;
    assert_eq!(hits(&counters), []);
    let leaving = tokio::spawn(async move {
        let goaway = oldest.frame_of(GOAWAY).await.unwrap();
        let ping = oldest.frame_of(PING).await.unwrap();
        oldest.write(&frame(PING, ACK, 0, &ping.payload)).await;
        assert!(oldest.last_goaway().await.is_some());
        goaway.payload
    });

    // There is no place for this one.
    let newest = Client::tcp(address).await;
    assert_eq!(newest.call("Echo", &["x"]).await.code(), Some("0"));
    assert_eq!(
        leaving.await.unwrap(),
        b"\x7f\xff\xff\xff\0\0\0\0max_connections"
    );
    for counter in [Counter::MaxConnections, Counter::EvictIdleAfter] {
        assert_eq!(counters.of(counter), 1, "{counter}");
    }
    ping(&mut newer).await;
    probe.seen.gate.notify_one();
    assert_eq!(busy.frame_on(1).await.unwrap().kind, HEADERS);
}

/// Keeps the clock still, though it would go on by itself whenever only sockets are waited for.
fn stop_the_clock() {
    tokio::time::pause();
    tokio::spawn(async {
        loop {
            tokio::task::yield_now().await;
        }
    });
}

#[tokio::test]
async fn a_connection_makes_room_after_thirty_seconds_of_silence() {
    let config = ServerConfig {
        max_connections: 1,
        ..ServerConfig::default()
    };
    stop_the_clock();
    let (address, counters) = server(Probe::default(), config).await;
    let first = settled(address).await;
    let second = tokio::spawn(async move {
        let client = Client::tcp(address).await;
        let mut call = client.start("Echo", &[]).await;
        call.send_message("x").await;
        call.finish_patiently().await
    });
    until(|| counters.of(Counter::MaxConnections) == 1).await;
    // It is looked for every second.
    for _ in 0..29 {
        tokio::time::advance(Duration::from_secs(1)).await;
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(counters.of(Counter::EvictIdleAfter), 0);
    for _ in 0..2 {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    until(|| counters.of(Counter::EvictIdleAfter) == 1).await;
    drop(first);
    until(|| second.is_finished()).await;
    assert_eq!(second.await.unwrap().code(), Some("0"));
}

#[tokio::test]
async fn a_connection_that_is_not_idle_for_long_stays() {
    let (address, counters) = server(
        Probe::default(),
        ServerConfig {
            max_connections: 1,
            ..ServerConfig::default()
        },
    )
    .await;
    let mut first = settled(address).await;
    let second = tokio::spawn(async move {
        let client = Client::tcp(address).await;
        client.call("Echo", &["x"]).await
    });
    until(|| counters.of(Counter::MaxConnections) == 1).await;
    ping(&mut first).await;
    assert!(!second.is_finished());
    assert_eq!(counters.of(Counter::EvictIdleAfter), 0);
    drop(first);
    assert_eq!(second.await.unwrap().code(), Some("0"));
}

/// Two connections, of which the first has 130 KiB that nobody reads.
async fn with_unread(
    limit: usize,
    stalled_stream_timeout: Duration,
) -> (SocketAddr, Counters, Probe, RawPeer<TcpStream>) {
    let probe = Probe::default();
    let config = ServerConfig {
        max_buffered_bytes: limit,
        http2: Http2Config {
            stalled_stream_timeout,
            max_ping_strikes: 100,
            ..Http2Config::default()
        },
        ..ServerConfig::default()
    };
    let (address, counters) = server(probe.clone(), config).await;
    let mut peer = settled(address).await;
    let text = "x".repeat(130 * 1024);
    peer.write(&call(1, "Gate", 0, &text)).await;
    probe
        .seen
        .wait_for("a call", |seen| seen.running() == 1)
        .await;
    (address, counters, probe, peer)
}

#[tokio::test]
async fn who_has_the_most_unread_is_not_read_from_until_it_gives_some_up() {
    let (_, counters, _, mut peer) = with_unread(192 * 1024, Duration::from_millis(50)).await;
    ping(&mut peer).await;
    assert_eq!(hits(&counters), []);

    let (address, counters, probe, mut peer) =
        with_unread(128 * 1024, Duration::from_millis(50)).await;
    until(|| counters.of(Counter::MaxBufferedBytes) == 1).await;
    // Others are heard.
    let client = Client::tcp(address).await;
    assert_eq!(client.call("Echo", &["x"]).await.code(), Some("0"));
    // The request that is not read ends, and the rest is heard.
    peer.write(&frame(PING, 0, 0, b"hey you!")).await;
    let mut awaited = vec![HEADERS, PING];
    while !awaited.is_empty() {
        let frame = peer.frame().await.expect("status and answer");
        awaited.retain(|kind| *kind != frame.kind);
    }
    assert_eq!(
        hits(&counters),
        [
            (Counter::StalledStreamTimeout, 1),
            (Counter::MaxBufferedBytes, 1)
        ]
    );
    probe
        .seen
        .wait_for("no call", |seen| seen.running() == 0)
        .await;
}

/// A client, and a call of it for which a handler waits: 130 KiB have come of a message of 200 KiB.
async fn with_unfinished(limit: usize) -> (Client, Counters, Call) {
    let config = ServerConfig {
        max_buffered_bytes: limit,
        http2: Http2Config {
            stalled_stream_timeout: Duration::from_millis(50),
            ..Http2Config::default()
        },
        ..ServerConfig::default()
    };
    let probe = Probe::default();
    let (address, counters) = server(probe.clone(), config).await;
    let client = Client::tcp(address).await;
    let call = begin_message(&client).await;
    (client, counters, call)
}

async fn begin_message(client: &Client) -> Call {
    let mut call = client.start("Sum", &[]).await;
    let message = encoded(&"x".repeat(200 * 1024));
    call.send_bytes(message.slice(..130 * 1024)).await;
    call
}

#[tokio::test]
async fn what_is_held_of_a_message_that_is_not_whole_counts_until_it_is() {
    // Several of them, one after the other, would be too much if any stayed counted.
    let (client, counters, mut call) = with_unfinished(192 * 1024).await;
    for _ in 0..5 {
        let message = encoded(&"x".repeat(200 * 1024));
        call.send_bytes(message.slice(130 * 1024..)).await;
        let answer = call.finish().await;
        assert_eq!(answer.messages, ["1 204800"], "{answer:?}");
        call = begin_message(&client).await;
    }
    assert_eq!(hits(&counters), []);
}

#[tokio::test]
async fn a_message_that_is_not_whole_goes_when_the_server_holds_too_much() {
    let (client, counters, call) = with_unfinished(128 * 1024).await;
    let answer = call.answer().await;
    assert_eq!(answer.code(), Some("8"), "{answer:?}");
    assert_eq!(
        answer.text(),
        "the request was left unread, or not whole, while the server held too many bytes"
    );
    assert_eq!(
        hits(&counters),
        [
            (Counter::StalledStreamTimeout, 1),
            (Counter::MaxBufferedBytes, 1)
        ]
    );
    // What it held is free again, and the connection is heard.
    let answer = client.call("Echo", &["x"]).await;
    assert_eq!(answer.code(), Some("0"), "{answer:?}");
}

#[tokio::test]
async fn who_holds_the_most_is_closed_at_a_quarter_more() {
    let (address, counters, probe, mut first) =
        with_unread(128 * 1024, Duration::from_secs(100)).await;
    until(|| counters.of(Counter::MaxBufferedBytes) == 1).await;
    let mut second = settled(address).await;
    let text = "x".repeat(70 * 1024);
    let mut bytes = call(1, "Gate", 0, &text[..60 * 1024]);
    second.write(&bytes).await;
    ping(&mut second).await;
    assert_eq!(counters.of(Counter::MaxBufferedBytesCut), 0);
    bytes = frame(DATA, END_STREAM, 1, &encoded(&text[60 * 1024..]));
    second.write(&bytes).await;
    assert_eq!(
        first.last_goaway().await,
        Some((11, "too_many_bytes_buffered".to_owned()))
    );
    assert_eq!(counters.of(Counter::MaxBufferedBytesCut), 1);
    probe
        .seen
        .wait_for("one call", |seen| seen.running() == 1)
        .await;
    probe.seen.gate.notify_one();
    assert_eq!(second.frame_on(1).await.unwrap().kind, HEADERS);
}

/// A peer with windows as large as can be, that reads nothing by itself.
async fn greedy(probe: &Probe, http2: Http2Config) -> (RawPeer<tokio::io::DuplexStream>, Counters) {
    let config = ServerConfig {
        http2,
        ..ServerConfig::default()
    };
    greedy_with(probe, config).await
}

async fn greedy_with(
    probe: &Probe,
    config: ServerConfig,
) -> (RawPeer<tokio::io::DuplexStream>, Counters) {
    let (ours, theirs) = tokio::io::duplex(1024);
    let server = Server::new().with_config(config).add(probe.clone());
    let counters = server.counters();
    tokio::spawn(server.serve_io(theirs));
    let mut peer = RawPeer::silent(ours);
    let mut bytes = PREFACE.to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE.
    bytes.extend(frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]));
    bytes.extend(frame(SETTINGS, ACK, 0, &[]));
    bytes.extend(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0, 0]));
    peer.write(&bytes).await;
    (peer, counters)
}

#[tokio::test]
async fn handlers_of_a_connection_wait_when_it_has_too_much_unsent() {
    // A quarter of a mebibyte lies joined for the socket, and of each stream as much as it may have.
    for (streams, waits) in [(10, false), (20, true)] {
        let probe = Probe::default();
        let http2 = Http2Config {
            connection_send_buffer: 1024 * 1024,
            ..Http2Config::default()
        };
        let (mut peer, counters) = greedy(&probe, http2).await;
        for number in 0..streams {
            peer.write(&call(number * 2 + 1, "Flood", END_STREAM, "x"))
                .await;
        }
        let all = usize::try_from(streams).unwrap();
        probe
            .seen
            .wait_for("all calls", |seen| seen.running() == all)
            .await;
        if waits {
            until(|| counters.of(Counter::ConnectionSendBuffer) > 0).await;
        }
        // Once there is a reader, all of them go on.
        let mut came = vec![0; all];
        while came.iter().any(|bytes| *bytes < 300_000) {
            let frame = peer.frame().await.expect("more");
            if frame.kind == DATA {
                let number = usize::try_from(frame.stream / 2).unwrap();
                came[number] += frame.payload.len();
            }
        }
        let hit = counters.of(Counter::ConnectionSendBuffer) > 0;
        assert_eq!(hit, waits, "{streams} streams");
    }
}

#[tokio::test]
async fn replies_that_find_no_room_count_for_all_connections() {
    // Each handler has 32 KiB queued when it has to wait. Of what it sent before, 64 KiB lie in h2 and a
    // quarter of a mebibyte is joined for the socket.
    for (streams, is_cut) in [(2, false), (20, true)] {
        let probe = Probe::default();
        let config = ServerConfig {
            max_buffered_bytes: 256 * 1024,
            http2: Http2Config {
                connection_send_buffer: 64 * 1024,
                ..Http2Config::default()
            },
            ..ServerConfig::default()
        };
        let (mut peer, counters) = greedy_with(&probe, config).await;
        for number in 0..streams {
            let calls = call(number * 2 + 1, "Flood", END_STREAM, "x");
            // The last ones may find the connection closed.
            let _ = peer.io.write_all(&calls).await;
        }
        if is_cut {
            until(|| counters.of(Counter::MaxBufferedBytesCut) == 1).await;
            probe
                .seen
                .wait_for("no call", |seen| seen.running() == 0)
                .await;
        } else {
            let mut came = 0;
            while came < 2_000_000 {
                came += peer.frame_of(DATA).await.expect("more").payload.len();
            }
            assert_eq!(counters.of(Counter::MaxBufferedBytesCut), 0);
        }
    }
}

#[tokio::test]
async fn what_goes_with_streams_that_are_reset_makes_room() {
    let probe = Probe::default();
    let http2 = Http2Config {
        connection_send_buffer: 256 * 1024,
        ..Http2Config::default()
    };
    let (mut peer, counters) = greedy(&probe, http2).await;
    for number in 0..10 {
        peer.write(&call(number * 2 + 1, "Flood", END_STREAM, "x"))
            .await;
    }
    until(|| counters.of(Counter::ConnectionSendBuffer) > 0).await;
    for number in 0..9 {
        let reset = frame(RST_STREAM, 0, number * 2 + 1, &[0, 0, 0, 8]);
        peer.write(&reset).await;
    }
    probe
        .seen
        .wait_for("one call", |seen| seen.running() == 1)
        .await;
    let mut came = 0;
    while came < 2_000_000 {
        came += peer.frame_on(19).await.expect("more").payload.len();
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_no_goaway_is_closed_after_a_second() {
    let probe = Probe::default();
    let (mut peer, counters) = greedy(&probe, Http2Config::default()).await;
    peer.write(&call(1, "Flood", END_STREAM, "x")).await;
    probe
        .seen
        .wait_for("a call", |seen| seen.running() == 1)
        .await;
    let pings = frame(PING, 0, 0, b"are you?").repeat(4);
    peer.write(&pings).await;
    // The handler waits for room, too.
    let counted = || {
        let mut counted = hits(&counters);
        counted.retain(|(counter, _)| *counter != Counter::StreamSendBuffer);
        counted
    };
    let begun = (Counter::MaxPingStrikes, 1);
    until(|| counted() == [begun]).await;
    tokio::time::advance(Duration::from_millis(900)).await;
    tokio::task::yield_now().await;
    assert_eq!(counted(), [begun]);
    tokio::time::advance(Duration::from_millis(200)).await;
    until(|| counted() == [begun, (Counter::GoawayLinger, 1)]).await;
    probe
        .seen
        .wait_for("no call", |seen| seen.running() == 0)
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_loses_its_calls_after_five_minutes() {
    // By its own buffer, and by the one of the connection.
    for connection_send_buffer in [8 * 1024 * 1024, 100 * 1024] {
        for (wait, running) in [(299, 1), (301, 0)] {
            let probe = Probe::default();
            let (mut peer, counters) = greedy(
                &probe,
                Http2Config {
                    keepalive_time: None,
                    connection_send_buffer,
                    ..Http2Config::default()
                },
            )
            .await;
            peer.write(&call(1, "Flood", END_STREAM, "x")).await;
            probe
                .seen
                .wait_for("a call", |seen| seen.running() == 1)
                .await;
            tokio::time::sleep(Duration::from_secs(wait)).await;
            assert_eq!(probe.seen.running(), running, "{wait} s");
            let stalled = counters.of(Counter::SendStallTimeout);
            assert_eq!(stalled, u64::from(running == 0), "{wait} s");
            if running == 0 {
                let reset = loop {
                    let frame = peer.frame_on(1).await.unwrap();
                    if frame.kind == RST_STREAM {
                        break frame.payload;
                    }
                };
                assert_eq!(reset, [0, 0, 0, 8]);
            }
        }
    }
}

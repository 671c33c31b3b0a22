//! Each limit of a server, one below and one above: what the peer sees, and what is counted. Time is
//! ours. Floods of frames are in `meter`, what goes over several connections is in `room`.

use std::time::Duration;

use barewire::{Counter, Counters, Http2Config, Rate, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, advance};

use crate::support::{
    ACK, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, Probe, RST_STREAM,
    RawPeer, SETTINGS, WINDOW_UPDATE, block, counted_server, encoded, frame, hits, request_block,
};
use crate::tokio;

fn server(config: ServerConfig) -> (DuplexStream, Counters) {
    counted_server(Probe::default(), config)
}

fn over_http2(http2: Http2Config) -> (DuplexStream, Counters) {
    server(ServerConfig {
        http2,
        ..ServerConfig::default()
    })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Reads up to the first frame of `kind`, however long that takes on a clock that is ours.
async fn frame_in_time(peer: &mut RawPeer<DuplexStream>, kind: u8) -> Vec<u8> {
    loop {
        let frame = peer.next_frame().await.expect("a frame of this kind");
        if frame.kind == kind {
            return frame.payload;
        }
    }
}

fn call(stream: u32, method: &str) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &request_block(method));
    bytes.extend(frame(DATA, END_STREAM, stream, &encoded("x")));
    bytes
}

#[tokio::test(start_paused = true)]
async fn preface_and_settings_have_ten_seconds() {
    let mut whole = PREFACE.to_vec();
    whole.extend(frame(SETTINGS, 0, 0, &[]));
    whole.extend(frame(SETTINGS, ACK, 0, &[]));
    for cut in [0, 3, PREFACE.len(), PREFACE.len() + 5] {
        let (first, rest) = whole.split_at(cut);
        let (mut io, counters) = server(ServerConfig::default());
        io.write_all(first).await.unwrap();
        advance(Duration::from_millis(9_900)).await;
        io.write_all(rest).await.unwrap();
        io.write_all(&call(1, "Echo")).await.unwrap();
        let mut peer = RawPeer::silent(io);
        assert_eq!(frame_in_time(&mut peer, DATA).await, encoded("x"), "{cut}");
        assert_eq!(hits(&counters), [], "{cut}");

        let (mut io, counters) = server(ServerConfig::default());
        io.write_all(first).await.unwrap();
        let _ = io.read_to_end(&mut Vec::new()).await;
        assert_eq!(hits(&counters)[0], (Counter::PrefaceTimeout, 1), "{cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn settings_are_acknowledged_within_thirty_seconds() {
    for (wait, hit) in [(29, vec![]), (31, vec![(Counter::SettingsAckTimeout, 1)])] {
        let (io, counters) = server(ServerConfig::default());
        let mut peer = RawPeer::silent(io);
        let mut first = PREFACE.to_vec();
        first.extend(frame(SETTINGS, 0, 0, &[]));
        first.extend(call(1, "Echo"));
        peer.write(&first).await;
        frame_in_time(&mut peer, DATA).await;
        advance(seconds(wait)).await;
        if hit.is_empty() {
            peer.write(&frame(SETTINGS, ACK, 0, &[])).await;
            advance(seconds(60)).await;
            peer.write(&call(3, "Echo")).await;
            frame_in_time(&mut peer, DATA).await;
        } else {
            // SETTINGS_TIMEOUT. RFC 9113 §7.
            assert_eq!(frame_in_time(&mut peer, GOAWAY).await[4..8], [0, 0, 0, 4]);
        }
        assert_eq!(hits(&counters), hit, "{wait} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_block_is_whole_within_ten_seconds() {
    for (wait, hit) in [(9, vec![]), (11, vec![(Counter::HeaderBlockTimeout, 1)])] {
        let (io, counters) = server(ServerConfig::default());
        let mut peer = RawPeer::begin(io).await;
        let whole = call(1, "Echo");
        let (first, rest) = whole.split_at(30);
        peer.write(first).await;
        advance(seconds(wait)).await;
        if hit.is_empty() {
            peer.write(rest).await;
            frame_in_time(&mut peer, DATA).await;
        } else {
            assert_eq!(frame_in_time(&mut peer, GOAWAY).await[4..8], [0, 0, 0, 11]);
        }
        assert_eq!(hits(&counters), hit, "{wait} s");
    }
}

#[tokio::test]
async fn peers_that_speak_something_else_are_counted_by_kind() {
    for (first, hit) in [
        (&b""[..], None),
        (b"PRI * HT", None),
        (b"GET / HTTP/1.1\r\n\r\n", Some(Counter::NotHttp2Http1)),
        (&[0x16, 3, 1, 2, 0], Some(Counter::NotHttp2Tls)),
        (b"\x00hello", Some(Counter::NotHttp2Junk)),
    ] {
        let (mut io, counters) = server(ServerConfig::default());
        io.write_all(first).await.unwrap();
        io.shutdown().await.unwrap();
        let _ = io.read_to_end(&mut Vec::new()).await;
        let hit: Vec<_> = hit.map(|counter| (counter, 1)).into_iter().collect();
        assert_eq!(hits(&counters), hit, "{first:?}");
    }
}

#[tokio::test]
async fn a_connection_has_so_many_streams_and_a_server_so_many_calls() {
    let (io, counters) = over_http2(Http2Config {
        max_concurrent_streams: 3,
        ..Http2Config::default()
    });
    let mut peer = RawPeer::begin(io).await;
    for stream in [1, 3, 5] {
        peer.write(&call(stream, "Begin")).await;
        assert_eq!(peer.frame_on(stream).await.unwrap().kind, HEADERS);
    }
    assert_eq!(hits(&counters), []);
    peer.write(&call(7, "Begin")).await;
    let refused = peer.frame_on(7).await.unwrap();
    assert_eq!(
        (refused.kind, refused.payload),
        (RST_STREAM, vec![0, 0, 0, 7])
    );
    peer.write(&frame(PING, 0, 0, b"and then")).await;
    peer.frame_of(PING).await.unwrap();
    assert_eq!(hits(&counters), [(Counter::MaxConcurrentStreams, 1)]);

    let (io, counters) = server(ServerConfig {
        max_concurrent_calls: 3,
        ..ServerConfig::default()
    });
    let client = Client::over(io).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(client.start("Begin", &[]).await.response.await.unwrap());
    }
    assert_eq!(hits(&counters), []);
    assert_eq!(client.call("Echo", &["x"]).await.code(), Some("8"));
    assert_eq!(hits(&counters), [(Counter::MaxConcurrentCalls, 1)]);
}

#[tokio::test]
async fn metadata_has_a_size_and_a_count() {
    // A field counts as its name, its value and 32 more. RFC 9113 §6.5.2.
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/test.Probe/Echo"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let size: usize = fields.iter().map(|(a, b)| a.len() + b.len() + 32).sum();
    let more = 16 * 1024 - size - "x-more".len() - 32;
    let pairs: Vec<String> = (0..255).map(|number| format!("x-{number}")).collect();
    let many = |count: usize| {
        let names = pairs.iter().take(count).map(|name| (name.as_str(), ""));
        names.collect::<Vec<_>>()
    };
    let (fits, too_much) = ("v".repeat(more), "v".repeat(more + 1));
    let size = Counter::MaxMetadataSize;
    for (extra, status, hit) in [
        (vec![("x-more", fits.as_str())], "0", None),
        (vec![("x-more", too_much.as_str())], "8", Some(size)),
        (many(254), "0", None), // beside `content-type` and `te`
        (many(255), "8", Some(Counter::MaxMetadataPairs)),
    ] {
        let (io, counters) = server(ServerConfig::default());
        let client = Client::over(io).await;
        let mut call = client.start("Echo", &extra).await;
        call.send_message("x").await;
        assert_eq!(call.finish().await.code(), Some(status), "{hit:?}");
        let hit: Vec<_> = hit.map(|counter| (counter, 1)).into_iter().collect();
        assert_eq!(hits(&counters), hit);
    }
}

#[tokio::test]
async fn messages_have_a_size_in_both_directions() {
    // A text has its field's head and its length before it.
    let text = "x".repeat(1_000);
    let length = encoded(&text).len() - 5;
    for (recv, send, status, hit) in [
        (length, length, "0", None),
        (length - 1, length, "8", Some(Counter::MaxRecvMessage)),
        (length, length - 1, "8", Some(Counter::MaxSendMessage)),
    ] {
        for method in ["Echo", "Chat"] {
            let (io, counters) = server(ServerConfig {
                max_recv_message: recv,
                max_send_message: send,
                ..ServerConfig::default()
            });
            let answer = Client::over(io).await.call(method, &[&text]).await;
            assert_eq!(answer.code(), Some(status), "{method} {hit:?}");
            let hit: Vec<_> = hit.map(|counter| (counter, 1)).into_iter().collect();
            assert_eq!(hits(&counters), hit, "{method}");
        }
    }
}

#[tokio::test]
async fn messages_take_so_much_memory_together() {
    // A text that cannot be a message costs 96 bytes beside its own. The reply is charged too.
    let text = "v".repeat(2_000);
    let length = encoded(&text).len() - 5;
    let both = length + 96 + length;
    for (limit, status, hit) in [
        (both, "0", vec![]),
        (both - 1, "8", vec![(Counter::MaxInflightMessageBytes, 1)]),
    ] {
        let (io, counters) = server(ServerConfig {
            max_inflight_message_bytes: limit,
            ..ServerConfig::default()
        });
        let answer = Client::over(io).await.call("Echo", &[&text]).await;
        assert_eq!(answer.code(), Some(status), "{limit}");
        assert_eq!(hits(&counters), hit, "{limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_comes_within_five_minutes() {
    for (wait, status, hit) in [
        (299, "0", vec![]),
        (300, "4", vec![(Counter::RequestReadTimeout, 1)]),
    ] {
        let (io, counters) = server(ServerConfig {
            http2: Http2Config {
                keepalive_time: None,
                ..Http2Config::default()
            },
            ..ServerConfig::default()
        });
        let client = Client::over(io).await;
        let mut call = client.start("Echo", &[]).await;
        tokio::task::yield_now().await;
        tokio::time::sleep(seconds(wait) + Duration::from_millis(100)).await;
        call.send_message("x").await;
        assert_eq!(call.finish().await.code(), Some(status), "{wait} s");
        assert_eq!(hits(&counters), hit, "{wait} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_asked_after_five_minutes_and_has_twenty_seconds() {
    for (wait, hit) in [(19, vec![]), (21, vec![(Counter::KeepaliveTimeout, 1)])] {
        let (io, counters) = server(ServerConfig::default());
        let mut peer = RawPeer::begin(io).await;
        let start = Instant::now();
        let ping = frame_in_time(&mut peer, PING).await;
        assert_eq!(start.elapsed().as_secs(), 300);
        advance(seconds(wait)).await;
        if hit.is_empty() {
            peer.write(&frame(PING, ACK, 0, &ping)).await;
            advance(seconds(10)).await;
            peer.write(&call(1, "Echo")).await;
            frame_in_time(&mut peer, DATA).await;
        } else {
            let goaway = frame_in_time(&mut peer, GOAWAY).await;
            assert_eq!(goaway[8..], *b"keepalive_timeout");
        }
        assert_eq!(hits(&counters), hit, "{wait} s");
    }
}

#[tokio::test(start_paused = true)]
async fn idleness_and_age_are_counted_and_so_is_a_drain_that_nobody_answers() {
    let config = |idle: Option<u64>, age: Option<u64>| Http2Config {
        max_connection_idle: idle.map(seconds),
        max_connection_age: age.map(seconds),
        max_connection_age_grace: Some(seconds(10)),
        ..Http2Config::default()
    };
    let no_answer = (Counter::DrainPingTimeout, 1);
    for (http2, hit) in [
        (
            config(Some(50), None),
            vec![(Counter::MaxConnectionIdle, 1), no_answer],
        ),
        (
            config(None, Some(50)),
            vec![
                (Counter::MaxConnectionAge, 1),
                (Counter::MaxConnectionAgeGrace, 1),
                no_answer,
            ],
        ),
    ] {
        let aged = http2.max_connection_age.is_some();
        let (io, counters) = over_http2(http2);
        let mut peer = RawPeer::begin(io).await;
        if aged {
            peer.write(&call(1, "Begin")).await;
        }
        // A tenth less is the earliest that age can be.
        advance(seconds(44)).await;
        tokio::task::yield_now().await;
        assert_eq!(hits(&counters), []);
        while peer.next_frame().await.is_some() {}
        assert_eq!(hits(&counters), hit);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_whose_ping_was_answered_is_not_counted_as_unanswered() {
    let (io, counters) = over_http2(Http2Config {
        max_connection_age: Some(seconds(50)),
        ..Http2Config::default()
    });
    let mut peer = RawPeer::begin(io).await;
    peer.write(&call(1, "Begin")).await;
    let ping = frame_in_time(&mut peer, PING).await;
    peer.write(&frame(PING, ACK, 0, &ping)).await;
    // The one that names the last stream.
    let goaway = frame_in_time(&mut peer, GOAWAY).await;
    assert_eq!(goaway[..4], 1_u32.to_be_bytes());
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(hits(&counters), [(Counter::MaxConnectionAge, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_worn_by_resets_is_replaced_in_time() {
    let bad = block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/a/b"),
        ("upgrade", "h2c"),
    ]);
    for (faults, hit) in [
        (50, vec![]),
        (51, vec![(Counter::MaxLocalErrorResetStreams, 1)]),
    ] {
        let (io, counters) = over_http2(Http2Config {
            max_local_error_reset_streams: 100,
            faulty_streams: Rate {
                burst: 1_000,
                per_second: 0,
            },
            ..Http2Config::default()
        });
        let mut peer = RawPeer::begin(io).await;
        for number in 0..faults {
            let stream = number * 2 + 1;
            peer.write(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &bad))
                .await;
            assert_eq!(peer.frame_on(stream).await.unwrap().kind, RST_STREAM);
        }
        peer.write(&call(1001, "Echo")).await;
        let mut goaway = None;
        loop {
            let frame = peer.frame().await.unwrap();
            match (frame.kind, frame.stream) {
                (GOAWAY, _) => goaway = Some(frame.payload[4..8].to_vec()),
                (DATA, 1001) => break,
                _ => {}
            }
        }
        assert_eq!(goaway, (!hit.is_empty()).then(|| vec![0, 0, 0, 0]));
        assert_eq!(hits(&counters), hit, "{faults}");
    }
}

#[tokio::test]
async fn what_h2_ends_is_counted_apart() {
    // Unread frames of one byte cost h2 some 256 each.
    let budget = Http2Config {
        data_frame_budget: 64 * 1024,
        ..Http2Config::default()
    };
    let mut flood = frame(HEADERS, END_HEADERS, 1, &request_block("Never"));
    flood.extend(frame(DATA, 0, 1, b"x").repeat(100_000));
    for (http2, bytes, code, hit) in [
        (
            Http2Config::default(),
            frame(DATA, 0, 0, b"x"),
            1,
            Counter::Http2Errors,
        ),
        (budget, flood, 11, Counter::Http2Budgets),
    ] {
        let (io, counters) = over_http2(http2);
        let peer = RawPeer::begin(io).await;
        let (mut read, mut write) = tokio::io::split(peer.io);
        let writes = tokio::spawn(async move {
            let _ = write.write_all(&bytes).await;
        });
        let mut answer = Vec::new();
        let _ = read.read_to_end(&mut answer).await;
        writes.await.unwrap();
        assert!(
            answer.windows(4).any(|bytes| bytes == [0, 0, 0, code]),
            "{answer:?}"
        );
        assert_eq!(hits(&counters), [(hit, 1)]);
    }
}

#[tokio::test]
async fn panics_of_handlers_are_counted() {
    let (io, counters) = server(ServerConfig::default());
    let client = Client::over(io).await;
    for (method, times) in [("Panic", 1), ("PanicLate", 2), ("PanicApart", 3)] {
        assert_eq!(client.call(method, &["x"]).await.code(), Some("2"));
        assert_eq!(hits(&counters), [(Counter::HandlerPanicked, times)]);
    }
}

#[tokio::test(start_paused = true)]
async fn pings_are_five_minutes_apart_with_calls_and_two_hours_without() {
    for (with_call, least) in [(true, 300), (false, 2 * 60 * 60)] {
        for (wait, hit) in [
            (least, vec![]),
            (least - 1, vec![(Counter::MaxPingStrikes, 1)]),
        ] {
            let (io, counters) = over_http2(Http2Config {
                max_ping_strikes: 0,
                keepalive_time: None,
                ..Http2Config::default()
            });
            let mut peer = RawPeer::begin(io).await;
            if with_call {
                peer.write(&call(1, "Never")).await;
            }
            let ping = frame(PING, 0, 0, b"are you?");
            peer.write(&ping).await;
            assert_eq!(frame_in_time(&mut peer, PING).await, b"are you?");
            advance(seconds(wait)).await;
            peer.write(&ping).await;
            let kind = if hit.is_empty() { PING } else { GOAWAY };
            frame_in_time(&mut peer, kind).await;
            assert_eq!(hits(&counters), hit, "{wait} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_may_go_on_for_a_second_after_its_answer() {
    for (wait, hit) in [
        (900, vec![]),
        (1_100, vec![(Counter::EarlyAnswerLinger, 1)]),
    ] {
        let (io, counters) = server(ServerConfig::default());
        let mut peer = RawPeer::begin(io).await;
        let head = frame(HEADERS, END_HEADERS, 1, &request_block("Refuse"));
        peer.write(&head).await;
        frame_in_time(&mut peer, HEADERS).await;
        advance(Duration::from_millis(wait)).await;
        if hit.is_empty() {
            peer.write(&frame(DATA, END_STREAM, 1, &encoded("late")))
                .await;
            advance(seconds(10)).await;
        } else {
            // NO_ERROR: the answer counts. RFC 9113 §8.1.
            assert_eq!(frame_in_time(&mut peer, RST_STREAM).await, [0; 4]);
        }
        peer.write(&call(3, "Echo")).await;
        frame_in_time(&mut peer, DATA).await;
        assert_eq!(hits(&counters), hit, "{wait} ms");
    }
}

#[tokio::test]
async fn so_many_streams_are_remembered_that_we_have_reset() {
    for (remembered, seconds_long, forgotten) in
        [(3, 100, &[][..]), (2, 100, &[5]), (3, 0, &[1, 3, 5])]
    {
        let (io, counters) = over_http2(Http2Config {
            max_concurrent_reset_streams: remembered,
            reset_stream_duration: seconds(seconds_long),
            early_answer_linger: Duration::ZERO,
            ..Http2Config::default()
        });
        let mut peer = RawPeer::begin(io).await;
        for stream in [1, 3, 5] {
            let head = frame(HEADERS, END_HEADERS, stream, &request_block("Refuse"));
            peer.write(&head).await;
            while peer.frame_on(stream).await.unwrap().kind != RST_STREAM {}
        }
        for stream in [1, 3, 5] {
            peer.write(&frame(DATA, 0, stream, b"late")).await;
        }
        peer.write(&call(7, "Echo")).await;
        // STREAM_CLOSED. RFC 9113 §5.1.
        let forgotten = forgotten.iter().map(|stream| (RST_STREAM, *stream, 5));
        assert_eq!(ends(&mut peer, 7).await, forgotten.collect::<Vec<_>>());
        assert_eq!(hits(&counters), [(Counter::EarlyAnswerLinger, 3)]);
    }
}

/// Resets and GOAWAY, each with its stream and its code, up to the answer on a stream or the last word.
async fn ends(peer: &mut RawPeer<DuplexStream>, answered: u32) -> Vec<(u8, u32, u8)> {
    let mut ends = Vec::new();
    loop {
        let frame = peer.frame().await.expect("an answer, or a last word");
        match frame.kind {
            RST_STREAM => ends.push((RST_STREAM, frame.stream, frame.payload[3])),
            GOAWAY => ends.push((GOAWAY, frame.stream, frame.payload[7])),
            _ => {}
        }
        let is_answer = frame.stream == answered && frame.flags & END_STREAM != 0;
        if frame.kind == GOAWAY || is_answer {
            return ends;
        }
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn frames_and_windows_have_a_size() {
    const FLOW_CONTROL_ERROR: u8 = 3;
    const FRAME_SIZE_ERROR: u8 = 6;
    let goaway = [(GOAWAY, 0, FRAME_SIZE_ERROR)];
    let reset = [(RST_STREAM, 1, FLOW_CONTROL_ERROR)];
    let cases: &[(usize, usize, &[_], &[_])] = &[
        // bytes that nobody reads, in frames of   what ends              what is counted
        (16_384, 16_384,                           &[],                   &[]),
        (16_385, 16_385,                           &goaway,               &[(Counter::Http2Errors, 1)]),
        (65_535, 16_000,                           &[],                   &[]),
        (65_536, 16_000,                           &reset,                &[]),
    ];
    for (bytes, each, expected, hit) in cases {
        let (io, counters) = over_http2(Http2Config { stream_window: 65_535, ..Http2Config::default() });
        let mut peer = RawPeer::begin(io).await;
        peer.frame_of(WINDOW_UPDATE).await.expect("room");
        let mut said = frame(HEADERS, END_HEADERS, 1, &request_block("Gate"));
        for piece in vec![0; *bytes].chunks(*each) {
            said.extend(frame(DATA, 0, 1, piece));
        }
        said.extend(call(3, "Echo"));
        peer.write(&said).await;
        assert_eq!(ends(&mut peer, 3).await, *expected, "{bytes}");
        assert_eq!(hits(&counters), *hit, "{bytes}");
    }
}

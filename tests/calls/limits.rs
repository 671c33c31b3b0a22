//! Each limit of a server, one below and one above: what the peer sees, and what is counted. Time is
//! ours. Floods of frames are in `meter`, what goes over several connections is in `room`.

use std::time::Duration;

use barewire::{Counter, Counters, Http2Config, Rate, Server, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, advance};

use crate::support::{
    ACK, Client, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PREFACE, Probe,
    RST_STREAM, RawPeer, SETTINGS, WINDOW_UPDATE, block, counted_server, encoded, frame, hits,
    request_block,
};
use crate::tokio;

const PADDED: u8 = 8;

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
    // h2 does not remember a stream that it has refused, and here its DATA is late.
    let late = (Counter::MaxConcurrentResetStreams, 1);
    assert_eq!(hits(&counters), [(Counter::MaxConcurrentStreams, 1), late]);

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

/// Opens streams that are refused, and goes on with them all the same: so many frames of this payload, or
/// as many as there can be until GOAWAY. Yields the codes of those. A call beside them must end well.
async fn go_on(peer: &mut RawPeer<DuplexStream>, payload: &[u8], frames: usize) -> Vec<u8> {
    let mut chat = frame(HEADERS, END_HEADERS, 1, &request_block("Chat"));
    chat.extend(frame(DATA, 0, 1, &encoded("x")));
    peer.write(&chat).await;
    let (mut codes, mut left, mut stream) = (Vec::new(), frames, 1);
    while left > 0 && codes.is_empty() {
        stream += 2;
        peer.write(&frame(
            HEADERS,
            END_HEADERS,
            stream,
            &request_block("Refuse"),
        ))
        .await;
        until(peer, &mut codes, |frame| {
            (frame.kind, frame.stream) == (RST_STREAM, stream)
        })
        .await;
        let some = left.min(20);
        left -= some;
        let mut late = frame(DATA, 0, stream, payload).repeat(some);
        // The answer follows when they have been read.
        late.extend(frame(PING, 0, 0, b"all read"));
        peer.write(&late).await;
        until(peer, &mut codes, |frame| {
            (frame.kind, &frame.payload[..]) == (PING, b"all read")
        })
        .await;
    }
    peer.write(&frame(DATA, END_STREAM, 1, &encoded("x"))).await;
    until(peer, &mut codes, |frame| {
        (frame.kind, frame.stream, frame.flags & END_STREAM) == (HEADERS, 1, END_STREAM)
    })
    .await;
    codes
}

/// Reads up to this frame, and notes the codes of GOAWAY on the way.
async fn until(
    peer: &mut RawPeer<DuplexStream>,
    codes: &mut Vec<u8>,
    wanted: impl Fn(&Frame) -> bool,
) {
    loop {
        let frame = peer.frame().await.expect("the connection lives on");
        if frame.kind == GOAWAY {
            codes.push(frame.payload[7]);
        }
        if wanted(&frame) {
            return;
        }
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn empty_frames_cost_a_connection_and_no_call() {
    let worn = [(Counter::MaxLocalErrorResetStreams, 1)];
    let cases: [(u8, &[u8], usize, &[_]); 6] = [
        // flags  payload          frames  what is counted
        (0,       b"",                 50, &[]),
        (0,       b"",                 51, &worn),
        (0,       b"",                100, &worn), // one more is too many for h2
        (PADDED,  b"\x02\x00\x00",      50, &[]),
        (PADDED,  b"\x02\x00\x00",      51, &worn),
        (PADDED,  b"\x00",             51, &worn), // no padding but its length
    ];
    for (flags, payload, frames, hit) in cases {
        let (io, counters) = over_http2(Http2Config::default());
        let mut peer = RawPeer::begin(io).await;
        let mut said = frame(HEADERS, END_HEADERS, 1, &request_block("Echo"));
        said.extend(frame(DATA, flags, 1, payload).repeat(frames));
        peer.write(&said).await;
        peer.write(&frame(PING, 0, 0, b"all read")).await;
        let mut codes = Vec::new();
        until(&mut peer, &mut codes, |frame| frame.payload == b"all read").await;
        peer.write(&frame(DATA, END_STREAM, 1, &encoded("x"))).await;
        until(&mut peer, &mut codes, |frame| {
            (frame.kind, frame.flags & END_STREAM) == (HEADERS, END_STREAM)
        })
        .await;
        assert_eq!(codes, vec![0; hit.len()], "{flags} {frames}");
        assert_eq!(hits(&counters), *hit, "{flags} {frames}");
    }
}

#[tokio::test]
async fn late_small_frames_cost_a_connection_and_no_call() {
    // A frame of one byte costs h2 255 of them: 128 are the last below half of the budget, 257 would be the
    // last of all.
    for (late, frames, hit) in [
        (&b"x"[..], 128, None),
        (b"x", 129, Some((Counter::DataFrameBudget, 1))),
        (b"x", 100_000, Some((Counter::DataFrameBudget, 1))),
        (&[0; 255], 10_000, None),
        (&[0; 256], 10_000, None),
    ] {
        let (io, counters) = over_http2(Http2Config {
            data_frame_budget: 64 * 1024,
            early_answer_linger: Duration::ZERO,
            max_ping_strikes: 100,
            ..Http2Config::default()
        });
        let mut peer = RawPeer::begin(io).await;
        let codes = go_on(&mut peer, late, frames).await;
        assert_eq!(codes, vec![0; usize::from(hit.is_some())], "{frames}");
        let mut counted = hits(&counters);
        counted.retain(|(counter, _)| *counter != Counter::EarlyAnswerLinger);
        assert_eq!(counted, Vec::from_iter(hit), "{frames}");
    }
}

#[tokio::test]
async fn late_small_frames_end_a_connection_when_the_budget_is_used_up() {
    // All of them come at once, before the server has said that it drains.
    for (frames, expected) in [(257, 0), (258, 11)] {
        let (io, counters) = over_http2(Http2Config {
            data_frame_budget: 64 * 1024,
            early_answer_linger: Duration::ZERO,
            ..Http2Config::default()
        });
        let mut peer = RawPeer::begin(io).await;
        peer.write(&frame(HEADERS, END_HEADERS, 1, &request_block("Refuse")))
            .await;
        while peer.frame_on(1).await.unwrap().kind != RST_STREAM {}
        let late = frame(DATA, 0, 1, b"x").repeat(frames);
        let _ = peer.io.write_all(&late).await;
        assert_eq!(frame_in_time(&mut peer, GOAWAY).await[7], expected);
        let hit = match expected {
            0 => Counter::DataFrameBudget,
            _ => Counter::Http2Budgets,
        };
        let expected = [(Counter::EarlyAnswerLinger, 1), (hit, 1)];
        assert_eq!(hits(&counters), expected, "{frames}");
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

#[tokio::test(start_paused = true)]
async fn an_upload_may_go_on_for_a_second_after_its_answer() {
    // However much comes, it is thrown away: a proxy may drop the answer for a reset that it reads with it.
    for (halves, rest) in [(0, 1), (1, 32_766), (10, 32_766)] {
        let (io, counters) = over_http2(Http2Config {
            stream_window: 65_535,
            ..Http2Config::default()
        });
        let mut peer = RawPeer::begin(io).await;
        let head = frame(HEADERS, END_HEADERS, 1, &request_block("Refuse"));
        peer.write(&head).await;
        frame_in_time(&mut peer, HEADERS).await;
        let answered_at = Instant::now();
        for _ in 0..halves {
            // Half of the window, which h2 gives back then.
            let half = frame(DATA, 0, 1, &[0; 16_384]).repeat(2);
            peer.write(&half).await;
            frame_in_time(&mut peer, WINDOW_UPDATE).await;
        }
        for piece in vec![0; rest].chunks(16_384) {
            peer.write(&frame(DATA, 0, 1, piece)).await;
        }
        assert_eq!(frame_in_time(&mut peer, RST_STREAM).await, [0; 4]);
        assert_eq!(answered_at.elapsed().as_millis(), 1_000, "{halves}");
        assert_eq!(hits(&counters), [(Counter::EarlyAnswerLinger, 1)]);
    }
}

/// What comes behind our GOAWAY for a fault is read and dropped.
#[tokio::test(start_paused = true)]
async fn behind_goaway_a_second_or_256_kib_are_read() {
    let limit = 256 * 1024;
    for (bytes, milliseconds) in [(0, 1_000), (limit - 1, 1_000), (limit, 0), (limit + 1, 0)] {
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        let server = Server::new().add(Probe::default());
        let counters = server.counters();
        let serving = tokio::spawn(server.serve_io(theirs));
        let mut peer = RawPeer::begin(ours).await;
        // DATA on no stream. RFC 9113 §6.1.
        peer.write(&frame(DATA, 0, 0, b"x")).await;
        assert_eq!(frame_in_time(&mut peer, GOAWAY).await[4..8], [0, 0, 0, 1]);
        let said_at = Instant::now();
        peer.write(&vec![0; bytes]).await;
        serving.await.unwrap().unwrap();
        assert_eq!(said_at.elapsed().as_millis(), milliseconds, "{bytes}");
        assert_eq!(hits(&counters), [(Counter::Http2Errors, 1)]);
    }
}

#[tokio::test]
async fn so_many_streams_may_come_cancelled_at_once() {
    for (count, hit) in [(1_000, None), (1_001, Some((Counter::Http2Budgets, 1)))] {
        let (io, counters) = server(ServerConfig::default());
        let mut peer = RawPeer::begin(io).await;
        // All of them come before the server accepts the first.
        let mut burst = Vec::new();
        for number in 0..count {
            let stream = number * 2 + 1;
            let head = request_block("Never");
            burst.extend(frame(HEADERS, END_HEADERS, stream, &head));
            burst.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        }
        let last = count * 2 + 1;
        burst.extend(call(last, "Echo"));
        peer.write(&burst).await;
        // ENHANCE_YOUR_CALM, in words of h2.
        let expected = hit.map(|_| (GOAWAY, 0, 11));
        assert_eq!(
            ends(&mut peer, last).await,
            Vec::from_iter(expected),
            "{count}"
        );
        assert_eq!(hits(&counters), Vec::from_iter(hit), "{count}");
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
        let forgotten: Vec<_> = forgotten.collect();
        assert_eq!(ends(&mut peer, 7).await, forgotten);
        let counted = u64::try_from(forgotten.len()).unwrap();
        let mut expected = vec![(Counter::EarlyAnswerLinger, 3)];
        expected.extend((counted > 0).then_some((Counter::MaxConcurrentResetStreams, counted)));
        assert_eq!(hits(&counters), expected);
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
        (65_534, 16_000,                           &[],                   &[]),
        (65_535, 16_000,                           &[],                   &[(Counter::StreamWindow, 1)]),
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

#[tokio::test]
async fn a_connection_whose_window_is_used_up_is_counted() {
    for (last, hit) in [
        (65_534, &[][..]),
        (65_535, &[(Counter::ConnectionWindow, 1)]),
    ] {
        let (io, counters) = over_http2(Http2Config {
            stream_window: 65_535,
            connection_window: 4 * 65_535,
            ..Http2Config::default()
        });
        let mut peer = RawPeer::begin(io).await;
        peer.frame_of(WINDOW_UPDATE).await.expect("room");
        for (stream, bytes) in [(1, 65_535), (3, 65_535), (5, 65_535), (7, last)] {
            let mut said = frame(HEADERS, END_HEADERS, stream, &request_block("Gate"));
            for piece in vec![0; bytes].chunks(16_384) {
                said.extend(frame(DATA, 0, stream, piece));
            }
            peer.write(&said).await;
        }
        peer.write(&frame(PING, 0, 0, b"all read")).await;
        while peer.frame_of(PING).await.unwrap().payload != b"all read" {}
        let mut counted = hits(&counters);
        counted.retain(|(counter, _)| *counter != Counter::StreamWindow);
        assert_eq!(counted, hit, "{last}");
    }
}

#[tokio::test]
async fn a_sender_that_waits_is_counted() {
    // For room in the client's window, or in our own buffer.
    for (window, buffer) in [(100_u32, 1_000), (1_000, 100)] {
        for (bytes, hit) in [(100, None), (101, Some((Counter::StreamSendBuffer, 1)))] {
            let (io, counters) = over_http2(Http2Config {
                stream_send_buffer: buffer,
                ..Http2Config::default()
            });
            let mut peer = RawPeer::begin(io).await;
            // SETTINGS_INITIAL_WINDOW_SIZE. RFC 9113 §6.5.2.
            let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
            let mut said = frame(SETTINGS, 0, 0, &settings);
            said.extend(frame(HEADERS, END_HEADERS, 1, &request_block("Echo")));
            // Before the text: five bytes, the field's, and its length.
            let echo = encoded(&"x".repeat(bytes - 7));
            said.extend(frame(DATA, END_STREAM, 1, &echo));
            peer.write(&said).await;
            let mut answer = peer.frame_of(DATA).await.unwrap().payload;
            peer.write(&frame(WINDOW_UPDATE, 0, 1, &1_000_u32.to_be_bytes()))
                .await;
            while answer.len() < bytes {
                answer.extend(peer.frame_of(DATA).await.unwrap().payload);
            }
            assert_eq!(answer, echo);
            let what = format!("{bytes} of {window}, {buffer}");
            assert_eq!(hits(&counters), Vec::from_iter(hit), "{what}");
        }
    }
}

#[tokio::test]
async fn headers_that_h2_does_not_take_are_counted() {
    // Each field counts with 32 bytes more. RFC 9113 §6.5.2.
    let count = |fields: &[(&str, &str)]| {
        let sizes = fields
            .iter()
            .map(|(name, value)| name.len() + value.len() + 32);
        sizes.sum::<usize>()
    };
    let limit = 4_000;
    // To h2 as many as the limit are too many.
    for (size, hit) in [
        (3_999, None),
        (4_000, Some((Counter::MaxHeaderListSize, 1))),
    ] {
        let (io, counters) = over_http2(Http2Config {
            max_header_list_size: limit,
            ..Http2Config::default()
        });
        let mut peer = RawPeer::begin(io).await;
        let mut fields = vec![
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/test.Probe/Echo"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("x-long", ""),
        ];
        let value = "x".repeat(size - count(&fields));
        fields[5].1 = &value;
        peer.write(&frame(HEADERS, END_HEADERS, 1, &block(&fields)))
            .await;
        if hit.is_none() {
            peer.write(&frame(DATA, END_STREAM, 1, &encoded("x"))).await;
            peer.frame_of(DATA).await.expect("an answer");
        } else {
            // PROTOCOL_ERROR, after 431.
            assert_eq!(frame_in_time(&mut peer, RST_STREAM).await, [0, 0, 0, 1]);
        }
        // Another fault of a stream is none of its headers' size.
        let bad = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", "/a/b"),
            ("upgrade", "h2c"),
        ];
        peer.write(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &block(&bad)))
            .await;
        while peer.frame_on(3).await.unwrap().kind != RST_STREAM {}
        assert_eq!(hits(&counters), Vec::from_iter(hit), "{size}");
    }
}

//! Each limit of a client, one below and one above, and what is counted.

use std::sync::Mutex;
use std::time::Duration;

use barewire::faults::{Faults, FaultyIo};
use barewire::{
    ChannelConfig, ClientHttp2Config, Code, Counter, Counters, Inbound, MethodPath, Rate, Request,
    Server, Status,
};
use tokio::time::sleep;

use crate::net::{Host, Net, Place, hold, settle};
use crate::raw_server::*;
use crate::scripted::channel_on;
use crate::support::{DATA, GOAWAY, Probe, RST_STREAM, frame};
use crate::tokio;

fn hits(counters: &Counters) -> Vec<(Counter, u64)> {
    counters.hit().collect()
}

fn with_http2(http2: ClientHttp2Config) -> ChannelConfig {
    ChannelConfig {
        http2,
        ..ChannelConfig::default()
    }
}

/// A unary call that is answered so. Yields how it ended, and what was counted.
async fn answered(
    config: ChannelConfig,
    response: impl FnOnce(u32) -> Vec<u8>,
) -> (Result<String, Status>, Vec<(Counter, u64)>) {
    let mut line = Line::with(config);
    let channel = line.channel.clone();
    let (result, _server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.try_write(&response(stream)).await;
        server
    });
    (
        result.map(|response| response.message),
        hits(&channel.counters()),
    )
}

/// Nothing is counted and the call ends well, or this one is once and it ends badly.
#[track_caller]
fn check(
    (result, hits): (Result<String, Status>, Vec<(Counter, u64)>),
    expected: Option<(Code, Counter)>,
) {
    let code = result.err().map(|status| status.code);
    assert_eq!(code, expected.map(|(code, _)| code), "{hits:?}");
    let expected: Vec<_> = expected
        .map(|(_, counter)| (counter, 1))
        .into_iter()
        .collect();
    assert_eq!(hits, expected);
}

#[tokio::test(start_paused = true)]
async fn floods_up_to_their_rate_are_borne() {
    let rate = |burst| Rate {
        burst,
        per_second: 0,
    };
    let config = with_http2(ClientHttp2Config {
        pings: rate(6),
        settings_frames: rate(5),
        idle_frames: rate(7),
        window_update_slack: 9,
        ..ClientHttp2Config::default()
    });
    // A request is two frames of ours, which earn ten WINDOW_UPDATE each, and its bytes a few more.
    let earned = 2 * 10 + (b"ask".len() + 2 + 5) / 4;
    for (one, allowed, counter) in [
        (ping([0; 8]), 6, Counter::Pings),
        // Two went to begin with.
        (settings_frame(&[]), 3, Counter::SettingsFrames),
        (frame(2, 0, 1, &[0; 5]), 7, Counter::IdleFrames),
        (window(0, 1), 9 + earned, Counter::WindowUpdateSlack),
    ] {
        for (count, hit) in [
            (allowed, None),
            (allowed + 1, Some((Code::Unavailable, counter))),
        ] {
            let flood = one.repeat(count);
            // An answer that comes with it would be heard first.
            let response = |stream| match hit {
                None => [flood, answer(stream, "a")].concat(),
                Some(_) => flood,
            };
            check(answered(config.clone(), response).await, hit);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn responses_have_so_much_metadata_and_so_many_before_them() {
    let size = Counter::MaxMetadataSize;
    let fits = [(":status", "200"), ("content-type", "application/grpc")];
    let fits: usize = fits.iter().map(|(a, b)| a.len() + b.len() + 32).sum();
    let room = 16 * 1024 - fits - "x-more".len() - 32;
    for (value, hit) in [(room, None), (room + 1, Some(size))] {
        let value = "v".repeat(value);
        let response = |stream| {
            let head = headers_with(stream, &[("x-more", &value)]);
            [head, message(stream, "a"), trailers_ok(stream)].concat()
        };
        let hit = hit.map(|counter| (Code::ResourceExhausted, counter));
        check(answered(ChannelConfig::default(), response).await, hit);
    }
    let names: Vec<String> = (0..256).map(|number| format!("x-{number}")).collect();
    for (count, hit) in [(255, None), (256, Some(Counter::MaxMetadataPairs))] {
        let more = names.iter().take(count).map(|name| (name.as_str(), ""));
        let more: Vec<_> = more.collect();
        let response = |stream| {
            let head = headers_with(stream, &more);
            [head, message(stream, "a"), trailers_ok(stream)].concat()
        };
        let hit = hit.map(|counter| (Code::ResourceExhausted, counter));
        check(answered(ChannelConfig::default(), response).await, hit);
    }
    for (count, hit) in [(16, None), (17, Some(Counter::MaxInterimResponses))] {
        let hint = |stream| any_block(stream, 0, &[(":status", "103")]).repeat(count);
        let response = |stream| [hint(stream), answer(stream, "a")].concat();
        let hit = hit.map(|counter| (Code::Unavailable, counter));
        check(answered(ChannelConfig::default(), response).await, hit);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_have_a_size_in_both_directions() {
    // A text has its field's head and its length before it.
    for (recv, send, counter) in [
        (10, 10, None),
        (9, 10, Some(Counter::MaxRecvMessage)),
        (10, 4, Some(Counter::MaxSendMessage)),
    ] {
        let config = ChannelConfig {
            max_recv_message: recv,
            max_send_message: send,
            ..ChannelConfig::default()
        };
        if counter == Some(Counter::MaxSendMessage) {
            let line = Line::with(config);
            let result = unary(&line.channel, "ask".to_owned()).await;
            let hits = hits(&line.channel.counters());
            let result = result.map(|response| response.message);
            check(
                (result, hits),
                Some((Code::ResourceExhausted, Counter::MaxSendMessage)),
            );
        } else {
            let response = |stream| answer(stream, &"x".repeat(8));
            let hit = counter.map(|counter| (Code::ResourceExhausted, counter));
            check(answered(config, response).await, hit);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn metadata_that_the_server_does_not_take_is_counted() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let ask = |bytes| {
        let mut request = Request::new("ask".to_owned());
        request.metadata.insert("x", &"v".repeat(bytes)).unwrap();
        unary(&channel, request)
    };
    let limit = 1_024;
    let settings = [(MAX_HEADER_LIST_SIZE, limit)];
    let (first, (mut server, head)) = tokio::join!(ask(1), async {
        let mut server = line.accept_with(&settings).await;
        let call = server.request().await;
        server.write(&answer(call.stream, "small")).await;
        (server, call.head)
    });
    first.unwrap();
    // Each field counts as its name, its value and 32 more. RFC 9113 §6.5.2.
    let uri = &head.uri;
    let own = [
        (":method", head.method.as_str()),
        (":scheme", uri.scheme_str().unwrap()),
        (":authority", uri.authority().unwrap().as_str()),
        (":path", uri.path()),
    ];
    let fields = head.headers.iter();
    let fields = fields.map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let size: usize = own
        .into_iter()
        .chain(fields)
        .map(|(name, value)| name.len() + value.len() + 32)
        .sum();
    let fits = usize::try_from(limit).unwrap() - size + 1;
    let (second, ()) = tokio::join!(ask(fits), async {
        let stream = server.request().await.stream;
        server.write(&answer(stream, "all that fits")).await;
    });
    second.unwrap();
    assert_eq!(hits(&channel.counters()), []);
    server.unasked().await;

    let status = ask(fits + 1).await.unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted, "{status}");
    assert!(status.unprocessed, "{status}");
    assert_eq!(
        hits(&channel.counters()),
        [(Counter::PeerHeaderListSize, 1)]
    );
    assert_eq!(server.unasked().await, []);
}

/// Those of one call end that call. These are of a call at whose response nobody looks.
#[tokio::test(start_paused = true)]
async fn header_blocks_have_a_number() {
    // Two are due for a response and sixteen before it, and ten thousand are borne beyond that.
    for (blocks, hit) in [(10_018, None), (10_019, Some((Counter::HeaderBlocks, 1)))] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let (_unread, mut server) = tokio::join!(bidi(&channel, ()), async {
            let mut server = line.accept().await;
            server.request().await;
            server
        });
        let hint = any_block(1, 0, &[(":status", "103")]);
        server.try_write(&hint.repeat(blocks)).await;
        idle().await;
        assert_eq!(hits(&channel.counters()), Vec::from_iter(hit), "{blocks}");
        if hit.is_some() {
            assert!(server.is_closed().await);
            continue;
        }
        let (other, ()) = tokio::join!(unary(&channel, "other".to_owned()), async {
            let stream = server.request().await.stream;
            server.write(&answer(stream, "well")).await;
        });
        assert_eq!(other.unwrap().message, "well");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_has_a_second_to_take_our_goaway() {
    for (milliseconds, hit) in [(900, None), (1_100, Some((Counter::GoawayLinger, 1)))] {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let near = FaultyIo::new(near, Faults::default());
        let line = near.handle();
        let near = Mutex::new(Some(near));
        let channel = channel_on(ChannelConfig::default(), move |_| {
            Box::new(near.lock().unwrap().take().expect("one connection"))
        });
        let counters = channel.counters();
        let (answered, mut server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
            let mut server = RawServer::begin(far, &[]).await;
            let stream = server.request().await.stream;
            server.write(&answer(stream, "a")).await;
            server
        });
        answered.unwrap();
        idle().await;
        line.stall();
        drop(channel);
        sleep(Duration::from_millis(milliseconds)).await;
        line.resume();
        // NO_ERROR, or nothing but the end of the connection.
        let goaway = server.frame_of(GOAWAY).await;
        let goaway = goaway.map(|frame| frame.payload[4..].to_vec());
        assert_eq!(goaway, hit.is_none().then(|| vec![0; 4]), "{milliseconds}");
        assert!(server.is_closed().await);
        assert_eq!(hits(&counters), Vec::from_iter(hit), "{milliseconds}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_has_twenty_seconds_for_its_settings() {
    for (wait, hit) in [
        (19, None),
        (21, Some((Code::Unavailable, Counter::ConnectTimeout))),
    ] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let (result, _server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
            let io = line.dialled().await;
            sleep(Duration::from_secs(wait)).await;
            if hit.is_some() {
                return None;
            }
            let mut server = RawServer::begin(io, &[]).await;
            let stream = server.request().await.stream;
            server.write(&answer(stream, "a")).await;
            Some(server)
        });
        let result = result.map(|response| response.message);
        check((result, hits(&channel.counters())), hit);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_ping_and_a_complaint_about_pings_are_counted() {
    let config = with_http2(ClientHttp2Config {
        keepalive_time: Some(Duration::from_secs(10)),
        ..ClientHttp2Config::default()
    });
    let silent = answered(config.clone(), |_| Vec::new()).await;
    check(silent, Some((Code::Unavailable, Counter::KeepaliveTimeout)));
    let complains = |_| goaway(1, ENHANCE_YOUR_CALM, b"too_many_pings");
    let mut line = Line::with(config);
    let channel = line.channel.clone();
    let (result, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.try_write(&complains(stream)).await;
        idle().await;
    });
    let result = result.map(|response| response.message);
    idle().await;
    let hits = hits(&channel.counters());
    check(
        (result, hits),
        Some((Code::Unavailable, Counter::TooManyPings)),
    );
}

#[tokio::test(start_paused = true)]
async fn what_h2_ends_is_counted_apart() {
    // DATA of no stream.
    let broken = answered(ChannelConfig::default(), |_| frame(0, 0, 0, b"x")).await;
    check(broken, Some((Code::Unavailable, Counter::Http2Errors)));
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_are_counted_and_so_is_a_channel_that_falls_asleep() {
    let mut line = Line::with(ChannelConfig {
        max_pending_calls: 2,
        idle_timeout: Some(Duration::from_secs(40)),
        ..ChannelConfig::default()
    });
    let channel = line.channel.clone();
    let call = || {
        let channel = channel.clone();
        tokio::spawn(async move { unary(&channel, "ask".to_owned()).await })
    };
    let waiting = [call(), call()];
    idle().await;
    assert_eq!(hits(&channel.counters()), []);
    let status = call().await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted, "{status}");
    let pending = (Counter::MaxPendingCalls, 1);
    assert_eq!(hits(&channel.counters()), [pending]);
    let mut server = line.accept().await;
    for _ in 0..2 {
        let stream = server.request().await.stream;
        server.write(&answer(stream, "a")).await;
    }
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    sleep(Duration::from_secs(39)).await;
    assert_eq!(hits(&channel.counters()), [pending]);
    sleep(Duration::from_secs(21)).await;
    let asleep = (Counter::IdleTimeout, 1);
    assert_eq!(hits(&channel.counters()), [pending, asleep]);
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_a_retry_has_a_size() {
    // Messages of a thousand bytes on the wire.
    let text = "x".repeat(1_000 - 5 - 3);
    for (per_call, per_channel, hit) in [
        (3_000, 3_000, vec![]),
        (2_999, 3_000, vec![(Counter::RetryBufferPerCall, 1)]),
        (3_000, 2_999, vec![(Counter::RetryBufferPerChannel, 1)]),
    ] {
        let mut line = Line::with(ChannelConfig {
            retry_buffer_per_call: per_call,
            retry_buffer_per_channel: per_channel,
            ..ChannelConfig::default()
        });
        let channel = line.channel.clone();
        let ((mut outbound, _inbound), _server) = tokio::join!(bidi(&channel, ()), async {
            let mut server = line.accept().await;
            server.request().await;
            server
        });
        for _ in 0..3 {
            within(outbound.send(text.clone())).await.unwrap();
        }
        idle().await;
        assert_eq!(hits(&channel.counters()), hit);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_stream_ids_end_is_counted() {
    let mut line = Line::with(with_http2(ClientHttp2Config {
        stream_id_limit: 3,
        ..ClientHttp2Config::default()
    }));
    let channel = line.channel.clone();
    let mut server = None;
    for hit in [vec![], vec![(Counter::StreamIdLimit, 1)]] {
        let (result, now) = tokio::join!(unary(&channel, "ask".to_owned()), async {
            let mut server = match server.take() {
                Some(server) => server,
                None => line.accept().await,
            };
            let stream = server.request().await.stream;
            server.write(&answer(stream, "a")).await;
            server
        });
        server = Some(now);
        result.unwrap();
        assert_eq!(hits(&channel.counters()), hit);
    }
}

/// A stream of answers that nobody reads yet, and its server.
async fn unread(line: &mut Line) -> (Inbound<String>, RawServer) {
    let channel = line.channel.clone();
    tokio::join!(
        async {
            let call = channel.server_streaming(path(), "ask".to_owned());
            within(call).await.unwrap()
        },
        async {
            let mut server = line.accept().await;
            server.request().await;
            server
        }
    )
}

#[tokio::test(start_paused = true)]
async fn small_frames_that_nobody_reads_have_a_budget() {
    // Each costs h2 some 256 bytes, so that the default bears 260,000 of them.
    for (frames, hit) in [(900, vec![]), (1_200, vec![(Counter::Http2Budgets, 1)])] {
        let mut line = Line::with(with_http2(ClientHttp2Config {
            data_frame_budget: 256 * 1024,
            ..ClientHttp2Config::default()
        }));
        let channel = line.channel.clone();
        let (mut inbound, mut server) = unread(&mut line).await;
        let flood = [headers(1), message(1, "x").repeat(frames)].concat();
        server.try_write(&flood).await;
        idle().await;
        assert_eq!(hits(&channel.counters()), hit, "{frames}");
        server.try_write(&trailers_ok(1)).await;
        let heard = read_all(&mut inbound).await;
        let code = heard.end.err().map(|status| status.code);
        let lost = (!hit.is_empty()).then_some(Code::Unavailable);
        assert_eq!(code, lost, "{frames}");
    }
}

#[tokio::test(start_paused = true)]
async fn frames_have_a_size() {
    for (size, hit) in [
        (16_384, None),
        (16_385, Some((Code::Unavailable, Counter::Http2Errors))),
    ] {
        // Before the text: five bytes, the field's, and two of its length.
        let whole = frame(DATA, 0, 1, &encoded(&"x".repeat(size - 8)));
        let response = |stream| [headers(stream), whole, trailers_ok(stream)].concat();
        check(answered(ChannelConfig::default(), response).await, hit);
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_cancelled_calls_are_remembered() {
    for (remembered, seconds, forgotten) in [(3, 100, 0), (2, 100, 1), (3, 0, 3)] {
        let mut line = Line::with(with_http2(ClientHttp2Config {
            max_concurrent_reset_streams: remembered,
            reset_stream_duration: Duration::from_secs(seconds),
            ..ClientHttp2Config::default()
        }));
        let (codes, hits) = late_frames(&mut line, 3).await;
        assert_eq!(codes, vec![STREAM_CLOSED; forgotten], "{remembered}");
        let counted = u64::try_from(forgotten).unwrap();
        let expected = (counted > 0).then_some((Counter::MaxConcurrentResetStreams, counted));
        assert_eq!(hits, Vec::from_iter(expected), "{remembered}");
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_late_frames_of_forgotten_calls_are_borne() {
    // Above half of the limit calls go elsewhere; at the limit h2 ends the connection.
    let worn = (Counter::MaxLocalErrorResetStreams, 1);
    let cases = [
        (6, vec![(Counter::MaxConcurrentResetStreams, 3)]),
        (5, vec![(Counter::MaxConcurrentResetStreams, 3), worn]),
        (2, vec![(Counter::Http2Budgets, 1)]),
    ];
    for (limit, hit) in cases {
        let mut line = Line::with(with_http2(ClientHttp2Config {
            reset_stream_duration: Duration::ZERO,
            max_local_error_reset_streams: limit,
            ..ClientHttp2Config::default()
        }));
        let (_, hits) = late_frames(&mut line, 3).await;
        assert_eq!(hits, hit, "{limit}");
    }
}

/// The next call is made on a connection of its own.
async fn calls_go_elsewhere(line: &mut Line) {
    let channel = line.channel.clone();
    let (result, _other) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut other = line.accept().await;
        let stream = other.request().await.stream;
        other.write(&answer(stream, "a")).await;
        other
    });
    result.unwrap();
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn empty_frames_cost_a_connection_and_no_call() {
    let worn = [(Counter::MaxLocalErrorResetStreams, 1)];
    let cases: [(u8, &[u8], usize, &[_]); 6] = [
        // flags  payload          frames  what is counted
        (0,       b"",                 50, &[]),
        (0,       b"",                 51, &worn),
        (0,       b"",                100, &worn),  // one more is too many for h2
        (PADDED,  b"\x02\x00\x00",      50, &[]),
        (PADDED,  b"\x02\x00\x00",      51, &worn),
        (PADDED,  b"\x00",             51, &worn),  // no padding but its length
    ];
    for (flags, payload, frames, hit) in cases {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let (mut inbound, mut server) = unread(&mut line).await;
        let empty = frame(DATA, flags, 1, payload).repeat(frames);
        server.write(&[headers(1), empty, message(1, "still")].concat()).await;
        idle().await;
        assert_eq!(hits(&channel.counters()), *hit, "{frames}");
        if !hit.is_empty() {
            calls_go_elsewhere(&mut line).await;
        }
        assert!(!line.has_dialled());
        server.write(&trailers_ok(1)).await;
        let heard = read_all(&mut inbound).await;
        assert_eq!(heard.messages, ["still"]);
        heard.end.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn late_small_frames_cost_a_connection_and_no_call() {
    // Each costs h2 248 bytes: 132 of them are the last below half of the budget, 264 would be the last of
    // all.
    let worn = Some((Counter::DataFrameBudget, 1));
    for (frames, behind_the_reset, hit) in [
        (132, true, None),
        (133, true, worn),
        (10_000, true, worn),
        // They come together with the end of the call, and h2 throws them away too.
        (132, false, None),
        (133, false, worn),
    ] {
        let mut line = Line::with(with_http2(ClientHttp2Config {
            data_frame_budget: 64 * 1024,
            ..ClientHttp2Config::default()
        }));
        let channel = line.channel.clone();
        let (mut first, mut server) = unread(&mut line).await;
        server.write(&headers(1)).await;
        let mut left = frames;
        // Calls go elsewhere in time.
        while left > 0 && !channel.counters().hit().any(|_| true) {
            let (inbound, request) = tokio::join!(
                async {
                    let call = channel.server_streaming::<_, String>(path(), "ask".to_owned());
                    within(call).await.unwrap()
                },
                server.request()
            );
            server.write(&headers(request.stream)).await;
            idle().await;
            let some = left.min(20);
            let small = message(request.stream, "x").repeat(some);
            if !behind_the_reset {
                server.write(&small).await;
            }
            drop(inbound);
            assert_eq!(server.reset_of(request.stream).await, CANCEL);
            if behind_the_reset {
                server.write(&small).await;
            }
            left -= some;
            idle().await;
        }
        let counted = hits(&channel.counters());
        assert_eq!(counted, Vec::from_iter(hit), "{frames} {behind_the_reset}");
        if hit.is_some() {
            calls_go_elsewhere(&mut line).await;
        }
        assert!(!line.has_dialled());
        let rest = [message(1, "still"), trailers_ok(1)].concat();
        server.write(&rest).await;
        let heard = read_all(&mut first).await;
        assert_eq!(heard.messages, ["still"]);
        heard.end.unwrap();
    }
}

const STREAM_CLOSED: u32 = 5;

#[tokio::test(start_paused = true)]
async fn late_small_frames_end_a_connection_when_the_budget_is_used_up() {
    // Sent at once, so that calls cannot go elsewhere in time.
    for (frames, code) in [(264, None), (265, Some(Code::Unavailable))] {
        let mut line = Line::with(with_http2(ClientHttp2Config {
            data_frame_budget: 64 * 1024,
            ..ClientHttp2Config::default()
        }));
        let channel = line.channel.clone();
        let (mut first, mut server) = unread(&mut line).await;
        let (second, _) = tokio::join!(
            async {
                let call = channel.server_streaming::<_, String>(path(), "ask".to_owned());
                within(call).await.unwrap()
            },
            server.request()
        );
        drop(second);
        assert_eq!(server.reset_of(3).await, CANCEL);
        server.try_write(&message(3, "x").repeat(frames)).await;
        idle().await;
        server
            .try_write(&[headers(1), trailers_ok(1)].concat())
            .await;
        let end = read_all(&mut first).await.end;
        assert_eq!(end.err().map(|status| status.code), code, "{frames}");
        let cut = channel.counters().of(Counter::Http2Budgets);
        assert_eq!(cut, u64::from(code.is_some()), "{frames}");
    }
}

/// Cancels so many calls, whose answers go on. Yields the codes of the resets that these are answered
/// with, and what was counted.
async fn late_frames(line: &mut Line, calls: u32) -> (Vec<u32>, Vec<(Counter, u64)>) {
    let channel = line.channel.clone();
    let (first, mut server) = unread(line).await;
    let mut inbounds = vec![first];
    for _ in 1..calls {
        let (inbound, _) = tokio::join!(
            async {
                let call = channel.server_streaming::<_, String>(path(), "ask".to_owned());
                within(call).await.unwrap()
            },
            server.request()
        );
        inbounds.push(inbound);
    }
    let streams = (0..calls).map(|number| number * 2 + 1);
    for stream in streams.clone() {
        server.write(&headers(stream)).await;
    }
    idle().await;
    drop(inbounds);
    for stream in streams.clone() {
        assert_eq!(server.reset_of(stream).await, CANCEL);
    }
    for stream in streams {
        server.try_write(&message(stream, "late")).await;
    }
    idle().await;
    let mut codes = Vec::new();
    while let Some(reset) = server.next_now(|frame| frame.kind == RST_STREAM).await {
        codes.push(u32::from_be_bytes(reset.payload.try_into().unwrap()));
    }
    (codes, hits(&channel.counters()))
}

#[tokio::test(start_paused = true)]
async fn streams_that_nobody_reads_hold_up_the_others_once_they_have_the_whole_window() {
    for (count, passes) in [(3, true), (4, false)] {
        let mut line = Line::with(with_http2(ClientHttp2Config {
            stream_window: 65_535,
            connection_window: 4 * 65_535,
            ..ClientHttp2Config::default()
        }));
        let channel = line.channel.clone();
        tokio::spawn(async move {
            let io = line.dialled().await;
            let service = Probe::default();
            let _ = Server::new().add(service).serve_io(io).await;
        });
        let mut unread = Vec::new();
        for _ in 0..count {
            let flood = MethodPath::from_static("/test.Probe/Flood");
            let call = channel.server_streaming::<_, String>(flood, "x".to_owned());
            unread.push(within(call).await.unwrap());
        }
        for _ in 0..100 {
            idle().await;
        }
        let echo = || {
            let path = MethodPath::from_static("/test.Probe/Echo");
            let request = Request::new("x".to_owned()).with_timeout(Duration::from_secs(10));
            channel.unary::<String, String>(path, request)
        };
        let code = echo().await.err().map(|status| status.code);
        let waits = (!passes).then_some(Code::DeadlineExceeded);
        assert_eq!(code, waits, "{count} unread");
        // To drop one of them is enough.
        unread.pop();
        assert_eq!(echo().await.unwrap().message, "x");
    }
}

/// The DATA frames of one message, so many bytes with its prefix.
fn of_bytes(stream: u32, bytes: usize) -> Vec<u8> {
    // Before the text: five bytes, the field's, and three of its length.
    let whole = encoded(&"x".repeat(bytes - 9));
    assert_eq!(whole.len(), bytes);
    let pieces = whole.chunks(16_384);
    pieces.flat_map(|piece| data(stream, piece)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_window_is_used_up_is_counted() {
    for (bytes, hit) in [(65_534, None), (65_535, Some((Counter::StreamWindow, 1)))] {
        let mut line = Line::with(with_http2(ClientHttp2Config {
            stream_window: 65_535,
            ..ClientHttp2Config::default()
        }));
        let (mut inbound, mut server) = unread(&mut line).await;
        server
            .write(&[headers(1), of_bytes(1, bytes)].concat())
            .await;
        idle().await;
        server.write(&trailers_ok(1)).await;
        // It is seen when the caller takes what is there.
        read_all(&mut inbound).await.end.unwrap();
        let counters = line.channel.counters();
        assert_eq!(hits(&counters), Vec::from_iter(hit), "{bytes}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_window_is_used_up_is_counted() {
    for (last, hit) in [
        (65_534, None),
        (65_535, Some((Counter::ConnectionWindow, 1))),
    ] {
        let mut line = Line::with(with_http2(ClientHttp2Config {
            stream_window: 65_535,
            connection_window: 4 * 65_535,
            ..ClientHttp2Config::default()
        }));
        let channel = line.channel.clone();
        let (first, mut server) = unread(&mut line).await;
        let mut inbounds = vec![first];
        for _ in 1..4 {
            let (inbound, _) = tokio::join!(
                async {
                    let call = channel.server_streaming::<_, String>(path(), "ask".to_owned());
                    within(call).await.unwrap()
                },
                server.request()
            );
            inbounds.push(inbound);
        }
        for (stream, bytes) in [(1, 65_535), (3, 65_535), (5, 65_535), (7, last)] {
            let said = [headers(stream), of_bytes(stream, bytes)].concat();
            server.write(&said).await;
        }
        idle().await;
        assert_eq!(hits(&channel.counters()), Vec::from_iter(hit), "{last}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_waits_is_counted() {
    // For room in the server's window, or in our own buffer.
    for (room, buffer) in [(100, 1_000), (1_000, 100)] {
        for (bytes, hit) in [(100, None), (101, Some((Counter::StreamSendBuffer, 1)))] {
            let mut line = Line::with(with_http2(ClientHttp2Config {
                stream_send_buffer: buffer,
                ..ClientHttp2Config::default()
            }));
            let channel = line.channel.clone();
            let ((mut outbound, _inbound), mut server) = tokio::join!(bidi(&channel, ()), async {
                let mut server = line.accept_with(&[(INITIAL_WINDOW_SIZE, room)]).await;
                server.request().await;
                server
            });
            // Before the text: five bytes, the field's, and its length.
            let text = "x".repeat(bytes - 7);
            let counters = channel.counters();
            let what = format!("{bytes} of {room}, {buffer}");
            let (sent, heard) = tokio::join!(within(outbound.send(text.clone())), async {
                idle().await;
                let counted = hits(&counters);
                server.write(&window(1, 1_000)).await;
                let told = server.messages_of(1, 1).await;
                assert_eq!(told, std::slice::from_ref(&text), "{what}");
                counted
            });
            sent.unwrap();
            assert_eq!(heard, Vec::from_iter(hit), "{what}");
            assert_eq!(hits(&counters), Vec::from_iter(hit), "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_stream_is_counted_and_so_is_another_connection() {
    let waits = (Counter::MaxConcurrentStreams, 1);
    let another = (Counter::MaxConnectionsPerAddress, 1);
    for (theirs, ours, connections, hit) in [
        (2, 1_000, 1, vec![]),
        (1_000, 2, 1, vec![]),
        (1, 1_000, 1, vec![waits]),
        (1_000, 1, 1, vec![waits]),
        (2, 1_000, 2, vec![]),
        (1, 1_000, 2, vec![waits, another]),
    ] {
        let (net, [host]) = Net::with_hosts([1]);
        host.limit(theirs);
        let channel = net.channel_with(
            [1],
            ChannelConfig {
                max_connections_per_address: connections,
                ..with_http2(ClientHttp2Config {
                    max_concurrent_streams: ours,
                    ..ClientHttp2Config::default()
                })
            },
        );
        let calls = ["one", "two"].map(|text| hold(&channel, text));
        settle().await;
        let what = format!("{theirs}, {ours}, {connections}");
        assert_eq!(hits(&channel.counters()), hit, "{what}");
        assert_eq!(host.taken(), hit.len().max(1), "{what}");
        // The second one may come when the first has ended.
        for call in calls {
            host.release_all();
            within(call).await.unwrap().unwrap();
            settle().await;
        }
        assert_eq!(hits(&channel.counters()), hit, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_late_is_counted() {
    for (first, last, hits_of) in [
        (Place::Refused, None, 0),
        (Place::BlackHole, None, 1),
        (Place::BlackHole, Some(Place::BlackHole), 2),
        (Place::BlackHole, Some(Place::Refused), 1),
    ] {
        let (net, [_host]) = Net::with_hosts([3]);
        net.put(1, first);
        net.put(2, last.unwrap_or_else(|| Place::Host(Host::new(2))));
        let channel = net.channel([1, 2, 3]);
        within(channel.ready()).await.unwrap();
        let counted = channel.counters().of(Counter::HappyEyeballsDelay);
        assert_eq!(counted, hits_of);
    }
}

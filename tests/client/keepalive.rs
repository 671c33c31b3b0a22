//! PINGs of the client, and its answers to those of the server.

use std::time::Duration;

use barewire::{ChannelConfig, ClientHttp2Config, Code, Counter, Inbound};
use tokio::time::{Instant, sleep};

use crate::raw_server::*;
use crate::support::{ACK, Frame, PING};
use crate::tokio;

fn config(time: u64, without_calls: bool) -> ChannelConfig {
    ChannelConfig {
        http2: ClientHttp2Config {
            keepalive_time: Some(Duration::from_secs(time)),
            keepalive_without_calls: without_calls,
            ..ClientHttp2Config::default()
        },
        // Hours pass in these tests.
        idle_timeout: None,
        ..ChannelConfig::default()
    }
}

fn is_ping(frame: &Frame) -> bool {
    frame.kind == PING && frame.flags & ACK == 0
}

/// A stream that the server has begun to answer, and leaves open.
async fn begun(line: &mut Line) -> (RawServer, u32, Inbound<String>) {
    let channel = line.channel.clone();
    let (mut inbound, (server, stream)) = tokio::join!(
        async {
            let call = channel.server_streaming::<String, String>(path(), "ask".to_owned());
            within(call).await.unwrap()
        },
        async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            server.write(&headers(stream)).await;
            (server, stream)
        }
    );
    within(inbound.headers()).await.unwrap();
    (server, stream, inbound)
}

#[tokio::test(start_paused = true)]
async fn p139_a_ping_is_acknowledged_with_its_bytes_and_before_data() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let _call = tokio::spawn(async move { unary(&channel, "x".repeat(1_000_000)).await });
    let mut server = line.accept().await;
    server.request().await;
    idle().await;
    server.unasked().await;
    // With data waiting for a window, which comes in the same write.
    let payload = *b"eight by";
    let bytes = [window(0, 1_000_000), window(1, 1_000_000), ping(payload)];
    server.write(&bytes.concat()).await;
    let first = server.next(|_| true).await.unwrap();
    assert_eq!((first.kind, first.flags), (PING, ACK), "{:?}", first.kind);
    assert_eq!(first.payload, payload);
}

#[tokio::test(start_paused = true)]
async fn p140_p141_a_silent_server_is_asked_and_any_byte_is_an_answer() {
    // Less than ten seconds acts as ten.
    for (configured, actual) in [(1, 10), (10, 10), (30, 30)] {
        let mut line = Line::with(config(configured, false));
        let (mut server, stream, mut inbound) = begun(&mut line).await;
        for answer_with_ack in [true, false] {
            server.unasked().await;
            let start = Instant::now();
            let ping = server.next(is_ping).await.unwrap();
            let waited = start.elapsed().as_secs_f64();
            let expected = f64::from(actual);
            assert!(
                (expected - 0.1..expected + 0.1).contains(&waited),
                "{waited}"
            );
            if answer_with_ack {
                let ack = crate::support::frame(PING, ACK, 0, &ping.payload);
                server.write(&ack).await;
            } else {
                server.write(&message(stream, "alive")).await;
            }
        }
        assert_eq!(inbound.next().await.unwrap().as_deref(), Some("alive"));
        // It lives far beyond the timeout.
        let again = tokio::time::timeout(Duration::from_secs(29), inbound.next());
        if actual < 29 {
            let ping = async {
                loop {
                    let ping = server.next(is_ping).await.unwrap();
                    let ack = crate::support::frame(PING, ACK, 0, &ping.payload);
                    server.write(&ack).await;
                }
            };
            tokio::select! {
                () = ping => {}
                result = again => assert!(result.is_err(), "{result:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p141_steady_data_needs_no_ping() {
    let mut line = Line::with(config(10, false));
    let (mut server, stream, mut inbound) = begun(&mut line).await;
    for _ in 0..20 {
        sleep(Duration::from_secs(9)).await;
        server.write(&message(stream, "alive")).await;
        assert_eq!(inbound.next().await.unwrap().as_deref(), Some("alive"));
    }
    assert!(!server.unasked().await.iter().any(is_ping));
}

#[tokio::test(start_paused = true)]
async fn p141_what_is_sent_is_no_sign_of_life() {
    let mut line = Line::with(config(10, false));
    let channel = line.channel.clone();
    let (mut outbound, inbound) = bidi_pair(&channel, &mut line).await;
    let mut server = inbound.1;
    let sending = tokio::spawn(async move {
        for _ in 0..10 {
            sleep(Duration::from_secs(3)).await;
            outbound.send("hello".to_owned()).await.unwrap();
        }
        outbound
    });
    let start = Instant::now();
    server.next(is_ping).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(11));
    sending.abort();
}

async fn bidi_pair(
    channel: &barewire::Channel,
    line: &mut Line,
) -> (barewire::Outbound<String>, (Inbound<String>, RawServer)) {
    let ((outbound, inbound), server) = tokio::join!(bidi(channel, ()), async {
        let mut server = line.accept().await;
        server.request().await;
        server
    });
    (outbound, (inbound, server))
}

#[tokio::test(start_paused = true)]
async fn p142_without_a_call_nothing_is_asked_unless_permitted() {
    for permitted in [false, true] {
        let mut line = Line::with(config(10, permitted));
        let channel = line.channel.clone();
        let (first, mut server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            server.write(&answer(stream, "ok")).await;
            server
        });
        first.unwrap();
        server.unasked().await;
        let silent = tokio::time::timeout(Duration::from_secs(3600), server.next(is_ping)).await;
        assert_eq!(silent.is_ok(), permitted, "{silent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p142_a_call_after_long_silence_asks_at_once() {
    let mut line = Line::with(config(10, false));
    let channel = line.channel.clone();
    let (first, mut server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.write(&answer(stream, "ok")).await;
        server
    });
    first.unwrap();
    sleep(Duration::from_secs(3600)).await;
    let start = Instant::now();
    let (second, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        server.next(is_ping).await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(100), "at once");
        // The server is dead: the call does not wait for its own deadline, which it has not.
    });
    let status = second.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    let waited = start.elapsed().as_secs_f64();
    assert!((19.9..20.1).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn p143_a_ping_that_is_not_answered_ends_the_connection() {
    let mut line = Line::with(config(10, false));
    let (mut server, _, mut inbound) = begun(&mut line).await;
    let start = Instant::now();
    let status = within(inbound.next()).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(status.message.contains("keepalive"), "{status}");
    let waited = start.elapsed().as_secs_f64();
    assert!((29.9..30.1).contains(&waited), "10 s and 20 s: {waited}");
    assert!(server.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn p143_the_answer_may_come_in_the_same_moment() {
    // With a clock that stands still: a quick answer comes at the time at which the PING left.
    let mut line = Line::with(config(10, false));
    let (mut server, _, mut inbound) = begun(&mut line).await;
    let acknowledging = tokio::spawn(async move {
        while let Some(ping) = server.next(is_ping).await {
            let ack = crate::support::frame(PING, ACK, 0, &ping.payload);
            server.write(&ack).await;
        }
    });
    let result = tokio::time::timeout(Duration::from_secs(300), inbound.next()).await;
    assert!(result.is_err(), "{result:?}");
    acknowledging.abort();
}

#[tokio::test(start_paused = true)]
async fn p140_keepalive_is_off_by_default() {
    let mut line = Line::new();
    let (mut server, stream, mut inbound) = begun(&mut line).await;
    sleep(Duration::from_secs(24 * 3600)).await;
    assert!(!server.unasked().await.iter().any(is_ping));
    server.write(&message(stream, "still here")).await;
    let next = inbound.next().await.unwrap();
    assert_eq!(next.as_deref(), Some("still here"));
}

#[tokio::test(start_paused = true)]
async fn p259_keepalive_goes_on_while_the_server_drains() {
    let mut line = Line::with(config(10, false));
    let (mut server, stream, mut inbound) = begun(&mut line).await;
    server.write(&goaway(stream, NO_ERROR, b"")).await;
    let ping = server.next(is_ping).await.unwrap();
    let ack = crate::support::frame(PING, ACK, 0, &ping.payload);
    server.write(&ack).await;
    let start = Instant::now();
    server.next(is_ping).await.unwrap();
    assert!(start.elapsed() > Duration::from_secs(9));
    let status = within(inbound.next()).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
}

#[tokio::test(start_paused = true)]
async fn p144_too_many_pings_ends_the_calls_with_the_server_s_words() {
    let mut line = Line::with(config(10, false));
    let (mut server, _, mut inbound) = begun(&mut line).await;
    server
        .write(&goaway(1, ENHANCE_YOUR_CALM, b"too_many_pings"))
        .await;
    idle().await;
    server.close_writing().await;
    let status = within(inbound.next()).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(status.message.contains("too_many_pings"), "{status}");
}

#[tokio::test(start_paused = true)]
async fn p144_too_many_pings_doubles_the_keepalive_time_of_the_channel() {
    let mut line = Line::with(config(10, false));
    let mut time = 10.0;
    for _ in 0..3 {
        let (mut server, _, mut inbound) = begun(&mut line).await;
        let start = Instant::now();
        server.next(is_ping).await.unwrap();
        let waited = start.elapsed().as_secs_f64();
        assert!(
            (time - 0.1..time + 0.1).contains(&waited),
            "{waited} for {time}"
        );
        server
            .write(&goaway(1, ENHANCE_YOUR_CALM, b"too_many_pings"))
            .await;
        server.close_writing().await;
        within(inbound.next()).await.unwrap_err();
        time *= 2.0;
    }
}

/// A server may send a connection away in good order first, and complain while it drains.
#[tokio::test(start_paused = true)]
async fn p144_a_complaint_in_a_second_goaway_is_heard_too() {
    let mut line = Line::with(config(10, false));
    let (mut server, _, mut inbound) = begun(&mut line).await;
    server.next(is_ping).await.unwrap();
    server.write(&goaway(1, NO_ERROR, b"max_age")).await;
    idle().await;
    for _ in 0..2 {
        let complaint = goaway(1, ENHANCE_YOUR_CALM, b"too_many_pings");
        server.write(&complaint).await;
        idle().await;
    }
    assert_eq!(line.channel.counters().of(Counter::TooManyPings), 1);
    server.close_writing().await;
    let status = within(inbound.next()).await.unwrap_err();
    assert!(status.message.contains("too_many_pings"), "{status}");

    let (mut server, _, _inbound) = begun(&mut line).await;
    let start = Instant::now();
    server.next(is_ping).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 20);
}

//! How a connection begins, and the streams that it may have at once.

use std::time::Duration;

use barewire::{ChannelConfig, ClientHttp2Config, Code, Request, Status};
use tokio::time::Instant;

use crate::raw_server::*;
use crate::support::{END_STREAM, GOAWAY, HEADERS, SETTINGS, WINDOW_UPDATE, frame};
use crate::tokio;

#[tokio::test(start_paused = true)]
async fn p001_each_call_is_one_stream_and_streams_are_numbered_from_one() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let calls = async {
        for _ in 0..3 {
            unary(&channel, "ask".to_owned()).await.unwrap();
        }
    };
    tokio::join!(calls, async {
        let mut server = line.accept().await;
        for expected in [1, 3, 5] {
            let call = server.request().await;
            assert_eq!(call.stream, expected);
            server.write(&answer(call.stream, "ok")).await;
        }
        server
    });
    assert!(!line.has_dialled(), "one connection serves all");
}

#[tokio::test(start_paused = true)]
async fn p002_p008_p014_p064_the_client_begins_with_preface_settings_and_windows() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let _call = tokio::spawn(async move { unary(&channel, "ask".to_owned()).await });
    let mut server = RawServer::silent(line.dialled().await).await;
    // Prior knowledge: the preface, and no HTTP/1.1 Upgrade.
    server.read_preface().await;
    let settings = server.next(|_| true).await.unwrap();
    assert_eq!(
        (settings.kind, settings.flags, settings.stream),
        (SETTINGS, 0, 0)
    );
    let value_of = |name: u16| {
        let entries = settings.payload.chunks(6);
        let found: Vec<u32> = entries
            .filter(|entry| entry[..2] == name.to_be_bytes())
            .map(|entry| u32::from_be_bytes(entry[2..].try_into().unwrap()))
            .collect();
        found
    };
    assert_eq!(value_of(ENABLE_PUSH), [0]);
    assert_eq!(value_of(INITIAL_WINDOW_SIZE), [1024 * 1024]);
    assert_eq!(value_of(MAX_HEADER_LIST_SIZE), [64 * 1024]);
    let update = server.frame_of(WINDOW_UPDATE).await.unwrap();
    let more: u32 = 32 * 1024 * 1024 - 65_535;
    assert_eq!(
        (update.stream, &*update.payload),
        (0, &more.to_be_bytes()[..])
    );
    // No call is sent before the server has spoken.
    assert_eq!(server.unasked().await, []);
}

#[tokio::test(start_paused = true)]
async fn p005_a_connection_is_not_ready_before_the_server_s_settings() {
    // A silent server is given up after connect_timeout, and no call was sent to it.
    let mut line = Line::new();
    let channel = line.channel.clone();
    let start = Instant::now();
    let (result, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = RawServer::silent(line.dialled().await).await;
        server.read_preface().await;
        assert!(server.next(|frame| frame.kind == HEADERS).await.is_none());
    });
    let status = result.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(status.unprocessed, "{status}");
    assert_eq!(start.elapsed().as_secs(), 20, "{status}");
}

#[tokio::test(start_paused = true)]
async fn p005_settings_that_come_in_pieces_are_obeyed_from_the_first_stream_on() {
    let settings = settings_frame(&[(MAX_CONCURRENT_STREAMS, 1)]);
    for cut in 1..settings.len() {
        let mut line = Line::new();
        for name in ["a", "b"] {
            let channel = line.channel.clone();
            tokio::spawn(async move { unary(&channel, name.to_owned()).await });
        }
        let mut server = RawServer::silent(line.dialled().await).await;
        server.read_preface().await;
        server.write(&settings[..cut]).await;
        idle().await;
        let early = server.unasked().await;
        assert_eq!(early, [], "cut at {cut}: a call before SETTINGS were whole");
        server.write(&settings[cut..]).await;
        let first = server.request().await;
        idle().await;
        let unasked = server.unasked().await;
        let heads = unasked.iter().filter(|frame| frame.kind == HEADERS).count();
        assert_eq!(heads, 0, "cut at {cut}: a second stream");
        server.write(&answer(first.stream, "ok")).await;
        server.request().await;
    }
}

#[tokio::test(start_paused = true)]
async fn p009_p265_calls_over_the_limit_wait_and_are_served_in_their_order() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let mut server = {
        let first = tokio::spawn({
            let channel = channel.clone();
            async move { unary(&channel, "first".to_owned()).await.unwrap() }
        });
        let mut server = line.accept_with(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
        let stream = server.request().await.stream;
        assert_eq!(server.messages_of(stream, usize::MAX).await, ["first"]);
        server.write(&answer(stream, "ok")).await;
        first.await.unwrap();
        server
    };
    let mut calls = Vec::new();
    for number in 0..100 {
        let channel = channel.clone();
        calls.push(tokio::spawn(async move {
            unary(&channel, number.to_string()).await.unwrap().message
        }));
    }
    let mut open = 0;
    for number in 0..100 {
        let call = server.request().await;
        open += 1;
        assert_eq!(open, 1);
        let asked = server.messages_of(call.stream, usize::MAX).await;
        assert_eq!(asked, [number.to_string()]);
        idle().await;
        let unasked = server.unasked().await;
        assert!(unasked.is_empty(), "more than one stream: {unasked:?}");
        open -= 1;
        server.write(&answer(call.stream, &asked[0])).await;
    }
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), number.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn p009_a_limit_may_shrink_to_nothing_and_grow_again() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let call = |number: usize| {
        let channel = channel.clone();
        tokio::spawn(async move { unary(&channel, number.to_string()).await })
    };
    let mut calls: Vec<_> = (0..4).map(call).collect();
    let mut server = line.accept_with(&[(MAX_CONCURRENT_STREAMS, 4)]).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(server.request().await.stream);
    }
    // Shrunk below what is open: those go on, and no new one begins while they end.
    server
        .write(&settings_frame(&[(MAX_CONCURRENT_STREAMS, 0)]))
        .await;
    idle().await;
    calls.extend((4..8).map(call));
    idle().await;
    for stream in open.drain(..) {
        server.write(&answer(stream, "ok")).await;
        idle().await;
        let heads = server.unasked().await;
        let heads = heads.iter().filter(|frame| frame.kind == HEADERS).count();
        assert_eq!(heads, 0);
    }
    for call in calls.drain(..4) {
        call.await.unwrap().unwrap();
    }
    // Grown by one, then by another, then to plenty, and each time by as much.
    for (limit, more) in [(1, 1), (2, 1), (100, 2)] {
        server
            .write(&settings_frame(&[(MAX_CONCURRENT_STREAMS, limit)]))
            .await;
        idle().await;
        for _ in 0..more {
            open.push(server.request().await.stream);
        }
        idle().await;
        let heads = server.unasked().await;
        let heads = heads.iter().filter(|frame| frame.kind == HEADERS).count();
        assert_eq!(heads, 0, "limit {limit}");
    }
    for stream in open {
        server.write(&answer(stream, "ok")).await;
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn p009_settings_that_say_nothing_of_streams_change_nothing() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    for number in 0..3 {
        let channel = channel.clone();
        tokio::spawn(async move { unary(&channel, number.to_string()).await });
    }
    let mut server = line.accept_with(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
    let stream = server.request().await.stream;
    server
        .write(&settings_frame(&[(MAX_HEADER_LIST_SIZE, 10_000)]))
        .await;
    idle().await;
    server.write(&answer(stream, "ok")).await;
    server.request().await;
    idle().await;
    let heads = server.unasked().await;
    assert!(heads.iter().all(|frame| frame.kind != HEADERS), "{heads:?}");
}

#[tokio::test(start_paused = true)]
async fn p009_the_wait_for_a_stream_counts_against_the_deadline() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let first = tokio::spawn({
        let channel = channel.clone();
        async move { unary(&channel, "first".to_owned()).await }
    });
    let mut server = line.accept_with(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
    let stream = server.request().await.stream;
    let start = Instant::now();
    let request = Request::new("late".to_owned()).with_timeout(Duration::from_secs(3));
    let status = unary(&channel, request).await.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    assert!(status.unprocessed, "it was never sent: {status}");
    assert_eq!(start.elapsed().as_secs(), 3);
    // Nothing of it was sent, and the slot goes to the next one.
    server.write(&answer(stream, "ok")).await;
    first.await.unwrap().unwrap();
    let (third, ()) = tokio::join!(unary(&channel, "third".to_owned()), async {
        let call = server.request().await;
        assert_eq!(server.messages_of(call.stream, 1).await, ["third"]);
        server.write(&answer(call.stream, "ok")).await;
    });
    third.unwrap();
}

#[tokio::test(start_paused = true)]
async fn p009_p129_a_call_that_is_given_up_leaves_the_queue() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let call = |name: &'static str| {
        let channel = channel.clone();
        tokio::spawn(async move { unary(&channel, name.to_owned()).await })
    };
    let first = call("first");
    let mut server = line.accept_with(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
    let stream = server.request().await.stream;
    let (second, third) = (call("second"), call("third"));
    idle().await;
    second.abort();
    idle().await;
    server.write(&answer(stream, "ok")).await;
    first.await.unwrap().unwrap();
    let next = server.request().await;
    assert_eq!(server.messages_of(next.stream, 1).await, ["third"]);
    server.write(&answer(next.stream, "ok")).await;
    third.await.unwrap().unwrap();
}

/// Slots come back at once when calls are given up, even before their resets have left; the calls
/// that take them must not notice.
#[tokio::test(start_paused = true)]
async fn p009_p265_slots_of_calls_that_were_given_up_can_be_used_at_once() {
    for limit in [1, 2, 3, 10] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let mut calls = Vec::new();
        for _ in 0..limit {
            let mut call = Box::pin(channel.unary::<String, String>(path(), "a".to_owned()));
            let polled = tokio::time::timeout(Duration::ZERO, &mut call).await;
            assert!(polled.is_err());
            calls.push(call);
        }
        let count = u32::try_from(limit).unwrap();
        let (_, mut server) = tokio::join!(
            async {
                for call in &mut calls {
                    let polled = tokio::time::timeout(Duration::from_millis(10), call).await;
                    assert!(polled.is_err());
                }
            },
            async {
                let mut server = line.accept_with(&[(MAX_CONCURRENT_STREAMS, count)]).await;
                for _ in 0..limit {
                    server.request().await;
                }
                server
            }
        );
        drop(calls);
        // Without a turn of the connection in between.
        let many = (0..limit + 2).map(|number| unary_boxed(&channel, number.to_string()));
        let (results, ()) = tokio::join!(join_all(many.collect()), async {
            for _ in 0..limit + 2 {
                let call = server.request().await;
                server.write(&answer(call.stream, "ok")).await;
            }
        });
        for result in results {
            assert_eq!(result.expect("a call that is served").message, "ok");
        }
    }
}

type Boxed<'a> =
    std::pin::Pin<Box<dyn Future<Output = Result<barewire::Response<String>, Status>> + 'a>>;

fn unary_boxed(channel: &barewire::Channel, text: String) -> Boxed<'_> {
    Box::pin(unary(channel, text))
}

/// All of them side by side, in one task.
async fn join_all(mut calls: Vec<Boxed<'_>>) -> Vec<Result<barewire::Response<String>, Status>> {
    let mut done: Vec<Option<_>> = calls.iter().map(|_| None).collect();
    std::future::poll_fn(|cx| {
        for (call, done) in calls.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(result) = call.as_mut().poll(cx)
            {
                *done = Some(result);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    done.into_iter().flatten().collect()
}

#[tokio::test(start_paused = true)]
async fn p011_a_server_of_one_stream_is_not_overrun_at_the_start() {
    let mut line = Line::new();
    let mut calls = Vec::new();
    for number in 0..50 {
        let channel = line.channel.clone();
        calls.push(tokio::spawn(async move {
            unary(&channel, number.to_string()).await.unwrap()
        }));
    }
    let mut server = line.accept_with(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
    for _ in 0..50 {
        let stream = server.request().await.stream;
        server.messages_of(stream, usize::MAX).await;
        idle().await;
        assert_eq!(server.unasked().await, []);
        server.write(&answer(stream, "ok")).await;
    }
    for call in calls {
        call.await.unwrap();
    }
    assert!(!line.has_dialled());
}

#[tokio::test(start_paused = true)]
async fn p012_before_stream_ids_run_out_a_new_connection_takes_over() {
    let http2 = ClientHttp2Config {
        stream_id_limit: 3,
        ..ClientHttp2Config::default()
    };
    let mut line = Line::with(ChannelConfig {
        http2,
        ..ChannelConfig::default()
    });
    let channel = line.channel.clone();
    let call = |name: &'static str| {
        let channel = channel.clone();
        tokio::spawn(async move { unary(&channel, name.to_owned()).await })
    };
    let first = call("first");
    let mut old = line.accept().await;
    let one = old.request().await.stream;
    let second = call("second");
    let three = old.request().await.stream;
    assert_eq!((one, three), (1, 3));
    // The third call goes elsewhere, while both go on.
    let third = call("third");
    let mut new = line.accept().await;
    let stream = new.request().await.stream;
    assert_eq!(stream, 1);
    new.write(&answer(stream, "new")).await;
    assert_eq!(third.await.unwrap().unwrap().message, "new");
    old.write(&answer(three, "old")).await;
    assert_eq!(second.await.unwrap().unwrap().message, "old");
    old.write(&answer(one, "old")).await;
    assert_eq!(first.await.unwrap().unwrap().message, "old");
    // The old one is closed when its last call has ended.
    let goaway = old.frame_of(GOAWAY).await.unwrap();
    assert_eq!(goaway.payload[4..8], NO_ERROR.to_be_bytes());
    assert!(old.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn p273_a_call_that_is_dropped_is_reset_without_other_traffic() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let call = tokio::spawn(async move { unary(&channel, "ask".to_owned()).await });
    let mut server = line.accept().await;
    let stream = server.request().await.stream;
    call.abort();
    assert_eq!(server.reset_of(stream).await, CANCEL);
}

#[tokio::test(start_paused = true)]
async fn p275_headers_and_message_of_a_unary_call_leave_in_one_write() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    // The first call opens the connection.
    let (first, server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.write(&answer(stream, "ok")).await;
        server
    });
    first.unwrap();
    let mut server = server;
    let _second = tokio::spawn(async move { unary(&channel, "ask".to_owned()).await });
    idle().await;
    // All of it can be read without anything else happening in between.
    let head = server.next(|frame| frame.kind == HEADERS).await.unwrap();
    let body = server.frame_on(head.stream).await.unwrap();
    assert_eq!(body.flags, END_STREAM);
}

#[tokio::test(start_paused = true)]
async fn p158_a_server_that_sends_a_connection_away_at_once_is_quoted() {
    let cases = [
        // code    text  connections  what is told
        (NO_ERROR, "", 3, "the server said GOAWAY(NO_ERROR)"),
        (
            ENHANCE_YOUR_CALM,
            "at capacity",
            1,
            "the server said GOAWAY(ENHANCE_YOUR_CALM, \"at capacity\")",
        ),
    ];
    for (code, text, connections, told) in cases {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let (status, _servers) = tokio::join!(unary(&channel, "ask".to_owned()), async {
            let mut servers = Vec::new();
            for _ in 0..connections {
                servers.push(sent_away(&mut line, code, text.as_bytes()).await);
            }
            servers
        });
        let status = status.unwrap_err();
        assert_eq!(status.code, Code::Unavailable);
        assert_eq!(status.message, format!("no HTTP/2 with raw: {told}"));
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_meet_a_server_as_it_drains_go_to_the_next_connection() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (response, _servers) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let old = sent_away(&mut line, NO_ERROR, b"").await;
        let mut new = line.accept().await;
        let call = new.request().await;
        new.write(&answer(call.stream, "told")).await;
        (old, new)
    });
    assert_eq!(response.unwrap().message, "told");
}

/// A server that says SETTINGS and GOAWAY in one breath.
async fn sent_away(line: &mut Line, code: u32, text: &[u8]) -> RawServer {
    let mut server = RawServer::silent(line.dialled().await).await;
    let mut bytes = frame(SETTINGS, 0, 0, &[]);
    bytes.extend(goaway(0, code, text));
    server.write(&bytes).await;
    server
}

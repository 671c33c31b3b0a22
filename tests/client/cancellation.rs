//! Whoever loses interest drops the call; the server learns of it, and nothing stays behind.

use std::time::Duration;

use barewire::{Channel, Code, Inbound, Outbound};
use tokio::time::timeout;

use crate::raw_server::*;
use crate::support::{HEADERS, RST_STREAM, block, frame};
use crate::tokio;

/// What the server has said when the call is dropped.
#[rustfmt::skip]
const PHASES: &[(&str, fn(u32) -> Vec<u8>)] = &[
    ("nothing",                 |_| Vec::new()),
    ("an interim response",     |s| any_block(s, 0, &[(":status", "103")])),
    ("half a header block",     |s| frame(HEADERS, 0, s, &block(&GRPC))),
    ("headers",                 headers),
    ("half a message",          |s| [headers(s), data(s, &encoded("a")[..7])].concat()),
    ("a message",               |s| [headers(s), message(s, "a")].concat()),
    ("many messages",           |s| [headers(s), message(s, "a").repeat(1000)].concat()),
    ("a page",                  |s| any_block(s, 0, &[(":status", "502"), ("content-type", "text/html")])),
];

/// Lets everything happen, drops the call, and lets everything happen once more, with nobody left who
/// would poll anything of it.
async fn dropped<T>(mut server: RawServer, stream: u32, said: &[u8], call: T, what: &str) {
    server.write(said).await;
    idle().await;
    drop(call);
    assert_eq!(server.reset_of(stream).await, CANCEL, "{what}");
    // The half of a block would hold up the connection; all else leaves it alive.
    if !what.starts_with("half a header") {
        server.write(&ping(*b"are you?")).await;
        let pong = server.frame_of(crate::support::PING).await.unwrap();
        assert_eq!(pong.payload, b"are you?");
    }
}

#[tokio::test(start_paused = true)]
async fn p128_p130_a_unary_call_that_is_dropped_is_reset() {
    for polled in [false, true] {
        for (what, said) in PHASES.iter().filter(|(what, _)| *what != "many messages") {
            let mut line = Line::new();
            let channel = line.channel.clone();
            let mut call = Box::pin(async move { unary(&channel, "ask".to_owned()).await });
            // Never polled again after the first time, or up to what was said.
            let server = tokio::select! {
                result = &mut call => panic!("{result:?}"),
                server = async {
                    let mut server = line.accept().await;
                    assert_eq!(server.request().await.stream, 1);
                    if polled {
                        server.write(&said(1)).await;
                        idle().await;
                    }
                    server
                } => server,
            };
            let said = if polled { Vec::new() } else { said(1) };
            dropped(server, 1, &said, call, what).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p128_p130_an_inbound_that_is_dropped_resets_the_stream() {
    for polled in [false, true] {
        for (what, said) in PHASES {
            let mut line = Line::new();
            let channel = line.channel.clone();
            let (mut inbound, mut server) = tokio::join!(
                async {
                    let call = channel.server_streaming::<String, String>(path(), "ask".to_owned());
                    within(call).await.unwrap()
                },
                async {
                    let mut server = line.accept().await;
                    server.request().await;
                    server
                }
            );
            if polled {
                server.write(&said(1)).await;
                let _ = timeout(Duration::from_millis(5), inbound.next()).await;
                if what.starts_with("half a header") || *what == "a page" {
                    let _ = timeout(Duration::from_millis(5), inbound.next()).await;
                }
                dropped(server, 1, &[], inbound, what).await;
            } else {
                dropped(server, 1, &said(1), inbound, what).await;
            }
        }
    }
}

async fn open(
    channel: &Channel,
    line: &mut Line,
) -> (Outbound<String>, Inbound<String>, RawServer) {
    let ((outbound, inbound), server) = tokio::join!(bidi(channel, ()), async {
        let mut server = line.accept().await;
        server.request().await;
        server
    });
    (outbound, inbound, server)
}

#[tokio::test(start_paused = true)]
async fn p128_p130_the_half_that_reads_is_dropped_first() {
    for finished in [false, true] {
        for (what, said) in PHASES {
            let mut line = Line::new();
            let channel = line.channel.clone();
            let (mut outbound, inbound, server) = open(&channel, &mut line).await;
            outbound.send("one".to_owned()).await.unwrap();
            if finished {
                outbound.finish().unwrap();
            }
            dropped(server, 1, &said(1), inbound, what).await;
            // The other half is told.
            if !finished {
                let status = within(outbound.send("two".to_owned())).await.unwrap_err();
                assert_eq!(status.code, Code::Cancelled, "{what}: {status}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p128_p130_the_half_that_writes_is_dropped_unfinished() {
    for (what, said) in PHASES {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let (mut outbound, mut inbound, server) = open(&channel, &mut line).await;
        outbound.send("one".to_owned()).await.unwrap();
        dropped(server, 1, &said(1), outbound, what).await;
        let heard = read_all(&mut inbound).await;
        assert_eq!(
            heard.messages, [""; 0],
            "{what}: nothing after the cancellation"
        );
        assert_eq!(heard.end.unwrap_err().code, Code::Cancelled, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn p128_p130_a_sender_that_waits_for_room_is_dropped() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (mut outbound, inbound, server) = open(&channel, &mut line).await;
    // As a task that is aborted while it waits.
    let sending = tokio::spawn(async move {
        outbound.send("x".repeat(1_000_000)).await.unwrap();
    });
    idle().await;
    sending.abort();
    dropped(server, 1, &[], (), "a sender").await;
    drop(inbound);
}

#[tokio::test(start_paused = true)]
async fn p128_a_half_that_waits_is_told_when_the_other_is_dropped() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (outbound, mut inbound, mut server) = open(&channel, &mut line).await;
    let reading = tokio::spawn(async move { read_all(&mut inbound).await });
    idle().await;
    drop(outbound);
    let heard = within(reading).await.unwrap();
    assert_eq!(heard.end.unwrap_err().code, Code::Cancelled);
    assert_eq!(server.reset_of(1).await, CANCEL);

    let mut line = Line::new();
    let (mut outbound, inbound, mut server) = open(&line.channel.clone(), &mut line).await;
    let sending = tokio::spawn(async move { outbound.send("x".repeat(1_000_000)).await });
    idle().await;
    drop(inbound);
    let status = within(sending).await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::Cancelled);
    assert_eq!(server.reset_of(1).await, CANCEL);
}

#[tokio::test(start_paused = true)]
async fn p128_a_call_that_is_finished_is_not_cancelled_by_dropping_its_request() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (mut outbound, mut inbound, mut server) = open(&channel, &mut line).await;
    outbound.send("one".to_owned()).await.unwrap();
    outbound.finish().unwrap();
    drop(outbound);
    assert_eq!(server.messages_of(1, usize::MAX).await, ["one"]);
    server.write(&answer(1, "well")).await;
    let heard = read_all(&mut inbound).await;
    heard.end.unwrap();
    assert_eq!(heard.messages, ["well"]);
    assert_eq!(server.unasked().await, []);
}

#[tokio::test(start_paused = true)]
async fn p128_a_call_that_has_ended_leaves_no_reset() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (result, mut server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.messages_of(stream, 1).await;
        server.write(&answer(stream, "well")).await;
        server
    });
    result.unwrap();
    assert_eq!(server.unasked().await, []);
}

#[tokio::test(start_paused = true)]
async fn p129_a_call_that_was_given_up_before_it_had_a_stream_sends_nothing() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let mut call = Box::pin(unary(&channel, "ask".to_owned()));
    let io = tokio::select! {
        result = &mut call => panic!("{result:?}"),
        io = line.dialled() => io,
    };
    drop(call);
    let mut server = RawServer::silent(io).await;
    // The connection may come to be, or be given up; there is no stream.
    let frames = server.unasked_after_preface().await;
    assert!(
        frames.iter().all(|frame| frame.kind != HEADERS),
        "{frames:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn p130_a_stream_whose_headers_have_not_left_is_reset_in_good_order() {
    // Opened and dropped within one turn: nothing was flushed yet. HEADERS come before the reset, or
    // nothing comes at all; a reset alone would be a fault of the connection.
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (first, mut server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.messages_of(stream, 1).await;
        server.write(&answer(stream, "ok")).await;
        server
    });
    first.unwrap();
    for _ in 0..3 {
        let mut call = Box::pin(channel.unary::<String, String>(path(), "ask".to_owned()));
        let polled = timeout(Duration::ZERO, &mut call).await;
        assert!(polled.is_err());
        drop(call);
    }
    let frames = server.unasked().await;
    let mut seen: Vec<u32> = vec![1];
    for frame in &frames {
        if frame.kind == HEADERS {
            assert!(frame.stream > *seen.last().unwrap());
            seen.push(frame.stream);
        } else {
            assert!(seen.contains(&frame.stream), "{frames:?}");
        }
    }
    // And the connection lives.
    let (last, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        loop {
            let head = server.next(|frame| frame.kind == HEADERS).await.unwrap();
            server.write(&answer(head.stream, "ok")).await;
            if head.stream > *seen.last().unwrap() {
                break;
            }
        }
    });
    assert_eq!(last.unwrap().message, "ok");
}

#[tokio::test(start_paused = true)]
async fn p133_no_half_message_after_a_cancellation() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (outbound, mut inbound, mut server) = open(&channel, &mut line).await;
    let text = encoded("whole");
    server
        .write(&[headers(1), data(1, &text[..7])].concat())
        .await;
    assert!(
        timeout(Duration::from_millis(5), inbound.next())
            .await
            .is_err()
    );
    drop(outbound);
    server
        .write(&[data(1, &text[7..]), trailers_ok(1)].concat())
        .await;
    let heard = read_all(&mut inbound).await;
    assert_eq!(heard.messages, [""; 0]);
    assert_eq!(heard.end.unwrap_err().code, Code::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn p128_next_may_be_dropped_and_asked_again() {
    // `next` is cancel safe: nothing is lost at any cut.
    let bytes = [
        headers_with(1, &[("x-initial", "i")]),
        message(1, "one"),
        message(1, "two"),
        trailers(1, &[("grpc-status", "0"), ("x-end", "t")]),
    ]
    .concat();
    for cut in 0..=bytes.len() {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let (mut outbound, mut inbound, mut server) = open(&channel, &mut line).await;
        outbound.finish().unwrap();
        server.write(&bytes[..cut]).await;
        let mut messages = Vec::new();
        while let Ok(Ok(Some(message))) = timeout(Duration::from_millis(2), inbound.next()).await {
            messages.push(message);
        }
        server.write(&bytes[cut..]).await;
        let heard = read_all(&mut inbound).await;
        heard.end.unwrap();
        messages.extend(heard.messages);
        assert_eq!(messages, ["one", "two"], "cut at {cut}");
        assert_eq!(inbound.trailers().unwrap().get("x-end"), Some("t"));
        let initial = within(inbound.headers()).await.unwrap();
        assert_eq!(initial.get("x-initial"), Some("i"), "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn p131_three_thousand_cancelled_calls_leave_the_connection_alive() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (first, mut server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept_with(&[(MAX_CONCURRENT_STREAMS, 100)]).await;
        let stream = server.request().await.stream;
        server.write(&answer(stream, "ok")).await;
        server
    });
    first.unwrap();
    let cancelling = async {
        for _ in 0..30 {
            // A hundred are begun, answered by a message each, and dropped.
            let mut calls = Vec::new();
            for _ in 0..100 {
                let call = channel.server_streaming::<String, String>(path(), "ask".to_owned());
                calls.push(within(call).await.unwrap());
            }
            for call in &mut calls {
                within(call.next()).await.unwrap();
            }
        }
    };
    let serving = async {
        loop {
            let head = server.next(|frame| frame.kind == HEADERS).await.unwrap();
            let stream = head.stream;
            server
                .write(&[headers(stream), message(stream, "a")].concat())
                .await;
            // What comes late is no fault.
            if stream > 400 {
                server.write(&message(stream - 400, "late")).await;
            }
        }
    };
    tokio::select! {
        () = cancelling => {}
        () = serving => {}
    }
    idle().await;
    let frames = server.unasked().await;
    let resets = frames
        .iter()
        .filter(|frame| frame.kind == RST_STREAM)
        .count();
    assert!(resets > 2_700, "{resets}");
    let (last, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let stream = server.request().await.stream;
        server.write(&answer(stream, "ok")).await;
    });
    assert_eq!(last.unwrap().message, "ok");
    assert!(!line.has_dialled());
}

/// The endurance tests have ten times as many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p269_2000_cancelled_calls_end_no_connection() {
    crate::cancels::storm(2_000).await;
}

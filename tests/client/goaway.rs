//! A server that takes no more streams, and connections that end.

use std::time::Duration;

use barewire::{ByteStream, Code, Request, Server, Status};
use tokio::sync::mpsc;

use crate::raw_server::*;
use crate::scripted::{Kind, Script, Step, ms};
use crate::support::{END_STREAM, GOAWAY, HEADERS, PING};
use crate::tokio;

/// A unary call of its own task.
fn call(
    line: &Line,
    name: &'static str,
) -> tokio::task::JoinHandle<Result<barewire::Response<String>, Status>> {
    let channel = line.channel.clone();
    tokio::spawn(async move { unary(&channel, name.to_owned()).await })
}

#[tokio::test(start_paused = true)]
async fn p155_p166_streams_above_the_last_go_elsewhere_and_those_below_go_on() {
    let mut line = Line::new();
    let calls = [
        call(&line, "one"),
        call(&line, "three"),
        call(&line, "five"),
    ];
    let mut old = line.accept().await;
    for _ in 0..3 {
        old.request().await;
    }
    old.write(&goaway(1, NO_ERROR, b"")).await;
    // Those above begin again on another connection, unasked, once.
    let mut new = line.accept().await;
    for name in ["three", "five"] {
        let again = new.request().await;
        assert_eq!(again.field("grpc-previous-rpc-attempts"), "");
        assert_eq!(new.messages_of(again.stream, 1).await, [name]);
        new.write(&answer(again.stream, name)).await;
    }
    // The one below goes on where it is.
    idle().await;
    old.write(&answer(1, "one")).await;
    for (call, name) in calls.into_iter().zip(["one", "three", "five"]) {
        assert_eq!(call.await.unwrap().unwrap().message, name);
    }
    assert!(old.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn p155_p166_a_stream_that_is_left_behind_twice_fails() {
    let mut line = Line::new();
    let call = call(&line, "ask");
    for _ in 0..2 {
        let mut server = line.accept().await;
        server.request().await;
        server.write(&goaway(0, NO_ERROR, b"")).await;
        idle().await;
    }
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(status.unprocessed, "{status}");
    assert!(!line.has_dialled());
}

#[tokio::test(start_paused = true)]
async fn p155_p262_no_new_stream_is_opened_after_goaway() {
    let mut line = Line::new();
    let first = call(&line, "first");
    let mut old = line.accept().await;
    let stream = old.request().await.stream;
    old.write(&goaway(0x7fff_ffff, NO_ERROR, b"")).await;
    idle().await;
    let second = call(&line, "second");
    let mut new = line.accept().await;
    let other = new.request().await.stream;
    new.write(&answer(other, "new")).await;
    assert_eq!(second.await.unwrap().unwrap().message, "new");
    old.write(&answer(stream, "old")).await;
    assert_eq!(first.await.unwrap().unwrap().message, "old");
}

#[tokio::test(start_paused = true)]
async fn p155_calls_that_wait_for_a_stream_go_elsewhere_at_goaway() {
    let mut line = Line::new();
    let first = call(&line, "first");
    let mut old = line.accept_with(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
    let stream = old.request().await.stream;
    let waiting: Vec<_> = ["a", "b", "c"].map(|name| call(&line, name)).into();
    idle().await;
    old.write(&goaway(1, NO_ERROR, b"")).await;
    let mut new = line.accept().await;
    for _ in 0..3 {
        let other = new.request().await.stream;
        new.write(&answer(other, "new")).await;
    }
    for call in waiting {
        assert_eq!(call.await.unwrap().unwrap().message, "new");
    }
    old.write(&answer(stream, "old")).await;
    assert_eq!(first.await.unwrap().unwrap().message, "old");
}

/// GOAWAY and the close of the connection may come together, before anyone looks.
#[tokio::test(start_paused = true)]
async fn p155_p261_what_goaway_says_of_a_stream_is_not_undone_by_the_close() {
    let mut line = Line::new();
    let calls = [call(&line, "one"), call(&line, "three")];
    let mut old = line.accept().await;
    for _ in 0..2 {
        old.request().await;
    }
    old.write(&goaway(1, NO_ERROR, b"")).await;
    old.close_writing().await;
    drop(old);
    let mut new = line.accept().await;
    let again = new.request().await;
    assert_eq!(new.messages_of(again.stream, 1).await, ["three"]);
    new.write(&answer(again.stream, "again")).await;
    let [one, three] = calls;
    assert_eq!(three.await.unwrap().unwrap().message, "again");
    // The server may have seen the first one, so it is not made again.
    let status = one.await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(!status.unprocessed, "{status}");
}

#[tokio::test(start_paused = true)]
async fn p156_the_last_stream_may_only_become_smaller() {
    let mut line = Line::new();
    let calls = [
        call(&line, "one"),
        call(&line, "three"),
        call(&line, "five"),
    ];
    let mut old = line.accept().await;
    for _ in 0..3 {
        old.request().await;
    }
    old.write(&goaway(0x7fff_ffff, NO_ERROR, b"")).await;
    idle().await;
    assert!(!line.has_dialled(), "none is left behind yet");
    old.write(&goaway(3, NO_ERROR, b"")).await;
    let mut new = line.accept().await;
    let again = new.request().await;
    assert_eq!(new.messages_of(again.stream, 1).await, ["five"]);
    new.write(&answer(again.stream, "new")).await;
    // It cannot grow: that is a fault of the connection.
    old.write(&goaway(5, NO_ERROR, b"")).await;
    let [one, three, five] = calls;
    assert_eq!(five.await.unwrap().unwrap().message, "new");
    for call in [one, three] {
        let status = call.await.unwrap().unwrap_err();
        assert_eq!(status.code, Code::Unavailable, "{status}");
        assert!(!status.unprocessed);
    }
    assert!(old.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn p157_goaway_of_an_idle_connection_makes_no_new_one() {
    let mut line = Line::new();
    let first = call(&line, "first");
    let mut old = line.accept().await;
    let stream = old.request().await.stream;
    old.write(&answer(stream, "ok")).await;
    first.await.unwrap().unwrap();
    old.write(&goaway(1, NO_ERROR, b"max_idle")).await;
    assert!(old.is_closed().await);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(!line.has_dialled());
    let second = call(&line, "second");
    let mut new = line.accept().await;
    let stream = new.request().await.stream;
    new.write(&answer(stream, "ok")).await;
    second.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn p158_p160_p263_calls_that_are_cut_tell_what_goaway_said() {
    // However the error comes: with words, too many of them, or none.
    for (code, words, expected) in [
        (NO_ERROR, &b""[..], "NO_ERROR"),
        (NO_ERROR, b"max_age", "max_age"),
        (ENHANCE_YOUR_CALM, b"easy now", "easy now"),
        (INTERNAL_ERROR, b"out of \xff luck", "out of"),
        (999, &[b'w'; 5000], "www"),
    ] {
        let mut line = Line::new();
        let call = call(&line, "ask");
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.write(&headers(stream)).await;
        server.write(&goaway(stream, code, words)).await;
        idle().await;
        server.close_writing().await;
        let status = call.await.unwrap().unwrap_err();
        assert_eq!(status.code, Code::Unavailable, "{status}");
        assert!(!status.unprocessed, "{status}");
        assert!(status.message.contains(expected), "{status}");
        assert!(status.message.len() < 3000, "{}", status.message.len());
    }
}

/// A GOAWAY whose words are many must not be passed over: the connection takes no streams, and a
/// call that goes on asking it for one would never end.
#[test]
fn p155_p262_goaway_with_many_words_is_goaway() {
    for length in [0, 1000, 1016, 1017, 2000, FRAME_LIMIT - 8] {
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(async {
                let mut line = Line::new();
                let first = call(&line, "first");
                let mut old = line.accept().await;
                let stream = old.request().await.stream;
                old.write(&goaway(stream, NO_ERROR, &vec![b'w'; length]))
                    .await;
                idle().await;
                let second = call(&line, "second");
                let mut new = line.accept().await;
                let other = new.request().await.stream;
                new.write(&answer(other, "new")).await;
                assert_eq!(second.await.unwrap().unwrap().message, "new");
                old.write(&answer(stream, "old")).await;
                assert_eq!(first.await.unwrap().unwrap().message, "old");
            });
            done.send(()).unwrap();
        });
        let ended = ended.recv_timeout(crate::support::PATIENCE);
        ended.unwrap_or_else(|_| panic!("hang or failure with {length} bytes"));
    }
}

#[tokio::test(start_paused = true)]
async fn p159_a_channel_that_is_dropped_says_goaway_when_its_calls_have_ended() {
    let mut line = Line::new();
    let call = call(&line, "ask");
    let mut server = line.accept().await;
    let stream = server.request().await.stream;
    drop(line);
    idle().await;
    assert!(
        server
            .unasked()
            .await
            .iter()
            .all(|frame| frame.kind != GOAWAY)
    );
    server.write(&answer(stream, "ok")).await;
    assert_eq!(call.await.unwrap().unwrap().message, "ok");
    let goaway = server.frame_of(GOAWAY).await.unwrap();
    assert_eq!(goaway.payload[4..8], NO_ERROR.to_be_bytes());
    assert!(server.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn p160_a_lost_connection_ends_all_its_calls() {
    let mut line = Line::new();
    let names = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
    let calls = names.map(|name| call(&line, name));
    let mut server = line.accept().await;
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(server.request().await.stream);
    }
    // Some have been answered in part.
    for stream in &streams[..5] {
        let bytes = [headers(*stream), message(*stream, "half")].concat();
        server.write(&bytes[..bytes.len() - 2]).await;
    }
    drop(server);
    for call in calls {
        let status = call.await.unwrap().unwrap_err();
        assert_eq!(status.code, Code::Unavailable, "{status}");
        // It was sent, and perhaps seen.
        assert!(!status.unprocessed, "{status}");
    }
    assert!(!line.has_dialled(), "P284: no attempt but the first");
}

#[tokio::test(start_paused = true)]
async fn p284_what_may_have_been_seen_is_not_sent_again() {
    // Closed, reset and refused by other codes, before any answer.
    type End = fn(u32) -> Vec<u8>;
    let ends: [(&str, End, Code); 6] = [
        ("closed", |_| Vec::new(), Code::Unavailable),
        ("CANCEL", |stream| reset(stream, CANCEL), Code::Cancelled),
        (
            "INTERNAL_ERROR",
            |stream| reset(stream, INTERNAL_ERROR),
            Code::Internal,
        ),
        (
            "UNAVAILABLE",
            |stream| trailers_only(stream, &[("grpc-status", "14")]),
            Code::Unavailable,
        ),
        (
            "HTTP 503",
            |stream| any_block(stream, END_STREAM, &[(":status", "503")]),
            Code::Unavailable,
        ),
        (
            "GOAWAY above",
            |stream| goaway(stream, NO_ERROR, b""),
            Code::Unavailable,
        ),
    ];
    for (what, end, code) in ends {
        let mut line = Line::new();
        let call = call(&line, "ask");
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.write(&end(stream)).await;
        idle().await;
        server.close_writing().await;
        let status = call.await.unwrap().unwrap_err();
        assert_eq!(status.code, code, "{what}: {status}");
        assert!(!status.unprocessed, "{what}: {status}");
        let more = server.unasked().await;
        let heads = more.iter().filter(|frame| frame.kind == HEADERS).count();
        assert_eq!(heads, 0, "{what}");
        assert!(!line.has_dialled(), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn p279_a_proxy_that_recycles_connections_is_not_noticed() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let calls = tokio::spawn(async move {
        for number in 0..500 {
            let answer = unary(&channel, number.to_string()).await.unwrap();
            assert_eq!(answer.message, number.to_string());
        }
    });
    // GOAWAY comes at any time: between calls, and with a call on its way that was not seen.
    let mut served = 0;
    while served < 500 {
        let mut server = line.accept().await;
        let mut last = 0;
        for _ in 0..50.min(500 - served) {
            let stream = server.request().await.stream;
            let asked = server.messages_of(stream, 1).await;
            server.write(&answer(stream, &asked[0])).await;
            last = stream;
            served += 1;
        }
        if served % 100 == 0 {
            idle().await;
        }
        server.write(&goaway(last, NO_ERROR, b"")).await;
        tokio::spawn(async move { server.is_closed().await });
    }
    calls.await.unwrap();
}

/// Calls race the first GOAWAY of a graceful shutdown; all are served, here or there.
#[tokio::test(start_paused = true)]
async fn p155_calls_that_race_goaway_are_served() {
    for last in [0_u32, 1, 3, 5, 7, 9, 11, 0x7fff_ffff] {
        let mut line = Line::new();
        let names = ["a", "b", "c", "d", "e"];
        let early = names.map(|name| call(&line, name));
        let mut old = line.accept().await;
        let first = old.request().await.stream;
        let late = names.map(|name| call(&line, name));
        // In one write with an answer, while calls are being opened.
        let bytes = if first <= last {
            [goaway(last, NO_ERROR, b""), answer(first, "a")].concat()
        } else {
            goaway(last, NO_ERROR, b"")
        };
        old.write(&bytes).await;
        let old = tokio::spawn(async move {
            let mut served = 0;
            while let Some(head) = old.next(|frame| frame.kind == HEADERS).await {
                if head.stream <= last {
                    let asked = old.messages_of(head.stream, 1).await;
                    old.write(&answer(head.stream, &asked[0])).await;
                    served += 1;
                }
            }
            served
        });
        let new = async {
            let mut new = line.accept().await;
            while let Some(head) = new.next(|frame| frame.kind == HEADERS).await {
                let asked = new.messages_of(head.stream, 1).await;
                new.write(&answer(head.stream, &asked[0])).await;
            }
        };
        tokio::select! {
            () = new => {}
            () = async {
                for (call, name) in early.into_iter().zip(names).chain(late.into_iter().zip(names)) {
                    assert_eq!(call.await.unwrap().unwrap().message, name, "last {last}");
                }
            } => {}
        }
        old.abort();
    }
}

/// The answer to the PING behind GOAWAY tells a server that it has seen the last stream.
#[tokio::test(start_paused = true)]
async fn p262_streams_that_are_open_leave_before_the_ping_behind_goaway_is_answered() {
    let mut line = Line::new();
    let first = call(&line, "first");
    let mut server = line.accept().await;
    let stream = server.request().await.stream;
    server.messages_of(stream, 1).await;
    // These calls run before the connection's task, which then finds the frames.
    let late = ["a", "b", "c"].map(|name| call(&line, name));
    let farewell = [goaway(0x7fff_ffff, NO_ERROR, b""), ping([7; 8])].concat();
    server.write(&farewell).await;
    let mut streams = Vec::new();
    loop {
        let frame = server.next(|frame| frame.kind == HEADERS || frame.kind == PING);
        match frame.await.unwrap() {
            frame if frame.kind == HEADERS => streams.push(frame.stream),
            _ => break,
        }
    }
    assert_eq!(streams, [3, 5, 7]);
    server.write(&goaway(7, NO_ERROR, b"")).await;
    for stream in [1, 3, 5, 7] {
        server.write(&answer(stream, "well")).await;
    }
    for call in [first].into_iter().chain(late) {
        assert_eq!(call.await.unwrap().unwrap().message, "well");
    }
    assert!(!line.has_dialled());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_at_a_draining_connection_keeps_its_deadline() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let request = Request::new("ask".to_owned()).with_timeout(Duration::from_secs(5));
    let (result, _server) = tokio::join!(unary(&channel, request), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.write(&goaway(stream, NO_ERROR, b"")).await;
        server
    });
    assert_eq!(result.unwrap_err().code, Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn goaway_as_the_first_word_is_a_failed_connection() {
    let mut line = Line::new();
    let call = call(&line, "ask");
    let mut server = RawServer::silent(line.dialled().await).await;
    server.read_preface().await;
    server.write(&goaway(0, ENHANCE_YOUR_CALM, b"full")).await;
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(status.unprocessed, "{status}");
}

#[tokio::test(start_paused = true)]
async fn p158_the_last_reason_of_several_is_told() {
    let cases: &[(&[(u32, &[u8])], &str)] = &[
        // GOAWAYs, and then the end                                             what is told
        (
            &[(NO_ERROR, b"max_age"), (NO_ERROR, b"")],
            "GOAWAY(NO_ERROR, \"max_age\")",
        ),
        (
            &[(NO_ERROR, b""), (ENHANCE_YOUR_CALM, b"too_many_resets")],
            "GOAWAY(ENHANCE_YOUR_CALM, \"too_many_resets\")",
        ),
    ];
    for (goaways, told) in cases {
        let mut line = Line::new();
        let call = call(&line, "ask");
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        for (code, text) in *goaways {
            server.write(&goaway(stream, *code, text)).await;
            idle().await;
        }
        drop(server);
        let status = call.await.unwrap().unwrap_err();
        assert_eq!(status.code, Code::Unavailable, "{status}");
        assert!(status.message.ends_with(told), "{status}");
    }
}

/// A server of ours gives its calls thirty seconds.
#[tokio::test(start_paused = true)]
async fn p154_a_call_that_outlasts_a_drain_is_unavailable() {
    for (milliseconds, is_cut) in [(29_900, false), (30_100, true)] {
        let steps = vec![
            Step::TakeAll,
            Step::Sleep(ms(milliseconds)),
            Step::Say("late"),
        ];
        let script = Script::new([steps]);
        let (queue, listener) = mpsc::channel::<Box<dyn ByteStream>>(1);
        let server = Server::new().add(script.clone());
        // It drains when the call is there.
        let serving = tokio::spawn(server.serve_until(listener, async move {
            script.wait_for("a call", |seen| seen.len() == 1).await;
        }));
        let mut line = Line::new();
        let channel = line.channel.clone();
        let call = tokio::spawn(async move { Kind::Unary.call(&channel, "ask").await });
        let io: Box<dyn ByteStream> = Box::new(line.dialled().await);
        queue.send(io).await.unwrap();
        let answer = within(call).await.unwrap();
        if is_cut {
            let status = answer.unwrap_err();
            assert_eq!(status.code, Code::Unavailable, "{status}");
            assert!(status.message.contains("GOAWAY(NO_ERROR)"), "{status}");
            assert!(!status.unprocessed, "{status}");
        } else {
            assert_eq!(answer.unwrap(), ["late"]);
        }
        let report = within(serving).await.unwrap().unwrap();
        assert_eq!(report.cut.len(), usize::from(is_cut));
        assert!(!line.has_dialled());
    }
}

//! Attempts that no application has seen, and that are made again without anyone asking.

use std::time::Duration;

use barewire::{
    AttemptPolicy, ChannelConfig, Code, MethodConfig, Request, RetryPolicy, ServiceConfig, Status,
};

use crate::raw_server::*;
use crate::support::HEADERS;
use crate::tokio;

type Result = std::result::Result<barewire::Response<String>, Status>;

fn call(line: &Line, name: &'static str) -> tokio::task::JoinHandle<Result> {
    let channel = line.channel.clone();
    tokio::spawn(async move { unary(&channel, name.to_owned()).await })
}

#[tokio::test(start_paused = true)]
async fn p166_p167_a_stream_that_is_refused_is_opened_again_at_once_and_once() {
    for refusals in 0..3 {
        let mut line = Line::new();
        let call = call(&line, "ask");
        let mut server = line.accept().await;
        for _ in 0..refusals {
            let head = server.request().await;
            assert_eq!(head.field("grpc-previous-rpc-attempts"), "");
            server.write(&reset(head.stream, REFUSED_STREAM)).await;
        }
        if refusals < 2 {
            let head = server.request().await;
            assert_eq!(head.field("grpc-previous-rpc-attempts"), "");
            assert_eq!(server.messages_of(head.stream, 1).await, ["ask"]);
            server.write(&answer(head.stream, "ok")).await;
            assert_eq!(call.await.unwrap().unwrap().message, "ok");
        } else {
            let status = call.await.unwrap().unwrap_err();
            assert_eq!(status.code, Code::Unavailable, "{status}");
            assert!(status.unprocessed, "{status}");
            let more = server.unasked().await;
            assert!(more.iter().all(|frame| frame.kind != HEADERS), "{more:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p166_refused_once_and_left_behind_by_goaway_once_is_twice() {
    let mut line = Line::new();
    let call = call(&line, "ask");
    let mut server = line.accept().await;
    let first = server.request().await.stream;
    server.write(&reset(first, REFUSED_STREAM)).await;
    server.request().await;
    server.write(&goaway(first, NO_ERROR, b"")).await;
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(status.unprocessed);
}

#[tokio::test(start_paused = true)]
async fn p166_a_stream_of_messages_is_replayed_with_all_that_was_said() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let ((mut outbound, mut inbound), mut server) = tokio::join!(bidi(&channel, ()), async {
        let mut server = line.accept().await;
        server.request().await;
        server
    });
    for text in ["one", "two"] {
        outbound.send(text.to_owned()).await.unwrap();
    }
    assert_eq!(server.messages_of(1, 2).await, ["one", "two"]);
    server.write(&reset(1, REFUSED_STREAM)).await;
    idle().await;
    // Whichever half is used next brings it on its way.
    let (sent, again) = tokio::join!(within(outbound.send("three".to_owned())), async {
        let again = server.request().await.stream;
        assert_eq!(server.messages_of(again, 3).await, ["one", "two", "three"]);
        again
    });
    sent.unwrap();
    outbound.finish().unwrap();
    server.messages_of(again, 1).await;
    server.write(&answer(again, "ok")).await;
    let heard = read_all(&mut inbound).await;
    heard.end.unwrap();
    assert_eq!(heard.messages, ["ok"]);
}

#[tokio::test(start_paused = true)]
async fn p166_what_never_left_is_sent_as_often_as_it_takes() {
    // Connections that say GOAWAY while the call waits for a stream. They last a while: many in a row
    // that end at once are a failure.
    let mut line = Line::new();
    let first = call(&line, "first");
    for round in 0..20 {
        let mut server = line.accept_with(&[(MAX_CONCURRENT_STREAMS, 0)]).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        server.write(&goaway(0, NO_ERROR, b"")).await;
        idle().await;
        let heads = server.unasked().await;
        let heads = heads.iter().filter(|frame| frame.kind == HEADERS).count();
        assert_eq!(heads, 0, "round {round}");
    }
    let mut server = line.accept().await;
    let stream = server.request().await.stream;
    server.write(&answer(stream, "ok")).await;
    assert_eq!(first.await.unwrap().unwrap().message, "ok");
}

/// h2 counts a stream until its reset has left, and what is opened meanwhile waits inside it.
#[tokio::test(start_paused = true)]
async fn p166_a_stream_that_waits_inside_h2_is_not_turned_away() {
    let mut line = Line::new();
    let other = call(&line, "other");
    let mut old = line.accept_with(&[(MAX_CONCURRENT_STREAMS, 1)]).await;
    assert_eq!(old.request().await.stream, 1);
    idle().await;
    // The next stream is opened, and GOAWAY is there, before the connection gets its turn.
    other.abort();
    let waits = call(&line, "waits");
    old.write(&goaway(1, NO_ERROR, b"")).await;
    let mut new = line.accept().await;
    let heads = old.unasked().await;
    assert!(heads.iter().all(|frame| frame.kind != HEADERS), "{heads:?}");
    // Being turned away is still to come, and is borne once.
    let first = new.request().await.stream;
    new.write(&reset(first, REFUSED_STREAM)).await;
    let second = new.request().await.stream;
    new.write(&answer(second, "ok")).await;
    assert_eq!(waits.await.unwrap().unwrap().message, "ok");
}

#[tokio::test(start_paused = true)]
async fn p166_the_deadline_covers_all_attempts() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let request = Request::new("ask".to_owned()).with_timeout(Duration::from_secs(3));
    let start = tokio::time::Instant::now();
    let (result, _server) = tokio::join!(unary(&channel, request), async {
        let mut server = line.accept().await;
        let head = server.request().await;
        assert_eq!(head.field("grpc-timeout"), "3000000u");
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.write(&reset(head.stream, REFUSED_STREAM)).await;
        let head = server.request().await;
        assert_eq!(head.field("grpc-timeout"), "2000000u", "P35");
        server
    });
    assert_eq!(result.unwrap_err().code, Code::DeadlineExceeded);
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn p166_p172_what_was_answered_is_not_tried_again() {
    let status = unary_to(async |server, stream| {
        server
            .write(&[headers(stream), reset(stream, REFUSED_STREAM)].concat())
            .await;
        idle().await;
        let more = server.unasked().await;
        assert!(more.iter().all(|frame| frame.kind != HEADERS), "{more:?}");
    })
    .await
    .unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert!(!status.unprocessed);
}

#[tokio::test(start_paused = true)]
async fn p166_a_second_refusal_goes_to_the_policy_and_counts_there() {
    let config = ChannelConfig {
        service_config: Some(ServiceConfig {
            default_method: Some(MethodConfig {
                attempts: AttemptPolicy::Retry(RetryPolicy {
                    max_attempts: 2,
                    initial_backoff: Duration::from_secs(1),
                    max_backoff: Duration::from_secs(1),
                    backoff_multiplier: 1.0,
                    retryable_codes: vec![Code::Unavailable],
                }),
                ..MethodConfig::default()
            }),
            ..ServiceConfig::default()
        }),
        ..ChannelConfig::default()
    };
    let mut line = Line::with(config);
    let call = call(&line, "ask");
    let mut server = line.accept().await;
    for _ in 0..2 {
        let head = server.request().await;
        assert_eq!(head.field("grpc-previous-rpc-attempts"), "");
        server.write(&reset(head.stream, REFUSED_STREAM)).await;
    }
    let start = tokio::time::Instant::now();
    let head = server.request().await;
    assert_eq!(head.field("grpc-previous-rpc-attempts"), "1");
    assert!(start.elapsed() > Duration::from_millis(700), "a backoff");
    server.write(&answer(head.stream, "ok")).await;
    assert_eq!(call.await.unwrap().unwrap().message, "ok");
}

#[tokio::test(start_paused = true)]
async fn p180_transparent_retries_stay_where_retries_are_off() {
    let mut line = Line::with(ChannelConfig {
        retries: false,
        ..ChannelConfig::default()
    });
    let call = call(&line, "ask");
    let mut server = line.accept().await;
    let stream = server.request().await.stream;
    server.write(&reset(stream, REFUSED_STREAM)).await;
    let stream = server.request().await.stream;
    server.write(&answer(stream, "ok")).await;
    call.await.unwrap().unwrap();
}

/// `Status::unprocessed` is a promise: the application has certainly not seen the request.
#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn unprocessed_is_said_exactly_where_it_is_known() {
    type End = fn(u32) -> Vec<u8>;
    let cases: [(&str, End, bool); 9] = [
        ("refused twice",               |s| reset(s, REFUSED_STREAM),                            true),
        ("left behind twice",           |_| goaway(0, NO_ERROR, b""),                            true),
        ("left behind with an error",   |_| goaway(0, INTERNAL_ERROR, b""),                      true),
        ("cancelled",                   |s| reset(s, CANCEL),                                    false),
        ("calmed",                      |s| reset(s, ENHANCE_YOUR_CALM),                         false),
        ("lost",                        |_| Vec::new(),                                          false),
        ("UNAVAILABLE by the server",   |s| trailers_only(s, &[("grpc-status", "14")]),          false),
        ("refused after headers",       |s| [headers(s), reset(s, REFUSED_STREAM)].concat(),     false),
        ("left behind after headers",   |s| [headers(s), goaway(0, NO_ERROR, b"")].concat(),     false),
    ];
    for (what, end, unprocessed) in cases {
        let mut line = Line::new();
        let call = call(&line, "ask");
        let serve = async {
            let mut kept = Vec::new();
            loop {
                let mut server = line.accept().await;
                while let Some(head) = server.next(|frame| frame.kind == HEADERS).await {
                    server.try_write(&end(head.stream)).await;
                    idle().await;
                    if what == "lost" {
                        server.close_writing().await;
                    }
                    // After GOAWAY the next attempt is on another connection.
                    if what.starts_with("left") || what == "lost" {
                        break;
                    }
                }
                kept.push(server);
            }
        };
        tokio::select! {
            () = serve => {}
            result = call => {
                let status = result.unwrap().unwrap_err();
                assert_eq!(status.unprocessed, unprocessed, "{what}: {status}");
            }
        }
    }
}

/// What one attempt may have done is not undone by another one that did nothing.
#[tokio::test(start_paused = true)]
async fn unprocessed_is_said_of_the_call_and_not_of_its_last_attempt() {
    let config = || ChannelConfig {
        service_config: Some(ServiceConfig {
            default_method: Some(MethodConfig {
                attempts: AttemptPolicy::Retry(RetryPolicy {
                    max_attempts: 2,
                    initial_backoff: Duration::from_secs(10),
                    max_backoff: Duration::from_secs(10),
                    backoff_multiplier: 1.0,
                    retryable_codes: vec![Code::Unavailable],
                }),
                ..MethodConfig::default()
            }),
            ..ServiceConfig::default()
        }),
        ..ChannelConfig::default()
    };
    // Seen once, then refused.
    let mut line = Line::with(config());
    let seen = call(&line, "ask");
    let mut server = line.accept().await;
    let stream = server.request().await.stream;
    server
        .write(&trailers_only(stream, &[("grpc-status", "14")]))
        .await;
    for _ in 0..2 {
        let stream = server.request().await.stream;
        server.write(&reset(stream, REFUSED_STREAM)).await;
    }
    let status = seen.await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(!status.unprocessed, "the first attempt was seen");

    // Seen once, and the deadline passes before it can be tried again.
    let mut line = Line::with(config());
    let channel = line.channel.clone();
    let request = Request::new("ask".to_owned()).with_timeout(Duration::from_secs(1));
    let (result, _server) = tokio::join!(unary(&channel, request), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server
            .write(&trailers_only(stream, &[("grpc-status", "14")]))
            .await;
        server
    });
    let status = result.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    assert!(!status.unprocessed, "the first attempt was seen");
}

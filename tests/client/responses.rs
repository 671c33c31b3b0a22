//! What a server may send in place of a good response, and what the client makes of it.

use std::time::Duration;

use barewire::{Channel, Code, Origin};

use crate::raw_server::*;
use crate::support::{DATA, END_STREAM, HEADERS, block, frame};
use crate::tokio;

#[tokio::test(start_paused = true)]
async fn p094_trailers_only_is_known_by_the_end_of_the_stream() {
    // A grpc-status in headers that do not end the stream says nothing.
    let heard = heard_from(async |server, stream| {
        let early = headers_with(stream, &[("grpc-status", "5"), ("grpc-message", "early")]);
        let rest = [message(stream, "a"), trailers_ok(stream)].concat();
        server.write(&[early, rest].concat()).await;
    })
    .await;
    assert_eq!(heard.messages, ["a"]);
    heard.end.unwrap();
}

#[tokio::test(start_paused = true)]
async fn p094_a_status_in_headers_does_not_stand_in_for_trailers() {
    let heard = heard_from(async |server, stream| {
        let early = headers_with(stream, &[("grpc-status", "0")]);
        let rest = [message(stream, "a"), frame(DATA, END_STREAM, stream, &[])].concat();
        server.write(&[early, rest].concat()).await;
    })
    .await;
    assert_eq!(heard.messages, ["a"]);
    assert_eq!(heard.end.unwrap_err().code, Code::Internal);
}

#[tokio::test(start_paused = true)]
async fn p095_metadata_of_trailers_only_is_trailing_metadata() {
    let status = unary_to(async |server, stream| {
        let fields = [("grpc-status", "9"), ("x-why", "so")];
        server.write(&trailers_only(stream, &fields)).await;
    })
    .await
    .unwrap_err();
    assert_eq!(status.code, Code::FailedPrecondition);
    assert_eq!(status.origin, Origin::Peer);
    assert_eq!(status.metadata.get("x-why"), Some("so"));

    // Of a stream that ended well at once: no initial metadata, but trailing.
    let mut line = Line::new();
    let (mut outbound, mut inbound) = {
        let channel = line.channel.clone();
        let (call, _) = tokio::join!(bidi(&channel, ()), async {
            let mut server = line.accept().await;
            let call = server.request().await;
            let fields = [("grpc-status", "0"), ("x-end", "here")];
            server.write(&trailers_only(call.stream, &fields)).await;
            tokio::spawn(async move { server.is_closed().await });
        });
        call
    };
    assert!(within(inbound.headers()).await.unwrap().is_empty());
    assert_eq!(within(inbound.next()).await.unwrap(), None);
    let trailers = inbound.trailers().unwrap();
    assert_eq!(trailers.get("x-end"), Some("here"));
    outbound.finish().unwrap();
}

#[tokio::test(start_paused = true)]
async fn p093_initial_metadata_of_a_call_that_fails_comes_with_its_status() {
    let seen = [("x-seen", "here")];
    let failed = [("grpc-status", "9"), ("x-why", "so")];
    let status = unary_to(async |server, stream| {
        let bytes = [headers_with(stream, &seen), trailers(stream, &failed)];
        server.write(&bytes.concat()).await;
    })
    .await
    .unwrap_err();
    assert_eq!(status.code, Code::FailedPrecondition);
    assert_eq!(status.headers.get("x-seen"), Some("here"));
    assert_eq!(status.headers.get("x-why"), None);
    assert_eq!(status.metadata.get("x-why"), Some("so"));
    assert_eq!(status.metadata.get("x-seen"), None);

    // Of a response that breaks a rule, too, and of one to a stream.
    let mut line = Line::new();
    let channel = line.channel.clone();
    let client = async {
        let (mut outbound, inbound) = bidi(&channel, ()).await;
        outbound.finish().unwrap();
        inbound.single().await.unwrap_err()
    };
    let (status, _server) = tokio::join!(client, async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        let bytes = [headers_with(stream, &seen), trailers_ok(stream)];
        server.write(&bytes.concat()).await;
        server
    });
    assert_eq!(status.code, Code::Unimplemented);
    assert_eq!(status.headers.get("x-seen"), Some("here"));
}

#[tokio::test(start_paused = true)]
async fn p097_a_second_header_block_that_ends_nothing_breaks_the_stream() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let client = async {
        let call = channel.server_streaming(path(), "ask".to_owned());
        read_all(&mut call.await.unwrap()).await
    };
    let (heard, _server) = tokio::join!(client, async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        let bytes = [headers(stream), message(stream, "a"), headers(stream)];
        server.write(&bytes.concat()).await;
        assert_eq!(server.reset_of(stream).await, PROTOCOL_ERROR);
        server
    });
    assert_eq!(heard.messages, ["a"]);
    assert_eq!(heard.end.unwrap_err().code, Code::Internal);
}

#[tokio::test(start_paused = true)]
async fn p098_interim_responses_are_passed_over() {
    let answer = unary_to(async |server, stream| {
        let hint = [(":status", "103"), ("link", "</x>")];
        server.write(&any_block(stream, 0, &hint)).await;
        server
            .write(&any_block(stream, 0, &[(":status", "100")]))
            .await;
        server.write(&answer(stream, "after all")).await;
    })
    .await
    .unwrap();
    assert_eq!(answer.message, "after all");
    assert!(answer.metadata.is_empty(), "{:?}", answer.metadata);
}

#[tokio::test(start_paused = true)]
async fn p098_interim_responses_are_counted() {
    for (count, ends_well) in [(16, true), (17, false)] {
        // One by one, and all in a burst.
        for burst in [true, false] {
            let mut line = Line::new();
            let channel = line.channel.clone();
            let (answer, _server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
                let mut server = line.accept().await;
                let stream = server.request().await.stream;
                let hint = any_block(stream, 0, &[(":status", "103")]);
                if burst {
                    server.write(&hint.repeat(count)).await;
                } else {
                    for _ in 0..count {
                        server.write(&hint).await;
                        idle().await;
                    }
                }
                if ends_well {
                    server.write(&answer(stream, "a")).await;
                } else {
                    assert_eq!(server.reset_of(stream).await, CANCEL);
                }
                server
            });
            if ends_well {
                assert_eq!(answer.unwrap().message, "a");
            } else {
                assert_eq!(answer.unwrap_err().code, Code::Unavailable);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p099_p100_p280_nothing_but_status_zero_is_a_success() {
    type End = fn(u32) -> Vec<u8>;
    let ends: &[(&str, End, Code)] = &[
        ("END_STREAM on empty DATA",     |s| frame(DATA, END_STREAM, s, &[]),                     Code::Internal),
        ("END_STREAM on DATA",           |s| frame(DATA, END_STREAM, s, &encoded("c")),           Code::Internal),
        ("trailers without a status",    |s| trailers(s, &[("x-end", "1")]),                      Code::Unknown),
        ("empty trailers",               |s| trailers(s, &[]),                                    Code::Unknown),
        ("RST_STREAM NO_ERROR",          |s| reset(s, NO_ERROR),                                  Code::Internal),
        ("RST_STREAM CANCEL",            |s| reset(s, CANCEL),                                    Code::Cancelled),
        ("RST_STREAM REFUSED_STREAM",    |s| reset(s, REFUSED_STREAM),                            Code::Unavailable),
        ("GOAWAY below the stream",      |_| goaway(0, NO_ERROR, b""),                            Code::Unavailable),
        ("a connection error",           |_| frame(DATA, 0, 0, b"x"),                             Code::Unavailable),
        ("a second Response-Headers",    headers,                                                 Code::Internal),
        ("half a trailers block",        |s| frame(HEADERS, END_STREAM, s, &block(&[("grpc-status", "0")])[..4]), Code::Unavailable),
    ];
    for (what, end, code) in ends {
        for burst in [true, false] {
            let heard = heard_from(async |server, stream| {
                let start = [headers(stream), message(stream, "a"), message(stream, "b")].concat();
                if burst {
                    server.write(&[start, end(stream)].concat()).await;
                } else {
                    server.write(&start).await;
                    idle().await;
                    server.write(&end(stream)).await;
                }
                if *what == "half a trailers block" {
                    server.close_writing().await;
                }
            })
            .await;
            // What came whole is given out, and then the failure.
            assert_eq!(heard.messages[..2], ["a", "b"], "{what}, burst: {burst}");
            let status = heard.end.expect_err(what);
            assert_eq!(status.code, *code, "{what}, burst: {burst}: {status}");
            assert!(!status.unprocessed, "{what}: its answer had begun");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p099_a_connection_that_ends_is_never_a_success() {
    // However it ends: our direction stays open, or the pipe is gone.
    for gone in [false, true] {
        for burst in [false, true] {
            let mut line = Line::new();
            let channel = line.channel.clone();
            let client = async {
                let call = channel.server_streaming(path(), "ask".to_owned());
                read_all(&mut call.await.unwrap()).await
            };
            let (heard, _server) = tokio::join!(client, async {
                let mut server = line.accept().await;
                let stream = server.request().await.stream;
                let bytes = [headers(stream), message(stream, "a"), message(stream, "b")];
                server.write(&bytes.concat()).await;
                if !burst {
                    idle().await;
                }
                server.close_writing().await;
                (!gone).then_some(server)
            });
            assert_eq!(heard.messages, ["a", "b"]);
            let status = heard.end.unwrap_err();
            assert_eq!(status.code, Code::Unavailable, "{status}");
            assert!(!status.unprocessed);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p099_a_unary_call_whose_answer_has_no_end_is_no_success() {
    let status = unary_to(async |server, stream| {
        let bytes = [
            headers(stream),
            message(stream, "a"),
            reset(stream, NO_ERROR),
        ];
        server.write(&bytes.concat()).await;
    })
    .await
    .unwrap_err();
    assert_eq!(status.code, Code::Internal, "{status}");
}

#[tokio::test(start_paused = true)]
async fn p102_p256_trailers_before_our_end_are_answered_by_no_error() {
    for trailers_only_first in [true, false] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let (outcome, _server) = tokio::join!(
            async {
                let (mut outbound, mut inbound) = bidi(&channel, ()).await;
                outbound.send("one".to_owned()).await.unwrap();
                let heard = read_all(&mut inbound).await;
                (heard, outbound, inbound)
            },
            async {
                let mut server = line.accept().await;
                let stream = server.request().await.stream;
                server.messages_of(stream, 1).await;
                let refused = [("grpc-status", "7")];
                if trailers_only_first {
                    server.write(&trailers_only(stream, &refused)).await;
                } else {
                    let bytes = [headers(stream), trailers(stream, &refused)];
                    server.write(&bytes.concat()).await;
                }
                assert_eq!(server.reset_of(stream).await, NO_ERROR);
                assert_eq!(server.unasked().await, []);
                server
            }
        );
        let (heard, _outbound, _inbound) = outcome;
        assert_eq!(heard.end.unwrap_err().code, Code::PermissionDenied);
    }
}

#[tokio::test(start_paused = true)]
async fn p102_a_unary_call_larger_than_the_window_may_be_answered_early() {
    for trailers_only_first in [true, false] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let (status, mut server) = tokio::join!(unary(&channel, "x".repeat(1024 * 1024)), async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            // As much as the window takes has come.
            idle().await;
            let refused = [("grpc-status", "8"), ("grpc-message", "too much")];
            if trailers_only_first {
                server.write(&trailers_only(stream, &refused)).await;
            } else {
                let bytes = [headers(stream), trailers(stream, &refused)];
                server.write(&bytes.concat()).await;
            }
            server
        });
        let status = status.unwrap_err();
        assert_eq!(status.code, Code::ResourceExhausted, "{status}");
        assert_eq!(status.message, "too much");
        // The rest of the request is not sent, and does not stay in memory for a window that
        // never opens.
        assert_eq!(server.reset_of(1).await, NO_ERROR);
        // The connection works on: it has no stream left, and its window can be used.
        server.write(&window(0, 65_535)).await;
        let (second, ()) = tokio::join!(unary(&channel, "y".to_owned()), async {
            let stream = server.request().await.stream;
            assert_eq!(server.messages_of(stream, 1).await, ["y"]);
            server.write(&answer(stream, "ok")).await;
        });
        assert_eq!(second.unwrap().message, "ok");
    }
}

#[tokio::test(start_paused = true)]
async fn p103_a_reset_after_complete_trailers_changes_nothing() {
    for code in [NO_ERROR, CANCEL, INTERNAL_ERROR, REFUSED_STREAM] {
        // While the client still has much to send, and when it has said all.
        for length in [10, 300_000] {
            let mut line = Line::new();
            let channel = line.channel.clone();
            let (result, _server) = tokio::join!(unary(&channel, "x".repeat(length)), async {
                let mut server = line.accept().await;
                let stream = server.request().await.stream;
                idle().await;
                let bytes = [answer(stream, "early"), reset(stream, code)];
                server.write(&bytes.concat()).await;
                server
            });
            assert_eq!(result.unwrap().message, "early", "reset {code}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p104_p277_the_server_s_status_outweighs_a_failed_send() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let ((sent, heard), _server) = tokio::join!(
        async {
            let (mut outbound, mut inbound) = bidi(&channel, ()).await;
            let mut sent = 0;
            // The end is seen by sending alone, though nobody reads.
            let failure = loop {
                match within(outbound.send("x".repeat(1000))).await {
                    Ok(()) => sent += 1,
                    Err(status) => break status,
                }
                assert!(sent < 100_000, "a send must fail at some time");
                if sent % 10 == 0 {
                    idle().await;
                }
            };
            assert!(
                [Code::Cancelled, Code::PermissionDenied].contains(&failure.code),
                "{failure}"
            );
            drop(outbound);
            (sent, read_all(&mut inbound).await)
        },
        async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            server.messages_of(stream, 1).await;
            let refused = trailers_only(stream, &[("grpc-status", "7"), ("grpc-message", "no")]);
            server
                .write(&[refused, reset(stream, NO_ERROR)].concat())
                .await;
            server
        }
    );
    assert!(sent < 1000, "{sent} messages were sent to nobody");
    let status = heard.end.unwrap_err();
    assert_eq!(
        (status.code, &*status.message),
        (Code::PermissionDenied, "no")
    );
}

#[tokio::test(start_paused = true)]
async fn p104_messages_and_status_of_an_early_answer_are_not_lost_by_dropping_the_request() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (heard, _server) = tokio::join!(
        async {
            let (mut outbound, mut inbound) = bidi(&channel, ()).await;
            for sent in 0.. {
                assert!(sent < 1000, "a send must fail at some time");
                if within(outbound.send("x".repeat(1000))).await.is_err() {
                    break;
                }
                idle().await;
            }
            drop(outbound);
            read_all(&mut inbound).await
        },
        async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            server.messages_of(stream, 1).await;
            let bytes = [answer(stream, "enough"), reset(stream, NO_ERROR)];
            server.write(&bytes.concat()).await;
            server
        }
    );
    assert_eq!(heard.messages, ["enough"]);
    heard.end.unwrap();
}

#[tokio::test(start_paused = true)]
async fn p105_messages_come_before_the_status() {
    let heard = heard_from(async |server, stream| {
        let messages = ["a", "b", "c"].map(|text| message(stream, text)).concat();
        let end = trailers(stream, &[("grpc-status", "10")]);
        server
            .write(&[headers(stream), messages, end].concat())
            .await;
    })
    .await;
    assert_eq!(heard.messages, ["a", "b", "c"]);
    assert_eq!(heard.end.unwrap_err().code, Code::Aborted);
}

#[tokio::test(start_paused = true)]
async fn an_end_is_the_same_however_often_it_is_asked_for() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (mut inbound, _server) = tokio::join!(
        async {
            let call = channel.server_streaming::<String, String>(path(), "ask".to_owned());
            call.await.unwrap()
        },
        async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            let end = trailers(stream, &[("grpc-status", "10"), ("x-why", "so")]);
            server.write(&[headers(stream), end].concat()).await;
            server
        }
    );
    for _ in 0..3 {
        let status = within(inbound.next()).await.unwrap_err();
        assert_eq!(status.code, Code::Aborted);
        assert_eq!(status.metadata.get("x-why"), Some("so"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_channel_over_one_pipe_says_so_when_that_has_ended() {
    let (near, far) = tokio::io::duplex(1024);
    let channel = Channel::over(near);
    let (first, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = RawServer::begin(far, &[]).await;
        let stream = server.request().await.stream;
        server.write(&answer(stream, "a")).await;
        idle().await;
    });
    assert_eq!(first.unwrap().message, "a");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let status = unary(&channel, "ask".to_owned()).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert!(status.unprocessed, "{status}");
}

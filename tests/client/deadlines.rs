//! A deadline covers all that a call takes, at a server that stalls at each single point.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use barewire::{Address, Channel, ChannelConfig, Code, Dialer, Dialing, Inbound, Request, Status};
use tokio::time::{Instant, sleep};

use crate::raw_server::*;
use crate::support::{END_STREAM, HEADERS, RST_STREAM, block, frame};
use crate::tokio;

const TIMEOUT: Duration = Duration::from_secs(5);

fn ask() -> Request<String> {
    Request::new("ask".to_owned()).with_timeout(TIMEOUT)
}

/// Checks that work takes until the deadline, and not longer.
async fn until_the_deadline<T>(
    what: &str,
    work: impl Future<Output = Result<T, Status>>,
) -> Status {
    let start = Instant::now();
    let Err(status) = within(work).await else {
        panic!("{what}: ended well");
    };
    let taken = start.elapsed();
    assert_eq!(status.code, Code::DeadlineExceeded, "{what}: {status}");
    assert!(
        taken >= TIMEOUT - Duration::from_millis(20),
        "{what}: {taken:?}"
    );
    assert!(
        taken <= TIMEOUT + Duration::from_millis(100),
        "{what}: {taken:?}"
    );
    status
}

/// A dialer whose connections never come to be.
struct Stuck;

impl Dialer for Stuck {
    fn dial<'a>(&'a self, _: &'a Address) -> Dialing<'a> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn p125_while_it_connects() {
    for wait_for_ready in [false, true] {
        let config = ChannelConfig {
            dialer: Some(Arc::new(Stuck)),
            ..ChannelConfig::default()
        };
        let channel = Channel::with_config("passthrough:///stuck", config).unwrap();
        let request = ask().with_wait_for_ready(wait_for_ready);
        let call = channel.unary::<String, String>(path(), request);
        let status = until_the_deadline("connecting", call).await;
        assert!(status.unprocessed, "{status}");
        // Streams too, which return when they have a stream.
        let request = Request::new(()).with_timeout(TIMEOUT);
        let call = channel.bidi::<String, String>(path(), request);
        until_the_deadline("connecting a stream", call).await;
    }
}

/// What a server has said when it stalls; before there is a stream.
#[tokio::test(start_paused = true)]
async fn p125_before_the_server_has_said_what_it_must() {
    let settings = settings_frame(&[]);
    let starts: [(&str, &[u8]); 4] = [
        ("nothing", &[]),
        ("half a frame's head", &settings[..5]),
        ("half of SETTINGS", &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3]),
        ("half a greeting of HTTP/1", b"HTTP"),
    ];
    for (what, start) in starts {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let (status, _server) =
            tokio::join!(until_the_deadline(what, unary(&channel, ask())), async {
                let mut server = RawServer::silent(line.dialled().await).await;
                server.read_preface().await;
                server.write(start).await;
                server
            });
        assert!(status.unprocessed, "{what}: {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn p009_p125_while_it_waits_for_a_stream() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (status, _server) = tokio::join!(
        until_the_deadline("waiting for a stream", unary(&channel, ask())),
        line.accept_with(&[(MAX_CONCURRENT_STREAMS, 0)])
    );
    assert!(status.unprocessed, "{status}");
}

/// What a server has said on the stream when it stalls.
#[rustfmt::skip]
const STALLS: &[(&str, fn(u32) -> Vec<u8>, &[&str])] = &[
    ("without headers",          |_| Vec::new(),                                                          &[]),
    ("after an interim response",|s| any_block(s, 0, &[(":status", "103")]),                              &[]),
    ("inside a header block",    |s| frame(HEADERS, 0, s, &block(&GRPC)),                                 &[]),
    ("after headers",            headers,                                                                 &[]),
    ("inside a prefix",          |s| [headers(s), data(s, &encoded("a")[..3])].concat(),                  &[]),
    ("inside a message",         |s| [headers(s), data(s, &encoded("a")[..7])].concat(),                  &[]),
    ("inside a frame",           |s| [headers(s), message(s, "a")[..12].to_vec()].concat(),               &[]),
    ("between messages",         |s| [headers(s), message(s, "a"), message(s, "b")].concat(),             &["a", "b"]),
    ("without trailers",         |s| [headers(s), message(s, "a")].concat(),                              &["a"]),
    ("inside trailers",          |s| [headers(s), message(s, "a"), frame(HEADERS, END_STREAM, s, &block(&[("grpc-status", "0")]))].concat(), &["a"]),
    ("not as gRPC",              |s| any_block(s, 0, &[(":status", "502"), ("content-type", "text/html")]), &[]),
];

#[tokio::test(start_paused = true)]
async fn p124_p125_wherever_the_server_stalls() {
    for (what, said, messages) in STALLS {
        // A call for one message.
        if messages.len() < 2 {
            let mut line = Line::new();
            let channel = line.channel.clone();
            let call = until_the_deadline(what, unary(&channel, ask()));
            tokio::join!(call, async {
                let mut server = line.accept().await;
                let stream = server.request().await.stream;
                server.write(&said(stream)).await;
                assert_eq!(server.reset_of(stream).await, CANCEL, "{what}");
            });
        }

        // A stream of them: what comes before is given out, and the end is the deadline's.
        let mut line = Line::new();
        let channel = line.channel.clone();
        let client = async {
            let call = channel.server_streaming::<String, String>(path(), ask());
            let mut inbound: Inbound<String> = within(call).await?;
            for text in *messages {
                assert_eq!(
                    within(inbound.next()).await?.as_deref(),
                    Some(*text),
                    "{what}"
                );
            }
            within(inbound.next()).await
        };
        tokio::join!(until_the_deadline(what, client), async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            server.write(&said(stream)).await;
            assert_eq!(server.reset_of(stream).await, CANCEL, "{what}");
        });
    }
}

#[tokio::test(start_paused = true)]
async fn p124_while_the_server_takes_nothing() {
    // A unary request that is larger than the window.
    let mut line = Line::new();
    let channel = line.channel.clone();
    let request = Request::new("x".repeat(1_000_000)).with_timeout(TIMEOUT);
    let call = until_the_deadline("a large request", unary(&channel, request));
    tokio::join!(call, async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        assert_eq!(server.reset_of(stream).await, CANCEL);
    });

    // A stream whose sender waits, before and after headers; nobody reads.
    for answered in [false, true] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let client = async {
            let request = Request::new(()).with_timeout(TIMEOUT);
            let (mut outbound, inbound) = bidi(&channel, request).await;
            let sent = within(outbound.send("x".repeat(1_000_000))).await;
            drop(inbound);
            sent
        };
        tokio::join!(until_the_deadline("a sender", client), async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            if answered {
                server.write(&headers(stream)).await;
            }
            assert_eq!(server.reset_of(stream).await, CANCEL);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn p124_steady_progress_does_not_move_the_deadline() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let client = async {
        let mut inbound: Inbound<String> =
            within(channel.server_streaming::<String, String>(path(), ask())).await?;
        let mut count = 0;
        loop {
            match within(inbound.next()).await {
                Ok(Some(_)) => count += 1,
                Ok(None) => return Ok(()),
                Err(status) => {
                    assert!((48..=50).contains(&count), "{count}");
                    return Err(status);
                }
            }
        }
    };
    tokio::join!(until_the_deadline("a slow stream", client), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.write(&headers(stream)).await;
        while server
            .next_now(|frame| frame.kind == RST_STREAM)
            .await
            .is_none()
        {
            sleep(Duration::from_millis(100)).await;
            server.try_write(&message(stream, "tick")).await;
        }
    });
}

#[tokio::test(start_paused = true)]
async fn p124_a_reader_that_is_always_busy_is_stopped_too() {
    // Messages are always there; the reader takes its time over each.
    let mut line = Line::new();
    let channel = line.channel.clone();
    let client = async {
        let mut inbound: Inbound<String> =
            within(channel.server_streaming::<String, String>(path(), ask())).await?;
        while within(inbound.next()).await?.is_some() {
            sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    };
    tokio::join!(until_the_deadline("a busy reader", client), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server
            .write(&[headers(stream), message(stream, "x").repeat(10_000)].concat())
            .await;
        assert_eq!(server.reset_of(stream).await, CANCEL);
    });
}

#[tokio::test(start_paused = true)]
async fn p124_what_is_there_when_the_deadline_passes_is_not_given_out() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (mut inbound, _server) = tokio::join!(
        async {
            let call = channel.server_streaming::<String, String>(path(), ask());
            within(call).await.unwrap()
        },
        async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            server.write(&answer(stream, "in time")).await;
            server
        }
    );
    // All of it has come, and nobody looked before it was too late.
    sleep(TIMEOUT + Duration::from_millis(1)).await;
    for _ in 0..2 {
        let status = within(inbound.next()).await.unwrap_err();
        assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn p124_a_unary_answer_that_comes_after_the_deadline_is_too_late() {
    for late in [0, 1, 1000] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        // Nobody polls the call when the deadline passes.
        let mut call = Box::pin(channel.unary::<String, String>(path(), ask()));
        let start = Instant::now();
        let mut server = tokio::select! {
            result = &mut call => panic!("{result:?}"),
            (server, stream) = async {
                let mut server = line.accept().await;
                let stream = server.request().await.stream;
                (server, stream)
            } => {
                assert_eq!(stream, 1);
                server
            }
        };
        tokio::time::sleep_until(start + TIMEOUT + Duration::from_millis(late)).await;
        server.write(&answer(1, "late")).await;
        sleep(Duration::from_millis(1)).await;
        let status = within(call).await.unwrap_err();
        assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    }
}

/// Servers watch the deadline, too, and may be a little faster with their word.
#[tokio::test(start_paused = true)]
async fn p126_what_the_server_says_at_the_deadline_is_the_deadline_s() {
    type Word = fn(u32) -> Vec<u8>;
    #[rustfmt::skip]
    let words: [(&str, Word); 5] = [
        ("RST_STREAM CANCEL",       |s| reset(s, CANCEL)),
        ("CANCELLED, only",         |s| trailers_only(s, &[("grpc-status", "1"), ("grpc-message", "cancelled")])),
        ("CANCELLED, after all",    |s| [headers(s), trailers(s, &[("grpc-status", "1")])].concat()),
        ("DEADLINE_EXCEEDED, only", |s| trailers_only(s, &[("grpc-status", "4"), ("grpc-message", "deadline")])),
        ("headers, CANCEL",         |s| [headers(s), reset(s, CANCEL)].concat()),
    ];
    for (what, word) in words {
        // At the very moment, and later. Whichever of the tasks comes first.
        for late in [0, 1, 5] {
            for polled in [true, false] {
                let mut line = Line::new();
                let channel = line.channel.clone();
                let start = Instant::now();
                let client = async {
                    let call = channel.server_streaming::<String, String>(path(), ask());
                    let mut inbound = within(call).await.unwrap();
                    if !polled {
                        tokio::time::sleep_until(start + TIMEOUT + Duration::from_millis(9)).await;
                    }
                    within(inbound.next()).await.unwrap_err()
                };
                let (status, _server) = tokio::join!(client, async {
                    let mut server = line.accept().await;
                    let stream = server.request().await.stream;
                    let moment = start + TIMEOUT + Duration::from_millis(late);
                    tokio::time::sleep_until(moment).await;
                    server.write(&word(stream)).await;
                    server
                });
                assert_eq!(
                    status.code,
                    Code::DeadlineExceeded,
                    "{what} {late} {polled}: {status}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p126_a_cancellation_by_the_server_in_time_is_one() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (result, _server) = tokio::join!(unary(&channel, ask()), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.write(&reset(stream, CANCEL)).await;
        server
    });
    assert_eq!(result.unwrap_err().code, Code::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn p124_both_halves_learn_of_the_deadline() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let request = Request::new(()).with_timeout(TIMEOUT);
    let ((mut outbound, mut inbound), mut server) = tokio::join!(bidi(&channel, request), async {
        let mut server = line.accept().await;
        server.request().await;
        server
    });
    // Both wait, each in its task.
    let sending = tokio::spawn(async move {
        let status = outbound.send("x".repeat(1_000_000)).await.unwrap_err();
        let again = outbound.send("again".to_owned()).await.unwrap_err();
        assert_eq!(again.code, Code::DeadlineExceeded, "{again}");
        outbound.finish().unwrap_err();
        status
    });
    let reading = tokio::spawn(async move { inbound.next().await.unwrap_err() });
    assert_eq!(server.reset_of(1).await, CANCEL);
    for half in [sending, reading] {
        let status = within(half).await.unwrap();
        assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    }
}

/// A call whose halves nobody polls ends when somebody does; its stream stays open till then, and
/// the server watches the deadline itself.
#[tokio::test(start_paused = true)]
async fn p124_a_call_that_nobody_polls_ends_at_the_first_look() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let request = Request::new(()).with_timeout(TIMEOUT);
    let ((mut outbound, inbound), mut server) = tokio::join!(bidi(&channel, request), async {
        let mut server = line.accept().await;
        server.request().await;
        server
    });
    sleep(TIMEOUT * 2).await;
    let status = within(outbound.send("late".to_owned())).await.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    assert_eq!(server.reset_of(1).await, CANCEL);
    drop(inbound);
}

#[tokio::test(start_paused = true)]
async fn p283_a_deadline_beyond_all_clocks_is_far_away() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let request = Request::new("ask".to_owned()).with_timeout(Duration::MAX);
    let (result, _server) = tokio::join!(unary(&channel, request), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.write(&answer(stream, "ok")).await;
        server
    });
    assert_eq!(result.unwrap().message, "ok");
}

/// A call has no task, so that its deadline is seen by whoever looks at it: the limit of that is told in
/// [`Request::with_timeout`].
#[tokio::test(start_paused = true)]
async fn a_call_that_nobody_looks_at_is_reset_when_somebody_does() {
    for is_dropped in [false, true] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let call = channel.server_streaming::<String, String>(path(), ask());
        let (mut inbound, mut server) =
            tokio::join!(async { within(call).await.unwrap() }, async {
                let mut server = line.accept().await;
                let stream = server.request().await.stream;
                server.messages_of(stream, 1).await;
                server.write(&headers(stream)).await;
                server
            });
        sleep(2 * TIMEOUT).await;
        assert_eq!(server.unasked().await, []);
        if is_dropped {
            drop(inbound);
        } else {
            let status = within(inbound.next()).await.unwrap_err();
            assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
        }
        assert_eq!(server.reset_of(1).await, CANCEL);
    }
}

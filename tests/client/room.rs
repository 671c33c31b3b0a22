//! What calls leave to others: streams, memory, time.

use std::time::Duration;

use barewire::{
    AttemptPolicy, ChannelConfig, Code, Inbound, Outbound, Request, Server, ServerConfig,
};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::scripted::{
    Fate, Fates, Kind, Script, Step, all, channel, channel_after, hedge, path, retry,
    up_to_headers, with_policy,
};
use crate::support::{DATA, PATIENCE, WINDOW_UPDATE, frame};
use crate::tokio;

/// A channel of one connection, whose server takes so many streams.
fn narrow(script: &Script, streams: u32, config: ChannelConfig) -> barewire::Channel {
    let script = script.clone();
    let mut config = config;
    let service_config = config.service_config.get_or_insert_default();
    service_config.max_connections_per_address = Some(1);
    channel(config, move |_, io| {
        let mut server = ServerConfig::default();
        server.http2.max_concurrent_streams = streams;
        let server = Server::new().with_config(server).add(script.clone());
        tokio::spawn(server.serve_io(io));
    })
}

#[tokio::test(start_paused = true)]
async fn p009_calls_that_are_given_up_make_room_for_those_that_wait() {
    for streams in [1, 2, 3, 10] {
        let script = Script::new(vec![vec![Step::Hang]; streams]);
        let limit = u32::try_from(streams).unwrap();
        let channel = narrow(&script, limit, ChannelConfig::default());
        let mut given_up = JoinSet::new();
        for _ in 0..streams {
            let channel = channel.clone();
            given_up.spawn(async move { Kind::Unary.call(&channel, "never").await });
        }
        script
            .wait_for("all are there", |seen| seen.len() == streams)
            .await;
        let mut waiting = JoinSet::new();
        for _ in 0..3 * streams {
            let channel = channel.clone();
            waiting.spawn(async move { Kind::Unary.call(&channel, "hello").await });
        }
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(script.count(), streams);
        given_up.abort_all();
        for ended in timeout(PATIENCE, waiting.join_all()).await.unwrap() {
            assert_eq!(ended.unwrap(), ["hello"], "{streams}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_say_its_farewell_takes_no_calls() {
    let script = Script::default();
    let service = script.clone();
    let channel = channel(ChannelConfig::default(), move |number, io| {
        if number > 0 {
            return service.serve_io(io);
        }
        tokio::spawn(async move {
            let (mut peer, _) = up_to_headers(io, &[]).await;
            // Room to send, but nobody reads any more; and then a frame of stream 0 that has none.
            let room = [
                frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]),
                frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0, 0, 0]),
            ];
            peer.write(&room.concat()).await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            peer.write(&frame(DATA, 0, 0, b"x")).await;
            std::future::pending::<()>().await;
            drop(peer);
        });
    });
    let large = "x".repeat(2 * 1024 * 1024);
    let status = Kind::Unary.call(&channel, &large).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    for kind in Kind::ALL {
        let call = kind.call(&channel, "hello");
        assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap(), ["hello"]);
    }
}

/// Memory of this process, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn p173_an_upload_whose_response_nobody_reads_yet_is_not_kept() {
    for attempts in [AttemptPolicy::Once, retry(3), hedge(3, 60_000)] {
        let channel = Fates::new(&[Fate::Swallow]).channel(with_policy(attempts));
        let (mut out, mut back): (Outbound<Bytes>, Inbound<Bytes>) =
            channel.client_streaming(path("Call"), ()).await.unwrap();
        let before = resident();
        let message = Bytes::from(vec![7; 1024 * 1024]);
        for _ in 0..96 {
            out.send(message.clone()).await.unwrap();
        }
        let grown = resident().saturating_sub(before);
        out.finish().unwrap();
        assert!(grown < 48 * 1024 * 1024, "{grown}");
        assert_eq!(back.next().await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn p104_p277_who_only_sends_learns_that_nobody_takes_it() {
    let reset = Fate::Reset(h2::Reason::CANCEL);
    for attempts in [AttemptPolicy::Once, retry(3), hedge(3, 60_000)] {
        for fate in [reset, Fate::Cut, Fate::Refuse] {
            let channel = Fates::new(&[fate; 9]).channel(with_policy(attempts.clone()));
            let (mut out, mut back): (Outbound<String>, Inbound<String>) =
                channel.client_streaming(path("Call"), ()).await.unwrap();
            let text = "x".repeat(100);
            let mut sent = 0;
            let status = loop {
                match timeout(PATIENCE, out.send(text.clone())).await.unwrap() {
                    Ok(()) => sent += 1,
                    Err(status) => break status,
                }
                assert!(sent < 10_000, "{attempts:?} {fate:?}");
                tokio::task::yield_now().await;
            };
            drop(out);
            // The response says why, whether or not the request did.
            let ended = back.next().await.unwrap_err();
            let expected = match fate {
                Fate::Refuse => Code::PermissionDenied,
                Fate::Cut => Code::Unavailable,
                _ => Code::Cancelled,
            };
            assert_eq!(
                ended.code, expected,
                "{attempts:?} {fate:?} {ended} {status}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p173_what_is_not_kept_waits_for_an_attempt() {
    for attempts in [AttemptPolicy::Once, retry(3), hedge(3, 50)] {
        let script = Script::default();
        let service = script.clone();
        let fates = Fates::new(&[Fate::Cut]);
        let listed = attempts != AttemptPolicy::Once;
        // The first attempt is lost; connecting takes a while.
        let channel = channel_after(
            Duration::from_secs(5),
            ChannelConfig {
                retry_buffer_per_call: 1_000,
                ..with_policy(attempts.clone())
            },
            move |number, io| {
                if number == 0 && listed {
                    tokio::spawn(fates.clone().serve_io(io));
                } else {
                    service.serve_io(io);
                }
            },
        );
        let (mut out, back): (Outbound<String>, Inbound<String>) =
            channel.bidi(path("Call"), ()).await.unwrap();
        let back = tokio::spawn(all(back));
        // The connection is lost, and nothing is open for five seconds.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let start = Instant::now();
        let text = "x".repeat(300);
        for number in 0..20 {
            out.send(text.clone()).await.unwrap();
            let waited = start.elapsed() > Duration::from_secs(4);
            assert_eq!(waited, listed && number >= 3, "{attempts:?} {number}");
        }
        out.finish().unwrap();
        assert_eq!(back.await.unwrap().unwrap(), vec![text; 20]);
        assert_eq!(script.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn p124_p173_who_waits_for_an_attempt_is_told_of_the_deadline_and_of_the_other_half_s_end() {
    for dropped in [false, true] {
        let channel = channel_after(
            Duration::from_secs(15),
            ChannelConfig {
                retry_buffer_per_call: 1_000,
                ..with_policy(retry(3))
            },
            |_, io| {
                tokio::spawn(Fates::new(&[Fate::Cut]).serve_io(io));
            },
        );
        let request = Request::new(()).with_timeout(Duration::from_secs(10));
        let (mut out, back): (Outbound<String>, Inbound<String>) =
            channel.bidi(path("Call"), request).await.unwrap();
        let sends = tokio::spawn(async move {
            // The first connection is lost, and the next one does not come to be soon.
            tokio::time::sleep(Duration::from_millis(1)).await;
            loop {
                out.send("x".repeat(300)).await?;
            }
            #[allow(unreachable_code)]
            Ok::<(), barewire::Status>(())
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!sends.is_finished());
        let expected = if dropped {
            drop(back);
            Code::Cancelled
        } else {
            Code::DeadlineExceeded
        };
        let status = sends.await.unwrap().unwrap_err();
        assert_eq!(status.code, expected, "{status}");
    }
}

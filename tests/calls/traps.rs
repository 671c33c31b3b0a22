//! What h2 does behind one's back: bursts, cancellations, windows. Over real sockets, since that is
//! where bursts come from.

use std::sync::Arc;
use std::time::Duration;

use barewire::{Counter, Counters, Http2Config, ServerConfig};
use bytes::{Bytes, BytesMut};
use tokio::task::JoinHandle;

use crate::support::{
    ACK, Answer, Client, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PATIENCE, Probe,
    RST_STREAM, RawPeer, SETTINGS, Seen, WINDOW_UPDATE, connect, counted_server, encoded, frame,
    request_block, tcp_server,
};
use crate::tokio;

/// A call goes well on the connection that went through something.
async fn assert_alive(client: &Client) {
    let answer = client.call("Echo", &["still here"]).await;
    assert_eq!(answer.messages, ["still here"]);
    assert_eq!(answer.code(), Some("0"));
}

/// The answers on a raw connection: streams that ended well, that were reset, and whether it lives.
#[derive(Default, Debug)]
struct Outcome {
    ended: usize,
    reset: usize,
    goaway: bool,
}

async fn outcome_of<T: barewire::ByteStream>(peer: &mut RawPeer<T>, streams: usize) -> Outcome {
    let mut outcome = Outcome::default();
    while outcome.ended + outcome.reset < streams {
        match peer.frame().await {
            Some(Frame {
                kind: HEADERS | DATA,
                flags,
                ..
            }) if flags & END_STREAM != 0 => {
                outcome.ended += 1;
            }
            Some(Frame {
                kind: RST_STREAM, ..
            }) => outcome.reset += 1,
            Some(Frame {
                kind: crate::support::GOAWAY,
                ..
            })
            | None => {
                outcome.goaway = true;
                break;
            }
            Some(_) => {}
        }
    }
    outcome
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p252_a_burst_of_5000_small_messages_on_one_stream_is_read() {
    let address = tcp_server(Probe::default(), ServerConfig::default()).await;
    let mut peer = RawPeer::begin(connect(address).await).await;
    let mut burst = frame(HEADERS, END_HEADERS, 1, &request_block("Sum"));
    let message = encoded("12345678"); // 15 bytes: prefix, tag, length, text
    assert_eq!(message.len(), 15);
    for _ in 0..5_000 {
        burst.extend(frame(DATA, 0, 1, &message));
    }
    burst.extend(frame(DATA, END_STREAM, 1, &[]));
    peer.write(&burst).await;
    let answer = peer.frame_of(DATA).await.expect("an answer");
    assert!(
        String::from_utf8_lossy(&answer.payload).ends_with("5000 40000"),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p252_a_burst_of_5000_calls_with_small_messages_is_answered() {
    let address = tcp_server(Probe::default(), ServerConfig::default()).await;
    let mut peer = RawPeer::begin(connect(address).await).await;
    let message = encoded("12345678");
    let (mut ended, block) = (0, request_block("Echo"));
    // Five bursts, since no more than 1,000 streams may be open at once.
    for burst in 0..5 {
        let mut bytes = Vec::new();
        for number in 0..1_000 {
            let stream = (burst * 1_000 + number) * 2 + 1;
            bytes.extend(frame(HEADERS, END_HEADERS, stream, &block));
            bytes.extend(frame(DATA, END_STREAM, stream, &message));
        }
        bytes.extend(frame(WINDOW_UPDATE, 0, 0, &20_000_u32.to_be_bytes()));
        peer.write(&bytes).await;
        let outcome = outcome_of(&mut peer, 1_000).await;
        assert!(!outcome.goaway && outcome.reset == 0, "{outcome:?}");
        ended += outcome.ended;
    }
    assert_eq!(ended, 5_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p252_10000_messages_wait_on_one_stream_for_a_handler_that_sleeps() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let address = tcp_server(probe, ServerConfig::default()).await;
    let client = Client::tcp(address).await;
    let mut call = client.start("Gate", &[]).await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    let message = encoded("12345678");
    for _ in 0..10_000 {
        // One DATA frame each.
        call.send_bytes(message.clone()).await;
    }
    assert_alive(&client).await;
    seen.gate.notify_one();
    let answer = call.finish().await;
    assert_eq!(answer.messages, ["10000"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p252_64_streams_send_tiny_messages_to_sleeping_handlers() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let address = tcp_server(probe, ServerConfig::default()).await;
    let mut peer = RawPeer::begin(connect(address).await).await;
    let mut burst = Vec::new();
    for number in 0..64 {
        burst.extend(frame(
            HEADERS,
            END_HEADERS,
            number * 2 + 1,
            &request_block("Gate"),
        ));
    }
    // 2,000 empty messages each, five bytes a frame.
    for _ in 0..2_000 {
        for number in 0..64 {
            burst.extend(frame(DATA, 0, number * 2 + 1, &[0; 5]));
        }
    }
    peer.write(&burst).await;
    seen.wait_for("64 handlers run", |seen| seen.running() == 64)
        .await;
    let mut ends = Vec::new();
    for number in 0..64 {
        ends.extend(frame(DATA, END_STREAM, number * 2 + 1, &[]));
    }
    peer.write(&ends).await;
    for _ in 0..64 {
        seen.gate.notify_one();
        let answer = peer.frame_of(DATA).await.expect("an answer");
        assert!(
            String::from_utf8_lossy(&answer.payload).ends_with("2000"),
            "{answer:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p269_1100_cancelled_streams_leave_the_connection_alive() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let address = tcp_server(probe, ServerConfig::default()).await;
    let client = Client::tcp(address).await;
    for _ in 0..11 {
        let mut calls = Vec::new();
        for _ in 0..100 {
            let mut call = client.start("Never", &[]).await;
            call.send_message("unread").await;
            calls.push(call);
        }
        seen.wait_for("100 handlers run", |seen| seen.running() == 100)
            .await;
        for mut call in calls {
            call.send.send_reset(h2::Reason::CANCEL);
        }
        seen.wait_for("all handlers are dropped", |seen| seen.running() == 0)
            .await;
    }
    assert_eq!(seen.begun(), 1_100);
    assert_alive(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p269_late_frames_of_1100_cancelled_streams_are_no_fault() {
    let address = tcp_server(Probe::default(), ServerConfig::default()).await;
    let mut peer = RawPeer::begin(connect(address).await).await;
    // Each call is answered early; its messages keep coming after the answer.
    for number in 0..1_100 {
        let stream = number * 2 + 1;
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &request_block("Refuse"));
        bytes.extend(frame(DATA, 0, stream, &encoded("late")));
        peer.write(&bytes).await;
        let end = peer.frame_on(stream).await.expect("an answer");
        assert_eq!(
            (end.kind, end.flags & END_STREAM),
            (HEADERS, END_STREAM),
            "call {number}"
        );
        let mut late = frame(DATA, 0, stream, &encoded("later"));
        late.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
        peer.write(&late).await;
    }
    let mut bytes = frame(HEADERS, END_HEADERS, 4_001, &request_block("Echo"));
    bytes.extend(frame(DATA, END_STREAM, 4_001, &encoded("hello")));
    peer.write(&bytes).await;
    assert_eq!(
        peer.frame_on(4_001).await.map(|frame| frame.kind),
        Some(HEADERS)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p269_requests_that_come_cancelled_leave_the_connection_alive() {
    for count in [21, 60, 999] {
        let address = tcp_server(Probe::default(), ServerConfig::default()).await;
        let mut peer = RawPeer::begin(connect(address).await).await;
        let mut burst = Vec::new();
        for number in 0..count {
            burst.extend(frame(
                HEADERS,
                END_HEADERS,
                number * 2 + 1,
                &request_block("Never"),
            ));
            burst.extend(frame(RST_STREAM, 0, number * 2 + 1, &8_u32.to_be_bytes()));
        }
        let stream = count * 2 + 1;
        burst.extend(frame(HEADERS, END_HEADERS, stream, &request_block("Echo")));
        burst.extend(frame(DATA, END_STREAM, stream, &encoded("hello")));
        peer.write(&burst).await;
        let outcome = outcome_of(&mut peer, 1).await;
        assert_eq!(
            (outcome.ended, outcome.goaway),
            (1, false),
            "{count}: {outcome:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p267_one_unread_stream_does_not_starve_ten_busy_ones() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let address = tcp_server(probe, ServerConfig::default()).await;
    let client = Client::tcp(address).await;
    // Fills its window of 256 KiB and stays there.
    let mut stalled = client.start("Gate", &[]).await;
    let filling = tokio::spawn(async move {
        stalled
            .send_bytes(Bytes::from(encoded(&"x".repeat(1_000)).repeat(1_000)))
            .await;
        stalled
    });
    seen.wait_for("the handler runs", |seen| seen.running() >= 1)
        .await;
    let mut busy = Vec::new();
    for _ in 0..10 {
        let client = client.clone();
        busy.push(tokio::spawn(async move {
            let mut call = client.start("Sum", &[]).await;
            let message = encoded(&"y".repeat(100_000));
            for _ in 0..50 {
                call.send_bytes(message.clone()).await;
            }
            call.finish().await
        }));
    }
    for task in busy {
        assert_eq!(task.await.unwrap().messages, ["50 5000000"]);
    }
    seen.gate.notify_one();
    let stalled = tokio::time::timeout(PATIENCE, filling)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stalled.finish().await.messages, ["1000"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p079_a_4_mib_message_passes_through_64_kib_windows() {
    let http2 = Http2Config {
        stream_window: 65_535,
        connection_window: 4 * 65_535,
        ..Default::default()
    };
    let address = tcp_server(
        Probe::default(),
        ServerConfig {
            http2,
            ..Default::default()
        },
    )
    .await;
    let client = Client::tcp(address).await;
    // A message of exactly 4 MiB, as StringValue: tag, length in four bytes, text.
    let text = "z".repeat(4 * 1024 * 1024 - 5);
    let answer = client.call("Echo", &[&text]).await;
    assert_eq!(answer.code(), Some("0"), "{}", answer.text());
    assert_eq!(answer.messages[0].len(), text.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p276_a_handler_that_cannot_send_still_hears_of_a_cancellation() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let address = tcp_server(probe, ServerConfig::default()).await;
    let client = Client::tcp(address).await;
    let mut call = client.start("Flood", &[]).await;
    call.send_message("go").await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    // Nothing is read, so the flood is stuck before long, wherever it is when the reset comes.
    call.send.send_reset(h2::Reason::CANCEL);
    seen.wait_for("the handler is dropped", |seen| seen.running() == 0)
        .await;
    // With it go the unread bytes that fill the connection's window.
    drop(call);
    assert_alive(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p266_a_flood_to_a_client_that_does_not_read_stops_at_the_window() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let address = tcp_server(probe, ServerConfig::default()).await;
    let mut peer = RawPeer::begin(connect(address).await).await;
    peer.write(&frame(HEADERS, END_HEADERS, 1, &request_block("Flood")))
        .await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    let mut received = 0;
    while received < 65_535 {
        received += peer.frame_of(DATA).await.expect("DATA").payload.len();
    }
    assert_eq!(received, 65_535, "no more than the window");
    // A PING is answered all the same, and nothing but its answer comes.
    peer.write(&frame(crate::support::PING, 0, 0, b"12345678"))
        .await;
    let next = peer.frame().await.unwrap();
    assert_eq!((next.kind, next.flags), (crate::support::PING, ACK));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p254_an_early_answer_reaches_a_client_that_still_sends() {
    let address = tcp_server(Probe::default(), ServerConfig::default()).await;
    let client = Client::tcp(address).await;
    for method in ["Refuse", "First"] {
        let mut call = client.start(method, &[]).await;
        let mut sent = BytesMut::new();
        for _ in 0..100 {
            sent.extend_from_slice(&encoded(&"x".repeat(1_000)));
        }
        call.send_bytes(sent.freeze()).await;
        let answer = call.answer().await;
        let expected = if method == "Refuse" { "7" } else { "0" };
        assert_eq!(answer.code(), Some(expected), "{method}: {answer:?}");
    }
    assert_alive(&client).await;
}

#[tokio::test]
async fn p102_an_early_end_is_followed_by_a_reset_without_error() {
    let io = crate::support::piped_server(Probe::default(), ServerConfig::default());
    let mut peer = RawPeer::begin(io).await;
    peer.write(&frame(HEADERS, END_HEADERS, 1, &request_block("Refuse")))
        .await;
    let end = peer.frame_of(HEADERS).await.unwrap();
    assert_eq!(end.flags & END_STREAM, END_STREAM);
    // The request is not over, and is not waited for longer than the moment of grace.
    let reset = peer.frame_of(RST_STREAM).await.unwrap();
    assert_eq!(
        (reset.stream, reset.payload),
        (1, 0_u32.to_be_bytes().to_vec())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p066_40_kb_of_metadata_end_one_call_and_not_the_connection() {
    let address = tcp_server(Probe::default(), ServerConfig::default()).await;
    let client = Client::tcp(address).await;
    let value = "v".repeat(40_000);
    let answer = client
        .start("Metadata", &[("x-large", &value)])
        .await
        .finish()
        .await;
    assert_eq!(answer.code(), Some("8"), "{answer:?}");
    assert!(
        answer.text().contains("larger than the limit of 16384"),
        "{}",
        answer.text()
    );
    assert_alive(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p066_40_kb_of_metadata_pass_where_they_are_allowed() {
    let mut config = ServerConfig::default();
    config.http2.max_metadata_size = 64 * 1024;
    let address = tcp_server(Probe::default(), config).await;
    let client = Client::tcp(address).await;
    let value = "v".repeat(40_000);
    let mut call = client.start("Metadata", &[("x-large", &value)]).await;
    call.send_message("hello").await;
    let answer = call.finish().await;
    assert_eq!(answer.code(), Some("0"), "{answer:?}");
    assert_eq!(answer.headers["x-large"].len(), 40_000);
    assert_eq!(answer.trailers["x-large"].len(), 40_000);
}

#[tokio::test]
async fn p010_the_stream_limit_is_announced_and_one_more_is_refused() {
    let mut config = ServerConfig::default();
    config.http2.max_concurrent_streams = 3;
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let mut peer = RawPeer::begin(crate::support::piped_server(probe, config)).await;
    let settings = peer.frame_of(SETTINGS).await.unwrap();
    let announced = settings
        .payload
        .chunks(6)
        .any(|entry| entry == [0, 3, 0, 0, 0, 3]);
    assert!(announced, "{settings:?}");
    for number in 0..4 {
        peer.write(&frame(
            HEADERS,
            END_HEADERS,
            number * 2 + 1,
            &request_block("Never"),
        ))
        .await;
    }
    let reset = peer.frame_of(RST_STREAM).await.unwrap();
    assert_eq!(
        (reset.stream, reset.payload),
        (7, 7_u32.to_be_bytes().to_vec())
    );
    assert_eq!(seen.begun(), 3);
}

/// A client whose window of 16 MiB 64 handlers fill that do not read.
async fn with_a_full_window() -> (Client, Arc<Seen>, Counters, Vec<JoinHandle<Answer>>) {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let (io, counters) = counted_server(probe, ServerConfig::default());
    let client = Client::over(io).await;
    let mut kept = Vec::new();
    for number in 0..64 {
        let mut call = client.start("Gate", &[]).await;
        seen.wait_for("the handler runs", |seen| seen.running() == number + 1)
            .await;
        // Whole messages without a byte, and the head of one.
        call.send_bytes(Bytes::from(vec![0; 256 * 1024])).await;
        kept.push(tokio::spawn(call.answer_patiently()));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (client, seen, counters, kept)
}

#[tokio::test(start_paused = true)]
async fn a_full_window_that_is_read_from_in_time_costs_no_call() {
    let (client, seen, counters, kept) = with_a_full_window().await;
    let waits = tokio::spawn(async move {
        let mut call = client.start("Echo", &[]).await;
        call.send_message("hello").await;
        call.finish_patiently().await
    });
    tokio::time::sleep(Duration::from_millis(9_900)).await;
    assert!(!waits.is_finished());
    // With one of them the rest is still more than all but one may have.
    seen.gate.notify_one();
    seen.gate.notify_one();
    assert_eq!(waits.await.unwrap().messages, ["hello"]);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(counters.of(Counter::StalledStreamTimeout), 0);
    assert_eq!(seen.running(), 64);
    assert!(kept.iter().all(|call| !call.is_finished()));
}

#[tokio::test(start_paused = true)]
async fn the_stream_left_unread_the_longest_makes_room_for_the_others() {
    let (client, seen, counters, mut kept) = with_a_full_window().await;
    let start = tokio::time::Instant::now();
    let mut call = client.start("Echo", &[]).await;
    call.send_message("hello").await;
    let answer = call.finish_patiently().await;
    assert_eq!(answer.messages, ["hello"]);
    let taken = start.elapsed().as_secs_f64();
    assert!((9.0..11.0).contains(&taken), "{taken}");
    // The first had to go, and no other.
    let first = kept.remove(0).await.unwrap();
    assert_eq!(first.code(), Some("8"), "{first:?}");
    assert!(
        first.text().starts_with("the request was left unread"),
        "{first:?}"
    );
    assert_eq!(counters.of(Counter::StalledStreamTimeout), 1);
    assert_eq!(seen.running(), 63);
    assert!(kept.iter().all(|call| !call.is_finished()));
}

//! Defects that were found once, each by its symptom.

use std::time::Duration;

use barewire::{
    Http2Config, Inbound, Replies, Request, Response, Server, ServerCall, ServerConfig, Service,
    Serving, Status,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE,
    Probe, RawPeer, SETTINGS, WINDOW_UPDATE, encoded, frame, piped_server, request_block,
};
use crate::tokio;

/// Methods that the probe does not have; all others are the probe's.
struct Odd(Probe);

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in a destructor");
        }
    }
}

impl Service for Odd {
    fn name(&self) -> &'static str {
        "test.Probe"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        if call.method() == "PanicEarly" {
            panic!("before there is a future");
        }
        match call.method() {
            // Never waits for anything but its turn.
            "Busy" => Box::pin(async move {
                let _: Request<String> = call.request().await?;
                loop {
                    tokio::task::consume_budget().await;
                }
            }),
            // Uses up the budget of the task that polls it first.
            "Hog" => Box::pin(async move {
                for _ in 0..1_000 {
                    tokio::task::consume_budget().await;
                }
                call.reply(Response::new("done".to_owned())).await
            }),
            // Fails, while another task goes on sending.
            "Escape" => Box::pin(async move {
                let mut replies: Replies<String> = call.replies();
                tokio::spawn(async move { while replies.send("x".repeat(1_000)).await.is_ok() {} });
                tokio::task::yield_now().await;
                sleep(Duration::from_millis(50)).await;
                Err(Status::aborted("enough"))
            }),
            // 200 kB, when the gate opens.
            "Big" => Box::pin(async move {
                let _: Request<String> = call.request().await?;
                self.0.seen.gate.notified().await;
                call.reply(Response::new("b".repeat(200_000))).await
            }),
            // 200 kB at once, without a look at the requests.
            "BigNow" => Box::pin(async move {
                drop::<Request<Inbound<String>>>(call.requests());
                call.reply(Response::new("b".repeat(200_000))).await
            }),
            "PanicDrop" => Box::pin(async move {
                let _: Request<String> = call.request().await?;
                let _guard = PanicsWhenDropped;
                std::future::pending().await
            }),
            _ => self.0.serve(call),
        }
    }
}

fn odd() -> (Odd, Probe) {
    let probe = Probe::default();
    (Odd(probe.clone()), probe)
}

/// The next frame of `kind`, however long it takes on a paused clock.
async fn read_patiently<T: barewire::ByteStream>(
    peer: &mut RawPeer<T>,
    kind: u8,
) -> Option<Vec<u8>> {
    loop {
        let mut head = [0; 9];
        peer.io.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        peer.io.read_exact(&mut payload).await.ok()?;
        if head[3] == kind {
            return Some(payload);
        }
    }
}

// grpc-go sends a BDP PING for each DATA frame it gets while no PING is open; grpc-java does too.
#[tokio::test]
async fn a_ping_after_each_answer_is_no_abuse() {
    let mut peer = RawPeer::begin(piped_server(Probe::default(), ServerConfig::default())).await;
    for number in 0..300 {
        let stream = number * 2 + 1;
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &request_block("Echo"));
        bytes.extend(frame(DATA, END_STREAM, stream, &encoded("hello")));
        peer.write(&bytes).await;
        let answer = peer.frame_of(DATA).await;
        assert!(
            answer.is_some(),
            "the connection ended after {number} calls"
        );
        // What grpc-go does on this DATA frame.
        let mut bytes = frame(WINDOW_UPDATE, 0, 0, &12_u32.to_be_bytes());
        bytes.extend(frame(PING, 0, 0, &[2, 4, 16, 16, 9, 14, 7, 7]));
        peer.write(&bytes).await;
        let pong = peer.frame_of(PING).await;
        assert!(pong.is_some(), "the connection ended at PING {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_ends_a_handler_that_always_has_work() {
    let (service, _) = odd();
    let client = Client::over(piped_server(service, ServerConfig::default())).await;
    let mut call = client.start("Busy", &[("grpc-timeout", "200m")]).await;
    call.send_message("x").await;
    let answer = timeout(Duration::from_secs(3), call.finish())
        .await
        .expect("the deadline of 200 ms");
    assert_eq!(answer.code(), Some("4"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_task_without_budget_keeps_its_timer() {
    let (service, _) = odd();
    let io = piped_server(service, ServerConfig::default());
    let mut peer = RawPeer::silent(io);
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes.extend(frame(SETTINGS, ACK, 0, &[]));
    bytes.extend(frame(HEADERS, END_HEADERS, 1, &request_block("Hog")));
    bytes.extend(frame(DATA, END_STREAM, 1, &[]));
    peer.write(&bytes).await;
    // Keepalive asks after 300 s.
    let ping = timeout(Duration::from_secs(2_000), read_patiently(&mut peer, PING)).await;
    assert!(ping.is_ok(), "no PING in 2,000 s of silence");
}

#[tokio::test(start_paused = true)]
async fn the_status_is_sent_though_another_task_goes_on_sending() {
    let (service, _) = odd();
    let mut peer = RawPeer::begin(piped_server(service, ServerConfig::default())).await;
    peer.write(&frame(HEADERS, END_HEADERS, 1, &request_block("Escape")))
        .await;
    // The window is full, and the handler has returned.
    let mut received = 0;
    while received < 65_535 {
        received += peer.frame_of(DATA).await.expect("DATA").payload.len();
    }
    sleep(Duration::from_millis(200)).await;
    // A client that reads 8 KiB at a time.
    while received < 20_000_000 {
        let more = 8_192_u32.to_be_bytes();
        let mut bytes = frame(WINDOW_UPDATE, 0, 0, &more);
        bytes.extend(frame(WINDOW_UPDATE, 0, 1, &more));
        peer.write(&bytes).await;
        let mut granted = 8_192;
        while granted > 0 {
            let frame = peer.frame_on(1).await.expect("DATA or trailers");
            if frame.kind == HEADERS && frame.flags & END_STREAM != 0 {
                return;
            }
            if frame.kind == DATA {
                granted -= frame.payload.len();
                received += frame.payload.len();
            }
        }
    }
    panic!("{received} bytes after the handler returned, and no status");
}

#[tokio::test(start_paused = true)]
async fn a_header_block_that_is_whole_has_no_timer() {
    let mut peer = RawPeer::begin(piped_server(Probe::default(), ServerConfig::default())).await;
    let block = request_block("Sum");
    let (first, rest) = block.split_at(10);
    let text = "y".repeat(16_000);
    let data = frame(DATA, END_STREAM, 1, &encoded(&text));
    peer.write(&frame(HEADERS, 0, 1, first)).await;
    sleep(Duration::from_millis(1)).await;
    let mut bytes = Vec::new();
    bytes.extend(frame(CONTINUATION, END_HEADERS, 1, rest));
    bytes.extend(&data[..100]);
    peer.write(&bytes).await;
    // A slow upload: no read ends where a frame ends.
    for piece in data[100..].chunks(1_000) {
        sleep(Duration::from_secs(1)).await;
        if peer.io.write_all(piece).await.is_err() {
            break;
        }
    }
    let kinds = async {
        let mut kinds = Vec::new();
        while let Some(frame) = peer.frame().await {
            let text = String::from_utf8_lossy(&frame.payload).into_owned();
            let done = frame.stream == 1 && frame.flags & END_STREAM != 0;
            kinds.push((frame.kind, text));
            if done || frame.kind == GOAWAY {
                break;
            }
        }
        kinds
    }
    .await;
    assert!(kinds.iter().all(|(kind, _)| *kind != GOAWAY), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_draining_connection_notices_that_its_peer_is_gone() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let http2 = Http2Config {
        max_connection_age: Some(Duration::from_secs(60)),
        ..Http2Config::default()
    };
    let config = ServerConfig {
        http2,
        ..ServerConfig::default()
    };
    let mut peer = RawPeer::begin(piped_server(probe, config)).await;
    peer.write(&frame(HEADERS, END_HEADERS, 1, &request_block("Never")))
        .await;
    let ping = read_patiently(&mut peer, PING).await.unwrap();
    peer.write(&frame(PING, ACK, 0, &ping)).await;
    // The second GOAWAY; then the peer's host loses its power.
    read_patiently(&mut peer, GOAWAY).await.unwrap();
    sleep(Duration::from_secs(24 * 60 * 60)).await;
    assert_eq!(seen.running(), 0, "a day later the handler still runs");
}

#[tokio::test(start_paused = true)]
async fn a_late_drain_lets_a_reply_leave() {
    let (service, probe) = odd();
    let http2 = Http2Config {
        max_connection_age: Some(Duration::from_secs(60)),
        ..Http2Config::default()
    };
    let config = ServerConfig {
        http2,
        ..ServerConfig::default()
    };
    let mut peer = RawPeer::begin(piped_server(service, config)).await;
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &request_block("Big"));
    bytes.extend(frame(DATA, END_STREAM, 1, &encoded("x")));
    peer.write(&bytes).await;
    read_patiently(&mut peer, PING).await.unwrap();
    // The answer to the PING is slow: no new calls are taken, the old one is waited for.
    sleep(Duration::from_secs(6)).await;
    probe.seen.gate.notify_one();
    let mut received = 0;
    while received < 65_535 {
        let frame = peer.frame().await.expect("the reply");
        assert_ne!(frame.kind, GOAWAY, "after {received} bytes of the reply");
        if frame.kind == DATA {
            received += frame.payload.len();
        }
    }
    sleep(Duration::from_millis(100)).await;
    let mut bytes = frame(WINDOW_UPDATE, 0, 0, &1_000_000_u32.to_be_bytes());
    bytes.extend(frame(WINDOW_UPDATE, 0, 1, &1_000_000_u32.to_be_bytes()));
    peer.write(&bytes).await;
    loop {
        let frame = peer.frame().await.expect("trailers");
        assert_ne!(frame.kind, GOAWAY, "after {received} bytes of the reply");
        if frame.kind == DATA {
            received += frame.payload.len();
        }
        if frame.flags & END_STREAM != 0 {
            break;
        }
    }
    assert!(received > 200_000);
}

#[tokio::test]
async fn a_service_that_panics_at_once_ends_one_call() {
    let (service, probe) = odd();
    let client = Client::over(piped_server(service, ServerConfig::default())).await;
    let _other = client.start("Never", &[]).await;
    probe
        .seen
        .wait_for("it runs", |seen| seen.running() == 1)
        .await;
    let answer = client.start("PanicEarly", &[]).await.finish().await;
    assert_eq!(answer.code(), Some("2"), "{answer:?}");
    assert_eq!(probe.seen.running(), 1, "the other call lives");
}

#[tokio::test]
async fn an_interceptor_that_panics_ends_no_connection() {
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    let probe = Probe::default();
    let server = Server::new()
        .add(probe.clone())
        .intercept(|call: &barewire::CallRecord<'_>| {
            assert_ne!(call.path.method(), "Refuse", "the interceptor is at fault");
        });
    tokio::spawn(server.serve_io(theirs));
    let client = Client::over(ours).await;
    let _other = client.start("Never", &[]).await;
    probe
        .seen
        .wait_for("it runs", |seen| seen.running() == 1)
        .await;
    let answer = client.start("Refuse", &[]).await.answer().await;
    assert_eq!(answer.code(), Some("7"), "{answer:?}");
    assert_eq!(probe.seen.running(), 1, "the other call lives");
}

#[tokio::test(start_paused = true)]
async fn a_destructor_that_panics_hides_no_status() {
    let (service, _) = odd();
    let client = Client::over(piped_server(service, ServerConfig::default())).await;
    let mut call = client.start("PanicDrop", &[("grpc-timeout", "300m")]).await;
    call.send_message("x").await;
    let answer = call.finish().await;
    assert!(
        matches!(answer.code(), Some("4" | "2")),
        "{:?} {:?}",
        answer.code(),
        answer.reset
    );
}

async fn works_with(name: &str, http2: Http2Config) {
    let config = ServerConfig {
        http2,
        ..ServerConfig::default()
    };
    let client = Client::over(piped_server(Probe::default(), config)).await;
    let answer = client.call("Echo", &["x"]).await;
    assert_eq!(answer.code(), Some("0"), "{name}");
}

#[tokio::test]
async fn a_keepalive_time_of_for_ever_is_no_fault() {
    let http2 = Http2Config {
        keepalive_time: Some(Duration::MAX),
        ..Http2Config::default()
    };
    works_with("keepalive_time", http2).await;
}

#[tokio::test]
async fn an_age_of_for_ever_is_no_fault() {
    let http2 = Http2Config {
        max_connection_age: Some(Duration::MAX),
        ..Http2Config::default()
    };
    works_with("max_connection_age", http2).await;
}

#[tokio::test]
async fn any_number_of_connections_may_be_allowed() {
    let config = ServerConfig {
        max_connections: usize::MAX,
        ..ServerConfig::default()
    };
    let client = Client::over(piped_server(Probe::default(), config)).await;
    assert_eq!(client.call("Echo", &["x"]).await.code(), Some("0"));
}

#[tokio::test(start_paused = true)]
async fn refused_uploads_do_not_stall_the_others() {
    let mut peer = RawPeer::begin(piped_server(Probe::default(), ServerConfig::default())).await;
    peer.frame_of(WINDOW_UPDATE).await.unwrap();
    // 68 uploads of 240 KiB are refused; their data is on its way already.
    for number in 0..68 {
        let stream = number * 2 + 1;
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &request_block("Refuse"));
        for _ in 0..15 {
            bytes.extend(frame(DATA, 0, stream, &[0; 16_384]));
        }
        if peer.io.write_all(&bytes).await.is_err() {
            panic!("{number}: {:?}", peer.last_goaway().await);
        }
    }
    let start = Instant::now();
    loop {
        let frame = peer.frame().await.expect("window");
        if frame.kind == WINDOW_UPDATE && frame.stream == 0 {
            break;
        }
    }
    let taken = start.elapsed();
    assert!(taken < Duration::from_millis(500), "{taken:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_that_no_handler_can_read_do_not_stall_the_others() {
    let client = Client::over(piped_server(Probe::default(), ServerConfig::default())).await;
    let mut kept = Vec::new();
    for _ in 0..70 {
        // The handler of `Never` drops its `Inbound` at once.
        let mut call = client.start("Never", &[]).await;
        kept.push(tokio::spawn(async move {
            call.send_bytes(bytes::Bytes::from(vec![0; 256 * 1024]))
                .await;
            std::future::pending::<()>().await;
        }));
    }
    for _ in 0..2_000 {
        tokio::task::yield_now().await;
    }
    let client = client.clone();
    let echo = tokio::spawn(async move {
        let mut call = client.start("Echo", &[]).await;
        call.send_message(&"z".repeat(100_000)).await;
        call.finish().await
    });
    let answer = timeout(Duration::from_secs(15), echo).await;
    assert!(answer.is_ok(), "stalled for 15 s");
}

#[tokio::test(start_paused = true)]
async fn a_goaway_for_age_or_idleness_says_so() {
    let cases = [
        (Some(Duration::from_secs(60)), None, "max_age"),
        (None, Some(Duration::from_secs(60)), "max_idle"),
    ];
    for (max_connection_age, max_connection_idle, text) in cases {
        let http2 = Http2Config {
            max_connection_age,
            max_connection_idle,
            ..Http2Config::default()
        };
        let config = ServerConfig {
            http2,
            ..ServerConfig::default()
        };
        let mut peer = RawPeer::begin(piped_server(Probe::default(), config)).await;
        let goaway = read_patiently(&mut peer, GOAWAY).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&goaway[8..]), text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_taken_in_while_a_reply_waits_for_its_reader() {
    let (service, _) = odd();
    let mut peer = RawPeer::begin(piped_server(service, ServerConfig::default())).await;
    for stream in [1, 3, 5] {
        peer.write(&frame(
            HEADERS,
            END_HEADERS,
            stream,
            &request_block("BigNow"),
        ))
        .await;
    }
    // The replies fill the connection's window, and wait.
    let mut received = 0;
    while received < 65_535 {
        received += peer.frame_of(DATA).await.expect("DATA").payload.len();
    }
    for stream in [1, 3, 5] {
        let tiny = frame(DATA, 0, stream, &[0; 5]);
        for _ in 0..52 {
            if peer.io.write_all(&tiny.repeat(1_000)).await.is_err() {
                break;
            }
        }
    }
    let _ = peer.io.write_all(&frame(PING, 0, 0, b"12345678")).await;
    loop {
        let frame = peer.frame().await.expect("the answer to the PING");
        assert_ne!(
            frame.kind,
            GOAWAY,
            "{:?}",
            String::from_utf8_lossy(&frame.payload[8..])
        );
        if frame.kind == PING {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_headers_frame_that_trickles_in_is_timed() {
    let mut peer = RawPeer::begin(piped_server(Probe::default(), ServerConfig::default())).await;
    let bytes = frame(HEADERS, END_HEADERS, 1, &request_block("Sum"));
    for byte in bytes.chunks(1) {
        sleep(Duration::from_secs(1)).await;
        if peer.io.write_all(byte).await.is_err() {
            return;
        }
    }
    panic!("{} s for one header block", bytes.len());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_h2_closes_ends_though_nobody_reads() {
    let (ours, theirs) = tokio::io::duplex(16 * 1024);
    let mut config = ServerConfig::default();
    config.http2.keepalive_time = None;
    let probe = Probe::default();
    let server = Server::new().with_config(config).add(probe.clone());
    let served = tokio::spawn(server.serve_io(theirs));
    let mut peer = RawPeer::begin(ours).await;
    peer.write(&frame(HEADERS, END_HEADERS, 1, &request_block("Flood")))
        .await;
    probe
        .seen
        .wait_for("it runs", |seen| seen.running() == 1)
        .await;
    sleep(Duration::from_secs(1)).await;
    // DATA on stream 0: GOAWAY(PROTOCOL_ERROR).
    peer.write(&frame(DATA, 0, 0, b"x")).await;
    let ended = timeout(Duration::from_secs(3_600), served).await;
    assert!(ended.is_ok(), "an hour later the connection is still there");
}

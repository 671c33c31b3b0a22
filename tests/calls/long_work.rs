//! Messages that take long to decode, and those who wait meanwhile.

use std::future::ready;
use std::io::Write;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use barewire::wire::framing::{RawMessage, encode_message};
use barewire::{
    Inbound, Request, Response, Server, ServerCall, ServerConfig, Service, Serving, Status,
};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    Client, DATA, END_HEADERS, END_STREAM, HEADERS, Probe, RawPeer, WINDOW_UPDATE, block, encoded,
    frame, piped_server, request_block,
};
use crate::tokio;

/// So many bytes take long, as sent or decompressed.
const LONG: usize = 128 * 1024;

/// A text whose message has so many bytes: the tag, three of length, and itself.
fn text(length: usize) -> String {
    "x".repeat(length - 4)
}

fn gzipped(text: &str) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(&prost::Message::encode_to_vec(&text.to_owned()))
        .unwrap();
    let body = encoder.finish().unwrap().into();
    encode_message(&RawMessage {
        compressed: true,
        body,
    })
    .unwrap()
}

/// The header block of a call with compressed messages.
fn gzip_block() -> Vec<u8> {
    [request_block("Sum"), block(&[("grpc-encoding", "gzip")])].concat()
}

fn plain_block() -> Vec<u8> {
    request_block("Sum")
}

/// A whole call.
fn call(stream: u32, fields: &[u8], message: &[u8]) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, stream, fields);
    for chunk in message.chunks(16_384) {
        bytes.extend(frame(DATA, 0, stream, chunk));
    }
    bytes.extend(frame(DATA, END_STREAM, stream, &[]));
    bytes
}

#[tokio::test]
async fn whoever_is_ready_goes_before_a_message_that_takes_long() {
    let small = encoded("x");
    let cases = [
        // what comes first                                 who is answered first
        (plain_block(), encoded(&text(LONG - 1)), 1),
        (plain_block(), encoded(&text(LONG)), 3),
        (gzip_block(), gzipped(&text(LONG)), 1),
        (gzip_block(), gzipped(&text(LONG + 1)), 3),
    ];
    for (number, (fields, message, first)) in cases.into_iter().enumerate() {
        // One thread, so that their order is certain.
        let io = piped_server(Probe::default(), ServerConfig::default());
        let mut peer = RawPeer::begin(io).await;
        // There is room for more than a connection begins with.
        peer.frame_of(WINDOW_UPDATE).await.expect("room");
        let both = [call(1, &fields, &message), call(3, &plain_block(), &small)];
        peer.write(&both.concat()).await;
        let mut order = Vec::new();
        while order.len() < 2 {
            let frame = peer.frame().await.expect("two answers");
            if frame.flags & END_STREAM != 0 && frame.kind == HEADERS {
                order.push(frame.stream);
            }
        }
        assert_eq!(order[0], first, "case {number}");
    }
}

#[tokio::test]
async fn a_limit_below_what_takes_long_holds_in_the_same_way() {
    let config = ServerConfig {
        max_recv_message: 1_000,
        ..ServerConfig::default()
    };
    let client = Client::over(piped_server(Probe::default(), config)).await;
    for (length, code) in [(1_000, "0"), (1_001, "8"), (LONG + 1, "8")] {
        let mut call = client.start("Sum", &[("grpc-encoding", "gzip")]).await;
        call.send_bytes(gzipped(&"x".repeat(length - 3))).await;
        let answer = call.finish().await;
        assert_eq!(answer.code(), Some(code), "{length}: {answer:?}");
    }
}

#[tokio::test]
async fn a_message_that_has_room_is_not_refused_for_what_it_could_have_become() {
    // A few kilobytes of gzip, which could be four megabytes, and are less than one.
    let config = ServerConfig {
        max_inflight_message_bytes: 1_000_000,
        ..ServerConfig::default()
    };
    let client = Client::over(piped_server(Probe::default(), config)).await;
    for (length, code) in [(900_000, "0"), (1_100_000, "8")] {
        let mut call = client.start("Sum", &[("grpc-encoding", "gzip")]).await;
        call.send_bytes(gzipped(&"v".repeat(length))).await;
        let answer = call.finish().await;
        assert_eq!(answer.code(), Some(code), "{length}: {answer:?}");
    }
}

/// Asks for each message with no patience at all, then with all it takes.
struct Hasty;

impl Service for Hasty {
    fn name(&self) -> &'static str {
        "test.Probe"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            let mut requests: Request<Inbound<String>> = call.requests();
            let (mut given_up, mut lengths) = (0, Vec::new());
            loop {
                // The message, or nothing at all: whichever comes first, and nothing is always there.
                let next = tokio::select! {
                    biased;
                    next = requests.next() => next?,
                    () = ready(()) => {
                        given_up += 1;
                        requests.next().await?
                    }
                };
                let Some(message) = next else { break };
                lengths.push(message.len());
            }
            if given_up == 0 {
                return Err(Status::internal("it never had to wait"));
            }
            call.reply(Response::new(format!("{lengths:?}"))).await
        })
    }
}

#[tokio::test]
async fn a_message_that_was_given_up_while_it_waited_for_its_turn_is_not_lost() {
    let client = Client::over(piped_server(Hasty, ServerConfig::default())).await;
    let mut call = client.start("Any", &[("grpc-encoding", "gzip")]).await;
    let lengths = [200_000, 1, 3_000_000, 200_000, 2];
    for length in lengths {
        call.send_bytes(gzipped(&"x".repeat(length))).await;
    }
    let answer = call.finish().await;
    assert_eq!(answer.messages, [format!("{lengths:?}")], "{answer:?}");
}

/// Asks for a message, and then looks at something else.
struct Distracted(Arc<Notify>);

impl Service for Distracted {
    fn name(&self) -> &'static str {
        "test.Distracted"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            let mut requests: Request<Inbound<String>> = call.requests();
            // Time is stopped, so that it passes when all has come.
            sleep(Duration::from_millis(1)).await;
            let mut next = pin!(requests.next());
            // It has its turn, and nobody lets it go on.
            tokio::select! {
                biased;
                _ = &mut next => return Err(Status::internal("it never had to wait")),
                () = ready(()) => {}
            }
            self.0.notify_one();
            std::future::pending().await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_take_its_turn_holds_up_the_others_for_seconds_only() {
    let asked = Arc::new(Notify::new());
    let (io, theirs) = tokio::io::duplex(1024 * 1024);
    let server = Server::new()
        .add(Distracted(Arc::clone(&asked)))
        .add(Probe::default());
    tokio::spawn(server.serve_io(theirs));
    let client = Client::over(io).await;
    let long = gzipped(&"x".repeat(200_000));
    let request = http::Request::post("http://localhost/test.Distracted/Any")
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("grpc-encoding", "gzip");
    let mut distracted = client.send_request(request.body(()).unwrap(), false).await;
    distracted.send_bytes(long.clone()).await;
    asked.notified().await;
    let start = Instant::now();
    let mut call = client.start("Sum", &[("grpc-encoding", "gzip")]).await;
    call.send_bytes(long).await;
    let answer = timeout(Duration::from_secs(60), call.finish_patiently()).await;
    assert_eq!(answer.expect("an answer").code(), Some("0"));
    assert_eq!(start.elapsed().as_secs(), 5);
}

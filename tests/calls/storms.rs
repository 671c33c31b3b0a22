//! Many messages and many cancelled calls on one connection, over real sockets. None of it is abuse, and
//! the connection lives on.
//!
//! The sizes are those that a test may have beside others. `BAREWIRE_STORM=all` makes them as large as is
//! promised, and ten times over; that is best done with `--profile endurance`.

use std::env;
use std::net::SocketAddr;

use barewire::{Http2Config, ServerConfig};
use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{
    Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, Probe, RST_STREAM, RawPeer, connect,
    encoded, frame, request_block, tcp_server,
};
use crate::tokio;

/// As many as there are to be, or a part of them.
fn count(all: usize, part: usize) -> usize {
    let wants_all = env::var("BAREWIRE_STORM").is_ok_and(|value| value == "all");
    if wants_all { all } else { part }
}

/// How often a storm of small messages comes, on a new connection each time.
fn repeats() -> usize {
    count(10, 1)
}

/// A client that bears many answers at once. By itself h2 gives up when there are some hundred small
/// frames that were not read yet.
async fn client_of(address: SocketAddr) -> Client {
    let mut builder = h2::client::Builder::new();
    builder.initial_max_send_streams(100_000);
    builder.data_frame_budget(1024 * 1024);
    Client::with(connect(address).await, &mut builder).await
}

async fn assert_alive(client: &Client) {
    let mut call = client.start("Echo", &[]).await;
    call.send_message("still here").await;
    // It waits behind all that was sent before.
    let answer = call.finish_patiently().await;
    assert_eq!(answer.messages, ["still here"]);
    assert_eq!(answer.code(), Some("0"));
}

/// Sends messages of 15 bytes, each in a DATA frame of its own, on so many streams at once.
async fn many_small_messages(streams: usize, messages: usize) {
    for _ in 0..repeats() {
        small_messages(streams, messages).await;
    }
}

async fn small_messages(streams: usize, messages: usize) {
    let address = tcp_server(Probe::default(), ServerConfig::default()).await;
    let client = client_of(address).await;
    let message = encoded("12345678"); // prefix, tag, length, text
    assert_eq!(message.len(), 15);
    let mut calls = JoinSet::new();
    for _ in 0..streams {
        let (client, message) = (client.clone(), message.clone());
        calls.spawn(async move {
            let mut call = client.start("Sum", &[]).await;
            for _ in 0..messages {
                call.send_bytes(message.clone()).await;
            }
            call.finish_patiently().await
        });
    }
    let sum = format!("{messages} {}", messages * 8);
    while let Some(answer) = calls.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(answer.messages, [sum.as_str()], "{answer:?}");
    }
    assert_alive(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p252_10_streams_of_thousands_of_small_messages() {
    many_small_messages(10, count(100_000, 3_000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p252_100_streams_of_hundreds_of_small_messages() {
    many_small_messages(100, count(10_000, 300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p252_1000_streams_of_small_messages() {
    many_small_messages(1_000, count(1_000, 30)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p252_64_handlers_sleep_while_thousands_of_empty_messages_come() {
    for _ in 0..repeats() {
        empty_messages(64, count(60_000, 2_000)).await;
    }
}

/// Sends messages of five bytes to handlers that read none of them until all streams are full.
async fn empty_messages(streams: usize, messages: usize) {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    // As much as all of them may leave unread is all that a connection has by default; the call beside
    // them needs some too.
    let config = ServerConfig {
        http2: Http2Config {
            connection_window: 32 * 1024 * 1024,
            ..Http2Config::default()
        },
        ..ServerConfig::default()
    };
    let address = tcp_server(probe, config).await;
    let client = Client::tcp(address).await;
    let mut calls = JoinSet::new();
    let mut begun = Vec::new();
    for _ in 0..streams {
        begun.push(client.start("Gate", &[]).await);
    }
    seen.wait_for("all handlers run", |seen| seen.running() == streams)
        .await;
    for mut call in begun {
        calls.spawn(async move {
            for _ in 0..messages {
                call.send_bytes(Bytes::from_static(&[0; 5])).await;
            }
            call.finish_patiently().await
        });
    }
    assert_alive(&client).await;
    while !calls.is_empty() {
        seen.gate.notify_one();
        let answer = calls.join_next().await.unwrap().unwrap();
        assert_eq!(answer.messages, [messages.to_string()], "{answer:?}");
    }
    assert_alive(&client).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p269_thousands_of_calls_cancelled_after_their_first_message() {
    const AT_ONCE: usize = 500;
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let address = tcp_server(probe, ServerConfig::default()).await;
    let client = client_of(address).await;
    let bursts = count(40, 4);
    for _ in 0..bursts {
        let mut calls = Vec::new();
        for _ in 0..AT_ONCE {
            let mut call = client.start("Begin", &[]).await;
            call.send_message("and on").await;
            calls.push(call);
        }
        for mut call in calls {
            let mut body = (&mut call.response).await.unwrap().into_body();
            assert!(body.data().await.unwrap().is_ok());
            call.send.send_reset(h2::Reason::CANCEL);
        }
        seen.wait_for("all handlers are dropped", |seen| seen.running() == 0)
            .await;
    }
    assert_eq!(seen.begun(), bursts * AT_ONCE);
    assert_alive(&client).await;
}

/// Makes a call that is answered, and nothing ends the connection before.
async fn assert_answered(peer: &mut RawPeer<TcpStream>, stream: u32) {
    let mut echo = frame(HEADERS, END_HEADERS, stream, &request_block("Echo"));
    echo.extend(frame(DATA, END_STREAM, stream, &encoded("hello")));
    peer.write(&echo).await;
    loop {
        let frame = peer.frame().await.expect("an answer");
        assert_ne!(frame.kind, GOAWAY, "{frame:?}");
        if frame.stream == stream && frame.flags & END_STREAM != 0 {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p269_5000_calls_cancelled_before_the_response() {
    let address = tcp_server(Probe::default(), ServerConfig::default()).await;
    let mut peer = RawPeer::begin(connect(address).await).await;
    let mut streams = (0..).map(|number| number * 2 + 1);
    // In bursts of less than may be open at once.
    for _ in 0..10 {
        let mut burst = Vec::new();
        for stream in streams.by_ref().take(500) {
            burst.extend(frame(HEADERS, END_HEADERS, stream, &request_block("Never")));
            burst.extend(frame(DATA, 0, stream, &encoded("never read")));
            burst.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        }
        peer.write(&burst).await;
        assert_answered(&mut peer, streams.next().unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p269_5000_calls_answered_early_whose_messages_go_on() {
    let address = tcp_server(Probe::default(), ServerConfig::default()).await;
    let mut peer = RawPeer::begin(connect(address).await).await;
    for number in 0..5_000 {
        let stream = number * 2 + 1;
        let mut call = frame(HEADERS, END_HEADERS, stream, &request_block("Refuse"));
        call.extend(frame(DATA, 0, stream, &encoded("early")));
        peer.write(&call).await;
        let end = peer.frame_on(stream).await.expect("an answer");
        assert_eq!((end.kind, end.flags & END_STREAM), (HEADERS, END_STREAM));
        let mut late = frame(DATA, 0, stream, &encoded("late"));
        late.extend(frame(DATA, END_STREAM, stream, &encoded("later")));
        peer.write(&late).await;
    }
    assert_answered(&mut peer, 1_000_001).await;
}

#[cfg(feature = "gzip")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_bombs_at_once_harm_nobody() {
    use std::io::Write;

    use barewire::wire::framing::{RawMessage, encode_message};
    use flate2::Compression;
    use flate2::write::GzEncoder;

    // As large as a message may be, and four bytes more than that.
    let limit = 4 * 1024 * 1024;
    let bombs = [limit, limit + 4].map(|length| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let text = "0".repeat(length - 5);
        let message = prost::Message::encode_to_vec(&text);
        encoder.write_all(&message).unwrap();
        let body = encoder.finish().unwrap().into();
        let compressed = true;
        encode_message(&RawMessage { compressed, body }).unwrap()
    });
    let address = tcp_server(Probe::default(), ServerConfig::default()).await;
    let (bomber, canary) = (Client::tcp(address).await, Client::tcp(address).await);
    let mut calls = JoinSet::new();
    for number in 0..100 {
        let (bomber, bomb) = (bomber.clone(), bombs[number % 2].clone());
        calls.spawn(async move {
            let mut call = bomber.start("Sum", &[("grpc-encoding", "gzip")]).await;
            call.send_bytes(bomb).await;
            (number % 2, call.finish_patiently().await)
        });
    }
    while !calls.is_empty() {
        assert_alive(&canary).await;
        while let Some(ended) = calls.try_join_next() {
            let (kind, answer) = ended.unwrap();
            let expected = if kind == 0 { "0" } else { "8" };
            assert_eq!(answer.code(), Some(expected), "{answer:?}");
        }
    }
    assert_alive(&bomber).await;
}

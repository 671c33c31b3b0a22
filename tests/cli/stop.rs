//! How a server ends.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use crate::process::{Serving, request, say_hello};
use crate::support::{Client, PATIENCE, connect};
use crate::tokio;

/// A chat that the server has answered once, and that goes on.
async fn chat(client: &Client) -> (h2::SendStream<Bytes>, h2::RecvStream) {
    let mut call = client
        .send_request(request("/chat.ChatService/Chat", &[]), false)
        .await;
    call.send_message("hi").await;
    let mut body = call.response.await.unwrap().into_body();
    body.data().await.unwrap().unwrap();
    (call.send, body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_and_sigterm_end_it_well() {
    for signal in ["INT", "TERM"] {
        let serving = Serving::on_a_free_port(&[]);
        let client = serving.client().await;
        assert_eq!(say_hello(&client).await.code(), Some("0"));
        serving.signal(signal);
        assert_eq!(
            serving.line(),
            "draining: calls have 30 s to end; a second signal stops at once"
        );
        assert_eq!(serving.exit_code(), Some(0), "{signal}");
        let line = serving.line();
        assert!(line.ends_with("; every call has ended"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_with_the_limits_that_were_hit() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let serving = Serving::on_a_free_port(&[]);
    for _ in 0..2 {
        let mut io = connect(serving.addresses[0]).await;
        io.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        io.read_to_end(&mut Vec::new()).await.unwrap();
    }
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    let lines: Vec<String> = (0..4).map(|_| serving.line()).collect();
    assert_eq!(lines[2..], ["limits that were hit", "  not_http2_http1 2"]);
    // One line tells of all that come within ten seconds.
    let warnings: Vec<String> = serving.stderr.iter().collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("WARN not HTTP/2"), "{warnings:?}");
}

/// The log has a line for each call, too.
fn wait_for_warnings(serving: &Serving, count: usize) {
    for _ in 0..count {
        while !serving
            .stderr
            .recv_timeout(PATIENCE)
            .expect("a warning")
            .contains("cannot accept")
        {}
    }
}

/// What the server has spent of the processors' time; `None` where the system does not say.
fn processor_time(serving: &Serving) -> Option<Duration> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let stat = fs::read_to_string(format!("/proc/{}/stat", serving.pid)).unwrap();
    // The name of the program, in parentheses, is the second field; times are the 14th and 15th, in
    // hundredths of a second.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let times = fields.split_whitespace().skip(11).take(2);
    let hundredths: u64 = times.map(|time| time.parse::<u64>().unwrap()).sum();
    Some(Duration::from_millis(hundredths * 10))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_descriptors_waits_until_it_has_some() {
    let serving = Serving::with_descriptors(64);
    let client = serving.client().await;
    assert_eq!(say_hello(&client).await.code(), Some("0"));
    let mut others = Vec::new();
    for _ in 0..200 {
        // Those for which the listener has no place are not connected, and tried again by the system.
        let connect = timeout(PATIENCE, connect(serving.addresses[0]));
        others.push(connect.await.expect("a place in the queue"));
    }
    // It waits longer and longer, up to a second: ten times take it two seconds and a half.
    wait_for_warnings(&serving, 1);
    let before = processor_time(&serving);
    wait_for_warnings(&serving, 9);
    if let Some((before, after)) = before.zip(processor_time(&serving)) {
        let spent = after - before;
        assert!(spent < Duration::from_millis(250), "{spent:?}");
    }
    // Who is connected is served meanwhile, and others are as soon as there is room.
    assert_eq!(say_hello(&client).await.code(), Some("0"));
    drop(others);
    let late = async { say_hello(&serving.client().await).await };
    // The longest pause is a second.
    let late = timeout(Duration::from_secs(5), late).await;
    assert_eq!(late.expect("a place soon").code(), Some("0"));
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    let lines: Vec<String> = serving.stdout.iter().collect();
    let counted = lines
        .iter()
        .any(|line| line.starts_with("  accept_backoff "));
    assert!(counted, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_takes_all_the_descriptors_that_it_may_have() {
    let serving = Serving::with_descriptors_up_to(64, 4_096);
    let mut clients = Vec::new();
    for number in 0..200 {
        let client = serving.client().await;
        assert_eq!(say_hello(&client).await.code(), Some("0"), "{number}");
        clients.push(client);
    }
    for client in &clients {
        assert_eq!(say_hello(client).await.code(), Some("0"));
    }
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    let lines: Vec<String> = serving.stdout.iter().collect();
    let missed = lines.iter().any(|line| line.contains("accept_backoff"));
    assert!(!missed, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_may_end_while_the_server_drains() {
    let serving = Serving::on_a_free_port(&[]);
    let (mut send, mut body) = chat(&serving.client().await).await;
    serving.signal("TERM");
    serving.line();
    send.send_data(crate::support::encoded("bye"), true)
        .unwrap();
    let mut text = Vec::new();
    while let Some(chunk) = body.data().await {
        text.extend(chunk.unwrap());
    }
    assert_eq!(text, crate::support::encoded("You said: bye"));
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(serving.exit_code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    for (first, second, code) in [
        ("TERM", "TERM", 143),
        ("INT", "INT", 130),
        ("TERM", "INT", 130),
    ] {
        let serving = Serving::on_a_free_port(&[]);
        let _call = chat(&serving.client().await).await;
        serving.signal(first);
        serving.line();
        serving.signal(second);
        assert_eq!(serving.exit_code(), Some(code), "{first} {second}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_do_not_end_in_time_are_cut_and_named() {
    let serving = Serving::on_a_free_port(&["--drain-timeout", "0.2"]);
    let call = chat(&serving.client().await).await;
    serving.signal("TERM");
    assert_eq!(
        serving.line(),
        "draining: calls have 0.2 s to end; a second signal stops at once"
    );
    assert_eq!(serving.exit_code(), Some(0));
    let line = serving.line();
    assert!(line.ends_with("; 1 call was cut"), "{line}");
    let line = serving.line();
    assert!(
        line.starts_with("  /chat.ChatService/Chat from 127.0.0.1:"),
        "{line}"
    );
    drop(call);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_when_nobody_listens_to_it_any_more() {
    let mut serving = Serving::with_stderr(&["--addr", "127.0.0.1:0"], |stderr| {
        drop(stderr);
        std::sync::mpsc::channel().1
    });
    // The thread that reads ends with its next line, which is the first after the start.
    serving.stdout = std::sync::mpsc::channel().1;
    let client = serving.client().await;
    for _ in 0..3 {
        assert_eq!(say_hello(&client).await.code(), Some("0"));
    }
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
}

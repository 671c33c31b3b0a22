//! The line that each call leaves.

use std::io::{BufRead, BufReader};
use std::sync::mpsc::channel;

use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::process::{Serving, call, say_hello};
use crate::support::{Client, PATIENCE};
use crate::tokio;

/// A client, and its own address, which the server logs.
async fn client(serving: &Serving) -> (Client, String) {
    let io = TcpStream::connect(serving.addresses[0]).await.unwrap();
    let address = io.local_addr().unwrap().to_string();
    (Client::over(io).await, address)
}

/// Calls of each kind that the log tells apart.
async fn some_calls(client: &Client) {
    assert_eq!(say_hello(client).await.code(), Some("0"));
    let ten = call(client, "/helloworld.Greeter/SayHelloStreamReply", &[]).await;
    assert_eq!(ten.messages.len(), 10);
    let unknown = call(client, "/helloworld.Greeter/\u{9b}2J", &[]).await;
    assert_eq!(unknown.code(), Some("12"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_text_a_call_is_a_line_for_people() {
    let serving = Serving::on_a_free_port(&[]);
    let (client, address) = client(&serving).await;
    some_calls(&client).await;
    let lines = serving.stop();
    let expected = [
        // A name of three letters is a message of five bytes behind a prefix of five.
        (
            "/helloworld.Greeter/SayHello OK ",
            format!(" ms in 1 msg 10 B out 1 msg 18 B from {address}"),
        ),
        (
            "/helloworld.Greeter/SayHelloStreamReply OK ",
            format!(" ms in 1 msg 10 B out 10 msg 270 B from {address}"),
        ),
        // What would clear a terminal does not get there.
        (
            "/helloworld.Greeter/\\u{9b}2J UNIMPLEMENTED ",
            format!(" B out 0 msg 0 B from {address}"),
        ),
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, (start, end)) in lines.iter().zip(&expected) {
        assert!(line.starts_with(start) && line.ends_with(end), "{line}");
        let milliseconds = line[start.len()..].split(' ').next().unwrap();
        assert!(milliseconds.parse::<f64>().unwrap() > 0.0, "{line}");
        assert_eq!(milliseconds.split_once('.').unwrap().1.len(), 3, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_json_a_call_is_an_object_on_a_line() {
    let serving = Serving::on_a_free_port(&["--log", "json"]);
    let (client, address) = client(&serving).await;
    some_calls(&client).await;
    let lines = serving.stop();
    let objects: Vec<_> = lines
        .iter()
        .map(|line| {
            let mut object: Value = serde_json::from_str(line).unwrap();
            let duration = object.as_object_mut().unwrap().remove("duration_ms");
            assert!(duration.unwrap().as_f64().unwrap() > 0.0, "{line}");
            object
        })
        .collect();
    let line = |method: &str, code: &str, bytes_in: u64, (messages_out, bytes_out): (u64, u64)| {
        json!({
            "method": format!("/helloworld.Greeter/{method}"), "code": code,
            "messages_in": u64::from(code == "OK"), "bytes_in": bytes_in,
            "messages_out": messages_out, "bytes_out": bytes_out,
            "peer": address,
        })
    };
    assert_eq!(objects[0], line("SayHello", "OK", 10, (1, 18)));
    assert_eq!(objects[1], line("SayHelloStreamReply", "OK", 10, (10, 270)));
    assert_eq!(objects[2]["code"], "UNIMPLEMENTED");
    assert_eq!(objects[2]["method"], "/helloworld.Greeter/\u{9b}2J");
    assert_eq!(objects.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_may_be_no_log() {
    let serving = Serving::on_a_free_port(&["--log", "none"]);
    some_calls(&serving.client().await).await;
    assert_eq!(serving.stop(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_holds_nothing_up_and_counts_what_it_loses() {
    let (hand_over, stderr) = channel();
    let serving = Serving::with_stderr(&["--addr", "127.0.0.1:0"], |stderr| {
        hand_over.send(stderr).unwrap();
        channel().1
    });
    let client = serving.client().await;
    // Lines of 8 KB: a pipe takes some, the buffer a megabyte.
    let long = format!("/nobody.Here/{}", "x".repeat(8_000));
    for _ in 0..250 {
        assert_eq!(call(&client, &long, &[]).await.code(), Some("12"));
    }
    // Now somebody reads.
    let mut lines = BufReader::new(stderr.recv_timeout(PATIENCE).unwrap())
        .lines()
        .map(Result::unwrap);
    let mut whole = 0;
    let lost = loop {
        let line = lines.next().expect("the count of what was lost");
        match line.strip_suffix(" lines left out: they came faster than they were read)") {
            Some(lost) => break lost[1..].parse::<usize>().unwrap(),
            None => whole += usize::from(line.starts_with(&long)),
        }
    };
    assert!(lost > 0 && whole > 128, "{whole} whole, {lost} lost");
    assert_eq!(whole + lost, 250);
    // And the log goes on.
    assert_eq!(say_hello(&client).await.code(), Some("0"));
    let line = lines.next().unwrap();
    assert!(
        line.starts_with("/helloworld.Greeter/SayHello OK "),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_does_not_keep_the_server_from_ending() {
    let (hand_over, stderr) = channel();
    let serving = Serving::with_stderr(&["--addr", "127.0.0.1:0"], |stderr| {
        hand_over.send(stderr).unwrap();
        channel().1
    });
    let client = serving.client().await;
    let long = format!("/nobody.Here/{}", "x".repeat(8_000));
    for _ in 0..50 {
        assert_eq!(call(&client, &long, &[]).await.code(), Some("12"));
    }
    serving.signal("TERM");
    assert_eq!(serving.exit_code(), Some(0));
    drop(stderr);
}

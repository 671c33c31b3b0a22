//! The four kinds of call, on a pipe to a real server.

use std::time::Duration;

use barewire::{Channel, Code, Inbound, MethodPath, Outbound, Request, Response, Server};
use tokio::time::Instant;

use crate::support::{PATIENCE, Probe};
use crate::tokio;

/// A channel to a server with the probe.
pub fn channel(probe: Probe) -> Channel {
    let (client, server) = tokio::io::duplex(64 * 1024);
    tokio::spawn(Server::new().add(probe).serve_io(server));
    Channel::over(client)
}

pub fn path(method: &'static str) -> MethodPath {
    MethodPath::from_static(Box::leak(format!("/test.Probe/{method}").into_boxed_str()))
}

async fn all(mut inbound: Inbound<String>) -> Vec<String> {
    let mut messages = Vec::new();
    while let Some(message) = inbound.next().await.unwrap() {
        messages.push(message);
    }
    messages
}

#[tokio::test]
async fn one_message_is_answered_by_one() {
    let channel = channel(Probe::default());
    for _ in 0..3 {
        let answer: Response<String> = channel
            .unary(path("Echo"), "hello".to_owned())
            .await
            .unwrap();
        assert_eq!(answer.message, "hello");
    }
}

#[tokio::test]
async fn one_message_is_answered_by_many() {
    let channel = channel(Probe::default());
    let answers = channel
        .server_streaming(path("Count"), "3".to_owned())
        .await
        .unwrap();
    assert_eq!(all(answers).await, ["0", "1", "2"]);
}

#[tokio::test]
async fn many_messages_are_answered_by_one() {
    let channel = channel(Probe::default());
    let (mut out, summary): (Outbound<String>, Inbound<String>) =
        channel.client_streaming(path("Sum"), ()).await.unwrap();
    for word in ["a", "bc", "def"] {
        out.send(word.to_owned()).await.unwrap();
    }
    out.finish().unwrap();
    assert_eq!(summary.single().await.unwrap().message, "3 6");
}

#[tokio::test]
async fn two_streams_go_side_by_side() {
    let channel = channel(Probe::default());
    let (mut out, mut back): (Outbound<String>, Inbound<String>) =
        channel.bidi(path("Chat"), ()).await.unwrap();
    for word in ["a", "b"] {
        out.send(word.to_owned()).await.unwrap();
        assert_eq!(back.next().await.unwrap().as_deref(), Some(word));
    }
    out.finish().unwrap();
    assert_eq!(back.next().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn p124_a_deadline_ends_the_call_and_the_server_s_handler() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let channel = channel(probe);
    let start = Instant::now();
    let request = Request::new("x".to_owned()).with_timeout(Duration::from_secs(5));
    let status = channel
        .unary::<String, String>(path("Never"), request)
        .await
        .unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    assert!(
        start.elapsed() < Duration::from_millis(5100),
        "{:?}",
        start.elapsed()
    );
    seen.wait_for("the handler ends", |seen| seen.running() == 0)
        .await;
}

#[tokio::test]
async fn a_thousand_calls_share_a_connection() {
    let channel = channel(Probe::default());
    let calls: Vec<_> = (0..1000)
        .map(|number: i32| {
            let channel = channel.clone();
            tokio::spawn(async move {
                let answer: Response<String> = channel
                    .unary(path("Echo"), number.to_string())
                    .await
                    .unwrap();
                assert_eq!(answer.message, number.to_string());
            })
        })
        .collect();
    for call in calls {
        tokio::time::timeout(PATIENCE, call).await.unwrap().unwrap();
    }
}

//! Deadlines, under a clock that the tests move.

use std::time::Duration;

use barewire::ServerConfig;
use tokio::time::Instant;

use crate::support::{Client, Probe, piped_server};
use crate::tokio;

async fn client_and_probe() -> (Client, Probe) {
    let probe = Probe::default();
    (
        Client::over(piped_server(probe.clone(), ServerConfig::default())).await,
        probe,
    )
}

#[tokio::test(start_paused = true)]
async fn p127_a_handler_that_waits_is_dropped_at_the_deadline() {
    let (client, probe) = client_and_probe().await;
    let start = Instant::now();
    let mut call = client.start("Slow", &[("grpc-timeout", "300m")]).await;
    call.send_message("x").await;
    let answer = call.finish().await;
    assert_eq!(answer.code(), Some("4"));
    assert!(answer.trailers_only);
    let taken = start.elapsed();
    assert!((300..350).contains(&taken.as_millis()), "{taken:?}");
    assert_eq!(probe.seen.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn p127_a_deadline_covers_a_stream_that_has_begun() {
    let (client, probe) = client_and_probe().await;
    let start = Instant::now();
    let call = client.start("Begin", &[("grpc-timeout", "2S")]).await;
    let answer = call.finish().await;
    assert_eq!(answer.messages, ["begun"]);
    assert_eq!(answer.code(), Some("4"));
    assert_eq!(start.elapsed().as_secs(), 2);
    assert_eq!(probe.seen.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn p127_a_deadline_covers_the_wait_for_requests() {
    let (client, probe) = client_and_probe().await;
    let mut call = client.start("Sum", &[("grpc-timeout", "1S")]).await;
    call.send_message("one, and then none").await;
    // The request never ends.
    let answer = call.answer().await;
    assert_eq!(answer.code(), Some("4"));
    assert_eq!(probe.seen.running(), 0);
}

#[tokio::test(start_paused = true)]
async fn d10_a_deadline_that_cuts_a_message_resets_the_stream() {
    let (client, probe) = client_and_probe().await;
    let mut call = client.start("Flood", &[("grpc-timeout", "1S")]).await;
    // Nothing is read, so messages are stuck half-way in the window.
    let response = (&mut call.response).await.unwrap();
    probe
        .seen
        .wait_for("the handler is dropped", |seen| seen.running() == 0)
        .await;
    let mut body = response.into_body();
    let reset = loop {
        match body.data().await {
            Some(Ok(chunk)) => body.flow_control().release_capacity(chunk.len()).unwrap(),
            Some(Err(error)) => break error.reason(),
            None => break None,
        }
    };
    assert_eq!(reset, Some(h2::Reason::CANCEL));
}

#[tokio::test(start_paused = true)]
async fn p037_a_deadline_of_zero_runs_no_handler() {
    let (client, probe) = client_and_probe().await;
    for timeout in ["0n", "0S", "00000000m"] {
        let answer = client
            .start("Slow", &[("grpc-timeout", timeout)])
            .await
            .finish()
            .await;
        assert_eq!(answer.code(), Some("4"), "{timeout}");
    }
    assert_eq!(probe.seen.begun(), 0);
}

#[tokio::test(start_paused = true)]
async fn p038_the_longest_timeout_is_no_fault() {
    let (client, _) = client_and_probe().await;
    let mut call = client.start("Echo", &[("grpc-timeout", "99999999H")]).await;
    call.send_message("hello").await;
    assert_eq!(call.finish().await.messages, ["hello"]);
}

#[tokio::test(start_paused = true)]
async fn p036_a_malformed_timeout_is_internal_and_runs_no_handler() {
    let (client, probe) = client_and_probe().await;
    for timeout in [
        "",
        "1",
        "S",
        "123456789S",
        "+1S",
        "1 S",
        "1.5S",
        "1s",
        "-1S",
    ] {
        let answer = client
            .start("Echo", &[("grpc-timeout", timeout)])
            .await
            .finish()
            .await;
        assert_eq!(answer.code(), Some("13"), "{timeout:?}: {answer:?}");
    }
    assert_eq!(probe.seen.begun(), 0);
}

#[tokio::test(start_paused = true)]
async fn p039_without_a_timeout_a_handler_may_take_for_ever() {
    let (client, probe) = client_and_probe().await;
    let mut call = client.start("Slow", &[]).await;
    call.send_message("x").await;
    let waiting = tokio::spawn(call.finish());
    probe
        .seen
        .wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    probe.seen.gate.notify_one();
    assert_eq!(waiting.await.unwrap().messages, ["x"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_never_comes_ends_with_deadline_exceeded() {
    let config = ServerConfig {
        request_read_timeout: Duration::from_secs(7),
        ..ServerConfig::default()
    };
    let client = Client::over(piped_server(Probe::default(), config)).await;
    let start = Instant::now();
    let answer = client.start("Echo", &[]).await.answer().await;
    assert_eq!(answer.code(), Some("4"));
    assert_eq!(start.elapsed().as_secs(), 7);
}

//! The two halves of a stream: what one learns when only the other is looked after.

use barewire::{Channel, ChannelConfig, Code, Inbound, Outbound, ServerConfig};

use crate::raw_server::within;
use crate::shapes::{channel, path};
use crate::support::{Probe, tcp_server};
use crate::tokio;

#[tokio::test]
async fn a_sender_that_never_reads_learns_that_the_call_has_ended() {
    let channel = channel(Probe::default());
    let (mut out, mut back): (Outbound<String>, Inbound<String>) =
        channel.bidi(path("Refuse"), ()).await.unwrap();
    // The server drops what comes for a second, and says then that it takes no more.
    let status = within(async {
        loop {
            if let Err(status) = out.send("x".repeat(1000)).await {
                break status;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(status.code, Code::PermissionDenied, "{status}");
    assert_eq!(back.next().await.unwrap_err(), status);
}

#[tokio::test]
async fn p075_a_message_over_the_limit_ends_the_call() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let server = tcp_server(probe, ServerConfig::default()).await;
    let config = ChannelConfig {
        max_send_message: 100,
        ..ChannelConfig::default()
    };
    let channel = Channel::with_config(&format!("http://{server}"), config).unwrap();
    let (mut out, mut back): (Outbound<String>, Inbound<String>) =
        channel.bidi(path("Chat"), ()).await.unwrap();
    out.send("short".to_owned()).await.unwrap();
    assert!(back.next().await.unwrap().is_some());
    let status = out.send("x".repeat(100)).await.unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted);
    assert_eq!(back.next().await.unwrap_err(), status);
    seen.wait_for("the handler ends", |seen| seen.running() == 0)
        .await;
}

#[tokio::test]
async fn headers_that_came_stay_when_the_call_fails() {
    let channel = channel(Probe::default());
    let (_out, mut back): (Outbound<String>, Inbound<String>) =
        channel.bidi(path("Fail"), ()).await.unwrap();
    while back.next().await.is_ok() {}
    back.headers().await.unwrap();
}

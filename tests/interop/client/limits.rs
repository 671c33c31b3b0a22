//! A server that takes few calls at a time: the others wait their turn.

use std::collections::HashSet;
use std::time::Duration;

use barewire::{Channel, ChannelConfig, Code};
use tokio::task::JoinSet;

use super::script::{Scripted, hang, headers, wait};
use super::{Case, Site};
use crate::printed::control::{ControlClient, Message};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(fifty_calls_one_at_a_time),
        Case::new(fifty_calls_on_as_many_connections_as_it_takes),
        Case::new(who_waits_for_a_turn_has_a_deadline),
        Case::new(who_does_not_wait_any_more_takes_no_turn),
    ]
}

const ONE_AT_A_TIME: &[&str] = &["--option", "grpc.max_concurrent_streams=1"];

fn one_connection() -> ChannelConfig {
    ChannelConfig {
        max_connections_per_address: 1,
        ..ChannelConfig::default()
    }
}

async fn fifty_calls(channel: &Channel) -> HashSet<String> {
    let scripted = Scripted::new([wait(5)]);
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let control = ControlClient::new(channel.clone());
        let request = scripted.request(Message::default());
        calls.spawn(async move { control.unary(request).await.unwrap() });
    }
    while let Some(ended) = calls.join_next().await {
        ended.unwrap();
    }
    let seen = scripted.calls(channel).await;
    assert_eq!(seen.len(), 50);
    seen.into_iter().map(|call| call.peer).collect()
}

async fn fifty_calls_one_at_a_time(site: &Site) {
    let server = site.start(ONE_AT_A_TIME);
    let channel = Channel::with_config(&server.target(), one_connection()).unwrap();
    // They all come at once, when nobody knows the limit yet.
    let peers = fifty_calls(&channel).await;
    assert_eq!(peers.len(), 1, "{peers:?}");
    let peers = fifty_calls(&channel).await;
    assert_eq!(peers.len(), 1, "{peers:?}");
}

async fn fifty_calls_on_as_many_connections_as_it_takes(site: &Site) {
    let server = site.start(ONE_AT_A_TIME);
    let channel = Channel::connect(&server.target()).await.unwrap();
    fifty_calls(&channel).await;
}

async fn who_waits_for_a_turn_has_a_deadline(site: &Site) {
    let server = site.start(ONE_AT_A_TIME);
    let channel = Channel::with_config(&server.target(), one_connection()).unwrap();
    let control = ControlClient::new(channel.clone());
    let first = Scripted::new([headers(), hang()]);
    let (_outbound, mut inbound) = control.bidi(first.request(())).await.unwrap();
    inbound.headers().await.unwrap();

    let second = Scripted::new([]);
    let request = second
        .request(Message::default())
        .with_timeout(Duration::from_millis(300));
    let status = control.unary(request).await.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    drop(inbound);
    // It is the next one's turn, and the one that gave up has not come.
    assert_eq!(second.calls(&channel).await, []);
}

async fn who_does_not_wait_any_more_takes_no_turn(site: &Site) {
    let server = site.start(ONE_AT_A_TIME);
    let channel = Channel::with_config(&server.target(), one_connection()).unwrap();
    let control = ControlClient::new(channel.clone());
    let first = Scripted::new([headers(), hang()]);
    let (_outbound, mut inbound) = control.bidi(first.request(())).await.unwrap();
    inbound.headers().await.unwrap();

    let impatient = Scripted::new([]);
    let mut waiting = JoinSet::new();
    for _ in 0..20 {
        let control = ControlClient::new(channel.clone());
        let request = impatient.request(Message::default());
        waiting.spawn(async move { control.unary(request).await });
    }
    tokio::task::yield_now().await;
    waiting.shutdown().await;
    drop(inbound);
    let calls = impatient.calls(&channel).await;
    assert_eq!(calls, []);
}

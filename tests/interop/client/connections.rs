//! Servers that start late, stop, are killed, come back, or close connections as they grow old. A
//! channel finds its way.

use std::collections::HashSet;
use std::time::Duration;

use barewire::{Balancing, Channel, ChannelConfig, Code, ConnectivityState, Origin, Request};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::script::{Scripted, answer, echo, hang, headers, wait};
use super::site::Setup;
use super::tap::Tap;
use super::{Case, Site};
use crate::printed::control::{ControlClient, Message};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(a_server_killed_in_the_middle_of_calls),
        Case::new(a_server_killed_again_and_again),
        Case::new(a_connection_that_is_cut),
        Case::new(a_server_that_stops_finishes_its_calls),
        Case::new(a_server_that_starts_late),
        Case::new(a_server_that_never_starts),
        Case::new(a_server_that_does_not_want_old_connections).within(60),
        Case::new(a_server_that_cuts_old_connections),
        Case::new(a_server_that_does_not_want_idle_connections),
        Case::new(one_of_two_addresses_is_dead),
        Case::new(a_name_is_looked_up),
        Case::new(calls_go_round),
        Case::new(a_killed_backend_leaves_the_round_and_comes_back),
    ]
}

/// A call that waits until there is a server.
async fn answers(channel: &Channel) {
    let control = ControlClient::new(channel.clone());
    let request = Request::new(Message::default())
        .with_wait_for_ready(true)
        .with_timeout(Duration::from_secs(20));
    control.unary(request).await.unwrap();
}

/// Waits until the channel has left this state.
async fn leaves(channel: &Channel, state: ConnectivityState) {
    while channel.state() == state {
        channel.state_changed(state).await;
    }
}

/// Waits until the channel is in this state.
async fn becomes(channel: &Channel, wanted: ConnectivityState) {
    loop {
        let state = channel.state();
        if state == wanted {
            return;
        }
        channel.state_changed(state).await;
    }
}

async fn a_server_killed_in_the_middle_of_calls(site: &Site) {
    let mut server = site.start(&[]);
    let channel = Channel::connect(&server.target()).await.unwrap();
    let control = ControlClient::new(channel.clone());
    let silent = Scripted::new([hang()]);
    let begun = Scripted::new([headers(), hang()]);
    let answered = Scripted::new([answer(10), hang()]);

    let mut calls = JoinSet::new();
    for _ in 0..5 {
        for scripted in [&silent, &begun, &answered] {
            let (control, request) = (control.clone(), scripted.request(Message::default()));
            calls.spawn(async move { control.unary(request).await.unwrap_err() });
            let (control, request) = (ControlClient::new(channel.clone()), scripted.request(()));
            calls.spawn(async move {
                let (_outbound, mut inbound) = control.bidi(request).await.unwrap();
                loop {
                    match inbound.next().await {
                        Ok(answer) => assert!(answer.is_some(), "a cut stream is no whole one"),
                        Err(status) => return status,
                    }
                }
            });
        }
    }
    for scripted in [&silent, &begun, &answered] {
        scripted.begun(&channel, 10).await;
    }
    server.kill();
    while let Some(status) = calls.join_next().await {
        let status = status.unwrap();
        assert_eq!(
            (status.code, status.origin),
            (Code::Unavailable, Origin::Local),
            "{status}"
        );
    }

    // Nobody is there.
    let status = control.unary(Message::default()).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert!(status.message.contains(&server.address()), "{status}");
    server.start();
    answers(&channel).await;
}

async fn a_server_killed_again_and_again(site: &Site) {
    let mut server = site.start(&[]);
    let channel = Channel::connect(&server.target()).await.unwrap();
    let control = ControlClient::new(channel.clone());
    for _ in 0..4 {
        control.unary(Message::default()).await.unwrap();
        server.kill();
        // It is back before the channel misses it, or after.
        server.start();
        answers(&channel).await;
    }
}

async fn a_connection_that_is_cut(site: &Site) {
    let tap = Tap::to(site.address(Setup::Plain)).await;
    let channel = Channel::connect(&tap.target()).await.unwrap();
    let control = ControlClient::new(channel.clone());
    for _ in 0..3 {
        let scripted = Scripted::new([answer(10), hang()]);
        let (_outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
        assert!(inbound.next().await.unwrap().is_some());
        tap.cut();
        let status = inbound.next().await.unwrap_err();
        assert_eq!(
            (status.code, status.origin),
            (Code::Unavailable, Origin::Local),
            "{status}"
        );
        answers(&channel).await;
    }
}

async fn a_server_that_stops_finishes_its_calls(site: &Site) {
    let mut server = site.start(&[]);
    let channel = Channel::connect(&server.target()).await.unwrap();
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([echo()]);
    let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    outbound.send(Message::default()).await.unwrap();
    assert!(inbound.next().await.unwrap().is_some());

    server.stop();
    // GOAWAY has come: the channel has no connection for new calls, and this one goes on.
    leaves(&channel, ConnectivityState::Ready).await;
    for _ in 0..10 {
        outbound.send(Message::default()).await.unwrap();
        assert!(inbound.next().await.unwrap().is_some());
    }
    outbound.finish().unwrap();
    assert_eq!(inbound.next().await.unwrap(), None);
    assert!(server.ended().success());

    server.start();
    answers(&channel).await;
}

async fn a_server_that_starts_late(site: &Site) {
    let mut server = site.later(&[]);
    let channel = Channel::lazy(&server.target()).unwrap();
    assert_eq!(channel.state(), ConnectivityState::Idle);
    let control = ControlClient::new(channel.clone());

    let mut waiting = JoinSet::new();
    for _ in 0..10 {
        let channel = channel.clone();
        waiting.spawn(async move { answers(&channel).await });
    }
    becomes(&channel, ConnectivityState::TransientFailure).await;
    // Who does not want to wait is told at once, and told where nobody is.
    let status = control.unary(Message::default()).await.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::Unavailable, Origin::Local)
    );
    assert!(status.message.contains(&server.address()), "{status}");
    assert!(status.unprocessed);

    server.start();
    while let Some(ended) = waiting.join_next().await {
        ended.unwrap();
    }
    assert_eq!(channel.state(), ConnectivityState::Ready);
}

async fn a_server_that_never_starts(site: &Site) {
    let server = site.later(&[]);
    let status = Channel::connect(&server.target()).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert!(status.message.contains(&server.address()), "{status}");

    let channel = Channel::lazy(&server.target()).unwrap();
    let began_at = Instant::now();
    let request = Request::new(Message::default())
        .with_wait_for_ready(true)
        .with_timeout(Duration::from_millis(500));
    let status = ControlClient::new(channel)
        .unary(request)
        .await
        .unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::DeadlineExceeded, Origin::Local)
    );
    // What it waited for, and why in vain.
    assert!(status.message.contains(&server.address()), "{status}");
    assert!(began_at.elapsed() >= Duration::from_millis(500));
}

async fn a_server_that_does_not_want_old_connections(site: &Site) {
    let server = site.start(&["--option", "grpc.max_connection_age_ms=300"]);
    let channel = Channel::connect(&server.target()).await.unwrap();
    let until = Instant::now() + Duration::from_secs(5);

    let quick = Scripted::new([wait(3)]);
    let slow = Scripted::new([answer(1), wait(700), answer(1)]);
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let control = ControlClient::new(channel.clone());
        let request = {
            let id = quick.request(()).metadata;
            move || Request::new(Message::default()).with_metadata(id.clone())
        };
        callers.spawn(async move {
            let mut calls = 0;
            while Instant::now() < until {
                control.unary(request()).await.unwrap();
                calls += 1;
            }
            calls
        });
    }
    // Calls that are longer than any connection is young.
    for _ in 0..4 {
        let control = ControlClient::new(channel.clone());
        let metadata = slow.request(()).metadata;
        callers.spawn(async move {
            let mut calls = 0;
            while Instant::now() < until {
                let request = Request::new(()).with_metadata(metadata.clone());
                let (mut outbound, mut inbound) = control.bidi(request).await.unwrap();
                outbound.finish().unwrap();
                assert!(inbound.next().await.unwrap().is_some());
                assert!(inbound.next().await.unwrap().is_some());
                assert_eq!(inbound.next().await.unwrap(), None);
                calls += 1;
            }
            calls
        });
    }
    let mut calls = 0;
    while let Some(count) = callers.join_next().await {
        calls += count.unwrap();
    }
    assert!(calls > 100, "only {calls} calls in five seconds");

    let seen = [quick.calls(&channel).await, slow.calls(&channel).await].concat();
    assert_eq!(seen.len(), calls, "each call came once");
    let peers: HashSet<&str> = seen.iter().map(|call| call.peer.as_str()).collect();
    assert!(
        peers.len() >= 8,
        "{} connections in five seconds",
        peers.len()
    );
}

async fn a_server_that_cuts_old_connections(site: &Site) {
    let options = [
        "--option",
        "grpc.max_connection_age_ms=300",
        "--option",
        "grpc.max_connection_age_grace_ms=300",
    ];
    let server = site.start(&options);
    let channel = Channel::connect(&server.target()).await.unwrap();
    let control = ControlClient::new(channel.clone());
    // It outlives the connection and its grace.
    let scripted = Scripted::new([answer(1), hang()]);
    let (_outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    assert!(inbound.next().await.unwrap().is_some());
    let status = inbound.next().await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    control.unary(Message::default()).await.unwrap();
}

async fn a_server_that_does_not_want_idle_connections(site: &Site) {
    let server = site.start(&["--option", "grpc.max_connection_idle_ms=100"]);
    let channel = Channel::connect(&server.target()).await.unwrap();
    let control = ControlClient::new(channel.clone());
    for _ in 0..5 {
        control.unary(Message::default()).await.unwrap();
        // Without a call to make there is no need of another connection.
        leaves(&channel, ConnectivityState::Ready).await;
        assert_eq!(channel.state(), ConnectivityState::Idle);
    }
}

async fn one_of_two_addresses_is_dead(site: &Site) {
    let (dead, alive) = (site.later(&[]), site.address(Setup::Plain));
    let channel = Channel::lazy(&format!("ipv4:{},{alive}", dead.address())).unwrap();
    let call = async { ControlClient::new(channel).unary(Message::default()).await };
    timeout(Duration::from_secs(5), call)
        .await
        .unwrap()
        .unwrap();
}

async fn a_name_is_looked_up(site: &Site) {
    let address = site.address(Setup::Plain);
    let (_, port) = address.split_once(':').unwrap();
    // Of ::1 and 127.0.0.1 the server listens on one alone.
    for target in [
        format!("dns:///localhost:{port}"),
        format!("localhost:{port}"),
    ] {
        let channel = Channel::connect(&target).await.unwrap();
        ControlClient::new(channel)
            .unary(Message::default())
            .await
            .unwrap();
    }
}

fn round_robin() -> ChannelConfig {
    ChannelConfig {
        balancing: Balancing::RoundRobin,
        ..ChannelConfig::default()
    }
}

async fn calls_go_round(site: &Site) {
    const CALLS: usize = 300;
    let servers = [site.start(&[]), site.start(&[]), site.start(&[])];
    let addresses = servers.each_ref().map(|server| server.address());
    let target = format!("ipv4:{}", addresses.join(","));
    let channel = Channel::with_config(&target, round_robin()).unwrap();
    let control = ControlClient::new(channel.clone());

    let mut directly = Vec::new();
    for server in &servers {
        directly.push(Channel::connect(&server.target()).await.unwrap());
    }
    // All three are in the round as soon as each has answered once.
    let warm = Scripted::new([]);
    loop {
        control
            .unary(warm.request(Message::default()))
            .await
            .unwrap();
        let mut answered = 0;
        for server in &directly {
            answered += usize::from(!warm.calls(server).await.is_empty());
        }
        if answered == 3 {
            break;
        }
    }

    let scripted = Scripted::new([]);
    for _ in 0..CALLS {
        control
            .unary(scripted.request(Message::default()))
            .await
            .unwrap();
    }
    for server in &directly {
        let calls = scripted.calls(server).await.len();
        assert!(calls.abs_diff(CALLS / 3) <= 1, "{calls} of {CALLS}");
    }
}

async fn a_killed_backend_leaves_the_round_and_comes_back(site: &Site) {
    let mut servers = [site.start(&[]), site.start(&[])];
    let addresses = servers.each_ref().map(|server| server.address());
    let target = format!("ipv4:{}", addresses.join(","));
    let channel = Channel::with_config(&target, round_robin()).unwrap();
    let control = ControlClient::new(channel.clone());
    let survivor = Channel::connect(&servers[1].target()).await.unwrap();

    // A call on the one that dies tells when that has been noticed.
    let (_outbound, mut doomed) = loop {
        let scripted = Scripted::new([answer(1), hang()]);
        let (outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
        assert!(inbound.next().await.unwrap().is_some());
        if scripted.calls(&survivor).await.is_empty() {
            break (outbound, inbound);
        }
    };
    servers[0].kill();
    let status = doomed.next().await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    for _ in 0..20 {
        control.unary(Message::default()).await.unwrap();
    }

    servers[0].start();
    let first = Channel::connect(&servers[0].target()).await.unwrap();
    let back = Scripted::new([]);
    while back.calls(&first).await.is_empty() {
        control
            .unary(back.request(Message::default()))
            .await
            .unwrap();
    }
}

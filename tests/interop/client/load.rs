//! Many calls, and servers that die under them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barewire::tutorial::proto::helloworld::{GreeterClient, HelloRequest};
use barewire::{Balancing, Channel, ChannelConfig, Status};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::line::Line;
use super::{Case, Site};
use crate::retrying::retrying;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::TO_BOTH, a_thousand_calls_at_once));
    cases.extend(Case::on_each(Line::TO_BOTH, three_hundred_streams_at_once));
    cases.push(
        Case::new(killing_one_of_three_backends_fails_no_call)
            .within(300)
            .slow(),
    );
    cases
}

async fn say_hello(greeter: &GreeterClient, name: String) -> Result<(), Status> {
    let wanted = format!("Hello, {name}!");
    let response = greeter.say_hello(HelloRequest { name }).await?;
    assert_eq!(response.message.message, wanted);
    Ok(())
}

async fn a_thousand_calls_at_once(channel: Channel) {
    let greeter = GreeterClient::new(channel);
    let mut calls = JoinSet::new();
    for i in 0..1000 {
        let greeter = greeter.clone();
        calls.spawn(async move { say_hello(&greeter, format!("number {i}")).await.unwrap() });
    }
    while let Some(ended) = calls.join_next().await {
        ended.unwrap();
    }
}

async fn three_hundred_streams_at_once(channel: Channel) {
    let greeter = GreeterClient::new(channel);
    let mut calls = JoinSet::new();
    for i in 0..300 {
        let greeter = greeter.clone();
        calls.spawn(async move {
            let (mut requests, mut replies) = greeter.say_hello_bidi_stream(()).await.unwrap();
            for j in 0..5 {
                let name = format!("{i}.{j}");
                let wanted = format!("Hello, {name}!");
                requests.send(HelloRequest { name }).await.unwrap();
                let reply = replies.next().await.unwrap().expect("one for each");
                assert_eq!(reply.message, wanted);
            }
            requests.finish().unwrap();
            assert_eq!(replies.next().await.unwrap(), None);
        });
    }
    while let Some(ended) = calls.join_next().await {
        ended.unwrap();
    }
}

async fn killing_one_of_three_backends_fails_no_call(site: &Site) {
    const CALLS: usize = 20_000;
    const KILLS: usize = 10;
    const CALLERS: usize = 20;
    let mut servers = [site.start(&[]), site.start(&[]), site.start(&[])];
    let addresses = servers.each_ref().map(|server| server.address());
    let config = ChannelConfig {
        balancing: Balancing::RoundRobin,
        service_config: Some(retrying()),
        ..ChannelConfig::default()
    };
    let target = format!("ipv4:{}", addresses.join(","));
    let greeter = GreeterClient::new(Channel::with_config(&target, config).unwrap());

    let (calls, kills) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let greeter = greeter.clone();
        let (calls, kills) = (Arc::clone(&calls), Arc::clone(&kills));
        callers.spawn(async move {
            let mut failed = Vec::new();
            loop {
                let call = calls.fetch_add(1, Ordering::Relaxed);
                if call >= CALLS && kills.load(Ordering::Relaxed) >= KILLS {
                    return failed;
                }
                failed.extend(say_hello(&greeter, format!("number {call}")).await.err());
            }
        });
    }

    let mut time_to_kill = interval(Duration::from_secs(2));
    time_to_kill.set_missed_tick_behavior(MissedTickBehavior::Delay);
    time_to_kill.tick().await;
    let mut failed = Vec::new();
    let mut victim = 0;
    // Callers that end and the clock that strikes: whichever is first, the other is not lost.
    loop {
        tokio::select! {
            ended = callers.join_next() => match ended {
                Some(more) => failed.extend(more.unwrap()),
                None => break,
            },
            _ = time_to_kill.tick() => {
                servers[victim].kill();
                kills.fetch_add(1, Ordering::Relaxed);
                servers[victim].start();
                victim = (victim + 1) % servers.len();
            }
        }
    }
    let calls = calls.load(Ordering::Relaxed) - CALLERS;
    assert!(
        failed.is_empty(),
        "{} of {calls} calls failed: {:?}",
        failed.len(),
        failed[0]
    );
}

//! A channel without calls closes its connections.

use std::sync::Arc;
use std::time::Duration;

use barewire::ConnectivityState::{Connecting, Idle, Ready, TransientFailure};
use barewire::{Balancing, ChannelConfig};
use tokio::time::sleep;

use crate::net::{Net, Script, balancing, call, hold, log_states, patient_call, settle};
use crate::tokio;

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn p165_after_half_an_hour_without_calls_connections_are_closed() {
    let (net, hosts) = Net::with_hosts([1, 2]);
    let script = Script::answering(Ok(&[1, 2]));
    let config = balancing(Balancing::RoundRobin);
    let channel = net.channel_of(Arc::new(script.clone()), config);
    let states = log_states(&channel);
    call(&channel).await.unwrap();
    for _ in 0..3 {
        sleep(29 * MINUTE).await;
        call(&channel).await.unwrap();
    }
    sleep(30 * MINUTE).await;
    assert_eq!(channel.state(), Ready);
    sleep(8 * MINUTE).await;
    assert_eq!(channel.state(), Idle);
    assert_eq!(hosts.each_ref().map(|host| host.connections()), [0, 0]);
    assert_eq!((net.dialled().len(), script.asked().len()), (2, 1));
    // Nothing happens until there is a call; then all begins anew.
    sleep(600 * MINUTE).await;
    assert_eq!(channel.state(), Idle);
    call(&channel).await.unwrap();
    settle().await;
    assert_eq!((net.dialled().len(), script.asked().len()), (4, 2));
    assert_eq!(
        *states.lock().unwrap(),
        [Idle, Connecting, Ready, Idle, Connecting, Ready]
    );
}

#[tokio::test(start_paused = true)]
async fn p165_a_call_under_way_keeps_a_channel_from_idling() {
    let (net, [host]) = Net::with_hosts([1]);
    let channel = net.channel([1]);
    let long = hold(&channel, "long");
    sleep(300 * MINUTE).await;
    assert_eq!(channel.state(), Ready);
    host.release_all();
    long.await.unwrap().unwrap();
    sleep(29 * MINUTE).await;
    assert_eq!(channel.state(), Ready);
    sleep(9 * MINUTE).await;
    assert_eq!(channel.state(), Idle);
}

#[tokio::test(start_paused = true)]
async fn p165_a_call_that_waits_keeps_a_channel_from_idling() {
    let net = Net::default();
    let channel = net.channel([1]);
    let patient = patient_call(&channel);
    sleep(300 * MINUTE).await;
    assert_eq!(channel.state(), TransientFailure);
    let _host = net.host(1);
    assert_eq!(patient.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn p165_a_channel_that_cannot_connect_gives_up_when_nobody_calls() {
    let net = Net::default();
    let channel = net.channel([1]);
    call(&channel).await.unwrap_err();
    sleep(40 * MINUTE).await;
    let dials = net.dialled().len();
    assert_eq!(channel.state(), Idle);
    sleep(600 * MINUTE).await;
    assert_eq!(net.dialled().len(), dials);
}

#[tokio::test(start_paused = true)]
async fn p165_the_time_is_a_setting_and_may_be_never() {
    for (idle_timeout, idle_after) in [(Some(MINUTE), true), (None, false)] {
        let (net, [host]) = Net::with_hosts([1]);
        let config = ChannelConfig {
            idle_timeout,
            ..ChannelConfig::default()
        };
        let channel = net.channel_with([1], config);
        call(&channel).await.unwrap();
        sleep(59 * Duration::from_secs(1)).await;
        assert_eq!(channel.state(), Ready);
        sleep(6_000 * MINUTE).await;
        assert_eq!(channel.state() == Idle, idle_after);
        assert_eq!(host.connections() == 0, idle_after);
    }
}

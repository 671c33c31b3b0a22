//! Service configs that come with names, and what they change about connections.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use barewire::ConnectivityState::{Ready, TransientFailure};
use barewire::{Balancing, Channel, ChannelConfig, Code, ServiceConfig};
use tokio::time::sleep;

use crate::net::{Net, Script, balancing, becomes, call, hold, patient_call, settle};
use crate::tokio;

const ROUND_ROBIN: &str = r#"{"loadBalancingConfig": [{"round_robin": {}}]}"#;
const PICK_FIRST: &str = r#"{"loadBalancingConfig": [{"pick_first": {}}]}"#;
const VOID: &str = r#"{"loadBalancingConfig": "round_robin"}"#;
const BRIEF: &str = r#"{"methodConfig": [{"name": [{}], "timeout": "0.5s"}]}"#;

async fn answering(channel: &Channel) -> HashSet<u8> {
    let mut answering = HashSet::new();
    for _ in 0..10 {
        answering.insert(patient_call(channel).await.unwrap().unwrap());
    }
    answering
}

#[tokio::test(start_paused = true)]
async fn p188_a_config_says_how_calls_are_spread_and_may_change_its_mind() {
    let cases = [
        // the config says      calls go to
        (Some(ROUND_ROBIN), HashSet::from([1, 2, 3])),
        (Some(PICK_FIRST), HashSet::from([1])),
        (Some(ROUND_ROBIN), HashSet::from([1, 2, 3])),
        (Some(VOID), HashSet::from([1, 2, 3])), // as before
        (None, HashSet::from([1])),             // as the channel does
        (Some(VOID), HashSet::from([1])),
    ];
    let (net, _hosts) = Net::with_hosts([1, 2, 3]);
    let script = Script::answering(Ok(&[1, 2, 3]));
    let channel = net.channel_of(Arc::new(script.clone()), ChannelConfig::default());
    for (config, expected) in cases {
        script.config(config);
        script.announce(Ok(&[1, 2, 3]));
        channel.connect_now();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(answering(&channel).await, expected, "{config:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p192_a_void_config_without_any_other_is_a_failed_lookup() {
    let (net, [_host]) = Net::with_hosts([1]);
    let script = Script::answering(Ok(&[1]));
    script.config(Some(VOID));
    let channel = net.channel_of(Arc::new(script.clone()), ChannelConfig::default());
    let status = call(&channel).await.unwrap_err();
    assert_eq!(
        (status.code, channel.state()),
        (Code::Unavailable, TransientFailure)
    );
    assert!(status.message.contains("loadBalancingConfig"), "{status}");
    // It is looked up again, by back-off.
    let patient = patient_call(&channel);
    sleep(Duration::from_secs(10)).await;
    assert!(
        (4..9).contains(&script.asked().len()),
        "{:?}",
        script.asked()
    );
    script.config(None);
    assert_eq!(patient.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn p192_a_void_config_leaves_the_channel_s_own_in_force() {
    let (net, hosts) = Net::with_hosts([1, 2]);
    let script = Script::answering(Ok(&[1, 2]));
    script.config(Some(VOID));
    let config = ChannelConfig {
        service_config: Some(ServiceConfig::from_json(ROUND_ROBIN).unwrap()),
        ..ChannelConfig::default()
    };
    let channel = net.channel_of(Arc::new(script), config);
    becomes_ready(&channel).await;
    assert_eq!(hosts.each_ref().map(|host| host.connections()), [1, 1]);
}

async fn becomes_ready(channel: &Channel) {
    channel.connect_now();
    becomes(channel, Ready).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn p189_a_config_that_comes_with_names_counts_for_the_calls_after_it() {
    let (net, [host]) = Net::with_hosts([1]);
    let script = Script::answering(Ok(&[1]));
    let channel = net.channel_of(Arc::new(script.clone()), ChannelConfig::default());
    let before = hold(&channel, "before");
    host.wait_for("the call is there", |host| host.calls() == 1)
        .await;
    script.config(Some(BRIEF));
    script.announce(Ok(&[1]));
    sleep(Duration::from_secs(1)).await;
    let after = hold(&channel, "after");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        after.await.unwrap().unwrap_err().code,
        Code::DeadlineExceeded
    );
    assert!(!before.is_finished());
    host.release_all();
    before.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn p188_a_config_limits_connections_within_the_channel_s_limit() {
    for (asked, limit, made) in [(1, 4, 1), (3, 4, 3), (9, 4, 4), (100, 100, 10)] {
        let (net, [host]) = Net::with_hosts([1]);
        host.limit(1);
        let script = Script::answering(Ok(&[1]));
        let text =
            format!(r#"{{"connectionScaling": {{"maxConnectionsPerSubchannel": {asked}}}}}"#);
        script.config(Some(&text));
        let config = ChannelConfig {
            max_connections_per_address: limit,
            ..balancing(Balancing::RoundRobin)
        };
        let channel = net.channel_of(Arc::new(script), config);
        let _calls: Vec<_> = (0..20).map(|number| hold(&channel, number)).collect();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(host.taken(), made, "{asked} {limit}");
    }
}

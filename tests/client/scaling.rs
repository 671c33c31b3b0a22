//! Further connections to one address, where its server takes only so many streams on each.

use std::time::Duration;

use barewire::ConnectivityState::Ready;
use barewire::{Balancing, Channel, ChannelConfig};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::net::{Host, Net, Place, balancing, call, hold, settle};
use crate::tokio;

fn at_most(connections: usize) -> ChannelConfig {
    ChannelConfig {
        max_connections_per_address: connections,
        ..ChannelConfig::default()
    }
}

fn limited(streams: u32, config: ChannelConfig) -> (Net, Host, Channel) {
    let (net, [host]) = Net::with_hosts([1]);
    host.limit(streams);
    let channel = net.channel_with([1], config);
    (net, host, channel)
}

fn holds(channel: &Channel, count: usize) -> Vec<JoinHandle<Result<u8, barewire::Status>>> {
    (0..count).map(|number| hold(channel, number)).collect()
}

#[tokio::test(start_paused = true)]
async fn p211_calls_that_wait_for_a_stream_bring_further_connections() {
    let (_net, host, channel) = limited(2, at_most(4));
    let calls = holds(&channel, 5);
    host.wait_for("all are there", |host| host.calls() == 5)
        .await;
    assert_eq!(host.calls_by_connection(), [2, 2, 1]);
    assert_eq!(channel.state(), Ready);
    host.release_all();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(host.taken(), 3);
}

#[tokio::test(start_paused = true)]
async fn p211_no_connection_is_added_while_no_call_waits() {
    let (_net, host, channel) = limited(10, at_most(4));
    let calls = holds(&channel, 10);
    host.wait_for("all are there", |host| host.calls() == 10)
        .await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(host.taken(), 1);
    host.release_all();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn p211_there_are_no_more_connections_than_allowed() {
    for (allowed, made) in [(0, 1), (1, 1), (2, 2), (100, 10)] {
        let (_net, host, channel) = limited(1, at_most(allowed));
        let mut calls = holds(&channel, 20);
        sleep(Duration::from_secs(1)).await;
        assert_eq!((host.calls(), host.taken()), (made, made), "{allowed}");
        // The rest follows as there is room.
        while !calls.is_empty() {
            host.release_all();
            settle().await;
            calls.retain(|call| !call.is_finished());
        }
        assert_eq!(host.taken(), made);
    }
}

#[tokio::test(start_paused = true)]
async fn p211_the_oldest_connection_with_room_is_used() {
    let (_net, host, channel) = limited(2, at_most(4));
    let calls = holds(&channel, 4);
    host.wait_for("all are there", |host| host.calls() == 4)
        .await;
    host.release_one();
    settle().await;
    assert_eq!(host.calls(), 3);
    for _ in 0..10 {
        call(&channel).await.unwrap();
    }
    let next = hold(&channel, "next");
    settle().await;
    assert_eq!(host.calls_by_connection(), [2, 2]);
    host.release_all();
    settle().await;
    let last = hold(&channel, "last");
    settle().await;
    assert_eq!(host.calls_by_connection(), [1, 0]);
    host.release_all();
    for call in calls.into_iter().chain([next, last]) {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn p211_one_attempt_at_a_time_and_by_back_off() {
    let (net, host, channel) = limited(1, at_most(4));
    call(&channel).await.unwrap();
    net.put(1, Place::Refused);
    let calls = holds(&channel, 3);
    sleep(Duration::from_secs(10)).await;
    // It works, so it is READY.
    assert_eq!((channel.state(), host.calls()), (Ready, 1));
    let dials = net.dialled().len();
    assert!((4..8).contains(&dials), "{dials}");
    net.put(1, Place::Host(host.clone()));
    host.wait_for("all are there", |host| host.calls() == 3)
        .await;
    host.release_all();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_not_needed_any_more_are_closed_and_the_oldest_stays() {
    let (_net, host, channel) = limited(1, at_most(4));
    let calls = holds(&channel, 4);
    host.wait_for("all are there", |host| host.calls() == 4)
        .await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(host.connections(), 4);
    host.release_all();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    sleep(Duration::from_secs(9)).await;
    assert_eq!(host.connections(), 4);
    sleep(Duration::from_secs(7)).await;
    assert_eq!(host.connections(), 1);
    assert_eq!(call(&channel).await.unwrap(), 1);
    sleep(Duration::from_secs(600)).await;
    assert_eq!((host.connections(), host.taken()), (1, 4));
}

#[tokio::test(start_paused = true)]
async fn p160_one_of_several_connections_is_lost() {
    let (_net, host, channel) = limited(2, at_most(2));
    let calls = holds(&channel, 4);
    host.wait_for("all are there", |host| host.calls() == 4)
        .await;
    host.cut_oldest();
    settle().await;
    assert_eq!((channel.state(), host.connections()), (Ready, 1));
    // The other one goes on, and is joined by another when there is need.
    let more = holds(&channel, 2);
    host.wait_for("all are there", |host| host.calls() == 4)
        .await;
    assert_eq!((host.connections(), host.taken()), (2, 3));
    host.release_all();
    let mut failed = 0;
    for call in calls {
        failed += usize::from(call.await.unwrap().is_err());
    }
    assert_eq!(failed, 2);
    for call in more {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn each_address_of_a_rotation_has_its_own_connections() {
    let (net, hosts) = Net::with_hosts([1, 2]);
    for host in &hosts {
        host.limit(2);
    }
    let channel = net.channel_with([1, 2], balancing(Balancing::RoundRobin));
    channel.connect_now();
    settle().await;
    let calls = holds(&channel, 16);
    settle().await;
    let on = hosts.each_ref().map(Host::calls);
    assert_eq!(on.iter().sum::<usize>(), 16, "{on:?}");
    assert!(hosts.iter().all(|host| host.taken() <= 4));
    for host in &hosts {
        host.release_all();
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

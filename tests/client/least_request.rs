//! least_request: the less busy of a few.

use std::collections::HashMap;

use barewire::Balancing;

use crate::net::{Net, balancing, call, hold, settle};
use crate::tokio;

#[tokio::test(start_paused = true)]
async fn new_calls_go_where_fewer_are_under_way() {
    let (net, hosts) = Net::with_hosts([1, 2]);
    let config = balancing(Balancing::LeastRequest { choice_count: 10 });
    let channel = net.channel_with([1, 2], config);
    channel.connect_now();
    settle().await;
    let mut calls = Vec::new();
    for number in 0..100 {
        calls.push(hold(&channel, number));
        settle().await;
    }
    // With ten choices of two, both are among them nearly always.
    let [one, two] = hosts.each_ref().map(|host| host.calls());
    assert!(one.abs_diff(two) <= 4, "{one} {two}");
    // The first has nothing to do any more.
    hosts[0].release_all();
    settle().await;
    let mut counts = HashMap::<u8, usize>::new();
    for _ in 0..100 {
        *counts.entry(call(&channel).await.unwrap()).or_default() += 1;
    }
    assert!(counts[&1] >= 95, "{counts:?}");
    hosts[1].release_all();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn two_choices_spread_calls_over_all() {
    let (net, hosts) = Net::with_hosts([1, 2, 3, 4, 5]);
    let config = balancing(Balancing::LeastRequest { choice_count: 2 });
    let channel = net.channel_with([1, 2, 3, 4, 5], config);
    channel.connect_now();
    settle().await;
    let calls: Vec<_> = (0..100).map(|number| hold(&channel, number)).collect();
    settle().await;
    let counts = hosts.each_ref().map(|host| host.calls());
    assert_eq!(counts.iter().sum::<usize>(), 100);
    assert!(
        counts.iter().all(|count| (12..=28).contains(count)),
        "{counts:?}"
    );
    for host in &hosts {
        host.release_all();
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn without_load_chance_decides() {
    let (net, _hosts) = Net::with_hosts([1, 2, 3]);
    let config = balancing(Balancing::LeastRequest { choice_count: 0 });
    let channel = net.channel_with([1, 2, 3], config);
    channel.connect_now();
    settle().await;
    let mut counts = HashMap::<u8, usize>::new();
    for _ in 0..900 {
        *counts.entry(call(&channel).await.unwrap()).or_default() += 1;
    }
    assert!(
        counts.values().all(|count| (200..400).contains(count)),
        "{counts:?}"
    );
}

//! round_robin, and balancers of one's own: a connection to each address.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barewire::ConnectivityState::{Connecting, Idle, Ready, TransientFailure};
use barewire::{
    Backend, Balancer, Balancing, CallInfo, Channel, ChannelConfig, Code, Request, ServiceConfig,
};
use tokio::time::{Instant, sleep, timeout};

use crate::net::{
    Host, Net, Place, Script, address, balancing, becomes, call, call_with, hold, log_states,
    patient_call, settle,
};
use crate::support::PATIENCE;
use crate::tokio;

/// How many of so many calls each server answers.
async fn spread(channel: &Channel, calls: usize) -> HashMap<u8, usize> {
    let mut counts = HashMap::new();
    for _ in 0..calls {
        *counts.entry(call(channel).await.unwrap()).or_default() += 1;
    }
    counts
}

async fn connected(channel: &Channel, hosts: &[Host]) {
    channel.connect_now();
    for host in hosts {
        host.wait_for("it is connected", |host| host.connections() == 1)
            .await;
    }
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn p208_servers_take_turns() {
    let (net, hosts) = Net::with_hosts([1, 2, 3]);
    let channel = net.channel_with([1, 2, 3], balancing(Balancing::RoundRobin));
    connected(&channel, &hosts).await;
    assert_eq!(
        spread(&channel, 300).await,
        HashMap::from([(1, 100), (2, 100), (3, 100)])
    );
}

#[tokio::test(start_paused = true)]
async fn p208_the_first_turn_is_left_to_chance() {
    let mut firsts = HashMap::<u8, usize>::new();
    for _ in 0..100 {
        let (net, hosts) = Net::with_hosts([1, 2, 3]);
        let channel = net.channel_with([1, 2, 3], balancing(Balancing::RoundRobin));
        connected(&channel, &hosts).await;
        *firsts.entry(call(&channel).await.unwrap()).or_default() += 1;
    }
    assert_eq!(firsts.len(), 3, "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn p208_a_dead_server_leaves_the_rotation_at_once_and_comes_back() {
    let (net, hosts) = Net::with_hosts([1, 2, 3]);
    let channel = net.channel_with([1, 2, 3], balancing(Balancing::RoundRobin));
    connected(&channel, &hosts).await;
    sleep(Duration::from_secs(60)).await;
    net.put(2, Place::Refused);
    hosts[1].cut();
    settle().await;
    assert_eq!(
        spread(&channel, 100).await,
        HashMap::from([(1, 50), (3, 50)])
    );
    assert_eq!(channel.state(), Ready);
    sleep(Duration::from_secs(10)).await;
    net.put(2, Place::Host(hosts[1].clone()));
    hosts[1]
        .wait_for("it is connected again", |host| host.connections() == 1)
        .await;
    settle().await;
    assert_eq!(
        spread(&channel, 300).await,
        HashMap::from([(1, 100), (2, 100), (3, 100)])
    );
}

#[tokio::test(start_paused = true)]
async fn p208_a_lost_connection_is_replaced_without_a_call() {
    let (net, [host]) = Net::with_hosts([1]);
    let channel = net.channel_with([1], balancing(Balancing::RoundRobin));
    channel.ready().await.unwrap();
    for ended in [Host::cut, Host::go_away] {
        sleep(Duration::from_secs(5)).await;
        let before = host.taken();
        ended(&host);
        host.wait_for("there is another one", |host| host.taken() == before + 1)
            .await;
        becomes(&channel, Ready).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p208_without_any_server_calls_fail_with_the_real_reason() {
    let net = Net::default();
    let channel = net.channel_with([1, 2, 3], balancing(Balancing::RoundRobin));
    let states = log_states(&channel);
    let status = call(&channel).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert!(status.message.ends_with(":50051: refused"), "{status}");
    sleep(Duration::from_secs(300)).await;
    // P209: what has failed stays failed until it is connected.
    assert_eq!(
        *states.lock().unwrap(),
        [Idle, Connecting, TransientFailure]
    );
    let _host = net.host(3);
    becomes(&channel, Ready).await;
    assert_eq!(call(&channel).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn p209_one_server_that_connects_keeps_calls_waiting_though_others_failed() {
    let net = Net::default();
    net.put(2, Place::BlackHole);
    let channel = net.channel_with([1, 2], balancing(Balancing::RoundRobin));
    channel.connect_now();
    sleep(Duration::from_secs(10)).await;
    assert_eq!(channel.state(), Connecting);
    let began_at = Instant::now();
    let status = call(&channel).await.unwrap_err();
    assert!(status.message.contains("not done within 20s"), "{status}");
    assert_eq!(began_at.elapsed().as_secs(), 10);
    assert_eq!(channel.state(), TransientFailure);
}

#[tokio::test(start_paused = true)]
async fn p207_an_address_that_stays_keeps_its_connection() {
    let (net, hosts) = Net::with_hosts([1, 2, 3]);
    let script = Script::answering(Ok(&[1, 2]));
    let channel = net.channel_of(Arc::new(script.clone()), balancing(Balancing::RoundRobin));
    connected(&channel, &hosts[..2]).await;
    let last = (0..2)
        .map(|number| hold(&channel, number))
        .collect::<Vec<_>>();
    hosts[0]
        .wait_for("a call is there", |host| host.calls() == 1)
        .await;
    script.announce(Ok(&[2, 3]));
    hosts[2]
        .wait_for("the new one is connected", |host| host.connections() == 1)
        .await;
    settle().await;
    assert_eq!(
        spread(&channel, 100).await,
        HashMap::from([(2, 50), (3, 50)])
    );
    assert_eq!(net.dialled(), [1, 2, 3]);
    // The one that left ends when its last call has.
    assert_eq!(hosts[0].connections(), 1);
    for host in &hosts {
        host.release_all();
    }
    for call in last {
        call.await.unwrap().unwrap();
    }
    settle().await;
    assert_eq!(hosts[0].connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn p210_goaway_in_the_middle_of_calls_is_not_seen_by_them() {
    let (net, hosts) = Net::with_hosts([1, 2, 3]);
    let channel = net.channel_with([1, 2, 3], balancing(Balancing::RoundRobin));
    connected(&channel, &hosts).await;
    let mut calls = Vec::new();
    for number in 0..1_000_usize {
        if number % 10 == 0 {
            hosts[number / 10 % 3].go_away();
        }
        let channel = channel.clone();
        calls.push(tokio::spawn(async move { call(&channel).await }));
        if number % 7 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn servers_that_are_killed_in_turn_cost_no_call_under_a_retry_policy() {
    let (net, hosts) = Net::with_hosts([1, 2, 3]);
    let policy = r#"{"methodConfig": [{"name": [{}], "retryPolicy": {
        "maxAttempts": 4, "initialBackoff": "0.01s", "maxBackoff": "0.1s", "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"]
    }}]}"#;
    let config = ChannelConfig {
        service_config: Some(ServiceConfig::from_json(policy).unwrap()),
        ..balancing(Balancing::RoundRobin)
    };
    let channel = net.channel_with([1, 2, 3], config);
    let callers: Vec<_> = (0..20)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move {
                for _ in 0..1_000 {
                    let request = Request::new(String::new());
                    call_with(&channel, "/test.Host/Slow", request)
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    let mut kills = 0;
    for (number, host) in (1..=3).zip(&hosts).cycle() {
        sleep(Duration::from_secs(2)).await;
        net.put(number, Place::Refused);
        host.cut();
        kills += 1;
        sleep(Duration::from_millis(300)).await;
        net.put(number, Place::Host(host.clone()));
        if callers.iter().all(tokio::task::JoinHandle::is_finished) {
            break;
        }
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(kills > 20, "{kills}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_full_is_passed_over() {
    let (net, hosts) = Net::with_hosts([1, 2]);
    hosts[0].limit(1);
    let config = ChannelConfig {
        max_connections_per_address: 1,
        ..balancing(Balancing::RoundRobin)
    };
    let channel = net.channel_with([1, 2], config);
    connected(&channel, &hosts).await;
    let calls: Vec<_> = (0..10).map(|number| hold(&channel, number)).collect();
    hosts[1]
        .wait_for("the rest is there", |host| host.calls() == 9)
        .await;
    assert_eq!(hosts[0].calls(), 1);
    hosts[0].release_all();
    hosts[1].release_all();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

/// Chooses as a test says.
#[derive(Debug)]
struct Wilful {
    choice: Mutex<Option<usize>>,
    seen: Mutex<Vec<String>>,
    asked: AtomicUsize,
}

impl Balancer for Wilful {
    fn pick(&self, call: &CallInfo<'_>, ready: &[Backend]) -> Option<usize> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let key = call.metadata.get("key").unwrap_or("none");
        let addresses: Vec<_> = ready.iter().map(|one| one.address.to_string()).collect();
        let seen = format!("{} {key} {}", call.path, addresses.join(" "));
        self.seen.lock().unwrap().push(seen);
        *self.choice.lock().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_balancer_of_ones_own_sees_the_call_and_what_is_ready() {
    let (net, hosts) = Net::with_hosts([1, 2]);
    let wilful = Arc::new(Wilful {
        choice: Mutex::new(Some(1)),
        seen: Mutex::default(),
        asked: AtomicUsize::new(0),
    });
    let balancer: Arc<dyn Balancer> = wilful.clone();
    let config = balancing(Balancing::Custom(balancer));
    let channel = net.channel_with([1, 2, 3], config);
    connected(&channel, &hosts).await;
    let mut request = Request::new(String::new());
    request.metadata.insert("key", "blue").unwrap();
    assert_eq!(
        call_with(&channel, "/test.Host/Call", request)
            .await
            .unwrap(),
        2
    );
    let expected = format!("/test.Host/Call blue {} {}", address(1), address(2));
    assert_eq!(*wilful.seen.lock().unwrap(), [expected]);

    // Without a choice calls wait for another list.
    *wilful.choice.lock().unwrap() = None;
    let waiting = patient_call(&channel);
    sleep(Duration::from_secs(60)).await;
    assert!(!waiting.is_finished());
    assert!(wilful.asked.load(Ordering::SeqCst) < 10);
    *wilful.choice.lock().unwrap() = Some(0);
    hosts[1].cut();
    assert_eq!(waiting.await.unwrap().unwrap(), 1);

    // What is not there cannot be chosen.
    *wilful.choice.lock().unwrap() = Some(7);
    let status = call(&channel).await.unwrap_err();
    assert_eq!(status.code, Code::Internal);
    assert!(status.message.contains("index 7"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn p210_many_threads_pick_while_connections_come_and_go() {
    let (net, hosts) = Net::with_hosts([1, 2, 3]);
    for host in &hosts {
        host.limit(10);
    }
    let channel = net.channel_with([1, 2, 3], balancing(Balancing::RoundRobin));
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move {
                for _ in 0..100 {
                    // Who meets with GOAWAY twice is told, and that nothing came of it.
                    while let Err(status) = patient_call(&channel).await.unwrap() {
                        assert!(status.unprocessed, "{status}");
                    }
                }
            })
        })
        .collect();
    for host in hosts.iter().cycle() {
        host.go_away();
        for _ in 0..20 {
            let next = timeout(PATIENCE, patient_call(&channel)).await;
            let _ = next.expect("an end in time").unwrap();
        }
        if callers.iter().all(tokio::task::JoinHandle::is_finished) {
            break;
        }
    }
    for caller in callers {
        caller.await.unwrap();
    }
}

/// Chooses nobody.
#[derive(Debug)]
struct Nobody;

impl Balancer for Nobody {
    fn pick(&self, _: &CallInfo<'_>, _: &[Backend]) -> Option<usize> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn p210_calls_that_wait_pick_again_when_another_balancer_chooses() {
    let (net, [_host]) = Net::with_hosts([1]);
    let script = Script::answering(Ok(&[1]));
    let config = balancing(Balancing::Custom(Arc::new(Nobody)));
    let channel = net.channel_of(Arc::new(script.clone()), config);
    let waits = patient_call(&channel);
    becomes(&channel, Ready).await;
    settle().await;
    assert!(!waits.is_finished());
    script.config(Some(r#"{"loadBalancingConfig":[{"round_robin":{}}]}"#));
    script.announce(Ok(&[1]));
    assert_eq!(waits.await.unwrap().unwrap(), 1);
}

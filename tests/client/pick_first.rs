//! pick_first: one connection, to the first address that answers.

use std::collections::HashSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use barewire::ConnectivityState::{Connecting, Idle, Ready, TransientFailure};
use barewire::resolve::Fixed;
use barewire::{Address, Balancing, ChannelConfig, Code};
use tokio::time::{Instant, sleep};

use crate::net::{
    Host, LATENCY, Net, Place, Script, balancing, becomes, call, hold, log_states, patient_call,
    settle,
};
use crate::tokio;

#[tokio::test(start_paused = true)]
async fn p203_all_calls_go_to_the_first_address_that_answers() {
    let (net, [_one, _two]) = Net::with_hosts([1, 2]);
    let channel = net.channel([1, 2]);
    for _ in 0..100 {
        assert_eq!(call(&channel).await.unwrap(), 1);
    }
    assert_eq!(net.dialled(), [1]);
}

#[tokio::test(start_paused = true)]
async fn p203_a_broken_connection_leaves_the_channel_idle_and_asks_for_names() {
    let (net, [one, _two]) = Net::with_hosts([1, 2]);
    let script = Script::answering(Ok(&[1, 2]));
    let channel = net.channel_of(Arc::new(script.clone()), ChannelConfig::default());
    assert_eq!(call(&channel).await.unwrap(), 1);
    sleep(Duration::from_secs(60)).await;
    net.put(1, Place::Refused);
    one.cut();
    becomes(&channel, Idle).await;
    settle().await;
    assert_eq!((script.asked().len(), net.dialled()), (2, vec![1]));
    // The next call starts from the first address again.
    assert_eq!(call(&channel).await.unwrap(), 2);
    assert_eq!(net.dialled(), [1, 1, 2]);
    // And stays where it is when the first comes back.
    net.put(1, Place::Host(one));
    sleep(Duration::from_secs(600)).await;
    assert_eq!(call(&channel).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn p279_a_server_that_recycles_young_connections_is_not_noticed() {
    let (net, [one]) = Net::with_hosts([1]);
    let channel = net.channel([1]);
    for _ in 0..20 {
        assert_eq!(call(&channel).await.unwrap(), 1);
        one.go_away();
        one.cut();
        becomes(&channel, Idle).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p204_an_address_that_does_not_answer_is_passed_over_after_a_quarter_of_a_second() {
    let ms = Duration::from_millis;
    let cases = [
        // configured   passed over after
        (ms(250), ms(250)),
        (ms(400), ms(400)),
        (ms(1), ms(100)),        // at least
        (ms(60_000), ms(2_000)), // at most
    ];
    for (happy_eyeballs_delay, after) in cases {
        let (net, [_three]) = Net::with_hosts([3]);
        net.put(1, Place::BlackHole);
        net.put(2, Place::BlackHole);
        let config = ChannelConfig {
            happy_eyeballs_delay,
            ..ChannelConfig::default()
        };
        let channel = net.channel_with([1, 2, 3], config);
        let began_at = Instant::now();
        assert_eq!(call(&channel).await.unwrap(), 3);
        assert_eq!(
            began_at.elapsed(),
            2 * after + LATENCY,
            "{happy_eyeballs_delay:?}"
        );
        settle().await;
        assert_eq!(net.dialling(), 0, "the others are given up");
        assert_eq!(net.dialled(), [1, 2, 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn p204_an_address_that_fails_is_passed_over_at_once() {
    let (net, [_four]) = Net::with_hosts([4]);
    let channel = net.channel([1, 2, 3, 4]);
    let began_at = Instant::now();
    assert_eq!(call(&channel).await.unwrap(), 4);
    assert_eq!(began_at.elapsed(), 4 * LATENCY);
}

#[tokio::test(start_paused = true)]
async fn p204_an_earlier_address_may_still_win() {
    let net = Net::default();
    let one = Host::new(1);
    // It takes 400 ms to say its SETTINGS.
    let slow = one.clone();
    net.put(
        1,
        Place::Other(Arc::new(move |io| {
            let slow = slow.clone();
            tokio::spawn(async move {
                sleep(Duration::from_millis(400)).await;
                slow.serve(io);
            });
        })),
    );
    net.put(2, Place::BlackHole);
    net.put(3, Place::Mute);
    let channel = net.channel([1, 2, 3]);
    let began_at = Instant::now();
    assert_eq!(call(&channel).await.unwrap(), 1);
    assert_eq!(began_at.elapsed().as_millis(), 401);
    assert_eq!(net.dialled(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn p205_addresses_are_shuffled_when_that_is_asked_for() {
    let mut firsts = HashSet::new();
    for _ in 0..100 {
        let (net, [_a, _b, _c]) = Net::with_hosts([1, 2, 3]);
        let config = balancing(Balancing::PickFirst { shuffle: true });
        let channel = net.channel_with([1, 2, 3], config);
        firsts.insert(call(&channel).await.unwrap());
    }
    assert_eq!(firsts.len(), 3, "{firsts:?}");
}

#[tokio::test(start_paused = true)]
async fn p205_families_take_turns_also_when_shuffled() {
    let v4 = (1..=3).map(|last| (Ipv4Addr::new(10, 0, 0, last), 1).into());
    let v6 = (4..=6).map(|last| (Ipv6Addr::new(1, 0, 0, 0, 0, 0, 0, last), 1).into());
    let addresses: Vec<_> = v4.chain(v6).map(Address::Tcp).collect();
    for shuffle in [false, true] {
        let net = Net::default();
        let config = balancing(Balancing::PickFirst { shuffle });
        let channel = net.channel_of(Arc::new(Fixed::new(addresses.clone())), config);
        call(&channel).await.unwrap_err();
        let families: Vec<bool> = net.dialled()[..6].iter().map(|last| *last > 3).collect();
        assert!(
            families.windows(2).all(|pair| pair[0] != pair[1]),
            "{families:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn p206_when_all_have_failed_each_is_tried_again_by_its_own_back_off() {
    let net = Net::default();
    net.put(2, Place::Mute);
    let script = Script::answering(Ok(&[1, 2]));
    let channel = net.channel_of(Arc::new(script.clone()), ChannelConfig::default());
    let states = log_states(&channel);
    call(&channel).await.unwrap_err();
    sleep(Duration::from_secs(300)).await;
    // One fails at once, the other takes its 20 seconds.
    let (ones, twos) = (net.dial_times(1), net.dial_times(2));
    assert!(ones.len() >= 8, "{ones:?}");
    assert!((20.0..20.1).contains(&(twos[1] - twos[0])), "{twos:?}");
    // It is said once that all have failed, and not taken back while it lasts.
    assert_eq!(
        *states.lock().unwrap(),
        [Idle, Connecting, TransientFailure]
    );
    assert!(script.asked().len() > 2, "names are asked for again");
    let _one = net.host(1);
    assert_eq!(patient_call(&channel).await.unwrap().unwrap(), 1);
    settle().await;
    assert_eq!(
        *states.lock().unwrap(),
        [Idle, Connecting, TransientFailure, Ready]
    );
}

#[tokio::test(start_paused = true)]
async fn p207_the_same_list_again_changes_nothing() {
    let (net, [one, _two]) = Net::with_hosts([1, 2]);
    let script = Script::answering(Ok(&[1, 2]));
    let channel = net.channel_of(Arc::new(script.clone()), ChannelConfig::default());
    let states = log_states(&channel);
    assert_eq!(call(&channel).await.unwrap(), 1);
    for list in [&[1, 2][..], &[2, 1], &[2, 1, 3], &[1]] {
        sleep(Duration::from_secs(1)).await;
        script.announce(Ok(list));
        settle().await;
        assert_eq!(call(&channel).await.unwrap(), 1, "{list:?}");
    }
    assert_eq!((net.dialled(), one.taken()), (vec![1], 1));
    assert_eq!(*states.lock().unwrap(), [Idle, Connecting, Ready]);
}

#[tokio::test(start_paused = true)]
async fn p207_a_list_without_the_connected_address_leads_to_another() {
    let (net, [one, two]) = Net::with_hosts([1, 2]);
    let script = Script::answering(Ok(&[1]));
    let channel = net.channel_of(Arc::new(script.clone()), ChannelConfig::default());
    let last = hold(&channel, "on the old one");
    one.wait_for("the call is there", |one| one.calls() == 1)
        .await;
    script.announce(Ok(&[2]));
    two.wait_for("the new one is connected", |two| two.connections() == 1)
        .await;
    assert_eq!(call(&channel).await.unwrap(), 2);
    // What was under way ends where it began, and then so does the connection.
    assert_eq!(one.connections(), 1);
    one.release_all();
    assert_eq!(last.await.unwrap().unwrap(), 1);
    settle().await;
    assert_eq!(one.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn p207_an_address_in_back_off_is_passed_over() {
    let net = Net::default();
    let script = Script::answering(Ok(&[1]));
    let channel = net.channel_of(Arc::new(script.clone()), ChannelConfig::default());
    call(&channel).await.unwrap_err();
    assert_eq!(net.dialled(), [1]);
    let _two = net.host(2);
    script.announce(Ok(&[1, 2]));
    assert_eq!(patient_call(&channel).await.unwrap().unwrap(), 2);
    assert_eq!(net.dialled(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn p157_after_goaway_an_unused_channel_does_not_connect_again() {
    let (net, [host]) = Net::with_hosts([1]);
    let channel = net.channel([1]);
    call(&channel).await.unwrap();
    host.go_away();
    becomes(&channel, Idle).await;
    sleep(Duration::from_secs(600)).await;
    assert_eq!((channel.state(), net.dialled()), (Idle, vec![1]));
    assert_eq!(call(&channel).await.unwrap(), 1);
    assert_eq!(net.dialled(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn p155_after_goaway_calls_go_on_and_new_ones_go_elsewhere() {
    let (net, [host]) = Net::with_hosts([1]);
    let channel = net.channel([1]);
    let old = hold(&channel, "old");
    host.wait_for("the call is there", |host| host.calls() == 1)
        .await;
    host.go_away();
    becomes(&channel, Idle).await;
    assert_eq!(call(&channel).await.unwrap(), 1);
    assert_eq!((host.taken(), host.connections()), (2, 2));
    host.release_all();
    old.await.unwrap().unwrap();
    settle().await;
    assert_eq!(host.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn p279_a_server_that_says_goaway_all_the_time_costs_no_call() {
    let (net, [host]) = Net::with_hosts([1]);
    let channel = net.channel([1]);
    for number in 0..500 {
        if number % 5 == 0 {
            host.go_away();
        }
        if number % 3 == 0 {
            settle().await;
        }
        call(&channel).await.unwrap();
    }
    assert!(host.taken() > 90, "{}", host.taken());
}

#[tokio::test(start_paused = true)]
async fn p210_calls_that_wait_move_on_when_their_connection_ends() {
    let (net, [host]) = Net::with_hosts([1]);
    host.limit(1);
    let config = ChannelConfig {
        max_connections_per_address: 1,
        ..ChannelConfig::default()
    };
    let channel = net.channel_with([1], config);
    let first = hold(&channel, "first");
    host.wait_for("the call is there", |host| host.calls() == 1)
        .await;
    // No room for it.
    let second = patient_call(&channel);
    settle().await;
    assert!(!second.is_finished());
    host.go_away();
    assert_eq!(second.await.unwrap().unwrap(), 1);
    host.release_all();
    assert_eq!(first.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn p160_calls_on_a_lost_connection_fail_and_the_next_succeeds() {
    let (net, [host]) = Net::with_hosts([1]);
    let channel = net.channel([1]);
    let calls: Vec<_> = (0..10).map(|number| hold(&channel, number)).collect();
    host.wait_for("all are there", |host| host.calls() == 10)
        .await;
    host.cut();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().code, Code::Unavailable);
    }
    assert_eq!(call(&channel).await.unwrap(), 1);
}

//! When names are looked up again, and what becomes of the answer.

use std::sync::Arc;
use std::time::Duration;

use barewire::ConnectivityState::{Connecting, Idle, Ready, TransientFailure};
use barewire::{Balancing, Channel, ChannelConfig, Code};
use tokio::time::sleep;

use crate::net::{Net, Place, Script, balancing, becomes, call, log_states, patient_call, settle};
use crate::tokio;

fn channel(net: &Net, script: &Script) -> Channel {
    net.channel_of(Arc::new(script.clone()), ChannelConfig::default())
}

#[tokio::test(start_paused = true)]
async fn p200_names_are_asked_again_when_a_connection_is_lost_but_not_too_often() {
    let (net, [host]) = Net::with_hosts([1]);
    let script = Script::answering(Ok(&[1]));
    let channel = channel(&net, &script);
    for _ in 0..60 {
        call(&channel).await.unwrap();
        sleep(Duration::from_millis(1_500)).await;
        host.cut();
        becomes(&channel, Idle).await;
    }
    // 90 seconds, at most once in 30.
    sleep(Duration::from_secs(100)).await;
    let asked = script.asked();
    assert!((3..=5).contains(&asked.len()), "{asked:?}");
    assert!(
        asked.windows(2).all(|pair| pair[1] - pair[0] >= 30.0),
        "{asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn p200_names_are_asked_again_when_no_address_answers() {
    let net = Net::default();
    let script = Script::answering(Ok(&[1]));
    let channel = channel(&net, &script);
    call(&channel).await.unwrap_err();
    // The server has moved.
    let _host = net.host(2);
    script.answer(Ok(&[2]));
    assert_eq!(patient_call(&channel).await.unwrap().unwrap(), 2);
    assert!(
        (30.0..31.0).contains(&script.asked()[1]),
        "{:?}",
        script.asked()
    );
}

#[tokio::test(start_paused = true)]
async fn p200_a_failed_lookup_is_repeated_by_back_off() {
    let net = Net::default();
    let script = Script::answering(Err("the name is not known"));
    let channel = channel(&net, &script);
    channel.connect_now();
    sleep(Duration::from_secs(60)).await;
    let asked = script.asked();
    let delays = asked.windows(2).map(|pair| pair[1] - pair[0]);
    for (delay, nominal) in delays.zip([1.0, 1.6, 2.56, 4.1, 6.55, 10.5]) {
        assert!((0.79..1.21).contains(&(delay / nominal)), "{asked:?}");
    }
    assert!(asked.len() >= 7, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn p201_without_addresses_calls_fail_with_the_resolver_s_reason() {
    let net = Net::default();
    let script = Script::answering(Err("the name is not known"));
    let channel = channel(&net, &script);
    let states = log_states(&channel);
    let status = call(&channel).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert!(status.message.contains("the name is not known"), "{status}");
    assert!(status.unprocessed);
    let patient = patient_call(&channel);
    let _host = net.host(1);
    script.answer(Ok(&[1]));
    assert_eq!(patient.await.unwrap().unwrap(), 1);
    settle().await;
    assert_eq!(
        *states.lock().unwrap(),
        [Idle, Connecting, TransientFailure, Connecting, Ready]
    );
}

#[tokio::test(start_paused = true)]
async fn p201_an_error_later_leaves_the_addresses_as_they_are() {
    for balance in [
        Balancing::PickFirst { shuffle: false },
        Balancing::RoundRobin,
    ] {
        let (net, [host]) = Net::with_hosts([1]);
        let script = Script::answering(Ok(&[1]));
        let channel = net.channel_of(Arc::new(script.clone()), balancing(balance));
        call(&channel).await.unwrap();
        script.announce(Err("the name server is down"));
        sleep(Duration::from_secs(60)).await;
        assert!(script.asked().len() > 2);
        call(&channel).await.unwrap();
        // Also when there is no connection.
        host.cut();
        settle().await;
        call(&channel).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn p201_an_answer_without_addresses_ends_the_connections() {
    for balance in [
        Balancing::PickFirst { shuffle: false },
        Balancing::RoundRobin,
    ] {
        let (net, [host]) = Net::with_hosts([1]);
        let script = Script::answering(Ok(&[1]));
        let channel = net.channel_of(Arc::new(script.clone()), balancing(balance));
        call(&channel).await.unwrap();
        script.announce(Ok(&[]));
        becomes(&channel, TransientFailure).await;
        settle().await;
        assert_eq!(host.connections(), 0);
        let status = call(&channel).await.unwrap_err();
        assert_eq!(status.code, Code::Unavailable);
        assert!(status.message.contains("no addresses"), "{status}");
        // It is asked again until there are some.
        script.answer(Ok(&[1]));
        assert_eq!(patient_call(&channel).await.unwrap().unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn p200_a_resolver_with_news_is_asked_at_once() {
    let (net, [_one, _two]) = Net::with_hosts([1, 2]);
    let script = Script::answering(Ok(&[1]));
    let channel = channel(&net, &script);
    assert_eq!(call(&channel).await.unwrap(), 1);
    sleep(Duration::from_secs(1)).await;
    script.announce(Ok(&[2]));
    settle().await;
    assert_eq!(call(&channel).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn p125_a_call_waits_for_names_until_its_deadline() {
    let net = Net::default();
    // It does not answer.
    let script = Script::default();
    let channel = channel(&net, &script);
    let request = barewire::Request::new(String::new()).with_timeout(Duration::from_secs(3));
    let status = crate::net::call_with(&channel, "/test.Host/Call", request).await;
    assert_eq!(status.unwrap_err().code, Code::DeadlineExceeded);
    assert_eq!(channel.state(), Connecting);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_named_twice_is_one() {
    let (net, [host]) = Net::with_hosts([1]);
    net.put(2, Place::Refused);
    let script = Script::answering(Ok(&[1, 1, 2, 1]));
    let channel = net.channel_of(Arc::new(script.clone()), balancing(Balancing::RoundRobin));
    call(&channel).await.unwrap();
    settle().await;
    assert_eq!(host.connections(), 1);
}

//! Calls that fail and are made again, as the server sees them.

use std::time::Duration;

use barewire::{
    AttemptPolicy, Channel, ChannelConfig, Code, HedgingPolicy, MethodConfig, RetryPolicy,
    ServiceConfig,
};
use tokio::time::Instant;

use super::script::{Scripted, answer, fail, fail_with_pushback, hang, headers, only_first, read};
use super::site::Setup;
use super::{Case, Site};
use crate::printed::control::{ControlClient, Message, SeenCall};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(until_it_goes_well).through_proxies(),
        Case::new(until_there_were_enough_attempts).through_proxies(),
        Case::new(not_without_a_policy).through_proxies(),
        Case::new(not_for_another_code).through_proxies(),
        Case::new(not_after_headers).through_proxies(),
        Case::new(with_all_that_was_said).through_proxies(),
        Case::new(when_the_server_says_so).through_proxies(),
        Case::new(not_when_the_server_says_never).through_proxies(),
        Case::new(within_one_deadline).through_proxies(),
        Case::new(hedged_because_the_first_is_slow).through_proxies(),
    ]
}

const UNAVAILABLE: Code = Code::Unavailable;

fn channel(site: &Site, setup: Setup, attempts: AttemptPolicy) -> Channel {
    let service_config = ServiceConfig {
        default_method: Some(MethodConfig {
            attempts,
            ..MethodConfig::default()
        }),
        ..ServiceConfig::default()
    };
    let config = ChannelConfig {
        service_config: Some(service_config),
        ..ChannelConfig::default()
    };
    site.channel(setup, config)
}

/// Four attempts, soon after each other.
fn retry() -> AttemptPolicy {
    AttemptPolicy::Retry(RetryPolicy {
        max_attempts: 4,
        initial_backoff: Duration::from_millis(10),
        max_backoff: Duration::from_millis(20),
        backoff_multiplier: 2.0,
        retryable_codes: vec![UNAVAILABLE],
    })
}

fn previous_attempts(calls: &[SeenCall]) -> Vec<Option<&str>> {
    calls
        .iter()
        .map(|call| call.previous_attempts.as_deref())
        .collect()
}

const BOTH: [Setup; 2] = [Setup::Plain, Setup::Coroutines];

async fn until_it_goes_well(site: &Site) {
    for setup in BOTH {
        let channel = channel(site, setup, retry());
        let scripted = Scripted::new([only_first(2, fail(UNAVAILABLE, "not yet")), answer(5)]);
        let request = scripted.request(Message::default());
        let response = ControlClient::new(channel.clone())
            .unary(request)
            .await
            .unwrap();
        assert_eq!(response.message.body.len(), 5);
        let calls = scripted.calls(&channel).await;
        assert_eq!(previous_attempts(&calls), [None, Some("1"), Some("2")]);
    }
}

async fn until_there_were_enough_attempts(site: &Site) {
    for setup in BOTH {
        let channel = channel(site, setup, retry());
        let scripted = Scripted::new([fail(UNAVAILABLE, "never")]);
        let request = scripted.request(Message::default());
        let status = ControlClient::new(channel.clone())
            .unary(request)
            .await
            .unwrap_err();
        assert_eq!((status.code, &*status.message), (UNAVAILABLE, "never"));
        let calls = scripted.calls(&channel).await;
        assert_eq!(
            previous_attempts(&calls),
            [None, Some("1"), Some("2"), Some("3")]
        );
    }
}

async fn not_without_a_policy(site: &Site) {
    let channel = channel(site, Setup::Plain, AttemptPolicy::Once);
    let scripted = Scripted::new([only_first(1, fail(UNAVAILABLE, "once")), answer(5)]);
    let request = scripted.request(Message::default());
    let status = ControlClient::new(channel.clone())
        .unary(request)
        .await
        .unwrap_err();
    assert_eq!((status.code, &*status.message), (UNAVAILABLE, "once"));
    assert_eq!(scripted.calls(&channel).await.len(), 1);
}

async fn not_for_another_code(site: &Site) {
    let channel = channel(site, Setup::Plain, retry());
    for code in Code::ALL.into_iter().filter(|&code| code != UNAVAILABLE) {
        let scripted = Scripted::new([fail(code, "no")]);
        let request = scripted.request(Message::default());
        let status = ControlClient::new(channel.clone())
            .unary(request)
            .await
            .unwrap_err();
        assert_eq!(status.code, code);
        assert_eq!(scripted.calls(&channel).await.len(), 1, "{code}");
    }
}

async fn not_after_headers(site: &Site) {
    let channel = channel(site, Setup::Plain, retry());
    let scripted = Scripted::new([headers(), fail(UNAVAILABLE, "too late")]);
    let request = scripted.request(Message::default());
    let status = ControlClient::new(channel.clone())
        .unary(request)
        .await
        .unwrap_err();
    assert_eq!((status.code, &*status.message), (UNAVAILABLE, "too late"));
    assert_eq!(scripted.calls(&channel).await.len(), 1);
}

async fn with_all_that_was_said(site: &Site) {
    for setup in BOTH {
        let channel = channel(site, setup, retry());
        let not_yet = only_first(2, fail(UNAVAILABLE, "not yet"));
        let scripted = Scripted::new([read(3), not_yet, answer(5), read(1), answer(6)]);
        let control = ControlClient::new(channel.clone());
        let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
        for size in [1, 10, 100] {
            let body = vec![b'x'; size];
            outbound.send(Message { body }).await.unwrap();
        }
        let answer = inbound.next().await.unwrap().unwrap();
        assert_eq!((answer.requests, answer.request_bytes), (3, 111));
        outbound.send(Message::default()).await.unwrap();
        let answer = inbound.next().await.unwrap().unwrap();
        assert_eq!((answer.requests, answer.request_bytes), (4, 111));
        outbound.finish().unwrap();
        assert_eq!(inbound.next().await.unwrap(), None);
        let calls = scripted.calls(&channel).await;
        assert_eq!(previous_attempts(&calls), [None, Some("1"), Some("2")]);
    }
}

async fn when_the_server_says_so(site: &Site) {
    let channel = channel(site, Setup::Plain, retry());
    let later = only_first(1, fail_with_pushback(UNAVAILABLE, "300"));
    let scripted = Scripted::new([later, answer(5)]);
    let began_at = Instant::now();
    let request = scripted.request(Message::default());
    ControlClient::new(channel.clone())
        .unary(request)
        .await
        .unwrap();
    // Our own policy would have waited for ten milliseconds.
    assert!(began_at.elapsed() >= Duration::from_millis(300));
    assert_eq!(scripted.calls(&channel).await.len(), 2);
}

async fn not_when_the_server_says_never(site: &Site) {
    let channel = channel(site, Setup::Plain, retry());
    let scripted = Scripted::new([fail_with_pushback(UNAVAILABLE, "-1")]);
    let request = scripted.request(Message::default());
    let status = ControlClient::new(channel.clone())
        .unary(request)
        .await
        .unwrap_err();
    assert_eq!(status.code, UNAVAILABLE);
    assert_eq!(scripted.calls(&channel).await.len(), 1);
}

async fn within_one_deadline(site: &Site) {
    let channel = channel(site, Setup::Plain, retry());
    let later = only_first(1, fail_with_pushback(UNAVAILABLE, "200"));
    let scripted = Scripted::new([later, answer(5)]);
    let timeout = Duration::from_secs(10);
    let request = scripted.request(Message::default()).with_timeout(timeout);
    ControlClient::new(channel.clone())
        .unary(request)
        .await
        .unwrap();
    let calls = scripted.calls(&channel).await;
    let remaining: Vec<f64> = calls.iter().filter_map(|call| call.remaining_ms).collect();
    let [first, second] = <[f64; 2]>::try_from(remaining).unwrap();
    // The second attempt has what the first one and the wait have left.
    assert!(first > 9000.0 && second < first - 150.0, "{first} {second}");

    // One that comes too late is not made.
    let scripted = Scripted::new([fail_with_pushback(UNAVAILABLE, "20000")]);
    let request = scripted
        .request(Message::default())
        .with_timeout(Duration::from_millis(1500));
    let status = ControlClient::new(channel.clone())
        .unary(request)
        .await
        .unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    assert_eq!(scripted.calls(&channel).await.len(), 1);
}

async fn hedged_because_the_first_is_slow(site: &Site) {
    for setup in BOTH {
        let hedge = AttemptPolicy::Hedge(HedgingPolicy {
            max_attempts: 3,
            hedging_delay: Duration::from_millis(100),
            non_fatal_codes: vec![UNAVAILABLE],
        });
        let channel = channel(site, setup, hedge);
        let scripted = Scripted::new([only_first(2, hang()), answer(5)]);
        let request = scripted.request(Message::default());
        let response = ControlClient::new(channel.clone())
            .unary(request)
            .await
            .unwrap();
        assert_eq!(response.message.body.len(), 5);
        let calls = scripted.ended(&channel, 3).await;
        assert_eq!(previous_attempts(&calls), [None, Some("1"), Some("2")]);
        // Those that are not needed any more are told so.
        let cancelled: Vec<bool> = calls.iter().map(|call| call.cancelled).collect();
        assert_eq!(cancelled, [true, true, false]);
    }
}

//! `client::retry_policy`: P169, P181.

use std::time::Duration;

use barewire::{AttemptPolicy, Code, HedgingPolicy, MethodConfig, RetryPolicy};

fn retry() -> RetryPolicy {
    RetryPolicy {
        max_attempts: 2,
        initial_backoff: Duration::from_nanos(1),
        max_backoff: Duration::from_nanos(1),
        backoff_multiplier: 0.001,
        retryable_codes: vec![Code::Unavailable],
    }
}

#[test]
#[rustfmt::skip]
fn p169_a_retry_policy_is_checked() {
    let cases = [
        (retry(),                                                      None),
        (RetryPolicy { max_attempts: 1_000, ..retry() },               None),   // acts as the channel's limit
        (RetryPolicy { max_attempts: 1, ..retry() },                   Some("max_attempts is 1, but must be at least 2")),
        (RetryPolicy { max_attempts: 0, ..retry() },                   Some("max_attempts is 0, but must be at least 2")),
        (RetryPolicy { initial_backoff: Duration::ZERO, ..retry() },   Some("initial_backoff is 0ns, but must be longer than nothing")),
        (RetryPolicy { max_backoff: Duration::ZERO, ..retry() },       Some("max_backoff is 0ns, but must be longer than nothing")),
        (RetryPolicy { backoff_multiplier: 0.0, ..retry() },           Some("backoff_multiplier is 0.0, but must be a number above 0")),
        (RetryPolicy { backoff_multiplier: f64::NAN, ..retry() },      Some("backoff_multiplier is NaN, but must be a number above 0")),
        (RetryPolicy { backoff_multiplier: f64::INFINITY, ..retry() }, Some("backoff_multiplier is inf, but must be a number above 0")),
        (RetryPolicy { retryable_codes: Vec::new(), ..retry() },       Some("retryable_codes is [], but must be a list with at least one failure")),
    ];
    for (policy, flaw) in cases {
        assert_eq!(policy.check().err().as_deref(), flaw, "{policy:?}");
        let attempts = AttemptPolicy::Retry(policy);
        let method = MethodConfig { attempts, ..MethodConfig::default() };
        assert_eq!(method.check().err().as_deref(), flaw, "{method:?}");
    }
}

#[test]
#[rustfmt::skip]
fn p181_a_hedging_policy_is_checked() {
    let cases = [
        (2,     None),
        (1_000, None),
        (1,     Some("max_attempts is 1, but must be at least 2")),
        (0,     Some("max_attempts is 0, but must be at least 2")),
    ];
    for (max_attempts, flaw) in cases {
        let policy = HedgingPolicy { max_attempts, hedging_delay: Duration::ZERO, non_fatal_codes: Vec::new() };
        assert_eq!(policy.check().err().as_deref(), flaw, "{policy:?}");
        let attempts = AttemptPolicy::Hedge(policy);
        let method = MethodConfig { attempts, ..MethodConfig::default() };
        assert_eq!(method.check().err().as_deref(), flaw, "{method:?}");
    }
}

#[test]
fn p169_without_a_policy_a_call_is_tried_once() {
    let method = MethodConfig::default();
    assert_eq!(method.attempts, AttemptPolicy::Once);
    assert_eq!(method.check(), Ok(()));
}

//! `client::throttle`: P177, P178.

use std::sync::Arc;
use std::thread;

use crate::inside::throttle::{RetryThrottling, Throttle};

fn throttle(max_tokens: u32, token_ratio: f64) -> Throttle {
    Throttle::new(RetryThrottling {
        max_tokens,
        token_ratio,
    })
}

/// Failures in a row until retries stop.
fn failures_until_empty(throttle: &Throttle) -> usize {
    1 + (0..).take_while(|_| throttle.on_failure()).count()
}

#[test]
#[rustfmt::skip]
fn p177_retries_stop_when_half_of_the_tokens_are_gone() {
    let cases = [
        // tokens  failures
        (10,       5),
        (11,       6),     // 5 left, half is 5.5
        (1,        1),
        (2,        1),
        (1_000,    500),
    ];
    for (max_tokens, failures) in cases {
        let throttle = throttle(max_tokens, 0.1);
        assert!(throttle.allows());
        assert_eq!(failures_until_empty(&throttle), failures, "{max_tokens}");
        assert!(!throttle.allows(), "{max_tokens}");
    }
}

#[test]
#[rustfmt::skip]
fn p177_successes_give_tokens_back() {
    let cases = [
        // ratio   successes after which there is more than half again
        (0.1,      11),
        (0.5,      3),
        (1.0,      2),
        (1_000.0,  1),
    ];
    for (ratio, successes) in cases {
        let throttle = throttle(10, ratio);
        failures_until_empty(&throttle);
        // One token below the half.
        throttle.on_failure();
        for before in 0..successes {
            assert!(!throttle.allows(), "{ratio}: after {before}");
            throttle.on_success();
        }
        assert!(throttle.allows(), "{ratio}");
    }
}

#[test]
#[rustfmt::skip]
fn p177_three_decimals_are_cut_and_not_rounded() {
    let cases = [
        // ratio   thousandths of a token that a success gives back
        (0.5466,   546),
        (0.5469,   546),
        (0.29,     290),
        (0.57,     570),
        (1.001,    1_001),  // stored as a bit less
        (2.675,    2_675),
    ];
    for (ratio, thousandths) in cases {
        let throttle = throttle(1_000, ratio);
        for _ in 0..1_000 {
            throttle.on_failure();
        }
        // From zero to one thousandth above the half.
        let needed: u32 = 500_000 / thousandths + 1;
        for before in 0..needed {
            assert!(!throttle.allows(), "{ratio}: after {before}");
            throttle.on_success();
        }
        assert!(throttle.allows(), "{ratio}");
    }
}

#[test]
fn p177_tokens_stay_between_zero_and_the_maximum() {
    let throttle = throttle(10, 1.0);
    for _ in 0..100 {
        throttle.on_success();
    }
    assert_eq!(failures_until_empty(&throttle), 5);
    for _ in 0..100 {
        throttle.on_failure();
    }
    for _ in 0..6 {
        assert!(!throttle.allows());
        throttle.on_success();
    }
    assert!(throttle.allows());
}

#[test]
fn p177_no_token_is_lost_between_threads() {
    let throttle = Arc::new(throttle(1_000, 0.5));
    let threads = (0..4).map(|_| {
        let throttle = Arc::clone(&throttle);
        thread::spawn(move || {
            for _ in 0..100 {
                throttle.on_failure();
            }
            for _ in 0..100 {
                throttle.on_success();
            }
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
    // No more than 400 are missing at any time, so that neither end was reached but the upper one,
    // where a success is lost: at least 800 are left, and each failure took just one of them.
    let left = 500 + failures_until_empty(&throttle);
    assert!((800..=1_000).contains(&left), "{left}");
}

#[test]
#[rustfmt::skip]
fn p177_throttling_is_checked() {
    let cases = [
        (1,      0.001,          None),
        (1_000,  1e9,            None),
        (0,      0.1,            Some("max_tokens is 0, but must be 1 to 1000")),
        (1_001,  0.1,            Some("max_tokens is 1001, but must be 1 to 1000")),
        (10,     0.0,            Some("token_ratio is 0.0, but must be a number of at least 0.001")),
        (10,     0.0009,         Some("token_ratio is 0.0009, but must be a number of at least 0.001")),
        (10,     -0.1,           Some("token_ratio is -0.1, but must be a number of at least 0.001")),
        (10,     f64::NAN,       Some("token_ratio is NaN, but must be a number of at least 0.001")),
        (10,     f64::INFINITY,  Some("token_ratio is inf, but must be a number of at least 0.001")),
    ];
    for (max_tokens, token_ratio, flaw) in cases {
        let throttling = barewire::RetryThrottling { max_tokens, token_ratio };
        assert_eq!(throttling.check().err().as_deref(), flaw, "{throttling:?}");
    }
}

//! `client::backoff`: P162, P170.

use std::time::Duration;

use barewire::Code;

use crate::inside::backoff::Backoff;
use crate::inside::random::Random;
use crate::inside::retry_policy::RetryPolicy;

const SECOND: Duration = Duration::from_secs(1);

/// Without chance.
fn nominal(backoff: Backoff, earlier: u32) -> f64 {
    let backoff = Backoff {
        jitter: 0.0,
        ..backoff
    };
    backoff.delay(earlier, &Random::seeded(1)).as_secs_f64()
}

#[test]
#[rustfmt::skip]
fn p162_nominal_delays_grow_from_one_second_to_two_minutes() {
    let expected = [1.0, 1.6, 2.56, 4.1, 6.6, 10.5, 16.8, 26.8, 42.9, 68.7, 110.0, 120.0, 120.0];
    for (earlier, expected) in (0..).zip(expected) {
        let found = nominal(Backoff::default(), earlier);
        assert!((found - expected).abs() < 0.1, "{earlier}: {found}");
    }
    assert!((nominal(Backoff::default(), u32::MAX) - 120.0).abs() < 0.1);
}

#[test]
fn p162_chance_takes_or_adds_a_fifth_also_of_the_longest() {
    let random = Random::seeded(5);
    for (earlier, nominal) in [(0, 1.0), (1, 1.6), (30, 120.0)] {
        let delays = (0..10_000).map(|_| Backoff::default().delay(earlier, &random));
        let shares: Vec<f64> = delays.map(|delay| delay.as_secs_f64() / nominal).collect();
        assert!(
            shares.iter().all(|share| (0.799..1.201).contains(share)),
            "{earlier}"
        );
        assert!(shares.iter().any(|share| *share < 0.81), "{earlier}");
        assert!(shares.iter().any(|share| *share > 1.19), "{earlier}");
    }
}

#[test]
#[rustfmt::skip]
fn p170_a_retry_waits_for_initial_times_multiplier_to_the_power_up_to_max() {
    let cases: &[(f64, f64, f64, &[f64])] = &[
        // initial  multiplier  max     delays before the first, second … retry
        (0.1,       2.0,        1.0,    &[0.1, 0.2, 0.4, 0.8, 1.0, 1.0]),
        (0.1,       1.0,        1.0,    &[0.1, 0.1, 0.1]),
        (1.0,       0.5,        1.0,    &[1.0, 0.5, 0.25]),                // may shrink
        (5.0,       2.0,        1.0,    &[1.0, 1.0]),                      // max below initial
        (1.0,       1e300,      30.0,   &[1.0, 30.0, 30.0]),               // beyond all numbers
    ];
    for (initial, multiplier, max, delays) in cases {
        let policy = RetryPolicy {
            max_attempts: 5,
            initial_backoff: Duration::from_secs_f64(*initial),
            max_backoff: Duration::from_secs_f64(*max),
            backoff_multiplier: *multiplier,
            retryable_codes: vec![Code::Unavailable],
        };
        for (earlier, expected) in (0..).zip(*delays) {
            let found = nominal(policy.backoff(), earlier);
            assert!((found - expected).abs() < 1e-6, "{initial} x {multiplier}: {found}");
        }
        assert!((policy.backoff().jitter - 0.2).abs() < 1e-9);
    }
}

#[test]
fn no_delay_is_too_long_to_be_told() {
    let longest = Backoff {
        initial: Duration::MAX,
        max: Duration::MAX,
        ..Backoff::default()
    };
    let random = Random::seeded(1);
    for earlier in [0, 1, 1_000, u32::MAX] {
        assert!(longest.delay(earlier, &random) > 1_000_000 * SECOND);
    }
}

#[test]
#[rustfmt::skip]
fn a_backoff_is_checked() {
    let good = Backoff::default();
    let cases = [
        (good,                                                           None),
        (Backoff { multiplier: 1.0, jitter: 0.0, ..good },     None),
        (Backoff { initial: Duration::ZERO, ..good },          Some("initial is 0ns, but must be longer than nothing")),
        (Backoff { multiplier: 0.9, ..good },                  Some("multiplier is 0.9, but must be a number of at least 1")),
        (Backoff { multiplier: f64::NAN, ..good },             Some("multiplier is NaN, but must be a number of at least 1")),
        (Backoff { multiplier: f64::INFINITY, ..good },        Some("multiplier is inf, but must be a number of at least 1")),
        (Backoff { max: Duration::from_millis(999), ..good },  Some("max is 999ms, but must be at least initial")),
        (Backoff { jitter: 1.0, ..good },                      Some("jitter is 1.0, but must be at least 0 and less than 1")),
        (Backoff { jitter: -0.1, ..good },                     Some("jitter is -0.1, but must be at least 0 and less than 1")),
    ];
    for (backoff, flaw) in cases {
        assert_eq!(backoff.check().err().as_deref(), flaw, "{backoff:?}");
    }
}

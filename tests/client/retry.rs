//! `client::retry`: P166–P168, P171–P172, P175–P180. Each case is one call, attempt by attempt.

use std::time::Duration;

use barewire::Code::{
    self, Aborted, DeadlineExceeded, InvalidArgument, ResourceExhausted, Unavailable,
};
use barewire::Status;
use barewire::wire::Pushback;

use crate::inside::random::Random;
use crate::inside::retry::Decision::{GiveUp, RetryAfter, TransparentRetry};
use crate::inside::retry::Unprocessed::{self, Maybe, SeenByLibraryOnly};
use crate::inside::retry::{AttemptEnd, Decision, RetryRules, RetryState};
use crate::inside::retry_policy::RetryPolicy;
use crate::inside::throttle::{RetryThrottling, Throttle};

/// A failure as the machine is told of it.
#[derive(Clone, Copy, Debug)]
struct Failure {
    code: Code,
    unprocessed: Unprocessed,
    committed: bool,
    pushback: Pushback,
}

const fn failed(code: Code) -> Failure {
    Failure {
        code,
        unprocessed: Maybe,
        committed: false,
        pushback: Pushback::None,
    }
}

const fn unprocessed(unprocessed: Unprocessed) -> Failure {
    Failure {
        unprocessed,
        ..failed(Unavailable)
    }
}

const fn committed(failure: Failure) -> Failure {
    Failure {
        committed: true,
        ..failure
    }
}

const fn pushed_back(code: Code, milliseconds: u64) -> Failure {
    Failure {
        pushback: Pushback::After(ms(milliseconds)),
        ..failed(code)
    }
}

const fn forbidden(code: Code) -> Failure {
    Failure {
        pushback: Pushback::Never,
        ..failed(code)
    }
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Retries after 100, 200, 400, 800, 1000 ms, give or take a fifth.
fn policy(max_attempts: u32) -> RetryPolicy {
    RetryPolicy {
        max_attempts,
        initial_backoff: ms(100),
        max_backoff: ms(1_000),
        backoff_multiplier: 2.0,
        retryable_codes: vec![Unavailable, Aborted],
    }
}

const RETRY_100: Decision = RetryAfter(ms(100));
const RETRY_200: Decision = RetryAfter(ms(200));
const RETRY_400: Decision = RetryAfter(ms(400));
const RETRY_800: Decision = RetryAfter(ms(800));

/// One call against a script of failures and decisions.
fn play(rules: &RetryRules<'_>, script: &[(Failure, Decision)]) -> RetryState {
    let mut state = RetryState::default();
    for (step, (failure, expected)) in script.iter().enumerate() {
        let found = tell(&mut state, *failure, rules);
        let same = match (found, expected) {
            // A delay that the server named is kept to; ours has jitter.
            (RetryAfter(found), RetryAfter(expected)) if failure.pushback == Pushback::None => {
                (expected.mul_f64(0.799)..expected.mul_f64(1.201)).contains(&found)
            }
            (found, expected) => found == *expected,
        };
        assert!(same, "step {step} of {script:#?}: {found:?}");
    }
    state
}

fn tell(state: &mut RetryState, failure: Failure, rules: &RetryRules<'_>) -> Decision {
    let status = Status::new(failure.code, "");
    let end = AttemptEnd {
        status: &status,
        unprocessed: failure.unprocessed,
        committed: failure.committed,
        pushback: failure.pushback,
    };
    state.after(&end, rules)
}

fn rules<'a>(policy: Option<&'a RetryPolicy>, random: &'a Random) -> RetryRules<'a> {
    RetryRules {
        policy,
        attempt_limit: 5,
        throttle: None,
        random,
    }
}

#[test]
#[rustfmt::skip]
fn p166_what_no_application_saw_is_tried_again_without_a_policy() {
    let cases: &[&[(Failure, Decision)]] = &[
        &[(unprocessed(SeenByLibraryOnly), TransparentRetry),      // once
          (unprocessed(SeenByLibraryOnly), GiveUp)],
        &[(committed(unprocessed(SeenByLibraryOnly)), GiveUp)],    // what was sent is no longer there
        &[(unprocessed(Maybe), GiveUp)],                           // needs a policy
    ];
    for script in cases {
        play(&rules(None, &Random::seeded(1)), script);
    }
}

#[test]
#[rustfmt::skip]
fn p166_a_second_refusal_goes_to_the_policy() {
    let (random, policy) = (Random::seeded(2), policy(3));
    let state = play(&rules(Some(&policy), &random), &[
        (unprocessed(SeenByLibraryOnly), TransparentRetry),
        (unprocessed(SeenByLibraryOnly), RETRY_100),
        (unprocessed(SeenByLibraryOnly), RETRY_200),
        (unprocessed(SeenByLibraryOnly), GiveUp),
    ]);
    assert_eq!(state.previous_attempts(), 2);
}

#[test]
fn p167_transparent_retries_are_not_counted_and_cost_no_token() {
    let (random, policy) = (Random::seeded(3), policy(2));
    let throttle = Throttle::new(RetryThrottling {
        max_tokens: 2,
        token_ratio: 0.1,
    });
    let rules = RetryRules {
        throttle: Some(&throttle),
        ..rules(Some(&policy), &random)
    };
    let mut state = RetryState::default();
    let decision = tell(&mut state, unprocessed(SeenByLibraryOnly), &rules);
    assert_eq!(decision, TransparentRetry);
    assert_eq!(state.previous_attempts(), 0);
    assert!(throttle.allows());
}

#[test]
#[rustfmt::skip]
fn p168_what_this_process_refused_to_send_goes_by_its_code() {
    let (random, policy) = (Random::seeded(4), policy(3));
    let rules = rules(Some(&policy), &random);
    play(&rules, &[(failed(ResourceExhausted), GiveUp)]);
    play(&rules, &[(failed(Unavailable), RETRY_100)]);
    // What the balancer drops is committed from the start.
    play(&rules, &[(committed(failed(Unavailable)), GiveUp)]);
}

#[test]
#[rustfmt::skip]
fn p169_attempts_end_at_the_policy_s_or_the_channel_s_limit() {
    let cases = [
        // policy  channel  attempts
        (2,        5,       2),
        (4,        5,       4),
        (5,        5,       5),
        (6,        5,       5),     // more than five count as five
        (1_000,    5,       5),
        (1_000,    8,       8),     // unless the channel says otherwise
        (4,        2,       2),
        (4,        1,       1),
        (4,        0,       1),     // the first one always goes out
    ];
    let random = Random::seeded(5);
    for (max_attempts, attempt_limit, attempts) in cases {
        let policy = policy(max_attempts);
        let rules = RetryRules { attempt_limit, ..rules(Some(&policy), &random) };
        let mut state = RetryState::default();
        let mut made = 1;
        while tell(&mut state, failed(Unavailable), &rules) != GiveUp {
            made += 1;
            assert_eq!(state.previous_attempts(), made - 1);
        }
        assert_eq!(made, attempts, "{max_attempts} {attempt_limit}");
    }
}

#[test]
#[rustfmt::skip]
fn p170_delays_grow_by_the_policy() {
    let (random, policy) = (Random::seeded(6), policy(6));
    let rules = RetryRules { attempt_limit: 6, ..rules(Some(&policy), &random) };
    for _ in 0..100 {
        play(&rules, &[
            (failed(Unavailable), RETRY_100),
            (failed(Aborted),     RETRY_200),
            (failed(Unavailable), RETRY_400),
            (failed(Unavailable), RETRY_800),
            (failed(Unavailable), RetryAfter(ms(1_000))),
            (failed(Unavailable), GiveUp),
        ]);
    }
}

#[test]
#[rustfmt::skip]
fn p172_a_committed_call_is_not_tried_again() {
    let (random, policy) = (Random::seeded(7), policy(5));
    let rules = rules(Some(&policy), &random);
    play(&rules, &[(committed(failed(Unavailable)), GiveUp)]);
    play(&rules, &[
        (failed(Unavailable),                 RETRY_100),
        (committed(failed(Unavailable)),      GiveUp),
    ]);
    play(&rules, &[(committed(pushed_back(Unavailable, 0)), GiveUp)]);
}

#[test]
#[rustfmt::skip]
fn p175_a_code_counts_whoever_says_it() {
    let (random, policy) = (Random::seeded(8), policy(5));
    let rules = rules(Some(&policy), &random);
    for code in Code::ALL {
        let expected = if [Unavailable, Aborted].contains(&code) { RETRY_100 } else { GiveUp };
        play(&rules, &[(failed(code), expected)]);
    }
    for origin in [barewire::Origin::Local, barewire::Origin::Peer] {
        let status = Status { origin, ..Status::unavailable("") };
        let end = AttemptEnd { status: &status, unprocessed: Maybe, committed: false, pushback: Pushback::None };
        assert_ne!(RetryState::default().after(&end, &rules), GiveUp, "{origin:?}");
    }
}

#[test]
#[rustfmt::skip]
fn p176_a_server_may_name_the_delay_or_forbid_the_retry() {
    let (random, policy) = (Random::seeded(9), policy(5));
    let rules = rules(Some(&policy), &random);
    let cases: &[&[(Failure, Decision)]] = &[
        &[(pushed_back(Unavailable, 0), RetryAfter(ms(0)))],
        &[(pushed_back(Unavailable, 100_000), RetryAfter(ms(100_000)))],   // longer than the policy's longest
        &[(failed(Unavailable), RETRY_100),                                // then the policy begins anew
          (failed(Unavailable), RETRY_200),
          (pushed_back(Unavailable, 7), RetryAfter(ms(7))),
          (failed(Unavailable), RETRY_100),
          (failed(Unavailable), GiveUp)],                                  // the attempts do not
        &[(pushed_back(Unavailable, 7), RetryAfter(ms(7))),
          (failed(Unavailable), RETRY_100),
          (failed(Unavailable), RETRY_200)],
        &[(forbidden(Unavailable), GiveUp)],
        &[(pushed_back(InvalidArgument, 0), GiveUp)],                      // the code must be in the list
        &[(failed(Unavailable), RETRY_100),
          (failed(Unavailable), RETRY_200),
          (failed(Unavailable), RETRY_400),
          (failed(Unavailable), RETRY_800),
          (pushed_back(Unavailable, 0), GiveUp)],                          // attempts must be left
    ];
    for script in cases {
        play(&rules, script);
    }
}

#[test]
#[rustfmt::skip]
fn p177_failures_that_count_take_a_token() {
    let cases = [
        // failure                              with a policy  without
        (failed(Unavailable),                   true,          false),
        (failed(InvalidArgument),               false,         false),
        (failed(DeadlineExceeded),              false,         false),
        (committed(failed(Unavailable)),        true,          false),  // nothing to try again, overloaded all the same
        (forbidden(Unavailable),                true,          true),
        (forbidden(InvalidArgument),            true,          true),
        (pushed_back(Unavailable, 5),           true,          false),
        (pushed_back(InvalidArgument, 5),       false,         false),
    ];
    let (random, policy) = (Random::seeded(10), policy(5));
    for (failure, with, without) in cases {
        for (policy, counts) in [(Some(&policy), with), (None, without)] {
            let throttle = Throttle::new(RetryThrottling { max_tokens: 1, token_ratio: 0.1 });
            let rules = RetryRules { throttle: Some(&throttle), ..rules(policy, &random) };
            tell(&mut RetryState::default(), failure, &rules);
            assert_eq!(!throttle.allows(), counts, "{failure:?} {policy:?}");
        }
    }
}

#[test]
fn p177_retries_stop_after_five_failures_of_ten_tokens() {
    let (random, policy) = (Random::seeded(11), policy(2));
    let throttle = Throttle::new(RetryThrottling {
        max_tokens: 10,
        token_ratio: 0.1,
    });
    let rules = RetryRules {
        throttle: Some(&throttle),
        ..rules(Some(&policy), &random)
    };
    // Each call: the first attempt fails, and its retry as well if there is one.
    let mut attempts = 0;
    for _ in 0..100 {
        let mut state = RetryState::default();
        attempts += 1;
        while tell(&mut state, failed(Unavailable), &rules) != GiveUp {
            attempts += 1;
        }
    }
    // Two calls with two attempts each; the fifth failure stops the third call's retry. P178: the
    // first attempts of the other 97 go out all the same.
    assert_eq!(attempts, 2 + 2 + 1 + 97);
}

#[test]
fn p180_without_a_policy_only_transparent_retries_are_left() {
    let random = Random::seeded(12);
    let rules = rules(None, &random);
    for code in Code::ALL {
        play(&rules, &[(failed(code), GiveUp)]);
        play(&rules, &[(pushed_back(code, 0), GiveUp)]);
    }
    play(
        &rules,
        &[
            (unprocessed(SeenByLibraryOnly), TransparentRetry),
            (failed(Unavailable), GiveUp),
        ],
    );
}

#[test]
fn p186_the_header_counts_the_attempts_before() {
    let (random, policy) = (Random::seeded(13), policy(4));
    let rules = rules(Some(&policy), &random);
    let mut state = RetryState::default();
    let mut headers = Vec::new();
    for failure in [
        failed(Unavailable),
        unprocessed(SeenByLibraryOnly),
        failed(Unavailable),
    ] {
        tell(&mut state, failure, &rules);
        headers.push(state.previous_attempts());
    }
    assert_eq!(headers, [1, 1, 2]);
}

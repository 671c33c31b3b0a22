//! `client::hedge`: P181–P186. Each case is one call, event by event.

use std::time::Duration;

use barewire::Code::{self, Aborted, InvalidArgument, Unavailable};
use barewire::Status;
use barewire::wire::Pushback;

use crate::inside::hedge::HedgeDecision::{GiveUp, Send, SendAfter, TransparentRetry, Wait};
use crate::inside::hedge::{HedgeDecision, HedgeRules, HedgeState};
use crate::inside::retry::{AttemptEnd, Unprocessed};
use crate::inside::retry_policy::HedgingPolicy;
use crate::inside::throttle::{RetryThrottling, Throttle};

/// What happens to a call.
#[derive(Clone, Copy, Debug)]
enum Event {
    Sent,
    Timer,
    Failed(Code),
    Unprocessed(Unprocessed),
    PushedBack(Code, u64),
    Forbidden(Code),
    /// The headers of one attempt have come; the decision is that of the machine before.
    Committed,
    /// The attempt that was kept fails.
    CommittedFailed(Code),
}

use Event::{Committed, CommittedFailed, Failed, Forbidden, PushedBack, Sent, Timer};

fn tell(state: &mut HedgeState, event: Event, rules: &HedgeRules<'_>) -> HedgeDecision {
    let (code, unprocessed, committed, pushback) = match event {
        Sent => {
            state.begin();
            return state.next(rules);
        }
        Timer => return state.on_timer(rules),
        Committed => {
            state.commit();
            return Wait;
        }
        Failed(code) => (code, Unprocessed::Maybe, false, Pushback::None),
        Event::Unprocessed(unprocessed) => (Unavailable, unprocessed, false, Pushback::None),
        PushedBack(code, delay) => (code, Unprocessed::Maybe, false, Pushback::After(ms(delay))),
        Forbidden(code) => (code, Unprocessed::Maybe, false, Pushback::Never),
        CommittedFailed(code) => (code, Unprocessed::Maybe, true, Pushback::None),
    };
    let status = Status::new(code, "");
    let end = AttemptEnd {
        status: &status,
        unprocessed,
        committed,
        pushback,
    };
    state.after(&end, rules)
}

fn play(rules: &HedgeRules<'_>, script: &[(Event, HedgeDecision)]) {
    let mut state = HedgeState::default();
    for (step, (event, expected)) in script.iter().enumerate() {
        let found = tell(&mut state, *event, rules);
        assert_eq!(found, *expected, "step {step} of {script:#?}");
    }
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Three attempts, half a second from one to the next, unless the test says otherwise.
fn policy() -> HedgingPolicy {
    HedgingPolicy {
        max_attempts: 3,
        hedging_delay: ms(500),
        non_fatal_codes: vec![Unavailable, Aborted],
    }
}

const fn rules<'a>(policy: &'a HedgingPolicy, throttle: Option<&'a Throttle>) -> HedgeRules<'a> {
    HedgeRules {
        policy,
        attempt_limit: 5,
        throttle,
    }
}

const NEXT: HedgeDecision = SendAfter(ms(500));

#[test]
#[rustfmt::skip]
fn p181_attempts_end_at_the_policy_s_or_the_channel_s_limit() {
    let cases = [
        // policy  channel  attempts
        (2,        5,       2),
        (5,        5,       5),
        (6,        5,       5),
        (6,        8,       6),
        (6,        1,       1),
        (6,        0,       1),
    ];
    for (max_attempts, attempt_limit, attempts) in cases {
        for hedging_delay in [ms(500), ms(0)] {
            let policy = HedgingPolicy { max_attempts, hedging_delay, ..policy() };
            let rules = HedgeRules { attempt_limit, ..rules(&policy, None) };
            let mut state = HedgeState::default();
            let mut made = 1;
            while tell(&mut state, Sent, &rules) != Wait {
                made += 1;
            }
            assert_eq!(made, attempts, "{max_attempts} {attempt_limit}");
        }
    }
}

#[test]
#[rustfmt::skip]
fn p181_without_a_delay_all_attempts_go_out_at_once() {
    let policy = HedgingPolicy { hedging_delay: Duration::ZERO, ..policy() };
    play(&rules(&policy, None), &[(Sent, Send), (Sent, Send), (Sent, Wait)]);
}

#[test]
#[rustfmt::skip]
fn p182_attempts_go_out_in_a_rhythm_until_the_call_is_decided() {
    let cases: &[&[(Event, HedgeDecision)]] = &[
        // Nobody answers.
        &[(Sent, NEXT), (Timer, Send), (Sent, NEXT), (Timer, Send), (Sent, Wait)],
        // Failures that are not fatal bring the next one forward; the last one of them ends the call.
        &[(Sent, NEXT), (Failed(Unavailable), Send), (Sent, NEXT), (Failed(Aborted), Send), (Sent, Wait),
          (Failed(Unavailable), GiveUp)],
        // As long as one runs there is hope.
        &[(Sent, NEXT), (Timer, Send), (Sent, NEXT), (Failed(Unavailable), Send), (Sent, Wait),
          (Failed(Unavailable), Wait), (Failed(Unavailable), GiveUp)],
        // A fatal failure ends it at once, whatever runs or is to come.
        &[(Sent, NEXT), (Failed(InvalidArgument), GiveUp)],
        &[(Sent, NEXT), (Timer, Send), (Sent, NEXT), (Failed(InvalidArgument), GiveUp)],
    ];
    let policy = policy();
    for script in cases {
        play(&rules(&policy, None), script);
    }
}

#[test]
#[rustfmt::skip]
fn p183_pushback_delays_the_next_attempt_or_all() {
    let cases: &[&[(Event, HedgeDecision)]] = &[
        // A delay that the server names comes instead of the rhythm, once.
        &[(Sent, NEXT), (PushedBack(Unavailable, 2_000), SendAfter(ms(2_000))), (Timer, Send), (Sent, NEXT)],
        &[(Sent, NEXT), (Timer, Send), (Sent, NEXT), (PushedBack(Unavailable, 0), SendAfter(ms(0))), (Timer, Send), (Sent, Wait)],
        // No more attempts: those that run go on.
        &[(Sent, NEXT), (Timer, Send), (Sent, NEXT), (Forbidden(Unavailable), Wait), (Failed(Unavailable), GiveUp)],
        &[(Sent, NEXT), (Forbidden(Unavailable), GiveUp)],
        &[(Sent, NEXT), (Timer, Send), (Sent, NEXT), (Forbidden(Unavailable), Wait), (Timer, Wait)],
        // A fatal code is fatal.
        &[(Sent, NEXT), (PushedBack(InvalidArgument, 0), GiveUp)],
        // None are left.
        &[(Sent, NEXT), (Timer, Send), (Sent, NEXT), (Timer, Send), (Sent, Wait), (PushedBack(Unavailable, 5), Wait)],
    ];
    let policy = policy();
    for script in cases {
        play(&rules(&policy, None), script);
    }
}

#[test]
#[rustfmt::skip]
fn p184_without_tokens_no_further_attempt_goes_out() {
    let cases: &[(u32, &[(Event, HedgeDecision)])] = &[
        // failures before    this call
        (1, &[(Sent, NEXT), (Timer, Wait), (Failed(Unavailable), GiveUp)]),          // the first one went out
        (1, &[(Sent, NEXT), (Failed(Unavailable), GiveUp)]),
        (0, &[(Sent, NEXT), (Timer, Send), (Sent, NEXT), (Failed(Unavailable), Wait), // this failure took the token
              (Timer, Wait), (Failed(Unavailable), GiveUp)]),
        (0, &[(Sent, NEXT), (Timer, Send), (Sent, NEXT), (Forbidden(InvalidArgument), GiveUp)]),
    ];
    let policy = policy();
    for (failures, script) in cases {
        let throttle = Throttle::new(RetryThrottling { max_tokens: 2, token_ratio: 0.1 });
        for _ in 0..*failures {
            throttle.on_failure();
        }
        play(&rules(&policy, Some(&throttle)), script);
        assert!(!throttle.allows());
    }
}

#[test]
fn p184_a_call_that_waits_alone_for_its_next_attempt_ends_when_the_tokens_do() {
    let policy = policy();
    let throttle = Throttle::new(RetryThrottling {
        max_tokens: 4,
        token_ratio: 0.1,
    });
    let rules = rules(&policy, Some(&throttle));
    let mut state = HedgeState::default();
    tell(&mut state, Sent, &rules);
    let decision = tell(&mut state, PushedBack(Unavailable, 9), &rules);
    assert_eq!(decision, SendAfter(ms(9)));
    // Another call fails in between.
    throttle.on_failure();
    assert_eq!(tell(&mut state, Timer, &rules), GiveUp);
}

#[test]
fn p184_failures_that_are_fatal_take_no_token() {
    let policy = policy();
    let throttle = Throttle::new(RetryThrottling {
        max_tokens: 1,
        token_ratio: 0.1,
    });
    let rules = rules(&policy, Some(&throttle));
    play(&rules, &[(Sent, NEXT), (Failed(InvalidArgument), GiveUp)]);
    assert!(throttle.allows());
}

#[test]
#[rustfmt::skip]
fn p185_a_committed_call_keeps_one_attempt() {
    let cases: &[&[(Event, HedgeDecision)]] = &[
        &[(Sent, NEXT), (Timer, Send), (Sent, NEXT), (Committed, Wait), (Timer, Wait), (CommittedFailed(Unavailable), GiveUp)],
        &[(Sent, NEXT), (Committed, Wait), (Failed(Unavailable), GiveUp)],
    ];
    let policy = policy();
    for script in cases {
        play(&rules(&policy, None), script);
    }
}

#[test]
fn p186_the_header_counts_the_attempts_before() {
    let mut state = HedgeState::default();
    assert_eq!([state.begin(), state.begin(), state.begin()], [0, 1, 2]);
}

#[test]
#[rustfmt::skip]
fn p166_hedges_that_no_application_saw_are_sent_again() {
    use Unprocessed::SeenByLibraryOnly;

    let policy = policy();
    let throttle = Throttle::new(RetryThrottling { max_tokens: 2, token_ratio: 0.1 });
    play(&rules(&policy, Some(&throttle)), &[
        (Sent, NEXT),
        (Event::Unprocessed(SeenByLibraryOnly), TransparentRetry),
        (Timer, Send),                                             // the rhythm goes on
        (Sent, NEXT),
        (Event::Unprocessed(SeenByLibraryOnly), Wait),             // once for the whole call; takes the token
        (Failed(Unavailable), GiveUp),
    ]);
}

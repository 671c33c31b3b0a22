//! Attempts side by side: when does the next one go out, and when is the call lost?
//!
//! ```text
//!            0        delay     2 × delay
//!  first     ├─────────┼─────────┼────────────▶
//!  second              ├────✗ a failure that is not fatal: the next one goes out now
//!  third                    ├─────────────────▶
//!                                     ✓ headers from any of them: the others are cancelled
//! ```
//!
//! The machine counts attempts, and says after each event what to do and when to look again. The
//! first answer that is not a failure wins; a fatal failure ends the call, and so does the last
//! failure when no attempt runs and none may be made.
//!
//! Spec: gRFC A6 §Hedging Policy, §Summary of Retry and Hedging Logic, §Throttling.

use std::time::Duration;

use super::retry::{AttemptEnd, TransparentRetries, count_failure};
use super::retry_policy::HedgingPolicy;
use super::throttle::Throttle;
use crate::wire::Pushback;

/// What to do next with a hedged call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HedgeDecision {
    /// Send the attempt that failed once more, with the same header field for previous attempts. It
    /// does not begin anew, and the timer goes on as it was.
    TransparentRetry,
    /// Let the next attempt [begin](HedgeState::begin) now, and then ask [`HedgeState::next`]. The
    /// timer is void.
    Send,
    /// Set the timer to this, and tell [`HedgeState::on_timer`] when it is over.
    SendAfter(Duration),
    /// There will be no further attempt; wait for those that run. The timer is void.
    Wait,
    /// The call ends as the attempt that failed last, which may be a while ago. Attempts that still
    /// run are cancelled.
    GiveUp,
}

/// What a decision depends on beside the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HedgeRules<'a> {
    /// The policy of the method.
    pub(crate) policy: &'a HedgingPolicy,
    /// The channel's limit on attempts.
    pub(crate) attempt_limit: u32,
    /// The tokens of the server, if they are counted.
    pub(crate) throttle: Option<&'a Throttle>,
}

/// The attempts of a hedged call.
#[derive(Debug, Default)]
pub(crate) struct HedgeState {
    transparent: TransparentRetries,
    begun: u32,
    running: u32,
    /// There will be no further attempt, whatever the policy says.
    stopped: bool,
}

impl HedgeState {
    /// An attempt begins, the first one included: it looks for a connection. Gives how many went
    /// before it, for its header field; zero is not sent.
    pub(crate) const fn begin(&mut self) -> u32 {
        let previous = self.begun;
        self.begun = previous.saturating_add(1);
        self.running = self.running.saturating_add(1);
        previous
    }

    /// When the next attempt goes out, now that one has begun.
    pub(crate) fn next(&mut self, rules: &HedgeRules<'_>) -> HedgeDecision {
        let delay = rules.policy.hedging_delay;
        if self.is_exhausted(rules) {
            self.wait()
        } else if delay.is_zero() {
            self.send(rules)
        } else {
            HedgeDecision::SendAfter(delay)
        }
    }

    /// The timer is over.
    pub(crate) fn on_timer(&mut self, rules: &HedgeRules<'_>) -> HedgeDecision {
        if self.is_exhausted(rules) {
            return self.wait();
        }
        self.send(rules)
    }

    /// An attempt has failed.
    pub(crate) fn after(&mut self, end: &AttemptEnd<'_>, rules: &HedgeRules<'_>) -> HedgeDecision {
        if self.transparent.allow(end) {
            return HedgeDecision::TransparentRetry;
        }
        self.running = self.running.saturating_sub(1);
        let fatal = !rules.policy.non_fatal_codes.contains(&end.status.code);
        let enough_tokens = count_failure(end, !fatal, rules.throttle);
        if fatal || end.committed {
            return HedgeDecision::GiveUp;
        }
        if !enough_tokens || end.pushback == Pushback::Never {
            self.stopped = true;
        }
        if self.is_exhausted(rules) {
            return self.wait();
        }
        match end.pushback {
            Pushback::After(delay) => HedgeDecision::SendAfter(delay),
            Pushback::None | Pushback::Never => HedgeDecision::Send,
        }
    }

    /// One attempt is kept: its headers have come, or it has sent the most of a request that is too
    /// long to be kept. The caller cancels the others and does not tell how they end; the timer is
    /// void.
    pub(crate) const fn commit(&mut self) {
        self.stopped = true;
        self.running = 1;
    }

    // A hedge that may not go out now does not wait for tokens, and none will follow it.
    fn send(&mut self, rules: &HedgeRules<'_>) -> HedgeDecision {
        if rules.throttle.is_none_or(Throttle::allows) {
            return HedgeDecision::Send;
        }
        self.stopped = true;
        self.wait()
    }

    const fn wait(&self) -> HedgeDecision {
        if self.running == 0 {
            HedgeDecision::GiveUp
        } else {
            HedgeDecision::Wait
        }
    }

    fn is_exhausted(&self, rules: &HedgeRules<'_>) -> bool {
        self.stopped || self.begun >= rules.policy.max_attempts.min(rules.attempt_limit)
    }
}

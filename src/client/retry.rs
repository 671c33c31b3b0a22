//! An attempt of a call has failed: is there another one, and when?
//!
//! ```text
//!  an attempt fails
//!    did the server's application see the request?
//!      no, the server's library turned it away    ─▶ again, at once, but only once
//!      perhaps
//!        is the code in the policy's list?        no ─▶ give up
//!        does the server forbid it, are tokens,
//!        attempts or the request used up?        yes ─▶ give up
//!        did the server name a delay?            yes ─▶ again after just that
//!                                                 no ─▶ again after the policy's delay
//! ```
//!
//! The first kind is a transparent retry. It needs no policy, is not counted among the attempts, and
//! costs no token: no application was bothered. A request that never left this process has not even
//! failed: it goes out on another connection, and nobody asks here.
//!
//! A machine here has no clock. The call has one deadline for all its attempts, and whoever waits
//! for an attempt or a delay watches it. What cannot be sent again, because the response has begun
//! or the request was too long to be kept, is *committed*.
//!
//! Spec: gRFC A6 §Transparent Retries, §When Retries are Valid, §Pushback, §Throttling.

use std::time::Duration;

use super::random::Random;
use super::retry_policy::RetryPolicy;
use super::throttle::Throttle;
use crate::wire::{Pushback, Status};

/// How one attempt failed.
#[derive(Debug)]
pub(crate) struct AttemptEnd<'a> {
    /// What the server, or this process, says.
    pub(crate) status: &'a Status,
    /// Whether the request was processed.
    pub(crate) unprocessed: Unprocessed,
    /// Whether there can be no further attempt: Response-Headers have come, or messages that were
    /// sent are no longer there.
    pub(crate) committed: bool,
    /// What the server says about trying again.
    pub(crate) pushback: Pushback,
}

/// What is known of a request that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unprocessed {
    /// The server's library had it and did not pass it on: RST_STREAM(REFUSED_STREAM), or GOAWAY
    /// with a last stream below this one.
    SeenByLibraryOnly,
    /// It may have been processed. Also what is no matter of the server's: there was no connection
    /// to pick, or this process refused to send.
    Maybe,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try again at once, and say no more of it: the header field for previous attempts stays as
    /// it was.
    TransparentRetry,
    /// Try again after this time.
    RetryAfter(Duration),
    /// The call ends as this attempt did.
    GiveUp,
}

/// What a decision depends on beside the call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryRules<'a> {
    /// The policy of the method, if it has one and the channel does not switch retries off.
    pub(crate) policy: Option<&'a RetryPolicy>,
    /// The channel's limit on attempts.
    pub(crate) attempt_limit: u32,
    /// The tokens of the server, if they are counted.
    pub(crate) throttle: Option<&'a Throttle>,
    /// Where jitter comes from.
    pub(crate) random: &'a Random,
}

/// How often a call was tried.
#[derive(Debug, Default)]
pub(crate) struct RetryState {
    transparent: TransparentRetries,
    retries: u32,
    /// Retries since the server last named a delay. It makes the policy's delays begin anew.
    retries_since_pushback: u32,
}

impl RetryState {
    /// How many attempts went before the next one, for its header field. Zero is not sent.
    pub(crate) const fn previous_attempts(&self) -> u32 {
        self.retries
    }

    /// Decides about a failed attempt. Each of them is to be told, committed ones too: failures
    /// cost tokens even where nothing can be tried again.
    pub(crate) fn after(&mut self, end: &AttemptEnd<'_>, rules: &RetryRules<'_>) -> Decision {
        if self.transparent.allow(end) {
            return Decision::TransparentRetry;
        }
        let policy = rules
            .policy
            .filter(|policy| policy.retryable_codes.contains(&end.status.code));
        let enough_tokens = count_failure(end, policy.is_some(), rules.throttle);
        let Some(policy) = policy else {
            return Decision::GiveUp;
        };
        let attempts = policy.max_attempts.min(rules.attempt_limit);
        if end.committed || !enough_tokens || self.retries.saturating_add(1) >= attempts {
            return Decision::GiveUp;
        }
        let delay = match end.pushback {
            Pushback::Never => return Decision::GiveUp,
            Pushback::After(delay) => {
                self.retries_since_pushback = 0;
                delay
            }
            Pushback::None => {
                let earlier = self.retries_since_pushback;
                self.retries_since_pushback += 1;
                policy.backoff().delay(earlier, rules.random)
            }
        };
        self.retries += 1;
        Decision::RetryAfter(delay)
    }
}

/// Which failures are made good without a policy.
#[derive(Debug, Default)]
pub(super) struct TransparentRetries {
    /// The server turned an attempt away before. Each one costs bytes and a round trip, so that the
    /// second is for the policy to decide.
    turned_away: bool,
}

impl TransparentRetries {
    pub(super) const fn allow(&mut self, end: &AttemptEnd<'_>) -> bool {
        if end.committed {
            return false;
        }
        match end.unprocessed {
            Unprocessed::SeenByLibraryOnly => !std::mem::replace(&mut self.turned_away, true),
            Unprocessed::Maybe => false,
        }
    }
}

/// Takes a token for a failure that speaks of an overloaded server: its code is in the policy's
/// list, or the server forbids to try again. Says whether there may be another attempt.
pub(super) fn count_failure(
    end: &AttemptEnd<'_>,
    listed: bool,
    throttle: Option<&Throttle>,
) -> bool {
    match throttle {
        Some(throttle) if listed || end.pushback == Pushback::Never => throttle.on_failure(),
        Some(_) | None => true,
    }
}

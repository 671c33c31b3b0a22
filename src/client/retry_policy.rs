//! What a client may do for the calls of one method: wait, how long, how large, and how often.
//!
//! ```text
//!  Retry    attempt ✗ · · · attempt ✗ · · · · · · attempt ✓      one after the other
//!  Hedge    attempt ─────────────────────✗                       side by side,
//!               attempt ────────────✓                            the first good answer counts
//!                   attempt ───────── cancelled
//! ```
//!
//! A hedged call may be executed several times, and so may a retried one if the codes do not say
//! that nothing was done: only methods that bear it should have a policy.
//!
//! Spec: gRFC A6 §Retry Policy Capabilities, §Hedging Policy; gRPC Service Config.

use std::time::Duration;

use super::backoff::Backoff;
use super::flaw::Flaw;
use crate::wire::Code;

/// How the calls of a method are made when the call itself does not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MethodConfig {
    /// Whether calls wait while the server cannot be reached. What a call says itself counts more.
    pub wait_for_ready: Option<bool>,
    /// The longest that a call may take. If the call has a deadline too, the earlier one counts.
    pub timeout: Option<Duration>,
    /// Bytes of a request message, as sent. The smaller one of this and the channel's limit counts.
    /// 0 means that request messages must be empty.
    pub max_request_bytes: Option<usize>,
    /// Bytes of a response message. The smaller one of this and the channel's limit counts.
    pub max_response_bytes: Option<usize>,
    /// How often a call is tried.
    pub attempts: AttemptPolicy,
}

/// How often a call is tried. What the server's application has certainly not seen is tried again
/// under each of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AttemptPolicy {
    /// Once.
    #[default]
    Once,
    /// Again after it failed.
    Retry(RetryPolicy),
    /// Several times side by side.
    Hedge(HedgingPolicy),
}

/// When a call that failed is tried again.
///
/// # At least once, at most once
///
/// *Without a policy a call reaches a handler at most once.* It is made again only where no handler
/// can have seen it: nothing of it had left this process, or the server turned it away, by
/// RST_STREAM(REFUSED_STREAM) or by a GOAWAY whose last stream came before it. A call that ends
/// because its connection broke is not made again, for nobody here knows how far it got.
/// [`Status::unprocessed`](crate::Status::unprocessed) says of a call that failed that no handler has
/// seen any attempt of it: that call can be made anew, whatever it does.
///
/// *With a policy a call may reach handlers as often as `max_attempts` says*, and an attempt that
/// failed may have done all of its work before. A broken connection is UNAVAILABLE, so a list that
/// has this code takes in requests that were executed and whose answer was lost. A policy is
/// therefore for methods that bear it: those that only read, those that set a value instead of
/// changing it, and those whose requests carry an id by which the server knows them again. A method
/// that books money has none, unless it knows them again. Codes that handlers use only before they do anything can be listed for
/// all methods, unless this side also makes them: besides UNAVAILABLE that is what a reset stream
/// becomes, mostly INTERNAL or CANCELLED.
///
/// No attempt follows once Response-Headers have come, once the call has said more than
/// [`retry_buffer_per_call`](crate::ChannelConfig::retry_buffer_per_call) keeps, after the deadline,
/// or when the caller has given up. Attempts say in `grpc-previous-rpc-attempts` how many went before.
/// The same holds for a [`HedgingPolicy`], whose attempts also run at the same time, and may all
/// succeed.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use barewire::{AttemptPolicy, Code, MethodConfig, RetryPolicy, ServiceConfig};
///
/// let retry = RetryPolicy {
///     max_attempts: 4,
///     initial_backoff: Duration::from_millis(100),
///     max_backoff: Duration::from_secs(1),
///     backoff_multiplier: 2.0,
///     retryable_codes: vec![Code::Unavailable],
/// };
/// let config = ServiceConfig {
///     default_method: Some(MethodConfig {
///         attempts: AttemptPolicy::Retry(retry),
///         ..MethodConfig::default()
///     }),
///     ..ServiceConfig::default()
/// };
/// assert_eq!(config.check(), Ok(()));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts, the first one included; at least 2. More than the channel's limit, which is 5
    /// unless it is set, count as that limit.
    pub max_attempts: u32,
    /// The nominal delay before the first retry; a fifth more or less is left to chance.
    pub initial_backoff: Duration,
    /// The longest nominal delay.
    pub max_backoff: Duration,
    /// How many times longer each further delay is; above 0.
    pub backoff_multiplier: f64,
    /// The failures after which there is another attempt; at least one.
    pub retryable_codes: Vec<Code>,
}

/// When a call is tried once more while earlier attempts still run.
#[derive(Clone, Debug, PartialEq)]
pub struct HedgingPolicy {
    /// Attempts, the first one included; at least 2. More than the channel's limit, which is 5
    /// unless it is set, count as that limit.
    pub max_attempts: u32,
    /// The time from one attempt to the next. Zero sends all of them at once.
    pub hedging_delay: Duration,
    /// The failures of an attempt that do not end the call: the next attempt goes out at once.
    pub non_fatal_codes: Vec<Code>,
}

impl MethodConfig {
    /// Says what is wrong with this configuration, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the field, its value and what it must be.
    pub fn check(&self) -> Result<(), String> {
        match &self.attempts {
            AttemptPolicy::Once => Ok(()),
            AttemptPolicy::Retry(policy) => policy.check(),
            AttemptPolicy::Hedge(policy) => policy.check(),
        }
    }
}

impl RetryPolicy {
    /// Says what is wrong with this policy, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the field, its value and what it must be.
    pub fn check(&self) -> Result<(), String> {
        self.flawless().map_err(|flaw| flaw.to_string())
    }

    pub(super) fn flawless(&self) -> Result<(), Flaw> {
        check_attempts(self.max_attempts)?;
        Flaw::unless(
            !self.initial_backoff.is_zero(),
            ("initial_backoff", "initialBackoff"),
            self.initial_backoff,
            "longer than nothing",
        )?;
        Flaw::unless(
            !self.max_backoff.is_zero(),
            ("max_backoff", "maxBackoff"),
            self.max_backoff,
            "longer than nothing",
        )?;
        Flaw::unless(
            self.backoff_multiplier > 0.0 && self.backoff_multiplier.is_finite(),
            ("backoff_multiplier", "backoffMultiplier"),
            self.backoff_multiplier,
            "a number above 0",
        )?;
        Flaw::unless(
            !self.retryable_codes.is_empty(),
            ("retryable_codes", "retryableStatusCodes"),
            &self.retryable_codes,
            "a list with at least one failure",
        )
    }

    /// The delays between the attempts.
    pub(crate) const fn backoff(&self) -> Backoff {
        Backoff {
            initial: self.initial_backoff,
            multiplier: self.backoff_multiplier,
            max: self.max_backoff,
            jitter: 0.2, // gRFC A6 §Exponential Backoff
        }
    }
}

impl HedgingPolicy {
    /// Says what is wrong with this policy, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the field, its value and what it must be.
    pub fn check(&self) -> Result<(), String> {
        self.flawless().map_err(|flaw| flaw.to_string())
    }

    pub(super) fn flawless(&self) -> Result<(), Flaw> {
        check_attempts(self.max_attempts)
    }
}

fn check_attempts(max_attempts: u32) -> Result<(), Flaw> {
    Flaw::unless(
        max_attempts >= 2,
        ("max_attempts", "maxAttempts"),
        max_attempts,
        "at least 2",
    )
}

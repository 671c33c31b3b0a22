//! How long to wait before the next attempt: longer each time, up to a limit, give or take a bit.
//!
//! ```text
//!  nominal delays of a connection, in seconds
//!  1   1.6   2.6   4.1   6.6   10   17   27   43   69   110   120   120 …
//! ```
//!
//! Chance spreads each delay, so that clients that lost a server together do not come back
//! together. It is applied after the limit: a delay may be longer than the longest nominal one.
//!
//! Connections and retries of calls wait by the same formula. The delay of a connection counts from
//! the *start* of the attempt that failed, that of a retry from the attempt's end.
//!
//! Spec: gRPC Connection Backoff Protocol; gRFC A6 §Exponential Backoff.

use std::time::Duration;

use super::flaw::Flaw;
use super::random::Random;

/// When to connect again after a failure. Plain data: change fields of [`Default::default`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The nominal delay after the first failure. Calls that do not wait fail meanwhile: UNAVAILABLE.
    /// Default 1 s.
    pub initial: Duration,
    /// How many times longer each further delay is. Default 1.6.
    pub multiplier: f64,
    /// The longest nominal delay. Default 120 s.
    pub max: Duration,
    /// The share of a delay that chance adds to it or takes away. Default 0.2.
    pub jitter: f64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            multiplier: 1.6,
            max: Duration::from_secs(120),
            jitter: 0.2,
        }
    }
}

impl Backoff {
    /// Says what is wrong with this configuration, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the field, its value and what it must be.
    pub fn check(&self) -> Result<(), String> {
        self.flawless().map_err(|flaw| flaw.to_string())
    }

    fn flawless(&self) -> Result<(), Flaw> {
        let (initial, multiplier, max, jitter) =
            (self.initial, self.multiplier, self.max, self.jitter);
        Flaw::unless(
            !initial.is_zero(),
            ("initial", ""),
            initial,
            "longer than nothing",
        )?;
        Flaw::unless(
            multiplier >= 1.0 && multiplier.is_finite(),
            ("multiplier", ""),
            multiplier,
            "a number of at least 1",
        )?;
        Flaw::unless(max >= initial, ("max", ""), max, "at least initial")?;
        Flaw::unless(
            (0.0..1.0).contains(&jitter),
            ("jitter", ""),
            jitter,
            "at least 0 and less than 1",
        )
    }

    /// How long to wait, if so many delays went before this one.
    pub(crate) fn delay(&self, earlier: u32, random: &Random) -> Duration {
        let exponent = i32::try_from(earlier).unwrap_or(i32::MAX);
        let grown = self.initial.as_secs_f64() * self.multiplier.powi(exponent);
        let nominal = grown.min(self.max.as_secs_f64());
        let spread = random.between(1.0 - self.jitter, 1.0 + self.jitter);
        // Only what no clock can count to does not fit.
        Duration::try_from_secs_f64(nominal * spread).unwrap_or(self.max)
    }
}

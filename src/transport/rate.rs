//! A bucket of tokens: so many at once, so many more each second.

use tokio::time::Instant;

/// How much is allowed at once, and how much more each second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Allowed at once.
    pub burst: u32,
    /// Allowed again each second.
    pub per_second: u32,
}

/// Counts what a peer does against a [`Rate`].
#[derive(Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    /// Thousandths of a token, so that slow rates refill smoothly.
    left: u64,
    refilled_at: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            left: u64::from(rate.burst).saturating_mul(1_000),
            refilled_at: now,
        }
    }

    /// Takes one token; says whether there was one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.left < 1_000 {
            self.refill(now);
        }
        let Some(left) = self.left.checked_sub(1_000) else {
            return false;
        };
        self.left = left;
        true
    }

    // Refilled only when empty: a bucket that is never empty costs no look at the clock. Time since
    // the last refill counts in full, up to one burst.
    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled_at);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let gained = millis.saturating_mul(u64::from(self.rate.per_second));
        let full = u64::from(self.rate.burst).saturating_mul(1_000);
        if gained > 0 {
            self.left = self.left.saturating_add(gained).min(full);
            self.refilled_at = now;
        }
    }
}

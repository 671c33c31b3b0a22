//! A bucket of tokens: so many at once, so many more each second.

use std::time::Duration;

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
    /// Thousandths of a token: each millisecond gives `per_second` of them.
    left: u64,
    /// Up to here time was turned into tokens, in whole milliseconds.
    refilled_at: Instant,
}

impl Bucket {
    pub(crate) fn new(rate: Rate, now: Instant) -> Self {
        Self {
            rate,
            left: full(rate),
            refilled_at: now,
        }
    }

    /// Takes one token; says whether there was one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let Some(left) = self.left.checked_sub(1_000) else {
            return false;
        };
        self.left = left;
        true
    }

    // At each take: what came while the bucket was full must be lost, or a quiet peer would have two
    // bursts. Less than a millisecond is left for the next time, and so never lost.
    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.refilled_at);
        let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let gained = millis.saturating_mul(u64::from(self.rate.per_second));
        let left = self.left.saturating_add(gained);
        if left < full(self.rate) {
            self.left = left;
            self.refilled_at += Duration::from_millis(millis);
        } else {
            self.left = full(self.rate);
            self.refilled_at = self.refilled_at.max(now);
        }
    }
}

fn full(rate: Rate) -> u64 {
    u64::from(rate.burst).saturating_mul(1_000)
}

//! Chance: how long to wait, which address comes first, whom to ask.
//!
//! The generator is splitmix64: a counter goes up in large odd steps, and each of its values is
//! scattered over 64 bits. The counter is all there is to share, so one generator serves all tasks
//! of a channel without a lock. Nothing here is fit for secrets.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::transport::seed::seed;

/// A generator of numbers.
#[derive(Debug)]
pub(crate) struct Random {
    counter: AtomicU64,
}

impl Random {
    /// One that nobody can foresee, unless a test does.
    pub(crate) fn new() -> Self {
        Self::seeded(seed())
    }

    /// One that gives the same numbers for the same seed.
    pub(crate) const fn seeded(seed: u64) -> Self {
        Self {
            counter: AtomicU64::new(seed),
        }
    }

    /// Any number.
    pub(crate) fn next(&self) -> u64 {
        let counter = self.counter.fetch_add(STEP, Ordering::Relaxed);
        let bits = counter.wrapping_add(STEP);
        let bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below the limit; 0 if the limit is 0.
    pub(crate) fn below(&self, limit: usize) -> usize {
        // The high half of a product: a fraction of the limit, without a division.
        let limit = u128::try_from(limit).unwrap_or_default();
        let product = u128::from(self.next()) * limit;
        usize::try_from(product >> 64).unwrap_or_default()
    }

    /// A number from `low` up to `high`, which is not among them.
    pub(crate) fn between(&self, low: f64, high: f64) -> f64 {
        // 32 bits are enough for jitter, and all of them fit into an f64.
        let bits = u32::try_from(self.next() >> 32).unwrap_or_default();
        low + (high - low) * (f64::from(bits) / 4_294_967_296.0)
    }

    /// Puts the items into any order; all orders are equally likely.
    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// The golden ratio in 64 bits, odd: the counter visits all numbers before it repeats one.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

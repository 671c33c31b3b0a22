//! Tokens that stop retries when a server fails too often.
//!
//! ```text
//!  max_tokens ┤ full at the start; a call that succeeds gives back token_ratio
//!             │ retries and hedges go out
//!  half of it ┼─────────────────────────────────────────────────────────────
//!             │ none go out; the first attempt of a call still does
//!           0 ┤ each failure takes one token
//! ```
//!
//! There is one bucket for each server name, shared by all calls of a channel, whatever their
//! method. Nobody ever waits for a token: a retry that may not go out is given up.
//!
//! Spec: gRFC A6 §Throttling Retry Attempts and Hedged RPCs.

use std::sync::atomic::{AtomicU32, Ordering};

use super::flaw::Flaw;

/// How many failures stop the retries of a channel, and how many successes let them go on.
///
/// With the usual 10 and 0.1, retries stop after five failures in a row, and for as long as more
/// than about one call in ten fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryThrottling {
    /// Tokens at the start and at the most, 1 to 1,000. A failure takes one; at half of them and
    /// below there are no retries.
    pub max_tokens: u32,
    /// Tokens that a success gives back, at least 0.001. Decimals beyond the third do not count.
    pub token_ratio: f64,
}

impl RetryThrottling {
    /// Says what is wrong with this configuration, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the field, its value and what it must be.
    pub fn check(&self) -> Result<(), String> {
        self.flawless().map_err(|flaw| flaw.to_string())
    }

    pub(super) fn flawless(&self) -> Result<(), Flaw> {
        Flaw::unless(
            (1..=1_000).contains(&self.max_tokens),
            ("max_tokens", "maxTokens"),
            self.max_tokens,
            "1 to 1000",
        )?;
        // A ratio above 0 whose first three decimals are 0 would never give a token back. The
        // document does not speak of it; gRPC's C core refuses it as well.
        Flaw::unless(
            self.token_ratio >= 0.001 && self.token_ratio.is_finite(),
            ("token_ratio", "tokenRatio"),
            self.token_ratio,
            "a number of at least 0.001",
        )
    }
}

/// The tokens of one server name.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// Thousandths of a token, as are the two below.
    tokens: AtomicU32,
    full: u32,
    gain: u32,
}

impl Throttle {
    /// A bucket with all its tokens.
    pub(crate) fn new(config: RetryThrottling) -> Self {
        let full = config.max_tokens.saturating_mul(TOKEN);
        Self {
            tokens: AtomicU32::new(full),
            full,
            gain: thousandths(config.token_ratio),
        }
    }

    /// A call has succeeded.
    pub(crate) fn on_success(&self) {
        // As long as all goes well the bucket is full, and no task has to write what others read.
        if self.tokens.load(Ordering::Relaxed) != self.full {
            self.change(|tokens| tokens.saturating_add(self.gain).min(self.full));
        }
    }

    /// An attempt has failed in a way that counts against the server. Says whether there may still
    /// be retries.
    pub(crate) fn on_failure(&self) -> bool {
        self.is_enough(self.change(|tokens| tokens.saturating_sub(TOKEN)))
    }

    /// Whether there may be retries and hedges now.
    pub(crate) fn allows(&self) -> bool {
        self.is_enough(self.tokens.load(Ordering::Relaxed))
    }

    const fn is_enough(&self, tokens: u32) -> bool {
        tokens > self.full / 2
    }

    /// Replaces the number of tokens; gives the new one.
    fn change(&self, next: impl Fn(u32) -> u32) -> u32 {
        let mut tokens = self.tokens.load(Ordering::Relaxed);
        loop {
            let changed = next(tokens);
            let swapped = self.tokens.compare_exchange_weak(
                tokens,
                changed,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return changed,
                Err(newer) => tokens = newer,
            }
        }
    }
}

/// One token.
const TOKEN: u32 = 1_000;

/// The thousandths in a number, cut, not rounded.
#[expect(
    clippy::as_conversions,
    reason = "from a float there is no other way; too much becomes u32::MAX"
)]
fn thousandths(ratio: f64) -> u32 {
    // 1.001 is stored as a bit less; a thousandth part of a thousandth brings it back.
    (ratio * 1_000.0 + 0.001) as u32
}

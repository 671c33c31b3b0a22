//! Bytes that all connections of a server hold together: unread and unsent.
//!
//! ```text
//!   unread ─┐                      0.8 of the end             the end
//!           ├─▶ Share ─▶ Buffered ──────┼──────────────────────┼──▶
//!   unsent ─┘                      the largest is         the largest
//!                                  not read from          is closed
//! ```
//!
//! Each connection has bounds of its own, but a server has many connections. A [`Share`] is counted
//! here in whole units only, so that small messages do not have all cores fight for one number: a
//! connection that holds little counts as nothing, and is never made to suffer.

use std::sync::Arc;

use super::leaks::assert_none_left;
use super::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

/// A share counts here in pieces of this size.
const UNIT: usize = 64 * 1024;

/// What all shares hold together.
pub(crate) struct Buffered {
    /// Less than none for a moment, when bytes of a share are taken away before they were counted here.
    bytes: AtomicIsize,
    limit: usize,
    /// At so many bytes it is looked at again who has the most.
    look_at: AtomicUsize,
}

/// What is to be done about all that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pressure {
    /// Nothing.
    None,
    /// The connection with the most unread bytes is to be read from no more.
    Pause,
    /// The connection that holds the most is to be closed.
    Cut,
    /// Connections may be read from again.
    Gone,
}

impl Buffered {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: AtomicIsize::new(0),
            limit,
            look_at: AtomicUsize::new(limit),
        }
    }

    /// There is too much.
    pub(super) fn is_over(&self) -> bool {
        at_least_none(self.bytes.load(Ordering::Relaxed)) >= self.limit
    }

    fn add(&self, bytes: usize) -> Pressure {
        let step = step(bytes);
        let before = self.bytes.fetch_add(step, Ordering::Relaxed);
        let total = at_least_none(before.saturating_add(step));
        if total < self.look_at.load(Ordering::Relaxed) {
            return Pressure::None;
        }
        // To look at all connections takes time, so that is not done for each unit.
        let next = total.saturating_add((self.limit / 64).max(UNIT));
        self.look_at.store(next, Ordering::Relaxed);
        if total >= self.limit.saturating_add(self.limit / 4) {
            Pressure::Cut
        } else {
            Pressure::Pause
        }
    }

    fn subtract(&self, bytes: usize) -> Pressure {
        let before = at_least_none(self.bytes.fetch_sub(step(bytes), Ordering::Relaxed));
        if before < self.limit || before.saturating_sub(bytes) >= self.limit {
            return Pressure::None;
        }
        self.look_at.store(self.limit, Ordering::Relaxed);
        Pressure::Gone
    }
}

impl Drop for Buffered {
    fn drop(&mut self) {
        // No share is left.
        let left = self.bytes.load(Ordering::Relaxed);
        assert_none_left(left.unsigned_abs(), "buffered bytes");
    }
}

fn step(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

fn at_least_none(bytes: isize) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}

/// What one connection holds, of one kind.
pub(super) struct Share {
    bytes: AtomicUsize,
    all: Arc<Buffered>,
}

impl Share {
    pub(super) fn new(all: Arc<Buffered>) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            all,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// As much of it as counts for all.
    pub(super) fn counted(&self) -> usize {
        self.bytes() / UNIT * UNIT
    }

    /// So many more. Yields how many there were, and what that means for all.
    pub(super) fn add(&self, bytes: usize) -> (usize, Pressure) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let units = (before + bytes) / UNIT - before / UNIT;
        let pressure = match units {
            0 => Pressure::None,
            _ => self.all.add(units * UNIT),
        };
        (before, pressure)
    }

    /// So many fewer; no more than there are.
    pub(super) fn subtract(&self, bytes: usize) -> (usize, Pressure) {
        let before = self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        let units = before / UNIT - (before - bytes) / UNIT;
        let pressure = match units {
            0 => Pressure::None,
            _ => self.all.subtract(units * UNIT),
        };
        (before, pressure)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Whoever waits looks again by himself, a little later.
        let _ = self.subtract(self.bytes());
    }
}

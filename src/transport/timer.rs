//! Moments and timers.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// As good as never, and safe to add to any moment: a hundred years.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The moment `duration` after `start`. One that is too far to be told is a hundred years away.
pub(crate) fn after(start: Instant, duration: Duration) -> Instant {
    start.checked_add(duration).unwrap_or_else(|| start + FAR)
}

/// Polls a timer whatever else its task has done in this turn.
///
/// tokio gives each turn of a task a budget, and a timer that is polled when it is spent neither
/// fires nor registers. A handler that always has work would outlive its deadline that way, and a
/// timer that is polled once and then trusted to wake its task would never do so.
pub(crate) fn poll_timer(timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<()> {
    pin!(tokio::task::unconstrained(timer)).poll(cx)
}

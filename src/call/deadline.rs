//! When a call must have ended.

use std::time::Duration;

use tokio::time::Instant;

/// The moment at which a call ends with DEADLINE_EXCEEDED, if it has not ended before. It covers the
/// whole call, each message of a stream included.
///
/// Made from `grpc-timeout`, which counts from when the request was received: clocks of different
/// machines never meet. Spec: gRPC-HTTP2 §Requests (Timeout).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that is `timeout` from now.
    pub fn after(timeout: Duration) -> Self {
        let now = Instant::now();
        Self(now.checked_add(timeout).unwrap_or(now + FAR))
    }

    /// The moment itself.
    pub fn at(self) -> Instant {
        self.0
    }

    /// What is left of it; zero once it has passed. A call made on behalf of this one may take as
    /// long.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }
}

/// As good as never, and safe to add to any moment: a hundred years.
const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

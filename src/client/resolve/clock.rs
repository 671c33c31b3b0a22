//! ResolveClock: when a name is looked up.
//!
//! ```text
//!   now ──▶ lookup ── succeeded ──▶ idle ── asked ──▶ lookup, 30 s after the last success
//!             ▲  │                    └── announced ─▶ lookup at once
//!             │  └── failed ──▶ waits, longer each time
//!             └────────────────────┘
//! ```
//!
//! A channel that loses its connections asks for fresh addresses, and may lose them often; name
//! servers shall not feel that. A resolver that announces news of its own accord knows what it does,
//! and is held only to ten lookups a second.
//!
//! There is no timer in here: moments come in and go out.
//!
//! Spec: gRPC-Naming §Resolver Plugins. The 30 s are those of grpc-go and gRPC C++.

use std::time::Duration;

use tokio::time::Instant;

/// When a name is looked up: at once, and then as often as somebody asks and the limits allow.
#[derive(Debug)]
pub(crate) struct ResolveClock {
    /// Somebody wants fresh addresses, or the last lookup failed.
    wanted: bool,
    /// The resolver has news.
    announced: bool,
    running: bool,
    /// A lookup that is merely wanted does not begin before.
    not_before: Instant,
    began_at: Option<Instant>,
    /// Failures since the last success.
    failures: u32,
}

/// From one success to the next lookup that somebody asks for.
const ASKED_INTERVAL: Duration = Duration::from_secs(30);
/// From the start of one lookup to the start of the next that a resolver announces.
const ANNOUNCED_INTERVAL: Duration = Duration::from_millis(100);

/// Longer delays are as good as this one, and not every sum of a moment and a duration is a moment.
const DELAY_LIMIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl ResolveClock {
    /// A clock by which the first lookup is due now.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            wanted: true,
            announced: false,
            running: false,
            not_before: now,
            began_at: None,
            failures: 0,
        }
    }

    /// When the next lookup is to begin, perhaps in the past; `None` if none is wanted, or one runs.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        if self.running {
            return None;
        }
        let announced = self.announced.then(|| {
            self.began_at
                .map_or(self.not_before, |began| began + ANNOUNCED_INTERVAL)
        });
        let wanted = self.wanted.then_some(self.not_before);
        announced.into_iter().chain(wanted).min()
    }

    /// Somebody wants fresh addresses: a connection is lost, or all attempts have failed. Asked while
    /// a lookup runs, it stands: that lookup may have begun before the addresses changed.
    pub(crate) fn ask(&mut self) {
        self.wanted = true;
    }

    /// The resolver says that it would answer otherwise now.
    pub(crate) fn announce(&mut self) {
        self.announced = true;
    }

    /// A lookup begins.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.running = true;
        self.began_at = Some(now);
        self.wanted = false;
        self.announced = false;
    }

    /// The lookup has found addresses that can be used.
    pub(crate) fn succeed(&mut self, now: Instant) {
        self.running = false;
        self.failures = 0;
        self.not_before = now + ASKED_INTERVAL;
    }

    /// The lookup has failed, and is repeated after the `delay` that follows so many earlier failures.
    pub(crate) fn fail(&mut self, now: Instant, delay: impl FnOnce(u32) -> Duration) {
        self.running = false;
        self.wanted = true;
        self.not_before = now + delay(self.failures).min(DELAY_LIMIT);
        self.failures = self.failures.saturating_add(1);
    }
}

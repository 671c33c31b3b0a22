//! PING, received: how often a peer may ask whether we are alive.
//!
//! A client that pings too often keeps radios awake and servers busy. A PING that comes sooner than
//! allowed after the last good one is a strike; more strikes than are forgiven, and the connection
//! is closed with `too_many_pings`, which gRPC clients understand and slow down for. Whenever we
//! send HEADERS or DATA the count starts again, since clients measure bandwidth with PINGs.
//!
//! Spec: gRFC A8 §Server Enforcement.

use std::time::Duration;

use tokio::time::Instant;

/// How often a peer may send PING while it has no calls, and so nothing to keep alive. gRFC A8
/// §Server Enforcement.
const INTERVAL_WITHOUT_CALLS: Duration = Duration::from_secs(2 * 60 * 60);

/// Judges the PINGs of one peer.
#[derive(Debug)]
pub(crate) struct PingPolicy {
    min_interval: Duration,
    max_strikes: u32,
    strikes: u32,
    last_good_at: Option<Instant>,
    calls_open: bool,
}

impl PingPolicy {
    #[cfg(feature = "server")]
    pub(crate) fn new(min_interval: Duration, max_strikes: u32) -> Self {
        Self {
            min_interval,
            max_strikes,
            strikes: 0,
            last_good_at: None,
            calls_open: false,
        }
    }

    #[cfg(feature = "server")]
    pub(crate) fn calls_open(&mut self, any: bool) {
        self.calls_open = any;
    }

    /// We sent HEADERS or DATA.
    pub(crate) fn answered(&mut self) {
        self.strikes = 0;
        self.last_good_at = None;
    }

    /// A PING came; says whether it is still tolerable.
    pub(crate) fn received(&mut self, now: Instant) -> bool {
        let interval = if self.calls_open {
            self.min_interval
        } else {
            INTERVAL_WITHOUT_CALLS
        };
        match self.last_good_at {
            Some(last) if now.saturating_duration_since(last) < interval => self.strikes += 1,
            Some(_) | None => self.last_good_at = Some(now),
        }
        self.strikes <= self.max_strikes
    }
}

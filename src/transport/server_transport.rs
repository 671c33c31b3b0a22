//! What all connections of a server share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::buffered::{Buffered, Pressure};
use super::config::Http2Config;
use super::connection_shared::{ConnectionShared, Order};
use super::counters::{Counter, Counters};
use super::open_connections::OpenConnections;
use super::peer::Peer;
use super::preface::NotHttp2;

/// One line tells of all peers that came in so long and did not speak HTTP/2.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// What all connections of a server share.
pub(crate) struct ServerTransport {
    pub(crate) config: Arc<Http2Config>,
    pub(crate) counters: Counters,
    pub(crate) open: OpenConnections,
    pub(super) buffered: Arc<Buffered>,
    not_http2: Mutex<Strangers>,
}

/// Peers that did not speak HTTP/2, since there was a line in the log about them.
#[derive(Default)]
struct Strangers {
    logged_at: Option<Instant>,
    unlogged: u64,
}

impl ServerTransport {
    pub(crate) fn new(config: Http2Config, max_buffered_bytes: usize, counters: Counters) -> Self {
        Self {
            config: Arc::new(config),
            counters,
            open: OpenConnections::default(),
            buffered: Arc::new(Buffered::new(max_buffered_bytes)),
            not_http2: Mutex::default(),
        }
    }

    /// Does about all that is held what has to be done.
    pub(super) fn relieve(&self, pressure: Pressure) {
        match pressure {
            Pressure::None => {}
            Pressure::Pause => self
                .open
                .order_largest(Order::Pause, |shared| shared.unread.counted()),
            Pressure::Cut => self
                .open
                .order_largest(Order::Cut, ConnectionShared::buffered),
            Pressure::Gone => self.open.wake(Order::Pause),
        }
    }

    /// A peer did not begin as HTTP/2. Whoever only looked whether the port is open did nothing worth
    /// telling.
    pub(super) fn is_not_http2(&self, peer: &Peer, what: NotHttp2) {
        let Some(counter) = what.counter() else {
            return;
        };
        self.counters.count(counter);
        let now = Instant::now();
        let mut strangers = self
            .not_http2
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        strangers.unlogged += 1;
        let silent_since = |at| now.saturating_duration_since(at) >= LOG_INTERVAL;
        if strangers.logged_at.is_none_or(silent_since) {
            let count = std::mem::take(&mut strangers.unlogged);
            strangers.logged_at = Some(now);
            drop(strangers);
            let [http1, tls, junk] = [
                Counter::NotHttp2Http1,
                Counter::NotHttp2Tls,
                Counter::NotHttp2Junk,
            ]
            .map(|counter| self.counters.of(counter));
            tracing::warn!(
                %peer, since_the_last_line = count, http1, tls, junk,
                "not HTTP/2: {what}"
            );
        }
    }
}

//! What the calls of a connection share with it, and with each other.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::config::Http2Config;
use super::peer::Peer;
use super::phase::PhaseWatch;
use super::rate::Bucket;

/// What the calls of a connection share with it.
pub(crate) struct ConnectionShared {
    pub(crate) peer: Peer,
    pub(crate) config: Arc<Http2Config>,
    pub(crate) phase: PhaseWatch,
    /// Calls whose handlers have not ended.
    pub(super) calls: AtomicUsize,
    /// What the peer's SETTINGS say about header lists; 0 is nothing.
    peer_header_limit: AtomicUsize,
    cancelled: Mutex<Bucket>,
    too_many_cancelled: AtomicBool,
}

impl ConnectionShared {
    pub(super) fn new(
        peer: Peer,
        config: Arc<Http2Config>,
        phase: PhaseWatch,
        opened_at: Instant,
    ) -> Self {
        Self {
            cancelled: Mutex::new(Bucket::new(config.cancelled_streams, opened_at)),
            peer,
            config,
            phase,
            calls: AtomicUsize::new(0),
            peer_header_limit: AtomicUsize::new(0),
            too_many_cancelled: AtomicBool::new(false),
        }
    }

    pub(crate) fn stream_window(&self) -> usize {
        usize::try_from(self.config.stream_window).unwrap_or(usize::MAX)
    }

    /// The largest header list that the peer says it accepts.
    pub(crate) fn peer_header_limit(&self) -> Option<usize> {
        match self.peer_header_limit.load(Ordering::Relaxed) {
            0 => None,
            limit => Some(limit),
        }
    }

    pub(super) fn set_peer_header_limit(&self, limit: usize) {
        self.peer_header_limit.store(limit, Ordering::Relaxed);
    }

    /// The peer gave up a call before we began to answer it.
    pub(crate) fn count_cancelled(&self) {
        let mut bucket = self
            .cancelled
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if !bucket.take(Instant::now()) {
            self.too_many_cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// It did so too often.
    pub(super) fn too_many_cancelled(&self) -> bool {
        self.too_many_cancelled.load(Ordering::Relaxed)
    }
}

//! What the calls of a connection share with it, and with each other.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::config::Http2Config;
use super::counters::{Counter, Counters};
use super::peer::Peer;
use super::phase::PhaseWatch;
use super::rate::Bucket;
use super::server_transport::ServerTransport;
use super::unread::Unread;

/// What the calls of a connection share with it.
pub(crate) struct ConnectionShared {
    pub(crate) peer: Peer,
    pub(crate) config: Arc<Http2Config>,
    pub(crate) server: Arc<ServerTransport>,
    pub(crate) phase: PhaseWatch,
    /// Calls whose handlers have not ended.
    pub(super) calls: AtomicUsize,
    /// What the peer's SETTINGS say about header lists; 0 is nothing.
    peer_header_limit: AtomicUsize,
    pub(super) unread: Unread,
    cancelled: Mutex<Bucket>,
    too_many_cancelled: AtomicBool,
}

impl ConnectionShared {
    pub(super) fn new(
        peer: Peer,
        server: Arc<ServerTransport>,
        phase: PhaseWatch,
        opened_at: Instant,
    ) -> Self {
        let config = Arc::clone(&server.config);
        let bytes = |window: u32| usize::try_from(window).unwrap_or(usize::MAX);
        Self {
            unread: Unread::new(bytes(config.connection_window), bytes(config.stream_window)),
            cancelled: Mutex::new(Bucket::new(config.cancelled_streams, opened_at)),
            peer,
            config,
            server,
            phase,
            calls: AtomicUsize::new(0),
            peer_header_limit: AtomicUsize::new(0),
            too_many_cancelled: AtomicBool::new(false),
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.server.counters
    }

    /// One more of what is counted has happened.
    pub(crate) fn count(&self, counter: Counter) {
        self.server.counters.count(counter);
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

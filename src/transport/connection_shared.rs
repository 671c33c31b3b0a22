//! What the calls of a connection share with it, and with each other.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};

use tokio::time::Instant;

use super::buffered::Share;
use super::config::Http2Config;
use super::counters::{Counter, Counters};
use super::leaks::assert_none_left;
use super::peer::Peer;
use super::phase::PhaseWatch;
use super::rate::Bucket;
use super::server_transport::ServerTransport;
use super::unread::Unread;
use super::unsent::Unsent;

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
    pub(super) unsent: Unsent,
    /// Of replies, what has found no room in h2.
    waiting: Share,
    /// What others want of the connection, by the bits of [`Order`].
    orders: AtomicU8,
    /// The connection's task, to be woken when there is an order, or the window is full.
    task: Mutex<Option<Waker>>,
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
            unread: Unread::new(
                bytes(config.connection_window),
                bytes(config.stream_window),
                Arc::clone(&server.buffered),
            ),
            unsent: Unsent::new(config.connection_send_buffer, Arc::clone(&server.buffered)),
            waiting: Share::new(Arc::clone(&server.buffered)),
            orders: AtomicU8::new(0),
            task: Mutex::new(None),
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

    /// So many bytes came that no handler has taken.
    pub(super) fn is_unread(&self, bytes: usize) {
        let (fills, pressure) = self.unread.add(bytes);
        if fills {
            self.wake_task();
        }
        self.server.relieve(pressure);
    }

    /// So many of them do not count against the window any more.
    pub(super) fn left_window(&self, bytes: usize) {
        self.unread.leave_window(bytes);
    }

    /// So many of them were taken, or thrown away.
    pub(super) fn was_read(&self, bytes: usize) {
        self.server.relieve(self.unread.subtract(bytes));
    }

    /// So many bytes were handed to h2.
    pub(super) fn is_unsent(&self, bytes: usize) {
        self.server.relieve(self.unsent.add(bytes));
    }

    /// The socket has taken so many of them.
    pub(super) fn was_sent(&self, bytes: usize) {
        self.server.relieve(self.unsent.left(bytes));
    }

    /// Of a reply so many bytes wait for room in h2, where there were so many `before`.
    pub(super) fn is_waiting(&self, before: usize, now: usize) {
        let (_, pressure) = match now.checked_sub(before) {
            Some(more) => self.waiting.add(more),
            None => self.waiting.subtract(before - now),
        };
        self.server.relieve(pressure);
    }

    /// Bytes that this connection makes us hold, as far as they count.
    pub(super) fn buffered(&self) -> usize {
        self.unread.counted() + self.unsent.counted() + self.waiting.counted()
    }

    pub(super) fn has_calls(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > 0
    }

    /// The task that drives the connection.
    pub(super) fn driven_by(&self, cx: &Context<'_>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        *task = Some(cx.waker().clone());
    }

    pub(super) fn wake_task(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task {
            task.wake_by_ref();
        }
    }

    /// Tells the connection's task what to do.
    pub(super) fn order(&self, order: Order) {
        self.orders.fetch_or(order.bit(), Ordering::Relaxed);
        self.wake_task();
    }

    pub(super) fn has_order(&self, order: Order) -> bool {
        self.orders.load(Ordering::Relaxed) & order.bit() != 0
    }

    /// There is any order.
    pub(super) fn has_orders(&self) -> bool {
        self.orders.load(Ordering::Relaxed) != 0
    }

    /// The order no longer holds.
    pub(super) fn forget(&self, order: Order) {
        self.orders.fetch_and(!order.bit(), Ordering::Relaxed);
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

impl Drop for ConnectionShared {
    fn drop(&mut self) {
        // No call is left that could have anything unread, or anything that waits for room. What is
        // unsent is lost with the connection.
        assert_none_left(self.unread.all(), "unread bytes");
        assert_none_left(self.waiting.bytes(), "waiting bytes");
        assert_none_left(self.calls.load(Ordering::Relaxed), "calls");
    }
}

/// What a connection is told to do for the sake of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// To go: others wait for its place.
    Leave,
    /// To read no more while all connections together hold too much.
    Pause,
    /// To end at once: it holds the most of what is far too much.
    Cut,
}

impl Order {
    const fn bit(self) -> u8 {
        match self {
            Self::Leave => 1,
            Self::Pause => 2,
            Self::Cut => 4,
        }
    }
}

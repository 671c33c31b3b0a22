//! Bytes of a connection's replies that wait inside h2 for the socket.
//!
//! Each stream may have some there. A peer that opens many and reads none would have them all full, so
//! the calls of a connection hand nothing over while together they have too much.
//!
//! h2 does not tell what it still has. What it writes passes the meter; what it threw away with a stream
//! does not. But when the socket has taken all that h2 would write, nothing of what it was handed before
//! is left.
//!
//! Spec: RFC 9113 §5.2.

use std::pin::pin;
use std::sync::Arc;

use super::buffered::{Buffered, Pressure, Share};
use super::sync::Notify;

/// What all streams of a connection have unsent.
pub(crate) struct Unsent {
    bytes: Share,
    limit: usize,
    room: Notify,
}

impl Unsent {
    pub(super) fn new(limit: usize, all: Arc<Buffered>) -> Self {
        Self {
            bytes: Share::new(all),
            limit,
            room: Notify::new(),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.bytes()
    }

    /// As many of them as count among those of all connections.
    pub(super) fn counted(&self) -> usize {
        self.bytes.counted()
    }

    /// Nothing more is to be handed over.
    pub(super) fn is_full(&self) -> bool {
        self.bytes() >= self.limit
    }

    pub(super) fn add(&self, bytes: usize) -> Pressure {
        self.bytes.add(bytes).1
    }

    /// So many bytes have left, or all that there are if those are fewer. Called by the connection's
    /// task alone.
    pub(super) fn left(&self, bytes: usize) -> Pressure {
        let bytes = bytes.min(self.bytes());
        let (before, pressure) = self.bytes.subtract(bytes);
        if before >= self.limit {
            self.room.notify_waiters();
        }
        pressure
    }

    /// Resolves when there is room again.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn has_room(&self) {
        loop {
            let mut room = pin!(self.room.notified());
            // Looked at after the waiting began, so that the room cannot come unseen between.
            room.as_mut().enable();
            if !self.is_full() {
                return;
            }
            room.await;
        }
    }
}

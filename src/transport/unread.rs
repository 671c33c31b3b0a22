//! Bytes of a connection's requests that no handler has taken yet.
//!
//! They fill the connection's window, which all its streams share. When it is nearly full because
//! some handlers do not read, the others cannot be reached any more: not even their flow control
//! helps, since the connection's is used up. The connection then gives up the stream that was left
//! unread the longest.
//!
//! Spec: RFC 9113 §5.2.1.

use std::sync::{Arc, Mutex, PoisonError};

use super::buffered::{Buffered, Pressure, Share};
use super::recv::{RecvHalf, WeakRecvHalf};

/// What all streams of a connection have unread.
pub(crate) struct Unread {
    bytes: Share,
    /// From here on the window counts as full: one more stream could not fill its own.
    full: usize,
    /// Streams that had much unread at some time.
    holders: Mutex<Vec<WeakRecvHalf>>,
}

impl Unread {
    pub(super) fn new(connection_window: usize, stream_window: usize, all: Arc<Buffered>) -> Self {
        Self {
            bytes: Share::new(all),
            full: connection_window.saturating_sub(stream_window),
            holders: Mutex::new(Vec::new()),
        }
    }

    /// The connection's window is used up, or nearly.
    pub(super) fn is_full(&self) -> bool {
        self.bytes() >= self.full
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.bytes()
    }

    /// As many of them as count among those of all connections.
    pub(super) fn counted(&self) -> usize {
        self.bytes.counted()
    }

    /// Says whether the window has become full by that, and what it means for all connections.
    pub(super) fn add(&self, bytes: usize) -> (bool, Pressure) {
        let (before, pressure) = self.bytes.add(bytes);
        let fills = before < self.full && before.saturating_add(bytes) >= self.full;
        (fills, pressure)
    }

    pub(super) fn subtract(&self, bytes: usize) -> Pressure {
        self.bytes.subtract(bytes).1
    }

    /// This stream has much unread.
    pub(super) fn held_by(&self, stream: WeakRecvHalf) {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.retain(WeakRecvHalf::is_alive);
        holders.push(stream);
    }

    /// The stream that has had much unread for the longest time.
    pub(super) fn longest_held(&self) -> Option<RecvHalf> {
        // Taken out, so that no lock is held while those of the streams are taken.
        let streams: Vec<RecvHalf> = {
            let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
            holders.iter().filter_map(WeakRecvHalf::upgrade).collect()
        };
        let held = streams
            .into_iter()
            .filter_map(|stream| Some((stream.held_since()?, stream)));
        held.min_by_key(|(since, _)| *since)
            .map(|(_, stream)| stream)
    }
}

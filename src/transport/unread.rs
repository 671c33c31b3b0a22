//! Bytes of a connection's requests that no handler has taken yet.
//!
//! They fill the connection's window, which all its streams share. When it is nearly full because
//! some handlers do not read, the others cannot be reached any more: not even their flow control
//! helps, since the connection's is used up. The connection then gives up the stream that was left
//! unread the longest.
//!
//! Of a message that is not whole the beginning has left the window, or the rest could not come. It is
//! held all the same, and counts among what all connections hold.
//!
//! Spec: RFC 9113 §5.2.1.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::buffered::{Buffered, Pressure, Share};
use super::recv::{RecvHalf, WeakRecvHalf};

/// What all streams of a connection have unread.
pub(crate) struct Unread {
    bytes: Share,
    /// As many of them as fill the window.
    in_window: AtomicUsize,
    /// From here on the window counts as full: one more stream could not fill its own.
    full: usize,
    /// Streams that held much at some time.
    holders: Mutex<Vec<WeakRecvHalf>>,
}

impl Unread {
    pub(super) fn new(connection_window: usize, stream_window: usize, all: Arc<Buffered>) -> Self {
        Self {
            bytes: Share::new(all),
            in_window: AtomicUsize::new(0),
            full: connection_window.saturating_sub(stream_window),
            holders: Mutex::new(Vec::new()),
        }
    }

    /// The connection's window is used up, or nearly.
    pub(super) fn is_full(&self) -> bool {
        self.in_window.load(Ordering::Relaxed) >= self.full
    }

    /// How many there are, be it in the window or out of it.
    pub(super) fn all(&self) -> usize {
        self.bytes
            .bytes()
            .max(self.in_window.load(Ordering::Relaxed))
    }

    /// As many of them as count among those of all connections.
    pub(super) fn counted(&self) -> usize {
        self.bytes.counted()
    }

    /// Says whether the window has become full by that, and what it means for all connections.
    pub(super) fn add(&self, bytes: usize) -> (bool, Pressure) {
        let (_, pressure) = self.bytes.add(bytes);
        let before = self.in_window.fetch_add(bytes, Ordering::Relaxed);
        let fills = before < self.full && before.saturating_add(bytes) >= self.full;
        (fills, pressure)
    }

    pub(super) fn leave_window(&self, bytes: usize) {
        self.in_window.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, bytes: usize) -> Pressure {
        self.bytes.subtract(bytes).1
    }

    /// This stream holds much.
    pub(super) fn held_by(&self, stream: WeakRecvHalf) {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.retain(WeakRecvHalf::is_alive);
        holders.push(stream);
    }

    /// The stream that has had much unread for the longest time.
    pub(super) fn longest_unread(&self) -> Option<RecvHalf> {
        self.longest(RecvHalf::unread_since)
    }

    /// The stream that has held much for the longest time, unread or of a message that is not whole.
    pub(super) fn longest_held(&self) -> Option<RecvHalf> {
        self.longest(RecvHalf::held_since)
    }

    fn longest(&self, since: impl Fn(&RecvHalf) -> Option<Instant>) -> Option<RecvHalf> {
        // Taken out, so that no lock is held while those of the streams are taken.
        let streams: Vec<RecvHalf> = {
            let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
            holders.iter().filter_map(WeakRecvHalf::upgrade).collect()
        };
        let held = streams
            .into_iter()
            .filter_map(|stream| Some((since(&stream)?, stream)));
        held.min_by_key(|(since, _)| *since)
            .map(|(_, stream)| stream)
    }
}

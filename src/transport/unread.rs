//! Bytes of a connection's requests that no handler has taken yet.
//!
//! They fill the connection's window, which all its streams share. When it is nearly full because
//! some handlers do not read, the others cannot be reached any more: not even their flow control
//! helps, since the connection's is used up. The connection then gives up the stream that was left
//! unread the longest.
//!
//! Spec: RFC 9113 §5.2.1.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

use super::recv::{RecvHalf, WeakRecvHalf};

/// What all streams of a connection have unread.
pub(crate) struct Unread {
    bytes: AtomicUsize,
    /// From here on the window counts as full: one more stream could not fill its own.
    full: usize,
    /// Streams that had much unread at some time.
    holders: Mutex<Vec<WeakRecvHalf>>,
    /// The connection's task, to be woken when the window becomes full.
    task: Mutex<Option<Waker>>,
}

impl Unread {
    pub(super) fn new(connection_window: usize, stream_window: usize) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            full: connection_window.saturating_sub(stream_window),
            holders: Mutex::new(Vec::new()),
            task: Mutex::new(None),
        }
    }

    /// The connection's window is used up, or nearly.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.full
    }

    /// The task to wake when it becomes so.
    pub(super) fn watched_by(&self, cx: &Context<'_>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        *task = Some(cx.waker().clone());
    }

    pub(super) fn add(&self, bytes: usize) {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before < self.full && before.saturating_add(bytes) >= self.full {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(task) = &*task {
                task.wake_by_ref();
            }
        }
    }

    pub(super) fn subtract(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
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

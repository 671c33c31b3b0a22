//! How many calls a server has, and when it has none.

use crate::transport::sync::Notify;
use crate::transport::sync::atomic::{AtomicUsize, Ordering};

/// How many calls there are, on all connections.
#[derive(Default)]
pub(super) struct CallCount {
    open: AtomicUsize,
    none_left: Notify,
}

impl CallCount {
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// Resolves when there are none.
    pub(super) async fn wait_for_none(&self) {
        loop {
            let none_left = self.none_left.notified();
            // Looked at after the waiting began, so that the last call cannot end unseen between.
            if self.open() == 0 {
                return;
            }
            none_left.await;
        }
    }
}

/// One of the calls that a server may have at once.
pub(super) struct CallPermit<'a>(&'a CallCount);

impl<'a> CallPermit<'a> {
    pub(super) fn take(calls: &'a CallCount, limit: usize) -> Option<Self> {
        let before = calls.open.fetch_add(1, Ordering::Relaxed);
        // Dropped at once where there is no room, which counts it down again.
        Some(Self(calls)).filter(|_| before < limit)
    }
}

impl Drop for CallPermit<'_> {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}

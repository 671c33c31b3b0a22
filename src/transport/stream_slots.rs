//! Streams that a client may open on a connection, and calls that wait for one.
//!
//! How many there may be at once is the server's to say, and to change. Where it takes fewer than
//! there are, those that end give nothing back until as many have ended as were too many.
//!
//! Spec: RFC 9113 §5.1.2.

use super::client_connection::Load;
use super::sync::atomic::{AtomicUsize, Ordering};
use super::sync::{Notify, Semaphore};

/// The streams of a connection.
pub(super) struct StreamSlots {
    /// Streams that may still be opened.
    free: Semaphore,
    /// Streams to end before one of them gives its slot back: the server takes fewer than it did.
    owed: AtomicUsize,
    limit: AtomicUsize,
    open: AtomicUsize,
    waiting: AtomicUsize,
    /// A call waits for a slot.
    wanted: Notify,
}

/// The connection takes no more streams.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Closed;

impl StreamSlots {
    /// None, until the server says how many.
    pub(super) fn new() -> Self {
        Self {
            free: Semaphore::new(0),
            owed: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            wanted: Notify::new(),
        }
    }

    /// Takes a slot, if there is one without waiting.
    pub(super) fn try_take(&self) -> bool {
        let Ok(permit) = self.free.try_acquire() else {
            return false;
        };
        permit.forget();
        self.open.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Takes a slot. First come, first served.
    ///
    /// # Cancel safety
    ///
    /// Safe: whoever gives up leaves the queue.
    pub(super) async fn take(&self) -> Result<(), Closed> {
        if self.try_take() {
            return Ok(());
        }
        let _waiting = Waiting::begin(self);
        match self.free.acquire().await {
            Ok(permit) => permit.forget(),
            Err(_) => return Err(Closed),
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// A stream has ended, or was never opened.
    pub(super) fn give_back(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
        if take_up_to(&self.owed, 1) == 0 {
            self.free.add_permits(1);
        }
    }

    /// No more from here on; whoever waits is told.
    pub(super) fn close(&self) {
        self.free.close();
    }

    /// The server takes so many streams at once. Called by the driver alone.
    pub(super) fn set_limit(&self, limit: usize) {
        let before = self.limit.swap(limit, Ordering::Relaxed);
        if let Some(more) = limit.checked_sub(before) {
            let paid = take_up_to(&self.owed, more);
            self.free.add_permits(more - paid);
        } else {
            let fewer = before - limit;
            // Before the look at what is free: a stream that ends now must not give its slot back.
            self.owed.fetch_add(fewer, Ordering::Relaxed);
            let taken = self.free.forget_permits(fewer);
            // What was free is not owed, as far as streams have not paid for it by now.
            let settled = take_up_to(&self.owed, taken);
            self.free.add_permits(taken - settled);
        }
    }

    /// Streams that are open.
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn load(&self) -> Load {
        Load {
            open: self.open(),
            limit: self.limit.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }

    /// Resolves when a call waits for a slot.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn are_wanted(&self) {
        loop {
            let wanted = self.wanted.notified();
            if self.waiting.load(Ordering::Relaxed) > 0 {
                return;
            }
            wanted.await;
        }
    }
}

/// Takes as much as there is, up to `wanted`; says how much.
fn take_up_to(count: &AtomicUsize, wanted: usize) -> usize {
    let taken = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
        Some(count.saturating_sub(wanted))
    });
    taken.map_or(0, |before| before.min(wanted))
}

/// Counts a call that waits for a slot, while it does.
struct Waiting<'a>(&'a StreamSlots);

impl<'a> Waiting<'a> {
    fn begin(slots: &'a StreamSlots) -> Self {
        slots.waiting.fetch_add(1, Ordering::Relaxed);
        slots.wanted.notify_waiters();
        Self(slots)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

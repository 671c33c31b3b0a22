//! What the library has from `std` and `tokio`, made of loom's parts: each step of it is one that
//! another thread may come before.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub use loom::sync::{Mutex, MutexGuard, atomic};

/// As tokio's: `notify_waiters` ends all waits that have begun, `notify_one` one, or the next.
#[derive(Default)]
pub struct Notify(Mutex<Notes>);

#[derive(Default)]
struct Notes {
    /// How often all were told.
    told_all: usize,
    /// One that waits, or will, is told.
    told_one: bool,
    waiting: Vec<Waker>,
}

impl Notify {
    pub fn new() -> Self {
        Self::default()
    }

    /// A wait begins.
    pub fn notified(&self) -> Notified<'_> {
        let told_before = self.0.lock().unwrap().told_all;
        Notified {
            notify: self,
            told_before,
        }
    }

    pub fn notify_waiters(&self) {
        self.tell(|notes| notes.told_all += 1);
    }

    pub fn notify_one(&self) {
        self.tell(|notes| notes.told_one = true);
    }

    fn tell(&self, how: impl FnOnce(&mut Notes)) {
        let waiting = {
            let mut notes = self.0.lock().unwrap();
            how(&mut notes);
            std::mem::take(&mut notes.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

pub struct Notified<'a> {
    notify: &'a Notify,
    told_before: usize,
}

impl Notified<'_> {
    /// Waits from here on. It does so from the beginning, as far as `notify_waiters` goes.
    pub fn enable(self: Pin<&mut Self>) -> bool {
        false
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut notes = self.notify.0.lock().unwrap();
        if notes.told_all != self.told_before || std::mem::take(&mut notes.told_one) {
            return Poll::Ready(());
        }
        notes.waiting.push(cx.waker().clone());
        Poll::Pending
    }
}

/// As tokio's, as far as it is used.
pub struct Semaphore(Mutex<Permits>);

struct Permits {
    free: usize,
    closed: bool,
    waiting: VecDeque<Waker>,
}

pub struct Permit(());

#[derive(Debug)]
pub struct NoPermit;

impl Permit {
    pub fn forget(self) {}
}

impl Semaphore {
    pub fn new(free: usize) -> Self {
        Self(Mutex::new(Permits {
            free,
            closed: false,
            waiting: VecDeque::new(),
        }))
    }

    pub fn try_acquire(&self) -> Result<Permit, NoPermit> {
        let mut permits = self.0.lock().unwrap();
        if permits.closed || permits.free == 0 {
            return Err(NoPermit);
        }
        permits.free -= 1;
        Ok(Permit(()))
    }

    pub async fn acquire(&self) -> Result<Permit, NoPermit> {
        std::future::poll_fn(|cx| {
            let mut permits = self.0.lock().unwrap();
            if permits.closed {
                return Poll::Ready(Err(NoPermit));
            }
            if permits.free == 0 {
                permits.waiting.push_back(cx.waker().clone());
                return Poll::Pending;
            }
            permits.free -= 1;
            Poll::Ready(Ok(Permit(())))
        })
        .await
    }

    pub fn add_permits(&self, count: usize) {
        self.tell(|permits| permits.free += count);
    }

    pub fn forget_permits(&self, count: usize) -> usize {
        let mut permits = self.0.lock().unwrap();
        let forgotten = permits.free.min(count);
        permits.free -= forgotten;
        forgotten
    }

    pub fn close(&self) {
        self.tell(|permits| permits.closed = true);
    }

    fn tell(&self, how: impl FnOnce(&mut Permits)) {
        let waiting = {
            let mut permits = self.0.lock().unwrap();
            how(&mut permits);
            std::mem::take(&mut permits.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}

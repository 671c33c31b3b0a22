//! What a server is doing, as its connections and calls need to know it.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::sync::Notify;
use super::sync::atomic::{AtomicU8, Ordering};

/// What a server is doing, told to all of its connections. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Phase {
    /// Calls are welcome.
    Serving,
    /// Calls go on, new ones are not welcome.
    Draining,
    /// What is left is cut.
    Cutting,
    /// The server was dropped, and its connections go with it.
    Gone,
}

impl Phase {
    fn of(number: u8) -> Self {
        [Self::Serving, Self::Draining, Self::Cutting]
            .into_iter()
            .find(|phase| phase.number() == number)
            .unwrap_or(Self::Gone)
    }

    const fn number(self) -> u8 {
        #[expect(clippy::as_conversions, reason = "the numbers of an enum of u8")]
        let number = self as u8;
        number
    }
}

/// Where a server says what it is doing. Whoever waits is woken in the order in which they began to.
pub(crate) struct PhaseTeller(Arc<Told>);

struct Told {
    phase: AtomicU8,
    moved: Notify,
}

impl PhaseTeller {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Told {
            phase: AtomicU8::new(Phase::Serving.number()),
            moved: Notify::new(),
        }))
    }

    pub(crate) fn watch(&self) -> PhaseWatch {
        PhaseWatch {
            seen: self.0.now(),
            told: Arc::clone(&self.0),
        }
    }

    pub(crate) fn tell(&self, phase: Phase) {
        self.0.phase.store(phase.number(), Ordering::Release);
        self.0.moved.notify_waiters();
    }
}

impl Drop for PhaseTeller {
    fn drop(&mut self) {
        self.tell(Phase::Gone);
    }
}

impl Told {
    fn now(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Acquire))
    }

    /// The phase, once it is `due`.
    async fn once(&self, due: impl Fn(Phase) -> bool) -> Phase {
        loop {
            let mut moved = pin!(self.moved.notified());
            // Looked at after the waiting began, so that nothing can be told unseen between.
            moved.as_mut().enable();
            let now = self.now();
            if due(now) {
                return now;
            }
            moved.await;
        }
    }
}

/// A server's phase, to be looked at and waited for.
#[derive(Clone)]
pub(crate) struct PhaseWatch {
    seen: Phase,
    told: Arc<Told>,
}

impl PhaseWatch {
    /// The phase now.
    pub(crate) fn now(&self) -> Phase {
        self.told.now()
    }

    /// Whether the phase is another than this watch has seen. Costs a look, where to wait for that costs
    /// more.
    pub(crate) fn has_moved(&self) -> bool {
        self.now() != self.seen
    }

    /// Waits until the server no longer serves.
    pub(crate) async fn drain_begins(self) {
        self.told.once(|now| now >= Phase::Draining).await;
    }

    /// What `work` yields; `None` if the server cuts what is left, or is dropped, before.
    ///
    /// # Cancel safety
    ///
    /// As `work`.
    pub(crate) async fn until_cut<T>(self, work: impl Future<Output = T>) -> Option<T> {
        let mut cut = pin!(self.told.once(|now| now >= Phase::Cutting));
        let mut work = pin!(work);
        // Work and phase race; work that is done is worth having, however late.
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            cut.as_mut().poll(cx).map(|_| None)
        })
        .await
    }

    /// Waits until the phase is another than this watch has seen.
    pub(crate) async fn next(mut self) -> (Self, Phase) {
        let before = self.seen;
        let now = self.told.once(|now| now != before).await;
        self.seen = now;
        (self, now)
    }
}

impl fmt::Debug for PhaseWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PhaseWatch").field(&self.now()).finish()
    }
}

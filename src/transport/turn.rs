//! Turn: a waker that knows that its task is at work.
//!
//! h2 wakes the task of a connection for each frame that a call leaves in it. A call that is answered
//! where it was accepted does so from within that very task, which looks at h2 once more anyway. Without
//! this, each such call would cost a turn of the task for nothing.
//!
//! ```text
//!   begin ─▶ at work ── wake ─▶ at work, woken ──▶ end: wakes the task
//!               ▲                     │
//!               └──── looks again ────┘
//! ```

use std::sync::{Arc, PoisonError};
use std::task::{Context, Wake, Waker};

use super::sync::atomic::{AtomicU8, Ordering};
use super::sync::{Mutex, MutexGuard};

/// The task is at work.
const AT_WORK: u8 = 1;
/// It was woken since it last looked.
const WOKEN: u8 = 2;

/// The turns of one task, as what it polls sees them.
pub(super) struct Turn {
    shared: Arc<Shared>,
    waker: Waker,
}

struct Shared {
    state: AtomicU8,
    task: Mutex<Waker>,
}

impl Turn {
    pub(super) fn new() -> Self {
        let shared = Arc::new(Shared {
            state: AtomicU8::new(0),
            task: Mutex::new(Waker::noop().clone()),
        });
        Self {
            waker: Waker::from(Arc::clone(&shared)),
            shared,
        }
    }

    /// A turn of the task begins. Says whether it is another task than before, which waits for nothing
    /// yet.
    pub(super) fn begin(&self, cx: &Context<'_>) -> bool {
        let mut task = self.shared.lock();
        let is_new = !task.will_wake(cx.waker());
        if is_new {
            task.clone_from(cx.waker());
        }
        drop(task);
        self.looks_again();
        is_new
    }

    /// For what is looked at once more after each [`Turn::looks_again`], before the turn ends.
    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// All that was waited for is about to be looked at, so that to have been woken means nothing.
    pub(super) fn looks_again(&self) {
        // What woke the task happened before, and is seen after.
        self.shared.state.swap(AT_WORK, Ordering::AcqRel);
    }

    /// The turn ends. If the task was woken since it last looked, it gets another one.
    pub(super) fn end(&self) {
        if self.shared.state.swap(0, Ordering::AcqRel) & WOKEN != 0 {
            self.shared.lock().wake_by_ref();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waker> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(WOKEN, Ordering::AcqRel) == 0 {
            self.lock().wake_by_ref();
        }
    }
}

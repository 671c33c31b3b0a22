//! What a server is doing, as its connections and calls need to know it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::sync::watch;

/// What a server is doing, told to all of its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Calls are welcome.
    Serving,
    /// Calls go on, new ones are not welcome.
    Draining,
    /// What is left is cut.
    Cutting,
}

/// A server's phase, to be looked at and waited for.
#[derive(Clone, Debug)]
pub(crate) struct PhaseWatch(watch::Receiver<Phase>);

impl PhaseWatch {
    pub(crate) fn of(phase: &watch::Sender<Phase>) -> Self {
        Self(phase.subscribe())
    }

    /// The phase now.
    pub(crate) fn now(&self) -> Phase {
        *self.0.borrow()
    }

    /// Whether the phase may be another than this watch has seen. Costs a look, where to wait for that
    /// costs more.
    pub(crate) fn has_moved(&self) -> bool {
        // A server that was dropped has moved for good.
        self.0.has_changed().unwrap_or(true)
    }

    /// Waits until the server no longer serves. A server that was dropped does not either.
    pub(crate) async fn drain_begins(mut self) {
        let _ = self.0.wait_for(|phase| *phase != Phase::Serving).await;
    }

    /// What `work` yields; `None` if the server cuts what is left, or is dropped, before.
    ///
    /// # Cancel safety
    ///
    /// As `work`.
    pub(crate) async fn until_cut<T>(mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut cut = pin!(self.0.wait_for(|phase| *phase == Phase::Cutting));
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

    /// Waits until the phase is another than this watch has seen. Yields `None` when the server was
    /// dropped.
    pub(crate) async fn next(mut self) -> (Self, Option<Phase>) {
        let phase = match self.0.changed().await {
            Ok(()) => Some(*self.0.borrow_and_update()),
            Err(_) => None,
        };
        (self, phase)
    }
}

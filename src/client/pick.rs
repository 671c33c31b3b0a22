//! Picking: which connection a call goes out on, and what it does while there is none.
//!
//! ```text
//!   READY      the balancer chooses; a backend that is full is passed over
//!              all are full: wait for the one chosen, first come, first served
//!   IDLE       wake the channel, wait
//!   CONNECTING wait
//!   TRANSIENT_FAILURE  fail with the reason, or wait if the call waits for ready
//! ```
//!
//! Subchannels tell the picker how they are. Of that it makes the state of the channel, and the
//! list of what is ready. The list is replaced, never changed, so that a call that picks holds the
//! lock only while it takes hold of the list. Whenever it is replaced, calls that wait pick again,
//! in the order they came.
//!
//! Spec: gRPC Connectivity Semantics, gRPC Wait for Ready; gRFC A61, A62, A105.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::task::Poll;

use super::balance::{Backend, Balancer, CallInfo, Picked};
use super::connectivity::ConnectivityState;
use crate::transport::counters::{Counter, Counters};
use crate::transport::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::transport::sync::{Mutex, MutexGuard, Notify};
use crate::wire::Status;

/// What calls pick from.
pub(super) struct Picker {
    state: Mutex<State>,
    /// The state is another one.
    changed: Notify,
    /// A call was made since somebody last looked.
    called: AtomicBool,
    /// Calls that wait.
    pending: AtomicUsize,
    pending_limit: usize,
    counters: Counters,
}

struct State {
    /// Made of all that follows.
    connectivity: ConnectivityState,
    /// Likewise.
    ready: Arc<Ready>,
    subchannels: Vec<(u64, SubchannelState)>,
    /// How the channel is while it has no subchannels.
    alone: Alone,
    /// The last failure, while there was no connection since.
    failure: Option<Status>,
}

/// What is ready, and who chooses.
struct Ready {
    balancer: Arc<dyn Balancer>,
    backends: Vec<Backend>,
}

/// How a subchannel is.
pub(super) enum SubchannelState {
    /// It waits until this is notified.
    Idle(Arc<Notify>),
    Connecting,
    Ready(Backend),
    TransientFailure(Status),
    Shutdown(Status),
}

/// How a channel without subchannels is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alone {
    /// Nobody works for it.
    Asleep,
    /// Names are looked up.
    LookingUp,
    /// They were not found.
    Failed,
}

/// What there is for a call at the moment.
enum Choice {
    Picked(Picked),
    /// The backend that was chosen, and all others, are full.
    Full(Backend),
    /// There is nothing to choose from, or nothing was chosen.
    Nothing,
}

/// What is to be done so that a channel connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// Begin to work for it: it was asleep.
    Begin,
    /// Nothing any more.
    Done,
}

impl Picker {
    pub(super) fn new(
        balancer: Arc<dyn Balancer>,
        pending_limit: usize,
        counters: Counters,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                connectivity: ConnectivityState::Idle,
                ready: Arc::new(Ready {
                    balancer,
                    backends: Vec::new(),
                }),
                subchannels: Vec::new(),
                alone: Alone::Asleep,
                failure: None,
            }),
            changed: Notify::new(),
            called: AtomicBool::new(false),
            pending: AtomicUsize::new(0),
            pending_limit,
            counters,
        }
    }

    /// Picks a connection, if the one that the balancer chooses first has room.
    pub(super) fn try_pick(&self, call: &CallInfo<'_>) -> Option<Picked> {
        // Looked at first, so that callers on many cores do not fight for a line of memory that
        // says the same all the time.
        if !self.called.load(Ordering::Relaxed) {
            self.called.store(true, Ordering::Relaxed);
        }
        let ready = self.ready();
        // What is wrong with the choice is said when the call waits.
        ready.choose(call, &ready.backends).ok()??.take()
    }

    /// Picks a connection as soon as that is possible. `wake` is called when the channel must leave
    /// IDLE.
    ///
    /// # Errors
    ///
    /// The channel has failed and the call does not wait; too many calls wait; the balancer chose
    /// what is not there; `wake` could not do it.
    ///
    /// # Cancel safety
    ///
    /// Safe: whoever gives up waits no more.
    pub(super) async fn pick(
        &self,
        wait_for_ready: bool,
        call: &CallInfo<'_>,
        wake: impl Fn() -> Result<(), Status>,
    ) -> Result<Picked, Status> {
        let _pending = Pending::begin(self)?;
        let mut has_waited = false;
        loop {
            // Before the look, so that no change falls between the two.
            let changed = self.changed.notified();
            match self.choose(call)? {
                Choice::Picked(picked) => return Ok(picked),
                Choice::Full(backend) => {
                    // One that has ended is not full, but the list does not know yet.
                    if !has_waited && backend.is_accepting() {
                        has_waited = true;
                        self.counters.count(Counter::MaxConcurrentStreams);
                    }
                    if let Some(picked) = until(changed, backend.wait()).await {
                        return Ok(picked);
                    }
                }
                Choice::Nothing => {
                    let (connectivity, failure) = self.look();
                    match connectivity {
                        ConnectivityState::Idle => wake()?,
                        ConnectivityState::TransientFailure if wait_for_ready => {}
                        ConnectivityState::TransientFailure | ConnectivityState::Shutdown => {
                            return Err(failure);
                        }
                        ConnectivityState::Connecting | ConnectivityState::Ready => {}
                    }
                    changed.await;
                }
            }
        }
    }

    fn choose(&self, call: &CallInfo<'_>) -> Result<Choice, Status> {
        let ready = self.ready();
        let Some(backend) = ready.choose(call, &ready.backends)? else {
            return Ok(Choice::Nothing);
        };
        if let Some(picked) = backend.take() {
            return Ok(Choice::Picked(picked));
        }
        // It is full, or it ended and the list does not know yet. Who has room then?
        let with_room = ready.backends.iter().filter(|backend| backend.has_room());
        let with_room: Vec<_> = with_room.cloned().collect();
        let other = ready.choose(call, &with_room)?;
        Ok(match other.and_then(Backend::take) {
            Some(picked) => Choice::Picked(picked),
            None => Choice::Full(backend.clone()),
        })
    }

    fn ready(&self) -> Arc<Ready> {
        Arc::clone(&self.lock().ready)
    }

    /// How the channel is, and how a call ends that cannot wait until it is better.
    pub(super) fn look(&self) -> (ConnectivityState, Status) {
        let state = self.lock();
        let failure = state.failure.clone();
        let failure = failure.unwrap_or_else(|| Status::unavailable("there is no connection"));
        (state.connectivity, failure.unprocessed())
    }

    /// How the channel is.
    pub(super) fn connectivity(&self) -> ConnectivityState {
        self.lock().connectivity
    }

    /// Waits until it is otherwise than `from`.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn connectivity_changed(&self, from: ConnectivityState) -> ConnectivityState {
        loop {
            let changed = self.changed.notified();
            let now = self.connectivity();
            if now != from {
                return now;
            }
            changed.await;
        }
    }

    /// Why there is no connection, if that is known.
    pub(super) fn last_failure(&self) -> Option<Status> {
        self.lock().failure.clone()
    }

    /// A subchannel tells how it is.
    pub(super) fn set(&self, id: u64, new: SubchannelState) {
        self.update(|state| {
            // One that was removed may not have ended yet.
            if let Some((_, old)) = state.subchannels.iter_mut().find(|(known, _)| *known == id) {
                if let SubchannelState::TransientFailure(failure)
                | SubchannelState::Shutdown(failure) = &new
                {
                    state.failure = Some(failure.clone());
                }
                *old = new;
            }
        });
    }

    /// The subchannels are these from now on: those that are known stay as they are.
    pub(super) fn keep(&self, ids: &[u64]) {
        self.update(|state| {
            state.alone = Alone::LookingUp;
            state.subchannels.retain(|(id, _)| ids.contains(id));
            for id in ids {
                if !state.subchannels.iter().any(|(known, _)| known == id) {
                    state.subchannels.push((*id, SubchannelState::Connecting));
                }
            }
        });
    }

    /// From now on this one chooses.
    pub(super) fn set_balancer(&self, balancer: Arc<dyn Balancer>) {
        self.update(|state| {
            let backends = state.ready.backends.clone();
            state.ready = Arc::new(Ready { balancer, backends });
        });
        // Calls may wait because the one before chose nothing.
        self.changed.notify_waiters();
    }

    /// Names could not be looked up. That counts where nothing else is known.
    pub(super) fn names_failed(&self, failure: Status) {
        self.update(|state| {
            if state.subchannels.is_empty() {
                state.alone = Alone::Failed;
                state.failure = Some(failure);
            }
        });
    }

    /// Nobody works for the channel any more.
    pub(super) fn fall_asleep(&self) {
        self.update(|state| {
            state.subchannels.clear();
            state.alone = Alone::Asleep;
            state.failure = None;
        });
    }

    /// Has idle subchannels connect. Says what else is to be done.
    pub(super) fn wake(&self) -> Wake {
        let mut wake = Wake::Done;
        self.update(|state| {
            if state.alone == Alone::Asleep {
                state.alone = Alone::LookingUp;
                wake = Wake::Begin;
            }
            for (_, subchannel) in &mut state.subchannels {
                if let SubchannelState::Idle(wanted) = subchannel {
                    wanted.notify_one();
                    // It will say so itself. Said here, the next call need not wake it again.
                    *subchannel = SubchannelState::Connecting;
                }
            }
        });
        wake
    }

    /// Whether calls were made since this was last asked, or are under way, or wait.
    pub(super) fn was_used(&self) -> bool {
        self.called.swap(false, Ordering::Relaxed)
            || self.pending.load(Ordering::Relaxed) > 0
            || self.ready().backends.iter().any(|one| one.calls() > 0)
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let changed = state.conclude();
        drop(state);
        if changed {
            self.changed.notify_waiters();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ready {
    /// What the balancer chooses of these, if anything.
    fn choose<'a>(
        &self,
        call: &CallInfo<'_>,
        backends: &'a [Backend],
    ) -> Result<Option<&'a Backend>, Status> {
        if backends.is_empty() {
            return Ok(None);
        }
        let Some(index) = self.balancer.pick(call, backends) else {
            return Ok(None);
        };
        let Some(backend) = backends.get(index) else {
            let count = backends.len();
            let text = format!("the balancer chose the backend of index {index}, of {count}");
            return Err(Status::internal(text).unprocessed());
        };
        Ok(Some(backend))
    }
}

impl State {
    /// Makes the state and the list of what the subchannels say. Says whether either is another one
    /// now.
    fn conclude(&mut self) -> bool {
        let ready = self
            .subchannels
            .iter()
            .filter_map(|(_, state)| match state {
                SubchannelState::Ready(backend) => Some(backend.clone()),
                SubchannelState::Idle(_)
                | SubchannelState::Connecting
                | SubchannelState::TransientFailure(_)
                | SubchannelState::Shutdown(_) => None,
            });
        let backends: Vec<Backend> = ready.collect();
        let connectivity = self.connectivity_with(&backends);
        if connectivity == ConnectivityState::Ready {
            self.failure = None;
        }
        let before = &self.ready.backends;
        let same = backends.len() == before.len()
            && backends.iter().zip(before).all(|(new, old)| new.is(old));
        let changed = !same || connectivity != self.connectivity;
        self.ready = Arc::new(Ready {
            balancer: Arc::clone(&self.ready.balancer),
            backends,
        });
        self.connectivity = connectivity;
        changed
    }

    fn connectivity_with(&self, ready: &[Backend]) -> ConnectivityState {
        let any =
            |is: fn(&SubchannelState) -> bool| self.subchannels.iter().any(|(_, state)| is(state));
        if self.subchannels.is_empty() {
            return match self.alone {
                Alone::Asleep => ConnectivityState::Idle,
                Alone::LookingUp => ConnectivityState::Connecting,
                Alone::Failed => ConnectivityState::TransientFailure,
            };
        }
        // The one that can do most for calls decides for all.
        if !ready.is_empty() {
            ConnectivityState::Ready
        } else if any(|state| matches!(state, SubchannelState::Connecting)) {
            ConnectivityState::Connecting
        } else if any(|state| matches!(state, SubchannelState::Idle(_))) {
            ConnectivityState::Idle
        } else if any(|state| matches!(state, SubchannelState::TransientFailure(_))) {
            ConnectivityState::TransientFailure
        } else {
            ConnectivityState::Shutdown
        }
    }
}

/// A call that waits.
struct Pending<'a>(&'a Picker);

impl<'a> Pending<'a> {
    fn begin(picker: &'a Picker) -> Result<Self, Status> {
        let before = picker.pending.fetch_add(1, Ordering::Relaxed);
        let pending = Self(picker);
        if before >= picker.pending_limit {
            picker.counters.count(Counter::MaxPendingCalls);
            let text = format!("{before} calls of this channel wait for a connection already");
            return Err(Status::resource_exhausted(text).unprocessed());
        }
        Ok(pending)
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.pending.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What `work` yields, unless `signal` comes first: then `None`.
async fn until<T>(signal: impl Future<Output = ()>, work: impl Future<Output = T>) -> Option<T> {
    let mut signal = pin!(signal);
    let mut work = pin!(work);
    // Signal and work race. What work has yielded would be lost if the signal were looked at first.
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        signal.as_mut().poll(cx).map(|()| None)
    })
    .await
}

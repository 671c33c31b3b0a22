//! Pool: the connections of a channel, from the names of its target to a stream for each call.
//!
//! ```text
//!   Resolver ──▶ addresses ──▶ Subchannel … Subchannel ──▶ Picker ◀── calls
//!      ▲                           │ a connection is lost, or cannot be made
//!      └─────── asked again ───────┘
//! ```
//!
//! A task looks up names and keeps the subchannels. It exists only while the channel is not idle:
//! the first call begins it, and it ends when there has been no call for a long time. Then the
//! connections are closed, and the channel is as new.
//!
//! Spec: gRPC Connectivity Semantics.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::balance::{Balancing, CallInfo, Picked};
use super::config::ChannelConfig;
use super::connectivity::ConnectivityState;
use super::pick::{Picker, Wake};
use super::policies::{Policies, PoliciesInForce};
use super::pool_task::{Awake, Source, work};
use super::random::Random;
use super::resolve::Resolver;
use super::target::Target;
use crate::transport::connect::{Address, Connector};
use crate::transport::counters::Counters;
use crate::wire::Status;

/// The connections of a channel.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    source: Arc<Source>,
    task: Mutex<Option<AbortHandle>>,
}

/// What the tasks of a pool share. They hold this and not the pool, which ends them when it is
/// dropped.
pub(super) struct Shared {
    pub(super) picker: Picker,
    pub(super) connector: Connector,
    pub(super) config: ChannelConfig,
    pub(super) policies: PoliciesInForce,
    /// Connections that one address may have at the moment.
    pub(super) max_connections: AtomicUsize,
    pub(super) random: Random,
    /// Somebody wants names to be looked up again.
    pub(super) names_wanted: Notify,
}

impl Pool {
    pub(crate) fn new(
        config: ChannelConfig,
        connector: Connector,
        resolver: Arc<dyn Resolver>,
        target: Target,
    ) -> Self {
        Self::with(config, connector, Source::Names { resolver, target })
    }

    /// A pool that can connect only once. When its connection ends, it shuts down.
    pub(crate) fn once(config: ChannelConfig, connector: Connector, address: Address) -> Self {
        let config = ChannelConfig {
            balancing: Balancing::PickFirst { shuffle: false },
            // It would be closed for good.
            idle_timeout: None,
            max_connections_per_address: 1,
            ..config
        };
        Self::with(config, connector, Source::Only(address))
    }

    fn with(config: ChannelConfig, connector: Connector, source: Source) -> Self {
        let shared = Shared {
            picker: Picker::new(
                config.balancing.balancer(),
                config.max_pending_calls,
                connector.counters.clone(),
            ),
            connector,
            policies: PoliciesInForce::new(config.service_config.clone()),
            max_connections: AtomicUsize::new(config.max_connections_per_address()),
            config,
            random: Random::new(),
            names_wanted: Notify::new(),
        };
        Self {
            shared: Arc::new(shared),
            source: Arc::new(source),
            task: Mutex::new(None),
        }
    }

    /// How often which limit was run into.
    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.connector.counters
    }

    /// Picks a connection for a call, and the right to open a stream on it, if that takes no
    /// waiting.
    pub(crate) fn try_pick(&self, call: &CallInfo<'_>) -> Option<Picked> {
        self.shared.picker.try_pick(call)
    }

    /// Picks a connection for a call, and the right to open a stream on it. Waits while there is
    /// none; a call that does not wait for ready fails if the channel cannot connect.
    ///
    /// # Errors
    ///
    /// Why it cannot; too many calls wait already; or there is no runtime to connect on.
    ///
    /// # Cancel safety
    ///
    /// Safe: whoever gives up waits no more.
    pub(crate) async fn pick(
        &self,
        wait_for_ready: bool,
        call: &CallInfo<'_>,
    ) -> Result<Picked, Status> {
        if let Some(picked) = self.try_pick(call) {
            return Ok(picked);
        }
        let wake = || self.wake();
        self.shared.picker.pick(wait_for_ready, call, wake).await
    }

    /// What the service's owner asks of clients now.
    pub(crate) fn policies(&self) -> Option<Arc<Policies>> {
        self.shared.policies.now()
    }

    /// Why there is no connection, if that is known: for the text of calls that waited in vain.
    pub(crate) fn last_error(&self) -> Option<Status> {
        self.shared.picker.last_failure()
    }

    /// What the channel can do for a call.
    pub(crate) fn state(&self) -> ConnectivityState {
        self.shared.picker.connectivity()
    }

    /// Waits until the state is another one than `from`, and yields it.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn state_changed(&self, from: ConnectivityState) -> ConnectivityState {
        self.shared.picker.connectivity_changed(from).await
    }

    /// Connects, if the channel is idle. Outside of a tokio runtime it may do nothing.
    pub(crate) fn connect_now(&self) {
        // Who waits for it is told.
        let _ = self.wake();
    }

    /// Connects, if the channel is idle.
    ///
    /// # Errors
    ///
    /// There is no runtime to do it on. Who waited nevertheless might do so for ever.
    fn wake(&self) -> Result<(), Status> {
        if self.shared.picker.wake() == Wake::Done {
            return Ok(());
        }
        // However it is dropped, the channel is idle again.
        let awake = Awake::new(&self.shared);
        let Ok(runtime) = Handle::try_current() else {
            let text = "a channel cannot connect outside of a tokio runtime";
            return Err(Status::internal(text).unprocessed());
        };
        // The task that is spawned here ends when there have been no calls for a long time, and
        // with this pool.
        let task = runtime.spawn(work(awake, Arc::clone(&self.source)));
        let task = task.abort_handle();
        // A runtime that shuts down drops what is spawned on it.
        let dropped = task.is_finished();
        *self.lock_task() = Some(task);
        if dropped {
            let text = "a channel cannot connect on a tokio runtime that shuts down";
            return Err(Status::unavailable(text).unprocessed());
        }
        Ok(())
    }

    /// Waits until the channel is READY.
    ///
    /// # Errors
    ///
    /// Why it could not connect. It goes on trying.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(crate) async fn ready(&self) -> Result<(), Status> {
        loop {
            let (state, failure) = self.shared.picker.look();
            match state {
                ConnectivityState::Ready => return Ok(()),
                ConnectivityState::Idle => self.wake()?,
                ConnectivityState::Connecting => {}
                ConnectivityState::TransientFailure | ConnectivityState::Shutdown => {
                    return Err(failure);
                }
            }
            self.state_changed(state).await;
        }
    }

    fn lock_task(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(task) = self.lock_task().take() {
            task.abort();
        }
    }
}

impl Shared {
    /// Connections are lost, or cannot be made: the addresses may be others by now.
    pub(super) fn ask_names_again(&self) {
        self.names_wanted.notify_one();
    }

    /// How long to wait after so many failures and one more.
    pub(super) fn backoff(&self, earlier: u32) -> Duration {
        self.config.backoff.delay(earlier, &self.random)
    }
}

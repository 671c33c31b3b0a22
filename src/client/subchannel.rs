//! Subchannel: a list of addresses, and a connection to one of them.
//!
//! ```text
//!   IDLE ─ wanted ─▶ CONNECTING ─▶ READY ─ no connection left ─▶ IDLE
//!                     │       ▲
//!                     ▼       │ connected
//!               TRANSIENT_FAILURE: goes on trying
//! ```
//!
//! A subchannel is a task, and its life is the body of [`run`](Task::run). Under pick_first a
//! channel has one, with all addresses; it waits in IDLE until a call comes. Under all other
//! policies a channel has one for each address, and they connect again at once.
//!
//! When calls wait because the server takes no more streams on any of its connections, a further
//! one is opened, up to a limit. The oldest with room is used first, so that those that were opened
//! last fall idle first, and are closed again.
//!
//! Spec: gRPC Connectivity Semantics; gRFC A61, A62, A105.

use std::borrow::Cow;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::balance::{Backend, Balancing, Lane};
use super::dialling::{Connected, Dialling};
use super::pick::SubchannelState;
use super::pool::Shared;
use crate::transport::client_connection::Farewell;
use crate::transport::connect::Address;
use crate::transport::counters::Counter;
use crate::wire::Status;

/// A connection that ends sooner than this says little for its server.
const EARLY: Duration = Duration::from_secs(1);
/// How often further connections are looked at: are they used?
const SWEEP_INTERVAL: Duration = Duration::from_millis(2_500);
/// How long one is kept that is not.
const SURPLUS_TIMEOUT: Duration = Duration::from_secs(10);

/// What a subchannel does when it has lost its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhenLost {
    /// It waits for the next call.
    Wait,
    /// It connects again.
    Reconnect,
    /// It ends: there is nothing to connect to.
    ShutDown,
}

/// A subchannel at work. It ends when this is dropped; calls on its connections go on.
pub(super) struct Subchannel {
    pub(super) id: u64,
    addresses: watch::Sender<Vec<Address>>,
    task: AbortHandle,
}

struct Task {
    id: u64,
    shared: Arc<Shared>,
    addresses: watch::Receiver<Vec<Address>>,
    when_lost: WhenLost,
    dialling: Dialling,
}

/// A connection in use.
struct Open {
    lane: Arc<Lane>,
    opened_at: Instant,
    /// A call has gone out on it.
    was_used: bool,
    /// Since when no call was seen on it.
    unused_since: Option<Instant>,
}

/// What happens to a subchannel that is READY.
enum Event {
    /// The connection of this index takes no more calls.
    Ended(usize, Farewell),
    /// The resolver has another list.
    AddressesChanged,
    /// The attempt at a further connection ended.
    AttemptEnded(Option<Connected>),
    /// Calls wait on all connections.
    CallsWait,
    /// It is time to see whether all connections are needed.
    Sweep,
}

impl WhenLost {
    /// What all subchannels of a channel do that balances in this way.
    pub(super) const fn under(balancing: &Balancing) -> Self {
        if balancing.connects_to_all() {
            Self::Reconnect
        } else {
            Self::Wait
        }
    }
}

impl Subchannel {
    // The task that is spawned here ends when the handle is dropped: by the task of its pool, with
    // the addresses, at the latest with the channel.
    pub(super) fn spawn(
        id: u64,
        addresses: Vec<Address>,
        when_lost: WhenLost,
        shared: &Arc<Shared>,
    ) -> Self {
        let (sender, receiver) = watch::channel(addresses);
        let task = Task {
            id,
            shared: Arc::clone(shared),
            addresses: receiver,
            when_lost,
            dialling: Dialling::new(Arc::clone(shared)),
        };
        Self {
            id,
            addresses: sender,
            task: tokio::spawn(task.run()).abort_handle(),
        }
    }

    /// Whether this is its one address.
    pub(super) fn is_for(&self, address: &Address) -> bool {
        matches!(self.addresses.borrow().as_slice(), [only] if only == address)
    }

    /// From now on these are the addresses. A connection to one of them stays.
    pub(super) fn set_addresses(&self, addresses: Vec<Address>) {
        self.addresses.send_if_modified(|before| {
            let changed = *before != addresses;
            *before = addresses;
            changed
        });
    }
}

impl Drop for Subchannel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Task {
    async fn run(mut self) {
        if self.when_lost == WhenLost::ShutDown {
            let failure = self.connect_once().await;
            return self.publish(SubchannelState::Shutdown(failure));
        }
        loop {
            let connected = self.connect().await;
            let ended = self.serve(connected).await;
            let wanted = Arc::new(Notify::new());
            self.publish(SubchannelState::Idle(Arc::clone(&wanted)));
            let waits = self.when_lost == WhenLost::Wait;
            if waits && matches!(ended, Ended::Lost(_)) {
                wanted.notified().await;
            }
        }
    }

    /// Connects, and serves as long as there is a connection. Says why there is none any more.
    async fn connect_once(&mut self) -> Status {
        self.dialling
            .set_addresses(&self.addresses.borrow_and_update());
        let connected = match self.dialling.pass().await {
            Ok(connected) => connected,
            Err(failure) => return failure,
        };
        match self.serve(connected).await {
            Ended::Lost(why) => Status::unavailable(format!("the channel has ended: {why}")),
            Ended::Unlisted => Status::unavailable("the channel has ended: it has another address"),
        }
        .unprocessed()
    }

    fn publish(&self, state: SubchannelState) {
        self.shared.picker.set(self.id, state);
    }

    /// Connects, however long it takes.
    async fn connect(&mut self) -> Connected {
        self.publish(SubchannelState::Connecting);
        loop {
            self.dialling
                .set_addresses(&self.addresses.borrow_and_update());
            // Whatever comes of the old list, a new one is begun from its start.
            let pass = unless_changed(&mut self.addresses, self.dialling.pass());
            let mut outcome = pass.await;
            while let Some(Err(failure)) = outcome {
                // Said until there is a connection: calls that fail fast are not to wait each time
                // that another attempt begins. gRFC A62.
                self.publish(SubchannelState::TransientFailure(failure));
                self.shared.ask_names_again();
                let again = unless_changed(&mut self.addresses, self.dialling.try_again());
                outcome = again.await;
            }
            if let Some(Ok(connected)) = outcome {
                return connected;
            }
        }
    }

    /// READY, until no connection is left or the address is gone from the list.
    async fn serve(&mut self, first: Connected) -> Ended {
        let address = first.address.clone();
        let mut connections = vec![Open::new(first)];
        self.publish_ready(&address, &connections);
        loop {
            match self.next_event(&address, &connections).await {
                Event::Ended(index, farewell) => {
                    let ended = connections.remove(index);
                    self.take_leave(&address, &ended, &farewell);
                    if connections.is_empty() {
                        return Ended::Lost(farewell.why);
                    }
                    self.publish_ready(&address, &connections);
                }
                Event::AddressesChanged => {
                    let addresses = self.addresses.borrow_and_update().clone();
                    self.dialling.set_addresses(&addresses);
                    if !addresses.contains(&address) {
                        return Ended::Unlisted;
                    }
                }
                Event::AttemptEnded(Some(further)) => {
                    let counters = &self.shared.connector.counters;
                    counters.count(Counter::MaxConnectionsPerAddress);
                    connections.push(Open::new(further));
                    self.publish_ready(&address, &connections);
                }
                // There is a connection, so that this is nobody's failure.
                Event::AttemptEnded(None) => {}
                Event::CallsWait => self.dialling.begin_another(&address),
                Event::Sweep => {
                    let before = connections.len();
                    let mut oldest = true;
                    connections.retain_mut(|open| {
                        let surplus = open.unused_for() >= SURPLUS_TIMEOUT;
                        std::mem::take(&mut oldest) || !surplus
                    });
                    if connections.len() != before {
                        self.publish_ready(&address, &connections);
                    }
                }
            }
        }
    }

    fn publish_ready(&self, address: &Address, connections: &[Open]) {
        let lanes = connections.iter().map(|open| Arc::clone(&open.lane));
        let backend = Backend::new(address.clone(), lanes.collect());
        self.publish(SubchannelState::Ready(backend));
    }

    async fn next_event(&mut self, address: &Address, connections: &[Open]) -> Event {
        let mut farewells: Vec<_> = connections
            .iter()
            .map(|open| Box::pin(open.lane.connection.stops_accepting()))
            .collect();
        let room = connections.len() < self.shared.max_connections.load(Ordering::Relaxed);
        let further_at = self.dialling.may_begin_another_at(address);
        let mut calls_wait = pin!(calls_wait(connections, further_at.filter(|_| room)));
        let mut sweep = pin!(async {
            match connections {
                [_] => pending().await,
                _ => sleep(SWEEP_INTERVAL).await,
            }
        });
        let mut changed = pin!(addresses_change(&mut self.addresses));
        let mut attempt = pin!(self.dialling.attempt_ends());
        // All of them race. What was lost is looked at first: it must not be used any more.
        poll_fn(|cx| {
            for (index, farewell) in farewells.iter_mut().enumerate() {
                if let Poll::Ready(farewell) = farewell.as_mut().poll(cx) {
                    return Poll::Ready(Event::Ended(index, farewell));
                }
            }
            if changed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::AddressesChanged);
            }
            if let Poll::Ready((_, connected)) = attempt.as_mut().poll(cx) {
                return Poll::Ready(Event::AttemptEnded(connected));
            }
            if calls_wait.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Event::CallsWait);
            }
            sweep.as_mut().poll(cx).map(|()| Event::Sweep)
        })
        .await
    }

    /// A connection takes no more calls.
    fn take_leave(&mut self, address: &Address, ended: &Open, farewell: &Farewell) {
        let why = &farewell.why;
        tracing::debug!(%address, %why, "connection left");
        // One that was ended in good order after a call did its part, however short it was.
        let was_used = ended.was_used || ended.lane.was_used();
        let in_order = farewell.goaway || !farewell.lost;
        let was_useful = ended.lane.connection.has_answered() || was_used && in_order;
        if was_useful || ended.opened_at.elapsed() >= EARLY {
            self.dialling.lasted(address);
        } else {
            self.dialling.ended_early(address, farewell);
        }
        // The server may have moved.
        self.shared.ask_names_again();
    }
}

/// Why a subchannel is READY no longer.
enum Ended {
    /// Its connections ended; why the last one did.
    Lost(Cow<'static, str>),
    /// Its address did.
    Unlisted,
}

impl Open {
    fn new(connected: Connected) -> Self {
        Self {
            lane: Lane::new(connected.connection),
            opened_at: Instant::now(),
            was_used: false,
            unused_since: None,
        }
    }

    /// Notes whether it is in use. Says how long it has not been.
    fn unused_for(&mut self) -> Duration {
        let used = self.lane.was_used();
        self.was_used |= used;
        if used || self.lane.connection.load().open > 0 {
            self.unused_since = None;
            return Duration::ZERO;
        }
        self.unused_since.get_or_insert_with(Instant::now).elapsed()
    }
}

/// Resolves when calls wait on all connections, and it may be tried to open another one.
async fn calls_wait(connections: &[Open], further_at: Option<Instant>) {
    let Some(at) = further_at else {
        return pending().await;
    };
    sleep_until(at).await;
    let waits = |open: &Open| open.lane.connection.load().waiting > 0;
    while !connections.iter().all(waits) {
        for open in connections {
            open.lane.connection.waiting_for_stream().await;
        }
    }
}

/// What `work` yields; `None` if the addresses change before.
///
/// # Cancel safety
///
/// As `work`.
async fn unless_changed<T>(
    addresses: &mut watch::Receiver<Vec<Address>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut changed = pin!(addresses_change(addresses));
    let mut work = pin!(work);
    // Work and news race; a connection that is made is worth having, and is looked at again.
    poll_fn(|cx| {
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        changed.as_mut().poll(cx).map(|()| None)
    })
    .await
}

async fn addresses_change(addresses: &mut watch::Receiver<Vec<Address>>) {
    if addresses.changed().await.is_err() {
        // The handle was dropped, and this task is about to be.
        pending().await
    }
}

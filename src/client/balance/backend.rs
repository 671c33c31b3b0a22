//! Backend: one server as a balancer sees it, with the connections to it.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use crate::transport::client_connection::{ClientConnection, Slot};
use crate::transport::connect::Address;

/// A server that calls can go to.
#[derive(Clone)]
#[non_exhaustive]
pub struct Backend {
    /// Where it is.
    pub address: Address,
    /// The connections to it, the oldest first. Never empty.
    lanes: Vec<Arc<Lane>>,
}

/// One of the connections to a server.
#[derive(Debug)]
pub(in crate::client) struct Lane {
    pub(in crate::client) connection: ClientConnection,
    /// A call went out on it since somebody last looked.
    used: AtomicBool,
}

/// A connection that was picked for a call, and the right to open a stream on it.
pub(crate) struct Picked {
    pub(crate) connection: ClientConnection,
    pub(crate) slot: Slot,
}

impl Backend {
    pub(in crate::client) fn new(address: Address, lanes: Vec<Arc<Lane>>) -> Self {
        Self { address, lanes }
    }

    /// Calls of this channel that are under way there.
    pub fn calls(&self) -> usize {
        let loads = self.lanes.iter().map(|lane| lane.connection.load());
        loads.map(|load| load.open).sum()
    }

    /// Whether this is the same server with the same connections.
    pub(in crate::client) fn is(&self, other: &Self) -> bool {
        let same = |(one, another): (&Arc<Lane>, _)| Arc::ptr_eq(one, another);
        self.lanes.len() == other.lanes.len() && self.lanes.iter().zip(&other.lanes).all(same)
    }

    /// Whether a call would not have to wait.
    pub(in crate::client) fn has_room(&self) -> bool {
        self.lanes.iter().any(|lane| lane.has_room())
    }

    /// Whether any of its connections takes calls, were there room.
    pub(in crate::client) fn is_accepting(&self) -> bool {
        self.lanes.iter().any(|lane| lane.connection.is_accepting())
    }

    /// A stream on the oldest connection that has room, if one has.
    pub(in crate::client) fn take(&self) -> Option<Picked> {
        self.lanes.iter().find_map(|lane| {
            let slot = lane.connection.try_slot()?;
            Some(lane.picked(slot))
        })
    }

    /// A stream on whichever connection has room first. Calls that wait are served in the order
    /// they came.
    ///
    /// # Cancel safety
    ///
    /// Safe: whoever gives up leaves the queues.
    pub(in crate::client) async fn wait(&self) -> Picked {
        let mut queues: Vec<_> = self
            .lanes
            .iter()
            .map(|lane| (lane, Box::pin(lane.connection.slot())))
            .collect();
        // The connections race. One that is closed leaves the race: the channel is about to notice.
        poll_fn(|cx| {
            let mut picked = None;
            queues.retain_mut(|(lane, slot)| {
                if picked.is_some() {
                    return true;
                }
                let Poll::Ready(slot) = slot.as_mut().poll(cx) else {
                    return true;
                };
                picked = slot.ok().map(|slot| lane.picked(slot));
                false
            });
            picked.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("address", &self.address)
            .field("connections", &self.lanes.len())
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}

impl Lane {
    pub(in crate::client) fn new(connection: ClientConnection) -> Arc<Self> {
        Arc::new(Self {
            connection,
            used: AtomicBool::new(false),
        })
    }

    /// Whether a call has gone out on it since this was last asked.
    pub(in crate::client) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    fn has_room(&self) -> bool {
        let load = self.connection.load();
        load.open < load.limit && self.connection.is_accepting()
    }

    fn picked(&self, slot: Slot) -> Picked {
        // Looked at first, so that callers on many cores do not fight for a line of memory that
        // says the same all the time.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Picked {
            connection: self.connection.clone(),
            slot,
        }
    }
}

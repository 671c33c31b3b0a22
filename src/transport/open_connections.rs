//! The connections of a server, for what has to be decided among all of them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connection_shared::{ConnectionShared, Order};
use super::meter::SharedMeter;

/// All that are open, from SETTINGS on.
#[derive(Default)]
pub(crate) struct OpenConnections {
    open: Mutex<BTreeMap<u64, Open>>,
    last_id: AtomicU64,
}

struct Open {
    shared: Arc<ConnectionShared>,
    meter: SharedMeter,
}

/// Takes a connection from the list when it ends.
pub(super) struct Listed {
    id: u64,
    shared: Arc<ConnectionShared>,
}

impl OpenConnections {
    pub(super) fn add(&self, shared: Arc<ConnectionShared>, meter: SharedMeter) -> Listed {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let open = Open {
            shared: Arc::clone(&shared),
            meter,
        };
        self.lock().insert(id, open);
        Listed { id, shared }
    }

    /// Sends the connection away that has no call and has been silent for the longest time, if that is
    /// `silence` at least. Says whether there is one.
    pub(crate) fn send_idle_away(&self, silence: Duration) -> bool {
        let now = Instant::now();
        let open = self.lock();
        let idle = open.values().filter_map(|Open { shared, meter }| {
            if shared.has_calls() || shared.has_order(Order::Leave) {
                return None;
            }
            let last_read_at = meter.lock().counts().last_read_at;
            (now.saturating_duration_since(last_read_at) >= silence)
                .then_some((last_read_at, shared))
        });
        let longest = idle.min_by_key(|(last_read_at, _)| *last_read_at);
        if let Some((_, shared)) = longest {
            shared.order(Order::Leave);
        }
        longest.is_some()
    }

    /// Gives an order to the connection of which there is most, unless it has it already or there is
    /// nothing of it anywhere.
    pub(super) fn order_largest(&self, order: Order, size: impl Fn(&ConnectionShared) -> usize) {
        let open = self.lock();
        let without = open.values().map(|open| &open.shared);
        let without = without.filter(|shared| !shared.has_order(order));
        let sizes = without.map(|shared| (size(shared), shared));
        if let Some((1.., shared)) = sizes.max_by_key(|(size, _)| *size) {
            shared.order(order);
        }
    }

    /// Has all connections with this order look again.
    pub(super) fn wake(&self, order: Order) {
        let open = self.lock();
        let shared = open.values().map(|open| &open.shared);
        for shared in shared.filter(|shared| shared.has_order(order)) {
            shared.wake_task();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let ended = self.shared.server.open.lock().remove(&self.id);
        // Outside of the lock: what it held is counted off.
        drop(ended);
    }
}

//! How much memory the messages of all calls may take together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::wire::decode_cost::{decode_cost, decode_cost_bound, decode_cost_limit};
use crate::wire::{Status, WireError};

/// Counts what messages take while handlers have them.
#[derive(Debug)]
pub(crate) struct InflightBytes {
    limit: usize,
    used: AtomicUsize,
}

/// The share of one message, given back when it is dropped.
pub(crate) struct Charge {
    counted: Arc<InflightBytes>,
    bytes: usize,
}

impl InflightBytes {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
        }
    }

    /// Counts a message that is about to be decoded, by what it takes then.
    ///
    /// Of three answers to what that is, each is dearer than the one before and closer to the truth. A
    /// message is taken for the worst as long as that leaves three quarters of the memory for those
    /// that are looked at more closely.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if that is more than there may be.
    pub(crate) fn charge_message(self: &Arc<Self>, body: &[u8]) -> Result<Charge, Status> {
        let room = (self.limit / 4).saturating_sub(self.used.load(Ordering::Relaxed));
        let worst = decode_cost_limit(body.len());
        if worst <= room {
            return self.charge(worst);
        }
        let bound = decode_cost_bound(body);
        if bound <= room {
            return self.charge(bound);
        }
        self.charge(decode_cost(body))
    }

    /// Counts so many bytes more.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if that is more than there may be.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, Status> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        // Given back at once where there is no room.
        let charge = Charge {
            counted: Arc::clone(self),
            bytes,
        };
        if before.saturating_add(bytes) > self.limit {
            return Err(WireError::TooManyBytesInflight {
                bytes,
                limit: self.limit,
            }
            .into());
        }
        Ok(charge)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.counted.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl fmt::Debug for Charge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Charge").field(&self.bytes).finish()
    }
}

//! How much memory the messages of all calls may take together.

use std::fmt;
use std::sync::Arc;

use super::long_work::LongWork;
use crate::transport::counters::Counters;
use crate::transport::leaks::assert_none_left;
use crate::transport::sync::atomic::{AtomicUsize, Ordering};
use crate::wire::decode_cost::{decode_cost, decode_cost_limit};
use crate::wire::{Status, WireError};

/// Counts what messages take while handlers have them.
#[derive(Debug)]
pub(crate) struct InflightBytes {
    limit: usize,
    used: AtomicUsize,
    counters: Counters,
    long_work: LongWork,
}

/// The share of one message, given back when it is dropped.
pub(crate) struct Charge {
    counted: Arc<InflightBytes>,
    bytes: usize,
}

impl InflightBytes {
    pub(crate) fn new(limit: usize, counters: Counters) -> Self {
        Self {
            limit,
            counters,
            used: AtomicUsize::new(0),
            long_work: LongWork::new(),
        }
    }

    /// Where messages take turns that take long to decode.
    pub(super) fn long_work(&self) -> &LongWork {
        &self.long_work
    }

    /// Counts a message that is about to be decoded, by what it takes then.
    ///
    /// A message is taken for the worst that its length allows as long as that leaves three quarters of the
    /// memory for those that are looked at.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if that is more than there may be.
    pub(crate) fn charge_message(self: &Arc<Self>, body: &[u8]) -> Result<Charge, Status> {
        match self.take(decode_cost_limit(body.len()), self.quarter()) {
            Some(charge) => Ok(charge),
            None => self.charge(decode_cost(body)),
        }
    }

    /// So much may be held on a guess.
    pub(super) fn quarter(&self) -> usize {
        self.limit / 4
    }

    /// Counts so many bytes more.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if that is more than there may be.
    pub(crate) fn charge(self: &Arc<Self>, bytes: usize) -> Result<Charge, Status> {
        self.take(bytes, self.limit).ok_or_else(|| {
            let limit = self.limit;
            let error = WireError::TooManyBytesInflight { bytes, limit };
            self.counters.count_received(&error);
            error.into()
        })
    }

    /// Counts so many bytes more if all together are not more than `limit` then, and none otherwise: what
    /// is refused must not be in the way of others, not even for a moment.
    fn take(self: &Arc<Self>, bytes: usize, limit: usize) -> Option<Charge> {
        let sum = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum)
            .ok()?;
        let counted = Arc::clone(self);
        Some(Charge { counted, bytes })
    }
}

impl Drop for InflightBytes {
    fn drop(&mut self) {
        // No message is left.
        assert_none_left(self.used.load(Ordering::Relaxed), "bytes of messages");
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

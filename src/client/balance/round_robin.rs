//! round_robin: each server in turn.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Backend, Balancer, CallInfo};
use crate::client::random::Random;

/// Gives each server a call in turn.
#[derive(Debug)]
pub(super) struct RoundRobin {
    turn: AtomicUsize,
}

impl RoundRobin {
    pub(super) fn new() -> Self {
        // Clients that start together would otherwise all begin with the same server.
        let start = Random::new().below(usize::from(u16::MAX));
        Self {
            turn: AtomicUsize::new(start),
        }
    }
}

impl Balancer for RoundRobin {
    fn pick(&self, _: &CallInfo<'_>, ready: &[Backend]) -> Option<usize> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        turn.checked_rem(ready.len())
    }
}

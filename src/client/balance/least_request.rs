//! least_request: the less busy of a few.
//!
//! To look at all servers would cost more, and would send all clients to the same one at once. Two
//! that chance chooses are known to do nearly as well.
//!
//! Spec: gRFC A48.

use super::{Backend, Balancer, CallInfo};
use crate::client::random::Random;

/// Gives each call to the server with the fewest calls under way, of some that chance chooses.
#[derive(Debug)]
pub(super) struct LeastRequest {
    choice_count: usize,
    random: Random,
}

impl LeastRequest {
    pub(super) fn new(choice_count: usize) -> Self {
        Self {
            choice_count: choice_count.clamp(2, 10),
            random: Random::new(),
        }
    }
}

impl Balancer for LeastRequest {
    fn pick(&self, _: &CallInfo<'_>, ready: &[Backend]) -> Option<usize> {
        // Chance may choose one twice; gRFC A48 leaves it at that.
        let choices = (0..self.choice_count).map(|_| self.random.below(ready.len()));
        choices
            .filter_map(|index| Some((index, ready.get(index)?)))
            .min_by_key(|(_, backend)| backend.calls())
            .map(|(index, _)| index)
    }
}

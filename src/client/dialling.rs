//! Happy eyeballs: from a list of addresses to one connection.
//!
//! ```text
//!     0 ms  address 1 ─────────────────────────────▶ no answer yet
//!   250 ms      address 2 ──▶ fails
//!   260 ms          address 3 ──────▶ connected; the others are dropped
//! ```
//!
//! A first pass goes over the list: the next address is tried when the one before has failed, or
//! has not connected within a quarter of a second. The first to connect wins. When all have failed,
//! each is tried again whenever its own back-off is over, until one connects.
//!
//! Connected means that the server's SETTINGS have come.
//!
//! Spec: gRFC A61 §Happy Eyeballs, RFC 8305 §5.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::{Instant, timeout_at};

use super::endpoint::Endpoint;
use super::pool::Shared;
use crate::transport::client_connection::{ClientConnection, Farewell};
use crate::transport::connect::Address;
use crate::transport::counters::Counter;
use crate::transport::timer::after;
use crate::wire::Status;

/// The addresses of a subchannel, and the attempts to connect to them.
pub(super) struct Dialling {
    shared: Arc<Shared>,
    endpoints: Vec<Endpoint>,
    last_failure: Status,
}

/// What came of it.
pub(super) struct Connected {
    pub(super) address: Address,
    pub(super) connection: ClientConnection,
}

impl Dialling {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            endpoints: Vec::new(),
            last_failure: Status::unavailable("no address was tried yet").unprocessed(),
        }
    }

    /// From now on these are the addresses. One that stays keeps its attempt and its back-off.
    pub(super) fn set_addresses(&mut self, addresses: &[Address]) {
        let mut before = std::mem::take(&mut self.endpoints);
        for address in addresses {
            let at = before.iter().position(|one| one.address == *address);
            self.endpoints.push(match at {
                Some(at) => before.swap_remove(at),
                None => Endpoint::new(address.clone()),
            });
        }
    }

    /// Goes over the list once. An address in back-off is passed over, as one that has failed.
    ///
    /// # Errors
    ///
    /// The last failure, when each address has failed.
    ///
    /// # Cancel safety
    ///
    /// Safe: attempts stay under way, and the next pass finds them so.
    pub(super) async fn pass(&mut self) -> Result<Connected, Status> {
        let delay = self.shared.config.happy_eyeballs_delay();
        let mut is_late = false;
        for current in 0..self.endpoints.len() {
            if !self.begin(current) {
                continue;
            }
            if is_late {
                let counters = &self.shared.connector.counters;
                counters.count(Counter::HappyEyeballsDelay);
            }
            is_late = true;
            let next_at = after(Instant::now(), delay);
            // The attempts race with the next address's turn.
            while let Ok((ended, outcome)) = timeout_at(next_at, self.attempt_ends()).await {
                match outcome {
                    Some(connected) => return Ok(connected),
                    None if ended == current => {
                        is_late = false;
                        break;
                    }
                    None => {}
                }
            }
        }
        while self.endpoints.iter().any(Endpoint::is_dialling) {
            if let (_, Some(connected)) = self.attempt_ends().await {
                return Ok(connected);
            }
        }
        Err(self.failure())
    }

    /// After a pass that failed: tries each address whenever its back-off is over.
    ///
    /// # Errors
    ///
    /// The last failure, after as many of them as there are addresses.
    ///
    /// # Cancel safety
    ///
    /// Safe: attempts stay under way.
    pub(super) async fn try_again(&mut self) -> Result<Connected, Status> {
        let mut failures = 0;
        // At least one failure is waited for, so that this cannot return at once for ever.
        while failures < self.endpoints.len().max(1) {
            for endpoint in &mut self.endpoints {
                endpoint.begin(&self.shared);
            }
            let waiting = self.endpoints.iter().filter(|one| !one.is_dialling());
            let next_at = waiting.filter_map(Endpoint::backs_off_until).min();
            let ended = match next_at {
                Some(at) => timeout_at(at, self.attempt_ends()).await.ok(),
                None => Some(self.attempt_ends().await),
            };
            match ended {
                Some((_, Some(connected))) => return Ok(connected),
                Some((_, None)) => failures += 1,
                // The next back-off is over.
                None => {}
            }
        }
        Err(self.failure())
    }

    /// Begins one more attempt at an address that is connected already, unless the last one failed
    /// not long ago.
    pub(super) fn begin_another(&mut self, address: &Address) {
        let shared = Arc::clone(&self.shared);
        if let Some(endpoint) = self.find(address) {
            endpoint.begin(&shared);
        }
    }

    /// When that may be; `None` while one is under way.
    pub(super) fn may_begin_another_at(&self, address: &Address) -> Option<Instant> {
        let endpoint = self.endpoints.iter().find(|one| one.address == *address)?;
        let at = endpoint.backs_off_until().unwrap_or_else(Instant::now);
        (!endpoint.is_dialling()).then_some(at)
    }

    /// The next attempt to end: which one, and what came of it. Never resolves if none is under
    /// way.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub(super) async fn attempt_ends(&mut self) -> (usize, Option<Connected>) {
        // The attempts race. One that ends is dealt with at once.
        let (ended, outcome) = poll_fn(|cx| {
            for (index, endpoint) in self.endpoints.iter_mut().enumerate() {
                if let Poll::Ready(outcome) = endpoint.poll(cx) {
                    return Poll::Ready((index, outcome));
                }
            }
            Poll::Pending
        })
        .await;
        match outcome {
            Ok(connection) => (ended, self.connected(ended, connection)),
            Err(failure) => {
                self.last_failure = failure;
                (ended, None)
            }
        }
    }

    /// A connection proved useful.
    pub(super) fn lasted(&mut self, address: &Address) {
        if let Some(endpoint) = self.find(address) {
            endpoint.lasted();
        }
    }

    /// A connection ended before it did.
    pub(super) fn ended_early(&mut self, address: &Address, farewell: &Farewell) {
        let shared = Arc::clone(&self.shared);
        let failure = self
            .find(address)
            .and_then(|endpoint| endpoint.ended_early(farewell, &shared));
        if let Some(failure) = failure {
            self.last_failure = failure;
        }
    }

    fn connected(&mut self, winner: usize, connection: ClientConnection) -> Option<Connected> {
        let mut address = None;
        for (index, endpoint) in self.endpoints.iter_mut().enumerate() {
            if index == winner {
                endpoint.connected();
                address = Some(endpoint.address.clone());
            } else {
                endpoint.reset();
            }
        }
        address.map(|address| Connected {
            address,
            connection,
        })
    }

    fn begin(&mut self, index: usize) -> bool {
        self.endpoints
            .get_mut(index)
            .is_some_and(|endpoint| endpoint.begin(&self.shared))
    }

    fn find(&mut self, address: &Address) -> Option<&mut Endpoint> {
        self.endpoints
            .iter_mut()
            .find(|one| one.address == *address)
    }

    fn failure(&self) -> Status {
        let count = self.endpoints.len();
        if count < 2 {
            return self.last_failure.clone();
        }
        let last = &self.last_failure.message;
        let text = format!("none of {count} addresses could be connected to; the last: {last}");
        Status::unavailable(text).unprocessed()
    }
}

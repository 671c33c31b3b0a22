//! Endpoint: one address, how it went there so far, and when it may be tried again.
//!
//! An attempt that fails earns the address a back-off, counted from the attempt's start, and longer
//! after each failure. A connection sets it back to its beginning.
//!
//! Not every connection does so: a server that takes connections and closes them at once would be
//! dialled without pause. A connection that ended within a second, and neither answered a call nor had
//! one when it ended by GOAWAY, is replaced at once only twice in a row; the next one counts as a
//! failure. grpc-go does not make this difference. The same goes for one that a server sends away as it
//! comes, before it could be used at all.
//!
//! Spec: gRPC Connection Backoff Protocol.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::pool::Shared;
use crate::call::unwinding_future;
use crate::transport::client_connection::{ClientConnection, Farewell};
use crate::transport::connect::{Address, ConnectError, Connector};
use crate::transport::timer::after;
use crate::wire::Status;

/// How many connections in a row may end early before one counts as a failure.
const EARLY_ENDS_FORGIVEN: u32 = 2;

/// One address, and how it went there so far.
pub(super) struct Endpoint {
    pub(super) address: Address,
    attempt: Option<Attempt>,
    /// Failures in a row.
    failures: u32,
    /// Connections in a row that ended early.
    early_ends: u32,
    /// When the back-off of the last failure is over.
    backs_off_until: Option<Instant>,
}

/// An attempt to connect.
struct Attempt {
    began_at: Instant,
    /// From its start to the next one, if it fails.
    backoff: Duration,
    outcome: Pin<Box<dyn Future<Output = Result<ClientConnection, Status>> + Send>>,
}

impl Endpoint {
    pub(super) fn new(address: Address) -> Self {
        Self {
            address,
            attempt: None,
            failures: 0,
            early_ends: 0,
            backs_off_until: None,
        }
    }

    /// Begins an attempt, unless one is under way or the back-off is not over. Says whether one is
    /// under way now.
    pub(super) fn begin(&mut self, shared: &Arc<Shared>) -> bool {
        if self.attempt.is_none() && !self.backs_off() {
            self.attempt = Some(Attempt::begin(shared, &self.address, self.failures));
        }
        self.is_dialling()
    }

    pub(super) fn is_dialling(&self) -> bool {
        self.attempt.is_some()
    }

    /// When it may be tried again; a time that is past, or none, means now.
    pub(super) fn backs_off_until(&self) -> Option<Instant> {
        self.backs_off_until
    }

    fn backs_off(&self) -> bool {
        self.backs_off_until
            .is_some_and(|until| until > Instant::now())
    }

    /// How the attempt ends. Never ready if none is under way.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<ClientConnection, Status>> {
        let Some(attempt) = &mut self.attempt else {
            return Poll::Pending;
        };
        let Poll::Ready(outcome) = attempt.outcome.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        let retry_at = after(attempt.began_at, attempt.backoff);
        self.attempt = None;
        Poll::Ready(outcome.inspect_err(|failure| {
            let why = &failure.message;
            tracing::debug!(address = %self.address, %why, "not connected");
            self.failures = self.failures.saturating_add(1);
            self.backs_off_until = Some(retry_at);
        }))
    }

    /// A connection came to be.
    pub(super) fn connected(&mut self) {
        self.backs_off_until = None;
        if self.early_ends <= EARLY_ENDS_FORGIVEN {
            self.failures = 0;
        }
    }

    /// It proved useful.
    pub(super) fn lasted(&mut self) {
        self.early_ends = 0;
        self.failures = 0;
    }

    /// It ended before it did. Yields a failure if that has happened too often.
    pub(super) fn ended_early(
        &mut self,
        farewell: &Farewell,
        shared: &Arc<Shared>,
    ) -> Option<Status> {
        self.early_ends = self.early_ends.saturating_add(1);
        if self.early_ends <= EARLY_ENDS_FORGIVEN {
            return None;
        }
        let backoff = shared.backoff(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.backs_off_until = Some(after(Instant::now(), backoff));
        let Self {
            address,
            early_ends,
            ..
        } = self;
        let text = format!(
            "{early_ends} connections in a row to {address} ended as soon as they were made: {}",
            farewell.why
        );
        Some(Status::unavailable(text).unprocessed())
    }

    /// Another address was the first to connect: gives up the attempt, and forgets how it went.
    pub(super) fn reset(&mut self) {
        self.attempt = None;
        self.failures = 0;
        self.backs_off_until = None;
    }
}

impl Attempt {
    fn begin(shared: &Arc<Shared>, address: &Address, failures: u32) -> Self {
        let backoff = shared.backoff(failures);
        // A server that is slow gets the more time the longer it is left alone after a failure.
        let limit = shared.config.connect_timeout.max(backoff);
        let outcome = {
            let (shared, address) = (Arc::clone(shared), address.clone());
            async move {
                // A dialer may be the user's. A panic is a failure like others, not the end of the
                // task that would try again.
                let connecting = connect(&shared.connector, &address, limit);
                match unwinding_future("the dialer", connecting).await {
                    Ok(outcome) => outcome.map_err(|error| error.to_status()),
                    Err(panicked) => {
                        let text = format!("cannot connect to {address}: {}", panicked.message);
                        Err(Status::unavailable(text).unprocessed())
                    }
                }
            }
        };
        Self {
            began_at: Instant::now(),
            backoff,
            outcome: Box::pin(outcome),
        }
    }
}

/// Connects. A server that drains sends away also who comes in that moment; the next connection may
/// reach another one behind the same address, and calls are not to notice.
async fn connect(
    connector: &Connector,
    address: &Address,
    limit: Duration,
) -> Result<ClientConnection, ConnectError> {
    for _ in 0..EARLY_ENDS_FORGIVEN {
        match connector.connect(address, limit).await {
            Err(error) if error.drained => {}
            outcome => return outcome,
        }
    }
    connector.connect(address, limit).await
}

//! What is to be called, and how: all that the attempts of a call share.

use std::fmt;
use std::sync::Arc;

use super::balance::Picked;
use super::channel::ChannelShared;
use super::policies::Policies;
use super::retry::{AttemptEnd, Unprocessed, count_failure};
use super::retry_policy::{AttemptPolicy, MethodConfig};
use super::throttle::Throttle;
use crate::call::Deadline;
use crate::transport::client_connection::{ClientStream, NotOpened};
use crate::wire::{Pushback, RequestHeaders, Status};

/// A call that is to be made.
pub(super) struct Outgoing {
    pub(super) channel: Arc<ChannelShared>,
    /// All of Request-Headers but the time that is left.
    pub(super) headers: RequestHeaders,
    pub(super) deadline: Option<Deadline>,
    pub(super) wait_for_ready: bool,
    /// What the service's owner asks of clients, if anything.
    pub(super) policies: Option<Arc<Policies>>,
    /// Bytes of one response message, as sent and decompressed.
    pub(super) max_response_bytes: usize,
}

impl Outgoing {
    pub(super) fn method(&self) -> Option<&MethodConfig> {
        self.policies.as_ref()?.config.method(&self.headers.path)
    }

    /// How often the call is tried, beside what needs no policy.
    pub(super) fn attempts(&self) -> &AttemptPolicy {
        match self.method() {
            Some(method) if self.channel.config.retries => &method.attempts,
            Some(_) | None => &AttemptPolicy::Once,
        }
    }

    /// The server's tokens, if they are counted.
    pub(super) fn throttle(&self) -> Option<&Throttle> {
        self.policies.as_ref()?.throttle.as_deref()
    }

    /// An attempt has failed whose response had begun: there is no other one, but it may cost a token
    /// all the same.
    pub(super) fn count_failure(&self, status: &Status) {
        let Some(throttle) = self.throttle() else {
            return;
        };
        let end = AttemptEnd {
            status,
            unprocessed: Unprocessed::Maybe,
            committed: true,
            pushback: Pushback::parse(&status.metadata),
        };
        let codes = match self.attempts() {
            AttemptPolicy::Once => &[][..],
            AttemptPolicy::Retry(policy) => &policy.retryable_codes,
            AttemptPolicy::Hedge(policy) => &policy.non_fatal_codes,
        };
        count_failure(&end, codes.contains(&status.code), Some(throttle));
    }

    /// Opens a stream for an attempt, of which `previous` went before.
    ///
    /// # Errors
    ///
    /// The connection takes no more streams; the request cannot be sent; its time is over.
    pub(super) fn open(&self, picked: Picked, previous: u32) -> Result<ClientStream, NotOpened> {
        let timeout = match self.deadline.map(Deadline::remaining) {
            Some(left) if left.is_zero() => {
                let status = deadline_passed("before it was sent").unprocessed();
                return Err(NotOpened::Refused(status));
            }
            timeout => timeout,
        };
        let request = self.headers.to_attempt(timeout, previous);
        let Picked { connection, slot } = picked;
        let mut stream = connection.open_stream(slot, request)?;
        stream.reader.limit_messages(self.max_response_bytes);
        Ok(stream)
    }
}

/// What a call ends with that is made for another, which is over.
pub(super) fn parent_is_over() -> Status {
    Status::cancelled("the call that this one was made for is over")
}

/// What a call ends with whose deadline has passed.
pub(super) fn deadline_passed(phase: impl fmt::Display) -> Status {
    Status::deadline_exceeded(format!("the call's deadline passed {phase}"))
}

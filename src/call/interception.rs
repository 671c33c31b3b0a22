//! What the interceptors of a server or a channel have to do with one call.
//!
//! Without interceptors there is none of this: nothing is allocated, and no clock is read.

use std::pin::Pin;
use std::sync::Arc;

use tracing::{Instrument, Span};

use super::interceptor::{CallRecord, CallStart, Interceptor};
use super::unwinding::{unwinding, unwinding_future};
use crate::wire::Status;

/// The interceptors of a server or a channel, in the order in which they were added.
#[derive(Clone, Default)]
pub(crate) struct Interceptors(Option<Arc<[Arc<dyn ErasedInterceptor>]>>);

/// An [`Interceptor`] of any type.
trait ErasedInterceptor: Send + Sync {
    fn before<'a>(&'a self, call: &'a mut CallStart) -> Asking<'a>;
    fn after(&self, call: &CallRecord<'_>);
}

type Asking<'a> = Pin<Box<dyn Future<Output = Result<(), Status>> + Send + 'a>>;

impl<I: Interceptor> ErasedInterceptor for I {
    fn before<'a>(&'a self, call: &'a mut CallStart) -> Asking<'a> {
        Box::pin(Interceptor::before(self, call))
    }

    fn after(&self, call: &CallRecord<'_>) {
        Interceptor::after(self, call);
    }
}

/// The interceptors of one call, until they have been told how it ended. Dropped before, it tells them
/// that the call was cancelled.
pub(crate) struct Interception {
    interceptors: Arc<[Arc<dyn ErasedInterceptor>]>,
    /// How the call begins, as those who were asked have changed it.
    pub(crate) start: CallStart,
    pub(crate) traffic: Traffic,
    /// How many were asked.
    asked: usize,
    told: bool,
}

/// How much was said in a call.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) messages_received: u64,
    pub(crate) bytes_received: u64,
    pub(crate) messages_sent: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) attempts: u32,
}

#[cfg(feature = "client")]
impl Traffic {
    /// One more message was sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.messages_sent += 1;
        self.bytes_sent += u64::try_from(bytes).unwrap_or(0);
    }
}

impl Interceptors {
    /// Adds one more.
    pub(crate) fn push(&mut self, interceptor: impl Interceptor) {
        let last: Arc<dyn ErasedInterceptor> = Arc::new(interceptor);
        let before = self.0.iter().flat_map(|all| all.iter()).cloned();
        self.0 = Some(before.chain([last]).collect());
    }

    /// What goes along with a call, if there is anyone to be asked and told.
    pub(crate) fn begin(&self, start: impl FnOnce() -> CallStart) -> Option<Box<Interception>> {
        let interceptors = Arc::clone(self.0.as_ref()?);
        Some(Box::new(Interception {
            interceptors,
            start: start(),
            traffic: Traffic::default(),
            asked: 0,
            told: false,
        }))
    }
}

impl Interception {
    /// Whether somebody has yet to be asked.
    pub(crate) fn goes_on(&self) -> bool {
        self.asked < self.interceptors.len()
    }

    /// Asks the next one whether the call may begin, in the call's span as it is so far.
    ///
    /// # Errors
    ///
    /// It may not.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the interceptor's future. It counts as asked.
    pub(crate) async fn ask_next(&mut self) -> Result<(), Status> {
        let Some(interceptor) = self.interceptors.get(self.asked) else {
            return Ok(());
        };
        self.asked += 1;
        let span = self.start.span.clone();
        let start = &mut self.start;
        let asking = async { interceptor.before(start).await };
        unwinding_future(WHOSE, asking).instrument(span).await?
    }

    /// The span that the call runs in.
    pub(crate) fn span(&self) -> Span {
        self.start.span.clone()
    }

    /// Tells everyone how the call ended, those who were asked last first. Once.
    pub(crate) fn tell(&mut self, outcome: &Result<(), Status>) {
        self.told = true;
        let start = &self.start;
        let traffic = self.traffic;
        let duration = start.began_at.elapsed();
        let _inside = start.span.enter();
        for (index, interceptor) in self.interceptors.iter().enumerate().rev() {
            let record = CallRecord {
                side: start.side,
                path: &start.path,
                peer: start.peer.as_ref(),
                outcome,
                duration,
                messages_received: traffic.messages_received,
                bytes_received: traffic.bytes_received,
                messages_sent: traffic.messages_sent,
                bytes_sent: traffic.bytes_sent,
                attempts: traffic.attempts,
                extensions: &start.extensions,
                span: &start.span,
                before_ran: index < self.asked,
            };
            // One that panics has said so in the log; the call has ended all the same.
            let _ = unwinding(WHOSE, || interceptor.after(&record));
        }
    }
}

impl Drop for Interception {
    fn drop(&mut self) {
        if !self.told {
            self.tell(&Err(Status::cancelled("the call was given up")));
        }
    }
}

const WHOSE: &str = "an interceptor";

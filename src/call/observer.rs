//! Who wants to know of every call: logs, counters.

use std::time::Duration;

use crate::transport::peer::Peer;
use crate::wire::MethodPath;
use crate::wire::Status;

/// Is told of calls. It sees them pass and changes nothing.
pub trait Observer: Send + Sync + 'static {
    /// A call has ended. Runs in the call's task: whatever takes long delays others.
    fn call_ended(&self, call: &CallRecord<'_>);
}

/// What can be said of a call when it has ended.
#[derive(Debug)]
#[non_exhaustive]
pub struct CallRecord<'a> {
    /// Which method was called; of a service that is not served too.
    pub path: &'a MethodPath,
    /// Who called.
    pub peer: &'a Peer,
    /// How it ended, for the client if it was still there to be told.
    pub outcome: &'a Result<(), Status>,
    /// From Request-Headers to the end of the handler and of what it sent.
    pub duration: Duration,
    /// Messages that the handler took.
    pub messages_received: u64,
    /// Body bytes that came, prefixes included, as sent.
    pub bytes_received: u64,
    /// Messages that the handler sent.
    pub messages_sent: u64,
    /// Their bytes, prefixes included, as sent.
    pub bytes_sent: u64,
}

impl<F: Fn(&CallRecord<'_>) + Send + Sync + 'static> Observer for F {
    fn call_ended(&self, call: &CallRecord<'_>) {
        self(call);
    }
}

//! What is left of a server's calls when it stops.

use std::time::Duration;

use crate::transport::peer::Peer;
use crate::wire::MethodPath;

/// How a drain went.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// From the signal to the end of the last connection.
    pub duration: Duration,
    /// Calls under way when the drain began.
    pub calls_at_start: usize,
    /// Calls that did not end in time. Their clients were told UNAVAILABLE.
    pub cut: Vec<CutCall>,
}

/// A call that was cut.
#[derive(Debug)]
#[non_exhaustive]
pub struct CutCall {
    /// Which method.
    pub path: MethodPath,
    /// Who called.
    pub peer: Peer,
    /// How long it had been under way.
    pub age: Duration,
}

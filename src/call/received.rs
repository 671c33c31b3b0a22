//! What a server knows of a request beside its message.

use std::fmt;
use std::future::pending;

use http::Extensions;
use http::uri::Authority;

use super::{Deadline, Request};
use crate::transport::peer::Peer;
use crate::transport::phase::PhaseWatch;
use crate::transport::reply_queue::ReplyQueue;
use crate::wire::{Encoding, Metadata, MethodPath};

/// How a request came.
#[derive(Debug)]
pub(super) struct Received {
    path: MethodPath,
    authority: Option<Authority>,
    peer: Peer,
    compressed: bool,
    phase: PhaseWatch,
    end: CallEnd,
}

/// All of a request but its message.
pub(crate) struct RequestParts {
    pub(crate) metadata: Metadata,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) encoding: Encoding,
    /// Whether its one message came compressed, once it has come.
    pub(crate) compressed: bool,
    pub(crate) path: MethodPath,
    pub(crate) authority: Option<Authority>,
    pub(crate) peer: Peer,
    pub(crate) extensions: Extensions,
    pub(crate) phase: PhaseWatch,
    pub(crate) end: CallEnd,
}

/// Knows when a served call is over, for the calls that its handler makes.
#[derive(Clone)]
pub(crate) struct CallEnd(
    #[cfg_attr(
        not(feature = "client"),
        expect(dead_code, reason = "only calls that a handler makes ask")
    )]
    ReplyQueue,
);

impl CallEnd {
    pub(crate) fn of(queue: &ReplyQueue) -> Self {
        Self(queue.clone())
    }

    /// Resolves when the call is over, however it ended.
    #[cfg(feature = "client")]
    pub(crate) async fn over(self) {
        self.0.sealed().await;
    }
}

impl<T> Request<T> {
    pub(crate) fn from_parts(parts: RequestParts, message: T) -> Self {
        let RequestParts {
            metadata,
            deadline,
            encoding,
            compressed,
            path,
            authority,
            peer,
            extensions,
            phase,
            end,
        } = parts;
        let received = Received {
            path,
            authority,
            peer,
            compressed,
            phase,
            end,
        };
        Self {
            message,
            metadata,
            deadline,
            encoding: Some(encoding),
            wait_for_ready: None,
            extensions,
            received: Some(received),
            parent: None,
        }
    }

    /// Which method was called. `None` if this request did not come over the wire.
    pub fn path(&self) -> Option<&MethodPath> {
        self.received.as_ref().map(|received| &received.path)
    }

    /// The server that the client meant to reach, if it said so.
    pub fn authority(&self) -> Option<&Authority> {
        self.received.as_ref()?.authority.as_ref()
    }

    /// Who calls. `None` if this request did not come over the wire.
    pub fn peer(&self) -> Option<&Peer> {
        self.received.as_ref().map(|received| &received.peer)
    }

    /// Whether its message came compressed: the headers may name a coding that the message does not
    /// use. Of a request that streams, [`Inbound::came_compressed`](super::Inbound::came_compressed)
    /// tells it of each message.
    pub fn came_compressed(&self) -> bool {
        self.received
            .as_ref()
            .is_some_and(|received| received.compressed)
    }

    /// A request for a call that is made in the service of this one: it has the same deadline, and is
    /// cancelled when this call is over, for whatever reason, even if another task awaits it.
    pub fn child<U>(&self, message: U) -> Request<U> {
        let mut child = Request::new(message);
        child.deadline = self.deadline;
        child.parent = self.received.as_ref().map(|received| received.end.clone());
        child
    }

    /// Resolves when the server begins to drain, at once if it does already. A handler that would go
    /// on for ever ends its call then, with UNAVAILABLE, so that the client goes elsewhere and the
    /// server need not cut it. Never resolves for a request that did not come over the wire.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<T> {
        let phase = self
            .received
            .as_ref()
            .map(|received| received.phase.clone());
        async {
            match phase {
                Some(phase) => phase.drain_begins().await,
                None => pending().await,
            }
        }
    }
}

impl fmt::Debug for CallEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallEnd")
    }
}

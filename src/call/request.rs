//! A request, with what its Request-Headers said.

use http::Extensions;
use http::uri::Authority;

use super::{Deadline, Inbound};
use crate::transport::peer::Peer;
use crate::transport::phase::PhaseWatch;
use crate::wire::{Encoding, Metadata, MethodPath, Status};

/// What a handler is called with: a message, or an [`Inbound`] of messages, and what came with it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request<T> {
    /// The message, or the stream of them.
    pub message: T,
    /// Custom metadata of the client.
    pub metadata: Metadata,
    /// When the client stops waiting, if it said so. The handler is dropped then.
    pub deadline: Option<Deadline>,
    /// How the client compresses its messages.
    pub encoding: Encoding,
    /// Which method was called.
    pub path: MethodPath,
    /// The server that the client meant to reach, if it said so.
    pub authority: Option<Authority>,
    /// Who calls.
    pub peer: Peer,
    /// Whatever the code before the handler has left for it.
    pub extensions: Extensions,
    phase: PhaseWatch,
}

/// All of a request but its message.
pub(crate) struct RequestParts {
    pub(crate) metadata: Metadata,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) encoding: Encoding,
    pub(crate) path: MethodPath,
    pub(crate) authority: Option<Authority>,
    pub(crate) peer: Peer,
    pub(crate) extensions: Extensions,
    pub(crate) phase: PhaseWatch,
}

impl<T> Request<T> {
    pub(crate) fn from_parts(parts: RequestParts, message: T) -> Self {
        let RequestParts {
            metadata,
            deadline,
            encoding,
            path,
            authority,
            peer,
            extensions,
            phase,
        } = parts;
        Self {
            message,
            metadata,
            deadline,
            encoding,
            path,
            authority,
            peer,
            extensions,
            phase,
        }
    }

    fn into_parts(self) -> (RequestParts, T) {
        let Self {
            message,
            metadata,
            deadline,
            encoding,
            path,
            authority,
            peer,
            extensions,
            phase,
        } = self;
        let parts = RequestParts {
            metadata,
            deadline,
            encoding,
            path,
            authority,
            peer,
            extensions,
            phase,
        };
        (parts, message)
    }

    /// The same request with another message.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Request<U> {
        let (parts, message) = self.into_parts();
        Request::from_parts(parts, change(message))
    }

    /// Resolves when the server begins to drain, at once if it does already. A handler that would go
    /// on for ever ends its call then, with UNAVAILABLE, so that the client goes elsewhere and the
    /// server need not cut it.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + use<T> {
        self.phase.clone().drain_begins()
    }
}

impl<M: prost::Message + Default> Request<Inbound<M>> {
    /// The next message of the client; `None` when it has said all. See [`Inbound::next`].
    ///
    /// # Errors
    ///
    /// As [`Inbound::next`].
    ///
    /// # Cancel safety
    ///
    /// Safe, as [`Inbound::next`].
    pub async fn next(&mut self) -> Result<Option<M>, Status> {
        self.message.next().await
    }
}

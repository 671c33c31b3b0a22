//! A request: what a handler is called with, and what a caller hands to a channel.

use std::time::Duration;

use http::Extensions;

use super::{Deadline, Inbound};
use crate::wire::{Encoding, Metadata, Status};

#[cfg(feature = "server")]
use super::received::Received;

/// A message, or an [`Inbound`] of messages, and what goes with it.
///
/// A handler is called with one that came over the wire, and can ask it for its
/// [path](Self::path), its [peer](Self::peer) and its [authority](Self::authority). A caller makes one
/// of a message by `.into()`, or by [`new`](Self::new) where there is more to say.
///
/// ```
/// # use std::time::Duration;
/// # use barewire::{Request, Status};
/// # fn request(message: String) -> Result<Request<String>, Status> {
/// let mut request = Request::new(message).with_timeout(Duration::from_secs(2));
/// request.metadata.insert("tenant", "blue")?;
/// # Ok(request)
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Request<T> {
    /// The message, or the stream of them.
    pub message: T,
    /// Custom metadata of the client.
    pub metadata: Metadata,
    /// When the call is over, if it has not ended before. A handler is dropped then; a call that is
    /// made ends with DEADLINE_EXCEEDED.
    pub deadline: Option<Deadline>,
    /// How the client compresses its messages. For a call that is made, `None` leaves that to the
    /// channel.
    pub encoding: Option<Encoding>,
    /// Whether a call that is made waits while the server cannot be reached, instead of failing.
    /// `None` leaves that to the channel. Of no meaning in a handler.
    pub wait_for_ready: Option<bool>,
    /// Whatever the code before the handler has left for it, or the caller for the code on the way
    /// out.
    pub extensions: Extensions,
    /// How it came, if it did.
    #[cfg(feature = "server")]
    pub(super) received: Option<Received>,
    /// The call in whose service it is made.
    #[cfg(feature = "server")]
    pub(super) parent: Option<super::CallEnd>,
}

impl<T> Request<T> {
    /// A request to make a call with, without metadata, deadline or wishes.
    pub fn new(message: T) -> Self {
        Self {
            message,
            metadata: Metadata::new(),
            deadline: None,
            encoding: None,
            wait_for_ready: None,
            extensions: Extensions::new(),
            #[cfg(feature = "server")]
            received: None,
            #[cfg(feature = "server")]
            parent: None,
        }
    }

    /// The same request with a deadline that is `timeout` from now. It covers all that the call takes,
    /// from looking up the server's name to the last message.
    ///
    /// A call has no task of its own. Its future, or its [`Inbound`](crate::Inbound), that is held past the
    /// deadline and not looked at keeps its stream and its place among those that the server takes at once
    /// until it is looked at or dropped: only then is the stream reset. A server that keeps deadlines ends
    /// its side in time all the same.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Some(Deadline::after(timeout));
        self
    }

    /// The same request with other metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// The same request with its messages compressed in this way.
    #[must_use]
    pub fn with_encoding(mut self, encoding: Encoding) -> Self {
        self.encoding = Some(encoding);
        self
    }

    /// The same request, waiting, or not, while the server cannot be reached.
    #[must_use]
    pub fn with_wait_for_ready(mut self, wait: bool) -> Self {
        self.wait_for_ready = Some(wait);
        self
    }

    /// The same request with another message.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Request<U> {
        Request {
            message: change(self.message),
            metadata: self.metadata,
            deadline: self.deadline,
            encoding: self.encoding,
            wait_for_ready: self.wait_for_ready,
            extensions: self.extensions,
            #[cfg(feature = "server")]
            received: self.received,
            #[cfg(feature = "server")]
            parent: self.parent,
        }
    }
}

/// All of a request to make but its message.
#[cfg(feature = "client")]
pub(crate) struct Wishes {
    pub(crate) metadata: Metadata,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) encoding: Option<Encoding>,
    pub(crate) wait_for_ready: Option<bool>,
    pub(crate) extensions: Extensions,
    /// Resolves when the call is over in whose service this one is made.
    pub(crate) parent: Option<ParentOver>,
}

/// Resolves when a call is over.
#[cfg(feature = "client")]
pub(crate) type ParentOver = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

#[cfg(feature = "client")]
impl<T> Request<T> {
    pub(crate) fn split(self) -> (T, Wishes) {
        let parent = self.parent_over();
        let wishes = Wishes {
            metadata: self.metadata,
            deadline: self.deadline,
            encoding: self.encoding,
            wait_for_ready: self.wait_for_ready,
            extensions: self.extensions,
            parent,
        };
        (self.message, wishes)
    }

    #[cfg(feature = "server")]
    fn parent_over(&self) -> Option<ParentOver> {
        let parent = self.parent.clone()?;
        Some(Box::pin(parent.over()))
    }

    #[cfg(not(feature = "server"))]
    fn parent_over(&self) -> Option<ParentOver> {
        None
    }
}

impl<T> From<T> for Request<T> {
    fn from(message: T) -> Self {
        Self::new(message)
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

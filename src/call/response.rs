//! A response of one message.

use crate::wire::{Encoding, Metadata};

/// What a handler returns that answers with one message: the parts of a response in the order of the
/// wire. A message alone is made one by `.into()`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response<T> {
    /// Initial metadata, before the message.
    pub metadata: Metadata,
    /// The message.
    pub message: T,
    /// Trailing metadata, after it.
    pub trailers: Metadata,
    /// How to compress the message; `None` leaves that to the server's configuration. A coding that
    /// the client does not accept is not used.
    pub encoding: Option<Encoding>,
}

impl<T> Response<T> {
    /// A response without metadata.
    pub fn new(message: T) -> Self {
        Self {
            metadata: Metadata::new(),
            message,
            trailers: Metadata::new(),
            encoding: None,
        }
    }
}

impl<T> From<T> for Response<T> {
    fn from(message: T) -> Self {
        Self::new(message)
    }
}

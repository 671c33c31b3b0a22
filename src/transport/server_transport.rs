//! What all connections of a server share.

use std::sync::Arc;

use super::config::Http2Config;
use super::counters::Counters;

/// What all connections of a server share.
pub(crate) struct ServerTransport {
    pub(crate) config: Arc<Http2Config>,
    pub(crate) counters: Counters,
}

impl ServerTransport {
    pub(crate) fn new(config: Http2Config, counters: Counters) -> Self {
        Self {
            config: Arc::new(config),
            counters,
        }
    }
}

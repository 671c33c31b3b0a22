//! What comes between a channel's byte streams and HTTP/2.

use std::sync::Arc;

#[cfg(not(feature = "tls"))]
pub(super) use super::clear_text::security_of;
#[cfg(feature = "tls")]
pub(super) use super::tls::security_of;
use crate::transport::connect::SecureClient;

/// How the connections of a channel are secured.
#[derive(Default)]
pub(super) struct Security {
    /// Makes them so. `None` is clear text.
    pub(super) secure: Option<Arc<dyn SecureClient>>,
    /// What `:authority` is instead of the target's.
    pub(super) authority: Option<String>,
}

//! Which service config counts while name resolutions bring good ones, bad ones and none.
//!
//! ```text
//!  the resolution brings   what counts from then on
//!  a good one              that one
//!  none                    the channel's default, else an empty one
//!  a bad one               what counted before; if nothing ever did, the default;
//!                          without a default the resolution has failed
//! ```
//!
//! Spec: gRFC A21 §Behavior on receiving a new gRPC Config.

use std::sync::Arc;

use super::{ServiceConfig, ServiceConfigError};

/// The service config of a channel.
#[derive(Debug)]
pub(crate) struct ConfigInForce {
    default: Option<Arc<ServiceConfig>>,
    current: Option<Arc<ServiceConfig>>,
}

impl ConfigInForce {
    /// Before the first resolution.
    pub(crate) const fn new(default: Option<Arc<ServiceConfig>>) -> Self {
        Self {
            default,
            current: None,
        }
    }

    /// Takes what a resolution brought; gives what counts now. A bad config that changes nothing is
    /// the caller's to log.
    ///
    /// # Errors
    ///
    /// The fault of a bad config, if there is no other: the resolution has failed.
    pub(crate) fn update(
        &mut self,
        resolved: Result<Option<ServiceConfig>, ServiceConfigError>,
    ) -> Result<Arc<ServiceConfig>, ServiceConfigError> {
        let next = match resolved {
            Ok(Some(config)) => Arc::new(config),
            Ok(None) => self.default.clone().unwrap_or_default(),
            Err(error) => {
                let known = self.current.as_ref().or(self.default.as_ref());
                return known.cloned().ok_or(error);
            }
        };
        self.current = Some(Arc::clone(&next));
        Ok(next)
    }
}

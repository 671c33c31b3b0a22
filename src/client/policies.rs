//! What the service's owner asks of clients, and what it takes to obey.

use std::sync::Arc;

use super::service_config::ServiceConfig;
use super::throttle::Throttle;

/// A service config at work.
pub(super) struct Policies {
    pub(super) config: ServiceConfig,
    pub(super) throttle: Option<Arc<Throttle>>,
}

impl Policies {
    /// Puts a config to work in place of the one `before`. If both count failures alike, they are the
    /// same failures: a server does not recover because its names were looked up again.
    pub(super) fn new(config: ServiceConfig, before: Option<&Self>) -> Self {
        let throttle = match before {
            Some(before) if before.config.retry_throttling == config.retry_throttling => {
                before.throttle.clone()
            }
            Some(_) | None => config
                .retry_throttling
                .map(|throttling| Arc::new(Throttle::new(throttling))),
        };
        Self { config, throttle }
    }
}

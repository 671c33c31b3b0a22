//! What the service's owner asks of clients, and what it takes to obey.

use super::service_config::ServiceConfig;
use super::throttle::Throttle;

/// A service config at work.
pub(super) struct Policies {
    pub(super) config: ServiceConfig,
    pub(super) throttle: Option<Throttle>,
}

impl Policies {
    pub(super) fn new(config: ServiceConfig) -> Self {
        let throttle = config.retry_throttling.map(Throttle::new);
        Self { config, throttle }
    }
}

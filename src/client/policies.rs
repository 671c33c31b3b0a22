//! What the service's owner asks of clients, and what it takes to obey.
//!
//! Asked for by the channel's configuration, or by whoever resolves its name; the latter may ask
//! for something else at any time. A call follows what counts when it begins.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::service_config::{ConfigInForce, ServiceConfig, ServiceConfigError};
use super::throttle::Throttle;

/// A service config at work.
pub(super) struct Policies {
    pub(super) config: Arc<ServiceConfig>,
    pub(super) throttle: Option<Throttle>,
}

impl Policies {
    fn new(config: Arc<ServiceConfig>) -> Self {
        let throttle = config.retry_throttling.map(Throttle::new);
        Self { config, throttle }
    }
}

/// The service config that counts at the moment.
pub(super) struct PoliciesInForce {
    default: Option<Arc<Policies>>,
    /// A resolver has brought another one.
    resolved: AtomicBool,
    current: Mutex<Current>,
}

struct Current {
    config: ConfigInForce,
    policies: Option<Arc<Policies>>,
}

impl PoliciesInForce {
    pub(super) fn new(default: Option<ServiceConfig>) -> Self {
        let default = default.map(Arc::new);
        let config = ConfigInForce::new(default.clone());
        let default = default.map(|config| Arc::new(Policies::new(config)));
        let policies = default.clone();
        Self {
            default,
            resolved: AtomicBool::new(false),
            current: Mutex::new(Current { config, policies }),
        }
    }

    /// What counts now, if anything is asked.
    pub(super) fn now(&self) -> Option<Arc<Policies>> {
        // Few resolvers bring any, and callers need no lock then.
        if !self.resolved.load(Ordering::Acquire) {
            return self.default.clone();
        }
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.policies.clone()
    }

    /// Takes what a resolution brought. Yields what counts then. The same again changes nothing:
    /// the tokens of its throttle stay as they are.
    ///
    /// # Errors
    ///
    /// What is wrong with it, if there is no other.
    pub(super) fn update(
        &self,
        resolved: Result<Option<ServiceConfig>, ServiceConfigError>,
    ) -> Result<Arc<ServiceConfig>, ServiceConfigError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let config = current.config.update(resolved)?;
        let same = match &current.policies {
            Some(policies) => policies.config == config,
            None => *config == ServiceConfig::default(),
        };
        if !same {
            current.policies = Some(Arc::new(Policies::new(Arc::clone(&config))));
            self.resolved.store(true, Ordering::Release);
        }
        Ok(config)
    }
}

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
    pub(super) throttle: Option<Arc<Throttle>>,
}

impl Policies {
    /// Puts a config to work in place of the one `before`. If both count failures alike, they are the
    /// same failures: a server does not recover because its name was looked up again.
    fn new(config: Arc<ServiceConfig>, before: Option<&Self>) -> Self {
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
        let default = default.map(|config| Arc::new(Policies::new(config, None)));
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

    /// Takes what a resolution brought. Yields what counts then.
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
            let policies = Policies::new(Arc::clone(&config), current.policies.as_deref());
            current.policies = Some(Arc::new(policies));
            self.resolved.store(true, Ordering::Release);
        }
        Ok(config)
    }
}

//! Service config: what the owner of a service asks of all its clients.
//!
//! ```text
//!  a call of /shop.Cart/Add          config of
//!    1. methods["/shop.Cart/Add"]      the method
//!    2. services["shop.Cart"]          all other methods of the service
//!    3. default_method                 all other services
//! ```
//!
//! The first entry that is there counts, by itself: nothing is taken from the ones below it.
//!
//! It is built by code, or read from JSON as the name resolution or a user gives it. A config
//! counts as a whole or not at all: one wrong field voids it, so that no client works with half of
//! what was meant. Fields that nobody here knows are no fault.
//!
//! Spec: gRPC Service Config; gRFC A2, A6, A17, A21, A48, A62, A105.

mod dns_choices;
mod field;
mod in_force;
mod parse;

use std::collections::BTreeMap;

use super::flaw::Flaw;
use super::retry_policy::MethodConfig;
use super::throttle::RetryThrottling;
use crate::wire::MethodPath;

pub(super) use in_force::ConfigInForce;

/// What the owner of a service asks of all its clients. Plain data; nothing is asked by default.
///
/// # Example
///
/// ```
/// use barewire::ServiceConfig;
///
/// let config = ServiceConfig::from_json(
///     r#"{
///         "loadBalancingConfig": [{"round_robin": {}}],
///         "methodConfig": [{
///             "name": [{"service": "helloworld.Greeter"}],
///             "timeout": "1.5s",
///             "retryPolicy": {
///                 "maxAttempts": 4,
///                 "initialBackoff": "0.1s",
///                 "maxBackoff": "1s",
///                 "backoffMultiplier": 2,
///                 "retryableStatusCodes": ["UNAVAILABLE"]
///             }
///         }]
///     }"#,
/// )?;
/// assert!(config.services.contains_key("helloworld.Greeter"));
///
/// let error = ServiceConfig::from_json(r#"{"methodConfig": [{"timeout": 5}]}"#).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#"service config: methodConfig[0].timeout is 5, but must be a duration such as "1.5s""#
/// );
/// # Ok::<(), barewire::ServiceConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceConfig {
    /// For single methods, by path: `/package.Service/Method`.
    pub methods: BTreeMap<String, MethodConfig>,
    /// For all other methods of a service, by its full name: `package.Service`.
    pub services: BTreeMap<String, MethodConfig>,
    /// For all methods of all other services.
    pub default_method: Option<MethodConfig>,
    /// When retries stop because the server fails too often.
    pub retry_throttling: Option<RetryThrottling>,
    /// How calls are spread over the addresses of the server.
    pub load_balancing: Option<LoadBalancingConfig>,
    /// Asks each connection's server whether this service is healthy, by `grpc.health.v1`. The empty
    /// name stands for the server as a whole.
    pub health_check_service: Option<String>,
    /// Connections to one address, at least 1. Further ones open when calls wait for a stream. More
    /// than the channel's limit count as that limit.
    pub max_connections_per_address: Option<u32>,
}

/// How calls are spread over the addresses of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadBalancingConfig {
    /// All calls go to the first address that can be reached.
    PickFirst {
        /// Whether the addresses are tried in an order of chance.
        shuffle: bool,
    },
    /// The addresses take turns.
    RoundRobin,
    /// Of some addresses, chosen by chance, the one with the fewest open calls.
    LeastRequest {
        /// How many addresses are looked at, 2 to 10.
        choice_count: u32,
    },
}

/// Why a service config is void.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceConfigError {
    /// The text is not JSON.
    #[error("service config is not JSON: {0}")]
    NotJson(String),

    /// A field is not what it must be.
    #[error("service config: {path} is {found}, but must be {expected}")]
    InvalidField {
        /// Where the field is, such as `methodConfig[0].retryPolicy.maxAttempts`.
        path: String,
        /// What it is, cut where it is long.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
}

impl ServiceConfig {
    /// Says what is wrong with this configuration, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the field, its value and what it must be.
    pub fn check(&self) -> Result<(), String> {
        for (path, config) in &self.methods {
            if !is_method_path(path) {
                return Err(format!(
                    "methods has the key {path:?}, but must have paths such as /package.Service/Method"
                ));
            }
            in_entry("methods", path, config)?;
        }
        for (service, config) in &self.services {
            if !is_service_name(service) {
                return Err(format!(
                    "services has the key {service:?}, but must have names such as package.Service"
                ));
            }
            in_entry("services", service, config)?;
        }
        if let Some(config) = &self.default_method {
            config
                .check()
                .map_err(|sentence| format!("default_method: {sentence}"))?;
        }
        if let Some(throttling) = self.retry_throttling {
            throttling
                .check()
                .map_err(|sentence| format!("retry_throttling: {sentence}"))?;
        }
        let balancing = self.load_balancing.as_ref();
        balancing
            .map_or(Ok(()), LoadBalancingConfig::flawless)
            .and_then(|()| self.flawless_connections())
            .map_err(|flaw| flaw.to_string())
    }

    /// What counts for calls of this method: the entry of the method, else that of its service,
    /// else the default.
    #[must_use]
    pub fn method(&self, path: &MethodPath) -> Option<&MethodConfig> {
        self.methods
            .get(path.as_str())
            .or_else(|| self.services.get(path.service()))
            .or(self.default_method.as_ref())
    }

    fn flawless_connections(&self) -> Result<(), Flaw> {
        let connections = self.max_connections_per_address.unwrap_or(1);
        Flaw::unless(
            connections >= 1,
            ("max_connections_per_address", "maxConnectionsPerSubchannel"),
            connections,
            "at least 1",
        )
    }
}

impl LoadBalancingConfig {
    fn flawless(&self) -> Result<(), Flaw> {
        let choice_count = match self {
            Self::LeastRequest { choice_count } => *choice_count,
            Self::PickFirst { .. } | Self::RoundRobin => return Ok(()),
        };
        Flaw::unless(
            (2..=MAX_CHOICE_COUNT).contains(&choice_count),
            ("choice_count", "choiceCount"),
            choice_count,
            "2 to 10",
        )
    }
}

fn in_entry(field: &str, key: &str, config: &MethodConfig) -> Result<(), String> {
    config
        .check()
        .map_err(|sentence| format!("{field}[{key:?}]: {sentence}"))
}

fn is_method_path(path: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|names| names.split_once('/'))
        .is_some_and(|(service, method)| !service.is_empty() && !method.is_empty())
}

fn is_service_name(service: &str) -> bool {
    !service.is_empty() && !service.starts_with('/')
}

/// More addresses than that are not worth looking at. gRFC A48 §Maximum limit for choice_count.
const MAX_CHOICE_COUNT: u32 = 10;

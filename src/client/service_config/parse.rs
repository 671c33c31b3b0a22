//! A service config from JSON: every field that counts, and what each must be.
//!
//! Spec: gRPC Service Config; gRFC A6 §Integration with Service Config.

use serde_json::Value;

use super::field::Field;
use super::{
    LoadBalancingConfig, MAX_CHOICE_COUNT, ServiceConfig, ServiceConfigError, is_service_name,
};
use crate::client::retry_policy::{AttemptPolicy, HedgingPolicy, MethodConfig, RetryPolicy};
use crate::client::throttle::RetryThrottling;

impl ServiceConfig {
    /// Reads a service config from JSON.
    ///
    /// # Errors
    ///
    /// [`ServiceConfigError`] if the text is not JSON, or if any field that counts is wrong.
    pub fn from_json(json: &str) -> Result<Self, ServiceConfigError> {
        Self::read(&Field::root(&parse_json(json)?))
    }

    pub(super) fn read(root: &Field<'_>) -> Result<Self, ServiceConfigError> {
        root.object()?;
        let mut config = Self {
            retry_throttling: root.member("retryThrottling").optional(read_throttling)?,
            load_balancing: read_load_balancing(root)?,
            ..Self::default()
        };
        if let Some(health_check) = root.member("healthCheckConfig").given() {
            health_check.object()?;
            let service = health_check.member("serviceName").optional(Field::text)?;
            config.health_check_service = service.map(str::to_owned);
        }
        if let Some(scaling) = root.member("connectionScaling").given() {
            scaling.object()?;
            let connections = scaling.member("maxConnectionsPerSubchannel");
            config.max_connections_per_address = connections.optional(Field::integer)?;
            config = scaling.checked(config, Self::flawless_connections)?;
        }
        let entries = root.member("methodConfig").optional(Field::list)?;
        for entry in entries.unwrap_or_default() {
            config.read_entry(&entry)?;
        }
        Ok(config)
    }

    /// Reads one item of `methodConfig`. Without a name it counts for nothing, but must be right
    /// all the same.
    fn read_entry(&mut self, entry: &Field<'_>) -> Result<(), ServiceConfigError> {
        entry.object()?;
        let method_config = read_method_config(entry)?;
        let names = entry.member("name").optional(Field::list)?;
        for name in names.unwrap_or_default() {
            name.object()?;
            let service = name.member("service").optional(Field::text)?;
            let method = name.member("method").optional(Field::text)?;
            let config = method_config.clone();
            let earlier = match (service.unwrap_or_default(), method.unwrap_or_default()) {
                ("", "") => self.default_method.replace(config),
                (service, _) if !is_service_name(service) => {
                    let service = name.member("service");
                    return Err(service.refuse("a service such as package.Service"));
                }
                (service, "") => self.services.insert(service.to_owned(), config),
                (service, method) => self.methods.insert(format!("/{service}/{method}"), config),
            };
            if earlier.is_some() {
                return Err(name.refuse("unlike all names before it"));
            }
        }
        Ok(())
    }
}

/// The text as JSON.
pub(super) fn parse_json(json: &str) -> Result<Value, ServiceConfigError> {
    serde_json::from_str(json).map_err(|error| ServiceConfigError::NotJson(error.to_string()))
}

fn read_method_config(entry: &Field<'_>) -> Result<MethodConfig, ServiceConfigError> {
    let retry = entry.member("retryPolicy").optional(read_retry_policy)?;
    let hedging = entry.member("hedgingPolicy");
    let attempts = match (retry, hedging.given()) {
        (None, None) => AttemptPolicy::Once,
        (Some(policy), None) => AttemptPolicy::Retry(policy),
        (None, Some(policy)) => AttemptPolicy::Hedge(read_hedging_policy(&policy)?),
        (Some(_), Some(policy)) => return Err(policy.refuse("absent beside a retryPolicy")),
    };
    Ok(MethodConfig {
        wait_for_ready: entry.member("waitForReady").optional(Field::boolean)?,
        timeout: entry.member("timeout").optional(Field::duration)?,
        max_request_bytes: entry
            .member("maxRequestMessageBytes")
            .optional(read_bytes)?,
        max_response_bytes: entry
            .member("maxResponseMessageBytes")
            .optional(read_bytes)?,
        attempts,
    })
}

/// A number of bytes. More than this machine can address are as many as it can.
fn read_bytes(bytes: &Field<'_>) -> Result<usize, ServiceConfigError> {
    let bytes = bytes.large_integer()?;
    Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
}

fn read_retry_policy(policy: &Field<'_>) -> Result<RetryPolicy, ServiceConfigError> {
    policy.object()?;
    let read = RetryPolicy {
        max_attempts: policy.member("maxAttempts").integer()?,
        initial_backoff: policy.member("initialBackoff").duration()?,
        max_backoff: policy.member("maxBackoff").duration()?,
        backoff_multiplier: policy.member("backoffMultiplier").number()?,
        retryable_codes: policy.member("retryableStatusCodes").codes()?,
    };
    policy.checked(read, RetryPolicy::flawless)
}

fn read_hedging_policy(policy: &Field<'_>) -> Result<HedgingPolicy, ServiceConfigError> {
    policy.object()?;
    let delay = policy.member("hedgingDelay").optional(Field::duration)?;
    let codes = policy
        .member("nonFatalStatusCodes")
        .optional(Field::codes)?;
    let read = HedgingPolicy {
        max_attempts: policy.member("maxAttempts").integer()?,
        hedging_delay: delay.unwrap_or_default(),
        non_fatal_codes: codes.unwrap_or_default(),
    };
    policy.checked(read, HedgingPolicy::flawless)
}

fn read_throttling(throttling: &Field<'_>) -> Result<RetryThrottling, ServiceConfigError> {
    throttling.object()?;
    let read = RetryThrottling {
        max_tokens: throttling.member("maxTokens").integer()?,
        token_ratio: throttling.member("tokenRatio").number()?,
    };
    throttling.checked(read, RetryThrottling::flawless)
}

/// The policy of `loadBalancingConfig`, else the one that has only a name. An unknown name is a
/// fault also where it does not count: gRFC A21 makes no exception.
fn read_load_balancing(
    root: &Field<'_>,
) -> Result<Option<LoadBalancingConfig>, ServiceConfigError> {
    let named = root.member("loadBalancingPolicy").optional(|policy| {
        let name = policy.text()?;
        let empty = Value::Object(serde_json::Map::new());
        read_policy(&name.to_ascii_lowercase(), &Field::root(&empty))
            .transpose()
            .unwrap_or_else(|| Err(policy.refuse(KNOWN_POLICIES)))
    })?;
    let list = root.member("loadBalancingConfig");
    if let Some(list) = list.given() {
        // The first policy that is known counts, and what follows it is for other clients.
        for item in list.list()? {
            let (name, config) = item.only_member()?;
            if let Some(policy) = read_policy(name, &config)? {
                return Ok(Some(policy));
            }
        }
        return Err(list.refuse(KNOWN_POLICIES));
    }
    Ok(named)
}

/// The policy of this name, if it is known.
fn read_policy(
    name: &str,
    config: &Field<'_>,
) -> Result<Option<LoadBalancingConfig>, ServiceConfigError> {
    let policy = match name {
        "pick_first" => {
            config.object()?;
            let shuffle = config.member("shuffleAddressList");
            LoadBalancingConfig::PickFirst {
                shuffle: shuffle.optional(Field::boolean)?.unwrap_or_default(),
            }
        }
        "round_robin" => {
            config.object()?;
            LoadBalancingConfig::RoundRobin
        }
        "least_request_experimental" => {
            config.object()?;
            let choice_count = config.member("choiceCount").optional(Field::integer)?;
            LoadBalancingConfig::LeastRequest {
                choice_count: choice_count.map_or(2, |count| count.min(MAX_CHOICE_COUNT)),
            }
        }
        _ => return Ok(None),
    };
    config
        .checked(policy, LoadBalancingConfig::flawless)
        .map(Some)
}

const KNOWN_POLICIES: &str =
    "a policy that is known: pick_first, round_robin or least_request_experimental";

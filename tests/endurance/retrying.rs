//! How calls are tried again while servers die.

use std::time::Duration;

use barewire::{AttemptPolicy, Code, MethodConfig, RetryPolicy, ServiceConfig};

/// Every call is tried four times, if the server is not there.
pub(crate) fn retrying() -> ServiceConfig {
    let retry = RetryPolicy {
        max_attempts: 4,
        initial_backoff: Duration::from_millis(10),
        max_backoff: Duration::from_millis(100),
        backoff_multiplier: 2.0,
        retryable_codes: vec![Code::Unavailable],
    };
    ServiceConfig {
        default_method: Some(MethodConfig {
            attempts: AttemptPolicy::Retry(retry),
            ..MethodConfig::default()
        }),
        ..ServiceConfig::default()
    }
}

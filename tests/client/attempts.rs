//! `client::attempts`: whole calls under a policy.

use std::time::Duration;

use barewire::{
    AttemptPolicy, Channel, ChannelConfig, Code, HedgingPolicy, MethodConfig, MethodPath,
    RetryPolicy, ServiceConfig,
};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::tokio;

/// A channel to a port that nobody listens on.
async fn to_nobody(attempts: AttemptPolicy) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let method = MethodConfig {
        attempts,
        ..MethodConfig::default()
    };
    let service_config = ServiceConfig {
        default_method: Some(method),
        ..ServiceConfig::default()
    };
    let config = ChannelConfig {
        service_config: Some(service_config),
        ..ChannelConfig::default()
    };
    Channel::with_config(&format!("http://{address}"), config).unwrap()
}

#[tokio::test]
async fn p169_p182_attempts_that_find_no_connection_are_counted_too() {
    let hedge = |delay| {
        AttemptPolicy::Hedge(HedgingPolicy {
            max_attempts: 3,
            hedging_delay: Duration::from_millis(delay),
            non_fatal_codes: vec![Code::Unavailable],
        })
    };
    let retry = AttemptPolicy::Retry(RetryPolicy {
        max_attempts: 3,
        initial_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(1),
        backoff_multiplier: 1.0,
        retryable_codes: vec![Code::Unavailable],
    });
    for policy in [AttemptPolicy::Once, retry, hedge(0), hedge(5)] {
        let channel = to_nobody(policy.clone()).await;
        let path = MethodPath::from_static("/test.Probe/Echo");
        let call = channel.unary::<String, String>(path, "hello".to_owned());
        let ended = timeout(PATIENCE, call).await.expect("the call ends");
        assert_eq!(ended.unwrap_err().code, Code::Unavailable, "{policy:?}");
    }
}

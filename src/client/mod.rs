//! Layer 4: calling.

mod attempts;
mod backoff;
mod call;
mod channel;
mod config;
mod flaw;
mod hedge;
mod host_port;
mod outbound;
mod outgoing;
mod pick;
mod policies;
pub mod proxy;
mod random;
mod replay;
pub mod resolve;
mod retry;
mod retry_policy;
mod service_config;
mod shapes;
mod target;
mod throttle;
mod two_halves;

pub use backoff::Backoff;
pub use channel::Channel;
pub use config::ChannelConfig;
pub use outbound::Outbound;
pub use retry_policy::{AttemptPolicy, HedgingPolicy, MethodConfig, RetryPolicy};
pub use service_config::{LoadBalancingConfig, ServiceConfig, ServiceConfigError};
pub use target::{Destination, Scheme, Target, TargetError};
pub use throttle::RetryThrottling;

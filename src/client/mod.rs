//! Layer 4: calling.
//!
//! | file | what |
//! |---|---|
//! | `channel`, `config` | a client's line to one target, and what it allows |
//! | `shapes`, `outbound`, `two_halves` | the four kinds of call, and the two halves of a stream |
//! | `call`, `attempts`, `outgoing`, `replay` | one call: its attempts until one of them is answered, and its end |
//! | `intercept`, `credentials` | who is asked before a call; secrets that do not go in clear text |
//! | `target`, `host_port` | where a channel leads, as text |
//! | [`resolve`], [`proxy`] | names to addresses; HTTP CONNECT |
//! | `pick` | which connection takes the next call |
//! | `retry`, `hedge` | an attempt has ended: is there another one, and when? No clock, no I/O |
//! | `service_config`, `policies` | what a service's owner asks of its clients: by code, as JSON, in DNS |
//! | `retry_policy` | what is done for the calls of one method: limits, retries, hedging |
//! | `throttle` | tokens that stop retries when a server fails too often |
//! | `backoff`, `random` | how long to wait; chance, in one place |
//! | `flaw` | what is wrong with a field of a policy |

mod attempts;
mod backoff;
mod call;
mod channel;
mod config;
mod credentials;
mod flaw;
mod hedge;
mod host_port;
mod intercept;
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
pub use credentials::Credentials;
pub use outbound::Outbound;
pub use retry_policy::{AttemptPolicy, HedgingPolicy, MethodConfig, RetryPolicy};
pub use service_config::{LoadBalancingConfig, ServiceConfig, ServiceConfigError};
pub use target::{Destination, Scheme, Target, TargetError};
pub use throttle::RetryThrottling;

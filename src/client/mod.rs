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
//! | `security`, `tls`, `clear_text` | what comes between the byte streams and HTTP/2 |
//! | `pool`, `pool_task` | the connections of a channel, from names to a stream for each call |
//! | [`balance`], `pick`, `connectivity` | which connection takes the next call, and what it does while there is none |
//! | `subchannel`, `dialling`, `endpoint` | a list of addresses, and a connection to one of them |
//! | `retry`, `hedge` | an attempt has ended: is there another one, and when? No clock, no I/O |
//! | `service_config`, `policies` | what a service's owner asks of its clients: by code, as JSON, in DNS |
//! | `retry_policy` | what is done for the calls of one method: limits, retries, hedging |
//! | `throttle` | tokens that stop retries when a server fails too often |
//! | `backoff`, `random` | how long to wait; chance, in one place |
//! | `flaw` | what is wrong with a field of a policy |

mod attempts;
mod backoff;
mod balance;
mod call;
mod channel;
#[cfg(not(feature = "tls"))]
mod clear_text;
mod config;
mod connectivity;
mod credentials;
mod dialling;
mod endpoint;
mod flaw;
mod hedge;
mod host_port;
mod intercept;
mod outbound;
mod outgoing;
mod pick;
mod policies;
mod pool;
mod pool_task;
pub mod proxy;
mod random;
mod replay;
pub mod resolve;
mod retry;
mod retry_policy;
mod security;
mod service_config;
mod shapes;
mod subchannel;
mod target;
mod throttle;
#[cfg(feature = "tls")]
mod tls;
mod two_halves;

pub use backoff::Backoff;
pub use balance::{Backend, Balancer, Balancing, CallInfo};
pub use channel::Channel;
pub use config::ChannelConfig;
pub use connectivity::ConnectivityState;
pub use credentials::Credentials;
pub use outbound::Outbound;
pub use retry_policy::{AttemptPolicy, HedgingPolicy, MethodConfig, RetryPolicy};
pub use service_config::{LoadBalancingConfig, ServiceConfig, ServiceConfigError};
pub use target::{Destination, Scheme, Target, TargetError};
pub use throttle::RetryThrottling;

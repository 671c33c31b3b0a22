//! The client: channels, calls, retries, names, balancing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::type_complexity,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics has said what is wrong"
)]

#[path = "../calls/chance.rs"]
mod chance;
mod faults;
mod interceptors;
mod proxy;
#[allow(
    dead_code,
    reason = "shared with the server's tests, which use other parts"
)]
#[path = "../calls/recorder.rs"]
mod recorder;
mod resolve;
mod resolve_clock;
// What `inside` compiles once more finds the layer below where it is in the library.
use barewire::wire;

mod attempts;
mod backoff;
mod corpus;
mod hedge;
mod inside;
mod random;
mod retry;
mod retry_policy;
mod service_config;
#[path = "../../fuzz/service_config_oracle.rs"]
mod service_config_oracle;
mod shapes;
#[allow(
    dead_code,
    reason = "shared with the server's tests, which use other parts"
)]
#[path = "../calls/support.rs"]
mod support;
mod target;
mod throttle;
#[cfg(all(feature = "server", feature = "tls"))]
mod tls;

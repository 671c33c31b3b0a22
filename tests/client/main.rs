//! The client: channels, calls, retries, names, balancing.

#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::type_complexity,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics has said what is wrong"
)]

mod cancellation;
mod cancels;
mod cardinality;
#[path = "../calls/chance.rs"]
mod chance;
mod connection;
mod deadlines;
mod faults;
#[path = "support/frames.rs"]
mod frames;
mod goaway;
mod halves;
mod headers;
mod interceptors;
mod keepalive;
mod limits;
#[cfg(all(feature = "server", feature = "tls"))]
mod malformed;
mod messages;
mod proxy;
mod races;
#[allow(dead_code, reason = "each suite uses some of it")]
#[path = "support/raw_server.rs"]
mod raw_server;
#[allow(
    dead_code,
    reason = "shared with the server's tests, which use other parts"
)]
#[path = "../calls/recorder.rs"]
mod recorder;
mod resets;
mod resolve;
mod resolve_clock;
mod responses;
// What `inside` and `meter_oracle` compile once more finds the layers below where they are in the library.
use barewire::{spec, wire};
#[allow(dead_code, reason = "the library uses the rest")]
#[path = "../../src/transport/seed.rs"]
mod seed;
mod transport {
    pub(crate) use crate::seed;
}

#[path = "../../fuzz/address_oracles.rs"]
mod address_oracles;
mod attempts;
mod backoff;
mod by_chance;
#[path = "../../fuzz/bystander.rs"]
mod bystander;
#[path = "../../fuzz/client_oracle.rs"]
mod client_oracle;
mod connectivity;
mod corpus;
mod counters;
mod hedge;
mod hedging;
#[cfg(all(feature = "server", feature = "tls"))]
#[allow(dead_code, reason = "each suite uses some of it")]
#[path = "support/identities.rs"]
mod identities;
mod idle;
mod inside;
mod joined;
mod least_request;
#[path = "../../fuzz/meter_oracle.rs"]
mod meter_oracle;
mod method_config;
mod names_again;
mod net;
mod pick_first;
mod random;
mod resolved_config;
mod retries;
mod retry;
mod retry_policy;
mod room;
mod round_robin;
#[cfg(all(feature = "server", feature = "tls"))]
#[allow(
    dead_code,
    reason = "shared with the server's tests, which use all of it"
)]
#[path = "../calls/rows.rs"]
mod rows;
mod scaling;
mod scripted;
mod service_config;
#[path = "../../fuzz/service_config_oracle.rs"]
mod service_config_oracle;
#[cfg(all(feature = "health", feature = "reflection"))]
#[path = "../../fuzz/services_oracle.rs"]
mod services_oracle;
mod shapes;
mod statuses;
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
#[path = "../calls/tokio.rs"]
mod tokio;
mod transparent_retry;
#[cfg(target_os = "linux")]
mod user_timeout;
#[path = "../../fuzz/virtual_time.rs"]
mod virtual_time;
#[cfg(feature = "tls")]
mod whole_channel;

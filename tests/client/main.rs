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
mod halves;
mod proxy;
mod resolve;
mod resolve_clock;
mod shapes;
#[allow(
    dead_code,
    reason = "shared with the server's tests, which use other parts"
)]
#[path = "../calls/support.rs"]
mod support;
mod target;
#[cfg(all(feature = "server", feature = "tls"))]
mod tls;

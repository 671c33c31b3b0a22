//! The interop tests: every case, our client against our server and against one that misbehaves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::type_complexity,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub
)]

mod certificates;
mod commands;
mod http2;
mod http2_server;
#[allow(dead_code, reason = "each suite uses some of it")]
#[path = "../client/support/identities.rs"]
mod identities;
mod passes;
#[allow(
    dead_code,
    reason = "shared with the server's tests, which use other parts"
)]
#[path = "../calls/support.rs"]
mod raw;
mod service;
mod soak;
mod support;
#[path = "../calls/tokio.rs"]
mod tokio;

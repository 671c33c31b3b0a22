//! The command: what it prints, what it answers, and how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod errors;
mod help;
#[allow(dead_code, reason = "each suite uses some of it")]
#[path = "../client/support/identities.rs"]
mod identities;
mod identity;
mod log;
#[allow(dead_code, reason = "it is shared with the attacks")]
mod process;
mod start;
mod stop;
#[allow(dead_code, reason = "it is shared with the tests of whole calls")]
#[path = "../calls/support.rs"]
mod support;
mod tls;
#[path = "../calls/tokio.rs"]
mod tokio;
mod tutorial;

//! Faults, row by row.

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

mod answers;
mod canary;
#[allow(dead_code, reason = "shared with other tests, which use all of it")]
#[path = "../calls/chance.rs"]
mod chance;
mod ends;
mod fatal;
#[allow(
    dead_code,
    reason = "shared with the client's tests, which use other parts"
)]
#[path = "../client/support/frames.rs"]
mod frames;
mod many;
#[allow(dead_code, reason = "it is shared with the tests of the command")]
#[path = "../cli/process.rs"]
mod process;
#[allow(
    dead_code,
    reason = "shared with the client's tests, which use other parts"
)]
#[path = "../client/support/raw_server.rs"]
mod raw_server;
mod requests;
#[allow(dead_code, reason = "each module uses some of it")]
mod scene;
mod signals;
#[allow(
    dead_code,
    reason = "shared with the server's tests, which use other parts"
)]
#[path = "../calls/support.rs"]
mod support;
mod tls;

//! What the tutorials' services answer, over a pipe, row by row of what their clients expect.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod clients;
mod contact;
mod conversation;
mod greeter;
mod hello;
mod route_database;
mod route_guide;
mod streaming;
#[allow(dead_code, reason = "it is shared with the tests of whole calls")]
#[path = "../calls/support.rs"]
mod support;
#[path = "../calls/tokio.rs"]
mod tokio;

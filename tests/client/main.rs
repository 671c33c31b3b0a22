//! The client: channels, calls, retries, names, balancing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has said what is wrong"
)]

mod halves;
mod shapes;
#[allow(
    dead_code,
    reason = "shared with the server's tests, which use other parts"
)]
#[path = "../calls/support.rs"]
mod support;

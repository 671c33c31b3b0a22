//! The client: one module for each file of `src/client`, and whole calls.

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

mod faults;
mod proxy;
mod resolve;
mod resolve_clock;
mod target;

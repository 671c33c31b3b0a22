//! The services that come with the crate, asked by a client on bare h2.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub
)]

mod conversation;
mod health;

#[path = "../calls/support.rs"]
#[allow(dead_code)]
mod support;

// The messages as the generator prints them.
#[path = "../../src/services/generated/grpc.health.v1.rs"]
#[allow(dead_code)]
mod health_v1;

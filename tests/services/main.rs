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
mod reflection;

#[path = "../calls/support.rs"]
#[allow(dead_code)]
mod support;
#[path = "../calls/tokio.rs"]
mod tokio;

// The messages as the generator prints them; v1alpha's are not those that the server itself uses.
#[path = "../../src/services/generated/grpc.health.v1.rs"]
#[allow(dead_code)]
mod health_v1;
#[path = "../../src/services/generated/grpc.reflection.v1.rs"]
#[allow(dead_code, clippy::enum_variant_names)]
mod reflection_v1;
#[path = "../../src/services/generated/grpc.reflection.v1alpha.rs"]
#[allow(dead_code, clippy::enum_variant_names)]
mod reflection_v1alpha;

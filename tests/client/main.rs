//! The client, against our own server, against bare h2, and against peers that write bytes by hand.

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

#[cfg(all(feature = "server", feature = "tls"))]
mod tls;

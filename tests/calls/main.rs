//! Whole calls, against a client on bare h2 and against peers that write their frames by hand.

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

#[cfg(target_os = "linux")]
mod accept;
#[path = "../../fuzz/bystander.rs"]
mod bystander;
mod chance;
mod compression;
mod corpus;
mod deadline;
mod faults;
#[cfg(feature = "tls")]
#[allow(dead_code, reason = "each suite uses some of it")]
#[path = "../client/support/identities.rs"]
mod identities;
mod interceptors;
mod lifecycle;
mod limits;
#[cfg(feature = "gzip")]
mod long_work;
#[cfg(feature = "tls")]
mod malformed;
mod metadata;
mod meter;
mod mutants;
mod rate;
mod recorder;
mod regressions;
mod room;
#[cfg(feature = "tls")]
mod rows;
#[path = "../../fuzz/server_oracle.rs"]
mod server_oracle;
mod storms;
mod strangers;
mod streams;
mod support;
#[cfg(feature = "tls")]
mod tls;
mod tokio;
mod traps;
mod unary;
#[cfg(target_os = "linux")]
mod user_timeout;
#[path = "../../fuzz/virtual_time.rs"]
mod virtual_time;

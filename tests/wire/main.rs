//! The grammar of gRPC over HTTP/2, against real bytes. One module for each file of `src/wire`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::type_complexity,
    clippy::wildcard_enum_match_arm
)]

mod compression;
mod content_type;
mod corpus;
mod decode_cost;
mod error;
mod framing;
mod header_size;
#[path = "../../fuzz/message_oracles.rs"]
mod message_oracles;
mod metadata;
#[path = "../../fuzz/oracles.rs"]
mod oracles;
mod path;
mod percent;
mod properties;
mod request_headers;
mod response_headers;
mod retry;
mod status;
mod status_details;
mod support;
mod tables;
mod timeout;
mod trailers;

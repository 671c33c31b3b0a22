//! The code generator: what it prints, and what it says when it cannot.
//!
//! `BAREWIRE_BLESS=1 cargo test --test codegen` rewrites what is committed of its output.

#![cfg(feature = "codegen")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

pub mod clients;
mod comments;
mod committed;
mod descriptors;
mod errors;
mod layout;
mod options;
#[cfg(feature = "cli")]
pub mod printed;
mod services;
mod support;

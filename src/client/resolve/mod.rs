//! Names to addresses.
//!
//! ```text
//!  Target ─▶ Resolver ─▶ Resolution: addresses, service config
//!               │  Dns          looks names up; the default
//!               │  Fixed        a given list
//!               └  your own     implement the trait
//! ```
//!
//! A channel looks its name up when it first connects, and again when connections fail or the
//! resolver says that there is news. `clock` decides when; `order` brings addresses into the order
//! in which they are tried.
//!
//! Spec: gRPC-Naming, RFC 8305 §4.

pub(crate) mod clock;
mod dns;
mod fixed;
pub(crate) mod order;
mod resolver;

pub use dns::Dns;
pub(super) use dns::look_up;
pub use fixed::Fixed;
pub use resolver::{Resolution, ResolveError, Resolver, Resolving};

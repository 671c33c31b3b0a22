//! HTTP CONNECT proxies.
//!
//! ```text
//!  Proxying ── which one, for this target? ──▶ Proxy ── a tunnel through this byte stream ──▶ …
//!                                                └─ ProxyDialer: a Dialer that goes through it
//! ```
//!
//! The proxy looks names up, so a channel behind one knows one address for a name: there is no
//! balancing by address, and no service config from DNS.
//!
//! Spec: gRFC A1.

mod choice;
mod dialer;
mod tunnel;

pub use choice::Proxying;
pub use dialer::ProxyDialer;
pub use tunnel::{Proxy, ProxyError};

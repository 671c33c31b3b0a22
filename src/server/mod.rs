//! Layer 4: serving.
//!
//! [`Server`] says what is served, `running` accepts and drains; `serve_call` takes one call from Request-Headers to Trailers,
//! straight down; a [`Service`] is what generated code implements, with a [`ServerCall`] in hand.

mod call_count;
mod config;
mod drain;
mod listen;
mod replies;
mod running;
mod serve_call;
#[expect(
    clippy::module_inception,
    reason = "the file is named for the type that it holds"
)]
mod server;
mod server_call;
mod service;
#[cfg(feature = "tls")]
mod tls;

pub use config::{ReplyEncoding, ServerConfig};
pub use drain::{CutCall, DrainReport};
pub use listen::Listeners;
pub use replies::Replies;
pub use server::Server;
pub use server_call::ServerCall;
pub use service::{Service, Serving};

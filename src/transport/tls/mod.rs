//! TLS by rustls, with ALPN `h2`.
//!
//! A connection whose handshake does not settle on `h2` is closed: gRPC over TLS is HTTP/2 or nothing.
//!
//! | file | what |
//! |---|---|
//! | `server` | [`ServerTls`]: accepts |
//! | `handshake` | what both sides bring |
//! | `pem`, `error` | certificates and keys as text, and what is wrong with them |
//!
//! Spec: RFC 9113 §3.2, §9.2; RFC 7301.

mod error;
mod handshake;
mod pem;
mod server;

pub use error::{TlsError, TlsPart};
pub use server::{ClientCertificates, ServerTls};

//! TLS by rustls, with ALPN `h2`.
//!
//! A connection whose handshake does not settle on `h2` is closed: gRPC over TLS is HTTP/2 or nothing.
//!
//! | file | what |
//! |---|---|
//! | `server` | [`ServerTls`]: accepts |
//! | `client` | [`ClientTls`]: connects |
//! | `verifier` | who a server is |
//! | `client_stream`, `first_bytes` | the byte streams above and below a client's TLS |
//! | `failure` | why a client's TLS failed |
//! | `handshake` | what both sides bring |
//! | `pem`, `error` | certificates and keys as text, and what is wrong with them |
//! | `x509` | what a certificate says of itself |
//!
//! Spec: RFC 9113 §3.2, §9.2; RFC 7301.

#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod client_stream;
mod error;
#[cfg(feature = "client")]
mod failure;
#[cfg(feature = "client")]
mod first_bytes;
mod handshake;
mod pem;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "client")]
mod verifier;
#[cfg(feature = "client")]
mod x509;

#[cfg(feature = "client")]
pub use client::ClientTls;
#[cfg(feature = "cli")]
pub(crate) use error::damage_text;
pub use error::{TlsError, TlsPart};
#[cfg(feature = "server")]
pub use server::{ClientCertificates, ServerTls};

//! Layer 5: the interop tests, by which gRPC implementations try each other out.
//!
//! ```text
//!   TestClient ── a Case: calls, and what must come back ──▶ TestServer, OpenRca
//!       or another implementation's                              or another implementation's
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `service.rs` | `grpc.testing.TestService`, which does what its requests ask for |
//! | `load.rs` | the load that the server reports, and `xds.service.orca.v3.OpenRcaService` |
//! | `client.rs` | runs a case; how a case fails |
//! | `cases.rs` | the standard cases |
//! | `compression.rs` | those about compression |
//! | `orca.rs` | those about load reports |
//! | `soak.rs` | those that take long |
//! | `http2.rs` | those against a server that misbehaves on HTTP/2 |
//! | `proto.rs` | the messages |
//!
//! What is left out: the cases that want credentials of Google Cloud, and `cacheable_unary`, which
//! wants a call made by GET and a caching proxy to answer it.
//!
//! Spec: gRPC-Interop.

mod cases;
mod client;
mod compression;
mod http2;
mod load;
mod orca;
pub mod proto;
mod service;
mod soak;

pub use client::{Case, CaseGroup, Failure, TestClient};
pub use soak::SoakOptions;

use crate::Server;
use load::{Load, OpenRca};
use proto::xds::service::orca::v3::OpenRcaServiceServer;
use service::TestServer;

/// Adds the services that the cases call.
#[must_use]
pub fn add_all(server: Server) -> Server {
    let load = Load::default();
    server
        .add(TestServer::new(load.clone()))
        .add(OpenRcaServiceServer(OpenRca(load)))
}

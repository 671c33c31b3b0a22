//! barewire under the Connect conformance suite: what `connectconformance` runs, and judges.
//!
//! ```text
//!  connectconformance ── stdin: which server ──▶ server ── stdout: where it listens ──▶
//!                     ── stdin: a case, … ─────▶ client ── stdout: what came of it, … ▶
//! ```
//!
//! In server mode the suite calls the server with clients of its own, in client mode it has servers of
//! its own called. Both sides say afterwards what they have seen, in the answers themselves.
//!
//! | file | what it is |
//! |---|---|
//! | `service.rs` | the suite's service, which does as a request asks |
//! | `server.rs` | the server with that service |
//! | `calls.rs` | one call, as a case asks for it |
//! | `client.rs` | the cases, side by side |
//! | `convert.rs` | metadata and statuses as messages, and back |
//! | `delimited.rs` | messages on standard input and output |

use std::error::Error;

mod calls;
mod client;
mod convert;
mod delimited;
mod server;
mod service;

/// What the suite says, and what is called.
pub mod conformance {
    barewire::include_proto!("connectrpc.conformance.v1");
}

/// What the details of a status are.
pub mod rpc {
    barewire::include_proto!("google.rpc");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [mode] if mode == "server" => server::run().await,
        [mode] if mode == "client" => Ok(client::run().await?),
        _ => Err("one argument is wanted: server or client".into()),
    }
}

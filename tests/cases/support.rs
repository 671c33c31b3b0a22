//! What runs a case here.

use std::sync::Arc;

use barewire::interop::{self, Case, CaseGroup, Failure, SoakOptions, TestClient};
use barewire::{Channel, Metadata, Server};
use tokio::io::DuplexStream;

use crate::tokio;

/// A pipe to a server with all that the cases call, until the test ends. A pipe, since no clock but the
/// test's own counts in it.
pub fn pipe() -> DuplexStream {
    pipe_to(interop::add_all(Server::new()))
}

pub fn pipe_to(server: Server) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(server.serve_io(theirs));
    ours
}

/// A client whose every channel has a server of its own.
pub fn client() -> TestClient {
    client_of(|| Channel::over(pipe()))
}

/// A client of a server that has nothing.
pub fn client_of_nobody() -> TestClient {
    client_of(|| Channel::over(pipe_to(Server::new())))
}

pub fn client_of(connect: impl Fn() -> Channel + Send + Sync + 'static) -> TestClient {
    TestClient {
        connect: Arc::new(move || Ok(connect())),
        server: "here".to_owned(),
        metadata: Metadata::new(),
        soak: SoakOptions::default(),
    }
}

pub async fn run(client: &TestClient, name: &str) -> Result<(), Failure> {
    client.run(Case::from_name(name).unwrap()).await
}

/// Every case for servers that behave.
pub fn cases() -> impl Iterator<Item = &'static Case> {
    Case::ALL
        .iter()
        .filter(|case| case.group != CaseGroup::Http2)
}

/// Runs all of them, and tells of each that fails.
pub async fn run_all(client: &TestClient) {
    let mut failed = Vec::new();
    for case in cases() {
        if let Err(failure) = client.run(case).await {
            failed.push(format!("{}: {failure}", case.name));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

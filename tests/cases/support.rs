//! What runs a case here.

use std::net::SocketAddr;
use std::sync::Arc;

use barewire::interop::{self, Case, CaseGroup, Failure, SoakOptions, TestClient};
use barewire::{Channel, Metadata, Server};
use tokio::net::TcpListener;

/// A server with all that the cases call, until the test ends.
pub async fn server() -> SocketAddr {
    start(Server::new()).await
}

pub async fn start(server: Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(interop::add_all(server).serve(listener));
    address
}

/// A client of a server in clear text.
pub fn client(address: SocketAddr) -> TestClient {
    client_of(move || Channel::lazy(&format!("http://{address}")).unwrap())
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

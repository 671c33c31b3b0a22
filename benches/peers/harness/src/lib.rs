//! What the programs of the benchmark share: options, a runtime, messages, certificates, and what is
//! measured of a process.

pub mod client;
pub mod figures;
pub mod options;
pub mod tls;

use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpListener;

/// The messages of `bench.proto`, for all peers that use prost.
pub mod messages {
    include!(concat!(env!("OUT_DIR"), "/bench.rs"));
}

pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Chunks that wait at most between the task that makes them and the handler.
pub const CHANNEL_DEPTH: usize = 16;

/// Runs `work` on one worker thread, so that instructions and CPU time can be compared.
pub fn run(work: impl Future<Output = Result<(), Fault>> + Send + 'static) -> Result<(), Fault> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let work = runtime.spawn(work);
    let outcome = runtime.block_on(work)?;
    runtime.shutdown_timeout(Duration::ZERO);
    outcome
}

/// Listens on a free port, and tells the one who started us.
pub async fn listen() -> Result<TcpListener, Fault> {
    let listener = bind()?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

/// The backlog is that of a server that ten thousand clients reach at once.
fn bind() -> std::io::Result<TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    socket.listen(4096)
}

/// The payload of a chunk of so many bytes.
pub fn payload(length: u32) -> Bytes {
    vec![b'x'; usize::try_from(length).unwrap_or_default()].into()
}

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

/// A name of so many bytes: words, since what text looks like matters to those who look into it before
/// it is decoded, or compress it.
pub fn text(length: u32) -> String {
    const WORDS: &str =
        "the of and to in is that for it as was with be by on not he his but at are this";
    let words: Vec<&str> = WORDS.split(' ').collect();
    let length = usize::try_from(length).unwrap_or_default();
    let mut text = String::with_capacity(length + WORDS.len());
    let mut state: usize = 1;
    while text.len() < length {
        // The generator of ANSI C's example.
        state = (state * 1_103_515_245 + 12_345) % (1 << 31);
        let place = (state >> 16) % words.len();
        text.extend(words.get(place).copied());
        text.push(' ');
    }
    text.truncate(length);
    text
}

/// The payload of a chunk of so many bytes.
pub fn payload(length: u32) -> Bytes {
    text(length).into()
}

//! What must hold for a server, whatever bytes follow a client's preface. It needs the `server`
//! feature, so it is kept apart from the other oracles; `tests/calls/corpus.rs` replays its corpus.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barewire::{Inbound, Replies, Request, Response, Server, ServerCall, Service, Serving};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::{Builder, Handle};
use tokio::time::{Instant, sleep, timeout};

use crate::panics::without_panics;

/// Input: a byte for how it is said, then what follows the preface. The lower bits of the first byte
/// are the size of the pieces that arrive; the highest one says that the client does not read.
///
/// Nothing panics, not even where a panic would be caught; the server is done with the connection
/// soon after its client is gone; no handler and no task is left; and the next connection is served.
pub fn server_bytes(data: &[u8]) {
    let Some((manner, bytes)) = data.split_first() else {
        return;
    };
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let conversation = async {
        let service = Bystander::default();
        let mut said = PREFACE.to_vec();
        said.extend(bytes);
        let size = match manner & 0x7f {
            0 => said.len(),
            size => usize::from(size),
        };
        if manner & 0x80 == 0 {
            converse(&service, &said, size).await;
        } else {
            talk(&service, &said, size).await;
        }
        let heard = converse(&service, &[PREFACE, GOOD_CALL].concat(), GOOD_CALL.len()).await;
        // The message comes back in DATA, after its five bytes.
        assert!(heard.windows(7).any(|bytes| bytes == b"\x0a\x05hello"));
    };
    without_panics(|| runtime.block_on(conversation));
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// SETTINGS, their acknowledgement, and a call of `Echo`.
const GOOD_CALL: &[u8] = b"\
    \0\0\0\x04\0\0\0\0\0\
    \0\0\0\x04\x01\0\0\0\0\
    \0\0\x1e\x01\x04\0\0\0\x01\
    \x83\x86\x04\x07/a/Echo\x0f\x10\x10application/grpc\
    \0\0\x0c\0\x01\0\0\0\x01\
    \0\0\0\0\x07\x0a\x05hello";

/// Longer than a server may take once its client is gone.
const SOON: Duration = Duration::from_secs(30);
/// Longer than it may take to give up on a client that does not read: one keepalive.
const LATER: Duration = Duration::from_secs(400);

/// Says these bytes, hears everything that comes back, and leaves in an orderly way.
async fn converse(service: &Bystander, bytes: &[u8], size: usize) -> Vec<u8> {
    let (client, server) = serve(service);
    let (mut hear, mut say) = tokio::io::split(client);
    let hearing = tokio::spawn(async move {
        let mut heard = Vec::new();
        let _ = hear.read_to_end(&mut heard).await;
        heard
    });
    for piece in bytes.chunks(size) {
        // The server may have had enough.
        if say.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _ = say.shutdown().await;
    server.end(SOON).await;
    drop(say);
    let heard = hearing.await.unwrap();
    nothing_is_left(service).await;
    heard
}

/// Says these bytes, hears nothing, and leaves without a word.
async fn talk(service: &Bystander, bytes: &[u8], size: usize) {
    let (mut client, server) = serve(service);
    for piece in bytes.chunks(size) {
        // The server may have had enough, or wait to be heard.
        let written = timeout(LATER, client.write_all(piece)).await;
        if written
            .expect("the server gives up, or takes more")
            .is_err()
        {
            break;
        }
        tokio::task::yield_now().await;
    }
    drop(client);
    server.end(SOON).await;
    nothing_is_left(service).await;
}

/// A server at work.
struct AtWork(tokio::task::JoinHandle<std::io::Result<()>>);

fn serve(service: &Bystander) -> (DuplexStream, AtWork) {
    let (client, io) = tokio::io::duplex(16 * 1024);
    let server = Server::new().add(service.clone()).serve_io(io);
    (client, AtWork(tokio::spawn(server)))
}

impl AtWork {
    async fn end(self, limit: Duration) {
        let start = Instant::now();
        let ended = timeout(limit, self.0).await;
        ended
            .expect("the server ends")
            .expect("the server does not panic")
            .unwrap();
        assert!(start.elapsed() < limit);
    }
}

async fn nothing_is_left(service: &Bystander) {
    assert_eq!(service.running.load(Ordering::SeqCst), 0);
    // Calls whose handlers have ended may still hear their client out.
    sleep(SOON).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
}

/// Handlers of all kinds.
#[derive(Clone, Default)]
struct Bystander {
    running: Arc<AtomicUsize>,
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Service for Bystander {
    fn name(&self) -> &'static str {
        "a"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.running));
        Box::pin(async move {
            let _running = running;
            match call.method() {
                "Echo" => {
                    let request: Request<String> = call.request().await?;
                    let mut response = Response::new(request.message);
                    response.metadata = request.metadata.clone();
                    response.trailers = request.metadata;
                    call.reply(response).await
                }
                "Chat" => {
                    let mut requests: Request<Inbound<String>> = call.requests();
                    let mut replies: Replies<String> = call.replies();
                    while let Some(message) = requests.next().await? {
                        replies.send(message).await?;
                    }
                    Ok(())
                }
                "Flood" => {
                    let mut replies: Replies<String> = call.replies();
                    loop {
                        replies.send("x".repeat(1_000)).await?;
                    }
                }
                "Never" => {
                    let _requests: Request<Inbound<String>> = call.requests();
                    std::future::pending().await
                }
                _ => Err(call.unknown_method()),
            }
        })
    }
}

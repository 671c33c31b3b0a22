//! What must hold for a server, whatever bytes follow a client's preface. It needs the `server`
//! feature, so it is kept apart from the other oracles; `tests/calls/corpus.rs` replays its corpus.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barewire::{CallRecord, CallStart, Http2Config, Interceptor, Server, ServerConfig, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use crate::bystander::Bystander;
use crate::virtual_time::play;

/// Input: a byte for how it is said, then what follows the preface. The lower bits of the first byte
/// are the size of the pieces that arrive; the highest one says that the client does not read.
///
/// Nothing panics, not even where a panic would be caught; no stream ends twice, and of each call the
/// interceptor is told once; the server is done with the connection soon after its client is gone; no
/// handler and no task is left; and the next connection is served.
pub fn server_bytes(data: &[u8]) {
    let Some((manner, bytes)) = data.split_first() else {
        return;
    };
    play(async {
        let watched = Watched::default();
        let mut said = PREFACE.to_vec();
        said.extend(bytes);
        let size = match manner & 0x7f {
            0 => said.len(),
            size => usize::from(size),
        };
        if manner & 0x80 == 0 {
            converse(&watched, &said, size).await;
        } else {
            talk(&watched, &said, size).await;
        }
        let heard = converse(&watched, &[PREFACE, GOOD_CALL].concat(), GOOD_CALL.len()).await;
        // The message comes back in DATA, after its five bytes.
        assert!(heard.windows(7).any(|bytes| bytes == b"\x0a\x05hello"));
    });
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

/// How long a server may take once its client is gone.
const SOON: Duration = Duration::from_secs(5);
/// Longer than it may take to give up on a client that does not read: one keepalive.
const LATER: Duration = Duration::from_secs(400);

/// Says these bytes, hears everything that comes back, and leaves in an orderly way. Yields how it began.
async fn converse(watched: &Watched, bytes: &[u8], size: usize) -> Vec<u8> {
    let (client, server) = serve(watched);
    let (mut hear, mut say) = tokio::io::split(client);
    let hearing = tokio::spawn(async move {
        let mut heard = Vec::new();
        let mut beginning = (&mut hear).take(64 * 1024);
        let _ = beginning.read_to_end(&mut heard).await;
        let _ = tokio::io::copy(&mut hear, &mut tokio::io::sink()).await;
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
    check_ends(&heard);
    nothing_is_left(watched).await;
    heard
}

/// Says these bytes, hears nothing, and leaves without a word.
async fn talk(watched: &Watched, bytes: &[u8], size: usize) {
    let (mut client, server) = serve(watched);
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
    nothing_is_left(watched).await;
}

/// A server at work.
struct AtWork(tokio::task::JoinHandle<std::io::Result<()>>);

fn serve(watched: &Watched) -> (DuplexStream, AtWork) {
    let (client, io) = tokio::io::duplex(16 * 1024);
    let server = Server::new()
        .with_config(modest())
        .add(watched.service.clone())
        .intercept(watched.witness.clone());
    (client, AtWork(tokio::spawn(server.serve_io(io))))
}

/// What a server has that may take a few MiB in all, whatever its clients say.
fn modest() -> ServerConfig {
    ServerConfig {
        max_recv_message: 256 * 1024,
        max_inflight_message_bytes: 1024 * 1024,
        max_buffered_bytes: 2 * 1024 * 1024,
        http2: Http2Config {
            max_concurrent_streams: 100,
            connection_send_buffer: 1024 * 1024,
            ..Http2Config::default()
        },
        ..ServerConfig::default()
    }
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

async fn nothing_is_left(watched: &Watched) {
    assert_eq!(watched.service.running(), 0);
    // Calls whose handlers have ended may still hear their client out.
    sleep(SOON).await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    let Witness { begun, ended } = &watched.witness;
    assert_eq!(begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst));
}

/// No stream ends twice, and nothing of it comes after its end.
fn check_ends(heard: &[u8]) {
    const DATA: u8 = 0;
    const HEADERS: u8 = 1;
    const RST_STREAM: u8 = 3;
    const END_STREAM: u8 = 1;
    // What speaks HTTP/1 is answered so.
    let mut rest = if heard.starts_with(b"HTTP/") {
        &[]
    } else {
        heard
    };
    let mut over = BTreeSet::new();
    while let Some((&[a, b, c, kind, flags, d, e, f, g], payload)) = rest.split_first_chunk() {
        let stream = u32::from_be_bytes([d, e, f, g]);
        if matches!(kind, DATA | HEADERS) {
            assert!(!over.contains(&stream), "stream {stream} is over");
        }
        if kind == RST_STREAM || matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
            over.insert(stream);
        }
        let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
        rest = payload.get(length..).unwrap_or_default();
    }
}

/// What all connections of a run share.
#[derive(Default)]
struct Watched {
    service: Bystander,
    witness: Witness,
}

/// Counts calls that begin, and what it is told of their ends.
#[derive(Clone, Default)]
struct Witness {
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

/// A call that the interceptor was asked about.
#[derive(Clone, Copy)]
struct Begun;

impl Interceptor for Witness {
    async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        call.extensions.insert(Begun);
        Ok(())
    }

    fn after(&self, call: &CallRecord<'_>) {
        if call.extensions.get::<Begun>().is_some() {
            self.ended.fetch_add(1, Ordering::SeqCst);
        }
    }
}

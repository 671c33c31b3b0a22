//! The service on h2 alone, without any of gRPC's rules: no deadline, no limits, no status but OK. What
//! is left when a gRPC library costs nothing.
//!
//! ```text
//!   peer-h2 serve task|best [certificate=… key=…]
//!   peer-h2 call KIND address=… streams=1 calls=1 warm_up=0
//! ```
//!
//! `task` is a task for each stream, flushed by h2 as it goes. `best` is what h2 allows: see
//! [`best_use`].

mod answer;
mod best_use;
mod client;
mod joined;
mod messages;
mod sender;

use harness::options::Options;
use harness::{Fault, tls};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::answer::answer;
use crate::sender::Coalescing;

fn main() -> Result<(), Fault> {
    let options = Options::from_arguments();
    match options.word(0) {
        "serve" => harness::run(serve(options)),
        "call" => harness::run(client::run(options)),
        word => Err(format!("{word:?} is nothing that we do").into()),
    }
}

async fn serve(options: Options) -> Result<(), Fault> {
    let acceptor = tls::acceptor(&options)?;
    let best = options.word(1) == "best";
    let listener = harness::listen().await?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match acceptor {
                Some(acceptor) => serve_io(acceptor.accept(socket).await?, best).await,
                None => serve_io(socket, best).await,
            }
        });
    }
}

async fn serve_io(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    best: bool,
) -> Result<(), Fault> {
    if best {
        best_use::serve(io).await
    } else {
        serve_with_tasks(io).await
    }
}

async fn serve_with_tasks(io: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), Fault> {
    let mut connection = server().handshake(io).await?;
    while let Some(stream) = connection.accept().await {
        let (request, respond) = stream?;
        tokio::spawn(answer(request, respond, Coalescing::No));
    }
    Ok(())
}

/// The limits that barewire has by default.
fn server() -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(1_000)
        .initial_window_size(256 << 10)
        .initial_connection_window_size(16 << 20)
        .max_send_buffer_size(64 << 10);
    builder
}

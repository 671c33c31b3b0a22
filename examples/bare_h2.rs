//! The same answer as `greeter_by_hand` on h2 alone, a task a stream, without any of gRPC's rules: no
//! deadline, no limits, no framing of the request. What is left when a gRPC library costs nothing.
//!
//! `cargo run --release --example bare_h2 -- 127.0.0.1:50051`

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};

type Fault = Box<dyn std::error::Error + Send + Sync>;

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), Fault> {
    let mut body = request.into_body();
    while let Some(chunk) = body.data().await {
        body.flow_control().release_capacity(chunk?.len())?;
    }
    let head = Response::builder()
        .header("content-type", "application/grpc")
        .body(())?;
    let mut stream = respond.send_response(head, false)?;
    stream.send_data(
        Bytes::from_static(b"\0\0\0\0\x0f\x0a\x0dHello, world!"),
        false,
    )?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)?;
    Ok(())
}

async fn serve(socket: tokio::net::TcpStream) -> Result<(), Fault> {
    socket.set_nodelay(true)?;
    let mut connection = h2::server::Builder::new()
        .max_concurrent_streams(1_000)
        .handshake(socket)
        .await?;
    while let Some(stream) = connection.accept().await {
        let (request, respond) = stream?;
        tokio::spawn(answer(request, respond));
    }
    Ok(())
}

fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:50051".to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let serving = runtime.spawn(async move {
        let listener = tokio::net::TcpListener::bind(address).await?;
        loop {
            let (socket, _) = listener.accept().await?;
            tokio::spawn(serve(socket));
        }
    });
    runtime.block_on(serving)?
}

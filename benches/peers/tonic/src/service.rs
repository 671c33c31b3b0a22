//! The server.

use std::pin::Pin;

use harness::messages::{Chunk, DownloadRequest, HelloReply, HelloRequest, UploadReply};
use harness::options::Options;
use harness::{CHANNEL_DEPTH, Fault, payload};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::generated::bench_server::{Bench, BenchServer};

pub async fn serve(options: Options) -> Result<(), Fault> {
    // Otherwise it is 200, which is less than some scenarios need.
    let mut server = Server::builder().max_concurrent_streams(1_000);
    if let (Some(certificate), Some(key)) = (options.file("certificate")?, options.file("key")?) {
        let identity = Identity::from_pem(certificate, key);
        server = server.tls_config(ServerTlsConfig::new().identity(identity))?;
    }
    let incoming = TcpIncoming::from(harness::listen().await?).with_nodelay(Some(true));
    let service = BenchServer::new(Peer);
    Ok(server
        .add_service(service)
        .serve_with_incoming(incoming)
        .await?)
}

struct Peer;

type Chunks = Pin<Box<dyn Stream<Item = Result<Chunk, Status>> + Send>>;

#[tonic::async_trait]
impl Bench for Peer {
    type DownloadStream = Chunks;
    type EchoStream = Chunks;

    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        let message = format!("Hello, {}!", request.into_inner().name);
        Ok(Response::new(HelloReply { message }))
    }

    async fn download(
        &self,
        request: Request<DownloadRequest>,
    ) -> Result<Response<Chunks>, Status> {
        let request = request.into_inner();
        let chunk = Chunk {
            payload: payload(request.chunk_bytes),
        };
        if !request.through_channel {
            let chunks = (0..request.chunks).map(move |_| Ok(chunk.clone()));
            return Ok(Response::new(Box::pin(tokio_stream::iter(chunks))));
        }
        let (into, from) = mpsc::channel(CHANNEL_DEPTH);
        tokio::spawn(async move {
            for _ in 0..request.chunks {
                if into.send(Ok(chunk.clone())).await.is_err() {
                    break;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(from))))
    }

    async fn upload(
        &self,
        request: Request<Streaming<Chunk>>,
    ) -> Result<Response<UploadReply>, Status> {
        let mut chunks = request.into_inner();
        let mut payload_bytes = 0;
        while let Some(Chunk { payload }) = chunks.message().await? {
            payload_bytes += u64::try_from(payload.len()).unwrap_or_default();
        }
        Ok(Response::new(UploadReply { payload_bytes }))
    }

    async fn echo(&self, request: Request<Streaming<Chunk>>) -> Result<Response<Chunks>, Status> {
        let chunks = request.into_inner().map(|chunk| chunk);
        Ok(Response::new(Box::pin(chunks)))
    }
}

//! The service on volo, whose messages are pilota's.
//!
//! ```text
//!   peer-volo serve
//! ```

/// What volo generates.
mod generated {
    include!(concat!(env!("OUT_DIR"), "/bench.rs"));
}

use futures_util::StreamExt;
use harness::{CHANNEL_DEPTH, Fault, payload};
use pilota::FastStr;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use volo::net::incoming::DefaultIncoming;
use volo_grpc::server::{Server, ServiceBuilder};
use volo_grpc::{BoxStream, RecvStream, Request, Response, Status};

use crate::generated::bench::bench::{
    Bench, BenchServer, Chunk, DownloadRequest, HelloReply, HelloRequest, UploadReply,
};

fn main() -> Result<(), Fault> {
    harness::run(async {
        let incoming = DefaultIncoming::from(harness::listen().await?);
        let service = ServiceBuilder::new(BenchServer::new(Peer)).build();
        Server::new().add_service(service).run(incoming).await
    })
}

struct Peer;

type Chunks = BoxStream<'static, Result<Chunk, Status>>;

impl Bench for Peer {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        let message = format!("Hello, {}!", request.into_inner().name);
        let message = FastStr::from(message);
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
        request: Request<RecvStream<Chunk>>,
    ) -> Result<Response<UploadReply>, Status> {
        let mut chunks = request.into_inner();
        let mut payload_bytes = 0;
        while let Some(chunk) = chunks.next().await {
            payload_bytes += u64::try_from(chunk?.payload.len()).unwrap_or_default();
        }
        Ok(Response::new(UploadReply { payload_bytes }))
    }

    async fn echo(&self, request: Request<RecvStream<Chunk>>) -> Result<Response<Chunks>, Status> {
        Ok(Response::new(Box::pin(request.into_inner())))
    }
}

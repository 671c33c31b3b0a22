//! The service on connect-rust, whose messages are buffa's.
//!
//! ```text
//!   peer-connect serve
//! ```

/// What connect-rust generates.
mod generated {
    connectrpc::include_generated!();
}

use std::sync::Arc;

use connectrpc::{
    Encodable, InboundStream, RequestContext, Response, Router, Server, ServiceRequest,
    ServiceResult, ServiceStream,
};
use futures::StreamExt;
use harness::{CHANNEL_DEPTH, Fault, payload};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::generated::bench::{
    Bench, BenchExt, Chunk, DownloadRequest, HelloReply, HelloRequest, UploadReply,
};

fn main() -> Result<(), Fault> {
    harness::run(async {
        let listener = harness::listen().await?;
        let router = Arc::new(Peer).register(Router::new());
        Server::from_listener(listener).serve(router).await
    })
}

struct Peer;

impl Bench for Peer {
    async fn say_hello<'a>(
        &'a self,
        _: RequestContext,
        request: ServiceRequest<'_, HelloRequest>,
    ) -> ServiceResult<impl Encodable<HelloReply> + Send + use<'a>> {
        let message = format!("Hello, {}!", request.name);
        Response::ok(HelloReply {
            message,
            ..HelloReply::default()
        })
    }

    async fn download(
        &self,
        _: RequestContext,
        request: ServiceRequest<'_, DownloadRequest>,
    ) -> ServiceResult<ServiceStream<impl Encodable<Chunk> + Send + use<>>> {
        let (chunks, through_channel) = (request.chunks, request.through_channel);
        let chunk = Chunk {
            payload: payload(request.chunk_bytes),
            ..Chunk::default()
        };
        if !through_channel {
            let chunks = (0..chunks).map(move |_| Ok(chunk.clone()));
            return Response::stream_ok(futures::stream::iter(chunks));
        }
        let (into, from) = mpsc::channel(CHANNEL_DEPTH);
        tokio::spawn(async move {
            for _ in 0..chunks {
                if into.send(Ok(chunk.clone())).await.is_err() {
                    break;
                }
            }
        });
        Response::stream_ok(ReceiverStream::new(from))
    }

    async fn upload<'a>(
        &'a self,
        _: RequestContext,
        mut chunks: InboundStream<Chunk>,
    ) -> ServiceResult<impl Encodable<UploadReply> + Send + use<'a>> {
        let mut payload_bytes = 0;
        while let Some(chunk) = chunks.next().await {
            payload_bytes += u64::try_from(chunk?.payload().len()).unwrap_or_default();
        }
        Response::ok(UploadReply {
            payload_bytes,
            ..UploadReply::default()
        })
    }

    async fn echo(
        &self,
        _: RequestContext,
        chunks: InboundStream<Chunk>,
    ) -> ServiceResult<ServiceStream<impl Encodable<Chunk> + Send + use<>>> {
        Response::stream_ok(chunks)
    }
}

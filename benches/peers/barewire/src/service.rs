//! The server.

use barewire::{Inbound, Replies, Request, Response, Server, Status};
use harness::messages::{Chunk, DownloadRequest, HelloReply, HelloRequest, UploadReply};
use harness::options::Options;
use harness::{CHANNEL_DEPTH, Fault, payload};
use tokio::sync::mpsc;

use crate::features;
use crate::generated::{Bench, BenchServer};

pub async fn serve(options: Options) -> Result<(), Fault> {
    let server = features::add_to(Server::new(), &options)?.add(BenchServer(Peer));
    let listener = harness::listen().await?;
    Ok(server.serve(listener).await?)
}

struct Peer;

impl Bench for Peer {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        let message = format!("Hello, {}!", request.message.name);
        Ok(HelloReply { message }.into())
    }

    async fn download(
        &self,
        request: Request<DownloadRequest>,
        mut replies: Replies<Chunk>,
    ) -> Result<(), Status> {
        let DownloadRequest {
            chunks,
            chunk_bytes,
            through_channel,
        } = request.message;
        let chunk = Chunk {
            payload: payload(chunk_bytes),
        };
        if !through_channel {
            for _ in 0..chunks {
                replies.send(chunk.clone()).await?;
            }
            return Ok(());
        }
        let (into, mut from) = mpsc::channel(CHANNEL_DEPTH);
        tokio::spawn(async move {
            for _ in 0..chunks {
                if into.send(chunk.clone()).await.is_err() {
                    break;
                }
            }
        });
        while let Some(chunk) = from.recv().await {
            replies.send(chunk).await?;
        }
        Ok(())
    }

    async fn upload(
        &self,
        mut chunks: Request<Inbound<Chunk>>,
    ) -> Result<Response<UploadReply>, Status> {
        let mut payload_bytes = 0;
        while let Some(Chunk { payload }) = chunks.next().await? {
            payload_bytes += u64::try_from(payload.len()).unwrap_or_default();
        }
        Ok(UploadReply { payload_bytes }.into())
    }

    async fn echo(
        &self,
        mut chunks: Request<Inbound<Chunk>>,
        mut replies: Replies<Chunk>,
    ) -> Result<(), Status> {
        while let Some(chunk) = chunks.next().await? {
            replies.send(chunk).await?;
        }
        Ok(())
    }
}

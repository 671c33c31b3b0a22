//! The client.

use barewire::{Channel, ChannelConfig, ClientTls};
use bytes::Bytes;
use harness::Fault;
use harness::client::{Client, drive};
use harness::messages::{Chunk, DownloadRequest, HelloRequest};
use harness::options::Options;
use harness::tls::SERVER_NAME;

use crate::generated::BenchClient;

pub async fn run(options: Options) -> Result<(), Fault> {
    let address = options.text("address").ok_or("address= is missing")?;
    let mut config = ChannelConfig::default();
    let mut scheme = "http";
    if let Some(roots) = options.file("roots")? {
        scheme = "https";
        config.tls = Some(ClientTls::with_roots(&roots)?.server_name(SERVER_NAME)?);
    }
    let channel = Channel::with_config(&format!("{scheme}://{address}"), config)?;
    channel.ready().await?;
    drive(BarewireClient(BenchClient::new(channel)), &options).await
}

#[derive(Clone)]
struct BarewireClient(BenchClient);

impl Client for BarewireClient {
    async fn say_hello(&mut self, name: String) -> Result<usize, Fault> {
        let response = self.0.say_hello(HelloRequest { name }).await?;
        Ok(response.message.message.len())
    }

    async fn download(&mut self, request: DownloadRequest) -> Result<usize, Fault> {
        let mut chunks = self.0.download(request).await?;
        let mut came = 0;
        while let Some(Chunk { payload }) = chunks.next().await? {
            came += payload.len();
        }
        Ok(came)
    }

    async fn upload(&mut self, chunk: Bytes, chunks: u32) -> Result<usize, Fault> {
        let (mut outbound, reply) = self.0.upload(()).await?;
        for _ in 0..chunks {
            let payload = chunk.clone();
            outbound.send(Chunk { payload }).await?;
        }
        outbound.finish()?;
        let reply = reply.single().await?.message;
        Ok(usize::try_from(reply.payload_bytes)?)
    }

    async fn echo(&mut self, chunk: Bytes, chunks: u32) -> Result<usize, Fault> {
        let (mut outbound, mut back) = self.0.echo(()).await?;
        let mut came = 0;
        for _ in 0..chunks {
            let payload = chunk.clone();
            outbound.send(Chunk { payload }).await?;
            let Some(Chunk { payload }) = back.next().await? else {
                return Err("the echo ended early".into());
            };
            came += payload.len();
        }
        outbound.finish()?;
        match back.next().await? {
            Some(_) => Err("a message too many".into()),
            None => Ok(came),
        }
    }
}

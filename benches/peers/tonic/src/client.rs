//! The client.

use bytes::Bytes;
use harness::client::{Client, drive};
use harness::messages::{Chunk, DownloadRequest, HelloRequest};
use harness::options::Options;
use harness::tls::SERVER_NAME;
use harness::{CHANNEL_DEPTH, Fault};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use crate::generated::bench_client::BenchClient;

pub async fn run(options: Options) -> Result<(), Fault> {
    let address = options.text("address").ok_or("address= is missing")?;
    let endpoint = match options.file("roots")? {
        Some(roots) => {
            let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(roots));
            let tls = tls.domain_name(SERVER_NAME);
            Endpoint::new(format!("https://{address}"))?.tls_config(tls)?
        }
        None => Endpoint::new(format!("http://{address}"))?,
    };
    let channel = endpoint.connect().await?;
    drive(TonicClient(BenchClient::new(channel)), &options).await
}

#[derive(Clone)]
struct TonicClient(BenchClient<Channel>);

impl Client for TonicClient {
    async fn say_hello(&mut self, name: String) -> Result<usize, Fault> {
        let response = self.0.say_hello(HelloRequest { name }).await?;
        Ok(response.into_inner().message.len())
    }

    async fn download(&mut self, request: DownloadRequest) -> Result<usize, Fault> {
        let mut chunks = self.0.download(request).await?.into_inner();
        let mut came = 0;
        while let Some(Chunk { payload }) = chunks.message().await? {
            came += payload.len();
        }
        Ok(came)
    }

    async fn upload(&mut self, chunk: Bytes, chunks: u32) -> Result<usize, Fault> {
        let payload = move |_| Chunk {
            payload: chunk.clone(),
        };
        let chunks = tokio_stream::iter((0..chunks).map(payload));
        let reply = self.0.upload(chunks).await?.into_inner();
        Ok(usize::try_from(reply.payload_bytes)?)
    }

    async fn echo(&mut self, chunk: Bytes, chunks: u32) -> Result<usize, Fault> {
        let (into, from) = mpsc::channel(CHANNEL_DEPTH);
        let mut back = self.0.echo(ReceiverStream::new(from)).await?.into_inner();
        let mut came = 0;
        for _ in 0..chunks {
            let payload = chunk.clone();
            into.send(Chunk { payload }).await?;
            let Some(Chunk { payload }) = back.message().await? else {
                return Err("the echo ended early".into());
            };
            came += payload.len();
        }
        drop(into);
        match back.message().await? {
            Some(_) => Err("a message too many".into()),
            None => Ok(came),
        }
    }
}

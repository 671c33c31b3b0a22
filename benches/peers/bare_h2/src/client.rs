//! The client on h2 alone.

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use harness::client::{Client, drive};
use harness::messages::{Chunk, DownloadRequest, HelloReply, HelloRequest, UploadReply};
use harness::options::Options;
use harness::{Fault, tls};
use http::{HeaderValue, Request, Uri, header};
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::answer::next;
use crate::messages::{Deframer, frame};
use crate::sender::{Coalescing, Sender};

pub async fn run(options: Options) -> Result<(), Fault> {
    let address = options.text("address").ok_or("address= is missing")?;
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let client = match tls::connector(&options)? {
        Some(connector) => {
            let io = connector.connect(tls::server_name()?, socket).await?;
            connect(io, "https").await?
        }
        None => connect(socket, "http").await?,
    };
    drive(client, &options).await
}

async fn connect(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    scheme: &'static str,
) -> Result<BareClient, Fault> {
    let (requests, connection) = h2::client::Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(16 << 20)
        .max_send_buffer_size(256 << 10)
        .handshake(io)
        .await?;
    tokio::spawn(connection);
    Ok(BareClient { requests, scheme })
}

#[derive(Clone)]
struct BareClient {
    requests: SendRequest<Bytes>,
    scheme: &'static str,
}

type Response = h2::client::ResponseFuture;

impl BareClient {
    async fn begin(&mut self, method: &str) -> Result<(Response, SendStream<Bytes>), Fault> {
        std::future::poll_fn(|cx| self.requests.poll_ready(cx)).await?;
        let uri: Uri = format!("{}://localhost/bench.Bench/{method}", self.scheme).parse()?;
        let mut request = Request::post(uri).body(())?;
        let headers = request.headers_mut();
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        let content_type = HeaderValue::from_static("application/grpc");
        headers.insert(header::CONTENT_TYPE, content_type);
        Ok(self.requests.send_request(request, false)?)
    }
}

impl Client for BareClient {
    async fn say_hello(&mut self, name: String) -> Result<usize, Fault> {
        let (response, mut stream) = self.begin("SayHello").await?;
        stream.send_data(frame(&HelloRequest { name })?, true)?;
        let mut messages = Messages::of(response).await?;
        let reply: Option<HelloReply> = messages.next().await?;
        messages.end().await?;
        Ok(reply.map_or(0, |reply| reply.message.len()))
    }

    async fn download(&mut self, request: DownloadRequest) -> Result<usize, Fault> {
        let (response, mut stream) = self.begin("Download").await?;
        stream.send_data(frame(&request)?, true)?;
        let mut messages = Messages::of(response).await?;
        let mut came = 0;
        while let Some(Chunk { payload }) = messages.next().await? {
            came += payload.len();
        }
        messages.end().await?;
        Ok(came)
    }

    async fn upload(&mut self, chunk: Bytes, chunks: u32) -> Result<usize, Fault> {
        let (response, stream) = self.begin("Upload").await?;
        let mut sender = Sender::new(stream, Coalescing::Yes);
        for _ in 0..chunks {
            let payload = chunk.clone();
            sender.send(&Chunk { payload }).await?;
        }
        sender.end().await?;
        let mut messages = Messages::of(response).await?;
        let reply: Option<UploadReply> = messages.next().await?;
        messages.end().await?;
        Ok(usize::try_from(
            reply.map_or(0, |reply| reply.payload_bytes),
        )?)
    }

    async fn echo(&mut self, chunk: Bytes, chunks: u32) -> Result<usize, Fault> {
        let (response, stream) = self.begin("Echo").await?;
        let mut sender = Sender::new(stream, Coalescing::No);
        let mut messages = Messages::of(response).await?;
        let mut came = 0;
        for _ in 0..chunks {
            let payload = chunk.clone();
            sender.send(&Chunk { payload }).await?;
            let Some(Chunk { payload }) = messages.next().await? else {
                return Err("the echo ended early".into());
            };
            came += payload.len();
        }
        sender.end().await?;
        messages.end().await?;
        Ok(came)
    }
}

/// The messages of a response.
struct Messages {
    body: RecvStream,
    deframer: Deframer,
}

impl Messages {
    async fn of(response: Response) -> Result<Self, Fault> {
        let body = response.await?.into_body();
        Ok(Self {
            body,
            deframer: Deframer::default(),
        })
    }

    async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Fault> {
        next(&mut self.body, &mut self.deframer).await
    }

    /// Reads what follows the last message.
    async fn end(mut self) -> Result<(), Fault> {
        if self.next::<Chunk>().await?.is_some() {
            return Err("a message too many".into());
        }
        let trailers = self.body.trailers().await?;
        let status = trailers
            .as_ref()
            .and_then(|trailers| trailers.get("grpc-status"));
        match status.map(HeaderValue::as_bytes) {
            Some(b"0") => Ok(()),
            status => Err(format!("the call ended with {status:?}").into()),
        }
    }
}

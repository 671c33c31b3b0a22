//! `barewire.testing.Echo`, a service that does what its requests say, served by this process. It is
//! written by hand on the library's public API, without generated code.
//!
//! No tutorial's service fails at will, or gives metadata back. `echo.proto` says what this one does.

use std::io;
use std::net::SocketAddr;
use std::str;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use barewire::wire::metadata::MetadataValue;
use barewire::{Code, Metadata, Response, Server, ServerCall, ServerTls, Service, Serving, Status};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// The server, in a thread of its own that ends when this is stopped or dropped.
pub(crate) struct EchoServer {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl EchoServer {
    /// Starts the server on any port of loopback, in clear text or with this TLS.
    pub(crate) fn start(tls: Option<ServerTls>) -> Result<Self, String> {
        let (stop, stopped) = oneshot::channel();
        let (bound, binds) = mpsc::channel();
        let thread = thread::spawn(move || {
            Runtime::new()?.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let _ = bound.send(listener.local_addr()?);
                let signal = async {
                    // An error means that nobody is left to give the signal; that is one too.
                    let _ = stopped.await;
                };
                let server = Server::new().add(Echo);
                let server = match tls {
                    Some(tls) => server.tls(tls),
                    None => server,
                };
                server.serve_until(listener, signal).await.map(drop)
            })
        });
        match binds.recv() {
            Ok(address) => Ok(Self {
                address,
                stop,
                thread,
            }),
            Err(_) => Err(format!(
                "the echo server does not start: {:?}",
                thread.join()
            )),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server, and says what is wrong about how it ends.
    pub(crate) fn stop(self) -> Result<(), String> {
        let _ = self.stop.send(());
        match self.thread.join() {
            Ok(Ok(())) => Ok(()),
            problem => Err(format!("the echo server ended with {problem:?}")),
        }
    }
}

struct Echo;

impl Service for Echo {
    fn name(&self) -> &'static str {
        "barewire.testing.Echo"
    }

    fn serve(&self, call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            match call.method() {
                "Unary" => unary(call).await,
                "Stream" => stream(call).await,
                _ => Err(call.unknown_method()),
            }
        })
    }
}

async fn unary(mut call: ServerCall) -> Result<(), Status> {
    let request = call.request::<EchoRequest>().await?;
    let (initial, trailing) = repeat(&request.metadata)?;
    if !request.message.early_headers {
        let message = request.message.answer(&trailing)?;
        return call
            .reply(Response {
                metadata: initial,
                message,
                trailers: trailing,
                encoding: None,
            })
            .await;
    }
    let mut replies = call.replies();
    replies.send_headers(initial).await?;
    let message = request.message.answer(&trailing)?;
    replies.set_trailers(trailing);
    replies.send(message).await
}

async fn stream(mut call: ServerCall) -> Result<(), Status> {
    let mut requests = call.requests::<EchoRequest>();
    let mut replies = call.replies();
    let (initial, trailing) = repeat(&requests.metadata)?;
    let mut initial = Some(initial);
    while let Some(request) = requests.next().await? {
        let early_headers = request.early_headers;
        let answer = request.answer(&trailing)?;
        // Not before a request has asked for something else than a failure: one that comes first
        // leaves without headers.
        if let Some(initial) = initial.take() {
            replies.send_headers(initial).await?;
        }
        if !early_headers {
            replies.send(answer).await?;
        }
    }
    replies.set_trailers(trailing);
    Ok(())
}

/// What a call gives back of the metadata that came with it: before the messages, and after them.
fn repeat(received: &Metadata) -> Result<(Metadata, Metadata), Status> {
    let (mut initial, mut trailing) = (Metadata::new(), Metadata::new());
    // What the client calls itself may be read, but not be said again.
    for (name, value) in received.iter().filter(|(name, _)| *name != "user-agent") {
        let trailing_name = format!("trailing-{name}");
        match value {
            MetadataValue::Ascii(value) => {
                let value = str::from_utf8(value)
                    .map_err(|_| Status::invalid_argument("metadata is not ASCII"))?;
                initial.append(name, value)?;
                trailing.append(&trailing_name, value)?;
            }
            MetadataValue::Binary(value) => {
                initial.append_bin(name, &value)?;
                trailing.append_bin(&trailing_name, &value)?;
            }
        }
    }
    Ok((initial, trailing))
}

/// `barewire.testing.EchoRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct EchoRequest {
    #[prost(bytes = "bytes", tag = "1")]
    body: Bytes,
    #[prost(int32, tag = "2")]
    code: i32,
    #[prost(string, tag = "3")]
    text: String,
    #[prost(bool, tag = "4")]
    early_headers: bool,
    #[prost(int32, tag = "5")]
    response_size: i32,
}

impl EchoRequest {
    fn answer(self, trailing: &Metadata) -> Result<EchoResponse, Status> {
        if self.code != 0 {
            let code = u32::try_from(self.code).ok().and_then(Code::from_number);
            let code = code.ok_or_else(|| Status::invalid_argument("no such code"))?;
            return Err(Status::new(code, self.text).with_metadata(trailing.clone()));
        }
        let size = usize::try_from(self.response_size).unwrap_or(0);
        let body = if size == 0 {
            self.body
        } else {
            vec![b'x'; size].into()
        };
        Ok(EchoResponse { body })
    }
}

/// `barewire.testing.EchoResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct EchoResponse {
    #[prost(bytes = "bytes", tag = "1")]
    body: Bytes,
}

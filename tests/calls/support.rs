//! What the tests of whole calls need: a service that does what it is told, a client on bare h2 that
//! does just what a test says, and a peer that writes its frames by hand.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use barewire::wire::framing::{Deframer, RawMessage, encode_message};
use barewire::{
    Counter, Counters, Inbound, Metadata, Replies, Request, Response, Server, ServerCall,
    ServerConfig, Service, Serving, Status,
};
use bytes::Bytes;
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::tokio;

/// The service of these tests. Messages are `StringValue`s, which prost has as `String`.
#[derive(Clone, Default)]
pub struct Probe {
    pub seen: Arc<Seen>,
}

/// What the probe saw.
#[derive(Default)]
pub struct Seen {
    /// Handlers begun and not yet dropped.
    pub running: AtomicUsize,
    /// Handlers begun.
    pub begun: AtomicUsize,
    pub changed: Notify,
    /// Lets handlers of `Gate` go on.
    pub gate: Notify,
}

impl Seen {
    /// Waits until `condition` holds. Only for what must come; a hang is ended by the caller.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if condition(self) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("never: {what}"));
    }

    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

/// Longer than anything here takes, shorter than anyone waits for a test that hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

struct Running(Arc<Seen>);

impl Running {
    fn new(seen: &Arc<Seen>) -> Self {
        seen.running.fetch_add(1, Ordering::SeqCst);
        seen.begun.fetch_add(1, Ordering::SeqCst);
        seen.changed.notify_waiters();
        Self(Arc::clone(seen))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
        self.0.changed.notify_waiters();
    }
}

impl Service for Probe {
    fn name(&self) -> &'static str {
        "test.Probe"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        let seen = Arc::clone(&self.seen);
        Box::pin(async move {
            let running = Running::new(&seen);
            match call.method() {
                // One message in, the same out.
                "Echo" => {
                    let request: Request<String> = call.request().await?;
                    call.reply(Response::new(request.message)).await
                }
                // The client's metadata comes back, as initial and as trailing metadata.
                "Metadata" => {
                    let request: Request<String> = call.request().await?;
                    let mut response = Response::new(request.message);
                    response.metadata = request.metadata.clone();
                    response.trailers = request.metadata;
                    call.reply(response).await
                }
                // What the client calls the server.
                "Authority" => {
                    let request: Request<String> = call.request().await?;
                    let authority = request.authority().map(ToString::to_string);
                    call.reply(Response::new(authority.unwrap_or_default()))
                        .await
                }
                // A number in, so many messages out.
                "Count" => {
                    let request: Request<String> = call.request().await?;
                    let mut replies: Replies<String> = call.replies();
                    let count: usize = request.message.parse().unwrap();
                    for number in 0..count {
                        replies.send(number.to_string()).await?;
                    }
                    Ok(())
                }
                // Messages in, their number and total length out.
                "Sum" => {
                    let mut requests: Request<Inbound<String>> = call.requests();
                    let (mut count, mut length) = (0, 0);
                    while let Some(message) = requests.next().await? {
                        count += 1;
                        length += message.len();
                    }
                    call.reply(Response::new(format!("{count} {length}"))).await
                }
                // Each message comes back at once.
                "Chat" => {
                    let mut requests: Request<Inbound<String>> = call.requests();
                    let mut replies: Replies<String> = call.replies();
                    while let Some(message) = requests.next().await? {
                        replies.send(message).await?;
                    }
                    Ok(())
                }
                // Reads nothing until the gate opens, then counts as `Sum` does.
                "Gate" => {
                    let mut requests: Request<Inbound<String>> = call.requests();
                    seen.gate.notified().await;
                    let mut count = 0;
                    while requests.next().await?.is_some() {
                        count += 1;
                    }
                    call.reply(Response::new(count.to_string())).await
                }
                // Answers when the gate opens.
                "Slow" => {
                    let request: Request<String> = call.request().await?;
                    seen.gate.notified().await;
                    call.reply(Response::new(request.message)).await
                }
                // Never answers.
                "Never" => {
                    let _: Request<Inbound<String>> = call.requests();
                    std::future::pending().await
                }
                // Sends headers, one message, and then nothing.
                "Begin" => {
                    let _: Request<Inbound<String>> = call.requests();
                    let mut replies: Replies<String> = call.replies();
                    replies.send("begun".to_owned()).await?;
                    std::future::pending().await
                }
                // Sends headers alone, waits for the gate, then one message.
                "Headers" => {
                    let request: Request<String> = call.request().await?;
                    let mut replies: Replies<String> = call.replies();
                    replies.send_headers(request.metadata.clone()).await?;
                    seen.gate.notified().await;
                    replies.send(request.message).await?;
                    let mut trailers = Metadata::new();
                    trailers.insert("x-end", "here")?;
                    replies.set_trailers(trailers);
                    Ok(())
                }
                // Sends without end.
                "Flood" => {
                    let mut replies: Replies<String> = call.replies();
                    loop {
                        replies.send("x".repeat(1_000)).await?;
                    }
                }
                // Answers before it has read anything.
                "Refuse" => Err(Status::permission_denied("not for you")),
                // Answers after the first message.
                "First" => {
                    let mut requests: Request<Inbound<String>> = call.requests();
                    let first = requests.next().await?;
                    call.reply(Response::new(first.unwrap_or_default())).await
                }
                "Panic" => panic!("the secret of the handler"),
                "PanicLate" => {
                    let mut replies: Replies<String> = call.replies();
                    replies.send("before".to_owned()).await?;
                    tokio::task::yield_now().await;
                    panic!("the secret of the handler")
                }
                // A task that has the replies panics; the handler does not notice.
                "PanicApart" => {
                    let mut replies: Replies<String> = call.replies();
                    let task = tokio::spawn(async move {
                        replies.send("one of many".to_owned()).await.unwrap();
                        panic!("the secret of the task")
                    });
                    let _ = task.await;
                    Ok(())
                }
                // The replies live on in a task.
                "Elsewhere" => {
                    let replies: Replies<String> = call.replies();
                    tokio::spawn(async move {
                        let _replies = replies;
                        seen.gate.notified().await;
                    });
                    Ok(())
                }
                "Silence" => Ok(()),
                // Fails after two messages.
                "Fail" => {
                    let mut replies: Replies<String> = call.replies();
                    replies.send("one".to_owned()).await?;
                    replies.send("two".to_owned()).await?;
                    drop(running);
                    let mut metadata = Metadata::new();
                    metadata.insert("x-why", "so")?;
                    Err(Status::aborted("half-way").with_metadata(metadata))
                }
                _ => Err(call.unknown_method()),
            }
        })
    }
}

/// Starts a server with `config` on a port of the system.
pub async fn tcp_server(service: impl Service, config: ServerConfig) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(
        Server::new()
            .with_config(config)
            .add(service)
            .serve(listener),
    );
    address
}

/// Serves one end of a pipe, and yields the other.
pub fn piped_server(service: impl Service, config: ServerConfig) -> DuplexStream {
    counted_server(service, config).0
}

/// As [`piped_server`], with what is counted.
pub fn counted_server(service: impl Service, config: ServerConfig) -> (DuplexStream, Counters) {
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    let server = Server::new().with_config(config).add(service);
    let counters = server.counters();
    tokio::spawn(server.serve_io(theirs));
    (ours, counters)
}

/// What was hit, and how often.
pub fn hits(counters: &Counters) -> Vec<(Counter, u64)> {
    counters.hit().collect()
}

pub async fn connect(address: std::net::SocketAddr) -> TcpStream {
    let io = TcpStream::connect(address).await.unwrap();
    io.set_nodelay(true).unwrap();
    io
}

/// How a call ended for a client on bare h2.
#[derive(Debug, Default)]
pub struct Answer {
    pub headers: HeaderMap,
    pub http_status: u16,
    pub messages: Vec<String>,
    /// The body of an answer that is no gRPC.
    pub body: String,
    pub trailers: HeaderMap,
    /// Response-Headers ended the stream.
    pub trailers_only: bool,
    /// The stream was reset instead.
    pub reset: Option<h2::Reason>,
}

impl Answer {
    pub fn code(&self) -> Option<&str> {
        let from = if self.trailers_only {
            &self.headers
        } else {
            &self.trailers
        };
        from.get("grpc-status").map(|value| value.to_str().unwrap())
    }

    pub fn text(&self) -> &str {
        let from = if self.trailers_only {
            &self.headers
        } else {
            &self.trailers
        };
        from.get("grpc-message")
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// A client on bare h2.
#[derive(Clone)]
pub struct Client(pub h2::client::SendRequest<Bytes>);

/// One call of it.
pub struct Call {
    pub send: h2::SendStream<Bytes>,
    pub response: h2::client::ResponseFuture,
}

impl Client {
    pub async fn over(io: impl barewire::ByteStream + 'static) -> Self {
        Self::with(
            io,
            h2::client::Builder::new().initial_max_send_streams(100_000),
        )
        .await
    }

    pub async fn with(
        io: impl barewire::ByteStream + 'static,
        builder: &mut h2::client::Builder,
    ) -> Self {
        let (send, connection) = builder.handshake(io).await.unwrap();
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Self(send)
    }

    pub async fn tcp(address: std::net::SocketAddr) -> Self {
        Self::over(connect(address).await).await
    }

    pub async fn start(&self, method: &str, more: &[(&str, &str)]) -> Call {
        let mut request = http::Request::post(format!("http://localhost/test.Probe/{method}"))
            .header("te", "trailers")
            .header("content-type", "application/grpc");
        for (name, value) in more {
            request = request.header(*name, *value);
        }
        self.send_request(request.body(()).unwrap(), false).await
    }

    pub async fn send_request(&self, request: http::Request<()>, end: bool) -> Call {
        let mut ready = self.0.clone().ready().await.unwrap();
        let (response, send) = ready.send_request(request, end).unwrap();
        Call { send, response }
    }

    /// A whole call with these messages.
    pub async fn call(&self, method: &str, messages: &[&str]) -> Answer {
        let mut call = self.start(method, &[]).await;
        for message in messages {
            call.send_message(message).await;
        }
        call.finish().await
    }
}

pub fn encoded(message: &str) -> Bytes {
    let body = prost::Message::encode_to_vec(&message.to_owned()).into();
    encode_message(&RawMessage {
        compressed: false,
        body,
    })
    .unwrap()
}

impl Call {
    pub async fn send_message(&mut self, message: &str) {
        self.send_bytes(encoded(message)).await;
    }

    /// Sends under flow control. Stops, without a fault, when the stream is closed.
    pub async fn send_bytes(&mut self, mut bytes: Bytes) {
        while !bytes.is_empty() {
            self.send.reserve_capacity(bytes.len());
            let room = poll_fn(|cx| {
                let room = self.send.capacity();
                if room > 0 {
                    return Poll::Ready(Some(room));
                }
                match self.send.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(room))) => Poll::Ready(Some(room)),
                    Poll::Ready(Some(Err(_)) | None) => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await;
            let Some(room) = room else { return };
            let chunk = bytes.split_to(room.min(bytes.len()));
            if self.send.send_data(chunk, false).is_err() {
                return;
            }
        }
    }

    /// Ends the request and reads the answer.
    pub async fn finish(mut self) -> Answer {
        let _ = self.send.send_data(Bytes::new(), true);
        self.answer().await
    }

    /// As [`finish`](Self::finish), however long it takes on a clock that is ours.
    pub async fn finish_patiently(mut self) -> Answer {
        let _ = self.send.send_data(Bytes::new(), true);
        self.read_answer().await
    }

    /// As [`answer`](Self::answer), however long it takes on a clock that is ours.
    pub async fn answer_patiently(self) -> Answer {
        self.read_answer().await
    }

    /// Reads the answer.
    pub async fn answer(self) -> Answer {
        tokio::time::timeout(PATIENCE, self.read_answer())
            .await
            .expect("an answer in time")
    }

    async fn read_answer(self) -> Answer {
        let mut answer = Answer::default();
        let response = match self.response.await {
            Ok(response) => response,
            Err(error) => {
                answer.reset = Some(error.reason().unwrap_or(h2::Reason::CONNECT_ERROR));
                return answer;
            }
        };
        let (head, mut body) = response.into_parts();
        answer.http_status = head.status.as_u16();
        answer.headers = head.headers;
        answer.trailers_only = body.is_end_stream();
        let mut deframer = Deframer::new(usize::MAX);
        while let Some(chunk) = body.data().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    answer.reset = Some(error.reason().unwrap_or(h2::Reason::CONNECT_ERROR));
                    return answer;
                }
            };
            body.flow_control().release_capacity(chunk.len()).unwrap();
            if answer.http_status != 200 {
                answer.body.push_str(&String::from_utf8_lossy(&chunk));
                continue;
            }
            deframer.push(chunk);
            while let Some(message) = deframer.next_message().unwrap() {
                answer
                    .messages
                    .push(prost::Message::decode(message.body).unwrap());
            }
        }
        match body.trailers().await {
            Ok(trailers) => answer.trailers = trailers.unwrap_or_default(),
            Err(error) => answer.reset = error.reason(),
        }
        answer
    }
}

/// One frame as it travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Header fields as literals without indexing or Huffman code. RFC 7541 §6.2.2.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0x00);
        for text in [name, value] {
            // A length of 127 or more goes on in groups of seven bits. RFC 7541 §5.1.
            match u8::try_from(text.len()) {
                Ok(length) if length < 127 => bytes.push(length),
                _ => {
                    bytes.push(127);
                    let mut rest = text.len() - 127;
                    while rest >= 128 {
                        bytes.push(u8::try_from(rest % 128).unwrap() | 0x80);
                        rest /= 128;
                    }
                    bytes.push(u8::try_from(rest).unwrap());
                }
            }
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

/// The header block of a call of `method`.
pub fn request_block(method: &str) -> Vec<u8> {
    block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", &format!("/test.Probe/{method}")),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ])
}

/// A peer that writes frames by hand.
pub struct RawPeer<T> {
    pub io: T,
    buffered: VecDeque<u8>,
}

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl<T: barewire::ByteStream> RawPeer<T> {
    /// Says the preface and empty SETTINGS.
    pub async fn begin(io: T) -> Self {
        let mut peer = Self {
            io,
            buffered: VecDeque::new(),
        };
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        bytes.extend(frame(SETTINGS, ACK, 0, &[]));
        peer.write(&bytes).await;
        peer
    }

    /// Says nothing.
    pub fn silent(io: T) -> Self {
        Self {
            io,
            buffered: VecDeque::new(),
        }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
        self.io.flush().await.unwrap();
    }

    /// The next frame; `None` at the end of the stream, be it clean or not.
    pub async fn frame(&mut self) -> Option<Frame> {
        tokio::time::timeout(PATIENCE, self.next_frame())
            .await
            .expect("a frame in time")
    }

    /// The next frame, however long it takes on a clock that is ours.
    pub async fn next_frame(&mut self) -> Option<Frame> {
        while self.buffered.len() < 9 {
            self.read().await?;
        }
        let head: Vec<u8> = self.buffered.drain(..9).collect();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let length = usize::try_from(length).unwrap();
        while self.buffered.len() < length {
            self.read().await?;
        }
        let payload = self.buffered.drain(..length).collect();
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        })
    }

    async fn read(&mut self) -> Option<()> {
        let mut chunk = [0; 4096];
        match self.io.read(&mut chunk).await {
            Ok(0) | Err(_) => None,
            Ok(length) => {
                self.buffered.extend(&chunk[..length]);
                Some(())
            }
        }
    }

    /// Reads up to the first frame of `kind`; `None` if the stream ends before.
    pub async fn frame_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if frame.kind == kind {
                return Some(frame);
            }
        }
    }

    /// Reads up to the first frame on `stream`; `None` if the connection ends before.
    pub async fn frame_on(&mut self, stream: u32) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if frame.stream == stream {
                return Some(frame);
            }
        }
    }

    /// Reads to the end and yields the error code and the text of the last GOAWAY.
    pub async fn last_goaway(&mut self) -> Option<(u32, String)> {
        let mut last = None;
        while let Some(frame) = self.frame().await {
            if frame.kind == GOAWAY {
                let code = u32::from_be_bytes(frame.payload[4..8].try_into().unwrap());
                last = Some((
                    code,
                    String::from_utf8_lossy(&frame.payload[8..]).into_owned(),
                ));
            }
        }
        last
    }
}

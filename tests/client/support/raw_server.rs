//! A server that writes its frames by hand, and the channels that call it.
//!
//! The server is one end of a pipe in memory; a [`Line`] is a channel whose dialer makes such pipes.
//! Under paused time the pipe has a useful property: the clock moves only when nobody has anything
//! left to do, so [`idle`] returns when all that could happen has happened.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use barewire::wire::framing::{Deframer, RawMessage, encode_message};
use barewire::{
    Address, ByteStream, Channel, ChannelConfig, Dialer, Dialing, Inbound, MethodPath, Outbound,
    Request, Response, Status,
};
use bytes::Bytes;
use http::request::Parts;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

pub use crate::frames::*;
use crate::support::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PREFACE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame,
};

pub const NO_ERROR: u32 = 0;
pub const PROTOCOL_ERROR: u32 = 1;
pub const INTERNAL_ERROR: u32 = 2;
pub const REFUSED_STREAM: u32 = 7;
pub const CANCEL: u32 = 8;
pub const ENHANCE_YOUR_CALM: u32 = 11;

pub const PUSH_PROMISE: u8 = 5;
pub const PADDED: u8 = 8;

pub const ENABLE_PUSH: u16 = 2;
pub const MAX_CONCURRENT_STREAMS: u16 = 3;
pub const INITIAL_WINDOW_SIZE: u16 = 4;
pub const MAX_HEADER_LIST_SIZE: u16 = 6;

/// The window that every connection and stream begins with.
pub const FIRST_WINDOW: usize = 65_535;

/// Longer than any test waits for what comes, on a clock that is ours. A hang ends here.
pub const AGES: Duration = Duration::from_secs(24 * 3600);

/// The method that is called.
pub fn path() -> MethodPath {
    MethodPath::from_static("/test.Raw/Call")
}

/// Returns when all that could happen has happened. Only under paused time.
pub async fn idle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Ends a hang.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(AGES, work).await.expect("an end, not a hang")
}

/// A channel whose connections are pipes, and the far ends of those.
pub struct Line {
    pub channel: Channel,
    pub dialled: mpsc::UnboundedReceiver<DuplexStream>,
}

struct Pipes(mpsc::UnboundedSender<DuplexStream>);

impl Dialer for Pipes {
    fn dial<'a>(&'a self, _: &'a Address) -> Dialing<'a> {
        let (near, far) = tokio::io::duplex(4 * 1024 * 1024);
        let sent = self.0.send(far);
        let near: Box<dyn ByteStream> = Box::new(near);
        Box::pin(std::future::ready(match sent {
            Ok(()) => Ok(near),
            Err(_) => Err(io::Error::other("the test takes no more connections")),
        }))
    }
}

impl Line {
    /// One that makes no second connection while the first one serves.
    pub fn new() -> Self {
        Self::with(ChannelConfig {
            max_connections_per_address: 1,
            ..ChannelConfig::default()
        })
    }

    pub fn with(config: ChannelConfig) -> Self {
        let (sender, dialled) = mpsc::unbounded_channel();
        let config = ChannelConfig {
            dialer: Some(Arc::new(Pipes(sender))),
            ..config
        };
        Self {
            channel: Channel::with_config("passthrough:///raw", config).unwrap(),
            dialled,
        }
    }

    /// The far end of the next connection.
    pub async fn dialled(&mut self) -> DuplexStream {
        within(self.dialled.recv()).await.unwrap()
    }

    /// A server on the next connection.
    pub async fn accept(&mut self) -> RawServer {
        self.accept_with(&[]).await
    }

    /// The same with these settings.
    pub async fn accept_with(&mut self, settings: &[(u16, u32)]) -> RawServer {
        RawServer::begin(self.dialled().await, settings).await
    }

    /// Whether another connection was begun.
    pub fn has_dialled(&mut self) -> bool {
        !self.dialled.is_empty()
    }
}

pub async fn unary(
    channel: &Channel,
    request: impl Into<Request<String>>,
) -> Result<Response<String>, Status> {
    within(channel.unary(path(), request)).await
}

pub async fn bidi(
    channel: &Channel,
    request: impl Into<Request<()>>,
) -> (Outbound<String>, Inbound<String>) {
    within(channel.bidi(path(), request)).await.unwrap()
}

/// A stream of answers, read to the end.
#[derive(Debug)]
pub struct Heard {
    pub messages: Vec<String>,
    pub end: Result<(), Status>,
}

pub async fn read_all(inbound: &mut Inbound<String>) -> Heard {
    let mut messages = Vec::new();
    loop {
        match within(inbound.next()).await {
            Ok(Some(message)) => messages.push(message),
            Ok(None) => {
                return Heard {
                    messages,
                    end: Ok(()),
                };
            }
            Err(status) => {
                return Heard {
                    messages,
                    end: Err(status),
                };
            }
        }
    }
}

/// How a unary call ends when the server does this with its stream.
pub async fn unary_to(
    script: impl AsyncFnOnce(&mut RawServer, u32),
) -> Result<Response<String>, Status> {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (answer, _server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept().await;
        let call = server.request().await;
        script(&mut server, call.stream).await;
        server
    });
    answer
}

/// What a call for a stream of answers hears when the server does this with its stream.
pub async fn heard_from(script: impl AsyncFnOnce(&mut RawServer, u32)) -> Heard {
    heard_from_with(ChannelConfig::default(), script).await
}

pub async fn heard_from_with(
    config: ChannelConfig,
    script: impl AsyncFnOnce(&mut RawServer, u32),
) -> Heard {
    let mut line = Line::with(config);
    let channel = line.channel.clone();
    let client = async {
        let call = channel.server_streaming(path(), "ask".to_owned());
        read_all(&mut within(call).await.unwrap()).await
    };
    let (heard, _server) = tokio::join!(client, async {
        let mut server = line.accept().await;
        let call = server.request().await;
        script(&mut server, call.stream).await;
        server
    });
    heard
}

/// A request as it came.
#[derive(Debug)]
pub struct RawRequest {
    pub stream: u32,
    pub flags: u8,
    pub head: Parts,
}

impl RawRequest {
    /// The value of a field; the empty text if there is none.
    pub fn field(&self, name: &str) -> &str {
        let value = self.head.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }
}

/// A server that writes frames by hand.
pub struct RawServer {
    io: Box<dyn ByteStream>,
    buffered: VecDeque<u8>,
    /// Frames that were read over while another one was looked for.
    passed_over: VecDeque<Frame>,
    headers: HeaderDecoder,
    heads: VecDeque<RawRequest>,
}

impl RawServer {
    /// Takes the preface, says its settings and acknowledges the client's.
    pub async fn begin(io: impl ByteStream + 'static, settings: &[(u16, u32)]) -> Self {
        let mut server = Self::silent(io).await;
        server.greet(settings).await;
        server
    }

    /// What [`begin`](Self::begin) does on a connection on which nothing was said.
    pub async fn greet(&mut self, settings: &[(u16, u32)]) {
        self.read_preface().await;
        let greeting = [settings_frame(settings), frame(SETTINGS, ACK, 0, &[])];
        self.write(&greeting.concat()).await;
    }

    /// Says nothing and reads nothing.
    pub async fn silent(io: impl ByteStream + 'static) -> Self {
        Self {
            io: Box::new(io),
            buffered: VecDeque::new(),
            passed_over: VecDeque::new(),
            headers: HeaderDecoder::new().await,
            heads: VecDeque::new(),
        }
    }

    pub async fn read_preface(&mut self) {
        while self.buffered.len() < PREFACE.len() {
            self.read().await.unwrap();
        }
        let preface: Vec<u8> = self.buffered.drain(..PREFACE.len()).collect();
        assert_eq!(preface, PREFACE);
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.io.write_all(bytes).await.unwrap();
        self.io.flush().await.unwrap();
    }

    /// Writes to a client that may have closed the connection.
    pub async fn try_write(&mut self, bytes: &[u8]) {
        let _ = self.io.write_all(bytes).await;
        let _ = self.io.flush().await;
    }

    /// Ends the server's direction; the client's stays open.
    pub async fn close_writing(&mut self) {
        let _ = self.io.shutdown().await;
    }

    /// The next frame that the test wants; others wait. `None` at the end of the stream.
    pub async fn next(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        if let Some(index) = self.passed_over.iter().position(&wanted) {
            return self.passed_over.remove(index);
        }
        loop {
            let frame = within(self.read_frame()).await?;
            if wanted(&frame) {
                return Some(frame);
            }
            self.passed_over.push_back(frame);
        }
    }

    /// The next request. Its messages follow.
    pub async fn request(&mut self) -> RawRequest {
        let head = self.next(|frame| frame.kind == HEADERS).await.unwrap();
        loop {
            let mut heads = self.heads.iter();
            if let Some(index) = heads.position(|it| it.stream == head.stream) {
                return self.heads.remove(index).unwrap();
            }
            // The rest of a long block.
            let frame = within(self.read_frame()).await.unwrap();
            assert_eq!(frame.kind, CONTINUATION);
        }
    }

    /// The next frame on a stream that is not about windows.
    pub async fn frame_on(&mut self, stream: u32) -> Option<Frame> {
        self.next(|frame| frame.stream == stream && frame.kind != WINDOW_UPDATE)
            .await
    }

    /// The next frame of a kind.
    pub async fn frame_of(&mut self, kind: u8) -> Option<Frame> {
        self.next(|frame| frame.kind == kind).await
    }

    /// Messages of a request, up to its end or to so many.
    pub async fn messages_of(&mut self, stream: u32, most: usize) -> Vec<String> {
        let mut deframer = Deframer::new(usize::MAX);
        let mut messages = Vec::new();
        while messages.len() < most {
            let frame = self.frame_on(stream).await.unwrap();
            assert_eq!(frame.kind, DATA, "{frame:?}");
            deframer.push(frame.payload.into());
            while let Some(message) = deframer.next_message().unwrap() {
                messages.push(prost::Message::decode(message.body).unwrap());
            }
            if frame.flags & END_STREAM != 0 {
                break;
            }
        }
        messages
    }

    /// The error code with which the client resets a stream. It may send before that.
    pub async fn reset_of(&mut self, stream: u32) -> u32 {
        let wanted = |frame: &Frame| frame.kind == RST_STREAM && frame.stream == stream;
        let frame = self.next(wanted).await.expect("a reset");
        u32::from_be_bytes(frame.payload.try_into().unwrap())
    }

    /// What the client has said and the test has not asked for, once the client has come to rest.
    /// SETTINGS and windows are left out. Only under paused time.
    pub async fn unasked(&mut self) -> Vec<Frame> {
        while let Ok(Some(frame)) = timeout(Duration::from_millis(1), self.read_frame()).await {
            self.passed_over.push_back(frame);
        }
        let boring = |frame: &Frame| matches!(frame.kind, SETTINGS | WINDOW_UPDATE);
        self.passed_over
            .drain(..)
            .filter(|it| !boring(it))
            .collect()
    }

    /// The same after the preface, of a client to which nothing was said yet.
    pub async fn unasked_after_preface(&mut self) -> Vec<Frame> {
        match timeout(Duration::from_millis(1), self.read_preface()).await {
            Ok(()) => self.unasked().await,
            Err(_) => Vec::new(),
        }
    }

    /// A frame that the test wants, if it has come already.
    pub async fn next_now(&mut self, wanted: impl Fn(&Frame) -> bool) -> Option<Frame> {
        while let Ok(Some(frame)) = timeout(Duration::ZERO, self.read_frame()).await {
            self.passed_over.push_back(frame);
        }
        let index = self.passed_over.iter().position(wanted)?;
        self.passed_over.remove(index)
    }

    /// Whether the client closes the connection, whatever it says before.
    pub async fn is_closed(&mut self) -> bool {
        self.next(|_| false).await.is_none()
    }

    async fn read_frame(&mut self) -> Option<Frame> {
        // Nothing is taken before the frame is whole, so that this can be dropped at any time.
        let length = loop {
            if let Some(length) = self.buffered_frame_length()
                && self.buffered.len() >= length
            {
                break length;
            }
            self.read().await?;
        };
        let bytes: Vec<u8> = self.buffered.drain(..length).collect();
        let frame = Frame {
            kind: bytes[3],
            flags: bytes[4],
            stream: u32::from_be_bytes([bytes[5], bytes[6], bytes[7], bytes[8]]),
            payload: bytes[9..].to_vec(),
        };
        if let Some((head, flags)) = self.headers.push(&frame).await {
            self.heads.push_back(RawRequest {
                stream: frame.stream,
                flags,
                head,
            });
        }
        Some(frame)
    }

    fn buffered_frame_length(&self) -> Option<usize> {
        let mut bytes = self.buffered.iter();
        let (a, b, c) = (bytes.next()?, bytes.next()?, bytes.next()?);
        let length = u32::from_be_bytes([0, *a, *b, *c]);
        Some(9 + usize::try_from(length).unwrap())
    }

    async fn read(&mut self) -> Option<()> {
        let mut chunk = vec![0; 64 * 1024];
        match self.io.read(&mut chunk).await {
            Ok(0) | Err(_) => None,
            Ok(length) => {
                self.buffered.extend(&chunk[..length]);
                Some(())
            }
        }
    }
}

/// Reads header blocks of a client with the decoder of h2, to which it shows them on a pipe.
struct HeaderDecoder {
    io: DuplexStream,
    h2: h2::server::Connection<DuplexStream, Bytes>,
    block: Vec<u8>,
    flags: u8,
}

impl HeaderDecoder {
    async fn new() -> Self {
        let (mut io, far) = tokio::io::duplex(16 * 1024 * 1024);
        let greeting = [PREFACE.to_vec(), frame(SETTINGS, 0, 0, &[])].concat();
        io.write_all(&greeting).await.unwrap();
        let h2 = h2::server::Builder::new()
            .max_frame_size(0x00ff_ffff)
            .handshake(far)
            .await
            .unwrap();
        Self {
            io,
            h2,
            block: Vec::new(),
            flags: 0,
        }
    }

    /// The head that ends with this frame, and the flags of its first one.
    async fn push(&mut self, frame: &Frame) -> Option<(Parts, u8)> {
        match frame.kind {
            HEADERS => self.flags = frame.flags,
            CONTINUATION => {}
            _ => return None,
        }
        assert_eq!(frame.flags & (PADDED | 0x20), 0, "a plain block");
        self.block.extend(&frame.payload);
        if frame.flags & END_HEADERS == 0 {
            return None;
        }
        let block = std::mem::take(&mut self.block);
        let flags = END_HEADERS | END_STREAM;
        let bytes = crate::support::frame(HEADERS, flags, frame.stream, &block);
        self.io.write_all(&bytes).await.unwrap();
        let (request, _) = self.h2.accept().await.unwrap().unwrap();
        Some((request.into_parts().0, self.flags))
    }
}

/// The start of a header block of a response that is gRPC.
pub const GRPC: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];

/// Response-Headers with more fields.
pub fn headers_with(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    block_frames(stream, 0, &block(&[&GRPC, more].concat()))
}

pub fn headers(stream: u32) -> Vec<u8> {
    headers_with(stream, &[])
}

/// Trailers of just these fields.
pub fn trailers(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    block_frames(stream, END_STREAM, &block(fields))
}

pub fn trailers_ok(stream: u32) -> Vec<u8> {
    trailers(stream, &[("grpc-status", "0")])
}

/// Trailers-Only with more fields.
pub fn trailers_only(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    block_frames(stream, END_STREAM, &block(&[&GRPC, more].concat()))
}

/// Any block, as the first of a response or not.
pub fn any_block(stream: u32, flags: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    block_frames(stream, flags, &block(fields))
}

pub fn framed(compressed: bool, body: &[u8]) -> Vec<u8> {
    let body = Bytes::copy_from_slice(body);
    encode_message(&RawMessage { compressed, body })
        .unwrap()
        .to_vec()
}

/// A message as it travels, prefix and all.
pub fn encoded(text: &str) -> Vec<u8> {
    framed(false, &prost::Message::encode_to_vec(&text.to_owned()))
}

pub fn message(stream: u32, text: &str) -> Vec<u8> {
    data(stream, &encoded(text))
}

/// A whole answer of one message.
pub fn answer(stream: u32, text: &str) -> Vec<u8> {
    [headers(stream), message(stream, text), trailers_ok(stream)].concat()
}

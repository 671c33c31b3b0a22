//! A wire between a client and a server that can be listened to, cut, and spoken into.
//!
//! ```text
//!  client ──▶ 127.0.0.1:port ── frames, one by one ──▶ server
//!                                  │        ▲
//!                                heard   inject
//! ```
//!
//! HTTP/2 in clear text only. Frames are passed on whole, so that what is spoken into the wire does
//! not land in the middle of one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

/// The wire. When it is dropped, so are all connections through it.
pub(crate) struct Tap {
    port: u16,
    heard: Arc<Heard>,
    _relays: JoinSet<()>,
}

/// Who says something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Client,
    Server,
}

/// One HTTP/2 frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// The number of its connection, in the order in which they came.
    pub(crate) connection: usize,
    pub(crate) from: Side,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Bytes,
}

/// The flag and the length of a gRPC message, both before the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct MessageHead {
    pub(crate) is_compressed: bool,
    pub(crate) length: u32,
}

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const GOAWAY: u8 = 0x7;

pub(crate) const CANCEL: u32 = 0x8;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xb;

impl Frame {
    /// Whether it resets this stream.
    pub(crate) fn is_reset(&self, from: Side, stream: u32) -> bool {
        (self.from, self.stream, self.kind) == (from, stream, RST_STREAM)
    }

    /// Whether it says that no more comes on this stream.
    pub(crate) fn ends_stream(&self, from: Side, stream: u32) -> bool {
        let may_end = self.kind == DATA || self.kind == HEADERS;
        (self.from, self.stream) == (from, stream) && may_end && self.flags & END_STREAM != 0
    }
}

impl Tap {
    /// A wire to the server with this address.
    pub(crate) async fn to(address: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::new(Heard::default());
        let mut relays = JoinSet::new();
        relays.spawn(accept(listener, address, Arc::clone(&heard)));
        Self {
            port,
            heard,
            _relays: relays,
        }
    }

    /// What a client connects to.
    pub(crate) fn target(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All frames so far, in the order in which they were heard.
    pub(crate) fn frames(&self) -> Vec<Frame> {
        self.heard.state().frames.clone()
    }

    /// Waits for a frame, which may have come before.
    pub(crate) async fn frame(&self, is_wanted: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let changed = self.heard.changed.notified();
            let found = self
                .heard
                .state()
                .frames
                .iter()
                .find(|frame| is_wanted(frame))
                .cloned();
            if let Some(frame) = found {
                return frame;
            }
            changed.await;
        }
    }

    /// The messages that came from one side on the first stream of the first connection.
    pub(crate) fn messages(&self, from: Side) -> Vec<MessageHead> {
        let mut bytes = BytesMut::new();
        for frame in self.frames() {
            let is_of_call = (frame.connection, frame.stream) == (0, 1) && frame.from == from;
            if is_of_call && frame.kind == DATA {
                assert_eq!(frame.flags & PADDED, 0, "padding is not expected");
                bytes.extend_from_slice(&frame.payload);
            }
        }
        let mut messages = Vec::new();
        while bytes.has_remaining() {
            let (flag, length) = (bytes.get_u8(), bytes.get_u32());
            messages.push(MessageHead {
                is_compressed: flag == 1,
                length,
            });
            bytes.advance(usize::try_from(length).unwrap());
        }
        messages
    }

    /// Says something to the server in the client's name, on the connection with this number.
    pub(crate) fn inject(&self, connection: usize, frames: Bytes) {
        let to_server = &self.heard.state().connections[connection].to_server;
        to_server.send(frames).expect("the connection is open");
    }

    /// Cuts all connections that are open.
    pub(crate) fn cut(&self) {
        for connection in &self.heard.state().connections {
            connection.cut.notify_one();
        }
    }
}

#[derive(Default)]
struct Heard {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    frames: Vec<Frame>,
    connections: Vec<Connection>,
}

struct Connection {
    to_server: mpsc::UnboundedSender<Bytes>,
    cut: Arc<Notify>,
}

impl Heard {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, frame: Frame) {
        self.state().frames.push(frame);
        self.changed.notify_waiters();
    }
}

async fn accept(listener: TcpListener, address: String, heard: Arc<Heard>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        // One that the server refuses is closed to the client as well.
        if let Ok(server) = TcpStream::connect(&address).await {
            connections.spawn(relay(client, server, Arc::clone(&heard)));
        }
    }
}

async fn relay(client: TcpStream, server: TcpStream, heard: Arc<Heard>) {
    client.set_nodelay(true).unwrap();
    server.set_nodelay(true).unwrap();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (to_server_too, injected) = mpsc::unbounded_channel();
    let cut = Arc::new(Notify::new());
    let connection = {
        let mut state = heard.state();
        state.connections.push(Connection {
            to_server: to_server_too,
            cut: Arc::clone(&cut),
        });
        state.connections.len() - 1
    };
    let no_one = mpsc::unbounded_channel().1;
    let up = pass(from_client, to_server, injected, |frame| {
        heard.hear(Frame {
            connection,
            from: Side::Client,
            ..frame
        });
    });
    let down = pass(from_server, to_client, no_one, |frame| {
        heard.hear(Frame {
            connection,
            from: Side::Server,
            ..frame
        });
    });
    // Both directions end on their own; the wire may be cut before.
    tokio::select! {
        _ = async { tokio::join!(up, down) } => {}
        () = cut.notified() => {}
    }
}

/// Passes frames on until one side is closed, with what is injected between them.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut injected: mpsc::UnboundedReceiver<Bytes>,
    hear: impl Fn(Frame),
) {
    let mut buffer = BytesMut::new();
    let mut has_begun = false;
    loop {
        // What is injected and what is read may come in any order: both end at a frame's boundary.
        tokio::select! {
            read = from.read_buf(&mut buffer) => {
                if !matches!(read, Ok(1..)) {
                    return;
                }
            }
            Some(bytes) = injected.recv() => {
                if to.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
        if !has_begun && buffer.starts_with(b"PRI * ") {
            if buffer.len() < PREFACE_LENGTH {
                continue;
            }
            let preface = buffer.split_to(PREFACE_LENGTH);
            if to.write_all(&preface).await.is_err() {
                return;
            }
        }
        has_begun = has_begun || !buffer.is_empty();
        while let Some((frame, bytes)) = next_frame(&mut buffer) {
            hear(frame);
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    }
}

/// Takes a whole frame out of the buffer, and its bytes as they were. RFC 9113 §4.1.
fn next_frame(buffer: &mut BytesMut) -> Option<(Frame, Bytes)> {
    let &[a, b, c, kind, flags, ref stream @ ..] = buffer.first_chunk::<FRAME_HEAD_LENGTH>()?;
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap();
    let stream = u32::from_be_bytes(*stream);
    if buffer.len() < FRAME_HEAD_LENGTH + length {
        return None;
    }
    let bytes = buffer.split_to(FRAME_HEAD_LENGTH + length).freeze();
    let frame = Frame {
        connection: 0,
        from: Side::Client,
        kind,
        flags,
        stream,
        payload: bytes.slice(FRAME_HEAD_LENGTH..),
    };
    Some((frame, bytes))
}

const PREFACE_LENGTH: usize = 24;
const FRAME_HEAD_LENGTH: usize = 9;
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;

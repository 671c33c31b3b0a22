//! A server that misbehaves on HTTP/2 in one of the ways of the document, frame by frame.
//!
//! It understands no request: every one is that of `large_unary`, and is answered as such. It obeys
//! the client's windows, and leaves the client all the room it wants.
//!
//! Spec: gRPC-Interop (negative HTTP/2), RFC 9113 §4.1, §6.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use barewire::interop::proto::testing::{Payload, SimpleResponse};
use barewire::wire::framing::{RawMessage, encode_message};
use barewire::{Address, ByteStream, Dialer, Dialing};
use bytes::Bytes;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::raw::{
    ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PATIENCE, PING, PREFACE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame,
};
use crate::tokio;

/// How the server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaves {
    Goaway,
    RstAfterHeader,
    RstDuringData,
    RstAfterData,
    Ping,
    MaxStreams,
    DataFramePadding,
    SmallDataFrames,
}

/// The server, and what it saw. It is dialled by pipes, in which no clock but the test's own counts.
#[derive(Clone)]
pub struct Http2Server {
    misbehaves: Misbehaves,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    changed: Notify,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Connections that were opened, and those that have ended.
    pub connections: usize,
    pub ended: usize,
    /// Requests, by the connection that they came on.
    pub requests: Vec<usize>,
    /// The most streams that were open at once, on one connection.
    pub open_at_once: usize,
    pub pings: usize,
    pub pings_answered: usize,
}

impl Http2Server {
    pub fn new(misbehaves: Misbehaves) -> Self {
        Self {
            misbehaves,
            shared: Arc::default(),
        }
    }

    /// What it saw, once all its connections have ended.
    pub async fn seen_all(&self) -> Seen {
        loop {
            let changed = self.shared.changed.notified();
            let seen = self.shared.lock().clone();
            if seen.connections > 0 && seen.ended == seen.connections {
                return seen;
            }
            timeout(PATIENCE, changed)
                .await
                .expect("the client closes its connections");
        }
    }
}

impl Dialer for Http2Server {
    fn dial<'a>(&'a self, _: &'a Address) -> Dialing<'a> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let number = {
            let mut seen = self.shared.lock();
            seen.connections += 1;
            seen.connections - 1
        };
        let shared = Arc::clone(&self.shared);
        tokio::spawn(Connection::new(number, self.misbehaves, theirs, shared).serve());
        let ours: Box<dyn ByteStream> = Box::new(ours);
        Box::pin(std::future::ready(Ok(ours)))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }
}

struct Connection {
    number: usize,
    misbehaves: Misbehaves,
    io: DuplexStream,
    shared: Arc<Shared>,
    /// What is to be written.
    out: Vec<u8>,
    streams: BTreeMap<u32, Stream>,
    /// What the client lets us send on the connection, and on a new stream.
    window: i64,
    stream_window: i64,
}

/// A stream that is open.
#[derive(Default)]
struct Stream {
    window: i64,
    /// What is left of the response, once the request is there.
    response: Option<Bytes>,
}

impl Connection {
    fn new(number: usize, misbehaves: Misbehaves, io: DuplexStream, shared: Arc<Shared>) -> Self {
        Self {
            number,
            misbehaves,
            io,
            shared,
            out: Vec::new(),
            streams: BTreeMap::new(),
            window: 65_535,
            stream_window: 65_535,
        }
    }

    async fn serve(mut self) {
        // An error is the client's end of the connection.
        let _ = self.talk().await;
        self.shared.lock().ended += 1;
        self.shared.changed.notify_waiters();
    }

    async fn talk(&mut self) -> std::io::Result<()> {
        let mut preface = [0; 24];
        self.io.read_exact(&mut preface).await?;
        assert_eq!(preface, PREFACE);
        let mut settings = vec![0x00, 0x04, 0x00, 0x10, 0x00, 0x00]; // INITIAL_WINDOW_SIZE 1 MiB
        if self.misbehaves == Misbehaves::MaxStreams {
            settings.extend([0x00, 0x03, 0x00, 0x00, 0x00, 0x01]);
        }
        self.frame(SETTINGS, 0, 0, &settings);
        self.frame(WINDOW_UPDATE, 0, 0, &0x4000_0000_u32.to_be_bytes());
        loop {
            self.io.write_all(&self.out).await?;
            self.out.clear();
            let mut head = [0; 9];
            self.io.read_exact(&mut head).await?;
            let [a, b, c, kind, flags, id @ ..] = head;
            let length = u32::from_be_bytes([0, a, b, c]);
            let mut payload = vec![0; length.try_into().unwrap()];
            self.io.read_exact(&mut payload).await?;
            self.hear(kind, flags, u32::from_be_bytes(id), &payload);
            self.pump();
        }
    }

    fn hear(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        match kind {
            SETTINGS if flags & ACK == 0 => {
                for setting in payload.chunks_exact(6) {
                    let value = u32::from_be_bytes(setting[2..].try_into().unwrap());
                    if setting[..2] == [0x00, 0x04] {
                        let change = i64::from(value) - self.stream_window;
                        self.stream_window += change;
                        for stream in self.streams.values_mut() {
                            stream.window += change;
                        }
                    }
                }
                self.frame(SETTINGS, ACK, 0, &[]);
            }
            PING if flags & ACK == 0 => self.frame(PING, ACK, 0, payload),
            PING => self.shared.lock().pings_answered += 1,
            WINDOW_UPDATE => {
                let more = i64::from(u32::from_be_bytes(payload.try_into().unwrap()));
                match self.streams.get_mut(&id) {
                    Some(stream) => stream.window += more,
                    None if id == 0 => self.window += more,
                    None => {}
                }
            }
            HEADERS => self.hear_headers(id),
            DATA if flags & END_STREAM != 0 => self.hear_end(id),
            RST_STREAM => drop(self.streams.remove(&id)),
            _ => {}
        }
    }

    fn hear_headers(&mut self, id: u32) {
        let stream = Stream {
            window: self.stream_window,
            response: None,
        };
        self.streams.insert(id, stream);
        {
            let mut seen = self.shared.lock();
            seen.requests.push(self.number);
            seen.open_at_once = seen.open_at_once.max(self.streams.len());
        }
        self.ping();
        self.frame(HEADERS, END_HEADERS, id, &block(&RESPONSE_HEADERS));
        self.ping();
        if self.misbehaves == Misbehaves::RstAfterHeader {
            self.reset(id);
        }
    }

    /// The request is there.
    fn hear_end(&mut self, id: u32) {
        self.ping();
        let mut response = large_response();
        if self.misbehaves == Misbehaves::RstDuringData {
            response.truncate(response.len() / 2);
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.response = Some(response);
        }
    }

    /// Sends what the windows have room for.
    fn pump(&mut self) {
        let ids: Vec<u32> = self.streams.keys().copied().collect();
        for id in ids {
            while let Some(chunk) = self.next_chunk(id) {
                if self.misbehaves == Misbehaves::DataFramePadding {
                    let padded = [&[255], &chunk[..], &[0; 255]].concat();
                    self.frame(DATA, PADDED, id, &padded);
                } else {
                    self.frame(DATA, 0, id, &chunk);
                }
            }
            let done = |stream: &Stream| stream.response.as_ref().is_some_and(Bytes::is_empty);
            if self.streams.get(&id).is_some_and(done) {
                self.end(id);
            }
        }
    }

    fn next_chunk(&mut self, id: u32) -> Option<Bytes> {
        let (longest, padding) = match self.misbehaves {
            Misbehaves::DataFramePadding => (5, 256),
            Misbehaves::SmallDataFrames => (5, 0),
            _ => (16_384, 0),
        };
        let stream = self.streams.get_mut(&id)?;
        let response = stream.response.as_mut().filter(|rest| !rest.is_empty())?;
        let room = usize::try_from(self.window.min(stream.window) - padding).ok()?;
        let length = response.len().min(longest).min(room);
        if length == 0 {
            return None;
        }
        let cost = i64::try_from(length).unwrap() + padding;
        self.window -= cost;
        stream.window -= cost;
        Some(response.split_to(length))
    }

    fn end(&mut self, id: u32) {
        self.ping();
        match self.misbehaves {
            Misbehaves::RstDuringData | Misbehaves::RstAfterData => self.reset(id),
            Misbehaves::Goaway
            | Misbehaves::RstAfterHeader
            | Misbehaves::Ping
            | Misbehaves::MaxStreams
            | Misbehaves::DataFramePadding
            | Misbehaves::SmallDataFrames => {
                self.streams.remove(&id);
                self.frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    id,
                    &block(&[("grpc-status", "0")]),
                );
            }
        }
        if self.misbehaves == Misbehaves::Goaway {
            let no_error = [id.to_be_bytes(), [0; 4]].concat();
            self.frame(GOAWAY, 0, 0, &no_error);
        }
    }

    fn reset(&mut self, id: u32) {
        self.streams.remove(&id);
        self.frame(RST_STREAM, 0, id, &[0; 4]);
    }

    fn ping(&mut self) {
        if self.misbehaves == Misbehaves::Ping {
            self.shared.lock().pings += 1;
            self.frame(PING, 0, 0, &[0; 8]);
        }
    }

    fn frame(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        self.out.extend(frame(kind, flags, id, payload));
    }
}

/// The message of a response to `large_unary`, with its five bytes.
fn large_response() -> Bytes {
    let response = SimpleResponse {
        payload: Some(Payload {
            body: vec![0; 314_159],
            ..Payload::default()
        }),
        ..SimpleResponse::default()
    };
    let message = RawMessage {
        compressed: false,
        body: response.encode_to_vec().into(),
    };
    encode_message(&message).unwrap()
}

const RESPONSE_HEADERS: [(&str, &str); 4] = [
    (":status", "200"),
    ("content-type", "application/grpc"),
    ("grpc-encoding", "identity"),
    ("grpc-accept-encoding", "identity,deflate,gzip"),
];
/// A flag of DATA frames. RFC 9113 §6.1.
const PADDED: u8 = 0x08;

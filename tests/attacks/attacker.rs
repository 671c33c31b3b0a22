//! One connection of an attacker: frames out as fast as the server takes them, and what it says
//! meanwhile.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::frames::{FRAME_LIMIT, block_frames, settings_frame};
use crate::support::{
    ACK, DATA, END_STREAM, GOAWAY, HEADERS, PATIENCE, PREFACE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    block, frame,
};

/// Why an attack on one connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The server has closed the connection.
    Closed,
    /// The attack has taken as long as it was meant to.
    Time,
}

/// One connection, on which frames are written by hand.
pub struct Attacker {
    /// Which of those that attack at once.
    pub number: usize,
    pub heard: Heard,
    io: TcpStream,
    /// DATA by stream, and of the connection as stream 0.
    sent: BTreeMap<u32, usize>,
    limit: Limit,
    /// It reads nothing until the server is done with it.
    deaf: bool,
    /// The beginning of a frame.
    unread: Vec<u8>,
}

/// What a connection may be sent before the server gives more. RFC 9113 §6.9.2.
const FIRST_WINDOW: usize = 65_535;
/// What the server's SETTINGS give to a stream.
const STREAM_WINDOW: usize = 256 * 1024;

/// How long an attacker goes on.
#[derive(Clone, Copy)]
pub enum Limit {
    /// Until then.
    Time(Instant),
    /// Until the server ends the connection, which it must.
    UntilClosed,
}

impl Limit {
    fn has_passed(self) -> bool {
        match self {
            Self::Time(end) => Instant::now() >= end,
            Self::UntilClosed => false,
        }
    }
}

/// What the server said on a connection.
#[derive(Default)]
pub struct Heard {
    /// Ends of streams: with an answer, or without one by error code.
    pub answers: u64,
    pub resets: BTreeMap<u32, u64>,
    pub data_bytes: u64,
    /// Window that was given to each stream, and to the connection as stream 0.
    window: BTreeMap<u32, usize>,
    goaway: Option<String>,
}

impl Heard {
    /// Streams that came to an end.
    pub fn ended(&self) -> u64 {
        self.answers + self.resets.values().sum::<u64>()
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        match kind {
            HEADERS | DATA => {
                self.answers += u64::from(flags & END_STREAM != 0);
                if kind == DATA {
                    self.data_bytes += u64::try_from(payload.len()).unwrap();
                }
            }
            RST_STREAM => *self.resets.entry(number(payload)).or_default() += 1,
            WINDOW_UPDATE => {
                let room = usize::try_from(number(payload)).unwrap();
                *self.window.entry(stream).or_default() += room;
            }
            GOAWAY => {
                let (code, text) = (number(&payload[4..]), payload[8..].escape_ascii());
                self.goaway = Some(format!("GOAWAY {code} {text}").trim_end().to_owned());
            }
            _ => {}
        }
    }
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

impl Attacker {
    pub async fn connect(server: SocketAddr, number: usize, limit: Limit) -> io::Result<Self> {
        let io = TcpStream::connect(server).await?;
        io.set_nodelay(true)?;
        Ok(Self {
            number,
            heard: Heard::default(),
            io,
            sent: BTreeMap::new(),
            limit,
            deaf: false,
            unread: Vec::new(),
        })
    }

    /// One more connection of the same.
    pub async fn another(&self) -> io::Result<Self> {
        Self::connect(self.io.peer_addr()?, self.number, self.limit).await
    }

    /// From here on it reads nothing.
    pub fn turn_deaf(&mut self) {
        self.deaf = true;
    }

    /// Says the preface and these SETTINGS.
    pub async fn begin(&mut self, settings: &[(u16, u32)]) -> Result<(), Over> {
        let said = [
            PREFACE.to_vec(),
            settings_frame(settings),
            frame(SETTINGS, ACK, 0, &[]),
        ];
        self.send(&said.concat()).await
    }

    /// The same, and waits until the server has made room for more than a connection begins with.
    pub async fn begin_and_wait(&mut self, settings: &[(u16, u32)]) -> Result<(), Over> {
        self.begin(settings).await?;
        self.hear(|heard| heard.window.contains_key(&0)).await
    }

    /// Sends all of it, and reads meanwhile.
    pub async fn send(&mut self, mut bytes: &[u8]) -> Result<(), Over> {
        let interest = if self.deaf {
            Interest::WRITABLE
        } else {
            Interest::READABLE | Interest::WRITABLE
        };
        while !bytes.is_empty() {
            // A server that always takes more gives no occasion to look at the clock.
            if self.limit.has_passed() {
                return Err(Over::Time);
            }
            let ready = self.ready(interest).await?;
            if ready.is_readable() && !self.deaf {
                self.read()?;
            }
            if ready.is_writable() {
                match self.io.try_write(bytes) {
                    Ok(length) => bytes = &bytes[length..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Err(self.read_to_end().await),
                }
            }
        }
        Ok(())
    }

    /// Sends DATA as the windows of the connection and the stream allow: too much would be the end of
    /// the connection.
    pub async fn send_data(&mut self, stream: u32, bytes: &[u8]) -> Result<(), Over> {
        for piece in bytes.chunks(FRAME_LIMIT) {
            for (id, first) in [(0, FIRST_WINDOW), (stream, STREAM_WINDOW)] {
                let sent = self.sent.entry(id).or_default();
                *sent += piece.len();
                let sent = *sent;
                let window = |heard: &Heard| heard.window.get(&id).copied().unwrap_or(0);
                self.hear(|heard| first + window(heard) >= sent).await?;
            }
            self.send(&frame(DATA, 0, stream, piece)).await?;
        }
        Ok(())
    }

    /// Ends its own direction.
    pub async fn say_no_more(&mut self) {
        // The server may have been faster.
        let _ = self.io.shutdown().await;
    }

    /// Sends it again and again.
    pub async fn repeat(&mut self, bytes: &[u8]) -> Result<Infallible, Over> {
        // One write of many, or the attacker would be slower than the server.
        let many = bytes.repeat(FRAME_LIMIT.div_ceil(bytes.len()));
        loop {
            self.send(&many).await?;
        }
    }

    /// Reads until the server has said so much.
    pub async fn hear(&mut self, enough: impl Fn(&Heard) -> bool) -> Result<(), Over> {
        while !enough(&self.heard) {
            self.ready(Interest::READABLE).await?;
            self.read()?;
        }
        Ok(())
    }

    /// Reads for a while, as peers do that are slow.
    pub async fn dawdle(&mut self, time: Duration) -> Result<(), Over> {
        match timeout(time, self.listen()).await {
            Ok(Err(over)) => Err(over),
            Err(_) => Ok(()),
        }
    }

    /// Reads until all is over.
    pub async fn listen(&mut self) -> Result<Infallible, Over> {
        loop {
            self.hear(|_| false).await?;
        }
    }

    /// Holds still for the rest of the attack: not even the end of the connection is looked at.
    pub async fn hold(&self) -> Result<(), Over> {
        let Limit::Time(end) = self.limit else {
            unreachable!("nobody would see the end")
        };
        sleep_until(end).await;
        Err(Over::Time)
    }

    /// Says how the connection ended.
    pub fn end(&self, over: Over) -> String {
        let word = match over {
            Over::Closed => "closed",
            Over::Time => "open",
        };
        self.heard.goaway.clone().unwrap_or_else(|| word.to_owned())
    }

    async fn ready(&self, interest: Interest) -> Result<tokio::io::Ready, Over> {
        let until = match self.limit {
            Limit::Time(end) => end,
            Limit::UntilClosed => Instant::now() + PATIENCE,
        };
        match timeout_at(until, self.io.ready(interest)).await {
            Ok(ready) => Ok(ready.unwrap()),
            Err(_) => Err(Over::Time),
        }
    }

    fn read(&mut self) -> Result<(), Over> {
        let mut chunk = [0; FRAME_LIMIT];
        loop {
            match self.io.try_read(&mut chunk) {
                Ok(0) => return Err(Over::Closed),
                Ok(length) => self.take(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Over::Closed),
            }
        }
    }

    /// The server takes nothing any more; its last words may still wait.
    async fn read_to_end(&mut self) -> Over {
        loop {
            if let Err(over) = self.ready(Interest::READABLE).await {
                return over;
            }
            if let Err(over) = self.read() {
                return over;
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.unread.extend(bytes);
        let mut rest = &self.unread[..];
        while let Some((head, after)) = rest.split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let Some((payload, after)) = after.split_at_checked(usize::try_from(length).unwrap())
            else {
                break;
            };
            self.heard
                .frame(head[3], head[4], number(&head[5..]), payload);
            rest = after;
        }
        self.unread = rest.to_vec();
    }
}

/// A call's Request-Headers with more fields, in as many frames as it takes.
pub fn request(stream: u32, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    request_with(stream, 0, path, more)
}

pub fn request_with(stream: u32, flags: u8, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    block_frames(stream, flags, &block(&request_fields(path, more)))
}

pub fn request_fields<'a>(path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    [&usual, more].concat()
}

/// The streams of a client, in their order.
pub fn streams() -> impl Iterator<Item = u32> {
    (1..0x7fff_ffff).step_by(2)
}

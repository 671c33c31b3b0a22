//! GOAWAY between any two frames of a conversation.
//!
//! ```text
//!   client ── HEADERS DATA HEADERS DATA … ──▶ server by hand
//!          ◀── HEADERS DATA HEADERS  … ─────
//!                ▲      ▲    ▲       ▲
//!                └──────┴────┴───────┴── GOAWAY after exactly so many frames, read or written
//! ```
//!
//! Each place has a connection of its own, of many calls. Streams up to the last one that GOAWAY names
//! are answered, the others are not looked at, and the next connection is a good one. No call may
//! fail, and none may be answered by both.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use barewire::wire::framing::{Deframer, RawMessage, encode_message};
use barewire::{Address, ByteStream, Channel, ChannelConfig, Dialer, Dialing};
use bytes::Bytes;
use prost::Message as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::calls::{ECHO, echo};
use crate::frames::{goaway, ping, settings_frame};
use crate::numbered::number_of;
use crate::process::PATIENCE;
use crate::size;
use crate::support::{
    ACK, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PING, PREFACE, RawPeer, SETTINGS, block,
    frame,
};

/// Connections that are tried at once.
const AT_ONCE: usize = 4;

/// Which streams GOAWAY says may have been processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    /// All that were seen.
    Seen,
    /// Those whose answer was begun.
    Answered,
    /// All that can be, and then those that were seen: as a server that drains.
    TwoSteps,
}

pub async fn at_every_frame() {
    let calls = size("GOAWAY_CALLS", 20);
    let (mut places, mut again) = (0, 0);
    for last in [Last::Seen, Last::Answered, Last::TwoSteps] {
        let (mut trying, mut over) = (JoinSet::new(), false);
        for place in 0.. {
            if trying.len() == AT_ONCE || over {
                let Some(tried) = trying.join_next().await else {
                    break;
                };
                let tried: Tried = tried.unwrap();
                (places, again) = (places + 1, again + tried.again);
                over |= !tried.said;
            }
            if !over {
                trying.spawn(one_place(place, last, calls));
            }
        }
    }
    println!("\n  {places} places, {calls} calls each, {again} calls were made again");
    assert!(again > 0, "no call was turned away");
}

/// How it went.
struct Tried {
    /// GOAWAY was said: the conversation has so many frames.
    said: bool,
    /// Calls that were answered by a later connection.
    again: usize,
}

async fn one_place(place: usize, last: Last, calls: u64) -> Tried {
    let script = Arc::new(Script {
        goaway: (place, last),
        calls,
        connections: AtomicUsize::new(0),
        serving: Mutex::default(),
        answered: Mutex::default(),
    });
    let config = ChannelConfig {
        dialer: Some(Arc::new(Pipes(Arc::clone(&script)))),
        max_connections_per_address: 1,
        ..ChannelConfig::default()
    };
    let channel = Channel::with_config("passthrough:///script", config).unwrap();
    let mut calling = JoinSet::new();
    for number in 0..calls {
        let channel = channel.clone();
        calling.spawn(async move { echo(&channel, ECHO, number).await });
    }
    let outcomes = timeout(PATIENCE, calling.join_all()).await;
    let outcomes = outcomes.unwrap_or_else(|_| panic!("calls hang: frame {place}, {last:?}"));
    for outcome in outcomes {
        outcome.unwrap_or_else(|why| panic!("frame {place}, {last:?}: {why}"));
    }
    // Its connections end with it.
    drop(channel);
    let mut serving = std::mem::take(&mut *script.serving.lock().unwrap());
    let mut said = false;
    while let Some(served) = timeout(PATIENCE, serving.join_next())
        .await
        .expect("an end")
    {
        said |= served.unwrap();
    }
    let answered = script.answered.lock().unwrap();
    let not_once: Vec<_> = answered.iter().filter(|(_, by)| by.len() != 1).collect();
    assert!(
        not_once.is_empty(),
        "frame {place}, {last:?}: calls and who answered: {not_once:?}"
    );
    assert_eq!(answered.len() as u64, calls);
    let again = answered.values().filter(|by| by[0] > 0).count();
    Tried { said, again }
}

/// What the servers of one channel do.
struct Script {
    /// After how many frames of the first connection, and which.
    goaway: (usize, Last),
    calls: u64,
    connections: AtomicUsize,
    serving: Mutex<JoinSet<bool>>,
    /// Which connections have answered which call.
    answered: Mutex<BTreeMap<u64, Vec<usize>>>,
}

struct Pipes(Arc<Script>);

impl Dialer for Pipes {
    fn dial<'a>(&'a self, _: &'a Address) -> Dialing<'a> {
        let (near, far) = tokio::io::duplex(64 * 1024);
        let number = self.0.connections.fetch_add(1, Ordering::Relaxed);
        let conversation = Conversation {
            peer: RawPeer::silent(far),
            script: Arc::clone(&self.0),
            number,
            frames: 0,
            said: false,
            limit: u32::MAX,
            seen: 0,
            begun: 0,
            requests: BTreeMap::new(),
            whole: 0,
            answers: VecDeque::new(),
        };
        self.0.serving.lock().unwrap().spawn(conversation.serve());
        let near: Box<dyn ByteStream> = Box::new(near);
        Box::pin(std::future::ready(Ok(near)))
    }
}

/// One connection, as its server sees it.
struct Conversation {
    peer: RawPeer<DuplexStream>,
    script: Arc<Script>,
    number: usize,
    /// Frames that were read or written.
    frames: usize,
    said: bool,
    /// Streams above it are not looked at.
    limit: u32,
    /// The last stream of which a frame was read.
    seen: u32,
    /// The last stream whose answer was begun.
    begun: u32,
    requests: BTreeMap<u32, Deframer>,
    /// Requests that have come to their end.
    whole: u64,
    answers: VecDeque<Answer>,
}

/// A frame that is to be written.
struct Answer {
    stream: u32,
    bytes: Vec<u8>,
    /// The call that it begins to answer.
    begins: Option<u64>,
}

impl Conversation {
    /// Says whether GOAWAY was said.
    async fn serve(mut self) -> bool {
        let mut preface = [0; PREFACE.len()];
        if self.peer.io.read_exact(&mut preface).await.is_err() {
            return false;
        }
        let greeting = [settings_frame(&[]), frame(SETTINGS, ACK, 0, &[])];
        self.write(&greeting.concat()).await;
        loop {
            self.say_goaway().await;
            // While requests come, a frame out follows a frame in, so that answers stay behind.
            let more_comes = self.number == 0 && !self.said && self.whole < self.script.calls;
            if !more_comes && self.answer().await {
                continue;
            }
            let Some(frame) = self.peer.next_frame().await else {
                return self.said;
            };
            self.frames += 1;
            self.say_goaway().await;
            self.take(frame).await;
            if more_comes {
                self.answer().await;
            }
        }
    }

    async fn say_goaway(&mut self) {
        let (place, last) = self.script.goaway;
        if self.said || self.number > 0 || self.frames < place {
            return;
        }
        self.said = true;
        match last {
            Last::Seen => self.refuse_above(self.seen).await,
            Last::Answered => self.refuse_above(self.begun).await,
            Last::TwoSteps => {
                let bytes = [goaway(LAST_OF_ALL, NO_ERROR, b""), ping(*b"draining")];
                self.write(&bytes.concat()).await;
            }
        }
    }

    async fn refuse_above(&mut self, last: u32) {
        self.limit = last;
        self.answers.retain(|answer| answer.stream <= last);
        self.write(&goaway(last, NO_ERROR, b"")).await;
    }

    async fn take(&mut self, frame: Frame) {
        match frame.kind {
            PING if frame.flags & ACK == 0 => {
                self.write(&crate::support::frame(PING, ACK, 0, &frame.payload))
                    .await;
            }
            // The second step.
            PING => self.refuse_above(self.seen).await,
            HEADERS | DATA if frame.stream <= self.limit => {
                self.seen = self.seen.max(frame.stream);
                let request = self.requests.entry(frame.stream);
                let request = request.or_insert_with(|| Deframer::new(usize::MAX));
                if frame.kind == DATA {
                    request.push(frame.payload.into());
                }
                if frame.flags & END_STREAM != 0 {
                    let message = request.next_message().unwrap().unwrap();
                    self.whole += 1;
                    self.prepare_answer(frame.stream, message);
                }
            }
            _ => {}
        }
    }

    /// The message comes back, in three frames.
    fn prepare_answer(&mut self, stream: u32, message: RawMessage) {
        let number = number_of(&Bytes::decode(message.body.clone()).unwrap()).unwrap();
        let message = encode_message(&message).unwrap();
        let head = block(&[(":status", "200"), ("content-type", "application/grpc")]);
        let tail = block(&[("grpc-status", "0")]);
        let frames = [
            frame(HEADERS, END_HEADERS, stream, &head),
            frame(DATA, 0, stream, &message),
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &tail),
        ];
        for (bytes, begins) in frames.into_iter().zip([Some(number), None, None]) {
            self.answers.push_back(Answer {
                stream,
                bytes,
                begins,
            });
        }
    }

    /// Writes the next frame of an answer, if there is one.
    async fn answer(&mut self) -> bool {
        let Some(answer) = self.answers.pop_front() else {
            return false;
        };
        self.begun = self.begun.max(answer.stream);
        if let Some(call) = answer.begins {
            let mut answered = self.script.answered.lock().unwrap();
            answered.entry(call).or_default().push(self.number);
        }
        self.write(&answer.bytes).await;
        self.frames += 1;
        true
    }

    /// To a client that may be gone: then its calls tell.
    async fn write(&mut self, bytes: &[u8]) {
        let _ = self.peer.io.write_all(bytes).await;
    }
}

const NO_ERROR: u32 = 0;
/// The first step of a drain names it. RFC 9113 §6.8.
const LAST_OF_ALL: u32 = (1 << 31) - 1;

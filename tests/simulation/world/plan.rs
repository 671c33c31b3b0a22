//! What is to happen: how client, servers and network are set up, and one step after the other.

use std::time::Duration;

use barewire::Code;

use super::chance::Chance;

/// One run.
#[derive(Debug)]
pub struct Plan {
    /// What the network makes of each piece of bytes.
    pub network_seed: u64,
    pub links: Links,
    pub client: ClientPlan,
    pub server: ServerPlan,
    pub steps: Vec<Step>,
}

/// How bytes travel.
#[derive(Clone, Debug)]
pub struct Links {
    /// The longest time that a piece takes; each takes its own.
    pub latency: Duration,
    /// Bytes on the way in one direction.
    pub room: usize,
    /// Reads and writes take so many bytes at most, where there is a limit, and by chance fewer.
    pub piece: Option<usize>,
    /// One connection in so many breaks at some byte.
    pub breaks: Option<usize>,
    /// One attempt to connect in so many fails, or never ends.
    pub refuses: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct ClientPlan {
    pub balancing: Balance,
    pub retries: bool,
    pub throttled: bool,
    pub small_windows: bool,
    pub keepalive: bool,
    pub max_pending_calls: usize,
    pub max_connections_per_address: usize,
    pub max_message: usize,
    pub idle_timeout: Option<Duration>,
    /// Bytes of one call that are kept for another attempt.
    pub retry_buffer: usize,
}

#[derive(Clone, Copy, Debug)]
pub enum Balance {
    PickFirst,
    Shuffled,
    RoundRobin,
    LeastRequest,
}

#[derive(Clone, Debug)]
pub struct ServerPlan {
    pub max_concurrent_streams: u32,
    pub max_concurrent_calls: usize,
    pub small_windows: bool,
    pub max_message: usize,
    pub max_inflight: usize,
    pub max_buffered: usize,
    pub keepalive: bool,
    pub idle: Option<Duration>,
    pub age: Option<Duration>,
    pub grace: Option<Duration>,
    pub drain_timeout: Duration,
    pub spawned: bool,
    pub gzip: bool,
}

#[derive(Clone, Debug)]
pub struct Step {
    /// After the step before.
    pub after: Duration,
    pub what: Op,
}

#[derive(Clone, Debug)]
pub enum Op {
    Call(Box<CallPlan>),
    /// The process is gone, and its connections with it.
    Kill {
        server: usize,
        reset: bool,
    },
    /// It ends in an orderly way.
    Drain {
        server: usize,
    },
    /// A server that is gone comes back.
    Start {
        server: usize,
    },
    /// Of the connections that are open, this one breaks.
    Break {
        connection: usize,
        how: Break,
    },
    /// One direction of it falls silent, or both do, for so long.
    Stall {
        connection: usize,
        directions: usize,
        time: Duration,
    },
    /// What is known about names from now on.
    Names(Names),
    /// The caller of one of the calls gives up.
    Cancel {
        call: usize,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum Break {
    /// Both ends find the end of the stream.
    Fin,
    /// One direction ends; the other goes on.
    HalfFin,
    /// Both ends find an error, and what was on the way is lost.
    Reset,
}

#[derive(Clone, Copy, Debug)]
pub enum Names {
    /// These servers, as bits.
    Are(usize),
    Slow(Duration),
    Fail,
}

#[derive(Clone, Debug)]
pub struct CallPlan {
    pub id: usize,
    pub policy: Policy,
    pub kind: Kind,
    /// How long each message of the request is.
    pub requests: Vec<usize>,
    /// Between two of them.
    pub pause: Duration,
    /// The caller says that there are no more.
    pub finishes: bool,
    /// Between two messages that are read.
    pub slowness: Duration,
    /// The caller drops the response after so many messages.
    pub reads: Option<usize>,
    pub gzip: bool,
    pub metadata: usize,
    pub timeout: Option<Duration>,
    pub wait_for_ready: bool,
    pub cancel_after: Option<Duration>,
    pub acts: Vec<Act>,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    None,
    Retry,
    Hedge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Unary,
    ServerStreaming,
    ClientStreaming,
    Bidi,
}

impl Kind {
    pub fn streams_requests(self) -> bool {
        matches!(self, Self::ClientStreaming | Self::Bidi)
    }

    pub fn streams_replies(self) -> bool {
        matches!(self, Self::ServerStreaming | Self::Bidi)
    }
}

/// What a handler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Sleep(Duration),
    /// Reads so many messages, or all there are.
    Read(usize),
    /// Says Response-Headers.
    Headers,
    /// Sends a message of this length.
    Send(usize),
}

/// How a handler ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With a message of this length, if the call is answered by one.
    Ok(usize),
    Fail(Code),
    Panic,
}

/// Limits of messages that are a little more and a little less than what is sent.
const MESSAGE_LIMIT: usize = 100_000;

impl Plan {
    pub fn draw(chance: &mut Chance) -> Self {
        let network_seed = u64::try_from(chance.below(1 << 16)).unwrap();
        let links = Links::draw(chance);
        let client = ClientPlan::draw(chance);
        let server = ServerPlan::draw(chance);
        let count = 8 + chance.below(32);
        let mut steps = Vec::new();
        let mut calls = 0;
        while steps.len() < count && !chance.is_spent() {
            let after = millis(chance.of(&[0, 0, 0, 1, 3, 20, 150, 1_000, 5_000]));
            let what = Op::draw(chance, calls);
            if let Op::Call(_) = what {
                calls += 1;
            }
            steps.push(Step { after, what });
        }
        Self {
            network_seed,
            links,
            client,
            server,
            steps,
        }
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl Links {
    fn draw(chance: &mut Chance) -> Self {
        Self {
            latency: millis(chance.of(&[0, 1, 1, 5, 30, 200])),
            room: chance.of(&[64 * 1024, 64 * 1024, 256 * 1024, 4_096, 700]),
            piece: chance.of(&[None, None, Some(16_384), Some(1_000), Some(40)]),
            breaks: chance.of(&[None, None, Some(10), Some(3)]),
            refuses: chance.of(&[None, None, Some(10), Some(3)]),
        }
    }
}

impl ClientPlan {
    fn draw(chance: &mut Chance) -> Self {
        Self {
            balancing: chance.of(&[
                Balance::PickFirst,
                Balance::RoundRobin,
                Balance::LeastRequest,
                Balance::Shuffled,
            ]),
            retries: !chance.one_in(8),
            throttled: chance.one_in(4),
            small_windows: chance.one_in(3),
            keepalive: chance.one_in(3),
            max_pending_calls: chance.of(&[10_000, 10_000, 3]),
            max_connections_per_address: chance.of(&[1, 4]),
            max_message: chance.of(&[4 << 20, MESSAGE_LIMIT]),
            idle_timeout: chance.of(&[None, Some(Duration::from_secs(2))]),
            retry_buffer: chance.of(&[256 * 1024, 2_000]),
        }
    }
}

impl ServerPlan {
    fn draw(chance: &mut Chance) -> Self {
        Self {
            max_concurrent_streams: chance.of(&[100, 100, 3, 1]),
            max_concurrent_calls: chance.of(&[1_000, 1_000, 4]),
            small_windows: chance.one_in(3),
            max_message: chance.of(&[4 << 20, MESSAGE_LIMIT]),
            max_inflight: chance.of(&[1 << 30, 1 << 30, 300_000]),
            max_buffered: chance.of(&[1 << 30, 1 << 30, 200_000]),
            keepalive: chance.one_in(3),
            idle: chance.of(&[None, None, Some(millis(1_500))]),
            age: chance.of(&[None, None, Some(millis(800)), Some(millis(5_000))]),
            grace: chance.of(&[None, Some(millis(500))]),
            drain_timeout: chance.of(&[Duration::from_secs(30), millis(200)]),
            spawned: chance.one_in(3),
            gzip: chance.one_in(4),
        }
    }
}

impl Op {
    fn draw(chance: &mut Chance, calls: usize) -> Self {
        let server = |chance: &mut Chance| chance.below(3);
        match chance.below(32) {
            0 | 1 => Self::Kill {
                server: server(chance),
                reset: chance.one_in(2),
            },
            2 => Self::Drain {
                server: server(chance),
            },
            3..6 => Self::Start {
                server: server(chance),
            },
            6 | 7 => Self::Break {
                connection: chance.below(8),
                how: chance.of(&[Break::Fin, Break::HalfFin, Break::Reset]),
            },
            8 | 9 => Self::Stall {
                connection: chance.below(8),
                directions: 1 + chance.below(3),
                time: millis(chance.of(&[50, 700, 10_000, 60_000])),
            },
            10 => Self::Names(chance.of(&[
                Names::Are(7),
                Names::Are(7),
                Names::Are(1),
                Names::Are(6),
                Names::Are(0),
                Names::Slow(millis(700)),
                Names::Fail,
            ])),
            11 | 12 if calls > 0 => Self::Cancel {
                call: chance.below(calls),
            },
            13 => Self::Call(Box::new(CallPlan::draw(chance, calls).bulk(chance))),
            _ => Self::Call(Box::new(CallPlan::draw(chance, calls))),
        }
    }
}

impl CallPlan {
    fn draw(chance: &mut Chance, id: usize) -> Self {
        let kind = chance.of(&[
            Kind::Unary,
            Kind::Unary,
            Kind::ServerStreaming,
            Kind::ClientStreaming,
            Kind::Bidi,
        ]);
        let requests = match kind.streams_requests() {
            true => chance.of(&[0, 1, 2, 3, 12]),
            false => 1,
        };
        let time = |chance: &mut Chance| millis(chance.of(&[0, 0, 0, 1, 10, 300]));
        Self {
            id,
            policy: chance.of(&[Policy::None, Policy::None, Policy::Retry, Policy::Hedge]),
            kind,
            requests: (0..requests).map(|_| size(chance)).collect(),
            pause: time(chance),
            finishes: !chance.one_in(12) || !kind.streams_requests(),
            slowness: time(chance),
            reads: chance.maybe(12, |chance| chance.below(3)),
            gzip: chance.one_in(4),
            metadata: chance.of(&[0, 0, 0, 0, 0, 0, 0, 10, 3_000, 20_000]),
            timeout: chance.of(&[
                None,
                None,
                Some(millis(60_000)),
                Some(millis(5_000)),
                Some(millis(1_000)),
                Some(millis(100)),
                Some(millis(1)),
            ]),
            wait_for_ready: chance.one_in(3),
            cancel_after: chance.maybe(8, |chance| millis(chance.of(&[0, 1, 5, 50, 2_000]))),
            acts: Self::acts(chance, kind),
            end: match chance.below(12) {
                0 => End::Panic,
                1 | 2 => End::Fail(chance.of(&[
                    Code::NotFound,
                    Code::Aborted,
                    Code::Unavailable,
                    Code::DataLoss,
                ])),
                _ => End::Ok(size(chance)),
            },
        }
    }

    /// The same, with streams of many windows, or of more than a small one.
    fn bulk(self, chance: &mut Chance) -> Self {
        let each = if chance.affords(2 * 40 * 40_000) {
            40_000
        } else if chance.affords(2 * 40 * 2_000) {
            2_000
        } else {
            0
        };
        let replies = match self.kind.streams_replies() {
            true => vec![Act::Send(each); 40],
            false => Vec::new(),
        };
        Self {
            requests: match self.kind.streams_requests() {
                true => vec![each; 40],
                false => self.requests,
            },
            acts: [vec![Act::Read(usize::MAX)], replies].concat(),
            ..self
        }
    }

    /// A call that nothing speaks against, with messages of this length.
    pub fn probe(id: usize, length: usize) -> Self {
        let mut acts = vec![Act::Read(usize::MAX), Act::Sleep(millis(10))];
        acts.extend([Act::Send(length); 6]);
        Self {
            id,
            policy: Policy::None,
            kind: Kind::Bidi,
            requests: vec![length; 6],
            pause: Duration::ZERO,
            finishes: true,
            slowness: Duration::ZERO,
            reads: None,
            gzip: false,
            metadata: 0,
            timeout: Some(Duration::from_secs(600)),
            wait_for_ready: true,
            cancel_after: None,
            acts,
            end: End::Ok(0),
        }
    }

    fn acts(chance: &mut Chance, kind: Kind) -> Vec<Act> {
        // Most handlers read before they answer.
        let first = chance.of(&[Act::Read(usize::MAX), Act::Read(1), Act::Sleep(millis(1))]);
        let more = chance.of(&[0, 1, 3, 9]);
        let more = (0..more).map(|_| match chance.below(8) {
            0 | 1 => Act::Sleep(millis(chance.of(&[0, 1, 10, 200, 3_000]))),
            2 => Act::Read(1 + chance.below(3)),
            3 => Act::Headers,
            _ => Act::Send(size(chance)),
        });
        let acts = [first].into_iter().chain(more);
        acts.filter(|act| kind.streams_replies() || !matches!(act, Act::Headers | Act::Send(_)))
            .collect()
    }

    /// The messages that the handler sends if it comes to its end.
    pub fn replies(&self) -> Vec<usize> {
        let sent = self.acts.iter().filter_map(|act| match act {
            Act::Send(size) => Some(*size),
            Act::Sleep(_) | Act::Read(_) | Act::Headers => None,
        });
        match (self.kind.streams_replies(), self.end) {
            (true, _) => sent.collect(),
            (false, End::Ok(size)) => vec![size],
            (false, _) => Vec::new(),
        }
    }
}

fn size(chance: &mut Chance) -> usize {
    let size = chance.of(&[
        0,
        0,
        1,
        5,
        100,
        100,
        1_000,
        1_000,
        10_000,
        16_384,
        40_000,
        70_000,
        MESSAGE_LIMIT - 100,
        MESSAGE_LIMIT + 100,
        300_000,
    ]);
    if chance.affords(size) { size } else { 100 }
}

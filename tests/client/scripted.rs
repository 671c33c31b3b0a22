//! Servers that do what a script says, attempt by attempt, and remember what they saw: a service of a
//! real server, and a peer on bare h2 for what no server of ours would do.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barewire::{
    Address, AttemptPolicy, ByteStream, Channel, ChannelConfig, Code, Dialer, Dialing,
    HedgingPolicy, Inbound, Metadata, MethodConfig, MethodPath, Outbound, Replies, Request,
    Response, RetryPolicy, Server, ServerCall, Service, ServiceConfig, Serving, Status,
};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{GOAWAY, HEADERS, PATIENCE, PREFACE, RawPeer, SETTINGS, encoded, frame};
use crate::tokio;

/// What a handler does, one after the other. At the end it returns OK.
#[derive(Clone, Debug)]
pub enum Step {
    /// Takes so many messages.
    Take(usize),
    /// Takes all that is left of the request.
    TakeAll,
    /// Sends back what is left of the request, each message as it comes.
    Echo,
    /// Sends Response-Headers.
    Headers,
    Say(&'static str),
    Sleep(Duration),
    /// Waits until the test opens the gate.
    Gate,
    Fail(Status),
    /// Never goes on.
    Hang,
}

use Step::{Echo, Fail, Headers, Say, TakeAll};

/// Answers with all of the request.
pub fn echo() -> Vec<Step> {
    vec![Echo]
}

pub fn answer(text: &'static str) -> Vec<Step> {
    vec![TakeAll, Say(text)]
}

/// Fails by Trailers-Only when the request has ended.
pub fn fail(code: Code) -> Vec<Step> {
    vec![TakeAll, Fail(Status::new(code, "as the script says"))]
}

/// Fails by Trailers-Only, with a word on trying again.
pub fn push_back(code: Code, values: &[&str]) -> Vec<Step> {
    vec![TakeAll, Fail(pushing_back(code, values))]
}

pub fn pushing_back(code: Code, values: &[&str]) -> Status {
    let mut metadata = Metadata::new();
    for value in values {
        metadata.append("grpc-retry-pushback-ms", value).unwrap();
    }
    Status::new(code, "as the script says").with_metadata(metadata)
}

pub fn fail_after_headers(code: Code) -> Vec<Step> {
    vec![TakeAll, Headers, Fail(Status::new(code, "after headers"))]
}

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What a handler saw.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// The values of grpc-previous-rpc-attempts.
    pub previous: Vec<String>,
    /// How much time the client left.
    pub left: Option<Duration>,
    pub at: Instant,
    pub messages: Vec<String>,
    /// The request was seen to end.
    pub half_closed: bool,
    pub end: End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It runs.
    Open,
    /// It returned.
    Returned,
    /// It was dropped, or told that the client is gone.
    Cancelled,
}

/// A service that follows a script: each call that comes takes the next entry. When there are no more,
/// calls are answered with their request.
#[derive(Clone, Default)]
pub struct Script(Arc<Shared>);

#[derive(Default)]
struct Shared {
    entries: Mutex<VecDeque<Vec<Step>>>,
    seen: Mutex<Vec<Seen>>,
    changed: Notify,
    gate: Notify,
}

impl Script {
    pub fn new(entries: impl IntoIterator<Item = Vec<Step>>) -> Self {
        let script = Self::default();
        script.then(entries);
        script
    }

    /// More entries.
    pub fn then(&self, entries: impl IntoIterator<Item = Vec<Step>>) {
        self.0.entries.lock().unwrap().extend(entries);
    }

    /// What the calls so far saw, in the order in which they came.
    pub fn seen(&self) -> Vec<Seen> {
        self.0.seen.lock().unwrap().clone()
    }

    /// How many calls came.
    pub fn count(&self) -> usize {
        self.0.seen.lock().unwrap().len()
    }

    /// The messages that each call took.
    pub fn messages(&self) -> Vec<Vec<String>> {
        self.seen().into_iter().map(|seen| seen.messages).collect()
    }

    /// grpc-previous-rpc-attempts of each call.
    pub fn previous(&self) -> Vec<String> {
        let seen = self.seen().into_iter();
        seen.map(|seen| seen.previous.join(" and ")).collect()
    }

    pub fn ends(&self) -> Vec<End> {
        self.seen().into_iter().map(|seen| seen.end).collect()
    }

    /// The time from each call to the next.
    pub fn gaps(&self) -> Vec<Duration> {
        let seen = self.seen();
        seen.windows(2)
            .map(|pair| pair[1].at - pair[0].at)
            .collect()
    }

    /// Lets one handler through the gate.
    pub fn open_gate(&self) {
        self.0.gate.notify_one();
    }

    /// Waits until `condition` holds. Only for what must come.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&[Seen]) -> bool) {
        let wait = async {
            loop {
                let changed = self.0.changed.notified();
                if condition(&self.seen()) {
                    return;
                }
                changed.await;
            }
        };
        timeout(PATIENCE, wait)
            .await
            .unwrap_or_else(|_| panic!("never: {what}; {:#?}", self.seen()));
    }

    /// Serves one connection.
    pub fn serve_io(&self, io: DuplexStream) {
        tokio::spawn(Server::new().add(self.clone()).serve_io(io));
    }

    /// A channel to this service, over as many connections as it asks for.
    pub fn channel(&self, config: ChannelConfig) -> Channel {
        let script = self.clone();
        channel(config, move |_, io| script.serve_io(io))
    }

    fn begin(&self, method: &str, request: &Request<Inbound<String>>) -> (Entry, Vec<Step>) {
        let values = request.metadata.get_all("grpc-previous-rpc-attempts");
        let mut seen = self.0.seen.lock().unwrap();
        seen.push(Seen {
            method: method.to_owned(),
            previous: values.map(str::to_owned).collect(),
            left: request.deadline.map(|deadline| deadline.remaining()),
            at: Instant::now(),
            messages: Vec::new(),
            half_closed: false,
            end: End::Open,
        });
        let steps = self.0.entries.lock().unwrap().pop_front();
        self.0.changed.notify_waiters();
        let entry = Entry {
            shared: Arc::clone(&self.0),
            number: seen.len() - 1,
        };
        (entry, steps.unwrap_or_else(echo))
    }
}

/// A handler's place among what was seen.
struct Entry {
    shared: Arc<Shared>,
    number: usize,
}

impl Entry {
    fn note(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.shared.seen.lock().unwrap()[self.number]);
        self.shared.changed.notify_waiters();
    }

    async fn take(&self, request: &mut Request<Inbound<String>>) -> Result<Option<String>, Status> {
        let message = request.next().await?;
        self.note(|seen| match &message {
            Some(message) => seen.messages.push(message.clone()),
            None => seen.half_closed = true,
        });
        Ok(message)
    }

    async fn follow(
        &self,
        steps: Vec<Step>,
        mut request: Request<Inbound<String>>,
        call: &mut ServerCall,
    ) -> Result<(), Status> {
        let mut replies: Option<Replies<String>> = None;
        for step in steps {
            match step {
                Step::Take(count) => {
                    for _ in 0..count {
                        self.take(&mut request).await?;
                    }
                }
                TakeAll => while self.take(&mut request).await?.is_some() {},
                Echo => {
                    let replies = replies.get_or_insert_with(|| call.replies());
                    while let Some(message) = self.take(&mut request).await? {
                        replies.send(message).await?;
                    }
                }
                Headers => {
                    let replies = replies.get_or_insert_with(|| call.replies());
                    replies.send_headers(Metadata::new()).await?;
                }
                Say(text) => {
                    let replies = replies.get_or_insert_with(|| call.replies());
                    replies.send(text.to_owned()).await?;
                }
                Step::Sleep(time) => sleep(time).await,
                Step::Gate => self.shared.gate.notified().await,
                Fail(status) => return Err(status),
                Step::Hang => std::future::pending().await,
            }
        }
        Ok(())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.note(|seen| {
            if seen.end == End::Open {
                seen.end = End::Cancelled;
            }
        });
    }
}

impl Service for Script {
    fn name(&self) -> &'static str {
        "test.Script"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            let method = call.method().to_owned();
            let request = call.requests();
            let (entry, steps) = self.begin(&method, &request);
            let outcome = entry.follow(steps, request, &mut call).await;
            // Who reads is told of the end, and is not always dropped at once.
            let cancelled = matches!(&outcome, Err(status) if status.code == Code::Cancelled);
            entry.note(|seen| {
                seen.end = if cancelled {
                    End::Cancelled
                } else {
                    End::Returned
                };
            });
            outcome
        })
    }
}

/// What a peer on bare h2 does with a stream.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Reset(h2::Reason),
    /// The connection breaks when the headers have come.
    Cut,
    /// Nothing.
    Hang,
    /// The request comes back.
    Echo,
    /// The request is thrown away, and answered by nothing but OK.
    Swallow,
    /// PERMISSION_DENIED as Trailers-Only, before the request has ended, and RST_STREAM(NO_ERROR).
    Refuse,
}

/// The fates of the streams to come; and the values of grpc-previous-rpc-attempts so far.
#[derive(Clone, Default)]
pub struct Fates {
    left: Arc<Mutex<VecDeque<Fate>>>,
    previous: Arc<Mutex<Vec<Option<String>>>>,
}

impl Fates {
    pub fn new(fates: &[Fate]) -> Self {
        let left = Arc::new(Mutex::new(fates.iter().copied().collect()));
        Self {
            left,
            ..Self::default()
        }
    }

    pub fn previous(&self) -> Vec<Option<String>> {
        self.previous.lock().unwrap().clone()
    }

    /// How many streams came.
    pub fn count(&self) -> usize {
        self.previous.lock().unwrap().len()
    }

    pub fn channel(&self, config: ChannelConfig) -> Channel {
        let fates = self.clone();
        channel(config, move |_, io| {
            tokio::spawn(fates.clone().serve_io(io));
        })
    }

    pub async fn serve_io(self, io: DuplexStream) {
        let mut connection = h2::server::handshake(io).await.unwrap();
        let mut hanging = Vec::new();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            let value = request.headers().get("grpc-previous-rpc-attempts");
            let value = value.map(|value| value.to_str().unwrap().to_owned());
            self.previous.lock().unwrap().push(value);
            let fate = self.left.lock().unwrap().pop_front();
            match fate.unwrap_or(Fate::Echo) {
                Fate::Reset(reason) => respond.send_reset(reason),
                Fate::Cut => return,
                Fate::Hang => hanging.push((request, respond)),
                Fate::Refuse => {
                    let head = http::Response::builder()
                        .header("content-type", "application/grpc")
                        .header("grpc-status", "7");
                    respond.send_response(head.body(()).unwrap(), true).unwrap();
                    tokio::spawn(async move {
                        // The head first: a reset would overtake it.
                        tokio::task::yield_now().await;
                        drop((request, respond));
                    });
                }
                Fate::Echo | Fate::Swallow => {
                    let echo = matches!(fate, Some(Fate::Echo) | None);
                    tokio::spawn(send_back(request.into_body(), respond, echo));
                }
            }
        }
    }
}

async fn send_back(
    mut body: h2::RecvStream,
    mut respond: h2::server::SendResponse<Bytes>,
    echo: bool,
) {
    let head = http::Response::builder().header("content-type", "application/grpc");
    let head = head.body(()).unwrap();
    if !echo {
        while let Some(Ok(chunk)) = body.data().await {
            let _ = body.flow_control().release_capacity(chunk.len());
        }
    }
    let mut send = respond.send_response(head, false).unwrap();
    while let Some(Ok(chunk)) = body.data().await {
        let _ = body.flow_control().release_capacity(chunk.len());
        if !chunk.is_empty() && send.send_data(chunk, false).is_err() {
            return;
        }
    }
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let _ = send.send_trailers(trailers);
}

/// A channel whose connections `serve` answers; it is told how many there were before.
pub fn channel(
    config: ChannelConfig,
    serve: impl Fn(usize, DuplexStream) + Send + Sync + 'static,
) -> Channel {
    channel_after(Duration::ZERO, config, serve)
}

/// The same, where each connection but the first takes a while to come to be.
pub fn channel_after(
    delay: Duration,
    config: ChannelConfig,
    serve: impl Fn(usize, DuplexStream) + Send + Sync + 'static,
) -> Channel {
    let make = move |number| {
        let (ours, theirs) = tokio::io::duplex(256 * 1024);
        serve(number, theirs);
        let io: Box<dyn ByteStream> = Box::new(ours);
        io
    };
    channel_with(delay, config, make)
}

/// A channel over what `make` makes; it is told how many there were before.
pub fn channel_on(
    config: ChannelConfig,
    make: impl Fn(usize) -> Box<dyn ByteStream> + Send + Sync + 'static,
) -> Channel {
    channel_with(Duration::ZERO, config, make)
}

fn channel_with(
    delay: Duration,
    config: ChannelConfig,
    make: impl Fn(usize) -> Box<dyn ByteStream> + Send + Sync + 'static,
) -> Channel {
    let pipes = Pipes {
        make: Box::new(make),
        made: AtomicUsize::new(0),
        delay,
    };
    let config = ChannelConfig {
        dialer: Some(Arc::new(pipes)),
        ..config
    };
    Channel::with_config("passthrough:///script", config).unwrap()
}

struct Pipes {
    make: Box<dyn Fn(usize) -> Box<dyn ByteStream> + Send + Sync>,
    made: AtomicUsize,
    delay: Duration,
}

impl Dialer for Pipes {
    fn dial<'a>(&'a self, _: &'a Address) -> Dialing<'a> {
        Box::pin(async {
            let number = self.made.fetch_add(1, Ordering::SeqCst);
            if number > 0 && !self.delay.is_zero() {
                sleep(self.delay).await;
            }
            Ok((self.make)(number))
        })
    }
}

/// A channel's configuration with this policy for all methods.
pub fn with_policy(attempts: AttemptPolicy) -> ChannelConfig {
    with_config(ServiceConfig {
        default_method: Some(MethodConfig {
            attempts,
            ..MethodConfig::default()
        }),
        ..ServiceConfig::default()
    })
}

pub fn with_config(service_config: ServiceConfig) -> ChannelConfig {
    assert_eq!(service_config.check(), Ok(()));
    ChannelConfig {
        service_config: Some(service_config),
        ..ChannelConfig::default()
    }
}

/// Tries again 100, 200, 400, 800 ms after UNAVAILABLE, give or take a fifth.
pub fn retry(max_attempts: u32) -> AttemptPolicy {
    AttemptPolicy::Retry(RetryPolicy {
        max_attempts,
        initial_backoff: ms(100),
        max_backoff: Duration::from_secs(1),
        backoff_multiplier: 2.0,
        retryable_codes: vec![Code::Unavailable],
    })
}

/// UNAVAILABLE is not fatal.
pub fn hedge(max_attempts: u32, delay: u64) -> AttemptPolicy {
    AttemptPolicy::Hedge(HedgingPolicy {
        max_attempts,
        hedging_delay: ms(delay),
        non_fatal_codes: vec![Code::Unavailable],
    })
}

/// The four kinds of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Unary,
    ServerStreaming,
    ClientStreaming,
    Bidi,
}

impl Kind {
    pub const ALL: [Self; 4] = [
        Self::Unary,
        Self::ServerStreaming,
        Self::ClientStreaming,
        Self::Bidi,
    ];

    /// Makes a call that says one message; yields what was answered.
    pub async fn call(self, channel: &Channel, message: &str) -> Result<Vec<String>, Status> {
        self.call_with(channel, Request::new(message.to_owned()))
            .await
    }

    pub async fn call_with(
        self,
        channel: &Channel,
        request: Request<String>,
    ) -> Result<Vec<String>, Status> {
        let path = path("Call");
        match self {
            Self::Unary => {
                let answer: Response<String> = channel.unary::<String, _>(path, request).await?;
                Ok(vec![answer.message])
            }
            Self::ServerStreaming => {
                all(channel.server_streaming::<String, _>(path, request).await?).await
            }
            Self::ClientStreaming | Self::Bidi => {
                let message = request.message.clone();
                let request = request.map(drop);
                let (mut out, back): (Outbound<String>, Inbound<String>) = if self == Self::Bidi {
                    channel.bidi(path, request).await?
                } else {
                    channel.client_streaming(path, request).await?
                };
                out.send(message).await?;
                out.finish()?;
                match self {
                    Self::Bidi => all(back).await,
                    _ => Ok(vec![back.single().await?.message]),
                }
            }
        }
    }
}

/// All messages of a response.
pub async fn all(mut back: Inbound<String>) -> Result<Vec<String>, Status> {
    let mut messages = Vec::new();
    while let Some(message) = back.next().await? {
        messages.push(message);
    }
    Ok(messages)
}

pub fn path(method: &'static str) -> MethodPath {
    MethodPath::from_static(match method {
        "Call" => "/test.Script/Call",
        "Other" => "/test.Script/Other",
        other => panic!("no method: {other}"),
    })
}

/// The bytes of a message with its prefix.
pub fn length_of(message: &str) -> usize {
    encoded(message).len()
}

/// Takes a connection up to the first request, with a server's SETTINGS before.
pub async fn up_to_headers(io: DuplexStream, settings: &[u8]) -> (RawPeer<DuplexStream>, u32) {
    let mut peer = greet(io, settings).await;
    loop {
        let frame = peer.next_frame().await.unwrap();
        if frame.kind == HEADERS {
            return (peer, frame.stream);
        }
    }
}

pub async fn greet(mut io: DuplexStream, settings: &[u8]) -> RawPeer<DuplexStream> {
    let mut preface = [0; PREFACE.len()];
    io.read_exact(&mut preface).await.unwrap();
    let mut peer = RawPeer::silent(io);
    peer.write(&frame(SETTINGS, 0, 0, settings)).await;
    peer
}

/// A GOAWAY without a fault.
pub fn goaway(last_stream: u32) -> Vec<u8> {
    let mut payload = last_stream.to_be_bytes().to_vec();
    payload.extend(0_u32.to_be_bytes());
    frame(GOAWAY, 0, 0, &payload)
}

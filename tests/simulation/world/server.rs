//! Three servers that come and go, and handlers that do what the plan of their call says.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use barewire::{
    ByteStream, CallRecord, CallStart, Encoding, FirstPoll, Http2Config, Inbound, Interceptor,
    Metadata, Replies, ReplyEncoding, Request, Response, Server, ServerCall, ServerConfig, Service,
    Serving, Status,
};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::books::{Books, Handler};
use super::messages::{Way, message};
use super::network::Network;
use super::plan::{Act, Break, CallPlan, End, Kind, ServerPlan};

/// One server, through all its lives.
pub struct Host {
    number: usize,
    plan: ServerPlan,
    books: Books,
    network: Network,
    life: Mutex<Option<Life>>,
    /// Services that were made; they end with their servers.
    services: Mutex<Vec<std::sync::Weak<()>>>,
}

/// A server at work.
struct Life {
    door: mpsc::Sender<Box<dyn ByteStream>>,
    drain: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Host {
    pub fn new(number: usize, plan: ServerPlan, books: Books, network: Network) -> Self {
        Self {
            number,
            plan,
            books,
            network,
            life: Mutex::new(None),
            services: Mutex::default(),
        }
    }

    fn note(&self, what: &str) {
        self.books
            .log
            .note(format!("server {} {what}", self.number));
    }

    /// Where connections go in, while it lives.
    pub fn door(&self) -> Option<mpsc::Sender<Box<dyn ByteStream>>> {
        let life = self.life.lock().unwrap();
        let life = life.as_ref().filter(|life| life.drain.is_some())?;
        Some(life.door.clone())
    }

    /// Comes to life, unless it lives.
    pub fn start(&self) {
        let mut life = self.life.lock().unwrap();
        if life.as_ref().is_some_and(|life| !life.task.is_finished()) {
            return;
        }
        self.note("starts");
        let (door, queue) = mpsc::channel(16);
        let (drain, signal) = oneshot::channel();
        let alive = Arc::new(());
        self.services.lock().unwrap().push(Arc::downgrade(&alive));
        let mut server = Server::new()
            .with_config(config(&self.plan))
            .intercept(Gate {
                server: self.number,
                books: self.books.clone(),
            });
        for name in NAMES {
            server = server.add(Actor {
                name,
                books: self.books.clone(),
                _alive: Arc::clone(&alive),
            });
        }
        drop(alive);
        let drain_timeout = self.plan.drain_timeout;
        let (log, number) = (self.books.log.clone(), self.number);
        let counters = server.counters();
        let task = tokio::spawn(async move {
            let drained = async {
                // A server that is dropped is not drained.
                let _ = signal.await;
            };
            let report = server.serve_until(queue, drained).await.unwrap();
            log.note(format!(
                "server {number} drained in {:?}, {} calls cut, {counters:?}",
                report.duration,
                report.cut.len()
            ));
            if report.duration > drain_timeout + FAREWELL {
                log.violation(format!("server {number} drains for {:?}", report.duration));
            }
        });
        *life = Some(Life {
            door,
            drain: Some(drain),
            task,
        });
    }

    /// Ends at once, and all its connections with it.
    pub fn kill(&self, reset: bool) {
        self.note("is killed");
        let how = if reset { Break::Reset } else { Break::Fin };
        self.network.break_all(self.number, how);
        if let Some(life) = self.life.lock().unwrap().take() {
            life.task.abort();
        }
    }

    pub fn drain(&self) {
        let mut life = self.life.lock().unwrap();
        if let Some(drain) = life.as_mut().and_then(|life| life.drain.take()) {
            self.note("drains");
            let _ = drain.send(());
        }
    }

    /// Comes to life, once it has drained, unless it lives.
    pub async fn live_on(&self) {
        if self.door().is_none() {
            self.end().await;
        }
        self.start();
    }

    /// Drains, and ends.
    pub async fn end(&self) {
        self.drain();
        let life = self.life.lock().unwrap().take();
        if let Some(life) = life {
            let limit = self.plan.drain_timeout + FAREWELL + FAREWELL;
            if tokio::time::timeout(limit, life.task).await.is_err() {
                let rule = format!("server {} does not end", self.number);
                self.books.log.violation(rule);
            }
        }
    }

    /// What a server had is gone with it.
    pub fn check(&self) {
        let services = self.services.lock().unwrap();
        if services.iter().any(|one| one.strong_count() > 0) {
            let rule = format!("something of server {} is left", self.number);
            self.books.log.violation(rule);
        }
    }
}

/// What a connection may take after its calls: the last GOAWAY, and the time to take it.
const FAREWELL: Duration = Duration::from_secs(10);

pub const NAMES: [&str; 3] = ["none.Actor", "retry.Actor", "hedge.Actor"];

fn config(plan: &ServerPlan) -> ServerConfig {
    let (stream_window, connection_window) = match plan.small_windows {
        true => (65_535, 4 * 65_535),
        false => (256 * 1024, 16 * 1024 * 1024),
    };
    ServerConfig {
        http2: Http2Config {
            max_concurrent_streams: plan.max_concurrent_streams,
            stream_window,
            connection_window,
            keepalive_time: plan.keepalive.then_some(Duration::from_secs(3)),
            keepalive_timeout: Duration::from_secs(2),
            min_ping_interval: Duration::from_secs(5),
            max_connection_idle: plan.idle,
            max_connection_age: plan.age,
            max_connection_age_grace: plan.grace,
            first_poll: match plan.spawned {
                true => FirstPoll::Spawned,
                false => FirstPoll::Inline,
            },
            ..Http2Config::default()
        },
        max_concurrent_calls: plan.max_concurrent_calls,
        max_recv_message: plan.max_message,
        max_inflight_message_bytes: plan.max_inflight,
        max_buffered_bytes: plan.max_buffered,
        drain_timeout: plan.drain_timeout,
        reply_encoding: match plan.gzip {
            true => ReplyEncoding::Always(Encoding::Gzip),
            false => ReplyEncoding::AsRequest,
        },
        ..ServerConfig::default()
    }
}

/// Writes down what comes, and how it ends.
struct Gate {
    server: usize,
    books: Books,
}

/// The number of a request among those of its call.
#[derive(Clone, Copy)]
struct Number(usize);

impl Interceptor for Gate {
    async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
        let number = self.books.comes(call_id(call.path().method()), self.server);
        call.extensions.insert(Number(number));
        Ok(())
    }

    fn after(&self, call: &CallRecord<'_>) {
        let number = call.extensions.get().map(|Number(number)| *number);
        let outcome = call.outcome.as_ref().copied().map_err(|status| status.code);
        self.books
            .server_told(call_id(call.path.method()), number, outcome);
    }
}

/// The number of a call is at the end of its method's name.
fn call_id(method: &str) -> usize {
    let digits = method.trim_start_matches(|letter: char| !letter.is_ascii_digit());
    digits.parse().unwrap()
}

/// A service whose handlers do what the plan of their call says.
struct Actor {
    name: &'static str,
    books: Books,
    _alive: Arc<()>,
}

/// Writes down how a handler ends.
struct Scene<'a> {
    books: &'a Books,
    id: usize,
    number: usize,
    deadline: Option<Instant>,
    over: bool,
}

impl Scene<'_> {
    fn end(mut self, how: Handler) {
        self.over = true;
        self.books.handler(self.id, self.number, how);
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        if !self.over {
            let how = match std::thread::panicking() {
                true => Handler::Panicked,
                false => Handler::Dropped,
            };
            self.books.handler(self.id, self.number, how);
        }
        if let Some(deadline) = self.deadline
            && Instant::now() > deadline + Duration::from_millis(100)
        {
            let rule = format!("the handler of call {} outlives its deadline", self.id);
            self.books.log.violation(rule);
        }
    }
}

impl Service for Actor {
    fn name(&self) -> &'static str {
        self.name
    }

    fn serve(&self, call: ServerCall) -> Serving<'_> {
        let id = call_id(call.method());
        let plan = self.books.plan(id);
        Box::pin(async move {
            let plan = plan.ok_or_else(|| call.unknown_method())?;
            act(&self.books, &plan, call).await
        })
    }
}

async fn act(books: &Books, plan: &CallPlan, mut call: ServerCall) -> Result<(), Status> {
    let mut scene = None;
    let outcome = match plan.kind {
        Kind::Unary | Kind::ServerStreaming if plan.acts.first() != Some(&Act::Read(1)) => {
            let request: Request<Vec<u8>> = call.request().await?;
            let begun = scene.insert(begin(books, plan, &request));
            begun.check_message(plan, 0, &request.message);
            perform(begun, plan, &mut call, None).await
        }
        Kind::Unary | Kind::ServerStreaming | Kind::ClientStreaming | Kind::Bidi => {
            let mut requests: Request<Inbound<Vec<u8>>> = call.requests();
            let begun = scene.insert(begin(books, plan, &requests));
            perform(begun, plan, &mut call, Some(&mut requests)).await
        }
    };
    if let Some(scene) = scene {
        let code = outcome.as_ref().copied().map_err(|status| status.code);
        scene.end(Handler::Returned(code));
    }
    outcome
}

fn begin<'a, T>(books: &'a Books, plan: &CallPlan, request: &Request<T>) -> Scene<'a> {
    let Number(number) = *request.extensions.get().unwrap();
    books.handler(plan.id, number, Handler::Running);
    Scene {
        books,
        id: plan.id,
        number,
        deadline: request.deadline.map(|deadline| deadline.at()),
        over: false,
    }
}

impl Scene<'_> {
    fn check_message(&self, plan: &CallPlan, index: usize, found: &[u8]) {
        let due = plan.requests.get(index);
        if due.is_none_or(|length| message(self.id, Way::Request, index, *length) != found) {
            let rule = format!("message {index} of call {} is another", self.id);
            self.books.log.violation(rule);
        }
    }
}

async fn perform(
    scene: &Scene<'_>,
    plan: &CallPlan,
    call: &mut ServerCall,
    mut requests: Option<&mut Request<Inbound<Vec<u8>>>>,
) -> Result<(), Status> {
    let mut replies: Option<Replies<Vec<u8>>> = None;
    if plan.kind.streams_replies() {
        replies = Some(call.replies());
    }
    let (mut read, mut sent) = (0, 0);
    for act in &plan.acts {
        match (act, &mut replies) {
            (Act::Sleep(time), _) => sleep(*time).await,
            (Act::Read(count), _) => {
                let Some(requests) = &mut requests else {
                    continue;
                };
                for _ in 0..*count {
                    let Some(message) = requests.next().await? else {
                        if read != plan.requests.len() || !plan.finishes {
                            let rule = format!("call {} ends after {read} messages", plan.id);
                            scene.books.log.violation(rule);
                        }
                        break;
                    };
                    scene.check_message(plan, read, &message);
                    read += 1;
                }
            }
            (Act::Headers, Some(replies)) => {
                // They may have left already.
                let _ = replies.send_headers(Metadata::new()).await;
            }
            (Act::Send(length), Some(replies)) => {
                replies
                    .send(message(plan.id, Way::Reply, sent, *length))
                    .await?;
                sent += 1;
            }
            (Act::Headers | Act::Send(_), None) => {}
        }
    }
    match plan.end {
        End::Panic => panic!("{PLANNED}"),
        End::Fail(code) => Err(Status::new(code, "as planned")),
        End::Ok(length) if !plan.kind.streams_replies() => {
            call.reply(Response::new(message(plan.id, Way::Reply, 0, length)))
                .await
        }
        End::Ok(_) => Ok(()),
    }
}

/// What handlers say that panic because they should.
pub const PLANNED: &str = "a planned panic";

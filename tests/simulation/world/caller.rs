//! The client: a channel, and callers who do what the plan of their call says.

use std::future::{pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use barewire::resolve::{Resolution, ResolveError, Resolver, Resolving};
use barewire::{
    Address, AttemptPolicy, Balancing, ByteStream, CallRecord, Channel, ChannelConfig,
    ClientHttp2Config, Code, Dialer, Dialing, Encoding, HedgingPolicy, Inbound, MethodConfig,
    MethodPath, Outbound, Request, Response, RetryPolicy, RetryThrottling, ServiceConfig, Status,
    Target,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::books::{Books, Ended, MAX_ATTEMPTS};
use super::log::Log;
use super::messages::{Way, message};
use super::network::Network;
use super::plan::{Balance, CallPlan, ClientPlan, Kind, Names, Policy};
use super::server::{Host, NAMES};

/// A channel to all servers.
pub fn channel(
    plan: &ClientPlan,
    books: &Books,
    names: Arc<NameServer>,
    dialer: Arc<dyn Dialer>,
) -> Channel {
    let books = books.clone();
    let channel = Channel::with_config("dns:///servers", config(plan, names, dialer)).unwrap();
    channel.intercept(move |call: &CallRecord<'_>| {
        let digits = call.path.method().trim_start_matches(char::is_alphabetic);
        let outcome = call.outcome.as_ref().copied().map_err(|status| status.code);
        books.told(digits.parse().unwrap(), outcome);
    })
}

fn config(plan: &ClientPlan, names: Arc<NameServer>, dialer: Arc<dyn Dialer>) -> ChannelConfig {
    let (stream_window, connection_window) = match plan.small_windows {
        true => (65_535, 4 * 65_535),
        false => (1024 * 1024, 32 * 1024 * 1024),
    };
    let codes = vec![Code::Unavailable, Code::Aborted];
    let retry = AttemptPolicy::Retry(RetryPolicy {
        max_attempts: MAX_ATTEMPTS,
        initial_backoff: Duration::from_millis(50),
        max_backoff: Duration::from_secs(1),
        backoff_multiplier: 2.0,
        retryable_codes: codes.clone(),
    });
    let hedge = AttemptPolicy::Hedge(HedgingPolicy {
        max_attempts: MAX_ATTEMPTS,
        hedging_delay: Duration::from_millis(70),
        non_fatal_codes: codes,
    });
    let methods = [AttemptPolicy::Once, retry, hedge].map(|attempts| MethodConfig {
        attempts,
        ..MethodConfig::default()
    });
    ChannelConfig {
        http2: ClientHttp2Config {
            stream_window,
            connection_window,
            keepalive_time: plan.keepalive.then_some(Duration::from_secs(10)),
            keepalive_timeout: Duration::from_secs(3),
            ..ClientHttp2Config::default()
        },
        resolver: Some(names),
        dialer: Some(dialer),
        balancing: match plan.balancing {
            Balance::PickFirst => Balancing::PickFirst { shuffle: false },
            Balance::Shuffled => Balancing::PickFirst { shuffle: true },
            Balance::RoundRobin => Balancing::RoundRobin,
            Balance::LeastRequest => Balancing::LeastRequest { choice_count: 2 },
        },
        idle_timeout: plan.idle_timeout,
        max_pending_calls: plan.max_pending_calls,
        max_connections_per_address: plan.max_connections_per_address,
        max_recv_message: plan.max_message,
        max_send_message: plan.max_message,
        retries: plan.retries,
        retry_buffer_per_call: plan.retry_buffer,
        service_config: Some(ServiceConfig {
            services: NAMES.map(str::to_owned).into_iter().zip(methods).collect(),
            retry_throttling: plan.throttled.then_some(RetryThrottling {
                max_tokens: 3,
                token_ratio: 0.5,
            }),
            ..ServiceConfig::default()
        }),
        ..ChannelConfig::default()
    }
}

/// Knows the addresses of the servers, or does not.
pub struct NameServer {
    names: Mutex<Names>,
    news: Notify,
}

impl NameServer {
    pub fn new() -> Self {
        Self {
            names: Mutex::new(Names::Are(7)),
            news: Notify::new(),
        }
    }

    pub fn set(&self, names: Names) {
        *self.names.lock().unwrap() = names;
        self.news.notify_one();
    }
}

impl Resolver for NameServer {
    fn resolve<'a>(&'a self, _: &'a Target) -> Resolving<'a> {
        Box::pin(async {
            let names = *self.names.lock().unwrap();
            let bits = match names {
                Names::Are(bits) => bits,
                Names::Slow(time) => {
                    sleep(time).await;
                    7
                }
                Names::Fail => return Err(ResolveError::new("nobody knows")),
            };
            let servers = (0..3).filter(|server| bits & (1 << server) != 0);
            Ok(Resolution::new(
                servers.map(|server| Address::Named(format!("{server}"))),
            ))
        })
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.news.notified())
    }
}

/// Makes connections to the servers that live.
pub struct Doors {
    pub network: Network,
    pub hosts: Vec<Arc<Host>>,
    pub log: Log,
}

impl Dialer for Doors {
    fn dial<'a>(&'a self, address: &'a Address) -> Dialing<'a> {
        Box::pin(async move {
            let server: usize = address.to_string().parse().unwrap();
            self.log.note(format!("dials {server}"));
            sleep(self.network.latency()).await;
            match self.network.refuses() {
                None => {}
                Some(true) => return Err(io::ErrorKind::ConnectionRefused.into()),
                Some(false) => pending().await,
            }
            let door = self.hosts[server].door();
            let (ours, theirs) = self.network.connect(server);
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            door.ok_or_else(refused)?
                .try_send(Box::new(theirs))
                .map_err(|_| refused())?;
            let ours: Box<dyn ByteStream> = Box::new(ours);
            Ok(ours)
        })
    }
}

/// Makes a call as it is planned, and writes down how it ends.
pub async fn make(books: Books, plan: Arc<CallPlan>, channel: Channel, cancel: Arc<Notify>) {
    books.open(&plan);
    let mut caller = Caller {
        books: &books,
        plan: &plan,
        deadline: plan.timeout.map(|timeout| Instant::now() + timeout),
        messages: 0,
    };
    let ended = {
        let mut talk = pin!(caller.talk(&channel));
        let patience = async {
            match plan.cancel_after {
                Some(time) => sleep(time).await,
                None => pending().await,
            }
        };
        let (mut patience, mut cancelled) = (pin!(patience), pin!(cancel.notified()));
        // The call races with whoever gives it up.
        poll_fn(|cx| {
            if let Poll::Ready(outcome) = talk.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            if patience.as_mut().poll(cx).is_ready() || cancelled.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            Poll::Pending
        })
        .await
    };
    let messages = caller.messages;
    books.ended(
        plan.id,
        match ended {
            Some(Some(outcome)) => Ended::Status(outcome, messages),
            Some(None) | None => Ended::GivenUp,
        },
    );
}

struct Caller<'a> {
    books: &'a Books,
    plan: &'a CallPlan,
    deadline: Option<Instant>,
    /// Replies that have come.
    messages: usize,
}

impl Caller<'_> {
    /// `None` if the caller has lost interest.
    async fn talk(&mut self, channel: &Channel) -> Option<Result<(), Status>> {
        let plan = self.plan;
        let path = self.path();
        let one = || message(plan.id, Way::Request, 0, plan.requests[0]);
        match plan.kind {
            Kind::Unary => {
                let answer = channel.unary::<Vec<u8>, _>(path, self.request(one()));
                let answer: Result<Response<Vec<u8>>, _> = self.timely("an answer", answer).await;
                Some(answer.map(|answer| self.take(&answer.message)))
            }
            Kind::ServerStreaming => {
                let opened = channel.server_streaming::<Vec<u8>, _>(path, self.request(one()));
                match self.timely("a stream", opened).await {
                    Ok(replies) => self.read(replies).await,
                    Err(status) => Some(Err(status)),
                }
            }
            Kind::ClientStreaming => {
                let opened = channel.client_streaming(path, self.request(()));
                let (requests, reply) = match self.timely("a stream", opened).await {
                    Ok(halves) => halves,
                    Err(status) => return Some(Err(status)),
                };
                let reads = async {
                    let answer = self.timely("an answer", reply.single()).await;
                    let answer: Result<Response<Vec<u8>>, _> = answer;
                    Some(answer.map(|answer| self.take(&answer.message)))
                };
                until(reads, Self::write(plan, requests)).await
            }
            Kind::Bidi => {
                let opened = channel.bidi(path, self.request(()));
                let (requests, replies) = match self.timely("a stream", opened).await {
                    Ok(halves) => halves,
                    Err(status) => return Some(Err(status)),
                };
                until(self.read(replies), Self::write(plan, requests)).await
            }
        }
    }

    fn path(&self) -> MethodPath {
        let service = match self.plan.policy {
            Policy::None => NAMES[0],
            Policy::Retry => NAMES[1],
            Policy::Hedge => NAMES[2],
        };
        let path = format!("/{service}/{:?}{}", self.plan.kind, self.plan.id);
        MethodPath::parse(path.parse().unwrap()).unwrap()
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let plan = self.plan;
        let mut request = Request::new(message).with_wait_for_ready(plan.wait_for_ready);
        if let Some(timeout) = plan.timeout {
            request = request.with_timeout(timeout);
        }
        if plan.gzip {
            request = request.with_encoding(Encoding::Gzip);
        }
        if plan.metadata > 0 {
            let value = "m".repeat(plan.metadata);
            request.metadata.insert("x-much", &value).unwrap();
        }
        request
    }

    async fn write(plan: &CallPlan, mut requests: Outbound<Vec<u8>>) {
        for (index, length) in plan.requests.iter().enumerate() {
            sleep(plan.pause).await;
            let message = message(plan.id, Way::Request, index, *length);
            if requests.send(message).await.is_err() {
                // Whoever reads is told why.
                return;
            }
        }
        if plan.finishes {
            let _ = requests.finish();
        }
    }

    async fn read(&mut self, mut replies: Inbound<Vec<u8>>) -> Option<Result<(), Status>> {
        let plan = self.plan;
        while plan.reads.is_none_or(|most| self.messages < most) {
            match self.timely("a message", replies.next()).await {
                Ok(Some(message)) => self.take(&message),
                Ok(None) => {
                    let again = self.timely("the end", replies.next()).await;
                    self.must(again == Ok(None), "an OK end is none");
                    return Some(Ok(()));
                }
                Err(status) => {
                    let again = self.timely("the end", replies.next()).await;
                    self.must(again == Err(status.clone()), "a failure has two statuses");
                    return Some(Err(status));
                }
            }
            sleep(plan.slowness).await;
        }
        None
    }

    fn take(&mut self, found: &[u8]) {
        let index = self.messages;
        self.messages += 1;
        let due = self.plan.replies().get(index).copied();
        let same =
            due.is_some_and(|length| message(self.plan.id, Way::Reply, index, length) == found);
        self.must(same, "a reply is another");
    }

    fn must(&self, rule: bool, text: &str) {
        if !rule {
            let rule = format!("call {}: {text}", self.plan.id);
            self.books.log.violation(rule);
        }
    }

    /// What a call yields, which must be soon after its deadline.
    async fn timely<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let now = Instant::now();
        let deadline = self.deadline.map_or(now + PATIENCE, |at| at.max(now));
        let limit = deadline + Duration::from_millis(100);
        let done = timeout_at(limit, work).await;
        // The limit wakes the call too, which then sees by itself that it is late.
        let rule = format!("waits for {what} past its deadline");
        self.must(done.is_ok() && Instant::now() < limit, &rule);
        match done {
            Ok(done) => done,
            Err(_) => pending().await,
        }
    }
}

/// Longer than any call takes that has no deadline.
pub const PATIENCE: Duration = Duration::from_secs(3_600);

/// What `work` yields, with `beside` at work too as long as that takes.
async fn until<T>(work: impl Future<Output = T>, beside: impl Future<Output = ()>) -> T {
    let (mut work, mut beside) = (pin!(work), pin!(beside));
    let mut busy = true;
    poll_fn(|cx| {
        if busy {
            busy = beside.as_mut().poll(cx).is_pending();
        }
        work.as_mut().poll(cx)
    })
    .await
}

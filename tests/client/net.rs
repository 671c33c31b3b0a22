//! A network in memory: addresses, what is behind each of them, and a dialer that leads there. Servers
//! are bare h2, so that a test decides about each stream, and about the end of each connection.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barewire::resolve::{Fixed, Resolution, ResolveError, Resolver, Resolving};
use barewire::{
    Address, Balancing, ByteStream, Channel, ChannelConfig, ConnectivityState, Dialer, Dialing,
    MethodPath, Request, Response, ServiceConfig, ServiceConfigError, Status, Target,
};
use bytes::Bytes;
use http::HeaderMap;
use prost::Message;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

use crate::tokio;

/// Longer than anything here takes, in time that is stopped.
pub const LONG: Duration = Duration::from_secs(24 * 60 * 60);

/// How long it takes to connect.
pub const LATENCY: Duration = Duration::from_millis(1);

/// The address of this number.
pub fn address(number: u8) -> Address {
    Address::Tcp(([10, 0, 0, number], 50051).into())
}

/// Addresses, and what is behind them.
#[derive(Clone, Default)]
pub struct Net {
    places: Arc<Mutex<HashMap<Address, Place>>>,
    /// When which address was dialled.
    dials: Arc<Mutex<Vec<(Instant, Address)>>>,
    /// Attempts under way.
    dialling: Arc<AtomicUsize>,
}

/// What is behind an address.
#[derive(Clone)]
pub enum Place {
    /// Nobody: the attempt fails at once.
    Refused,
    /// Nothing: the attempt does not end.
    BlackHole,
    /// Somebody who takes connections and says nothing.
    Mute,
    /// Somebody who takes connections, says SETTINGS, and ends them.
    Flighty,
    /// A server.
    Host(Host),
    /// Anything that takes one end of a byte stream.
    Other(Arc<dyn Fn(tokio::io::DuplexStream) + Send + Sync>),
}

impl Net {
    /// A network with one server of these numbers each.
    pub fn with_hosts<const N: usize>(numbers: [u8; N]) -> (Self, [Host; N]) {
        let net = Self::default();
        let hosts = numbers.map(|number| net.host(number));
        (net, hosts)
    }

    /// A new server at this number.
    pub fn host(&self, number: u8) -> Host {
        let host = Host::new(number);
        self.put(number, Place::Host(host.clone()));
        host
    }

    pub fn put(&self, number: u8, place: Place) {
        self.places.lock().unwrap().insert(address(number), place);
    }

    /// The numbers dialled so far.
    pub fn dialled(&self) -> Vec<u8> {
        let dials = self.dials.lock().unwrap();
        dials.iter().map(|(_, address)| number(address)).collect()
    }

    /// When this number was dialled, in seconds after the first dial.
    pub fn dial_times(&self, of: u8) -> Vec<f64> {
        let dials = self.dials.lock().unwrap();
        let Some((first, _)) = dials.first() else {
            return Vec::new();
        };
        dials
            .iter()
            .filter(|(_, address)| number(address) == of)
            .map(|(at, _)| (*at - *first).as_secs_f64())
            .collect()
    }

    /// Attempts that have not ended.
    pub fn dialling(&self) -> usize {
        self.dialling.load(Ordering::SeqCst)
    }

    /// A channel to these numbers.
    pub fn channel<const N: usize>(&self, numbers: [u8; N]) -> Channel {
        self.channel_with(numbers, ChannelConfig::default())
    }

    pub fn channel_with<const N: usize>(&self, numbers: [u8; N], config: ChannelConfig) -> Channel {
        let resolver = Fixed::new(numbers.map(address));
        self.channel_of(Arc::new(resolver), config)
    }

    pub fn channel_of(&self, resolver: Arc<dyn Resolver>, config: ChannelConfig) -> Channel {
        let config = ChannelConfig {
            resolver: Some(resolver),
            dialer: Some(Arc::new(self.clone())),
            ..config
        };
        Channel::with_config("dns:///service.test", config).unwrap()
    }
}

/// A configuration with this way of balancing.
pub fn balancing(balancing: Balancing) -> ChannelConfig {
    ChannelConfig {
        balancing,
        ..ChannelConfig::default()
    }
}

fn number(address: &Address) -> u8 {
    match address {
        Address::Tcp(address) => match address.ip() {
            std::net::IpAddr::V4(ip) => ip.octets()[3],
            std::net::IpAddr::V6(ip) => ip.octets()[15],
        },
        other => panic!("no number: {other:?}"),
    }
}

impl Dialer for Net {
    fn dial<'a>(&'a self, address: &'a Address) -> Dialing<'a> {
        let entry = (Instant::now(), address.clone());
        self.dials.lock().unwrap().push(entry);
        let place = self.places.lock().unwrap().get(address).cloned();
        let under_way = UnderWay::new(&self.dialling);
        Box::pin(async move {
            let _under_way = under_way;
            // So that it can be seen that a channel is connecting.
            tokio::time::sleep(LATENCY).await;
            let (ours, theirs) = tokio::io::duplex(1024 * 1024);
            match place.unwrap_or(Place::Refused) {
                Place::Refused => {
                    let error = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
                    return Err(error);
                }
                Place::BlackHole => pending().await,
                Place::Mute => {
                    tokio::spawn(async move {
                        let _theirs = theirs;
                        pending::<()>().await;
                    });
                }
                Place::Flighty => {
                    tokio::spawn(async move {
                        let mut h2 = h2::server::handshake(theirs).await.unwrap();
                        // SETTINGS leave, then the connection ends.
                        let turn = tokio::time::timeout(Duration::from_millis(1), h2.accept());
                        let _ = turn.await;
                    });
                }
                Place::Host(host) => host.serve(theirs),
                Place::Other(serve) => serve(theirs),
            }
            let ours: Box<dyn ByteStream> = Box::new(ours);
            Ok(ours)
        })
    }
}

/// Counts while it lives.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A server that answers each call with its number.
#[derive(Clone)]
pub struct Host(Arc<HostState>);

struct HostState {
    number: u8,
    limit: Mutex<Option<u32>>,
    connections: Mutex<Vec<Connection>>,
    /// Connections taken so far.
    taken: AtomicUsize,
    /// Calls begun and not ended.
    calls: Arc<AtomicUsize>,
    /// The texts of requests, in the order in which they came.
    requests: Mutex<Vec<String>>,
    /// Calls of `Hold` end when this is notified.
    release: Notify,
    changed: Notify,
}

struct Connection {
    orders: mpsc::UnboundedSender<Order>,
    task: AbortHandle,
    calls: Arc<AtomicUsize>,
}

enum Order {
    GoAway,
}

impl Host {
    pub fn new(number: u8) -> Self {
        Self(Arc::new(HostState {
            number,
            limit: Mutex::default(),
            connections: Mutex::default(),
            taken: AtomicUsize::new(0),
            calls: Arc::default(),
            requests: Mutex::default(),
            release: Notify::new(),
            changed: Notify::new(),
        }))
    }

    /// From its next connection on it takes so many streams at once.
    pub fn limit(&self, streams: u32) {
        *self.0.limit.lock().unwrap() = Some(streams);
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        let connections = self.0.connections.lock().unwrap();
        connections
            .iter()
            .filter(|one| !one.task.is_finished())
            .count()
    }

    /// Calls under way on each connection, the oldest first.
    pub fn calls_by_connection(&self) -> Vec<usize> {
        let connections = self.0.connections.lock().unwrap();
        let open = connections.iter().filter(|one| !one.task.is_finished());
        open.map(|one| one.calls.load(Ordering::SeqCst)).collect()
    }

    /// Connections taken so far.
    pub fn taken(&self) -> usize {
        self.0.taken.load(Ordering::SeqCst)
    }

    pub fn calls(&self) -> usize {
        self.0.calls.load(Ordering::SeqCst)
    }

    pub fn requests(&self) -> Vec<String> {
        self.0.requests.lock().unwrap().clone()
    }

    /// Lets one call of `Hold` end.
    pub fn release_one(&self) {
        self.0.release.notify_one();
    }

    pub fn release_all(&self) {
        self.0.release.notify_waiters();
    }

    /// Cuts all connections, as if the process were killed.
    pub fn cut(&self) {
        for connection in self.0.connections.lock().unwrap().drain(..) {
            connection.task.abort();
        }
    }

    /// Cuts the oldest connection.
    pub fn cut_oldest(&self) {
        self.0.connections.lock().unwrap().remove(0).task.abort();
    }

    /// Says GOAWAY on all connections; their calls go on.
    pub fn go_away(&self) {
        for connection in self.0.connections.lock().unwrap().iter() {
            let _ = connection.orders.send(Order::GoAway);
        }
    }

    /// Waits until `condition` holds.
    pub async fn wait_for(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let wait = async {
            loop {
                let changed = self.0.changed.notified();
                if condition(self) {
                    return;
                }
                changed.await;
            }
        };
        let patience = tokio::time::timeout(LONG, wait).await;
        patience.unwrap_or_else(|_| panic!("never: {what}"));
    }

    /// Serves one end of a byte stream.
    pub fn serve(&self, io: tokio::io::DuplexStream) {
        let (orders, heard) = mpsc::unbounded_channel();
        let calls = Arc::new(AtomicUsize::new(0));
        let task = tokio::spawn(self.clone().run(io, heard, Arc::clone(&calls)));
        self.0.taken.fetch_add(1, Ordering::SeqCst);
        self.0.connections.lock().unwrap().push(Connection {
            orders,
            task: task.abort_handle(),
            calls,
        });
        self.0.changed.notify_waiters();
    }

    async fn run(
        self,
        io: tokio::io::DuplexStream,
        mut orders: mpsc::UnboundedReceiver<Order>,
        calls: Arc<AtomicUsize>,
    ) {
        let mut builder = h2::server::Builder::new();
        if let Some(limit) = *self.0.limit.lock().unwrap() {
            builder.max_concurrent_streams(limit);
        }
        let Ok(mut h2) = builder.handshake::<_, Bytes>(io).await else {
            return;
        };
        loop {
            // A test gives orders while streams come.
            tokio::select! {
                accepted = h2.accept() => match accepted {
                    Some(Ok((request, respond))) => {
                        tokio::spawn(self.clone().answer(request, respond, Arc::clone(&calls)));
                    }
                    Some(Err(_)) | None => return,
                },
                order = orders.recv() => match order {
                    Some(Order::GoAway) => h2.graceful_shutdown(),
                    None => return,
                }
            }
        }
    }

    async fn answer(
        self,
        request: http::Request<h2::RecvStream>,
        mut respond: h2::server::SendResponse<Bytes>,
        on_connection: Arc<AtomicUsize>,
    ) {
        let _calls = (
            UnderWay::new(&self.0.calls),
            UnderWay::new(&on_connection),
            Changed(&self),
        );
        let (head, mut body) = request.into_parts();
        let mut message = Vec::new();
        while let Some(Ok(data)) = body.data().await {
            message.extend_from_slice(&data);
        }
        let text = String::decode(message.get(5..).unwrap_or_default()).unwrap();
        self.0.requests.lock().unwrap().push(text);
        self.0.changed.notify_waiters();
        if head.uri.path().ends_with("Hold") {
            // The caller may give up first.
            tokio::select! {
                () = self.0.release.notified() => {}
                _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => return,
            }
        }
        if head.uri.path().ends_with("Slow") {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let head = http::Response::builder().header("content-type", "application/grpc");
        let Ok(mut stream) = respond.send_response(head.body(()).unwrap(), false) else {
            return;
        };
        let answer = self.0.number.to_string().encode_to_vec();
        let mut framed = vec![0, 0, 0, 0, u8::try_from(answer.len()).unwrap()];
        framed.extend(answer);
        let _ = stream.send_data(framed.into(), false);
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().unwrap());
        let _ = stream.send_trailers(trailers);
    }
}

/// Tells of a change when it is dropped.
struct Changed<'a>(&'a Host);

impl Drop for Changed<'_> {
    fn drop(&mut self) {
        self.0.0.changed.notify_waiters();
    }
}

/// Calls a method, and yields the number of the server that has answered.
pub async fn call_with(
    channel: &Channel,
    method: &'static str,
    request: Request<String>,
) -> Result<u8, Status> {
    let path = MethodPath::from_static(method);
    // A call that never ends would let stopped time run for ever.
    let ended = tokio::time::timeout(LONG, channel.unary::<String, _>(path, request)).await;
    let answer: Response<String> = ended.expect("the call ends")?;
    Ok(answer.message.parse().unwrap())
}

/// A call that is answered at once.
pub async fn call(channel: &Channel) -> Result<u8, Status> {
    call_with(channel, "/test.Host/Call", Request::new(String::new())).await
}

/// A call that is answered when the server releases it.
pub fn hold(channel: &Channel, text: impl ToString) -> JoinHandle<Result<u8, Status>> {
    let (channel, text) = (channel.clone(), text.to_string());
    tokio::spawn(async move { call_with(&channel, "/test.Host/Hold", Request::new(text)).await })
}

/// A call that waits while the server cannot be reached.
pub fn patient_call(channel: &Channel) -> JoinHandle<Result<u8, Status>> {
    let channel = channel.clone();
    let request = Request::new(String::new()).with_wait_for_ready(true);
    tokio::spawn(async move { call_with(&channel, "/test.Host/Call", request).await })
}

/// Waits until the channel is in this state.
pub async fn becomes(channel: &Channel, state: ConnectivityState) {
    let wait = async {
        let mut now = channel.state();
        while now != state {
            now = channel.state_changed(now).await;
        }
    };
    let patience = tokio::time::timeout(LONG, wait).await;
    patience.unwrap_or_else(|_| panic!("never {state}: {}", channel.state()));
}

/// Notes the states of a channel from now on.
pub fn log_states(channel: &Channel) -> Arc<Mutex<Vec<ConnectivityState>>> {
    let mut state = channel.state();
    let log = Arc::new(Mutex::new(vec![state]));
    let (channel, noted) = (channel.clone(), Arc::clone(&log));
    tokio::spawn(async move {
        loop {
            state = channel.state_changed(state).await;
            noted.lock().unwrap().push(state);
        }
    });
    log
}

/// Lets everything happen that needs no more time than to connect.
pub async fn settle() {
    // Stopped time moves only when nothing else can.
    tokio::time::sleep(5 * LATENCY).await;
}

/// A resolver that answers as a test says.
#[derive(Clone, Default)]
pub struct Script(Arc<ScriptState>);

#[derive(Default)]
struct ScriptState {
    answer: Mutex<Option<Result<Vec<Address>, String>>>,
    config: Mutex<Option<Result<ServiceConfig, ServiceConfigError>>>,
    asked: Mutex<Vec<Instant>>,
    news: Notify,
}

impl Script {
    pub fn answering(answer: Result<&[u8], &str>) -> Self {
        let script = Self::default();
        script.answer(answer);
        script
    }

    /// From now on it answers so.
    pub fn answer(&self, answer: Result<&[u8], &str>) {
        let answer = answer
            .map(|numbers| numbers.iter().map(|number| address(*number)).collect())
            .map_err(ToOwned::to_owned);
        *self.0.answer.lock().unwrap() = Some(answer);
    }

    /// And says that it does.
    pub fn announce(&self, answer: Result<&[u8], &str>) {
        self.answer(answer);
        self.0.news.notify_one();
    }

    /// And brings this service config.
    pub fn config(&self, json: Option<&str>) {
        *self.0.config.lock().unwrap() = json.map(ServiceConfig::from_json);
    }

    /// When it was asked, in seconds after the first time.
    pub fn asked(&self) -> Vec<f64> {
        let asked = self.0.asked.lock().unwrap();
        asked
            .iter()
            .map(|at| (*at - asked[0]).as_secs_f64())
            .collect()
    }
}

impl Resolver for Script {
    fn resolve<'a>(&'a self, _: &'a Target) -> Resolving<'a> {
        self.0.asked.lock().unwrap().push(Instant::now());
        let answer = self.0.answer.lock().unwrap().clone();
        let service_config = self.0.config.lock().unwrap().clone();
        Box::pin(async move {
            match answer {
                Some(Ok(addresses)) => Ok(Resolution {
                    addresses,
                    service_config,
                }),
                Some(Err(text)) => Err(ResolveError::new(text)),
                None => pending().await,
            }
        })
    }

    fn changed(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.news.notified())
    }
}

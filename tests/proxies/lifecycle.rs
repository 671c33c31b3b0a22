//! Servers that come and go behind a proxy, and connections that are ended on purpose.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use barewire::tutorial::proto::chat::{ChatRequest, ChatServiceClient};
use barewire::tutorial::proto::helloworld::{GreeterClient, HelloRequest};
use barewire::{Channel, Code, Counter, MethodPath, ServerConfig, Status};
use socket2::{Domain, Socket, Type};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::check::Check;
use crate::process::Process;
use crate::proxy::{Kind, Security};
use crate::site::{Scene, Site, in_time};
use crate::support::connect;

pub(crate) fn checks() -> Vec<Check> {
    vec![
        Check::new(a_dead_server_is_unavailable),
        Check::new(a_server_that_drains_fails_no_call),
        Check::new(a_server_that_is_killed_fails_what_it_had),
        Check::new(connections_that_grow_old_fail_no_call),
        Check::new(a_proxy_that_ends_connections_fails_no_call).except(
            Kind::Haproxy,
            &Security::ALL,
            "it has no setting that ends a connection after some calls",
        ),
        Check::new(a_server_hears_the_proxy_answer_its_pings),
        Check::new(a_client_hears_the_proxy_answer_its_pings),
    ]
}

/// Calls that go on side by side until they are told to stop.
struct Load {
    calls: JoinSet<Vec<Status>>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    done: AtomicUsize,
    changed: Notify,
    stop: AtomicBool,
}

impl Load {
    /// As many at a time as `WORKERS`: unary ones, and streams of some messages.
    fn start(channel: &Channel) -> Self {
        let progress = Arc::new(Progress::default());
        let mut calls = JoinSet::new();
        for worker in 0..WORKERS {
            let (channel, progress) = (channel.clone(), Arc::clone(&progress));
            calls.spawn(async move {
                let mut failures = Vec::new();
                while !progress.stop.load(Ordering::SeqCst) {
                    let ended = match worker % 2 {
                        0 => greet(&channel).await,
                        _ => chat(&channel).await,
                    };
                    failures.extend(ended.err());
                    progress.done.fetch_add(1, Ordering::SeqCst);
                    progress.changed.notify_waiters();
                }
                failures
            });
        }
        Self { calls, progress }
    }

    /// Waits for so many calls more, or for something else.
    async fn goes_on(&self, calls: usize) {
        let progress = &self.progress;
        let enough = progress.done.load(Ordering::SeqCst) + calls;
        let wait = async {
            loop {
                let changed = progress.changed.notified();
                if progress.done.load(Ordering::SeqCst) >= enough {
                    return;
                }
                changed.await;
            }
        };
        in_time("more calls", wait).await;
    }

    /// Ends it. Yields the calls that failed.
    async fn stop(self) -> Vec<Status> {
        self.progress.stop.store(true, Ordering::SeqCst);
        let failures = in_time("the last calls", self.calls.join_all()).await;
        failures.concat()
    }
}

async fn greet(channel: &Channel) -> Result<(), Status> {
    let request = HelloRequest {
        name: "you".to_owned(),
    };
    let reply = GreeterClient::new(channel.clone())
        .say_hello(request)
        .await?;
    assert_eq!(reply.message.message, "Hello, you!");
    Ok(())
}

async fn chat(channel: &Channel) -> Result<(), Status> {
    let (mut requests, mut replies) = ChatServiceClient::new(channel.clone()).chat(()).await?;
    for _ in 0..5 {
        // What is wrong is told by the other half.
        let _ = requests
            .send(ChatRequest {
                message: "hello".to_owned(),
            })
            .await;
        let reply = replies
            .next()
            .await?
            .ok_or_else(|| Status::data_loss("no answer"))?;
        assert_eq!(reply.message, "You said: hello");
    }
    let _ = requests.finish();
    match replies.next().await? {
        None => Ok(()),
        Some(_) => Err(Status::data_loss("an answer too many")),
    }
}

/// `barewire serve`.
struct Served {
    process: Process,
    port: u16,
}

impl Served {
    fn start(site: &Site) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
        let flags = ["serve", "--addr", "127.0.0.1:0", "--log", "none"];
        let process = Process::start(command.args(flags).args(site.tls_flags())).unwrap();
        let line = process.next_line(START_LIMIT);
        let line = line.unwrap_or_else(|_| panic!("{}", process.last_words()));
        let address = line.strip_prefix("listening on ").expect(&line);
        let (address, _) = address.split_once(" (").expect(&line);
        let (_, port) = address.split_once(':').expect(&line);
        Self {
            port: port.parse().expect(&line),
            process,
        }
    }
}

async fn a_dead_server_is_unavailable(site: &Site) {
    // Bound and deaf: who connects is refused, and nobody else takes the port.
    let places: Vec<Socket> = (0..2)
        .map(|_| {
            let place = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            place
                .bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())
                .unwrap();
            place
        })
        .collect();
    let port = |place: &Socket| place.local_addr().unwrap().as_socket().unwrap().port();
    let ports: Vec<u16> = places.iter().map(port).collect();
    let proxy = site.proxy(&ports);
    let channel = site.channel(proxy.address);
    for _ in 0..5 {
        let status = greet(&channel).await.unwrap_err();
        assert_eq!(status.code, Code::Unavailable, "{status}");
        let status = chat(&channel).await.unwrap_err();
        assert_eq!(status.code, Code::Unavailable, "{status}");
    }
}

async fn a_server_that_drains_fails_no_call(site: &Site) {
    let (mut one, two) = (Served::start(site), Served::start(site));
    let proxy = site.proxy(&[one.port, two.port]);
    let load = Load::start(&site.channel(proxy.address));
    load.goes_on(200).await;
    one.process.signal("TERM");
    load.goes_on(500).await;
    let status = one
        .process
        .exit_status(START_LIMIT)
        .expect("the server ends");
    load.goes_on(500).await;
    assert_eq!(load.stop().await, []);
    assert!(status.success(), "{status}; {}", one.process.last_words());
}

async fn a_server_that_is_killed_fails_what_it_had(site: &Site) {
    let (mut one, two) = (Served::start(site), Served::start(site));
    let proxy = site.proxy(&[one.port, two.port]);
    let channel = site.channel(proxy.address);
    let load = Load::start(&channel);
    load.goes_on(200).await;
    one.process.signal("KILL");
    load.goes_on(500).await;
    let failures = load.stop().await;
    assert!(
        failures.len() <= WORKERS,
        "{} calls failed: {failures:?}",
        failures.len()
    );
    for status in failures {
        // Where an answer had begun, it is cut: gRPC has INTERNAL for that.
        let is_known = [Code::Unavailable, Code::Internal].contains(&status.code);
        assert!(is_known, "{status}");
    }
    // From here on the other one has all.
    for _ in 0..50 {
        greet(&channel).await.unwrap();
    }
}

async fn connections_that_grow_old_fail_no_call(site: &Site) {
    let mut config = ServerConfig::default();
    config.http2.max_connection_age = Some(Duration::from_millis(100));
    let scene = Scene::with(site, config).await;
    let channel = scene.channel();
    let ended = || -> u64 {
        let of_age = scene.backends.iter();
        of_age
            .map(|backend| backend.counters.of(Counter::MaxConnectionAge))
            .sum()
    };
    while ended() < 20 {
        let path = MethodPath::from_static("/test.Probe/Echo");
        let answer = channel
            .unary::<String, String>(path, "you".to_owned())
            .await;
        assert_eq!(answer.expect("no call fails").message, "you");
    }
}

async fn a_proxy_that_ends_connections_fails_no_call(site: &Site) {
    let changes: &[_] = match site.kind {
        Kind::Envoy => &[(
            "max_headers_count: 300",
            "max_headers_count: 300, max_requests_per_connection: 50",
        )],
        Kind::Nginx => &[("keepalive_requests 1000000", "keepalive_requests 50")],
        Kind::Haproxy => unreachable!("it is an exception"),
    };
    let (one, two) = (Served::start(site), Served::start(site));
    let proxy = site.changed_proxy(&[one.port, two.port], changes);
    let load = Load::start(&site.channel(proxy.address));
    load.goes_on(1_000).await;
    assert_eq!(load.stop().await, []);
}

async fn a_server_hears_the_proxy_answer_its_pings(site: &Site) {
    let mut config = ServerConfig::default();
    config.http2.keepalive_time = Some(Duration::from_millis(50));
    config.http2.keepalive_timeout = Duration::from_secs(2);
    let scene = Scene::with(site, config).await;
    let path = MethodPath::from_static("/test.Probe/Chat");
    let chat = scene.channel().bidi::<String, String>(path, ()).await;
    let (mut outbound, mut inbound) = chat.unwrap();
    for _ in 0..2 {
        outbound.send("still there?".to_owned()).await.unwrap();
        let answer = in_time("an answer", inbound.next()).await.unwrap();
        assert_eq!(answer.as_deref(), Some("still there?"));
        // Time for a ping and for the end of a connection on which it is not answered.
        sleep(Duration::from_millis(2_500)).await;
    }
    for backend in &scene.backends {
        assert_eq!(backend.counters.of(Counter::KeepaliveTimeout), 0);
    }
}

async fn a_client_hears_the_proxy_answer_its_pings(site: &Site) {
    let scene = Scene::start(site).await;
    let io = site.secured(connect(scene.proxy.address).await).await;
    let (client, mut connection) = h2::client::handshake(io).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let driver = tokio::spawn(connection);
    for _ in 0..10 {
        let pong = pings.ping(h2::Ping::opaque());
        in_time("a pong", pong).await.unwrap();
    }
    drop((client, pings));
    driver.abort();
}

const WORKERS: usize = 8;
const START_LIMIT: Duration = Duration::from_secs(30);

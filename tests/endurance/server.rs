//! The server, in a process of its own: what it has in memory is not mixed with what clients have.
//!
//! ```text
//!   endurance serve [listen=127.0.0.1:0] [calls=1000000] [cert=… key=…]
//!
//!   ──▶ listening on ADDRESS
//!   figures ──▶ tasks=… running=… begun=… …      as often as it is asked
//!   open    ──▶ calls that hold may go on
//!   SIGTERM ──▶ drained in … s, N calls, M cut   and exit code 0
//! ```
//!
//! It ends when its standard input does: no test leaves one behind.

use std::collections::BTreeMap;
use std::env::Args;
use std::fs;
use std::future::pending;
use std::io::{self, BufRead};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use barewire::{
    ClientCertificates, Code, Counters, Inbound, Replies, Request, Response, Server, ServerCall,
    ServerConfig, ServerTls, Service, Serving, Status,
};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::numbered::{number_of, seal};

/// What the program is told to be a server.
pub const COMMAND: &str = "serve";

pub fn run(arguments: Args) -> ExitCode {
    let options = arguments
        .map(|word| {
            let (name, value) = word.split_once('=').expect("name=value");
            (name.to_owned(), value.to_owned())
        })
        .collect();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(serve(options));
    ExitCode::SUCCESS
}

async fn serve(options: BTreeMap<String, String>) {
    let option = |name: &str| options.get(name).map(String::as_str);
    let calls = option("calls").map_or(1_000_000, |text| text.parse().unwrap());
    let listener = TcpListener::bind(option("listen").unwrap_or("127.0.0.1:0"))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Seen::new(calls));
    let mut server = Server::new()
        .add(Counting(Arc::clone(&seen)))
        .with_config(ServerConfig {
            // A hundred thousand calls are what one of the tests is about.
            max_concurrent_calls: 200_000,
            ..ServerConfig::default()
        });
    if let Some(certificate) = option("cert") {
        let chain = fs::read(certificate).unwrap();
        let key = fs::read(option("key").unwrap()).unwrap();
        server = server.tls(ServerTls::from_pem(&chain, &key, ClientCertificates::None).unwrap());
    }
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    listen_to_commands(seen, server.counters());
    println!("listening on {address}");
    let report = server
        .serve_until(listener, async move {
            terminate.recv().await;
        })
        .await
        .unwrap();
    println!(
        "drained in {:.1?}, {} calls, {} cut",
        report.duration,
        report.calls_at_start,
        report.cut.len()
    );
}

fn listen_to_commands(seen: Arc<Seen>, counters: Counters) {
    let runtime = Handle::current();
    // It ends the process, and with it itself.
    thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            match line.unwrap().as_str() {
                "figures" => {
                    let tasks = runtime.metrics().num_alive_tasks();
                    println!("tasks={tasks} {}{}", seen.figures(), hits(&counters));
                }
                "open" => {
                    seen.gate.send_replace(true);
                }
                other => panic!("{other:?} is no command"),
            }
        }
        process::exit(1);
    });
}

fn hits(counters: &Counters) -> String {
    let hits = counters.hit();
    hits.map(|(counter, count)| format!(" {counter}={count}"))
        .collect()
}

/// What the handlers have seen.
struct Seen {
    /// One bit for each number.
    numbers: Vec<AtomicU64>,
    distinct: AtomicU64,
    twice: AtomicU64,
    damaged: AtomicU64,
    running: AtomicU64,
    methods: [AtomicU64; METHODS.len()],
    gate: watch::Sender<bool>,
}

pub const METHODS: [&str; 8] = [
    "Echo", "Many", "Sum", "Chat", "Begin", "Never", "Fail", "Hold",
];

impl Seen {
    fn new(calls: u64) -> Self {
        // Written to one by one, so that they are in memory before anything is measured.
        let words = (0..=calls / 64).map(|_| AtomicU64::new(0));
        Self {
            numbers: words.collect(),
            distinct: AtomicU64::new(0),
            twice: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            running: AtomicU64::new(0),
            methods: Default::default(),
            gate: watch::Sender::new(false),
        }
    }

    /// The number of a request that is whole.
    fn number(&self, message: &[u8]) -> Result<u64, Status> {
        let number = number_of(message);
        let place = number.and_then(|number| {
            let word = usize::try_from(number / 64).ok()?;
            Some((self.numbers.get(word)?, 1 << (number % 64)))
        });
        let (Some(number), Some((word, bit))) = (number, place) else {
            self.damaged.fetch_add(1, Ordering::Relaxed);
            return Err(Status::data_loss("the request is not what its caller sent"));
        };
        let before = word.fetch_or(bit, Ordering::Relaxed);
        let count = if before & bit == 0 {
            &self.distinct
        } else {
            &self.twice
        };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(number)
    }

    fn figures(&self) -> String {
        let counts = [
            ("running", &self.running),
            ("distinct", &self.distinct),
            ("twice", &self.twice),
            ("damaged", &self.damaged),
        ];
        let counts = counts
            .into_iter()
            .chain(METHODS.into_iter().zip(&self.methods));
        let words = counts.map(|(name, count)| format!("{name}={}", count.load(Ordering::Relaxed)));
        words.collect::<Vec<_>>().join(" ")
    }
}

/// A handler at work.
struct Running(Arc<Seen>);

impl Running {
    fn new(seen: &Arc<Seen>, method: &str) -> Self {
        seen.running.fetch_add(1, Ordering::Relaxed);
        let place = METHODS.iter().position(|name| *name == method);
        if let Some(count) = place.and_then(|place| seen.methods.get(place)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        Self(Arc::clone(seen))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Counting(Arc<Seen>);

impl Service for Counting {
    fn name(&self) -> &'static str {
        "test.Endurance"
    }

    // Each handler has a future of its own, and an open call pays for no other.
    fn serve(&self, call: ServerCall) -> Serving<'_> {
        let running = Running::new(&self.0, call.method());
        match call.method() {
            "Echo" => Box::pin(echo(running, call)),
            "Hold" => Box::pin(hold(running, call)),
            "Many" => Box::pin(many(running, call)),
            "Sum" => Box::pin(sum(running, call)),
            "Chat" => Box::pin(chat(running, call)),
            "Begin" => Box::pin(begin(running, call)),
            "Never" => Box::pin(never(running, call)),
            "Fail" => Box::pin(fail(running, call)),
            _ => Box::pin(async move { Err(call.unknown_method()) }),
        }
    }
}

/// The one message of a request, and its number.
async fn request(running: &Running, call: &mut ServerCall) -> Result<(Bytes, u64), Status> {
    let request: Request<Bytes> = call.request().await?;
    let number = running.0.number(&request.message)?;
    Ok((request.message, number))
}

/// The same message.
async fn echo(running: Running, mut call: ServerCall) -> Result<(), Status> {
    let (message, _) = request(&running, &mut call).await?;
    call.reply(Response::new(message)).await
}

/// The same message when the gate is open.
async fn hold(running: Running, mut call: ServerCall) -> Result<(), Status> {
    let (message, _) = request(&running, &mut call).await?;
    let _ = running.0.gate.subscribe().wait_for(|open| *open).await;
    call.reply(Response::new(message)).await
}

/// As many messages as the number's last digit says.
async fn many(running: Running, mut call: ServerCall) -> Result<(), Status> {
    let (message, number) = request(&running, &mut call).await?;
    let mut replies: Replies<Bytes> = call.replies();
    for _ in 0..number % 10 {
        replies.send(message.clone()).await?;
    }
    Ok(())
}

/// How many messages came after the first.
async fn sum(running: Running, mut call: ServerCall) -> Result<(), Status> {
    let mut requests: Request<Inbound<Bytes>> = call.requests();
    let Some(first) = requests.next().await? else {
        return Err(Status::invalid_argument("one message at least"));
    };
    running.0.number(&first)?;
    let mut count = 0;
    while let Some(message) = requests.next().await? {
        if message != first {
            return Err(Status::data_loss("a message of another call"));
        }
        count += 1;
    }
    call.reply(Response::new(seal(count, 0))).await
}

/// Each message at once. The call is known by the first.
async fn chat(running: Running, mut call: ServerCall) -> Result<(), Status> {
    let mut requests: Request<Inbound<Bytes>> = call.requests();
    let mut replies: Replies<Bytes> = call.replies();
    let mut is_first = true;
    while let Some(message) = requests.next().await? {
        if std::mem::take(&mut is_first) {
            running.0.number(&message)?;
        }
        replies.send(message).await?;
    }
    Ok(())
}

/// One message, and no end.
async fn begin(running: Running, mut call: ServerCall) -> Result<(), Status> {
    let (message, _) = request(&running, &mut call).await?;
    let mut replies: Replies<Bytes> = call.replies();
    replies.send(message).await?;
    pending().await
}

async fn never(running: Running, mut call: ServerCall) -> Result<(), Status> {
    request(&running, &mut call).await?;
    pending().await
}

async fn fail(running: Running, mut call: ServerCall) -> Result<(), Status> {
    let (_, number) = request(&running, &mut call).await?;
    Err(Status::new(code_of(number), number.to_string()))
}

/// The code with which a call of this number fails.
pub fn code_of(number: u64) -> Code {
    let code = u32::try_from(number % 16 + 1).ok();
    code.and_then(Code::from_number).unwrap_or(Code::Unknown)
}

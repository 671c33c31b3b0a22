//! The canary: a client that does no harm, on a connection of its own, and how it fares.
//!
//! It has a thread of its own, so that the attackers beside it do not slow it down more than the
//! machine they share. A call begins every ten milliseconds, whether those before it have ended or
//! not: one that has to wait is counted with all that it waited.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use barewire::{Channel, ChannelConfig, ClientTls, MethodPath, Request};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

const PACE: Duration = Duration::from_millis(10);
/// Longer than a call takes on a machine with a lot else to do: who waits so long is starved. A server
/// that was not optimised takes seconds for what an optimised one does at once.
const DEADLINE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 5 });

/// Where the canary and everybody else find the server.
#[derive(Clone)]
pub struct Site {
    pub address: SocketAddr,
    pub tls: Option<ClientTls>,
}

impl Site {
    fn channel(&self) -> Channel {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let config = ChannelConfig {
            tls: self.tls.clone(),
            ..ChannelConfig::default()
        };
        Channel::with_config(&format!("{scheme}://{}", self.address), config).unwrap()
    }

    /// One call on a new connection.
    pub async fn call(&self) -> Result<(), String> {
        call(&self.channel()).await
    }
}

/// A canary that sings.
pub struct Canary {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Song>,
}

/// How it fared.
#[derive(Default)]
pub struct Song {
    /// How long the calls took, shortest first.
    pub times: Vec<Duration>,
    /// What failed, and how often.
    pub failures: BTreeMap<String, usize>,
}

impl Canary {
    /// Returns when the first call was answered.
    pub async fn start(site: Site) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (begin, began) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(sing(site, begin, stopped))
        });
        began.await.expect("a first call");
        Self { stop, thread }
    }

    pub fn stop(self) -> Song {
        self.stop.send(()).expect("a canary that still sings");
        let mut song = self.thread.join().unwrap();
        song.times.sort_unstable();
        song
    }
}

async fn sing(site: Site, begin: oneshot::Sender<()>, mut stopped: oneshot::Receiver<()>) -> Song {
    let channel = site.channel();
    call(&channel).await.unwrap();
    begin.send(()).unwrap();
    let mut song = Song::default();
    let mut calls = JoinSet::new();
    let mut pace = interval(PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // The next call, the end of one, and the end of it all. Whichever comes first.
        tokio::select! {
            _ = pace.tick() => {
                let channel = channel.clone();
                calls.spawn(timed_call(channel));
            }
            Some(ended) = calls.join_next() => song.add(ended.unwrap()),
            _ = &mut stopped => break,
        }
    }
    while let Some(ended) = calls.join_next().await {
        song.add(ended.unwrap());
    }
    // One when the attack is over for certain.
    song.add(timed_call(channel).await);
    song
}

async fn timed_call(channel: Channel) -> Result<Duration, String> {
    let start = Instant::now();
    call(&channel).await.map(|()| start.elapsed())
}

/// Asks whether the server is well. Messages are those of prost for `String` and `u64`, which have
/// their value in field 1 as well.
async fn call(channel: &Channel) -> Result<(), String> {
    const SERVING: u64 = 1;
    let path = MethodPath::from_static("/grpc.health.v1.Health/Check");
    let request = Request::new(String::new()).with_timeout(DEADLINE);
    let answer = channel.unary::<String, u64>(path, request).await;
    match answer {
        Ok(answer) if answer.message == SERVING => Ok(()),
        Ok(answer) => Err(format!("the server says {}", answer.message)),
        Err(status) => Err(status.to_string()),
    }
}

impl Song {
    fn add(&mut self, ended: Result<Duration, String>) {
        match ended {
            Ok(time) => self.times.push(time),
            Err(failure) => *self.failures.entry(failure).or_default() += 1,
        }
    }

    /// The time that so many of a hundred calls did not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let last = self.times.len().saturating_sub(1);
        self.times
            .get(last * percent / 100)
            .copied()
            .unwrap_or_default()
    }
}

//! Faults by the thousand: deadlines that race answers, panics among calls that go well, and requests
//! that share small windows.
//!
//! By default there are as many of each as take some seconds. `BAREWIRE_FAULTS=all` makes them as many as
//! are promised; that is best done with `--profile endurance`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barewire::{
    CallRecord, Channel, ChannelConfig, ClientHttp2Config, Code, Counter, Http2Config, Request,
    Response, Server, ServerCall, ServerConfig, Service, Serving,
};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};

use crate::chance::Chance;
use crate::raw_server::Line;
use crate::scene::{Scene, channel_to, method, quiet_panics};
use crate::support::{PATIENCE, Probe, piped_server};
use crate::tokio;

/// As many as there are to be, or a part of them.
fn count(all: usize, part: usize) -> usize {
    let wants_all = std::env::var("BAREWIRE_FAULTS").is_ok_and(|value| value == "all");
    if wants_all { all } else { part }
}

/// Handlers that answer after so many microseconds as they are asked for, and what became of them.
#[derive(Clone, Default)]
struct Race(Arc<RaceState>);

#[derive(Default)]
struct RaceState {
    /// When each call's time is over, by its name.
    deadlines: Mutex<HashMap<String, Instant>>,
    begun: AtomicUsize,
    answered: AtomicUsize,
    /// How long after that each of the other handlers was dropped.
    dropped_after: Mutex<Vec<Duration>>,
    /// Ends that interceptors were told of, on both sides.
    told_at_client: AtomicUsize,
    told_at_server: AtomicUsize,
}

/// A handler that runs.
struct Runner<'a> {
    race: &'a RaceState,
    deadline: Instant,
    answered: bool,
}

impl Drop for Runner<'_> {
    fn drop(&mut self) {
        if self.answered {
            self.race.answered.fetch_add(1, Ordering::SeqCst);
        } else {
            let late = Instant::now().saturating_duration_since(self.deadline);
            self.race.dropped_after.lock().unwrap().push(late);
        }
    }
}

impl Service for Race {
    fn name(&self) -> &'static str {
        "test.Probe"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            let request: Request<String> = call.request().await?;
            let (name, after) = request.message.split_once(' ').unwrap();
            let deadline = self.0.deadlines.lock().unwrap()[name];
            self.0.begun.fetch_add(1, Ordering::SeqCst);
            let mut runner = Runner {
                race: &self.0,
                deadline,
                answered: false,
            };
            sleep(Duration::from_micros(after.parse().unwrap())).await;
            let reply = Response::new(name.to_owned());
            runner.answered = true;
            drop(runner);
            call.reply(reply).await
        })
    }
}

impl Race {
    fn server(&self) -> Server {
        let state = Arc::clone(&self.0);
        Server::new()
            .add(self.clone())
            .intercept(move |_: &CallRecord<'_>| {
                state.told_at_server.fetch_add(1, Ordering::SeqCst);
            })
    }

    /// So many calls, some of them at once, whose deadlines come about when their answers do.
    async fn run(&self, channel: Channel, calls: usize, at_once: usize) -> Outcomes {
        let state = Arc::clone(&self.0);
        let channel = channel.intercept(move |_: &CallRecord<'_>| {
            state.told_at_client.fetch_add(1, Ordering::SeqCst);
        });
        let at_once = Arc::new(Semaphore::new(at_once));
        let mut chance = Chance(1);
        let mut tasks = Vec::new();
        for number in 0..calls {
            let permit = Arc::clone(&at_once).acquire_owned().await.unwrap();
            let limit = Duration::from_millis(40 + u64::try_from(chance.below(40)).unwrap());
            // Before it, at the same millisecond, after it, or never.
            let answered_after = match number % 4 {
                0 => limit / 2,
                1 => limit,
                2 => limit + Duration::from_millis(1),
                _ => Duration::from_secs(3600),
            };
            let (channel, state) = (channel.clone(), Arc::clone(&self.0));
            tasks.push(tokio::spawn(async move {
                let _permit = permit;
                let name = number.to_string();
                let message = format!("{name} {}", answered_after.as_micros());
                let deadline = Instant::now() + limit;
                state
                    .deadlines
                    .lock()
                    .unwrap()
                    .insert(name.clone(), deadline);
                let request = Request::new(message).with_timeout(limit);
                let answer = channel.unary::<String, String>(method("Race"), request);
                let answer = answer.await;
                let late = Instant::now().saturating_duration_since(deadline);
                match answer {
                    Ok(answer) => assert_eq!(answer.message, name),
                    Err(status) => {
                        assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
                        return (0, late);
                    }
                }
                (1, late)
            }));
        }
        let mut outcomes = Outcomes {
            calls,
            answered: 0,
            latest: Duration::ZERO,
        };
        for task in tasks {
            let (answered, late) = task.await.unwrap();
            outcomes.answered += answered;
            outcomes.latest = outcomes.latest.max(late);
        }
        outcomes
    }

    /// Each call had one outcome at the client, and each handler has ended once. Yields the share of the
    /// handlers that were dropped within 50 ms of their deadline.
    async fn share_in_time(&self, outcomes: &Outcomes) -> f64 {
        let state = &self.0;
        let ended = || {
            let dropped = state.dropped_after.lock().unwrap().len();
            state.answered.load(Ordering::SeqCst) + dropped
        };
        let all = async {
            while ended() < state.begun.load(Ordering::SeqCst) {
                tokio::task::yield_now().await;
            }
        };
        let all = timeout(PATIENCE, all).await;
        all.expect("the last handler's end");
        let Outcomes {
            calls,
            answered,
            latest,
        } = *outcomes;
        assert_eq!(state.told_at_client.load(Ordering::SeqCst), calls);
        // One that comes too late is told of, too, though its handler does not run.
        let told = state.told_at_server.load(Ordering::SeqCst);
        assert!(told <= calls, "{told} ends of {calls} calls");
        let dropped_after = state.dropped_after.lock().unwrap();
        let limit = Duration::from_millis(50);
        let in_time = dropped_after.iter().filter(|after| **after <= limit);
        let share = in_time.count() as f64 / dropped_after.len() as f64;
        println!(
            "{calls} calls, {answered} of them answered, the last {latest:?} after its deadline; {} handlers \
             dropped, {:.2} % of them within 50 ms of their deadline, the last after {:?}",
            dropped_after.len(),
            share * 100.0,
            dropped_after.iter().max(),
        );
        share
    }
}

/// What became of the calls.
struct Outcomes {
    calls: usize,
    answered: usize,
    /// How long after its deadline the last of them ended.
    latest: Duration,
}

/// Under a clock of its own, where nothing is late but by the fault of the code: all is exact.
#[tokio::test(start_paused = true)]
async fn s1_deadlines_that_race_answers_have_one_outcome_each() {
    let race = Race::default();
    let Line {
        channel,
        mut dialled,
    } = Line::new();
    let server = race.clone();
    // A connection is replaced when so many calls on it were given up as h2 may bear.
    tokio::spawn(async move {
        while let Some(io) = dialled.recv().await {
            tokio::spawn(server.server().serve_io(io));
        }
    });
    let calls = count(100_000, 8_000);
    let outcomes = race.run(channel, calls, 500).await;
    let share = race.share_in_time(&outcomes).await;
    assert!(share >= 0.999, "{share}");
    assert!(outcomes.latest <= Duration::from_millis(100));
    let answered = calls / 5..=calls * 4 / 5;
    assert!(answered.contains(&outcomes.answered));
}

/// Over sockets and on two threads. How much is late by the fault of the machine is printed, and counts
/// where all are asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_deadlines_that_race_answers_on_two_threads_have_one_outcome_each() {
    let race = Race::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(race.server().serve(listener));
    let calls = count(100_000, 2_000);
    let outcomes = race.run(channel_to(address), calls, 50).await;
    let share = race.share_in_time(&outcomes).await;
    assert!(calls < 100_000 || share >= 0.999, "{share}");
}

/// Virtual time passes only where nobody has anything to do, so that two seconds of it without an answer
/// are a stall, however slow the machine.
#[tokio::test(start_paused = true)]
async fn s2_requests_that_share_small_windows_make_progress() {
    const WINDOW: u32 = 64 * 1024;
    let config = ServerConfig {
        http2: Http2Config {
            stream_window: WINDOW,
            connection_window: 4 * WINDOW,
            ..Http2Config::default()
        },
        ..ServerConfig::default()
    };
    let client = ChannelConfig {
        http2: ClientHttp2Config {
            stream_window: WINDOW,
            connection_window: 4 * WINDOW,
            ..ClientHttp2Config::default()
        },
        ..ChannelConfig::default()
    };
    for at_once in [1, 2, 10, 100, 1_000] {
        let io = piped_server(Probe::default(), config.clone());
        let channel = Channel::over_with(io, client.clone());
        let requests = count(10_000, 1_000);
        let (done, mut progress) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(at_once));
        let text = "x".repeat(10_000);
        for _ in 0..requests {
            let (channel, done, text) = (channel.clone(), done.clone(), text.clone());
            let permits = Arc::clone(&permits);
            tokio::spawn(async move {
                let _permit = permits.acquire_owned().await.unwrap();
                let call = channel.unary::<String, String>(method("Echo"), text.clone());
                let answer = call.await.unwrap();
                done.send(answer.message == text).unwrap();
            });
        }
        for number in 0..requests {
            let next = timeout(Duration::from_secs(2), progress.recv()).await;
            let next = next.unwrap_or_else(|_| panic!("{at_once} at once: a stall after {number}"));
            assert_eq!(next, Some(true), "{at_once} at once");
        }
    }
}

#[tokio::test]
async fn s3_panics_among_calls_end_those_calls_alone() {
    quiet_panics();
    let scene = Scene::new().await;
    let (client, neighbour) = scene.client().await;
    const CALLS: usize = 10_000;
    let at_once = Arc::new(Semaphore::new(100));
    let mut tasks = Vec::new();
    for number in 0..CALLS {
        let permit = Arc::clone(&at_once).acquire_owned().await.unwrap();
        let client = client.clone();
        tasks.push(tokio::spawn(async move {
            let _permit = permit;
            let (method, code) = match number % 10 {
                0 => ("Panic", "2"),
                _ => ("Echo", "0"),
            };
            let text = number.to_string();
            let answer = client.call(method, &[&text]).await;
            assert_eq!(answer.code(), Some(code), "{method}: {answer:?}");
            assert!(!answer.text().contains("secret"), "{answer:?}");
            assert_eq!(answer.messages.len(), usize::from(method == "Echo"));
            usize::from(method == "Panic")
        }));
    }
    let mut unknown = 0;
    for task in tasks {
        unknown += task.await.unwrap();
    }
    assert_eq!(unknown, CALLS / 10);
    let panics = scene.counters.of(Counter::HandlerPanicked);
    assert_eq!(usize::try_from(panics).unwrap(), CALLS / 10);
    neighbour.ends_well().await;
    scene.ends_well().await;
}

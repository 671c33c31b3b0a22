//! Calls whose attempts change below them, as chance has it: nothing hangs, nothing is lost or made
//! twice that should not be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barewire::faults::{Fault, Faults, FaultyIo, OneWay};
use barewire::{
    AttemptPolicy, Channel, ChannelConfig, Code, HedgingPolicy, Inbound, Outbound, Request,
    Response, RetryPolicy, Server, ServerCall, ServerConfig, Service, Serving, Status,
};
use tokio::io::DuplexStream;
use tokio::time::{sleep, timeout};

use crate::chance::Chance;
use crate::scripted::{Kind, Script, Step, channel_on, ms, path, with_policy};
use crate::tokio;

/// Longer than anything here takes, on a clock that is ours.
const LONG: Duration = Duration::from_secs(60 * 60);

fn policy(chance: &mut Chance) -> AttemptPolicy {
    let max_attempts = 2 + u32::try_from(chance.below(4)).unwrap();
    match chance.below(3) {
        0 => AttemptPolicy::Once,
        1 => AttemptPolicy::Retry(RetryPolicy {
            max_attempts,
            initial_backoff: ms(1),
            max_backoff: ms(5),
            backoff_multiplier: 2.0,
            retryable_codes: vec![Code::Unavailable, Code::Aborted, Code::Cancelled],
        }),
        _ => AttemptPolicy::Hedge(HedgingPolicy {
            max_attempts,
            hedging_delay: ms(*chance.of(&[0, 1, 3])),
            non_fatal_codes: vec![Code::Unavailable, Code::Aborted, Code::Cancelled],
        }),
    }
}

/// A byte stream that may break somewhere, and may be slow.
fn faulty(io: DuplexStream, chance: &mut Chance, reach: usize) -> FaultyIo<DuplexStream> {
    let mut way = |faulty: bool| OneWay {
        at_most: *chance.of(&[None, None, Some(20), Some(100)]),
        fault_at: faulty.then(|| {
            let byte = u64::try_from(chance.below(reach)).unwrap();
            (byte, *chance.of(&[Fault::Cut, Fault::Reset]))
        }),
        ..OneWay::default()
    };
    let (inbound, outbound) = (way(true), way(false));
    FaultyIo::new(io, Faults { inbound, outbound })
}

/// What a handler does with one attempt.
fn steps(chance: &mut Chance) -> Vec<Step> {
    let fail = |code| Step::Fail(Status::new(code, "by chance"));
    let mut steps = match chance.below(9) {
        0 => vec![fail(Code::Unavailable)],
        1 => vec![Step::Take(1), fail(Code::Aborted)],
        2 => vec![Step::Take(3), fail(Code::Unavailable)],
        3 => vec![Step::TakeAll, fail(Code::Unavailable)],
        4 => vec![Step::Headers, Step::Echo],
        5 => vec![Step::Take(2), Step::Headers, fail(Code::Unavailable)],
        6 => vec![Step::TakeAll],
        _ => vec![Step::Echo],
    };
    if chance.below(3) == 0 {
        steps.insert(0, Step::Sleep(ms(*chance.of(&[1, 2, 4]))));
    }
    steps
}

/// One call, with its halves in two tasks. Yields what came back, and how it ended.
async fn two_halves(
    channel: Channel,
    mut chance: Chance,
) -> (Vec<String>, Vec<String>, Option<Result<(), Status>>) {
    let started = channel.bidi::<String, String>(path("Call"), ()).await;
    let (mut out, mut back): (Outbound<String>, Inbound<String>) = match started {
        Ok(halves) => halves,
        Err(status) => return (Vec::new(), Vec::new(), Some(Err(status))),
    };
    let count = chance.below(8);
    let sizes: Vec<usize> = (0..count)
        .map(|_| *chance.of(&[1, 10, 300, 3_000, 40_000]))
        .collect();
    let pauses: Vec<u64> = (0..count).map(|_| *chance.of(&[0, 0, 0, 1, 2])).collect();
    let ends = chance.below(8);
    let gives_up_after = (chance.below(8) == 0).then(|| chance.below(4));
    let sender = tokio::spawn(async move {
        let mut said = Vec::new();
        for (number, (size, pause)) in sizes.into_iter().zip(pauses).enumerate() {
            if pause > 0 {
                sleep(ms(pause)).await;
            }
            let text = format!("{number}{}", "x".repeat(size));
            said.push(text.clone());
            if out.send(text).await.is_err() {
                return said;
            }
        }
        // Sometimes it is dropped unfinished.
        if ends > 0 {
            let _ = out.finish();
        }
        said
    });
    let reader = tokio::spawn(async move {
        let mut heard = Vec::new();
        loop {
            if gives_up_after == Some(heard.len()) {
                return (heard, None);
            }
            match back.next().await {
                Ok(Some(message)) => heard.push(message),
                Ok(None) => return (heard, Some(Ok(()))),
                Err(status) => return (heard, Some(Err(status))),
            }
        }
    });
    let (heard, ended) = reader.await.unwrap();
    (sender.await.unwrap(), heard, ended)
}

fn config(chance: &mut Chance) -> ChannelConfig {
    ChannelConfig {
        retry_buffer_per_call: *chance.of(&[0, 500, 10_000, 256 * 1024]),
        ..with_policy(policy(chance))
    }
}

/// A channel to a script by chance, over connections that may break.
fn by_chance(seed: u64) -> (Channel, Script, Chance) {
    let mut chance = Chance(seed);
    let script = Script::new((0..6).map(|_| steps(&mut chance)).collect::<Vec<_>>());
    let config = config(&mut chance);
    let service = script.clone();
    let below = Mutex::new(Chance(seed ^ 0x5555));
    let channel = channel_on(config, move |number| {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let mut below = below.lock().unwrap();
        // Small windows, so that calls wait for room.
        let mut config = ServerConfig::default();
        config.http2.stream_window = *below.of(&[65_535, 256 * 1024]);
        let server = Server::new().with_config(config).add(service.clone());
        tokio::spawn(server.serve_io(theirs));
        // Three connections may break, and after them none does.
        if number < 3 && below.below(2) == 0 {
            Box::new(faulty(ours, &mut below, 2_000))
        } else {
            Box::new(ours)
        }
    });
    (channel, script, chance)
}

async fn both_halves_come_to_an_end(seed: u64) {
    let (channel, script, chance) = by_chance(seed);
    let call = timeout(LONG, two_halves(channel, chance));
    let Ok((said, heard, ended)) = call.await else {
        panic!("seed {seed}: it hangs; {:#?}", script.seen());
    };
    // What is heard is what was said, in order, and all of it if the call says so.
    assert!(said.starts_with(&heard), "seed {seed}: {}", heard.len());
    for seen in script.seen() {
        assert!(
            said.starts_with(&seen.messages),
            "seed {seed}: an attempt was told something else"
        );
        if seen.half_closed {
            assert_eq!(said.len(), seen.messages.len(), "seed {seed}");
        }
    }
    if let Some(Ok(())) = ended
        && !heard.is_empty()
    {
        assert_eq!(said, heard, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_change_below_two_halves_in_one_thread() {
    for seed in 1..=1_500 {
        both_halves_come_to_an_end(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn attempts_change_below_two_halves_in_many_threads() {
    for round in 0..25_u64 {
        let calls: Vec<_> = (1..=40)
            .map(|number| {
                let seed = 1_000_000 + round * 100 + number;
                tokio::spawn(timeout(
                    crate::support::PATIENCE,
                    both_halves_come_to_an_end(seed),
                ))
            })
            .collect();
        for call in calls {
            call.await.unwrap().expect("it ends");
        }
    }
}

/// Counts how often each call reached it.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<BTreeMap<String, usize>>>);

impl Service for Counter {
    fn name(&self) -> &'static str {
        "test.Script"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            let requests: Request<Inbound<String>> = call.requests();
            let id = requests.metadata.get("x-call").unwrap().to_owned();
            *self.0.lock().unwrap().entry(id).or_default() += 1;
            let mut requests = requests;
            let mut last = String::new();
            while let Some(message) = requests.next().await? {
                last = message;
            }
            if last.len() % 7 == 3 {
                sleep(ms(2)).await;
            }
            call.reply(Response::new(last)).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn p166_p284_without_a_policy_no_call_reaches_a_handler_twice() {
    let (mut answered, mut open) = (0, 0);
    for seed in 1..=150 {
        let counter = Counter::default();
        let service = counter.clone();
        let below = Mutex::new(Chance(seed));
        let channel = channel_on(ChannelConfig::default(), move |_| {
            let mut below = below.lock().unwrap();
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let mut config = ServerConfig::default();
            // Few streams, so that some are refused; and a short life, so that GOAWAY comes between.
            config.http2.max_concurrent_streams = *below.of(&[1, 3, 1_000]);
            config.http2.max_connection_age = *below.of(&[None, Some(ms(3)), Some(ms(10))]);
            let server = Server::new().with_config(config).add(service.clone());
            tokio::spawn(server.serve_io(theirs));
            match below.below(3) {
                0 => Box::new(faulty(ours, &mut below, 5_000)),
                _ => Box::new(ours),
            }
        });
        let calls: Vec<_> = (0..20_usize)
            .map(|number| {
                let channel = channel.clone();
                tokio::spawn(async move {
                    sleep(ms(u64::try_from(number / 4).unwrap())).await;
                    let mut request =
                        Request::new("x".repeat(number * 50)).with_wait_for_ready(true);
                    let id = number.to_string();
                    request.metadata.insert("x-call", &id).unwrap();
                    let call = Kind::ALL[number % 4].call_with(&channel, request);
                    (id, timeout(LONG, call).await.expect("it ends"))
                })
            })
            .collect();
        for call in calls {
            let (id, ended) = call.await.unwrap();
            let reached = counter.0.lock().unwrap().get(&id).copied().unwrap_or(0);
            let what = format!("seed {seed} call {id}: {reached} times, {ended:?}");
            match ended {
                Ok(_) => {
                    assert_eq!(reached, 1, "{what}");
                    answered += 1;
                }
                Err(status) if status.unprocessed => {
                    assert_eq!(reached, 0, "{what}");
                }
                Err(_) => {
                    assert!(reached <= 1, "{what}");
                    open += 1;
                }
            }
        }
    }
    // Both were seen, or this says nothing.
    assert!(answered > 100 && open > 100, "{answered} {open}");
}

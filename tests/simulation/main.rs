//! A client and three servers in simulated time, with faults that follow from one number.
//!
//! `BAREWIRE_SIMULATION_SEED=17` plays one seed again and prints what happened;
//! `BAREWIRE_SIMULATION_SEEDS=10000` plays so many.

#![allow(
    clippy::unwrap_used,
    clippy::as_conversions,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics has said what is wrong"
)]

mod world;

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use world::{Chance, Plan, Trace};

/// Seeds that each run of the tests plays.
const SEEDS: u64 = 1_000;

#[test]
fn whatever_happens_every_call_ends_once_and_nothing_is_left() {
    if let Some(seed) = variable("BAREWIRE_SIMULATION_SEED") {
        let trace = play(seed);
        println!("{}", told(seed, &trace));
        assert!(trace.violations.is_empty(), "seed {seed} breaks rules");
        return;
    }
    let seeds = variable("BAREWIRE_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let failed = play_all(seeds);
    if let Some((seed, trace)) = failed.first() {
        println!("{}", told(*seed, trace));
    }
    let numbers: Vec<_> = failed.iter().map(|(seed, _)| seed).collect();
    assert!(
        failed.is_empty(),
        "of {seeds} seeds these break rules: {numbers:?}"
    );
}

#[test]
fn a_seed_that_is_played_again_does_the_same() {
    for seed in 0..100 {
        assert_eq!(play(seed), play(seed), "seed {seed}");
    }
}

#[test]
fn every_input_of_ops_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/ops");
    let inputs: Vec<_> = fs::read_dir(corpus).unwrap().collect();
    assert!(inputs.len() >= 10, "{} inputs", inputs.len());
    for input in inputs {
        let path = input.unwrap().path();
        println!("{}", path.display());
        world::ops(&fs::read(path).unwrap());
    }
}

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
    )
}

fn play(seed: u64) -> Trace {
    world::run(&Plan::draw(&mut Chance::seeded(seed)))
}

fn told(seed: u64, trace: &Trace) -> String {
    let plan = Plan::draw(&mut Chance::seeded(seed));
    let (events, broken) = (trace.events.join("\n"), trace.violations.join("\n"));
    format!("seed {seed}: {plan:#?}\n{events}\nbroken:\n{broken}")
}

/// Plays seeds on all cores, and yields those that broke rules.
fn play_all(seeds: u64) -> Vec<(u64, Trace)> {
    let next = AtomicU64::new(0);
    let failed = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (progress, watched) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (next, failed, progress) = (&next, &failed, progress.clone());
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    progress.send((seed, false)).unwrap();
                    let trace = play(seed);
                    if !trace.violations.is_empty() {
                        println!("seed {seed}: {}", trace.violations[0]);
                        failed.lock().unwrap().push((seed, trace));
                    }
                    progress.send((seed, true)).unwrap();
                }
            });
        }
        drop(progress);
        watch(&watched);
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort_by_key(|(seed, _)| *seed);
    failed
}

/// What goes round without end does not let time pass: nobody but a clock on the wall sees that.
fn watch(progress: &mpsc::Receiver<(u64, bool)>) {
    let mut under_way = Vec::new();
    loop {
        match progress.recv_timeout(Duration::from_secs(120)) {
            Ok((seed, true)) => under_way.retain(|other| *other != seed),
            Ok((seed, false)) => under_way.push(seed),
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {
                eprintln!("one of the seeds {under_way:?} goes round without end");
                std::process::exit(1);
            }
        }
    }
}

//! Soak: calls without end, of which none may be lost or doubled, and which leave nothing behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::calls::{Kind, channel};
use crate::process::{Backend, Process, Rest};
use crate::server::METHODS;
use crate::{MIB, size};

const CONNECTIONS: u64 = 8;
/// Calls at once on each connection.
const CALLERS: u64 = 32;
/// How often memory is looked at.
const SAMPLES: u64 = 40;

pub async fn unary() {
    soak(size("SOAK_CALLS", 1_000_000), |_| Kind::Unary).await;
}

pub async fn mixed() {
    soak(size("MIXED_CALLS", 200_000), Kind::of).await;
}

async fn soak(calls: u64, kind: fn(u64) -> Kind) {
    // So many calls more fill the caches, and are not measured.
    let warm_up = (calls / 4).max(50_000);
    let total = warm_up + calls;
    let step = (calls / SAMPLES).max(1);
    let mut server = Backend::start(&[&format!("calls={total}")]);
    let rest = Rest::of(&mut server);
    let began_at = Instant::now();

    let next = Arc::new(AtomicU64::new(0));
    let (at, mut reached) = mpsc::channel(1);
    let mut callers = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let channel = channel(&server);
        for _ in 0..CALLERS {
            let (channel, next, at) = (channel.clone(), Arc::clone(&next), at.clone());
            callers.spawn(async move {
                let mut tally = BTreeMap::<_, u64>::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= total {
                        return tally;
                    }
                    if number >= warm_up && (number - warm_up).is_multiple_of(step) {
                        let _ = at.send(number - warm_up).await;
                    }
                    kind(number).call(&channel, number).await.unwrap();
                    *tally.entry(kind(number).method()).or_default() += 1;
                }
            });
        }
    }
    drop(at);
    let [mut theirs, mut ours] = [Vec::new(), Vec::new()];
    while let Some(number) = reached.recv().await {
        let [server, client] = [server.process(), Process::this()].map(|one| one.memory());
        theirs.push((number, server));
        ours.push((number, client));
        if number.is_multiple_of(1_000_000) {
            let [server, client] = [server, client].map(|bytes| bytes as f64 / MIB);
            println!("\n  after {number}: server {server:.1} MiB, client {client:.1} MiB");
        }
    }
    let mut tally = BTreeMap::<_, u64>::new();
    while let Some(ended) = callers.join_next().await {
        for (method, count) in ended.unwrap() {
            *tally.entry(method).or_default() += count;
        }
    }

    let elapsed = began_at.elapsed();
    let [their_slope, our_slope] = [&theirs, &ours].map(|samples| slope(samples));
    let rate = total as f64 / elapsed.as_secs_f64();
    println!("\n  {total} calls in {elapsed:.1?}, {rate:.0}/s: {tally:?}");
    for (who, samples, slope) in [("server", theirs, their_slope), ("client", ours, our_slope)] {
        let [first, last] = [samples.first(), samples.last()].map(|it| it.unwrap().1 as f64 / MIB);
        println!("  {who}: {first:.1} MiB, then {last:.1} MiB; {slope:+.3} MiB per million calls");
    }
    let figures = rest.is_back(&mut server).await;
    println!("  {figures:?}");

    assert_eq!(tally.values().sum::<u64>(), total, "calls ended");
    assert_eq!(figures.of("twice"), 0, "calls that came twice");
    assert_eq!(
        figures.of("damaged"),
        0,
        "requests that came otherwise than they were sent"
    );
    for method in METHODS {
        let (made, seen) = (
            tally.get(method).copied().unwrap_or_default(),
            figures.of(method),
        );
        // Some of these were over before the server had them.
        let right = if method == "Never" {
            seen <= made
        } else {
            seen == made
        };
        assert!(
            right,
            "{made} calls of {method} were made, {seen} were served"
        );
    }
    let surely_seen = total - tally.get("Never").copied().unwrap_or_default();
    assert!(figures.of("distinct") >= surely_seen, "calls were lost");
    // Of fewer than a million, a few pages more would be all that is seen.
    if calls >= 1_000_000 {
        for (who, slope) in [("server", their_slope), ("client", our_slope)] {
            assert!(
                slope <= 1.0,
                "the {who} takes {slope:.3} MiB more for each million calls"
            );
        }
    }
}

/// MiB for each million calls: the line that lies closest to the samples.
fn slope(samples: &[(u64, u64)]) -> f64 {
    let points = || {
        samples
            .iter()
            .map(|(x, y)| (*x as f64 / 1e6, *y as f64 / MIB))
    };
    let count = samples.len() as f64;
    let (x_sum, y_sum) = points().fold((0.0, 0.0), |sum, (x, y)| (sum.0 + x, sum.1 + y));
    let (x_mean, y_mean) = (x_sum / count, y_sum / count);
    let covariance: f64 = points().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let variance: f64 = points().map(|(x, _)| (x - x_mean).powi(2)).sum();
    covariance / variance
}

//! Connections that have nothing to do: what each takes, and that each still serves.

use std::time::{Duration, Instant};

use barewire::Channel;
use tokio::task::JoinSet;

use crate::calls::{ECHO, channel, echo, start_tls, tls_channel};
use crate::process::{Backend, Process, Rest};
use crate::{MIB, size};

/// 400 MiB for ten thousand.
const CLEAR_TEXT_LIMIT: f64 = 400.0 * MIB / 10_000.0;
/// 1 GiB for ten thousand.
const TLS_LIMIT: f64 = 1024.0 * MIB / 10_000.0;
/// How long one call on each may take. It takes less by far.
const CALLS_LIMIT: Duration = Duration::from_secs(30);
/// Connections that are made at once.
const DIALLERS: usize = 64;

pub async fn clear_text() {
    let server = Backend::start(&[]);
    idle(server, channel, CLEAR_TEXT_LIMIT).await;
}

pub async fn tls() {
    let (server, tls) = start_tls("idle");
    idle(server, |server| tls_channel(server, &tls), TLS_LIMIT).await;
}

async fn idle(mut server: Backend, channel: impl Fn(&Backend) -> Channel, limit: f64) {
    let count = size("IDLE_CONNECTIONS", 10_000);
    let rest = Rest::of(&mut server);
    let (process, this) = (server.process(), Process::this());
    let before = [process.memory(), this.memory()];
    let began_at = Instant::now();
    let (mut dialling, mut channels) = (JoinSet::new(), Vec::new());
    for _ in 0..count {
        if dialling.len() == DIALLERS {
            channels.extend(dialling.join_next().await.map(Result::unwrap));
        }
        let channel = channel(&server);
        dialling.spawn(async move {
            channel.ready().await.unwrap();
            channel
        });
    }
    channels.extend(dialling.join_all().await);
    let connected_in = began_at.elapsed();

    // Both ends are done with each other when the server has gone through what the last one said.
    for channel in channels.iter().rev().take(1) {
        echo(channel, ECHO, 0).await.unwrap();
    }
    let after = [process.memory(), this.memory()];
    let [theirs, ours] = [0, 1].map(|i| after[i].saturating_sub(before[i]) as f64 / count as f64);
    println!(
        "\n  {count} connections in {connected_in:.1?}; each takes {:.1} KiB of the server, which has {:.0} MiB, \
         and {:.1} KiB of its clients",
        theirs / 1024.0,
        after[0] as f64 / MIB,
        ours / 1024.0,
    );

    let began_at = Instant::now();
    let mut calls = JoinSet::new();
    for (number, channel) in (1..).zip(channels) {
        calls.spawn(async move { echo(&channel, ECHO, number).await });
    }
    let outcomes = calls.join_all().await;
    let called_in = began_at.elapsed();
    println!("  then a call on each in {called_in:.1?}");
    let failed: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(
        failed.is_empty(),
        "{} calls failed: {}",
        failed.len(),
        failed[0]
    );
    assert!(called_in <= CALLS_LIMIT, "{called_in:?}");
    assert!(
        theirs <= limit,
        "a connection takes {theirs} bytes, where {limit} are allowed"
    );

    let figures = rest.is_back(&mut server).await;
    assert_eq!(figures.of("distinct"), count + 1);
}

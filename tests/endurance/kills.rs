//! One of three servers is killed every two seconds, and comes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use barewire::{Balancing, Channel, ChannelConfig, Code, MethodPath, ServiceConfig, Status};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::calls::ECHO;
use crate::numbered::{check, seal};
use crate::process::Backend;
use crate::retrying::retrying;
use crate::size;

const CALLERS: u64 = 20;
/// Calls that are made at the least, however fast the killing goes.
const CALLS: u64 = 100_000;

pub async fn with_retries() {
    let failed = kill(Some(retrying())).await;
    assert!(failed.is_empty(), "{failed:?}");
}

/// Nobody knows how far those came that were under way, so they fail, and say that nothing else was wrong.
pub async fn without_retries() {
    let failed = kill(None).await;
    let others: Vec<_> = failed
        .keys()
        .filter(|code| **code != Code::Unavailable.to_string())
        .collect();
    assert!(others.is_empty(), "{failed:?}");
}

/// Yields how many calls failed with which code.
async fn kill(service_config: Option<ServiceConfig>) -> BTreeMap<String, u64> {
    let kills = size("KILLS", 3);
    // Addresses that no client of this machine has, so that no connection takes a port away from a
    // server that comes back.
    let homes = ["127.0.0.2:0", "127.0.0.3:0", "127.0.0.4:0"];
    let mut servers = homes.map(|home| Backend::start_at(home, Vec::new()));
    let addresses = servers.each_ref().map(|server| server.address.to_string());
    let config = ChannelConfig {
        balancing: Balancing::RoundRobin,
        service_config,
        ..ChannelConfig::default()
    };
    let target = format!("ipv4:{}", addresses.join(","));
    let channel = Channel::with_config(&target, config).unwrap();
    channel.ready().await.unwrap();

    let (over, next) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (channel, over, next) = (channel.clone(), Arc::clone(&over), Arc::clone(&next));
        callers.spawn(async move {
            let mut failed = BTreeMap::<_, u64>::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= CALLS && over.load(Ordering::Relaxed) {
                    return failed;
                }
                if let Err(status) = call(&channel, number % 1_000_000).await {
                    *failed.entry(status.code.to_string()).or_default() += 1;
                }
            }
        });
    }
    let mut time_to_kill = interval(Duration::from_secs(2));
    time_to_kill.set_missed_tick_behavior(MissedTickBehavior::Delay);
    time_to_kill.tick().await;
    for victim in (0..servers.len()).cycle().take(kills as usize) {
        time_to_kill.tick().await;
        servers[victim].kill_and_start();
    }
    over.store(true, Ordering::Relaxed);
    let mut failed = BTreeMap::<_, u64>::new();
    while let Some(ended) = callers.join_next().await {
        for (code, count) in ended.unwrap() {
            *failed.entry(code).or_default() += count;
        }
    }
    let calls = next.load(Ordering::Relaxed) - CALLERS;
    println!("\n  {kills} kills, {calls} calls, failed: {failed:?}");
    for server in &servers {
        server.must_be_silent();
    }
    failed
}

async fn call(channel: &Channel, number: u64) -> Result<(), Status> {
    let response = channel
        .unary::<Bytes, Bytes>(MethodPath::from_static(ECHO), seal(number, 100))
        .await?;
    check(&response.message, number, 100).unwrap();
    Ok(())
}

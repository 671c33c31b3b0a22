//! Calls through a network that fails: each ends in time, and none with what was not sent.
//!
//! Of one channel one call is under way at a time, so that bytes that went astray cannot be the answer
//! of another call. A trouble that only slows things down may fail no call. In clear text HTTP/2 has
//! no means against bytes that changed: a message that came damaged is the network's, and one that is
//! whole and of another call is ours. TLS must end the connection.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use barewire::{Channel, ChannelConfig, ClientTls, Code, MethodPath, Request};
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::calls::{ECHO, start_tls};
use crate::numbered::{Wrong, check, seal};
use crate::process::{Backend, PATIENCE, Rest};
use crate::proxy::{Proxy, Trouble};
use crate::size;

/// A row of the table.
#[derive(Clone, Copy)]
pub struct Fault {
    pub name: &'static str,
    trouble: Trouble,
    harm: Harm,
}

/// What a trouble may do to calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// They take longer.
    Slow,
    /// The connection ends, or nothing comes any more.
    Breaks,
    /// Bytes are not what they were.
    Alters,
}

#[rustfmt::skip]
pub const FAULTS: [Fault; 14] = [
    Fault { name: "delay",            trouble: Trouble::Delay,         harm: Harm::Slow },
    Fault { name: "jitter",           trouble: Trouble::Jitter,        harm: Harm::Slow },
    Fault { name: "one_by_one",       trouble: Trouble::OneByOne,      harm: Harm::Slow },
    Fault { name: "coalescing",       trouble: Trouble::Coalescing,    harm: Harm::Slow },
    Fault { name: "bandwidth",        trouble: Trouble::Bandwidth,     harm: Harm::Slow },
    Fault { name: "stall_one_way",    trouble: Trouble::StallOneWay,   harm: Harm::Breaks },
    Fault { name: "stall_both_ways",  trouble: Trouble::StallBothWays, harm: Harm::Breaks },
    Fault { name: "fin",              trouble: Trouble::Fin,           harm: Harm::Breaks },
    Fault { name: "reset",            trouble: Trouble::Reset,         harm: Harm::Breaks },
    Fault { name: "half_close",       trouble: Trouble::HalfClose,     harm: Harm::Breaks },
    Fault { name: "corrupt",          trouble: Trouble::Corrupt,       harm: Harm::Alters },
    Fault { name: "duplicate",        trouble: Trouble::Duplicate,     harm: Harm::Alters },
    Fault { name: "drop",             trouble: Trouble::Drop,          harm: Harm::Alters },
    Fault { name: "reorder",          trouble: Trouble::Reorder,       harm: Harm::Alters },
];

/// Calls on one channel, one after the other.
const CALLS_OF_A_CHANNEL: u64 = 10;
/// Channels at once.
const CHANNELS: usize = 20;
/// Of calls that nothing but their deadline may end.
const SHORT_DEADLINE: Duration = Duration::from_millis(400);
/// How late a call may be told that its deadline has passed, on a machine that has nothing else to do.
const GOAL: Duration = Duration::from_millis(100);
/// The same on any machine. Past that it hangs.
const HANG: Duration = Duration::from_secs(10);

pub async fn clear_text(fault: Fault) {
    let server = Backend::start(&[]);
    chaos(fault, server, None).await;
}

pub async fn tls(fault: Fault) {
    let (server, tls) = start_tls(fault.name);
    chaos(fault, server, Some(tls)).await;
}

async fn chaos(fault: Fault, mut server: Backend, tls: Option<ClientTls>) {
    let calls = size("CHAOS_CALLS", 100);
    let rest = Rest::of(&mut server);
    let proxy = Proxy::start(server.address, fault.trouble).await;
    let channel = || {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let config = ChannelConfig {
            tls: tls.clone(),
            ..ChannelConfig::default()
        };
        Channel::with_config(&format!("{scheme}://{}", proxy.address), config).unwrap()
    };
    let mut calling = JoinSet::new();
    let mut toll = Toll::default();
    for first in (0..calls).step_by(CALLS_OF_A_CHANNEL as usize) {
        if calling.len() == CHANNELS {
            toll.add(calling.join_next().await.unwrap().unwrap());
        }
        calling.spawn(call_one_by_one(channel(), fault, first));
    }
    while let Some(called) = calling.join_next().await {
        toll.add(called.unwrap());
    }
    let hit = proxy.hit.load(Ordering::Relaxed);
    drop(proxy);
    let figures = rest.is_back(&mut server).await;
    let late = toll.latest;
    let word = if late <= GOAL { "within" } else { "above" };
    println!(
        "\n  {:?}; {hit} connections had their trouble; {} requests came damaged; \
         at most {late:.1?} after the deadline, which is {word} the goal of {GOAL:?}",
        toll.ends,
        figures.of("damaged"),
    );

    let ended: u64 = toll.ends.values().sum();
    assert_eq!(ended, calls.next_multiple_of(CALLS_OF_A_CHANNEL));
    assert!(late <= HANG, "a call ended {late:?} after its deadline");
    assert_eq!(figures.of("handler_panicked"), 0, "{figures:?}");
    assert_eq!(figures.of("twice"), 0, "calls were made twice: {figures:?}");
    assert!(hit > 0, "the network had no trouble");
    let allowed: &[&str] = match fault.harm {
        Harm::Slow => &["ok"],
        Harm::Breaks => &["ok", "UNAVAILABLE", "DEADLINE_EXCEEDED"],
        Harm::Alters if tls.is_some() => &["ok", "UNAVAILABLE", "DEADLINE_EXCEEDED"],
        // Whatever it is that the bytes say now.
        Harm::Alters => &[],
    };
    let others = toll
        .ends
        .keys()
        .filter(|end| !allowed.contains(&end.as_str()));
    let others: Vec<_> = others.collect();
    assert!(
        allowed.is_empty() || others.is_empty(),
        "{others:?} are not among {allowed:?}"
    );
    if fault.harm != Harm::Slow {
        assert!(toll.ends.len() > 1, "nobody noticed");
    }
}

/// How calls ended, and how long after their deadline the latest.
#[derive(Default)]
struct Toll {
    ends: BTreeMap<String, u64>,
    latest: Duration,
}

impl Toll {
    fn add(&mut self, other: Self) {
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
        self.latest = self.latest.max(other.latest);
    }
}

async fn call_one_by_one(channel: Channel, fault: Fault, first: u64) -> Toll {
    let deadline = match fault.harm {
        Harm::Slow => PATIENCE,
        Harm::Breaks | Harm::Alters => SHORT_DEADLINE,
    };
    let mut toll = Toll::default();
    for number in first..first + CALLS_OF_A_CHANNEL {
        let filler = usize::try_from(number * 397 % 2_048).unwrap();
        let request = Request::new(seal(number, filler))
            .with_timeout(deadline)
            .with_wait_for_ready(true);
        let began_at = Instant::now();
        let answer = timeout(
            deadline + HANG,
            channel.unary::<Bytes, Bytes>(MethodPath::from_static(ECHO), request),
        )
        .await;
        let answer = answer.unwrap_or_else(|_| panic!("call {number} hangs"));
        let late = began_at.elapsed().saturating_sub(deadline);
        toll.latest = toll.latest.max(late);
        let end = match answer {
            Ok(response) => match check(&response.message, number, filler) {
                Ok(()) => "ok".to_owned(),
                Err(Wrong::Damaged) => "damaged".to_owned(),
                Err(Wrong::Another) => panic!("call {number} got an answer that is not its own"),
            },
            Err(status) if status.code == Code::DataLoss => "damaged".to_owned(),
            Err(status) => status.code.to_string(),
        };
        *toll.ends.entry(end).or_default() += 1;
    }
    toll
}

//! A client and three servers, all barewire, on one thread with a clock that is ours, and a network
//! between them that does what one number says.
//!
//! | file | what |
//! |---|---|
//! | `chance`, `plan` | a number, or a fuzzer's bytes, to what is to happen |
//! | `network` | connections in memory, that are slow, silent, or break |
//! | `server`, `caller` | both sides, doing what the plan says |
//! | `messages` | what messages say, so that each can be told from all others |
//! | `books`, `log` | what happened, and whether it fits together |

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub
)]

use std::cell::Cell;
use std::panic;
use std::sync::{Arc, Once};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

mod books;
mod caller;
mod chance;
mod log;
mod messages;
mod network;
mod plan;
mod server;

use books::Books;
use caller::{Doors, NameServer, PATIENCE};
pub use chance::Chance;
use log::Log;
pub use log::Trace;
use network::Network;
pub use plan::Plan;
use plan::{CallPlan, Names, Op};
use server::{Host, PLANNED};

/// What must hold for any bytes, made into a plan: the fuzz target `ops`.
#[allow(dead_code, reason = "the tests have plans of their own too")]
pub fn ops(data: &[u8]) {
    let plan = Plan::draw(&mut Chance::of_bytes(data));
    let Trace { events, violations } = run(&plan);
    assert!(
        violations.is_empty(),
        "{plan:#?}\n{}\nbroken:\n{}",
        events.join("\n"),
        violations.join("\n")
    );
}

/// Has a plan happen. What must hold for every plan is checked: see the rules in `books`.
pub fn run(plan: &Plan) -> Trace {
    notice_panics();
    barewire::faults::foresee(plan.network_seed);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let mut trace = runtime.block_on(act(plan));
    if PANICKED.get() {
        trace.violations.push("something panicked".to_owned());
    }
    trace
}

async fn act(plan: &Plan) -> Trace {
    let log = Log::new();
    let network = Network::new(plan.links.clone(), plan.network_seed, log.clone());
    let books = Books::new(plan.client.retries, log.clone());
    let hosts: Vec<_> = (0..3)
        .map(|number| {
            let (books, network) = (books.clone(), network.clone());
            Arc::new(Host::new(number, plan.server.clone(), books, network))
        })
        .collect();
    hosts.iter().for_each(|host| host.start());
    let names = Arc::new(NameServer::new());
    let doors = Arc::new(Doors {
        network: network.clone(),
        hosts: hosts.clone(),
        log: log.clone(),
    });
    let channel = caller::channel(&plan.client, &books, Arc::clone(&names), doors);

    let mut calls = Vec::new();
    for step in &plan.steps {
        sleep(step.after).await;
        match &step.what {
            Op::Call(plan) => {
                let cancel = Arc::new(Notify::new());
                let (plan, gives_up) = (Arc::new((**plan).clone()), Arc::clone(&cancel));
                let call = caller::make(books.clone(), plan, channel.clone(), gives_up);
                calls.push((tokio::spawn(call), cancel));
            }
            Op::Kill { server, reset } => hosts[*server].kill(*reset),
            Op::Drain { server } => hosts[*server].drain(),
            Op::Start { server } => hosts[*server].start(),
            Op::Break { connection, how } => network.break_one(*connection, *how),
            Op::Stall {
                connection,
                directions,
                time,
            } => {
                let (go_on, time) = (network.stall(*connection, *directions), *time);
                tokio::spawn(async move {
                    sleep(time).await;
                    go_on();
                });
            }
            Op::Names(what) => {
                log.note(format!("names: {what:?}"));
                names.set(*what);
            }
            Op::Cancel { call } => {
                if let Some((_, cancel)) = calls.get(*call) {
                    log.note(format!("call {call} is cancelled"));
                    cancel.notify_one();
                }
            }
        }
    }

    log.note("calm");
    network.calm();
    names.set(Names::Are(7));
    hosts.iter().for_each(|host| host.start());
    for (id, (call, _)) in calls.into_iter().enumerate() {
        if timeout(PATIENCE, call).await.is_err() {
            log.violation(format!("call {id} does not end"));
        }
    }
    log.note(format!("all calls have ended, {:?}", channel.counters()));
    // A server that drained when all became calm lives again, and what was said to the client has come.
    for host in &hosts {
        host.live_on().await;
    }
    sleep(Duration::from_millis(100)).await;
    // A call slot that was lost is missed now. One of the calls takes more than a window.
    let probes = plan.steps.len()..plan.steps.len() + PROBES.len();
    let probing = probes.clone().zip(PROBES).map(|(id, length)| {
        let (books, channel) = (books.clone(), channel.clone());
        let plan = Arc::new(CallPlan::probe(id, length));
        tokio::spawn(caller::make(books, plan, channel, Arc::default()))
    });
    for probe in probing.collect::<Vec<_>>() {
        probe.await.unwrap();
    }
    for id in probes {
        if !books.is_ok(id) {
            log.violation(format!("a call when all is calm fails: {id}"));
        }
    }
    // Whoever works for a call that is over is told so.
    sleep(Duration::from_millis(100)).await;
    books.check_idle();
    drop(channel);
    for host in &hosts {
        host.end().await;
    }
    log.note("all servers have ended");
    // Connections linger, and so do stalls.
    sleep(Duration::from_secs(120)).await;
    let tasks = Handle::current().metrics().num_alive_tasks();
    if tasks > 0 {
        log.violation(format!("{tasks} tasks are left"));
    }
    if network.ends_alive() > 0 {
        log.violation(format!(
            "{} ends of connections are left",
            network.ends_alive()
        ));
    }
    hosts.iter().for_each(|host| host.check());
    books.check();
    log.trace()
}

/// As many calls at once as every plan has room for, with messages of these lengths.
const PROBES: [usize; 3] = [20_000, 100, 0];

thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// A panic in a task goes no further than the task, so it is noticed where it begins.
fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<String>();
            if text.is_none_or(|text| text != PLANNED) {
                PANICKED.set(true);
                before(info);
            }
        }));
    });
    PANICKED.set(false);
}

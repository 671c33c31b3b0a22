//! Endurance: many calls, many connections, servers that go, networks that fail; for a long time.
//!
//! ```text
//!  this process                                     the same program, told to serve
//!    clients ──────────────────────────── TCP ──▶ server
//!    tests ── figures, open, SIGTERM, SIGKILL ──▶   its memory, descriptors, tasks, counts
//! ```
//!
//! All of them take long and are ignored by default. `cargo test --release --test endurance --
//! --ignored` runs them in the sizes that the gate has, one after the other; a name at the end runs
//! those that have it in theirs. Environment variables set other sizes:
//!
//! | test | variable | default | goal |
//! |---|---|---|---|
//! | `soak_unary` | `BAREWIRE_SOAK_CALLS` | 1,000,000 | 1,000,000 |
//! | `soak_mixed` | `BAREWIRE_MIXED_CALLS` | 200,000 | 10,000,000 |
//! | `cancels` | `BAREWIRE_CANCELS` | 20,000 | 20,000 |
//! | `idle_…` | `BAREWIRE_IDLE_CONNECTIONS` | 10,000 | 10,000 |
//! | `open_calls` | `BAREWIRE_OPEN_CONNECTIONS`, with 100 calls each | 1,000 | 1,000 |
//! | `drain…` | `BAREWIRE_DRAIN_REPEATS` | 1 | 20 |
//! | `kills_…` | `BAREWIRE_KILLS` | 3 | 10 |
//! | `goaway` | `BAREWIRE_GOAWAY_CALLS` on each connection | 20 | 100 |
//! | `chaos_…` | `BAREWIRE_CHAOS_CALLS` for each fault | 100 | 1,000 |
//!
//! `.ci/nightly` sets the goals. What they print is for people; what they check does not depend on the
//! machine.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics has said what is wrong"
)]

mod calls;
mod chaos;
mod drain;
mod goaway;
mod idle;
mod kills;
mod numbered;
mod open_calls;
mod process;
mod proxy;
mod retrying;
mod server;
mod soak;

#[path = "../client/cancels.rs"]
mod cancels;
#[allow(dead_code, reason = "it is shared with the tests of connections")]
#[path = "../client/support/frames.rs"]
mod frames;
#[allow(dead_code, reason = "it is shared with the tests of the command")]
#[path = "../cli/identity.rs"]
mod identity;
#[allow(dead_code, reason = "it is shared with the tests of whole calls")]
#[path = "../calls/support.rs"]
mod support;

// Shared files look for it here.
use ::tokio;

use std::env;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use tokio::runtime::Builder;

use chaos::FAULTS;
use process::{PATIENCE, Process};

/// A test that is under way.
pub type Run = Pin<Box<dyn Future<Output = ()>>>;

fn main() -> ExitCode {
    // Each connection takes one. Servers inherit it.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut words = env::args();
    if words.nth(1).as_deref() == Some(server::COMMAND) {
        return server::run(words);
    }
    let mut arguments = Arguments::from_args();
    // Two at once would be measured as one.
    arguments.test_threads.get_or_insert(1);
    let mut trials = vec![
        trial("soak_unary", || Box::pin(soak::unary())),
        trial("soak_mixed", || Box::pin(soak::mixed())),
        trial("cancels", || {
            Box::pin(cancels::storm(size("CANCELS", 20_000) as usize))
        }),
        trial("idle_clear_text", || Box::pin(idle::clear_text())),
        trial("idle_tls", || Box::pin(idle::tls())),
        trial("open_calls", || Box::pin(open_calls::all())),
        trial("drain", || Box::pin(drain::all_pings_answered())),
        trial("drain_without_ping", || {
            Box::pin(drain::a_peer_answers_no_ping())
        }),
        trial("kills_with_retries", || Box::pin(kills::with_retries())),
        trial("kills_without_retries", || {
            Box::pin(kills::without_retries())
        }),
        trial("goaway", || Box::pin(goaway::at_every_frame())),
    ];
    for fault in FAULTS {
        let name = format!("chaos_clear_text_{}", fault.name);
        trials.push(trial(&name, move || Box::pin(chaos::clear_text(fault))));
        let name = format!("chaos_tls_{}", fault.name);
        trials.push(trial(&name, move || Box::pin(chaos::tls(fault))));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: &str, start: impl Fn() -> Run + Send + 'static) -> Trial {
    let run = move || {
        let began_at = Instant::now();
        run(start());
        println!("  took {:.1?}", began_at.elapsed());
        Ok(())
    };
    Trial::test(name, run).with_ignored_flag(true)
}

/// Runs a test to its end, after which this process has no more tasks and descriptors than before.
fn run(test: Run) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let descriptors = Process::this().descriptors();
    runtime.block_on(async {
        test.await;
        let left = || {
            let tasks = tokio::runtime::Handle::current()
                .metrics()
                .num_alive_tasks();
            (tasks, Process::this().descriptors())
        };
        let end = Instant::now() + PATIENCE;
        while left() != (0, descriptors) && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(left(), (0, descriptors), "tasks and descriptors are left");
    });
}

/// A size from the environment.
pub fn size(variable: &str, default: u64) -> u64 {
    let text = env::var(format!("BAREWIRE_{variable}"));
    text.map_or(default, |text| text.parse().expect("a whole number"))
}

/// A mebibyte.
pub const MIB: f64 = 1024.0 * 1024.0;

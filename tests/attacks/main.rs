//! Attacks: peers that mean harm, and what they can do to others.
//!
//! ```text
//!  this process
//!    ├ attackers, ten of them ── frames by hand ──▶ barewire serve    one for each attack
//!    └ the canary ── 100 calls a second ──────────▶
//! ```
//!
//! Each attack is a test with a name: `cargo test --test attacks ping` runs those with that text in
//! theirs. They run one after the other, for a second each; with `CI=true` for five seconds.
//! `BAREWIRE_ATTACK_SECONDS=60` makes them last longer, and `BAREWIRE_ATTACK_CONNECTIONS=100` has
//! more attack at once, of which some open 80 each; `--release` is for figures that mean something.
//!
//! An attack may cost the server memory, and its own connections; what it may cost is in its row.
//! No call of the canary may fail or take more than five seconds (ten in debug), none of the attackers
//! may see an end that is not in the row, and in the end the server serves a new connection and stops
//! when it is told to. Attacks of 60 seconds and more are measurements: 99 of 100 calls of the canary
//! take at most 250 ms then, unless `BAREWIRE_ATTACK_P99=off`. What each test prints besides is for
//! people: it depends on the machine.
//!
//! The server does not log its calls: what is on its standard error is a panic.
//!
//! Spec: RFC 9113 §10.5.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics has said what is wrong"
)]

mod attacker;
mod bombs;
mod calls;
mod canary;
mod connections;
mod floods;
mod headers;
mod malformed;
mod memory;
mod windows;

#[path = "../calls/chance.rs"]
mod chance;
#[path = "../client/support/frames.rs"]
mod frames;
#[allow(dead_code, reason = "it is shared with the tests of the command")]
#[path = "../cli/identity.rs"]
mod identity;
#[path = "../calls/mutants.rs"]
mod mutants;
#[allow(dead_code, reason = "it is shared with the tests of the command")]
#[path = "../cli/process.rs"]
mod process;
#[allow(dead_code, reason = "it is shared with the tests of whole calls")]
#[path = "../calls/support.rs"]
mod support;

// Shared files look for it here.
use ::tokio;

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use barewire::ClientTls;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::task::JoinSet;
use tokio::time::Instant;

use attacker::{Attacker, Limit, Over};
use canary::{Canary, Site, Song};
use identity::Identity;
use memory::{MIB, Resident};
use process::Serving;

/// One attack.
pub struct Attack {
    name: &'static str,
    server: Victim,
    cost: Cost,
    /// How a connection may end: `open` when the time is over, `left` by the attacker, `closed`
    /// without a word, or with the last GOAWAY. Where it is never open, it must end by itself.
    ends: &'static [&'static str],
    /// Makes what takes long to make.
    prepare: fn(),
    /// What an attacker does with a connection. Done again and again, with a new one each time.
    round: fn(&mut Attacker) -> Round<'_>,
}

pub type Round<'a> = Pin<Box<dyn Future<Output = Result<(), Over>> + Send + 'a>>;

/// What is attacked.
#[derive(Clone, Copy)]
pub enum Victim {
    /// `barewire serve`.
    Tutorials,
    /// The same with TLS.
    Tls,
    /// `barewire interop server`, whose requests have lists in them.
    Interop,
}

/// How much memory an attack may cost the server.
#[derive(Clone, Copy)]
pub enum Cost {
    /// What is given up soon.
    Malformed,
    /// Frames that carry nothing.
    Control,
    /// What was sent and is not read, on either side, within the bounds of ten connections.
    Unread,
    /// The same where only `max_buffered_bytes` bounds it, and the quarter more at which it cuts.
    Buffered,
    /// Little that becomes much.
    Bomb,
}

impl Cost {
    fn limit(self) -> u64 {
        // More attackers than usual may cost what their connections may that are idle.
        const CONNECTION: u64 = 40 * 1024;
        let more = connections().saturating_sub(ATTACKERS) * connections::CONNECTIONS;
        let of_ten = match self {
            Self::Malformed => 16 * MIB,
            Self::Control => 64 * MIB,
            Self::Unread => 600 * MIB,
            Self::Buffered | Self::Bomb => 1_280 * MIB,
        };
        of_ten + u64::try_from(more).unwrap() * CONNECTION
    }
}

fn main() -> ExitCode {
    // Some attacks take many connections.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let mut arguments = Arguments::from_args();
    // Two attacks at once would be measured as one.
    arguments.test_threads.get_or_insert(1);
    let attacks = [
        calls::attacks(),
        headers::attacks(),
        floods::attacks(),
        windows::attacks(),
        bombs::attacks(),
        connections::attacks(),
        malformed::attacks(),
    ];
    let attacks = attacks.into_iter().flatten();
    let trials = attacks.map(|attack| Trial::test(attack.name, move || run(&attack)));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn run(attack: &Attack) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (report, problems) = runtime.block_on(attack.run());
    println!("{report}");
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n").into())
    }
}

impl Attack {
    /// An attack on `barewire serve`.
    pub fn new(
        name: &'static str,
        cost: Cost,
        ends: &'static [&'static str],
        round: fn(&mut Attacker) -> Round<'_>,
    ) -> Self {
        Self {
            name,
            server: Victim::Tutorials,
            cost,
            ends,
            prepare: || {},
            round,
        }
    }

    /// Yields what is to be printed, and what went wrong.
    async fn run(&self) -> (String, Vec<String>) {
        (self.prepare)();
        let (serving, site) = self.server.start();
        let canary = Canary::start(site.clone()).await;
        let before = Resident::of(serving.pid);

        let duration = duration();
        let end = Instant::now() + duration;
        let mut attackers = JoinSet::new();
        for number in 0..connections() {
            attackers.spawn(self.attack(site.clone(), number, end));
        }
        let toll = attackers.join_all().await.into_iter().collect::<Toll>();

        let song = canary.stop();
        let again = site.call().await;
        let grown = Resident::of(serving.pid)
            .zip(before)
            .map(|(after, before)| after.peak.saturating_sub(before.now));
        let last_words = serving.stop();

        let mut problems = self.problems_of(&toll);
        let failures = song.failures.iter();
        problems.extend(failures.map(|(why, count)| format!("{count} calls of the canary: {why}")));
        let high = song.percentile(99);
        if high > GOAL && is_measured(duration) {
            problems.push(format!("the canary's p99 is {high:.1?}, above {GOAL:?}"));
        }
        if let Err(why) = again {
            problems.push(format!("a new connection: {why}"));
        }
        if let Some(grown) = grown
            && grown > self.cost.limit()
        {
            let (grown, limit) = (grown / MIB, self.cost.limit() / MIB);
            problems.push(format!(
                "{grown} MiB more memory, where {limit} are allowed"
            ));
        }
        problems.extend(last_words);
        (report(grown, &song, &toll), problems)
    }

    fn attack(
        &self,
        site: Site,
        number: usize,
        end: Instant,
    ) -> impl Future<Output = Toll> + Send + 'static {
        let round = self.round;
        // Where the server must end a connection, it is given the time to.
        let limit = if self.ends.contains(&"open") {
            Limit::Time(end)
        } else {
            Limit::UntilClosed
        };
        async move {
            let mut toll = Toll::default();
            while toll.ends.is_empty() || Instant::now() < end {
                let mut attacker = match Attacker::connect(site.address, number, limit).await {
                    Ok(attacker) => attacker,
                    Err(error) => {
                        toll.add(format!("no connection: {error}"), 0);
                        break;
                    }
                };
                let over = round(&mut attacker).await;
                let end = over.map_or_else(|over| attacker.end(over), |()| "left".to_owned());
                toll.add(end, attacker.heard.ended());
            }
            toll
        }
    }

    fn problems_of(&self, toll: &Toll) -> Vec<String> {
        let unexpected = toll.ends.iter().filter(|(end, _)| {
            let expected = self.ends.iter().any(|expected| expected == end);
            !expected
        });
        unexpected
            .map(|(end, count)| {
                let expected = self.ends.join(", ");
                format!("{count} connections ended with \"{end}\", not with {expected}")
            })
            .collect()
    }
}

impl Victim {
    fn start(self) -> (Serving, Site) {
        let (serving, tls) = match self {
            Self::Tutorials => (Serving::on_a_free_port(&["--log", "none"]), None),
            Self::Interop => (Serving::interop(), None),
            Self::Tls => {
                let identity = Identity::new("attacked");
                let flags = [&["--log", "none"], &identity.flags()[..]].concat();
                let root = fs::read(&identity.certificate).unwrap();
                let tls = ClientTls::with_roots(&root)
                    .and_then(|tls| tls.server_name("localhost"))
                    .unwrap();
                (Serving::on_a_free_port(&flags), Some(tls))
            }
        };
        let mut address = serving.addresses[0];
        address.set_ip(Ipv4Addr::LOCALHOST.into());
        (serving, Site { address, tls })
    }
}

/// What became of the attackers.
#[derive(Default)]
struct Toll {
    /// How many connections ended how.
    ends: BTreeMap<String, u64>,
    /// Streams that came to an end, by an answer or a reset.
    streams: u64,
}

impl Toll {
    fn add(&mut self, end: String, streams: u64) {
        *self.ends.entry(end).or_default() += 1;
        self.streams += streams;
    }
}

impl FromIterator<Self> for Toll {
    fn from_iter<I: IntoIterator<Item = Self>>(tolls: I) -> Self {
        let mut all = Self::default();
        for toll in tolls {
            all.streams += toll.streams;
            for (end, count) in toll.ends {
                *all.ends.entry(end).or_default() += count;
            }
        }
        all
    }
}

/// What people want to know of an attack.
fn report(grown: Option<u64>, song: &Song, toll: &Toll) -> String {
    let mut text = match grown {
        Some(grown) => format!("\n  server: {} MiB more memory at most", grown / MIB),
        None => "\n  server: this system does not tell how much memory it took".to_owned(),
    };
    let _ = write!(text, "; streams ended: {}; connections:", toll.streams);
    for (end, count) in &toll.ends {
        let _ = write!(text, " {count} × {end}");
    }
    let failures: usize = song.failures.values().sum();
    let [middle, high, most] = [50, 99, 100].map(|percent| song.percentile(percent));
    let _ = write!(
        text,
        "\n  canary: {} calls, {} failures, p50 {middle:.1?}, p99 {high:.1?}, at most {most:.1?}",
        song.times.len() + failures,
        failures,
    );
    text
}

/// Whether the canary's times count: those of a short attack are a matter of chance.
fn is_measured(duration: Duration) -> bool {
    let off = env::var("BAREWIRE_ATTACK_P99").is_ok_and(|value| value == "off");
    duration >= Duration::from_secs(60) && !off
}

/// What p99 is to be then.
const GOAL: Duration = Duration::from_millis(250);

fn duration() -> Duration {
    let on_ci = env::var("CI").is_ok_and(|value| value == "true");
    let seconds = number("BAREWIRE_ATTACK_SECONDS").unwrap_or(if on_ci { 5 } else { 1 });
    Duration::from_secs(seconds)
}

fn connections() -> usize {
    number("BAREWIRE_ATTACK_CONNECTIONS").map_or(ATTACKERS, |count| count.try_into().unwrap())
}

/// So many attack at once.
const ATTACKERS: usize = 10;

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().expect("a whole number"))
}

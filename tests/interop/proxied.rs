//! The same scenarios with a proxy between client and server.
//!
//! ```text
//!  BAREWIRE_INTEROP_PROXY=envoy-tls cargo test --test interop
//!
//!  client ──▶ envoy ──▶ one server        both ways in TLS
//!                  └──▶ another of the same
//! ```
//!
//! The proxies are those of `tests/proxies`. What is not run with one between, or ends in another way
//! than without, is ignored and says why.

use std::collections::HashMap;
use std::env;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::proxy::{Kind, Plan, Programs, Proxy, Security};
use crate::scenarios::Scenario;
use crate::server::Setup;

/// The proxy of this run.
pub(crate) struct Proxied {
    kind: Kind,
    security: Security,
    programs: OnceLock<Result<Programs, String>>,
    /// One for each pair of servers.
    running: Mutex<HashMap<[u16; 2], Proxy>>,
}

impl Proxied {
    /// The proxy that the environment asks for.
    pub(crate) fn from_environment() -> Option<Self> {
        let wanted = env::var("BAREWIRE_INTEROP_PROXY").ok()?;
        let (name, security) = match wanted.strip_suffix("-tls") {
            Some(name) => (name, Security::Tls),
            None => (&*wanted, Security::ClearText),
        };
        let kind = Kind::ALL.into_iter().find(|kind| kind.to_string() == name);
        Some(Self {
            kind: kind.unwrap_or_else(|| panic!("no proxy is called {name:?}")),
            security,
            programs: OnceLock::new(),
            running: Mutex::new(HashMap::new()),
        })
    }

    /// Whether it is TLS, to clients and to servers.
    pub(crate) fn is_tls(&self) -> bool {
        self.security == Security::Tls
    }

    /// Where it listens that passes calls on to these servers.
    pub(crate) fn address(&self, servers: [u16; 2], certificates: &Path) -> Result<String, String> {
        let programs = self.programs.get_or_init(Programs::prepare).as_ref()?;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let proxy = running.entry(servers).or_insert_with(|| {
            let plan = Plan {
                kind: self.kind,
                security: self.security,
                servers: &servers,
                certificates,
                changes: &[],
            };
            Proxy::start(programs, plan)
        });
        proxy.check()?;
        Ok(proxy.address.to_string())
    }

    /// Why this scenario is not run, if it is not.
    pub(crate) fn reason_against(&self, scenario: &Scenario) -> Option<&'static str> {
        match scenario.setup {
            Setup::Nothing => Some(OWN_SERVERS),
            Setup::Tls | Setup::MutualTls => Some(TLS_OF_SERVERS),
            Setup::Plain | Setup::FastTasks | Setup::Echo => {
                self.exception(&format!("python::{scenario}"))
            }
        }
    }

    /// Why the trial of this name is not run, if it is not.
    pub(crate) fn exception(&self, name: &str) -> Option<&'static str> {
        let is_here = |exception: &&Exception| {
            let is_of = |trial: &&str| name.strip_suffix("::coroutines").unwrap_or(name) == *trial;
            exception.trials.iter().any(is_of)
                && exception.kinds.contains(&self.kind)
                && exception.securities.contains(&self.security)
        };
        let exception = EXCEPTIONS.iter().find(is_here)?;
        Some(exception.reason)
    }

    /// Ends the proxies.
    pub(crate) fn stop(&self) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Trials that are not run with some proxies, and why.
struct Exception {
    kinds: &'static [Kind],
    securities: &'static [Security],
    trials: &'static [&'static str],
    reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        kinds: &Kind::ALL,
        securities: &Security::ALL,
        trials: &["python::connection::too_many_pings_are_answered_by_going_away"],
        reason: "the proxy answers the pings of clients itself",
    },
    Exception {
        kinds: &Kind::ALL,
        securities: &Security::ALL,
        trials: &["python::status::a_text_longer_than_the_client_takes"],
        reason: "how much metadata a client takes, the proxy does not tell the server",
    },
    Exception {
        kinds: &Kind::ALL,
        securities: &Security::ALL,
        trials: &["python::deadlines::a_hundred_deadlines_at_once"],
        reason: "fifty floods leave the proxy no time, and its answers are due within a second",
    },
    Exception {
        kinds: &[Kind::Envoy],
        securities: &Security::ALL,
        trials: &["python::cancellation::a_thousand_calls_on_one_connection"],
        reason: "500 calls of which half are cancelled within a second are the end of their client's connection",
    },
    Exception {
        kinds: &[Kind::Haproxy],
        securities: &Security::ALL,
        trials: &[
            "python::cancellation::a_thousand_calls_on_one_connection",
            "python::concurrency::busy_streams_beside_one_that_nobody_reads",
            "client::streams::a_reader_that_is_slow",
            "client::streams::one_stream_does_not_hold_up_another",
            "client::streams::the_server_sends_all_before_it_reads",
        ],
        reason: "a stream that is not read holds up all others of its connection (haproxy/haproxy#2853)",
    },
    Exception {
        kinds: &[Kind::Haproxy],
        securities: &Security::ALL,
        trials: &["client::streams::both_send_all_the_time"],
        reason: "messages that cannot go on hold up the WINDOW_UPDATE behind them, in both directions at once (haproxy/haproxy#2853)",
    },
    Exception {
        kinds: &Kind::ALL,
        securities: &[Security::Tls],
        trials: &["python::tls::a_tls_client_on_a_plain_text_port"],
        reason: "the port speaks TLS",
    },
    Exception {
        kinds: &[Kind::Nginx],
        securities: &[Security::Tls],
        trials: &[
            "python::metadata::asyncio_too",
            "python::metadata::is_read_before_any_message",
            "client::cancellation::a_bidi_stream_after_we_have_said_all",
            "client::cancellation::a_client_stream_that_is_dropped_unfinished",
            "client::cancellation::a_client_stream_whose_answer_is_dropped",
            "client::metadata::that_comes_before_any_message",
        ],
        reason: "what waits to be encrypted is sent when a DATA frame comes, and headers wait for one (nginx/nginx#808)",
    },
];

/// Why a scenario is not run that starts servers, or listens to what goes over the wire.
pub(crate) const OWN_SERVERS: &str = "no proxy is before its own servers";
/// Why a scenario is not run that is about the TLS of a server.
pub(crate) const TLS_OF_SERVERS: &str = "the TLS of its client ends at the proxy";

//! barewire against Python's grpcio, the client and the server that most people meet gRPC with.
//!
//! ```text
//!  this process
//!    │  JSON lines                       gRPC
//!    ├──────────────▶ python runner.py ────────▶ barewire serve    one per set-up
//!    ├──────────────▶ python runner.py ────────▶
//!    │                                   gRPC
//!    └ client::… ──────────────────────────────▶ python serve.py   one per set-up
//! ```
//!
//! A scenario is a Python function with a mark, in `python/scenarios/`, that talks to barewire's
//! server; or a Rust function in `client/` that talks to a Python server with barewire's client. Each
//! is a test with a name and a result of its own: `cargo test --test interop route_guide` runs those
//! with that text in their name, `cargo test --test interop client::` the Rust ones. What takes very
//! long runs only with `-- --ignored`.
//!
//! The first run makes a virtual environment with pinned packages below `target/`, which takes a
//! minute and the package index; later runs find it there. Without a Python that is new enough the
//! scenarios are ignored and say why; with `CI=true` that is a failure, since nobody reads the word
//! "ignored" there.
//!
//! `BAREWIRE_INTEROP_PROXY=nginx`, or another name that `proxied.rs` knows, puts a proxy between.
//! `BAREWIRE_INTEROP_BINARY=path` runs the scenarios against another build than the one that Cargo
//! just made.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has said what is wrong"
)]

mod certificates;
mod client;
mod echo;
mod environment;
pub mod printed;
mod process;
mod proxied;
mod runner;
mod scenarios;
mod server;

#[allow(dead_code, reason = "each suite uses some of it")]
#[path = "../client/support/identities.rs"]
mod identities;
#[path = "../proxies/proxy.rs"]
mod proxy;
#[path = "../endurance/retrying.rs"]
mod retrying;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use client::{Case, Site};
use environment::{Environment, INSTALL, Python};
use proxied::Proxied;
use runner::Runners;
use scenarios::Scenario;
use server::Servers;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let python = Python::find();
    if let Err(reason) = &python
        && !arguments.list
    {
        eprintln!("\nPython scenarios cannot run: {reason}; {INSTALL}");
    }
    let proxied = Proxied::from_environment().map(Arc::new);
    let interop = Arc::new(Interop {
        python,
        environment: OnceLock::new(),
        runners: Runners::new(proxied.is_some()),
        servers: Servers::new(scratch(), proxied.clone()),
        proxied,
        site: OnceLock::new(),
    });

    let of_python = scenarios::read().into_iter().map(|scenario| {
        let interop = Arc::clone(&interop);
        Trial::ignorable_test(format!("python::{scenario}"), move || {
            interop.run(&scenario)
        })
    });
    let of_rust = client::cases().into_iter().map(|case| {
        let interop = Arc::clone(&interop);
        let (name, is_slow) = (case.name.clone(), case.is_slow);
        Trial::ignorable_test(name, move || interop.run_client(&case)).with_ignored_flag(is_slow)
    });
    let conclusion = libtest_mimic::run(&arguments, of_python.chain(of_rust).collect());

    // A server that does not stop when it is told to, or panicked on the way, fails the run
    // although no single scenario is to blame.
    interop.runners.stop();
    if let Some(site) = interop.site.get() {
        site.stop();
    }
    if let Some(proxied) = &interop.proxied {
        proxied.stop();
    }
    match interop.servers.stop() {
        Ok(()) => conclusion.exit_code(),
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(101)
        }
    }
}

/// What the scenarios of one run share. Everything is made when the first scenario needs it.
struct Interop {
    python: Result<Python, String>,
    environment: OnceLock<Result<Environment, String>>,
    runners: Runners,
    proxied: Option<Arc<Proxied>>,
    servers: Servers,
    site: OnceLock<Site>,
}

impl Interop {
    fn run(&self, scenario: &Scenario) -> Result<Completion, Failed> {
        let reason = |proxied: &Arc<Proxied>| proxied.reason_against(scenario);
        if let Some(reason) = self.proxied.as_ref().and_then(reason) {
            return Ok(Completion::ignored_with(reason));
        }
        let environment = match self.environment()? {
            Ok(environment) => environment,
            Err(ignored) => return Ok(ignored),
        };
        let target = self.servers.target(scenario.setup)?;
        let outcome = self.runners.run(environment, scenario, &target);
        let lived = self.servers.check(scenario.setup);
        match (outcome, lived) {
            (Ok(()), Ok(())) => Ok(Completion::Completed),
            (Ok(()), Err(problem)) | (Err(problem), Ok(())) => Err(problem.into()),
            (Err(problem), Err(server)) => Err(format!("{problem}\n{server}").into()),
        }
    }

    fn run_client(&self, case: &Case) -> Result<Completion, Failed> {
        let reason = |proxied: &Arc<Proxied>| case.reason_against(proxied);
        if let Some(reason) = self.proxied.as_ref().and_then(reason) {
            return Ok(Completion::ignored_with(reason));
        }
        let environment = match self.environment()? {
            Ok(environment) => environment,
            Err(ignored) => return Ok(ignored),
        };
        let site = self.site.get_or_init(|| {
            let certificates = self.servers.certificates().to_owned();
            Site::new(environment.clone(), certificates, self.proxied.clone())
        });
        case.run(site);
        site.check()?;
        Ok(Completion::Completed)
    }

    /// The Python that is there, or how a test ends that cannot run without.
    fn environment(&self) -> Result<Result<&Environment, Completion>, Failed> {
        let python = match &self.python {
            Ok(python) => python,
            Err(reason) if on_ci() => return Err(format!("{reason}; {INSTALL}").into()),
            Err(reason) => return Ok(Err(Completion::ignored_with(reason))),
        };
        let environment = self
            .environment
            .get_or_init(|| python.prepare(&scratch()))
            .as_ref()?;
        Ok(Ok(environment))
    }
}

fn on_ci() -> bool {
    env::var("CI").is_ok_and(|value| value == "true")
}

/// The folder below `target/` for all that these tests write.
fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("interop")
}

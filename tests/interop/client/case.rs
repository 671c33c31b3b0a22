//! A scenario as a trial: a name, a time limit, and something to run.

use std::any::type_name;
use std::time::Duration;

use barewire::Channel;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::line::Line;
use super::site::Site;
use crate::proxied::{OWN_SERVERS, Proxied, TLS_OF_SERVERS};

/// One trial.
pub(crate) struct Case {
    /// `client::greeter::say_hello`
    pub(crate) name: String,
    /// Whether it takes so long that it runs only when it is asked for, with `--ignored`.
    pub(crate) is_slow: bool,
    /// Why no proxy can be between, if that is so.
    no_proxy: Option<&'static str>,
    limit: Duration,
    scenario: Box<dyn Scenario>,
}

/// Something to run, which panics if something is wrong.
trait Scenario: Send + Sync {
    fn run(&self, site: &Site, limit: Duration);
}

impl<F: AsyncFn(&Site) + Send + Sync> Scenario for F {
    fn run(&self, site: &Site, limit: Duration) {
        let runtime = Runtime::new().expect("threads can be started");
        let ended = runtime.block_on(async { timeout(limit, self(site)).await });
        ended.unwrap_or_else(|_| panic!("not done after {} s", limit.as_secs()));
    }
}

impl Case {
    /// A scenario that starts or asks for the servers that it wants.
    pub(crate) fn new<F>(scenario: F) -> Self
    where
        F: AsyncFn(&Site) + Send + Sync + 'static,
    {
        Self {
            name: name_of::<F>(),
            is_slow: false,
            no_proxy: Some(OWN_SERVERS),
            limit: LIMIT,
            scenario: Box::new(scenario),
        }
    }

    /// A scenario on a channel to the tutorials' services, once for each of these lines.
    pub(crate) fn on_each<F>(lines: &'static [Line], scenario: F) -> impl Iterator<Item = Self>
    where
        F: AsyncFn(Channel) + Copy + Send + Sync + 'static,
    {
        lines.iter().map(move |line| {
            let on_line = async move |site: &Site| scenario(line.channel(site).await).await;
            let plain = name_of::<F>();
            let name = match line.name() {
                Some(line) => format!("{plain}::{line}"),
                None => plain,
            };
            Self {
                name,
                no_proxy: line.is_tls().then_some(TLS_OF_SERVERS),
                ..Self::new(on_line)
            }
        })
    }

    /// The same, also with a proxy between: it asks the site for its channels.
    pub(crate) fn through_proxies(self) -> Self {
        Self {
            no_proxy: None,
            ..self
        }
    }

    /// Why it is not run with this proxy between, if it is not.
    pub(crate) fn reason_against(&self, proxied: &Proxied) -> Option<&'static str> {
        self.no_proxy.or_else(|| proxied.exception(&self.name))
    }

    /// The same with more time than usual.
    pub(crate) fn within(self, seconds: u64) -> Self {
        Self {
            limit: Duration::from_secs(seconds),
            ..self
        }
    }

    /// The same, run only when it is asked for.
    pub(crate) fn slow(self) -> Self {
        Self {
            is_slow: true,
            ..self
        }
    }

    /// Runs it. It panics if something is wrong.
    pub(crate) fn run(&self, site: &Site) {
        self.scenario.run(site, self.limit);
    }
}

/// The path of a function, below the name of this test.
fn name_of<F>() -> String {
    let path = type_name::<F>();
    path.split_once("::")
        .map_or(path, |(_, rest)| rest)
        .to_owned()
}

// Long enough for a busy machine, short enough to wait for.
const LIMIT: Duration = Duration::from_secs(30);

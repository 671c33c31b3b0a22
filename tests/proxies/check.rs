//! A check as a trial for each proxy, in clear text and over TLS.

use std::any::type_name;
use std::time::Duration;

use libtest_mimic::{Completion, Failed};
use tokio::runtime::Runtime;
use tokio::time::timeout;

use crate::proxy::{Kind, Security};
use crate::site::Site;

/// Something to run behind each proxy, which panics if something is wrong.
pub(crate) struct Check {
    /// `calls::cancelled_calls_end_their_handlers`
    pub(crate) name: String,
    exceptions: Vec<Exception>,
    run: Box<dyn Run>,
}

/// Where it is not run, and why.
struct Exception {
    kind: Kind,
    securities: &'static [Security],
    reason: &'static str,
}

trait Run: Send + Sync {
    fn run(&self, site: &Site) -> Result<(), Failed>;
}

impl<F: AsyncFn(&Site) + Send + Sync> Run for F {
    fn run(&self, site: &Site) -> Result<(), Failed> {
        let runtime = Runtime::new()?;
        let ended = runtime.block_on(async { timeout(LIMIT, self(site)).await });
        // A task of the check may hold a connection for ever.
        runtime.shutdown_background();
        ended.map_err(|_| format!("not done after {} s", LIMIT.as_secs()).into())
    }
}

impl Check {
    pub(crate) fn new<F>(check: F) -> Self
    where
        F: AsyncFn(&Site) + Send + Sync + 'static,
    {
        let path = type_name::<F>();
        let name = path.split_once("::").map_or(path, |(_, rest)| rest);
        Self::named(name.to_owned(), check)
    }

    pub(crate) fn named<F>(name: String, check: F) -> Self
    where
        F: AsyncFn(&Site) + Send + Sync + 'static,
    {
        Self {
            name,
            exceptions: Vec::new(),
            run: Box::new(check),
        }
    }

    /// The same, but not for this proxy, for this reason.
    pub(crate) fn except(
        mut self,
        kind: Kind,
        securities: &'static [Security],
        reason: &'static str,
    ) -> Self {
        self.exceptions.push(Exception {
            kind,
            securities,
            reason,
        });
        self
    }

    pub(crate) fn run(&self, site: &Site) -> Result<Completion, Failed> {
        let is_here = |exception: &&Exception| {
            exception.kind == site.kind && exception.securities.contains(&site.security)
        };
        if let Some(exception) = self.exceptions.iter().find(is_here) {
            return Ok(Completion::ignored_with(exception.reason));
        }
        self.run.run(site)?;
        Ok(Completion::Completed)
    }
}

// Long enough for a busy machine, short enough to wait for.
const LIMIT: Duration = Duration::from_secs(60);

//! The Python servers that scenarios share: each is started when the first scenario asks for it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use barewire::{Channel, ChannelConfig};

use super::log::Log;
use super::python_server::PythonServer;
use super::tls::trusting;
use crate::environment::Environment;
use crate::proxied::Proxied;

/// A server that scenarios share. All serve the same services, the last fewer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Setup {
    /// Clear text, a thread for each call.
    Plain,
    /// TLS with a certificate for `localhost` and `127.0.0.1`.
    Tls,
    /// TLS that also asks the client for a certificate.
    MutualTls,
    /// Clear text, with all answers compressed.
    GzipAnswers,
    /// Clear text, with a burst of tasks five times a second.
    FastTasks,
    /// Clear text, a coroutine for each call.
    Coroutines,
}

/// Where scenarios are.
pub(crate) struct Site {
    environment: Environment,
    certificates: PathBuf,
    running: Mutex<HashMap<Setup, PythonServer>>,
    proxied: Option<Arc<Proxied>>,
    log: Log,
}

impl Site {
    pub(crate) fn new(
        environment: Environment,
        certificates: PathBuf,
        proxied: Option<Arc<Proxied>>,
    ) -> Self {
        Self {
            environment,
            certificates,
            running: Mutex::new(HashMap::new()),
            proxied,
            log: Log::begin(),
        }
    }

    /// The address of a server that is shared, `127.0.0.1:43121`.
    pub(crate) fn address(&self, setup: Setup) -> String {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // One that died has failed its scenarios; the next ones get another.
        running.retain(|_, server| server.check().is_ok());
        let server = running.entry(setup).or_insert_with(|| {
            let flags = self.flags(setup);
            let mut server = PythonServer::later(&self.environment, flags);
            server.start();
            server
        });
        server.address()
    }

    /// A channel to a server that is shared, or to the proxy before it.
    pub(crate) fn channel(&self, setup: Setup, mut config: ChannelConfig) -> Channel {
        let mut address = self.address(setup);
        if let Some(proxied) = &self.proxied {
            let (_, port) = address.split_once(':').expect("an address has a port");
            let port = port.parse().expect("it is a number");
            // The server is there twice: how a call went, the one knows that had it.
            let found = proxied.address([port, port], &self.certificates);
            address = found.unwrap_or_else(|problem| panic!("{problem}"));
            if proxied.is_tls() {
                config.tls = Some(trusting(self));
            }
        }
        let is_tls = config.tls.is_some();
        let scheme = if is_tls { "https" } else { "http" };
        Channel::with_config(&format!("{scheme}://{address}"), config).unwrap()
    }

    /// Starts a server for one scenario alone.
    pub(crate) fn start(&self, flags: &[&str]) -> PythonServer {
        let mut server = self.later(flags);
        server.start();
        server
    }

    /// A place for a server that starts later.
    pub(crate) fn later(&self, flags: &[&str]) -> PythonServer {
        let flags = flags.iter().map(OsString::from).collect();
        PythonServer::later(&self.environment, flags)
    }

    /// The same with TLS and the certificate of this name.
    pub(crate) fn start_tls(&self, name: &str) -> PythonServer {
        let mut server = PythonServer::later(&self.environment, self.tls_flags(name));
        server.start();
        server
    }

    /// The text of a key or certificate.
    pub(crate) fn pem(&self, name: &str) -> Vec<u8> {
        fs::read(self.certificates.join(name)).expect("it was made before")
    }

    /// What the library logs.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Says which of the shared servers have ended on their own.
    pub(crate) fn check(&self) -> Result<(), String> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let problems: Vec<String> = running
            .iter_mut()
            .filter_map(|(setup, server)| {
                let problem = server.check().err()?;
                Some(format!("the {setup:?} server: {problem}"))
            })
            .collect();
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems.join("\n"))
        }
    }

    /// Ends the servers.
    pub(crate) fn stop(&self) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn flags(&self, setup: Setup) -> Vec<OsString> {
        let mut flags = self.flags_of(setup);
        if self
            .proxied
            .as_ref()
            .is_some_and(|proxied| proxied.is_tls())
        {
            flags.extend(self.tls_flags("server"));
        }
        flags
    }

    fn flags_of(&self, setup: Setup) -> Vec<OsString> {
        match setup {
            Setup::Plain => Vec::new(),
            Setup::Tls => self.tls_flags("server"),
            Setup::MutualTls => {
                let mut flags = self.tls_flags("server");
                flags.extend(["--tls-client-ca".into(), self.path("ca.pem")]);
                flags
            }
            Setup::GzipAnswers => vec!["--compression".into(), "gzip".into()],
            Setup::FastTasks => vec!["--task-interval".into(), "0.2".into()],
            Setup::Coroutines => vec!["--aio".into()],
        }
    }

    fn tls_flags(&self, name: &str) -> Vec<OsString> {
        let certificate = self.path(&format!("{name}.pem"));
        let key = self.path(&format!("{name}.key"));
        vec!["--tls-cert".into(), certificate, "--tls-key".into(), key]
    }

    fn path(&self, name: &str) -> OsString {
        self.certificates.join(name).into_os_string()
    }
}

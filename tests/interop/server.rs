//! The servers under test: the real `barewire serve`, started once for each set-up that a scenario
//! asks for. One set-up is another server, for what no tutorial's service does.
//!
//! A port is never chosen here: the server is asked for any, and says which one it got, in a line
//! like `listening on 127.0.0.1:43121 (plain text)`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use barewire::{ClientCertificates, ServerTls};
use serde_json::{Value, json};

use crate::certificates::Certificates;
use crate::echo::EchoServer;
use crate::process::{Process, Silence};
use crate::proxied::Proxied;

/// What a scenario finds running.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Setup {
    /// Clear text, with the route guide's database of `features.json`.
    Plain,
    /// TLS with a certificate for `localhost` and `127.0.0.1`.
    Tls,
    /// TLS that also asks the client for a certificate.
    MutualTls,
    /// Clear text, with a burst of tasks five times a second and the route guide's own database.
    FastTasks,
    /// `barewire.testing.Echo` in clear text, served by this process.
    Echo,
    /// Nothing. The scenario starts a server itself, because it also ends it.
    Nothing,
}

impl Setup {
    /// The set-up that Python sources mean by `name`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "plain" => Self::Plain,
            "tls" => Self::Tls,
            "mutual_tls" => Self::MutualTls,
            "fast_tasks" => Self::FastTasks,
            "echo" => Self::Echo,
            "nothing" => Self::Nothing,
            _ => return None,
        })
    }
}

/// The servers of one run.
pub(crate) struct Servers {
    scratch: PathBuf,
    certificates: OnceLock<Certificates>,
    /// One for each set-up; behind a proxy two, with the numbers 0 and 1.
    running: Mutex<HashMap<(Setup, usize), Server>>,
    echo: Mutex<Vec<EchoServer>>,
    proxied: Option<Arc<Proxied>>,
}

struct Server {
    address: SocketAddr,
    process: Process,
}

impl Servers {
    pub(crate) fn new(scratch: PathBuf, proxied: Option<Arc<Proxied>>) -> Self {
        Self {
            scratch,
            certificates: OnceLock::new(),
            running: Mutex::new(HashMap::new()),
            echo: Mutex::new(Vec::new()),
            proxied,
        }
    }

    /// What a Python process must know to talk to the server of this set-up, which is started if
    /// need be.
    pub(crate) fn target(&self, setup: Setup) -> Result<Value, String> {
        let certificates = self.certificates();
        Ok(json!({
            "setup": if self.is_tls() { "Tls".to_owned() } else { format!("{setup:?}") },
            "address": self.address(setup)?,
            "binary": binary(),
            "features": features(),
            "certificates": certificates,
        }))
    }

    /// The folder with the keys and certificates of this run.
    pub(crate) fn certificates(&self) -> &Path {
        self.certificates
            .get_or_init(|| Certificates::make(&self.scratch))
            .folder()
    }

    /// Whether the server of this set-up is as it should be, after a scenario.
    pub(crate) fn check(&self, setup: Setup) -> Result<(), String> {
        let mut running = self.lock();
        let mut of_setup = running.iter_mut().filter(|((of, _), _)| *of == setup);
        of_setup.try_for_each(|(_, server)| server.check(setup))
    }

    /// Stops all servers as an operator would, and says what is wrong about how they end.
    pub(crate) fn stop(&self) -> Result<(), String> {
        let mut running = self.lock();
        for server in running.values_mut() {
            server.process.signal("TERM");
        }
        let ends = running
            .iter_mut()
            .map(|(&(setup, _), server)| server.end(setup));
        let mut problems: Vec<String> = ends.filter_map(Result::err).collect();
        let mut echo = self.echo.lock().unwrap_or_else(PoisonError::into_inner);
        problems.extend(echo.drain(..).filter_map(|server| server.stop().err()));
        if let Some(certificates) = self.certificates.get() {
            certificates.remove();
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(problems.join("\n"))
        }
    }

    fn address(&self, setup: Setup) -> Result<Option<String>, String> {
        if setup == Setup::Nothing {
            return Ok(None);
        }
        let Some(proxied) = &self.proxied else {
            return Ok(Some(self.server(setup, 0)?.to_string()));
        };
        let servers = [self.server(setup, 0)?.port(), self.server(setup, 1)?.port()];
        proxied.address(servers, self.certificates()).map(Some)
    }

    /// The address of the server with this number, which is started if need be.
    fn server(&self, setup: Setup, number: usize) -> Result<SocketAddr, String> {
        if setup == Setup::Echo {
            return self.echo_server(number);
        }
        let mut running = self.lock();
        // One that died has failed its scenarios; the next ones get another.
        running.retain(|_, server| server.process.exit_status(Duration::ZERO).is_none());
        let server = match running.entry((setup, number)) {
            Entry::Occupied(server) => server.into_mut(),
            Entry::Vacant(place) => place.insert(Server::start(&self.flags(setup))?),
        };
        Ok(server.address)
    }

    fn echo_server(&self, number: usize) -> Result<SocketAddr, String> {
        let mut echo = self.echo.lock().unwrap_or_else(PoisonError::into_inner);
        while echo.len() <= number {
            let pem = |name| fs::read(self.certificates().join(name)).expect("it was made");
            let tls = self.is_tls().then(|| {
                let (certificate, key) = (pem("server.pem"), pem("server.key"));
                ServerTls::from_pem(&certificate, &key, ClientCertificates::None)
                    .expect("they are in order")
            });
            echo.push(EchoServer::start(tls)?);
        }
        Ok(echo[number].address())
    }

    /// Whether everything is TLS, since the proxy speaks nothing else.
    fn is_tls(&self) -> bool {
        self.proxied
            .as_ref()
            .is_some_and(|proxied| proxied.is_tls())
    }

    fn flags(&self, setup: Setup) -> Vec<OsString> {
        let folder = self
            .certificates
            .get()
            .map_or_else(|| Path::new(""), Certificates::folder);
        let mut flags: Vec<OsString> = Vec::new();
        let mut tls = || {
            flags.extend(["--tls-cert".into(), folder.join("server.pem").into()]);
            flags.extend(["--tls-key".into(), folder.join("server.key").into()]);
        };
        if self.is_tls() {
            tls();
        }
        match setup {
            Setup::Plain => flags.extend(["--route-db".into(), features().into()]),
            Setup::Tls => tls(),
            Setup::MutualTls => {
                tls();
                flags.extend(["--tls-client-ca".into(), folder.join("ca.pem").into()]);
            }
            Setup::FastTasks => flags.extend(["--task-interval".into(), "0.2".into()]),
            Setup::Echo | Setup::Nothing => {}
        }
        flags
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Setup, usize), Server>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    fn start(flags: &[OsString]) -> Result<Self, String> {
        let mut command = Command::new(binary());
        command
            .args(["serve", "--addr", "127.0.0.1:0", "--log", "none"])
            .args(flags);
        let mut process = Process::start(&mut command)
            .map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let silence = loop {
            match process.next_line(START_LIMIT) {
                Ok(line) => {
                    if let Some(address) = listening_address(&line) {
                        return Ok(Self { address, process });
                    }
                }
                Err(silence) => break silence,
            }
        };
        let end = match (silence, process.exit_status(Duration::from_secs(1))) {
            (Silence::Ended, Some(status)) => format!("it ended with {status}"),
            (Silence::Ended, None) => "it closed its output".to_owned(),
            (Silence::TimedOut, _) => format!("it did not in {} s", START_LIMIT.as_secs()),
        };
        let last_words = process.last_words();
        Err(format!(
            "{command:?} should say \"listening on …\", but {end}; {last_words}"
        ))
    }

    fn check(&mut self, setup: Setup) -> Result<(), String> {
        if let Some(status) = self.process.exit_status(Duration::ZERO) {
            let last_words = self.process.last_words();
            return Err(format!(
                "the {setup:?} server ended with {status}; {last_words}"
            ));
        }
        self.panics(setup)
    }

    fn end(&mut self, setup: Setup) -> Result<(), String> {
        let end = match self.process.exit_status(STOP_LIMIT) {
            Some(status) if status.success() => return self.panics(setup),
            Some(status) => format!("ended with {status}"),
            None => format!("did not end in {} s", STOP_LIMIT.as_secs()),
        };
        let last_words = self.process.last_words();
        Err(format!(
            "the {setup:?} server was told to stop and {end}; {last_words}"
        ))
    }

    /// Each panic is told once: a server that caught it may serve the next scenario well.
    fn panics(&self, setup: Setup) -> Result<(), String> {
        let panics = self.process.take_panics();
        if panics.is_empty() {
            return Ok(());
        }
        Err(format!("in the {setup:?} server:\n{}", panics.join("\n")))
    }
}

fn listening_address(line: &str) -> Option<SocketAddr> {
    let (address, _) = line.strip_prefix("listening on ")?.split_once(" (")?;
    address.parse().ok()
}

fn binary() -> PathBuf {
    env::var_os("BAREWIRE_INTEROP_BINARY")
        .map_or_else(|| env!("CARGO_BIN_EXE_barewire").into(), PathBuf::from)
}

/// The route guide's database, with places that the scenarios know.
fn features() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/features.json")
}

const START_LIMIT: Duration = Duration::from_secs(30);
// A server that drains gives calls 30 s. None is left when it is told to stop, but the machine may
// be slow.
const STOP_LIMIT: Duration = Duration::from_secs(40);

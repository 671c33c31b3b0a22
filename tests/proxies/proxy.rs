//! A proxy at work: nginx, haproxy or Envoy, with the very configuration that `docs/proxies` shows, but
//! for the ports, the folder of the certificates, and one thread, so that connections can be counted.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, process, thread};

use serde_json::Value;

use crate::process::Process;

/// Which proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Envoy,
    Haproxy,
    Nginx,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Nginx, Self::Haproxy, Self::Envoy];

    fn name(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How it talks, to clients and to servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Security {
    ClearText,
    Tls,
}

impl Security {
    pub(crate) const ALL: [Self; 2] = [Self::ClearText, Self::Tls];
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClearText => "clear_text",
            Self::Tls => "tls",
        })
    }
}

/// The proxies of this machine, and where they may write.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    found: Value,
    scratch: PathBuf,
}

impl Programs {
    /// Gets them, or finds them there.
    pub(crate) fn prepare() -> Result<Self, String> {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("proxies");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxies/prepare.py");
        let mut command = Command::new("python3");
        let output = command.arg(script).arg(&scratch).output();
        let output = output.map_err(|error| format!("cannot run {command:?}: {error}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("the proxies cannot be had:\n{said}"));
        }
        let found = serde_json::from_slice(&output.stdout);
        Ok(Self {
            found: found.map_err(|error| format!("prepare.py: {error}"))?,
            scratch,
        })
    }

    fn command(&self, kind: Kind) -> Command {
        let found = &self.found[kind.name()];
        let mut command = Command::new(found["program"].as_str().expect("prepare.py names it"));
        if let Some(libraries) = found["libraries"].as_str() {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

/// Which proxy to start, and before whom.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) kind: Kind,
    pub(crate) security: Security,
    /// The ports of one server on this machine, or of two.
    pub(crate) servers: &'a [u16],
    pub(crate) certificates: &'a Path,
    /// Words of the documented configuration, and what stands there instead.
    pub(crate) changes: &'a [(&'a str, &'a str)],
}

/// One proxy. Killed when this is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    process: Process,
    folder: PathBuf,
}

impl Proxy {
    /// Starts it, and returns when it listens.
    pub(crate) fn start(programs: &Programs, plan: Plan<'_>) -> Self {
        // Somebody may take the port before the proxy does.
        for _ in 0..2 {
            if let Ok(proxy) = Self::try_start(programs, plan) {
                return proxy;
            }
        }
        Self::try_start(programs, plan)
            .unwrap_or_else(|problem| panic!("{} does not start: {problem}", plan.kind))
    }

    fn try_start(programs: &Programs, plan: Plan<'_>) -> Result<Self, String> {
        let Plan { kind, security, .. } = plan;
        static PROXIES: AtomicU32 = AtomicU32::new(0);
        let number = PROXIES.fetch_add(1, Ordering::Relaxed);
        let folder = format!("{kind}-{}-{number}", process::id());
        let folder = programs.scratch.join(folder);
        fs::create_dir_all(&folder).expect("a folder below target/ can be made");

        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let text = configuration(plan, address.port());
        let file = folder.join(file_name(kind, security));
        fs::write(&file, text).expect("a file below target/ can be written");

        let mut command = programs.command(kind);
        command.current_dir(&folder);
        match kind {
            Kind::Envoy => command
                .args([
                    "--concurrency",
                    "1",
                    "--disable-hot-restart",
                    "--log-level",
                    "warning",
                    "-c",
                ])
                .arg(&file),
            Kind::Haproxy => command.args(["-db", "-f"]).arg(&file),
            Kind::Nginx => command
                .args(["-e", "stderr", "-p"])
                .arg(&folder)
                .arg("-c")
                .arg(&file),
        };
        let process = Process::start(&mut command).map_err(|error| error.to_string())?;
        let mut proxy = Self {
            address,
            process,
            folder,
        };
        proxy.wait_until_it_listens()?;
        Ok(proxy)
    }

    /// What is wrong, if it has ended.
    pub(crate) fn check(&mut self) -> Result<(), String> {
        match self.process.exit_status(Duration::ZERO) {
            None => Ok(()),
            Some(status) => Err(format!("it ended with {status}; {}", self.last_words())),
        }
    }

    /// What it said.
    pub(crate) fn last_words(&self) -> String {
        self.process.last_words()
    }

    fn wait_until_it_listens(&mut self) -> Result<(), String> {
        let began_at = Instant::now();
        loop {
            let is_there = TcpStream::connect(self.address).is_ok();
            self.check()?;
            if is_there {
                return Ok(());
            }
            if began_at.elapsed() > START_LIMIT {
                return Err(format!("it does not listen; {}", self.last_words()));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.process.signal("KILL");
        // What stays behind is only litter.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn file_name(kind: Kind, security: Security) -> &'static str {
    match (kind, security) {
        (Kind::Envoy, Security::ClearText) => "envoy.yaml",
        (Kind::Envoy, Security::Tls) => "envoy-tls.yaml",
        (Kind::Haproxy, Security::ClearText) => "haproxy.cfg",
        (Kind::Haproxy, Security::Tls) => "haproxy-tls.cfg",
        (Kind::Nginx, Security::ClearText) => "nginx.conf",
        (Kind::Nginx, Security::Tls) => "nginx-tls.conf",
    }
}

/// The documented configuration with other ports and another folder of certificates.
fn configuration(plan: Plan<'_>, port: u16) -> String {
    let Plan { kind, security, .. } = plan;
    let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/proxies");
    let text = fs::read_to_string(documented.join(file_name(kind, security))).unwrap();
    // Each server is a line.
    let is_wanted = |line: &&str| plan.servers.len() == 2 || !line.contains("50052");
    let lines = text.lines().filter(is_wanted);
    let text = lines.collect::<Vec<_>>().join("\n") + "\n";

    let front = match security {
        Security::ClearText => "8080",
        Security::Tls => "8443",
    };
    let mut changes = vec![(front, port.to_string())];
    let ports = ["50051", "50052"].into_iter().zip(plan.servers);
    changes.extend(ports.map(|(documented, port)| (documented, port.to_string())));
    if security == Security::Tls {
        let folder = plan
            .certificates
            .to_str()
            .expect("target/ has an ordinary name");
        changes.push(("/etc/barewire", folder.to_owned()));
    }
    match kind {
        Kind::Envoy => {}
        Kind::Haproxy => changes.push(("global\n", "global\n    nbthread 1\n".to_owned())),
        Kind::Nginx => changes.extend([
            ("worker_processes auto;", NGINX_PROCESS.to_owned()),
            ("http {\n", format!("http {{\n{NGINX_FOLDERS}")),
        ]),
    }
    let wanted = plan.changes.iter();
    changes.extend(wanted.map(|(from, to)| (*from, (*to).to_owned())));
    replaced(&text, &changes)
}

/// The text with each of these words replaced, and none in what was put in.
fn replaced(text: &str, changes: &[(&str, String)]) -> String {
    let mut result = String::new();
    let mut rest = text;
    loop {
        let places = changes
            .iter()
            .filter_map(|(from, to)| Some((rest.find(from)?, from, to)));
        let Some((place, from, to)) = places.min_by_key(|(place, ..)| *place) else {
            break;
        };
        result.push_str(&rest[..place]);
        result.push_str(to);
        rest = &rest[place + from.len()..];
    }
    for (from, to) in changes {
        assert!(
            result.contains(to),
            "{from:?} is not in the documented configuration"
        );
    }
    result + rest
}

/// A port that nobody had a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    listener.local_addr().expect("it is bound").port()
}

/// One process, which stays where it was started.
const NGINX_PROCESS: &str = "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;";
/// Folders that a package would have made.
const NGINX_FOLDERS: &str = "    client_body_temp_path body;\n    proxy_temp_path proxy;\n    \
     fastcgi_temp_path fastcgi;\n    uwsgi_temp_path uwsgi;\n    scgi_temp_path scgi;\n";
// Envoy takes a second on a machine with nothing else to do.
const START_LIMIT: Duration = Duration::from_secs(60);

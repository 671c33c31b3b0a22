//! The server as a process: started, asked, told, killed; and what a system tells of any process.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tokio::time::{Instant, interval};

use crate::server::COMMAND;

/// Longer than anything takes that must come, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A server at work. Killed when it is dropped.
pub struct Backend {
    pub address: SocketAddr,
    flags: Vec<String>,
    child: Child,
    stdin: ChildStdin,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

/// What a server counts, by name.
#[derive(Clone, Debug)]
pub struct Figures(BTreeMap<String, u64>);

impl Figures {
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}

impl Backend {
    /// Starts one with these flags on a free port.
    pub fn start(flags: &[&str]) -> Self {
        Self::start_at(
            "127.0.0.1:0",
            flags.iter().map(ToString::to_string).collect(),
        )
    }

    pub fn start_at(address: &str, flags: Vec<String>) -> Self {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([COMMAND, &format!("listen={address}")])
            .args(&flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        let Ok(line) = stdout.recv_timeout(PATIENCE) else {
            panic!("it did not start: {:?}", stderr.iter().collect::<Vec<_>>());
        };
        let address = line.strip_prefix("listening on ").unwrap().parse().unwrap();
        Self {
            address,
            flags,
            child,
            stdin,
            stdout,
            stderr,
        }
    }

    pub fn figures(&mut self) -> Figures {
        self.tell("figures");
        let line = self.line();
        let pairs = line.split(' ').map(|word| {
            let (name, value) = word.split_once('=').unwrap();
            (name.to_owned(), value.parse().unwrap())
        });
        Figures(pairs.collect())
    }

    /// One that is gone is told nothing.
    pub fn tell(&mut self, command: &str) {
        let _ = writeln!(self.stdin, "{command}");
    }

    /// The next line that it says.
    pub fn line(&self) -> String {
        match self.stdout.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(_) => panic!("no answer: {:?}", self.stderr.iter().collect::<Vec<_>>()),
        }
    }

    /// Asks until `enough`, or nobody waits any longer. Yields what it said last.
    pub async fn wait_for(&mut self, enough: impl Fn(&Figures) -> bool) -> Figures {
        let end = Instant::now() + PATIENCE;
        let mut pace = interval(Duration::from_millis(10));
        loop {
            pace.tick().await;
            let figures = self.figures();
            if enough(&figures) || Instant::now() > end {
                return figures;
            }
        }
    }

    pub fn process(&self) -> Process {
        Process(self.child.id().to_string())
    }

    pub fn terminate(&self) {
        let kill = ["-TERM", &self.child.id().to_string()].map(str::to_owned);
        assert!(Command::new("kill").args(kill).status().unwrap().success());
    }

    /// Kills it as nobody can prevent, and starts it again where it was.
    pub fn kill_and_start(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let flags = self.flags.clone();
        *self = Self::start_at(&self.address.to_string(), flags);
    }

    /// Waits for its end. It must be a good one, and what it said last is yielded.
    pub fn last_line(&mut self) -> String {
        let line = self.line();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        self.must_be_silent();
        line
    }

    /// Nobody writes to its standard error but a panic.
    pub fn must_be_silent(&self) {
        let said: Vec<_> = self.stderr.try_iter().collect();
        assert!(said.is_empty(), "{said:?}");
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process, as Linux tells of it.
#[derive(Clone)]
pub struct Process(String);

impl Process {
    pub fn this() -> Self {
        Self("self".to_owned())
    }

    /// Bytes in memory.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
        kilobytes.unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Open files, sockets among them.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0))
            .unwrap()
            .count()
    }
}

/// What a server has when it has nothing to do, to be compared with what it has at the end.
pub struct Rest {
    tasks: u64,
    descriptors: usize,
}

impl Rest {
    pub fn of(server: &mut Backend) -> Self {
        Self {
            tasks: server.figures().of("tasks"),
            descriptors: server.process().descriptors(),
        }
    }

    /// Waits until the server has no more than that. Clients must have gone.
    pub async fn is_back(&self, server: &mut Backend) -> Figures {
        let process = server.process();
        let enough = |figures: &Figures| {
            figures.of("tasks") == self.tasks
                && figures.of("running") == 0
                && process.descriptors() == self.descriptors
        };
        let figures = server.wait_for(enough).await;
        assert!(
            enough(&figures),
            "{} tasks and {} descriptors at first, {} descriptors and {figures:?} at last",
            self.tasks,
            self.descriptors,
            process.descriptors(),
        );
        server.must_be_silent();
        figures
    }
}

/// The lines of a stream as they come, to its end.
fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

/// A file for a test, under a name that no other test uses.
pub fn file(name: &str, text: &[u8]) -> PathBuf {
    let name = format!("{}-{name}", std::process::id());
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

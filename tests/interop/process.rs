//! A child process whose output is always read: it never blocks on a full pipe, and its last words
//! are kept.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::mem;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A child process, killed when this is dropped.
pub(crate) struct Process {
    id: u32,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Arc<Mutex<Tail>>,
    exit: Receiver<ExitStatus>,
    status: Option<ExitStatus>,
}

/// Why there is no next line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Silence {
    /// The process has closed its output, so it is gone or about to be.
    Ended,
    /// Nothing came in time.
    TimedOut,
}

impl Process {
    /// Starts the command with all three of its standard streams connected to this one.
    ///
    /// Three threads belong to the process: one for each output and one that waits for its end.
    /// They end when it does.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (id, stdin) = (child.id(), child.stdin.take());
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");

        let (line, lines) = mpsc::channel();
        thread::spawn(move || {
            for_each_line(stdout, |text| {
                // Nobody may be left to hear it; the pipe is emptied all the same.
                let _ = line.send(text);
            });
        });
        let errors = Arc::new(Mutex::new(Tail::default()));
        let tail = Arc::clone(&errors);
        let (silent, silence) = mpsc::channel::<()>();
        thread::spawn(move || {
            for_each_line(stderr, |text| lock(&tail).push(text));
            drop(silent);
        });
        let (ended, exit) = mpsc::channel();
        thread::spawn(move || {
            let status = child.wait().expect("a child can be waited for");
            // Whoever learns of the end wants the last words too. A grandchild may hold the pipe
            // open, so they are not waited for without a limit.
            let _ = silence.recv_timeout(LAST_WORDS_LIMIT);
            let _ = ended.send(status);
        });
        Ok(Self {
            id,
            stdin,
            lines,
            errors,
            exit,
            status: None,
        })
    }

    /// Writes one line to the process.
    pub(crate) fn say(&mut self, line: &str) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        stdin.write_all(format!("{line}\n").as_bytes())
    }

    /// Closes the process's input.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// The next line that it writes to its standard output.
    pub(crate) fn next_line(&self, limit: Duration) -> Result<String, Silence> {
        self.lines.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Disconnected => Silence::Ended,
            RecvTimeoutError::Timeout => Silence::TimedOut,
        })
    }

    /// The last lines that it wrote to its standard error, indented, with a heading.
    pub(crate) fn last_words(&self) -> String {
        let tail = lock(&self.errors);
        if tail.lines.is_empty() {
            return "its stderr is empty".to_owned();
        }
        let lines: Vec<String> = tail
            .lines
            .iter()
            .map(|line| format!("    {line}"))
            .collect();
        format!("its stderr ends with:\n{}", lines.join("\n"))
    }

    /// The lines of its standard error that tell of a panic of Rust code, since the last call.
    pub(crate) fn take_panics(&self) -> Vec<String> {
        mem::take(&mut lock(&self.errors).panics)
    }

    /// Waits for the end of the process.
    pub(crate) fn exit_status(&mut self, limit: Duration) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.exit.recv_timeout(limit).ok();
        }
        self.status
    }

    /// Sends a signal, unless the process has ended: its number may be another's by then.
    ///
    /// The shell does it, since the standard library only knows how to kill.
    pub(crate) fn signal(&mut self, name: &str) {
        if self.exit_status(Duration::ZERO).is_none() {
            let kill = format!("kill -{name} {}", self.id);
            let _ = Command::new("sh")
                .args(["-c", &kill])
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

/// The end of what a process wrote to its standard error, and every panic in it.
#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    panics: Vec<String>,
}

impl Tail {
    fn push(&mut self, line: String) {
        if line.contains("panicked at") {
            self.panics.push(line.clone());
        }
        if self.lines.len() == TAIL_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

fn for_each_line(from: impl Read, mut take: impl FnMut(String)) {
    for line in BufReader::new(from).split(b'\n') {
        let Ok(line) = line else { return };
        take(String::from_utf8_lossy(&line).trim_end().to_owned());
    }
}

fn lock(tail: &Mutex<Tail>) -> MutexGuard<'_, Tail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}

const LAST_WORDS_LIMIT: Duration = Duration::from_millis(500);
// Enough for the stacks of a Python process with some threads.
const TAIL_LINES: usize = 120;

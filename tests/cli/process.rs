//! The command as a process: started, listened to, signalled.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use crate::support::{Answer, Client, PATIENCE};

pub const BAREWIRE: &str = env!("CARGO_BIN_EXE_barewire");

/// `barewire serve` at work. Killed when it is dropped.
pub struct Serving {
    pub addresses: Vec<SocketAddr>,
    /// All that it said when it started.
    pub announced: Vec<String>,
    pub stdout: Receiver<String>,
    pub stderr: Receiver<String>,
    pub pid: u32,
    exited: Receiver<ExitStatus>,
}

impl Serving {
    /// Starts `barewire serve` with these flags.
    pub fn start(flags: &[&str]) -> Self {
        Self::try_start(flags).unwrap_or_else(|why| panic!("the server did not start: {why:?}"))
    }

    /// Starts it, or tells what it said instead.
    pub fn try_start(flags: &[&str]) -> Result<Self, Vec<String>> {
        Self::spawn(Command::new(BAREWIRE).arg("serve"), flags, says_all, lines)
    }

    /// Starts `barewire interop server` on a free port of all addresses.
    pub fn interop() -> Self {
        let flags = ["--port", "0"];
        Self::spawn(
            Command::new(BAREWIRE).args(["interop", "server"]),
            &flags,
            says_anything,
            lines,
        )
        .unwrap_or_else(|why| panic!("the server did not start: {why:?}"))
    }

    /// Starts it on a free port of this machine, where it may have only so many open files.
    pub fn with_descriptors(count: u32) -> Self {
        Self::with_ulimit(&format!("ulimit -n {count}"))
    }

    /// The same where it begins with so many, and may give itself more.
    pub fn with_descriptors_up_to(soft: u32, hard: u32) -> Self {
        Self::with_ulimit(&format!("ulimit -Sn {soft} && ulimit -Hn {hard}"))
    }

    fn with_ulimit(ulimit: &str) -> Self {
        let mut shell = Command::new("sh");
        let script = format!("{ulimit} && exec \"$0\" serve \"$@\"");
        shell.args(["-c", &script, BAREWIRE]);
        Self::spawn(&mut shell, &["--addr", "127.0.0.1:0"], says_all, lines).unwrap()
    }

    /// Starts it on a free port of this machine.
    pub fn on_a_free_port(flags: &[&str]) -> Self {
        Self::start(&[&["--addr", "127.0.0.1:0"], flags].concat())
    }

    /// Starts this command, which is `barewire serve`, on a free port of this machine.
    pub fn on_a_port_of(command: &mut Command) -> Self {
        Self::spawn(command, &["--addr", "127.0.0.1:0"], says_all, lines)
            .unwrap_or_else(|why| panic!("the server did not start: {why:?}"))
    }

    /// Starts it, and leaves its standard error to `listen`.
    pub fn with_stderr(
        flags: &[&str],
        listen: impl FnOnce(ChildStderr) -> Receiver<String>,
    ) -> Self {
        Self::spawn(Command::new(BAREWIRE).arg("serve"), flags, says_all, listen).unwrap()
    }

    fn spawn(
        command: &mut Command,
        flags: &[&str],
        is_whole: fn(&[String]) -> bool,
        listen: impl FnOnce(ChildStderr) -> Receiver<String>,
    ) -> Result<Self, Vec<String>> {
        let mut child = command
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = listen(child.stderr.take().unwrap());
        let (exit, exited) = channel();
        thread::spawn(move || {
            let _ = exit.send(child.wait().unwrap());
        });
        let mut serving = Self {
            addresses: Vec::new(),
            announced: Vec::new(),
            stdout,
            stderr,
            pid,
            exited,
        };
        serving.hear_announcement(is_whole)?;
        Ok(serving)
    }

    fn hear_announcement(
        &mut self,
        is_whole: impl Fn(&[String]) -> bool,
    ) -> Result<(), Vec<String>> {
        while !is_whole(&self.announced) {
            let Ok(line) = self.stdout.recv_timeout(PATIENCE) else {
                return Err(self.stderr.iter().collect());
            };
            if let Some(rest) = line.strip_prefix("listening on ") {
                let (address, _) = rest.split_once(" (").unwrap();
                self.addresses.push(address.parse().unwrap());
            }
            self.announced.push(line);
        }
        Ok(())
    }

    /// The next line on standard output.
    pub fn line(&self) -> String {
        self.stdout.recv_timeout(PATIENCE).expect("one more line")
    }

    /// Sends a signal, by its name without SIG.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {}", self.pid)])
            .status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end, and yields the exit code.
    pub fn exit_code(&self) -> Option<i32> {
        let status = self.exited.recv_timeout(PATIENCE).expect("an end");
        status.code()
    }

    /// Sends SIGTERM, waits for the end, and yields what was left on standard error.
    pub fn stop(&self) -> Vec<String> {
        self.signal("TERM");
        assert_eq!(self.exit_code(), Some(0));
        self.stderr.iter().collect()
    }

    /// A client of the first address.
    pub async fn client(&self) -> Client {
        Client::tcp(self.addresses[0]).await
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if self.exited.try_recv().is_err() {
            let kill = format!("kill -KILL {} 2>/dev/null", self.pid);
            let _ = Command::new("sh").args(["-c", &kill]).status();
        }
    }
}

/// The lines of a stream as they come, to its end.
pub fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, receive) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if send.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receive
}

/// Runs the command to its end.
pub fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(BAREWIRE);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// A call of `/helloworld.Greeter/SayHello` by "you". Its messages are those of prost for `String`,
/// which has its text in field 1 too.
pub async fn say_hello(client: &Client) -> Answer {
    call(client, "/helloworld.Greeter/SayHello", &[]).await
}

/// A call with one message, "you".
pub async fn call(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut call = client.send_request(request(path, headers), false).await;
    call.send_message("you").await;
    call.finish().await
}

pub fn request(path: &str, headers: &[(&str, &str)]) -> http::Request<()> {
    let mut request = http::Request::post(format!("http://localhost{path}"))
        .header("te", "trailers")
        .header("content-type", "application/grpc");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// A file for a test, under a name that no other test uses.
pub fn file(name: &str, text: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, text).unwrap();
    path
}

/// `barewire serve` ends its announcement with a command to try.
fn says_all(announced: &[String]) -> bool {
    announced.iter().rev().nth(1).map(String::as_str) == Some("try")
}

/// Others have one line to say.
fn says_anything(announced: &[String]) -> bool {
    !announced.is_empty()
}

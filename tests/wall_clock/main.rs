//! The wall clock of a machine jumps by ten years, forward and back, while barewire works on it.
//!
//! ```text
//!   barewire serve ──┐                                  ┌── barewire tutorial …
//!                    ├── libfaketime ── file ── a test ──┤
//!                    └ asks it for the wall clock       ┘
//! ```
//!
//! `libfaketime` of Debian stands before the C library of a process and answers when it asks for the wall
//! clock; what it answers is in a file that a test changes. The clock that never jumps, by which programs
//! measure how long something takes, it leaves alone. `tests/proxies/prepare.py` gets it below `target/`;
//! since not everybody can have it, `cargo test` leaves these tests out.
//!
//! Spec: RFC 5280 §4.1.2.5.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics has said what is wrong"
)]

#[allow(dead_code, reason = "it is shared with the tests of TLS")]
#[path = "../client/support/identities.rs"]
mod identities;
#[allow(dead_code, reason = "it is shared with the tests of the command")]
#[path = "../cli/process.rs"]
mod process;
#[allow(dead_code, reason = "it is shared with the tests of whole calls")]
#[path = "../calls/support.rs"]
mod support;
#[path = "../calls/tokio.rs"]
mod tokio;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rcgen::CertificateParams;
use serde_json::Value;

use identities::Identity;
use process::{BAREWIRE, Serving, file, lines, request, say_hello};
use support::{
    ACK, Client, PATIENCE, PING, RawPeer, SETTINGS, WINDOW_UPDATE, connect, encoded, frame,
};

/// Ten years on, ten years back, and right again.
const JUMPS: [&str; 3] = ["+10y", "-10y", "+0"];

/// The wall clock of some processes.
struct Clock(PathBuf);

impl Clock {
    fn new(name: &str) -> Self {
        let clock = Self(file(&format!("{name}.clock"), b"+0"));
        clock.set("+0");
        clock
    }

    /// So much ahead of the machine's.
    fn set(&self, ahead: &str) {
        // Put there at once: who looks at a file that is being written sees half of it.
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{ahead}\n")).unwrap();
        fs::rename(new, &self.0).unwrap();
    }

    /// A process that has it.
    fn of(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("LD_PRELOAD", faketime())
            .env("FAKETIME_TIMESTAMP_FILE", &self.0)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        command
    }

    /// The year that it shows.
    fn year(&self) -> i32 {
        let output = self.of("date", &["+%Y"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.trim().parse().unwrap()
    }

    /// A client of the tutorials, to its end.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut client = self.of(BAREWIRE, &[&["tutorial"], arguments].concat());
        client.stdin(Stdio::null()).output().unwrap()
    }

    /// What a client says who is greeted, or cannot be.
    fn greeter(&self, target: &str, flags: &[&str]) -> Result<String, String> {
        let output = self.run(&[&["greeter", target], flags].concat());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }
}

/// The library, got once.
fn faketime() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxies/prepare.py");
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR")).join("proxies");
        let output = Command::new("python3")
            .args([Path::new(script), &scratch, Path::new("faketime")])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "libfaketime cannot be had:\n{said}"
        );
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        found["faketime"].as_str().unwrap().into()
    })
}

/// A client that is sent tasks all the time, on the timer of its server.
struct Contact {
    child: Child,
    said: Receiver<String>,
}

impl Contact {
    fn start(clock: &Clock, target: &str, flags: &[&str]) -> Self {
        let mut command = clock.of(
            BAREWIRE,
            &[&["tutorial", "contact", target], flags].concat(),
        );
        let streams = command.stdin(Stdio::null()).stderr(Stdio::null());
        let mut child = streams.stdout(Stdio::piped()).spawn().unwrap();
        let said = lines(child.stdout.take().unwrap());
        Self { child, said }
    }

    /// Hears of more tasks, on the same connection.
    fn goes_on(&self) {
        while self.said.try_recv().is_ok() {}
        let mut tasks = 0;
        while tasks < TASKS {
            let line = self.said.recv_timeout(PATIENCE).expect("one more task");
            assert!(!line.contains("retry"), "{line}");
            tasks += usize::from(line.starts_with("客户端已接收到服务端任务"));
        }
    }
}

/// More than the server makes at once.
const TASKS: usize = 15;

impl Drop for Contact {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A chat of a client whose own clock is right.
struct Chat {
    send: h2::SendStream<Bytes>,
    body: h2::RecvStream,
}

impl Chat {
    async fn begin(client: &Client, timeout: &str) -> Self {
        let request = request("/chat.ChatService/Chat", &[("grpc-timeout", timeout)]);
        let mut call = client.send_request(request, false).await;
        call.send_message("first").await;
        let body = call.response.await.unwrap().into_body();
        let mut chat = Self {
            send: call.send,
            body,
        };
        assert_eq!(chat.hears().await, encoded("You said: first"));
        chat
    }

    async fn hears(&mut self) -> Bytes {
        let chunk = tokio::time::timeout(PATIENCE, self.body.data()).await;
        chunk.expect("an answer in time").unwrap().unwrap()
    }

    async fn goes_on(&mut self) {
        self.send.send_data(encoded("again"), false).unwrap();
        assert_eq!(self.hears().await, encoded("You said: again"));
    }

    /// The status with which the server ends it.
    async fn status(mut self) -> String {
        let end = tokio::time::timeout(PATIENCE, self.body.trailers()).await;
        let trailers = end.expect("an end in time").unwrap().unwrap();
        trailers["grpc-status"].to_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f23_calls_timers_and_connections_do_not_notice() {
    let clock = Clock::new("calls");
    let year = clock.year();
    let serve = ["serve", "--task-interval", "0.05", "--log", "json"];
    let serving = Serving::on_a_port_of(&mut clock.of(BAREWIRE, &serve));
    let address = serving.addresses[0].to_string();
    let client = serving.client().await;
    let mut chat = Chat::begin(&client, "1H").await;
    let mut idle = RawPeer::begin(connect(serving.addresses[0]).await).await;
    let contact = Contact::start(&clock, &address, &[]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();

    for (jump, years) in JUMPS.into_iter().zip([10, -10, 0]) {
        let began_at = Instant::now();
        let short = Chat::begin(&client, "500m").await;
        let mut left = clock.of(
            BAREWIRE,
            &["tutorial", "numbers", &silent, "--timeout", "0.5"],
        );
        let left = left
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        clock.set(jump);
        assert_eq!(clock.year() - year, years, "{jump}");

        // A stream with a deadline far away, a timer of the server's, and calls that begin now.
        chat.goes_on().await;
        contact.goes_on();
        assert_eq!(say_hello(&client).await.code(), Some("0"), "{jump}");
        let greeted = clock.greeter(&address, &[]).unwrap();
        assert!(greeted.contains("Hello, you!"), "{jump}: {greeted}");

        // Deadlines that were set before, on either side, neither come early nor stay away.
        assert_eq!(short.status().await, "4", "{jump}");
        let output = left.wait_with_output().unwrap();
        assert!(began_at.elapsed() >= Duration::from_millis(500), "{jump}");
        let why = String::from_utf8(output.stderr).unwrap();
        assert!(
            why.ends_with("; wait longer with --timeout\n"),
            "{jump}: {why}"
        );

        // Whoever has been silent for ten years would have been asked whether he is alive, or sent away.
        idle.write(&frame(PING, 0, 0, b"the time")).await;
        let next = loop {
            let next = idle.frame().await.unwrap();
            if !matches!(next.kind, SETTINGS | WINDOW_UPDATE) {
                break next;
            }
        };
        assert_eq!((next.kind, next.flags), (PING, ACK), "{jump}: {next:?}");
    }

    drop(contact);
    chat.send.send_data(Bytes::new(), true).unwrap();
    assert_eq!(chat.status().await, "0");
    // Nothing else is said there: no panic, and no time that no call can have taken.
    for line in serving.stop() {
        let call: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        let milliseconds = call["duration_ms"].as_f64().unwrap();
        assert!((0.0..600_000.0).contains(&milliseconds), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f23_certificates_are_refused_while_it_is_wrong() {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let now = SystemTime::now();
    let this_year = |parameters: &mut CertificateParams| {
        parameters.not_before = (now - YEAR).into();
        parameters.not_after = (now + YEAR).into();
    };
    // The authority outlasts all.
    let authority = Identity::authority("wall clock");
    let (server, client) = (authority.sign(this_year), authority.sign(this_year));
    let written = |name: &str, text: String| {
        let path = file(&format!("wall-clock-{name}.pem"), text.as_bytes());
        path.into_os_string().into_string().unwrap()
    };
    let ca = written("ca", authority.pem());
    let (server, server_key) = (
        written("server", server.pem()),
        written("server-key", server.key.serialize_pem()),
    );
    let (client, client_key) = (
        written("client", client.pem()),
        written("client-key", client.key.serialize_pem()),
    );

    let (servers, clients) = (Clock::new("servers"), Clock::new("clients"));
    let serve = [
        ["serve", "--task-interval", "0.05"],
        ["--tls-cert", &server, "--tls-key"],
    ];
    let serve = [&serve.concat()[..], &[&server_key, "--tls-client-ca", &ca]].concat();
    let serving = Serving::on_a_port_of(&mut servers.of(BAREWIRE, &serve));
    let target = format!("https://localhost:{}", serving.addresses[0].port());
    let flags = ["--ca", &ca, "--cert", &client, "--key", &client_key];
    let contact = Contact::start(&clients, &target, &flags);
    contact.goes_on();

    #[rustfmt::skip]
    let cases = [
        // server, client    what the client says
        ("+0",     "+0",     Ok("Hello, you!")),
        ("+0",     "+10y",   Err("the server's certificate expired ")),
        ("+0",     "-10y",   Err("the server's certificate is valid only ")),
        ("+10y",   "+0",     Err("the server does not accept the client's certificate, or misses one (alert CertificateExpired)")),
        ("-10y",   "+0",     Err("the server does not accept the client's certificate, or misses one (alert CertificateExpired)")),
        ("+10y",   "+10y",   Err("the server's certificate expired ")),
        ("+0",     "+0",     Ok("Hello, you!")),
    ];
    for (server, client, expected) in cases {
        servers.set(server);
        clients.set(client);
        let outcome = clients.greeter(&target, &flags);
        let fits = match (&outcome, expected) {
            (Ok(text), Ok(expected)) | (Err(text), Err(expected)) => text.contains(expected),
            (Ok(_) | Err(_), _) => false,
        };
        assert!(fits, "{server} {client}: {outcome:?}");
        // Certificates are looked at when a connection begins.
        contact.goes_on();
    }
    drop(contact);
    for line in serving.stop() {
        assert!(line.starts_with('/') && line.contains(" ms in "), "{line}");
    }
}

//! Rows 20 and 21: `barewire serve`, and what the system does to it.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use barewire::MethodPath;

use crate::canary::Canary;
use crate::process::{BAREWIRE, Serving, request, say_hello};
use crate::scene::channel_to;
use crate::support::{
    ACK, Client, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PATIENCE, PING, RawPeer,
    block, connect, encoded, frame,
};
use crate::tokio;

/// The header block of a call of the server of the tutorials.
fn block_of(path: &str) -> Vec<u8> {
    block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ])
}

/// `HealthCheckResponse { status }` as it travels.
fn health(status: u8) -> Vec<u8> {
    vec![0, 0, 0, 0, 2, 0x08, status]
}

const SERVING: u8 = 1;
const NOT_SERVING: u8 = 2;

async fn canary_of(address: SocketAddr) -> Canary {
    let hello = MethodPath::from_static("/helloworld.Greeter/SayHello");
    Canary::start(channel_to(address), hello).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f20_sigterm_and_sigint_drain_in_two_steps_and_lose_no_call() {
    // A server beside it, which is told nothing.
    let beside = Serving::on_a_free_port(&["--log", "none"]);
    let canary = canary_of(beside.addresses[0]).await;
    for signal in ["TERM", "INT"] {
        let serving = Serving::on_a_free_port(&["--log", "none"]);
        let mut peer = RawPeer::begin(connect(serving.addresses[0]).await).await;
        // A call that is under way, and one that watches the server's health.
        let chat = [
            frame(HEADERS, END_HEADERS, 1, &block_of("/chat.ChatService/Chat")),
            frame(DATA, 0, 1, &encoded("hi")),
            frame(
                HEADERS,
                END_HEADERS,
                3,
                &block_of("/grpc.health.v1.Health/Watch"),
            ),
            frame(DATA, END_STREAM, 3, &encoded("")),
        ];
        peer.write(&chat.concat()).await;
        let mut begun = BTreeSet::new();
        while begun.len() < 2 {
            let said = peer.frame_of(DATA).await.expect("the first answers");
            assert!(
                said.stream == 1 || said.payload == health(SERVING),
                "{said:?}"
            );
            begun.insert(said.stream);
        }

        serving.signal(signal);
        // Not serving, GOAWAY for as many streams as there are, a PING: in this connection.
        let (mut goaway, mut ping, mut told) = (None, None, false);
        while goaway.is_none() || ping.is_none() || !told {
            let Frame {
                kind,
                flags,
                stream,
                payload,
            } = peer.frame().await.expect("a drain, not an end");
            match (kind, stream) {
                (GOAWAY, _) => goaway = Some(payload),
                (PING, _) if flags != ACK => ping = Some(payload),
                (DATA, 3) => told = payload == health(NOT_SERVING),
                _ => {}
            }
        }
        assert_eq!(goaway.unwrap()[..8], [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        // What was said before the GOAWAY came is served, and so is what was under way.
        let late = [
            frame(
                HEADERS,
                END_HEADERS,
                5,
                &block_of("/helloworld.Greeter/SayHello"),
            ),
            frame(DATA, END_STREAM, 5, &encoded("you")),
            frame(PING, ACK, 0, &ping.unwrap()),
        ];
        peer.write(&late.concat()).await;
        let (mut hello, mut last) = (false, None);
        while !hello || last.is_none() {
            let said = peer.frame().await.expect("an answer and the last GOAWAY");
            match (said.kind, said.stream) {
                (DATA, 5) => hello = true,
                (GOAWAY, _) => last = Some(said.payload),
                _ => {}
            }
        }
        assert_eq!(last.unwrap()[..8], [0, 0, 0, 5, 0, 0, 0, 0]);
        peer.write(&frame(DATA, END_STREAM, 1, &encoded("bye")))
            .await;
        let said = loop {
            let said = peer.frame_on(1).await.expect("the end of the chat");
            if said.kind == DATA {
                break said.payload;
            }
        };
        assert_eq!(said, encoded("You said: bye"));
        assert_eq!(serving.exit_code(), Some(0), "{signal}");
        let lines: Vec<String> = serving.stdout.iter().collect();
        assert!(lines[1].ends_with("; every call has ended"), "{lines:?}");
    }
    canary.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f20_a_second_signal_ends_it_at_once() {
    let beside = Serving::on_a_free_port(&["--log", "none"]);
    let canary = canary_of(beside.addresses[0]).await;
    for (first, second, code) in [
        ("TERM", "TERM", 143),
        ("INT", "INT", 130),
        ("TERM", "INT", 130),
        ("INT", "TERM", 143),
    ] {
        let serving = Serving::on_a_free_port(&["--log", "none"]);
        let client = serving.client().await;
        let chat = request("/chat.ChatService/Chat", &[]);
        let mut call = client.send_request(chat, false).await;
        call.send_message("hi").await;
        (&mut call.response).await.unwrap();
        serving.signal(first);
        serving.line();
        let start = Instant::now();
        serving.signal(second);
        assert_eq!(serving.exit_code(), Some(code), "{first} {second}");
        // It has 30 s for the call otherwise.
        assert!(start.elapsed() < PATIENCE, "{first} {second}");
    }
    canary.ends_well().await;
}

/// `barewire serve` with its output where a test wants it, which may be nowhere.
#[cfg(target_os = "linux")]
struct Unheard {
    process: Child,
    address: SocketAddr,
}

#[cfg(target_os = "linux")]
impl Unheard {
    /// The redirections are the shell's.
    fn start(flags: &str, redirections: &str) -> Self {
        let script = format!("exec \"$0\" serve --addr 127.0.0.1:0 {flags} {redirections}");
        let mut process = Command::new("sh")
            .args(["-c", &script, BAREWIRE])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Nobody reads: where these are not redirected, the first line breaks the pipe.
        drop((process.stdout.take(), process.stderr.take()));
        let start = Instant::now();
        let port = loop {
            // Its announcement is lost. The system knows where it listens.
            if let Some(port) = listening_port(process.id()) {
                break port;
            }
            assert!(start.elapsed() < PATIENCE, "it does not listen");
            std::thread::yield_now();
        };
        Self {
            process,
            address: ([127, 0, 0, 1], port).into(),
        }
    }

    fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.process.id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.unwrap().success());
    }

    fn ends_by(mut self, signal: &str) -> ExitStatus {
        self.signal(signal);
        self.process.wait().unwrap()
    }
}

#[cfg(target_os = "linux")]
impl Drop for Unheard {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The port of the one TCP socket on which a process listens: that line of `/proc/net/tcp` whose inode
/// is among its files.
#[cfg(target_os = "linux")]
fn listening_port(pid: u32) -> Option<u16> {
    const LISTENS: &str = "0A";
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let files = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    let files: BTreeSet<String> = files.map(|file| file.display().to_string()).collect();
    let sockets = fs::read_to_string(format!("/proc/{pid}/net/tcp")).ok()?;
    sockets.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_its_own = files.contains(&format!("socket:[{}]", fields[9]));
        let (_, port) = fields[1].split_once(':')?;
        (fields[3] == LISTENS && is_its_own).then(|| u16::from_str_radix(port, 16).unwrap())
    })
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_neither_sigpipe_nor_closed_outputs_nor_a_full_disk_end_it() {
    let rows = [
        // what it was told                 where its output goes
        ("", ">/dev/full 2>/dev/full"),
        ("--log json", ">/dev/full 2>/dev/full"),
        ("", ">&- 2>&-"),
        ("--log none", ">&-"),
        ("", ""),
        ("--log json", ""),
    ];
    for (flags, redirections) in rows {
        let serving = Unheard::start(flags, redirections);
        let canary = canary_of(serving.address).await;
        // The neighbour: a call that is open all the time.
        let client = Client::tcp(serving.address).await;
        let chat = request("/chat.ChatService/Chat", &[]);
        let mut call = client.send_request(chat, false).await;
        call.send_message("hi").await;
        let mut body = (&mut call.response).await.unwrap().into_body();
        body.data().await.unwrap().unwrap();
        // Lines for calls, and of warning.
        for _ in 0..50 {
            assert_eq!(say_hello(&client).await.code(), Some("0"), "{redirections}");
        }
        let mut stranger = connect(serving.address).await;
        tokio::io::AsyncWriteExt::write_all(&mut stranger, b"hello?")
            .await
            .unwrap();
        for _ in 0..3 {
            serving.signal("PIPE");
        }
        assert_eq!(say_hello(&client).await.code(), Some("0"), "{redirections}");
        canary.ends_well().await;
        call.send.send_data(encoded("bye"), true).unwrap();
        assert_eq!(
            body.data().await.unwrap().unwrap(),
            encoded("You said: bye")
        );
        assert!(body.data().await.is_none());
        let trailers = body.trailers().await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "0", "{redirections}");
        drop((client, stranger));
        assert_eq!(serving.ends_by("TERM").code(), Some(0), "{redirections}");
    }
}

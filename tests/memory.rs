//! What a client holds in memory. A suite of its own: the figure is that of the whole process.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that panics has said what is wrong"
)]

use barewire::{
    Channel, Inbound, MethodPath, Outbound, Request, Response, Server, ServerCall, Service, Serving,
};

/// Counts what it is sent.
struct Count;

impl Service for Count {
    fn name(&self) -> &'static str {
        "test.Count"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            let mut requests: Request<Inbound<String>> = call.requests();
            let mut bytes = 0;
            while let Some(message) = requests.next().await? {
                bytes += message.len();
            }
            call.reply(Response::new(bytes.to_string())).await
        })
    }
}

#[tokio::test]
async fn a_long_request_is_not_kept_in_memory() {
    const MESSAGES: usize = 200;
    let (client, server) = tokio::io::duplex(64 * 1024);
    tokio::spawn(Server::new().add(Count).serve_io(server));
    let channel = Channel::over(client);
    let path = MethodPath::from_static("/test.Count/All");
    let (mut out, summary): (Outbound<String>, Inbound<String>) =
        channel.client_streaming(path, ()).await.unwrap();
    let message = "x".repeat(1024 * 1024);
    let before = resident_bytes();
    let mut most = 0;
    for _ in 0..MESSAGES {
        // The server has not begun to answer, so nobody but the sender looks after the call.
        out.send(message.clone()).await.unwrap();
        most = most.max(resident_bytes());
    }
    out.finish().unwrap();
    let summary = summary.single().await.unwrap().message;
    assert_eq!(summary, (MESSAGES * message.len()).to_string());
    let grown = most.saturating_sub(before);
    assert!(grown < 100 * message.len(), "{grown} bytes more");
}

/// What this process has in memory.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    kilobytes.unwrap().parse::<usize>().unwrap() * 1024
}

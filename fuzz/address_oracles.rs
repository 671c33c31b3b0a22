//! What must hold for any text that says where to connect to, and for what a proxy on the way there
//! answers. It needs the feature `client`; `tests/client/corpus.rs` replays its corpora.

#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    unreachable_pub
)]

use std::fmt::Debug;

use barewire::proxy::{Proxy, Proxying};
use barewire::{Channel, ChannelConfig, Destination, Target};
use http::uri::Authority;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;

/// Input: a line with a target, one with a proxy, and one with what is reached without it. What is wrong
/// is said in few words, and never with the password that stands before an @.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if text.contains(PASSWORD) {
        return;
    }
    let text = text.replace('@', &format!(":{PASSWORD}@"));
    let mut lines = text.splitn(3, '\n');
    let (target, proxy) = (lines.next().unwrap_or_default(), lines.next());
    let exceptions = lines.next().unwrap_or_default();

    if let Some(proxy) = proxy {
        match Proxy::parse(proxy) {
            Ok(read) => {
                keeps_the_password(&read.to_string());
                keeps_the_password(&read);
                let again = Proxy::parse(&format!("http://{read}")).unwrap();
                assert_eq!(again.to_string(), read.to_string());
            }
            Err(error) => keeps_the_password(&error.to_string()),
        }
    }
    let target = match Target::parse(target) {
        Ok(target) => target,
        Err(error) => return keeps_the_password(&error.to_string()),
    };
    if let Destination::Name { host, port, .. } = &target.destination {
        assert!(!host.is_empty() && *port > 0);
    }
    let environment = |name: &str| match name {
        "grpc_proxy" => proxy.map(str::to_owned),
        "no_proxy" => Some(exceptions.to_owned()),
        _ => None,
    };
    if let Err(error) = Proxying::Environment.proxy_for(&target, environment) {
        keeps_the_password(&error.to_string());
        assert!(Proxy::parse(proxy.unwrap()).is_err());
    }
    let config = ChannelConfig {
        proxy: Proxying::Direct,
        ..ChannelConfig::default()
    };
    let channel = Channel::with_config(&target.text, config);
    // A build may be without TLS.
    if !target.implies_tls() {
        let authority = Authority::try_from(target.authority.as_str());
        assert_eq!(channel.is_ok(), authority.is_ok());
    }
}

const PASSWORD: &str = "zQ-secret-Qz";

fn keeps_the_password(what: &impl Debug) {
    let text = format!("{what:?}");
    assert!(!text.contains(PASSWORD), "{text}");
}

/// Input: a byte for the size of the pieces that arrive, then what a proxy answers, and what comes through
/// the tunnel. There is a tunnel if a plain reader finds a success, and nothing of what comes through it is
/// read.
pub fn tunnel(data: &[u8]) {
    let Some((size, answer)) = data.split_first() else {
        return;
    };
    let size = usize::from(*size).max(1);
    let proxy = Proxy::parse(&format!("http://user:{PASSWORD}@proxy:3128")).unwrap();
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(4 * 1024);
        let bytes = answer.to_vec();
        let saying = tokio::spawn(async move {
            for piece in bytes.chunks(size) {
                if far.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
            let _ = far.shutdown().await;
            let mut heard = Vec::new();
            let _ = far.read_to_end(&mut heard).await;
            assert!(heard.starts_with(b"CONNECT example.com:443 HTTP/1.1\r\n"));
            assert!(heard.ends_with(b"\r\n\r\n"));
        });
        match (
            proxy.connect_through(near, "example.com:443").await,
            tunnel_in(answer),
        ) {
            (Ok(mut tunnel), Some(expected)) => {
                let mut found = Vec::new();
                tunnel.read_to_end(&mut found).await.unwrap();
                assert_eq!(found, expected);
            }
            (Err(error), None) => {
                let text = error.to_string();
                keeps_the_password(&text);
                assert!(text.len() < 1_000, "{text}");
                assert!(!text.contains(char::is_control), "{text:?}");
            }
            (found, expected) => panic!("{:?}, {expected:?}", found.map(drop)),
        }
        saying.await.unwrap();
    });
}

/// What follows the head of a success, if there is one in the first 8 KiB. Heads of 1xx are passed over,
/// but for that of another protocol.
fn tunnel_in(answer: &[u8]) -> Option<&[u8]> {
    let mut rest = answer;
    loop {
        let end = (1..=rest.len()).find(|end| {
            let head = &rest[..*end];
            head.ends_with(b"\n\r\n") || head.ends_with(b"\n\n")
        })?;
        let (head, after) = rest.split_at(end);
        rest = after;
        if answer.len() - rest.len() > 8 * 1_024 {
            return None;
        }
        let line = head.split(|byte| b"\r\n".contains(byte)).next()?;
        let mut words = line.split(|byte| *byte == b' ');
        if !words.next()?.starts_with(b"HTTP/1.") {
            return None;
        }
        match *words.next()? {
            [b'2', b'0'..=b'9', b'0'..=b'9'] => return Some(rest),
            [b'1', b'0', b'1'] => return None,
            [b'1', b'0'..=b'9', b'0'..=b'9'] => {}
            _ => return None,
        }
    }
}

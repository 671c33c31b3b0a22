//! How much the log says of peers that do not speak HTTP/2.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barewire::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::support::{Probe, connect, tcp_server};
use crate::tokio;

/// What was warned of, but for who it was.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "peer" {
            write!(self.0, "{field}={value:?} ").unwrap();
        }
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = String::new();
        event.record(&mut Line(&mut line));
        self.0.lock().unwrap().push(line);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        unreachable!("no spans are enabled")
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn one_line_in_ten_seconds_tells_of_all() {
    let warnings = Warnings::default();
    let _listening = tracing::subscriber::set_default(warnings.clone());
    let address = tcp_server(Probe::default(), ServerConfig::default()).await;
    let start = tokio::time::Instant::now();
    let http1 = b"GET / HTTP/1.1\r\n\r\n";
    for (at, first) in [
        (0, &http1[..]),
        (0, &[0x16, 3, 1, 2, 0]),
        (0, b"PRI * HT"), // Whoever says nothing wrong is not worth a word.
        (9_900, b"hello?"),
        (10_100, http1),
        (20_000, http1),
    ] {
        let at = start + Duration::from_millis(at);
        tokio::time::advance(at.saturating_duration_since(tokio::time::Instant::now())).await;
        let mut io = connect(address).await;
        io.write_all(first).await.unwrap();
        io.shutdown().await.unwrap();
        let _ = io.read_to_end(&mut Vec::new()).await;
    }
    let lines = warnings.0.lock().unwrap().clone();
    let http1 =
        "message=not HTTP/2: the peer speaks HTTP/1, this port speaks HTTP/2 with prior knowledge";
    assert_eq!(
        lines,
        [
            format!("{http1} since_the_last_line=1 http1=1 tls=0 junk=0 "),
            format!("{http1} since_the_last_line=3 http1=2 tls=1 junk=1 "),
        ]
    );
}

//! What the library logs, at the levels that are on by default.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The log of this process, for all scenarios.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Written>);

#[derive(Default)]
struct Written {
    bytes: Mutex<Vec<u8>>,
    changed: Notify,
}

impl Log {
    /// Begins to listen. There is one log in a process, and nobody else may listen before.
    pub(crate) fn begin() -> Self {
        let log = Self::default();
        tracing_subscriber::fmt()
            .with_max_level(LevelFilter::WARN)
            .with_ansi(false)
            .with_writer(log.clone())
            .init();
        log
    }

    /// Waits until these words stand in a line of our own.
    pub(crate) async fn says(&self, words: &str) {
        loop {
            let changed = self.0.changed.notified();
            if self.has(words) {
                return;
            }
            changed.await;
        }
    }

    fn has(&self, words: &str) -> bool {
        let bytes = self.bytes();
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines().filter(|line| line.contains("barewire"));
        lines.any(|line| line.contains(words))
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        self.0.changed.notify_waiters();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

//! What happened, and what must not have.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

/// Keeps a line for each event, with the moment at which it happened. Clones are the same log.
#[derive(Clone)]
pub struct Log(Arc<Mutex<Lines>>);

struct Lines {
    began_at: Instant,
    events: Vec<String>,
    violations: Vec<String>,
}

/// What is left of a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Trace {
    pub events: Vec<String>,
    /// Rules that were broken.
    pub violations: Vec<String>,
}

impl Log {
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Lines {
            began_at: Instant::now(),
            events: Vec::new(),
            violations: Vec::new(),
        })))
    }

    /// Something happened.
    pub fn note(&self, event: impl AsRef<str>) {
        let mut lines = self.0.lock().unwrap();
        let at = lines.began_at.elapsed().as_secs_f64();
        lines.events.push(format!("{at:9.3} {}", event.as_ref()));
    }

    /// A rule was broken.
    pub fn violation(&self, rule: impl AsRef<str>) {
        self.note(format!("VIOLATION {}", rule.as_ref()));
        self.0
            .lock()
            .unwrap()
            .violations
            .push(rule.as_ref().to_owned());
    }

    pub fn trace(&self) -> Trace {
        let lines = self.0.lock().unwrap();
        Trace {
            events: lines.events.clone(),
            violations: lines.violations.clone(),
        }
    }
}

//! What the tests of interceptors need, on either side: one that notes what it is asked and told, and a
//! subscriber that knows in which spans the code that asks it runs.

use std::collections::HashMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use barewire::{CallRecord, CallStart, Code, Interceptor, Status};
use tokio::sync::{Notify, Semaphore};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::PATIENCE;

/// What interceptors have noted, in order.
#[derive(Clone, Default)]
pub struct Notes {
    lines: Arc<Mutex<Vec<String>>>,
    changed: Arc<Notify>,
}

impl Notes {
    pub fn add(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
        self.changed.notify_waiters();
    }

    /// What was noted since it was last asked for.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }

    /// The same, once there are so many lines; a hang is ended.
    pub async fn wait_for(&self, lines: usize) -> Vec<String> {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if self.lines.lock().unwrap().len() >= lines {
                    return self.take();
                }
                changed.await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("no {lines} lines: {:?}", self.take()))
    }

    /// One that notes, and lets calls pass.
    pub fn recorder(&self, name: &'static str) -> Recorder {
        Recorder {
            name,
            notes: self.clone(),
            manner: Manner::Passes,
        }
    }
}

/// Notes what it is asked and told.
pub struct Recorder {
    name: &'static str,
    notes: Notes,
    manner: Manner,
}

/// What a [`Recorder`] does when it is asked.
pub enum Manner {
    Passes,
    Refuses(Code),
    /// Lets so many calls pass as there are permits.
    Waits(Arc<Semaphore>),
    Panics,
    PanicsAfter,
}

impl Recorder {
    pub fn that(mut self, manner: Manner) -> Self {
        self.manner = manner;
        self
    }
}

impl Interceptor for Recorder {
    async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
        self.notes
            .add(format!("before {} {}", self.name, call.path().method()));
        match &self.manner {
            Manner::Passes | Manner::PanicsAfter => Ok(()),
            Manner::Refuses(code) => Err(Status::new(*code, "not with me")),
            Manner::Waits(permits) => {
                permits.acquire().await.unwrap().forget();
                Ok(())
            }
            Manner::Panics => panic!("the secret of the interceptor"),
        }
    }

    fn after(&self, call: &CallRecord<'_>) {
        let asked = if call.before_ran { "" } else { ", not asked" };
        self.notes
            .add(format!("after {} {}{asked}", self.name, code(call)));
        if matches!(self.manner, Manner::PanicsAfter) {
            panic!("the secret of the interceptor");
        }
    }
}

pub fn code(call: &CallRecord<'_>) -> &'static str {
    match call.outcome {
        Ok(()) => "OK",
        Err(status) => status.code.name(),
    }
}

/// Messages and bytes, in and out.
pub fn traffic(call: &CallRecord<'_>) -> String {
    format!(
        "in {} msg {} B out {} msg {} B",
        call.messages_received, call.bytes_received, call.messages_sent, call.bytes_sent
    )
}

/// A subscriber for one thread that knows the spans there are. Those of `h2` do not count.
#[derive(Clone, Default)]
pub struct Spans(Arc<Mutex<SpansState>>);

#[derive(Default)]
struct SpansState {
    last: u64,
    open: HashMap<u64, (String, usize)>,
    inside: Vec<u64>,
    entered: Vec<String>,
    closed: Vec<String>,
}

impl Spans {
    /// The names of the spans around the code that asks, from the outermost in; entered twice counts
    /// once.
    pub fn inside(&self) -> String {
        let state = self.0.lock().unwrap();
        let mut inside = state.inside.clone();
        inside.dedup();
        let names: Vec<_> = inside
            .iter()
            .map(|id| state.open[id].0.split(' ').next().unwrap())
            .collect();
        names.join(" ")
    }

    /// The spans that were entered since it was last asked, each of them once.
    #[allow(dead_code, reason = "one of the suites that share this asks")]
    pub fn entered(&self) -> String {
        let mut entered = std::mem::take(&mut self.0.lock().unwrap().entered);
        entered.dedup();
        entered.join(" ")
    }

    /// The next spans to be closed, with their fields, once there are so many.
    pub async fn closed(&self, count: usize) -> Vec<String> {
        while self.0.lock().unwrap().closed.len() < count {
            tokio::task::yield_now().await;
        }
        std::mem::take(&mut self.0.lock().unwrap().closed)
    }
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, _: f64) {
        // A number that is another each time.
        write!(self.0, " {field}=number").unwrap();
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && !metadata.target().starts_with("h2")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut state = self.0.lock().unwrap();
        state.last += 1;
        let id = state.last;
        let mut text = span.metadata().name().to_owned();
        if let Some(parent) = state.inside.last() {
            let parent = state.open[parent].0.split(' ').next().unwrap();
            write!(text, " in={parent}").unwrap();
        }
        span.record(&mut Fields(&mut text));
        state.open.insert(id, (text, 1));
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut state = self.0.lock().unwrap();
        let (text, _) = state.open.get_mut(&span.into_u64()).unwrap();
        values.record(&mut Fields(text));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, span: &Id) {
        let mut state = self.0.lock().unwrap();
        let (text, _) = &state.open[&span.into_u64()];
        let name = text.split(' ').next().unwrap().to_owned();
        state.entered.push(name);
        state.inside.push(span.into_u64());
    }

    fn exit(&self, span: &Id) {
        let mut state = self.0.lock().unwrap();
        assert_eq!(state.inside.pop(), Some(span.into_u64()));
    }

    fn clone_span(&self, span: &Id) -> Id {
        let mut state = self.0.lock().unwrap();
        state.open.get_mut(&span.into_u64()).unwrap().1 += 1;
        span.clone()
    }

    fn try_close(&self, span: Id) -> bool {
        let mut state = self.0.lock().unwrap();
        let (_, references) = state.open.get_mut(&span.into_u64()).unwrap();
        *references -= 1;
        let closes = *references == 0;
        if closes {
            let (text, _) = state.open.remove(&span.into_u64()).unwrap();
            state.closed.push(text);
        }
        closes
    }
}

//! What both sides saw of each call, and whether it fits together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use barewire::{Code, Origin, Status};

use super::log::Log;
use super::plan::{CallPlan, End, Policy};

/// The calls of a run. Clones are the same books.
#[derive(Clone)]
pub struct Books {
    calls: Arc<Mutex<BTreeMap<usize, Entry>>>,
    retries: bool,
    pub log: Log,
}

/// One call.
struct Entry {
    plan: Arc<CallPlan>,
    /// How it ended for its caller.
    ended: Option<Ended>,
    /// What the client's interceptor was told.
    told: Vec<Result<(), Code>>,
    /// Requests of it that came to a server.
    served: Vec<Served>,
    /// How servers refused it that had not asked their interceptor.
    refused: Vec<Result<(), Code>>,
}

/// A request, as a server saw it.
#[derive(Clone, Debug)]
struct Served {
    handler: Handler,
    /// What the server's interceptor was told.
    told: Vec<Result<(), Code>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    NotBegun,
    Running,
    Returned(Result<(), Code>),
    Panicked,
    Dropped,
}

/// How a call ended for its caller.
#[derive(Clone, Debug)]
pub enum Ended {
    /// With a status, after so many messages.
    Status(Result<(), Status>, usize),
    /// The caller lost interest.
    GivenUp,
}

impl Books {
    pub fn new(retries: bool, log: Log) -> Self {
        Self {
            calls: Arc::default(),
            retries,
            log,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Entry>> {
        self.calls.lock().unwrap()
    }

    pub fn open(&self, plan: &Arc<CallPlan>) {
        self.log.note(format!("call {} begins", plan.id));
        let entry = Entry {
            plan: Arc::clone(plan),
            ended: None,
            told: Vec::new(),
            served: Vec::new(),
            refused: Vec::new(),
        };
        self.lock().insert(plan.id, entry);
    }

    pub fn plan(&self, id: usize) -> Option<Arc<CallPlan>> {
        self.lock().get(&id).map(|entry| Arc::clone(&entry.plan))
    }

    /// The caller knows how the call ended.
    pub fn ended(&self, id: usize, ended: Ended) {
        let text = match &ended {
            Ended::Status(Ok(()), messages) => format!("OK after {messages}"),
            Ended::Status(Err(status), messages) => {
                format!("{status} ({:?}) after {messages}", status.origin)
            }
            Ended::GivenUp => "given up".to_owned(),
        };
        self.log.note(format!("call {id} ends: {text}"));
        self.with(id, |entry| entry.ended = Some(ended));
    }

    /// The client's interceptor is told.
    pub fn told(&self, id: usize, outcome: Result<(), Code>) {
        self.with(id, |entry| entry.told.push(outcome));
    }

    /// A request has come to a server. Yields its number among those of the call.
    pub fn comes(&self, id: usize, server: usize) -> usize {
        let mut number = 0;
        self.with(id, |entry| {
            number = entry.served.len();
            entry.served.push(Served {
                handler: Handler::NotBegun,
                told: Vec::new(),
            });
        });
        self.log
            .note(format!("call {id}.{number} comes to server {server}"));
        number
    }

    /// Its handler has come so far.
    pub fn handler(&self, id: usize, number: usize, handler: Handler) {
        self.log
            .note(format!("call {id}.{number} handler: {handler:?}"));
        self.with(id, |entry| entry.served[number].handler = handler);
    }

    /// The server's interceptor is told. Of a request that it was not asked about there is no number.
    pub fn server_told(&self, id: usize, number: Option<usize>, outcome: Result<(), Code>) {
        self.log
            .note(format!("call {id}.{number:?} told: {outcome:?}"));
        self.with(id, |entry| match number {
            Some(number) => entry.served[number].told.push(outcome),
            None => entry.refused.push(outcome),
        });
    }

    /// The server ends, or all is calm for long: no handler is to be at work.
    pub fn check_idle(&self) {
        for (id, entry) in self.lock().iter() {
            if entry
                .served
                .iter()
                .any(|served| served.handler == Handler::Running)
            {
                self.log
                    .violation(format!("a handler of call {id} outlives it"));
            }
        }
    }

    fn with(&self, id: usize, act: impl FnOnce(&mut Entry)) {
        match self.lock().get_mut(&id) {
            Some(entry) => act(entry),
            None => self.log.violation(format!("call {id} was never made")),
        }
    }

    /// It ended well for its caller.
    pub fn is_ok(&self, id: usize) -> bool {
        let calls = self.lock();
        let ended = calls.get(&id).and_then(|entry| entry.ended.as_ref());
        matches!(ended, Some(Ended::Status(Ok(()), _)))
    }

    /// When everything is over: does it fit together?
    pub fn check(&self) {
        for (id, entry) in self.lock().iter() {
            for problem in entry.problems(self.retries) {
                let served = &entry.served;
                let (ended, told) = (&entry.ended, &entry.told);
                self.log.violation(format!(
                    "call {id}: {problem}\n  ended {ended:?}, told {told:?}\n  served {served:?}"
                ));
            }
        }
    }
}

/// Attempts of a call at most.
pub const MAX_ATTEMPTS: u32 = 4;

impl Entry {
    fn problems(&self, retries: bool) -> Vec<&'static str> {
        let mut problems = Vec::new();
        let mut must = |rule: bool, text: &'static str| {
            if !rule {
                problems.push(text);
            }
        };
        must(
            self.told.len() == 1,
            "the client's interceptor is not told once",
        );
        for served in &self.served {
            must(
                served.told.len() == 1,
                "a server's interceptor is not told once",
            );
            must(served.handler != Handler::Running, "a handler is left");
        }
        let once = self.plan.policy == Policy::None || !retries;
        let most = if once {
            1
        } else {
            MAX_ATTEMPTS.try_into().unwrap()
        };
        must(self.served.len() <= most, "it is served too often");

        let Some(Ended::Status(outcome, messages)) = &self.ended else {
            must(self.ended.is_some(), "it does not end");
            return problems;
        };
        let told = outcome.as_ref().copied().map_err(|status| status.code);
        must(self.told == [told], "the interceptor is told another end");
        match outcome {
            Ok(()) => {
                let good = self.served.iter().filter(|served| served.is_good());
                must(good.count() >= 1, "it is OK, but no handler is");
                must(
                    self.is_told_at_server(Ok(())),
                    "it is OK, but no server says so",
                );
                must(
                    *messages == self.plan.replies().len(),
                    "messages are missing",
                );
            }
            Err(status) => {
                must(
                    !status.unprocessed || self.served.is_empty(),
                    "it is unprocessed, but came to a handler",
                );
                self.check_failure(status, *messages, &mut must);
            }
        }
        problems
    }

    /// A server told its interceptor that the call ended so.
    fn is_told_at_server(&self, outcome: Result<(), Code>) -> bool {
        let told = self.served.iter().flat_map(|served| &served.told);
        told.chain(&self.refused).any(|told| *told == outcome)
    }

    fn check_failure(
        &self,
        status: &Status,
        messages: usize,
        must: &mut impl FnMut(bool, &'static str),
    ) {
        let by_handler = |code| Handler::Returned(Err(code));
        // Codes that only a handler uses.
        if matches!(status.code, Code::NotFound | Code::Aborted | Code::DataLoss) {
            must(
                self.plan.end == End::Fail(status.code),
                "nobody says this code",
            );
            must(
                self.served
                    .iter()
                    .any(|served| served.handler == by_handler(status.code)),
                "no handler ended so",
            );
            must(
                messages == self.plan.replies().len() || !self.plan.kind.streams_replies(),
                "messages are missing before the status",
            );
        }
        let library = [
            Code::Cancelled,
            Code::Unknown,
            Code::DeadlineExceeded,
            Code::ResourceExhausted,
            Code::Unimplemented,
            Code::Internal,
            Code::Unavailable,
        ];
        if status.origin == Origin::Peer {
            must(
                self.is_told_at_server(Err(status.code)),
                "no server says so",
            );
        }
        if status.origin == Origin::Local {
            must(
                library.contains(&status.code),
                "the library does not use this code",
            );
        }
        if status.code == Code::DeadlineExceeded {
            must(self.plan.timeout.is_some(), "it has no deadline");
        }
        if status.code == Code::Unknown {
            must(self.plan.end == End::Panic, "UNKNOWN without a panic");
        }
    }
}

impl Served {
    fn is_good(&self) -> bool {
        self.handler == Handler::Returned(Ok(()))
    }
}

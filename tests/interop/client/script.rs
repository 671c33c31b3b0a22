//! What to ask of `barewire.control.Control`: a script for a call, and how the call looked from the
//! server's side.

use std::sync::atomic::{AtomicU64, Ordering};

use barewire::{Channel, Code, Request};
use prost::Message as _;

use crate::printed::control::step::Action;
use crate::printed::control::{
    Answers, ControlClient, Failure, Nothing, Script, SeenCall, SeenRequest, Step,
};

/// A call with a name and a script.
pub(crate) struct Scripted {
    /// The name under which the server remembers it.
    pub(crate) id: String,
    script: Script,
}

impl Scripted {
    /// A call with these steps, and a name of its own.
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        Self {
            id: format!("call-{}", CALLS.fetch_add(1, Ordering::Relaxed)),
            script: Script {
                steps: steps.into_iter().collect(),
                compression: String::new(),
            },
        }
    }

    /// The same with its answers compressed.
    pub(crate) fn compressed(mut self, coding: &str) -> Self {
        self.script.compression = coding.to_owned();
        self
    }

    /// The request of such a call, for as many calls as are wanted.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let script = self.script.encode_to_vec();
        request.metadata.insert_bin("script-bin", &script).unwrap();
        request.metadata.insert("call-id", &self.id).unwrap();
        request
    }

    /// The calls with this name, once so many of them have begun.
    pub(crate) async fn begun(&self, channel: &Channel, count: u32) -> Vec<SeenCall> {
        let calls = self.seen(channel, count, 0).await;
        assert!(calls.len() >= to_usize(count), "{calls:?}");
        calls
    }

    /// The calls with this name, once so many of them are over.
    pub(crate) async fn ended(&self, channel: &Channel, count: u32) -> Vec<SeenCall> {
        let calls = self.seen(channel, 0, count).await;
        let ended = calls.iter().filter(|call| call.ended).count();
        assert!(ended >= to_usize(count), "{calls:?}");
        calls
    }

    /// Waits until the server has seen that the client is gone. There is one call with this name.
    pub(crate) async fn is_cancelled(&self, channel: &Channel) -> SeenCall {
        let calls = self.ended(channel, 1).await;
        let [call] = <[SeenCall; 1]>::try_from(calls).expect("one call with this name");
        assert!(call.cancelled, "{call:?}");
        call
    }

    /// The calls that came with this name so far.
    pub(crate) async fn calls(&self, channel: &Channel) -> Vec<SeenCall> {
        self.seen(channel, 0, 0).await
    }

    async fn seen(&self, channel: &Channel, begun: u32, ended: u32) -> Vec<SeenCall> {
        let request = SeenRequest {
            call_id: self.id.clone(),
            begun,
            ended,
            wait_ms: 15_000,
        };
        let control = ControlClient::new(channel.clone());
        control.seen(request).await.unwrap().message.calls
    }
}

/// Waits for so many milliseconds.
pub(crate) fn wait(milliseconds: u32) -> Step {
    step(Action::WaitMs(milliseconds))
}

/// Waits for longer than any test.
pub(crate) fn hang() -> Step {
    wait(60_000)
}

/// Sends the headers.
pub(crate) fn headers() -> Step {
    step(Action::Headers(Nothing {}))
}

/// Sends one answer with a body of so many bytes.
pub(crate) fn answer(size: u32) -> Step {
    answers(1, size)
}

/// Sends some answers.
pub(crate) fn answers(count: u32, size: u32) -> Step {
    step(Action::Answer(Answers {
        count,
        size,
        ..Answers::default()
    }))
}

/// Sends an answer that is not compressed, whatever the script says.
pub(crate) fn plain_answer(size: u32) -> Step {
    step(Action::Answer(Answers {
        count: 1,
        size,
        plain: true,
        ..Answers::default()
    }))
}

/// Sends answers without an end.
pub(crate) fn endless_answers(size: u32) -> Step {
    step(Action::Answer(Answers {
        size,
        endless: true,
        ..Answers::default()
    }))
}

/// Reads so many requests.
pub(crate) fn read(count: u32) -> Step {
    step(Action::Read(count))
}

/// Reads all requests.
pub(crate) fn read_all() -> Step {
    step(Action::ReadAll(Nothing {}))
}

/// Reads all requests and sends each back.
pub(crate) fn echo() -> Step {
    step(Action::Echo(Nothing {}))
}

/// Ends with an error.
pub(crate) fn fail(code: Code, text: &str) -> Step {
    fail_with_details(code, text, Vec::new())
}

/// Ends with an error that has details.
pub(crate) fn fail_with_details(code: Code, text: &str, details: Vec<u8>) -> Step {
    step(Action::Fail(Failure {
        code: code.number().into(),
        text: text.to_owned(),
        details,
        ..Failure::default()
    }))
}

/// Ends with an error, and says after how many milliseconds the call may be made again.
pub(crate) fn fail_with_pushback(code: Code, pushback: &str) -> Step {
    let mut step = fail(code, "again, but later");
    if let Some(Action::Fail(failure)) = &mut step.action {
        failure.pushback = pushback.to_owned();
    }
    step
}

/// The same step, done by the first so many calls of the name only.
pub(crate) fn only_first(calls: u32, step: Step) -> Step {
    Step {
        only_first: calls,
        ..step
    }
}

/// Ends with an exception that nobody catches.
pub(crate) fn raise() -> Step {
    step(Action::Raise(Nothing {}))
}

fn step(action: Action) -> Step {
    Step {
        action: Some(action),
        only_first: 0,
    }
}

fn to_usize(count: u32) -> usize {
    usize::try_from(count).expect("32 bits fit")
}

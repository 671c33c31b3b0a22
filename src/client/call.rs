//! One call, from its first attempt to its end.
//!
//! ```text
//!   Trying ── Response-Headers ──▶ Answered ── messages, Trailers ──▶ Ended
//!      └────── failed, Trailers-Only, deadline, cancelled ────────────▶
//! ```
//!
//! A call has no task. It goes on when its caller asks for something: the response, a message, room to
//! send. The deadline and the call that this one is made for are looked at each time before anything
//! else, so that nothing is given out that came too late.
//!
//! Spec: gRPC-HTTP2 §Responses, §Errors; gRPC-Codes; gRFC A6.

use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;
use tracing::Span;

use super::attempts::{Attempt, Attempts, Outcome};
use super::outgoing::{Outgoing, deadline_passed, parent_is_over};
use super::replay::Replay;
use crate::call::{Interception, LazyTimer, ParentOver, Responses, Traffic};
use crate::transport::client_connection::ConnectionState;
use crate::wire::{
    Code, Encoding, Metadata, RawMessage, ResponseHeaders, Status, Trailers, WireError,
};

/// A call under way.
pub(super) struct Call {
    outgoing: Arc<Outgoing>,
    replay: Replay,
    phase: Phase,
    timer: LazyTimer,
    /// Resolves when the call is over in whose service this one is made.
    parent: Option<ParentOver>,
    headers: ResponseHeaders,
    /// Response-Headers have come, whatever came after them.
    answered: bool,
    trailers: Option<Metadata>,
    /// A response without a message is a failure.
    message_is_due: bool,
    /// Those who are told of the end, until they have been.
    interception: Option<Box<Interception>>,
}

enum Phase {
    /// It may still be tried again.
    Trying(Attempts),
    /// Response-Headers have come.
    Answered(Box<Attempt>),
    Ended(Result<(), Status>),
}

/// How far a call has got, for whoever waits for that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    phase: Discriminant<Phase>,
    /// Nobody need wait before the next message.
    sent: bool,
}

impl Call {
    /// A call whose first attempt is begun.
    pub(super) fn begin(
        outgoing: Arc<Outgoing>,
        parent: Option<ParentOver>,
        request: Option<Bytes>,
        interception: Option<Box<Interception>>,
    ) -> Box<Self> {
        // Boxed where it is made: it is too large to be handed from function to function.
        let mut call = Box::new(Self {
            replay: Replay::new(Arc::clone(&outgoing.channel)),
            phase: Phase::Trying(Attempts::new(Arc::clone(&outgoing))),
            timer: LazyTimer::new(outgoing.deadline),
            outgoing,
            parent,
            headers: ResponseHeaders::default(),
            answered: false,
            trailers: None,
            message_is_due: false,
            interception,
        });
        let span = call.span();
        let _inside = span.enter();
        if let Some(message) = request {
            call.count_message(message.len());
            call.replay.push_apart(message);
            call.replay.finish();
        }
        if let Phase::Trying(attempts) = &mut call.phase
            && let Some(status) = attempts.begin(&mut call.replay)
        {
            call.end(Err(status));
        }
        call
    }

    /// A message of the request breaks this rule: the call ends with what that means.
    pub(super) fn fail_to_send(&mut self, error: WireError) -> Status {
        self.outgoing.channel.counters.count_sent(&error);
        let status = Status::from(error);
        self.end(Err(status.clone()));
        status
    }

    /// The span that the call runs in.
    fn span(&self) -> Span {
        self.interception
            .as_ref()
            .map_or_else(Span::none, |interception| interception.span())
    }

    /// Waits until the first attempt has a stream.
    ///
    /// # Errors
    ///
    /// The status with which the call has failed before.
    pub(super) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.within_limits(cx, |call, cx| {
            if call.has_stream() || call.poll_trying(cx).is_ready() || call.has_stream() {
                Poll::Ready(call.failure())
            } else {
                Poll::Pending
            }
        })
    }

    fn has_stream(&self) -> bool {
        match &self.phase {
            Phase::Trying(attempts) => attempts.is_running(),
            Phase::Answered(_) | Phase::Ended(_) => true,
        }
    }

    fn failure(&self) -> Result<(), Status> {
        match &self.phase {
            Phase::Ended(outcome) => outcome.clone(),
            Phase::Trying(_) | Phase::Answered(_) => Ok(()),
        }
    }

    /// One more message is to be sent. Takes it out of `message`.
    pub(super) fn push(&mut self, message: &mut BytesMut) {
        self.count_message(message.len());
        self.replay.push(message);
    }

    fn count_message(&mut self, bytes: usize) {
        if let Some(interception) = &mut self.interception {
            interception.traffic.sent(bytes);
        }
    }

    /// No more messages will be sent.
    ///
    /// # Errors
    ///
    /// The status with which the call has failed.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>) -> Result<(), Status> {
        let span = self.span();
        let _inside = span.enter();
        self.replay.finish();
        match &mut self.phase {
            Phase::Trying(attempts) => attempts.write(&mut self.replay, cx),
            Phase::Answered(attempt) => attempt.write(&mut self.replay, cx),
            Phase::Ended(_) => {}
        }
        self.failure()
    }

    /// Whether one more message may be said at once, as [`Call::poll_room`] would find.
    pub(super) fn has_room(&self) -> bool {
        let attempt = self.attempt();
        attempt.is_some_and(|attempt| attempt.takes_more(&self.replay)) && !self.timer.has_passed()
    }

    /// Waits until one more message may be said: a few may wait for the next turn of the connection
    /// ([`Call::unsent`]), so that many small ones leave together. More than that must have been handed
    /// over, or be kept for the attempt to come.
    ///
    /// # Errors
    ///
    /// The server takes no more, or the call has ended.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        self.within_limits(cx, |call, cx| match call.attempt() {
            Some(attempt) if attempt.takes_more(&call.replay) => Poll::Ready(Ok(())),
            Some(_) | None => call.poll_handed_over(cx),
        })
    }

    /// The attempt that is the call, as far as is known. While there are several, nothing is left to the
    /// connection.
    fn attempt(&self) -> Option<&Attempt> {
        match &self.phase {
            Phase::Trying(attempts) => attempts.only(),
            Phase::Answered(attempt) => Some(attempt),
            Phase::Ended(_) => None,
        }
    }

    /// The connection that is to send what was said, if anything waits for that.
    pub(super) fn unsent(&self) -> Option<&Arc<ConnectionState>> {
        let attempt = self.attempt()?;
        let waits = !attempt.is_gone() && !attempt.is_up_to_date(&self.replay);
        waits.then(|| attempt.reader.connection())
    }

    /// Whether all that was said was handed over, to a server that takes it.
    pub(super) fn is_handed_over(&self) -> bool {
        self.attempt()
            .is_some_and(|attempt| !attempt.is_gone() && attempt.is_up_to_date(&self.replay))
    }

    /// Hands over as much as there is room for.
    pub(super) fn send_unsent(&mut self, cx: &mut Context<'_>) {
        let span = self.span();
        let _inside = span.enter();
        match &mut self.phase {
            Phase::Trying(attempts) => attempts.write(&mut self.replay, cx),
            Phase::Answered(attempt) => {
                attempt.write(&mut self.replay, cx);
            }
            Phase::Ended(_) => {}
        }
    }

    fn poll_handed_over(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        if let Phase::Trying(attempts) = &mut self.phase {
            attempts.write(&mut self.replay, cx);
            // Who only sends must not miss that nobody listens any more.
            if !attempts.is_any_gone() && attempts.is_up_to_date(&self.replay) {
                return Poll::Ready(Ok(()));
            }
            // What becomes of the attempts is seen below.
            let _ = self.poll_trying(cx);
        }
        if let Phase::Answered(attempt) = &mut self.phase {
            attempt.write(&mut self.replay, cx);
        }
        if !self.is_sent() {
            return Poll::Pending;
        }
        Poll::Ready(match &self.phase {
            Phase::Trying(_) => Ok(()),
            Phase::Answered(attempt) if attempt.is_gone() => Err(takes_no_more()),
            Phase::Answered(_) => Ok(()),
            Phase::Ended(Ok(())) => Err(takes_no_more()),
            Phase::Ended(Err(status)) => Err(status.clone()),
        })
    }

    /// Whether all that was said has been handed over, or is kept for an attempt to come, or cannot be
    /// handed over any more.
    fn is_sent(&self) -> bool {
        match &self.phase {
            Phase::Trying(attempts) => {
                let kept = !attempts.is_running() && !self.replay.is_too_long();
                kept || attempts.is_up_to_date(&self.replay)
            }
            Phase::Answered(attempt) => attempt.is_gone() || attempt.is_up_to_date(&self.replay),
            Phase::Ended(_) => true,
        }
    }

    /// Initial metadata, to be given away.
    pub(super) fn take_headers(&mut self) -> Metadata {
        std::mem::take(&mut self.headers.metadata)
    }

    /// The caller gives up, unless the server has said all it will say about this call anyway.
    pub(super) fn give_up(&mut self, why: &'static str) {
        let answered = matches!(&self.phase, Phase::Answered(attempt) if attempt.is_gone());
        if !answered {
            self.end(Err(Status::cancelled(why)));
        }
    }

    /// The next message, if it is here in time: many come together, and those behind the first need not
    /// look at all that a call may wait for.
    fn message_at_hand(&mut self) -> Option<RawMessage> {
        match &mut self.phase {
            Phase::Answered(attempt) if !self.timer.has_passed() => {
                attempt.reader.message_at_hand()
            }
            Phase::Trying(_) | Phase::Answered(_) | Phase::Ended(_) => None,
        }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawMessage>, Status>> {
        ready!(self.poll_trying(cx));
        if let Phase::Answered(attempt) = &mut self.phase {
            // What was said and did not fit yet goes on its way.
            attempt.write(&mut self.replay, cx);
            match ready!(attempt.reader.poll_message(cx)) {
                Ok(Some(message)) => return Poll::Ready(Ok(Some(message))),
                Ok(None) => {
                    let trailers = ready!(attempt.reader.poll_trailers(cx));
                    attempt.finish();
                    let (messages, _) = attempt.reader.received();
                    if let Err(status) = &trailers.outcome {
                        self.outgoing.count_failure(status);
                    }
                    self.end_with(trailers, messages);
                }
                Err(status) => {
                    self.outgoing.count_failure(&status);
                    self.end(Err(status));
                }
            }
        }
        Poll::Ready(self.failure().map(|()| None))
    }

    fn poll_trying(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Phase::Trying(attempts) = &mut self.phase else {
            return Poll::Ready(());
        };
        let outcome = ready!(attempts.poll(&mut self.replay, cx));
        if let Some(interception) = &mut self.interception {
            interception.traffic.attempts = attempts.opened();
            interception.start.peer = attempts.answered_by(&outcome).cloned();
        }
        match outcome {
            Outcome::Answered(attempt, headers) => {
                self.replay.keep_from(attempt.handed_over());
                self.headers = headers;
                self.answered = true;
                self.phase = Phase::Answered(attempt);
            }
            Outcome::Ended(_, trailers) => self.end_with(trailers, 0),
            Outcome::Failed(status) => self.end(Err(status)),
        }
        Poll::Ready(())
    }

    /// Polls, unless the call has lasted too long or is made for one that is over: then that is its
    /// end.
    fn within_limits<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl Fn(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let span = self.span();
        let _inside = span.enter();
        // A look at the clock is enough where something is ready; only who waits needs a timer.
        if self.timer.has_passed() && self.is_open() {
            self.end(Err(self.deadline_passed()));
        }
        let polled = poll(self, cx);
        if polled.is_ready() || !self.is_open() {
            return polled;
        }
        if self.timer.poll_passed(cx).is_ready() {
            self.end(Err(self.deadline_passed()));
        } else if let Some(parent) = &mut self.parent
            && parent.as_mut().poll(cx).is_ready()
        {
            self.end(Err(parent_is_over()));
        } else {
            return Poll::Pending;
        }
        poll(self, cx)
    }

    /// How far the call has got.
    pub(super) fn standing(&self) -> Standing {
        Standing {
            phase: discriminant(&self.phase),
            sent: self.is_sent(),
        }
    }

    fn is_open(&self) -> bool {
        !matches!(self.phase, Phase::Ended(_))
    }

    fn deadline_passed(&self) -> Status {
        match &self.phase {
            Phase::Trying(attempts) if attempts.is_running() => {
                deadline_passed("before the server answered")
            }
            Phase::Trying(attempts) => {
                let channel = &self.outgoing.channel;
                match (attempts.last_failure(), channel.pool.last_error()) {
                    (Some(failure), _) => {
                        deadline_passed(format_args!("before it was tried again; last: {failure}"))
                    }
                    (None, Some(error)) => deadline_passed(format_args!(
                        "while it waited for a connection; last: {}",
                        error.message
                    )),
                    (None, None) => deadline_passed("while it waited for a connection"),
                }
                .unprocessed()
            }
            Phase::Answered(_) | Phase::Ended(_) => deadline_passed("while the server answered"),
        }
    }

    /// The response has ended, after so many messages.
    fn end_with(&mut self, trailers: Trailers, messages: u64) {
        let Trailers { outcome, metadata } = trailers;
        self.trailers = Some(metadata);
        self.end(match outcome {
            Ok(()) if self.message_is_due && messages == 0 => Err(WireError::MissingMessage.into()),
            outcome => outcome,
        });
    }

    /// The first end is the end. Streams that are still open are reset.
    fn end(&mut self, outcome: Result<(), Status>) {
        if matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        let outcome = outcome.map_err(|status| self.judge(status));
        if let Some(throttle) = self.outgoing.throttle()
            && outcome.is_ok()
        {
            throttle.on_success();
        }
        let mut interception = self.interception.take();
        if let Some(interception) = &mut interception {
            self.sum_up(&mut interception.traffic);
        }
        self.phase = Phase::Ended(outcome);
        self.replay.keep_from(self.replay.end());
        // Told when the streams are gone: interceptors may take their time.
        if let (Some(interception), Phase::Ended(outcome)) = (&mut interception, &self.phase) {
            interception.tell(outcome);
        }
    }

    fn sum_up(&self, traffic: &mut Traffic) {
        match &self.phase {
            Phase::Trying(attempts) => traffic.attempts = attempts.opened(),
            Phase::Answered(attempt) => {
                (traffic.messages_received, traffic.bytes_received) = attempt.reader.received();
            }
            Phase::Ended(_) => {}
        }
    }

    fn judge(&self, mut status: Status) -> Status {
        // What is true of the last attempt need not be true of all.
        status.unprocessed &= match &self.phase {
            Phase::Trying(attempts) => !attempts.may_be_processed(),
            Phase::Answered(_) | Phase::Ended(_) => false,
        };
        // A server that looks at its own clock may say CANCELLED for what is our deadline.
        // gRPC-HTTP2 §Errors.
        let late = self
            .outgoing
            .deadline
            .is_some_and(|deadline| deadline.at() <= Instant::now());
        if late && status.code == Code::Cancelled {
            deadline_passed(format_args!("on the server: {}", status.message))
        } else {
            status
        }
    }
}

impl Responses for Call {
    fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        if self.answered {
            return Poll::Ready(Ok(()));
        }
        self.within_limits(cx, |call, cx| {
            ready!(call.poll_trying(cx));
            Poll::Ready(call.failure())
        })
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawMessage>, Status>> {
        match self.message_at_hand() {
            Some(message) => Poll::Ready(Ok(Some(message))),
            None => self.within_limits(cx, Self::poll_next),
        }
    }

    fn expect_one(&mut self) {
        self.message_is_due = true;
    }

    fn encoding(&self) -> Encoding {
        self.headers.encoding
    }

    fn headers(&self) -> &Metadata {
        &self.headers.metadata
    }

    fn trailers(&self) -> Option<&Metadata> {
        self.trailers.as_ref()
    }

    fn take_metadata(&mut self) -> (Metadata, Metadata) {
        (
            self.take_headers(),
            self.trailers.take().unwrap_or_default(),
        )
    }

    fn count(&self, error: &WireError) {
        self.outgoing.channel.counters.count_received(error);
    }

    fn fail(&mut self, status: Status) {
        self.end(Err(status));
    }
}

/// Whoever made the call has lost interest.
impl Drop for Call {
    fn drop(&mut self) {
        self.end(Err(Status::cancelled("the caller gave up the call")));
    }
}

fn takes_no_more() -> Status {
    Status::cancelled("the server takes no more messages of this call; its response says why")
}

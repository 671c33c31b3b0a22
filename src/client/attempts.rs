//! The attempts of a call, until one of them is the call.
//!
//! ```text
//!   pick a connection ─▶ open a stream ─▶ replay what was said so far ─▶ Response-Headers: this is it
//!         ▲                                        │
//!         └────── at once, or after a while ───────┴─▶ the end
//! ```
//!
//! Until Response-Headers come, or more was said than is kept, a call can be made again: all its
//! messages are still here. From then on it is *committed* to the attempt that got so far.
//!
//! An attempt is repeated without asking anyone when the server's application has certainly not seen
//! it; otherwise only as the method's policy says. Hedging runs several at once.
//!
//! Spec: gRFC A6.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::balance::{CallInfo, Picked};
use super::hedge::{HedgeDecision, HedgeRules, HedgeState};
use super::outgoing::Outgoing;
use super::replay::Replay;
use super::retry::{AttemptEnd, Decision, RetryRules, RetryState, Unprocessed};
use super::retry_policy::AttemptPolicy;
use crate::transport::client_connection::NotOpened;
use crate::transport::peer::Peer;
use crate::transport::response_reader::{Head, ResponseReader};
use crate::transport::send::{Gone, SendHalf, Sent};
use crate::transport::timer::{after, poll_timer};
use crate::wire::{Pushback, ResponseHeaders, Status, Trailers};

/// Small messages are left to the connection while so many bytes wait for its turn. Less than a DATA
/// frame takes, so that the last one still finds room there.
const WAITING_LIMIT: usize = 15 * 1024;

/// One stream of a call.
pub(super) struct Attempt {
    send: SendHalf,
    pub(super) reader: ResponseReader,
    /// Attempts that went before this one.
    previous: u32,
    /// Pieces of the request that were handed over, counted from the first of the call.
    sent: usize,
    /// Their bytes.
    sent_bytes: usize,
    /// END_STREAM was handed over.
    finished: bool,
    /// What was handed over may not have left: the server need not have room for it.
    ahead: bool,
    /// Nothing can be sent any more. Why, the reader knows.
    gone: bool,
}

/// The attempts of a call that is not committed to one of them yet.
#[expect(
    clippy::vec_box,
    reason = "the one that is answered goes on in its box"
)]
pub(super) struct Attempts {
    outgoing: Arc<Outgoing>,
    /// In the order in which they were opened.
    running: Vec<Box<Attempt>>,
    opening: Vec<Opening>,
    policy: Policy,
    timer: Option<Pin<Box<Sleep>>>,
    /// How the last attempt failed, while there may be others.
    last_failure: Option<Status>,
    /// Who answered that attempt, if anyone did.
    failed_by: Option<Peer>,
    /// An attempt that is no more may have been processed.
    processed: bool,
    /// More was said than is kept: what runs now is all there will be.
    last: bool,
    /// How many streams there were.
    opened: u32,
}

enum Policy {
    Retry(RetryState),
    Hedge(HedgeState),
}

/// A connection with room for a stream that is being found.
struct Opening {
    line: Pin<Box<dyn Future<Output = Result<Picked, Status>> + Send>>,
    /// Attempts that went before this one.
    previous: u32,
}

/// What the attempts come to.
pub(super) enum Outcome {
    /// The response of this one has begun.
    Answered(Box<Attempt>, ResponseHeaders),
    /// The response of this one has begun and ended, well.
    Ended(Box<Attempt>, Trailers),
    /// The last one has failed.
    Failed(Status),
}

impl Attempts {
    pub(super) fn new(outgoing: Arc<Outgoing>) -> Self {
        let policy = match outgoing.attempts() {
            AttemptPolicy::Once | AttemptPolicy::Retry(_) => Policy::Retry(RetryState::default()),
            AttemptPolicy::Hedge(_) => Policy::Hedge(HedgeState::default()),
        };
        Self {
            outgoing,
            running: Vec::new(),
            opening: Vec::new(),
            policy,
            timer: None,
            last_failure: None,
            failed_by: None,
            processed: false,
            last: false,
            opened: 0,
        }
    }

    /// Makes the first attempt.
    pub(super) fn begin(&mut self, replay: &mut Replay) -> Option<Status> {
        self.attempt(replay)
    }

    /// Whether a stream is open.
    pub(super) fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// How many streams there were so far.
    pub(super) fn opened(&self) -> u32 {
        self.opened
    }

    /// Who has answered.
    pub(super) fn answered_by<'a>(&'a self, outcome: &'a Outcome) -> Option<&'a Peer> {
        match outcome {
            Outcome::Answered(attempt, _) | Outcome::Ended(attempt, _) => {
                Some(attempt.reader.peer())
            }
            Outcome::Failed(_) => self.failed_by.as_ref(),
        }
    }

    /// How the last attempt failed, if there was one.
    pub(super) fn last_failure(&self) -> Option<&Status> {
        self.last_failure.as_ref()
    }

    /// Whether the server's application may have seen one of them.
    pub(super) fn may_be_processed(&self) -> bool {
        self.processed || self.is_running()
    }

    /// Whether some attempt has been handed all that was said so far. One that takes nothing more does
    /// not count: whether there is another is seen when it is polled.
    pub(super) fn is_up_to_date(&self, replay: &Replay) -> bool {
        self.running
            .iter()
            .any(|attempt| !attempt.gone && attempt.is_up_to_date(replay))
    }

    /// The attempt that runs, if it is the only one.
    pub(super) fn only(&self) -> Option<&Attempt> {
        match &*self.running {
            [attempt] if self.opening.is_empty() => Some(attempt),
            _ => None,
        }
    }

    /// Whether some attempt can send no more, so that its response is to be looked at.
    pub(super) fn is_any_gone(&self) -> bool {
        self.running.iter().any(|attempt| attempt.is_gone())
    }

    /// Hands over as much as there is room for.
    pub(super) fn write(&mut self, replay: &mut Replay, cx: &mut Context<'_>) {
        for attempt in &mut self.running {
            attempt.write(replay, cx);
        }
        self.keep_within_limits(replay);
    }

    /// Goes on with what can be gone on with. Ready when the call is committed to one attempt, or has
    /// failed.
    pub(super) fn poll(&mut self, replay: &mut Replay, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            if let Some(failed) = self.poll_opening(replay, cx) {
                return Poll::Ready(Outcome::Failed(failed));
            }
            self.write(replay, cx);
            match self.poll_running(replay, cx) {
                Some(Event::Over(outcome)) => return Poll::Ready(outcome),
                Some(Event::Changed) => continue,
                None => {}
            }
            let Some(timer) = &mut self.timer else {
                return Poll::Pending;
            };
            if poll_timer(timer.as_mut(), cx).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
            if let Some(failed) = self.timer_is_over(replay) {
                return Poll::Ready(Outcome::Failed(failed));
            }
        }
    }

    /// Opens streams on connections that were found. Yields how the call ends, if it does.
    fn poll_opening(&mut self, replay: &mut Replay, cx: &mut Context<'_>) -> Option<Status> {
        let mut index = 0;
        while let Some(opening) = self.opening.get_mut(index) {
            let Poll::Ready(line) = opening.line.as_mut().poll(cx) else {
                index += 1;
                continue;
            };
            let Opening { previous, .. } = self.opening.remove(index);
            let over = match line {
                Ok(picked) => self.open(picked, previous, replay),
                // A policy may have this tried again; nothing else.
                Err(status) => {
                    self.failed_by = None;
                    self.failed(status, Unprocessed::Maybe, previous, replay)
                }
            };
            if over.is_some() {
                return over;
            }
        }
        None
    }

    fn poll_running(&mut self, replay: &mut Replay, cx: &mut Context<'_>) -> Option<Event> {
        let mut index = 0;
        while let Some(attempt) = self.running.get_mut(index) {
            let Poll::Ready(head) = attempt.reader.poll_head(cx) else {
                index += 1;
                continue;
            };
            let attempt = self.running.remove(index);
            return Some(match head {
                Ok(Head::Headers(headers)) => {
                    self.commit();
                    Event::Over(Outcome::Answered(attempt, headers))
                }
                Ok(Head::Ended(trailers)) => self.ended(attempt, trailers, replay),
                Err(status) => {
                    self.failed_by = None;
                    let previous = attempt.previous;
                    let never_left = status.unprocessed && attempt.reader.never_left();
                    drop(attempt);
                    if never_left && !self.last {
                        // As if there had been no stream: it does not count as turned away.
                        self.find_line(previous);
                        return Some(Event::Changed);
                    }
                    let unprocessed = if status.unprocessed {
                        Unprocessed::SeenByLibraryOnly
                    } else {
                        Unprocessed::Maybe
                    };
                    self.failed(status, unprocessed, previous, replay)
                        .map_or(Event::Changed, |status| {
                            Event::Over(Outcome::Failed(status))
                        })
                }
            });
        }
        None
    }

    /// An attempt was answered by Trailers-Only, which does not commit the call if it failed.
    fn ended(
        &mut self,
        mut attempt: Box<Attempt>,
        trailers: Trailers,
        replay: &mut Replay,
    ) -> Event {
        attempt.finish();
        let Err(status) = trailers.outcome else {
            self.commit();
            return Event::Over(Outcome::Ended(attempt, trailers));
        };
        self.failed_by = Some(attempt.reader.peer().clone());
        let previous = attempt.previous;
        drop(attempt);
        self.failed(status, Unprocessed::Maybe, previous, replay)
            .map_or(Event::Changed, |status| {
                Event::Over(Outcome::Failed(status))
            })
    }

    /// Begins an attempt, or several. Yields how the call ends, if it does.
    fn attempt(&mut self, replay: &mut Replay) -> Option<Status> {
        loop {
            let previous = match &mut self.policy {
                Policy::Retry(state) => state.previous_attempts(),
                Policy::Hedge(state) => state.begin(),
            };
            if let Some(failed) = self.attempt_after(previous, replay) {
                return Some(failed);
            }
            let Policy::Hedge(state) = &mut self.policy else {
                return None;
            };
            let next = with_hedge_rules(&self.outgoing, |rules| state.next(rules))?;
            if next != HedgeDecision::Send {
                return self.hedge(next, None, previous, replay);
            }
            self.timer = None;
        }
    }

    fn attempt_after(&mut self, previous: u32, replay: &mut Replay) -> Option<Status> {
        let info = CallInfo::of(&self.outgoing.headers);
        match self.outgoing.channel.pool.try_pick(&info) {
            Some(picked) => self.open(picked, previous, replay),
            None => {
                self.find_line(previous);
                None
            }
        }
    }

    fn find_line(&mut self, previous: u32) {
        let line = Box::pin(find_line(Arc::clone(&self.outgoing)));
        self.opening.push(Opening { line, previous });
    }

    fn open(&mut self, picked: Picked, previous: u32, replay: &mut Replay) -> Option<Status> {
        let stream = match self.outgoing.open(picked, previous) {
            Ok(stream) => stream,
            // Nothing left this process, and a connection that takes streams may be there.
            Err(NotOpened::Elsewhere) => {
                self.find_line(previous);
                return None;
            }
            Err(NotOpened::Refused(status)) => {
                return self.failed(status, Unprocessed::Maybe, previous, replay);
            }
        };
        let mut attempt = Box::new(Attempt {
            send: stream.send,
            reader: stream.reader,
            previous,
            sent: 0,
            sent_bytes: 0,
            finished: false,
            ahead: false,
            gone: false,
        });
        attempt.send_request_of_one_piece(replay);
        self.running.push(attempt);
        self.opened = self.opened.saturating_add(1);
        self.keep_within_limits(replay);
        None
    }

    /// An attempt, or the search for a connection for it, has failed. Yields how the call ends, if it
    /// does.
    fn failed(
        &mut self,
        status: Status,
        unprocessed: Unprocessed,
        previous: u32,
        replay: &mut Replay,
    ) -> Option<Status> {
        self.processed |= !status.unprocessed;
        let end = AttemptEnd {
            status: &status,
            unprocessed,
            committed: self.last,
            pushback: Pushback::parse(&status.metadata),
        };
        match &mut self.policy {
            Policy::Retry(state) => {
                let rules = RetryRules {
                    policy: match self.outgoing.attempts() {
                        AttemptPolicy::Retry(policy) => Some(policy),
                        AttemptPolicy::Once | AttemptPolicy::Hedge(_) => None,
                    },
                    attempt_limit: self.outgoing.channel.config.max_attempts,
                    throttle: self.outgoing.throttle(),
                    random: &self.outgoing.channel.random,
                };
                match state.after(&end, &rules) {
                    Decision::TransparentRetry => self.attempt_after(previous, replay),
                    Decision::RetryAfter(delay) => {
                        self.last_failure = Some(status);
                        self.set_timer(delay);
                        None
                    }
                    Decision::GiveUp => Some(status),
                }
            }
            Policy::Hedge(state) => {
                let decision = with_hedge_rules(&self.outgoing, |rules| state.after(&end, rules));
                match decision {
                    Some(decision) => self.hedge(decision, Some(status), previous, replay),
                    None => Some(status),
                }
            }
        }
    }

    fn timer_is_over(&mut self, replay: &mut Replay) -> Option<Status> {
        match &mut self.policy {
            Policy::Retry(_) => self.attempt(replay),
            Policy::Hedge(state) => {
                let decision = with_hedge_rules(&self.outgoing, |rules| state.on_timer(rules))?;
                self.hedge(decision, None, 0, replay)
            }
        }
    }

    fn hedge(
        &mut self,
        decision: HedgeDecision,
        failed: Option<Status>,
        previous: u32,
        replay: &mut Replay,
    ) -> Option<Status> {
        if let Some(failed) = failed {
            self.last_failure = Some(failed);
        }
        match decision {
            HedgeDecision::TransparentRetry => return self.attempt_after(previous, replay),
            HedgeDecision::Send => {
                self.timer = None;
                return self.attempt(replay);
            }
            HedgeDecision::SendAfter(delay) => self.set_timer(delay),
            HedgeDecision::Wait => self.timer = None,
            HedgeDecision::GiveUp => {
                let unknown = || Status::unavailable("all attempts of the call have failed");
                return Some(self.last_failure.take().unwrap_or_else(unknown));
            }
        }
        None
    }

    fn set_timer(&mut self, delay: Duration) {
        let until = after(Instant::now(), delay);
        self.timer = Some(Box::pin(sleep_until(until)));
    }

    /// Once too much was said to be kept, the attempt that has been handed the most is the call, and
    /// what it has been handed is not kept.
    fn keep_within_limits(&mut self, replay: &mut Replay) {
        if !self.last && replay.is_too_long() {
            self.keep_the_furthest();
        }
        if let Some(attempt) = self.running.first().filter(|_| self.last) {
            replay.keep_from(attempt.sent);
        }
    }

    fn keep_the_furthest(&mut self) {
        // Of several that are as far, the one that was opened first.
        let running = self.running.iter().enumerate().rev();
        let furthest = running.max_by_key(|(_, attempt)| (!attempt.gone, attempt.sent));
        let Some((index, _)) = furthest else {
            return;
        };
        let attempt = self.running.remove(index);
        self.commit();
        self.running.push(attempt);
        self.last = true;
    }

    /// One attempt is the call. The others are cancelled.
    fn commit(&mut self) {
        self.processed |= self.is_running();
        self.running.clear();
        self.opening.clear();
        self.timer = None;
        if let Policy::Hedge(state) = &mut self.policy {
            state.commit();
        }
    }
}

enum Event {
    /// Attempts came or went: look again.
    Changed,
    Over(Outcome),
}

impl Attempt {
    /// Whether all that was said so far has been handed over.
    pub(super) fn is_up_to_date(&self, replay: &Replay) -> bool {
        self.sent == replay.end()
            && !self.send.is_blocked()
            && (self.finished || !replay.is_finished())
    }

    /// Whether one more message can be left to the connection to send.
    pub(super) fn takes_more(&self, replay: &Replay) -> bool {
        let waiting = replay.bytes_behind(self.sent_bytes);
        !self.gone && !self.send.is_blocked() && waiting < WAITING_LIMIT
    }

    /// Whether the server takes nothing more.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Hands over as much as there is room for.
    pub(super) fn write(&mut self, replay: &mut Replay, cx: &mut Context<'_>) {
        while !self.gone && !self.is_up_to_date(replay) {
            if !self.send.is_blocked() {
                let Some(piece) = replay.piece(self.sent) else {
                    self.finished = true;
                    self.gone |= self.send.finish().is_err();
                    return;
                };
                self.sent += 1;
                self.sent_bytes = self.sent_bytes.wrapping_add(piece.len());
                self.finished = replay.is_finished() && self.sent >= replay.end();
                self.send.begin(piece, self.finished);
            }
            let counters = &self.reader.connection().counters;
            match self.send.poll_send(cx, counters) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => self.gone = true,
                Poll::Pending => return,
            }
        }
    }

    /// The request is one piece, and is here: h2 may have it as a whole.
    fn send_request_of_one_piece(&mut self, replay: &mut Replay) {
        if let Some(piece) = replay.only() {
            self.sent = 1;
            self.sent_bytes = piece.len();
            self.finished = true;
            match self.send.send_whole(piece) {
                Ok(sent) => self.ahead = sent == Sent::Perhaps,
                Err(Gone) => self.gone = true,
            }
        }
    }

    /// The response has ended. If the request has not, nobody is interested in the rest of it.
    pub(super) fn finish(&mut self) {
        let may_wait = self.ahead || self.send.is_blocked();
        if (!self.finished || may_wait) && !self.gone {
            self.send.stop();
        }
    }

    /// How many pieces of the request were handed over, counted from the first of the call.
    pub(super) fn handed_over(&self) -> usize {
        self.sent
    }
}

fn with_hedge_rules<T>(
    outgoing: &Outgoing,
    decide: impl FnOnce(&HedgeRules<'_>) -> T,
) -> Option<T> {
    let AttemptPolicy::Hedge(policy) = outgoing.attempts() else {
        return None;
    };
    Some(decide(&HedgeRules {
        policy,
        attempt_limit: outgoing.channel.config.max_attempts,
        throttle: outgoing.throttle(),
    }))
}

/// Finds a connection with room for one more stream.
async fn find_line(outgoing: Arc<Outgoing>) -> Result<Picked, Status> {
    let info = CallInfo::of(&outgoing.headers);
    let pool = &outgoing.channel.pool;
    pool.pick(outgoing.wait_for_ready, &info).await
}

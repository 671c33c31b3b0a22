//! The times of a connection: what runs out next, and what happens then.
//!
//! There is one timer for all of them. It is set to the earliest, and may be early: most times move
//! on when the peer says something, and to look again costs less than to move a timer each time.
//!
//! Spec: RFC 9113 §6.7, §6.8; gRFC A8, A9.

use std::task::Context;
use std::time::Duration;

use h2::Reason;
use tokio::time::Instant;

use super::ServerConnection;
use crate::transport::counters::Counter;
use crate::transport::seed::seed;
use crate::transport::timer::{after, poll_timer};
use crate::wire::Status;

impl ServerConnection {
    /// Acts on what has run out of time, and sets the timer to what is next. Says whether h2 has new
    /// work.
    pub(super) fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        if self.timer_polled && self.timer.is_elapsed() {
            self.timer_polled = false;
            let now = Instant::now();
            if let Some((at, due)) = self.next_due()
                && at <= now
                && self.run_out(due, now)
            {
                return true;
            }
        }
        let Some((at, _)) = self.next_due() else {
            return false;
        };
        // A timer that is too early only costs a look; one that is too late would miss its time.
        if !self.timer_polled || at < self.timer.deadline() {
            self.timer.as_mut().reset(at);
            self.timer_polled = true;
            if poll_timer(self.timer.as_mut(), cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        false
    }

    /// What runs out of time next.
    fn next_due(&mut self) -> Option<(Instant, Due)> {
        if let Some(since) = self.closing_since {
            let over = after(since, self.shared.config.goaway_linger);
            return (!self.farewell_over).then_some((over, Due::Farewell));
        }
        let stalled_since = self.full_since();
        let idle_since = match self.shared.config.max_connection_idle {
            Some(_) => self.idle_since(),
            None => None,
        };
        let config = &self.shared.config;
        let mut next = Next(None);
        {
            let meter = self.meter.lock();
            let counts = meter.counts();
            if !counts.settings {
                next.or(self.opened_at, config.preface_timeout, Due::Settings);
            } else if !counts.settings_acked {
                next.or(
                    self.opened_at,
                    config.settings_ack_timeout,
                    Due::SettingsAck,
                );
            }
            if let Some(since) = counts.header_block_since {
                next.or(since, config.header_block_timeout, Due::HeaderBlock);
            }
            match (config.keepalive_time, self.ping_sent_at) {
                (Some(_), Some(sent)) => next.or(sent, config.keepalive_timeout, Due::Keepalive),
                (Some(time), None) => next.or(counts.last_read_at, time, Due::Keepalive),
                (None, _) => {}
            }
        }
        if let Some(since) = stalled_since {
            next.or(since, config.stalled_stream_timeout, Due::Stalled);
        }
        if let Some(drain) = &self.drain {
            if let Some(at) = drain.cut_at {
                next.or(at, Duration::ZERO, Due::Grace);
            }
            let answered = self.meter.lock().counts().goaways_sent > 1;
            if !drain.refusing && !answered {
                next.or(drain.began_at, config.drain_ping_timeout, Due::DrainPing);
            }
            return next.0;
        }
        if let Some(at) = self.age_limit {
            next.or(at, Duration::ZERO, Due::Age);
        }
        if let (Some(since), Some(idle)) = (idle_since, config.max_connection_idle) {
            next.or(since, idle, Due::Idle);
        }
        next.0
    }

    /// Since when requests that nobody reads have used up the window.
    fn full_since(&mut self) -> Option<Instant> {
        if self.paused || self.shared.unread.is_full() {
            Some(*self.full_since.get_or_insert_with(Instant::now))
        } else {
            self.full_since = None;
            None
        }
    }

    /// Since when the connection has been without streams.
    fn idle_since(&mut self) -> Option<Instant> {
        if self.h2.has_streams() {
            self.idle_since = None;
            return None;
        }
        Some(*self.idle_since.get_or_insert_with(Instant::now))
    }

    /// Acts on a time that has run out. Says whether h2 has new work.
    fn run_out(&mut self, due: Due, now: Instant) -> bool {
        if let Some(counter) = due.counter() {
            self.shared.count(counter);
        }
        match due {
            Due::Settings => self.close(Reason::PROTOCOL_ERROR, Some("no_settings")),
            Due::SettingsAck => {
                self.close(Reason::SETTINGS_TIMEOUT, Some("settings_not_acknowledged"));
            }
            Due::HeaderBlock => {
                self.close(Reason::ENHANCE_YOUR_CALM, Some("header_block_timeout"));
            }
            Due::Stalled => {
                self.full_since = None;
                let unread = &self.shared.unread;
                let (stream, why) = if self.paused {
                    let why = "the request was left unread, or not whole, while the server held too many bytes";
                    (unread.longest_held(), why)
                } else {
                    let why =
                        "the request was left unread while the connection's window was used up";
                    (unread.longest_unread(), why)
                };
                if let Some(stream) = stream {
                    self.shared.count(Counter::StalledStreamTimeout);
                    stream.evict(Status::resource_exhausted(why));
                }
            }
            Due::Keepalive => return self.keep_alive(now),
            Due::Age => {
                let grace = self.shared.config.max_connection_age_grace;
                self.begin_drain(Some("max_age"), grace);
            }
            Due::Idle => self.begin_drain(Some("max_idle"), None),
            Due::Grace => self.close(Reason::NO_ERROR, None),
            Due::DrainPing => {
                if let Some(drain) = &mut self.drain {
                    drain.refusing = true;
                }
            }
            // A peer that takes nothing any more does not take our last word either.
            Due::Farewell => self.farewell_over = true,
        }
        true
    }

    // Any byte of the peer is a sign of life, not the answer to the PING alone. gRFC A8.
    fn keep_alive(&mut self, now: Instant) -> bool {
        let last_read_at = self.meter.lock().counts().last_read_at;
        match self.ping_sent_at {
            // An answer may come in the very instant of the question.
            Some(sent) if last_read_at >= sent => {
                self.ping_sent_at = None;
                false
            }
            Some(_) => {
                self.shared.count(Counter::KeepaliveTimeout);
                tracing::debug!(peer = %self.shared.peer, "connection closed: no answer to PING");
                self.close(Reason::NO_ERROR, Some("keepalive_timeout"));
                true
            }
            None => {
                self.ping_sent_at = Some(now);
                let Some(pings) = &mut self.pings else {
                    return false;
                };
                // The answer itself is not awaited; asking makes room for the next PING. It fails
                // when the last PING is still unanswered, and a peer that says other things instead
                // is not dead.
                let mut cx = Context::from_waker(std::task::Waker::noop());
                let _ = pings.poll_pong(&mut cx);
                pings.send_ping(h2::Ping::opaque()).is_ok()
            }
        }
    }
}

/// The first of several times.
struct Next(Option<(Instant, Due)>);

impl Next {
    /// Or this one, `time` after `since`, if that is earlier.
    fn or(&mut self, since: Instant, time: Duration, due: Due) {
        let at = after(since, time);
        if self.0.is_none_or(|(first, _)| at < first) {
            self.0 = Some((at, due));
        }
    }
}

/// What a time that runs out is about.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// The peer's SETTINGS have not come.
    Settings,
    /// Ours were not acknowledged.
    SettingsAck,
    /// A header block is not whole.
    HeaderBlock,
    /// Requests that nobody reads have used up the window.
    Stalled,
    /// The peer is silent, or has not answered our PING.
    Keepalive,
    /// The connection is old.
    Age,
    /// It has been without calls.
    Idle,
    /// Calls on an old connection have had their time.
    Grace,
    /// The PING of a drain is unanswered.
    DrainPing,
    /// Our last word was said a while ago.
    Farewell,
}

impl Due {
    /// What is counted when it runs out. Not all of them mean that something was run into.
    const fn counter(self) -> Option<Counter> {
        match self {
            Self::Settings => Some(Counter::PrefaceTimeout),
            Self::SettingsAck => Some(Counter::SettingsAckTimeout),
            Self::HeaderBlock => Some(Counter::HeaderBlockTimeout),
            Self::Age => Some(Counter::MaxConnectionAge),
            Self::Idle => Some(Counter::MaxConnectionIdle),
            Self::Grace => Some(Counter::MaxConnectionAgeGrace),
            Self::DrainPing => Some(Counter::DrainPingTimeout),
            Self::Farewell => Some(Counter::GoawayLinger),
            // Counted where it is seen what they mean.
            Self::Stalled | Self::Keepalive => None,
        }
    }
}

/// Within a tenth of `age` either way, so that connections that were opened together do not all end
/// together. gRFC A9.
pub(super) fn jittered(age: Duration) -> Duration {
    // Good enough to spread timers, and no crate more.
    let [_, _, _, _, _, _, _, percentile] = seed().to_be_bytes();
    let thousandths = 900 + u32::from(percentile) * 200 / 255;
    (age / 1_000).saturating_mul(thousandths)
}

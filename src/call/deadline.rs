//! When a call must have ended.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::transport::timer::{after, poll_timer};

/// The moment at which a call ends with DEADLINE_EXCEEDED, if it has not ended before. It covers the
/// whole call, each message of a stream included.
///
/// Made from `grpc-timeout`, which counts from when the request was received: clocks of different
/// machines never meet. Spec: gRPC-HTTP2 §Requests (Timeout).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// The deadline that is `timeout` from now.
    pub fn after(timeout: Duration) -> Self {
        Self(after(Instant::now(), timeout))
    }

    /// The moment itself.
    pub fn at(self) -> Instant {
        self.0
    }

    /// What is left of it; zero once it has passed. A call made on behalf of this one may take as
    /// long.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed.
    pub fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }
}

/// A timer that is made when it is first waited for. Most calls end before they wait for anything,
/// and then cost no timer.
#[derive(Debug)]
pub(crate) struct LazyTimer {
    deadline: Option<Deadline>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl LazyTimer {
    /// A timer for `deadline`; without one it never runs out.
    pub(crate) fn new(deadline: Option<Deadline>) -> Self {
        Self {
            deadline,
            sleep: None,
        }
    }

    /// Whether the deadline has passed.
    #[cfg(feature = "client")]
    pub(crate) fn has_passed(&self) -> bool {
        self.deadline.is_some_and(Deadline::has_passed)
    }

    /// Ready when the deadline has passed.
    pub(crate) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline.at())));
        poll_timer(sleep.as_mut(), cx)
    }

    /// What `work` yields, or `None` if the deadline passes before. Work that is done in time wins,
    /// also over a deadline that has passed.
    #[cfg(feature = "server")]
    pub(crate) async fn race<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| match work.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => self.poll_passed(cx).map(|()| None),
        })
        .await
    }
}

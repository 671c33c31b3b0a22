//! Asking a channel's interceptors, before the first attempt of a call.
//!
//! They are asked within the call's deadline, and while the call lives that it is made for. What they
//! have to say is said once, however often the call is tried.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::time::Instant;
use tracing::Span;

use super::outgoing::{Outgoing, deadline_passed, parent_is_over};
use crate::call::{CallStart, Interception, LazyTimer, ParentOver, Side};
use crate::wire::Status;

/// What interceptors see first. Takes along what they may change.
pub(super) fn call_start(outgoing: &mut Outgoing) -> CallStart {
    let headers = &mut outgoing.headers;
    CallStart {
        metadata: std::mem::take(&mut headers.metadata),
        extensions: std::mem::take(&mut headers.extensions),
        span: Span::none(),
        side: Side::Client,
        path: headers.path.clone(),
        authority: headers.authority.clone(),
        peer: None,
        secure: outgoing.channel.is_secure(),
        deadline: outgoing.deadline,
        began_at: Instant::now(),
    }
}

/// Asks the interceptors whether the call may begin, unless it is known that it cannot. Those of a call
/// that does not begin are told of its end.
///
/// # Errors
///
/// It does not begin. Nothing was sent.
///
/// # Cancel safety
///
/// Dropping it drops the future of the interceptor that is being asked.
pub(super) async fn ask(
    interception: &mut Interception,
    outgoing: &mut Outgoing,
    parent: &mut Option<ParentOver>,
    refused: Option<&Status>,
) -> Result<(), Status> {
    let mut asked = refused.map_or(Ok(()), |status| Err(status.clone()));
    while asked.is_ok() && interception.goes_on() {
        asked = ask_next(interception, parent).await;
    }
    if let Err(status) = asked {
        let outcome = Err(status.unprocessed());
        interception.tell(&outcome);
        return outcome;
    }
    let start = &mut interception.start;
    outgoing.headers.metadata = std::mem::take(&mut start.metadata);
    outgoing.headers.extensions = start.extensions.clone();
    outgoing.deadline = start.deadline;
    Ok(())
}

async fn ask_next(
    interception: &mut Interception,
    parent: &mut Option<ParentOver>,
) -> Result<(), Status> {
    let mut timer = LazyTimer::new(interception.start.deadline);
    let mut asking = pin!(interception.ask_next());
    // The interceptor, the deadline and the call that this one is made for race. An interceptor that is
    // done in time wins: what follows looks at the others again.
    poll_fn(|cx| {
        if let Poll::Ready(asked) = asking.as_mut().poll(cx) {
            return Poll::Ready(asked);
        }
        if timer.poll_passed(cx).is_ready() {
            let phase = "while its interceptors were asked";
            return Poll::Ready(Err(deadline_passed(phase)));
        }
        match parent {
            Some(parent) => parent.as_mut().poll(cx).map(|()| Err(parent_is_over())),
            None => Poll::Pending,
        }
    })
    .await
}

//! The best use of h2 that we know: a call runs in its connection's task until it first waits, and
//! what all of them have to say leaves in one write.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::server::Connection;
use harness::Fault;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::answer::answer;
use crate::joined::Joined;
use crate::sender::Coalescing;

/// After so many calls their answers are written, however many more there are.
const CALLS_AT_ONCE: u32 = 32;

pub async fn serve(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<(), Fault> {
    let joined = Joined::new(io);
    let mut handshake = std::pin::pin!(crate::server().handshake(joined.share()));
    let mut connection = poll_fn(|cx| {
        let connection = handshake.as_mut().poll(cx);
        let _ = joined.poll_drain(cx)?;
        connection.map(|connection| Ok::<_, Fault>(connection?))
    })
    .await?;
    let (mut has_tasks, mut was_last) = (false, false);
    poll_fn(|cx| {
        let ended = poll_calls(&mut connection, &joined, &mut has_tasks, cx)?;
        // Tasks that are ready say what they have before it is written: one lap to the back of the
        // queue.
        if has_tasks && joined.has_out() && !was_last {
            was_last = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        was_last = false;
        let _ = joined.poll_drain(cx)?;
        ended.map(Ok)
    })
    .await
}

/// Begins the calls that have come. Ready when the connection has ended.
fn poll_calls<Io: AsyncRead + AsyncWrite + Unpin>(
    connection: &mut Connection<Joined<Io>, Bytes>,
    joined: &Joined<Io>,
    has_tasks: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Fault>> {
    let mut calls = 0;
    while let Some(stream) = ready!(connection.poll_accept(cx)) {
        let (request, respond) = stream?;
        let mut call = Box::pin(answer(request, respond, Coalescing::Yes));
        if call.as_mut().poll(cx).is_pending() {
            *has_tasks = true;
            tokio::spawn(call);
        }
        calls += 1;
        if calls % CALLS_AT_ONCE == 0 {
            let _ = joined.poll_drain(cx)?;
        }
    }
    Poll::Ready(Ok(()))
}

//! One call, from Request-Headers to Trailers, straight down.
//!
//! While the handler runs, three others are at work beside it in the same task: the pump, which
//! takes in what the client sends; the writer, which sends what the handler has queued and sees when
//! the client is gone; and the deadline. The first of handler, client and deadline to end decides
//! the outcome. To drop the handler's future is to cancel it.
//!
//! Spec: gRPC-HTTP2 §Requests, §Responses; gRPC-Codes.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use http::request::Parts;
use tokio::time::Instant;

use super::config::ReplyEncoding;
use super::running::{CallCount, ServerShared};
use super::server_call::ServerCall;
use super::service::Serving;
use crate::call::{CallEnd, Deadline, LazyTimer, RequestParts};
use crate::transport::config::Http2Config;
use crate::transport::response_writer::ResponseWriter;
use crate::transport::send::Gone;
use crate::transport::server_stream::{OpenCall, ServerStream, read_to_end};
use crate::wire::header_size::{check_header_list, request_header_list_size};
use crate::wire::{Encoding, Rejection, RequestHeaders, Status};

/// How a handler came to its end.
enum Ended {
    Returned(Result<(), Status>),
    ClientGone,
    DeadlinePassed,
}

/// Serves one call to its end.
pub(super) async fn serve_call(server: Arc<ServerShared>, stream: ServerStream) {
    let received_at = Instant::now();
    let ServerStream { head, halves, slot } = stream;
    let headers = match parse_within_limits(head, &halves.connection().config) {
        Ok(headers) => headers,
        Err(rejection) => {
            drop(slot);
            return match rejection.body() {
                "" => halves.answer(rejection.into_response()).await,
                body => halves.answer_http(rejection.into_response(), body).await,
            };
        }
    };

    let deadline = headers.timeout.map(Deadline::after);
    let path = headers.path.clone();
    let encoding = reply_encoding(server.config.reply_encoding, &headers);
    let mut call = halves.open(
        server.config.max_recv_message,
        encoding,
        headers.content_type,
    );
    let permit = CallPermit::take(&server.calls, server.config.max_concurrent_calls);
    let untold = CallPermit::take(&server.untold, usize::MAX);

    let ended = if permit.is_none() {
        Ended::Returned(Err(Status::resource_exhausted(
            "the server has too many calls under way",
        )))
    } else if deadline.is_some_and(Deadline::has_passed) {
        Ended::DeadlinePassed
    } else if let Some(service) = server.services.get(path.service()) {
        let incoming = server_call(&server, &call, headers, deadline);
        match unwinding("a service", || service.serve(incoming)) {
            Ok(handler) => run(handler, &mut call, deadline).await,
            Err(status) => Ended::Returned(Err(status)),
        }
    } else {
        Ended::Returned(Err(path.unknown_service().into()))
    };
    // The handler has ended, and its slot with it; what follows only waits for the client to read.
    drop((permit, slot));

    let outcome = end(&mut call, ended, deadline).await;
    // An observer that panics has said so in the log; the call has ended all the same.
    let _ = unwinding("an observer", || {
        server.call_ended(&call, &path, received_at, &outcome);
    });
    drop(untold);
    let_go(call).await;
}

fn parse_within_limits(head: Parts, limits: &Http2Config) -> Result<RequestHeaders, Rejection> {
    let (size, fields) = (request_header_list_size(&head), head.headers.len());
    let headers = RequestHeaders::parse(head)?;
    match check_header_list(
        size,
        fields,
        limits.max_metadata_size,
        limits.max_metadata_pairs,
    ) {
        Ok(()) => Ok(headers),
        Err(error) => Err(Rejection::Status {
            status: error.into(),
            accept_encoding: false,
            content_type: headers.content_type,
        }),
    }
}

fn reply_encoding(configured: ReplyEncoding, headers: &RequestHeaders) -> Encoding {
    let encoding = match configured {
        ReplyEncoding::Always(encoding) => encoding,
        ReplyEncoding::AsRequest => headers.encoding,
    };
    if headers.accept_encoding.contains(encoding) {
        encoding
    } else {
        Encoding::Identity
    }
}

fn server_call(
    server: &ServerShared,
    call: &OpenCall,
    headers: RequestHeaders,
    deadline: Option<Deadline>,
) -> ServerCall {
    ServerCall {
        accept_encoding: headers.accept_encoding,
        parts: RequestParts {
            metadata: headers.metadata,
            deadline,
            encoding: headers.encoding,
            compressed: false,
            path: headers.path,
            authority: headers.authority,
            peer: call.connection.peer.clone(),
            extensions: headers.extensions,
            phase: call.connection.phase.clone(),
            end: CallEnd::of(&call.queue),
        },
        recv: call.recv.clone(),
        queue: call.queue.clone(),
        config: Arc::clone(&server.config),
        inflight: Arc::clone(&server.inflight),
        charge: None,
    }
}

/// Runs the handler until it returns, or has lost its reason to.
async fn run(mut handler: Serving<'_>, call: &mut OpenCall, deadline: Option<Deadline>) -> Ended {
    let mut timer = LazyTimer::new(deadline);
    let ended = poll_fn(|cx| {
        loop {
            if let Poll::Ready(status) = call.recv.poll_pump(cx) {
                return Poll::Ready(Ended::Returned(Err(status)));
            }
            call.queue.lock().writer_looks_later();
            match unwinding("a handler", || handler.as_mut().poll(cx)) {
                Ok(Poll::Ready(outcome)) => return Poll::Ready(Ended::Returned(outcome)),
                Ok(Poll::Pending) => {}
                Err(status) => return Poll::Ready(Ended::Returned(Err(status))),
            }
            match call.writer.write(cx) {
                // The handler waits for the room that was just made.
                Ok(true) => {}
                Ok(false) => break,
                Err(Gone) => return Poll::Ready(Ended::ClientGone),
            }
        }
        if call.writer.poll_gone(cx).is_ready() {
            return Poll::Ready(Ended::ClientGone);
        }
        timer.poll_passed(cx).map(|()| Ended::DeadlinePassed)
    })
    .await;
    // Destructors are the handler's code too, and decide nothing any more.
    let _ = unwinding("a handler's destructor", || drop(handler));
    ended
}

/// Runs code that is not ours. If it panics, the call ends with UNKNOWN and nothing else does. The
/// panic's text stays here: it may hold what the client must not know.
fn unwinding<T>(whose: &str, code: impl FnOnce() -> T) -> Result<T, Status> {
    // What panicked is not looked at again, so nobody sees what it left half done.
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| {
        tracing::error!(panic = panic_text(&*panic), "{whose} panicked");
        Status::unknown("the handler panicked")
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

/// Sends what is queued and the status, and tells how the call ended.
async fn end(call: &mut OpenCall, ended: Ended, deadline: Option<Deadline>) -> Result<(), Status> {
    let outcome = match ended {
        Ended::Returned(outcome) => seen_through(outcome, call),
        Ended::DeadlinePassed => return break_off(&mut call.writer),
        Ended::ClientGone => return Err(client_gone(call)),
    };
    // A task that still holds the replies could go on for ever.
    call.queue.seal(call_is_over());
    let finished = {
        let OpenCall { recv, writer, .. } = &mut *call;
        let mut finish = pin!(writer.finish(outcome.clone()));
        // The client may still be sending. Left in h2, that would count against the connection.
        let finish = poll_fn(|cx| {
            let _ = recv.poll_pump(cx);
            finish.as_mut().poll(cx)
        });
        LazyTimer::new(deadline).race(finish).await
    };
    match finished {
        Some(Ok(())) => outcome,
        Some(Err(Gone)) => Err(client_gone(call)),
        None => break_off(&mut call.writer),
    }
}

/// `Ok`, if the handler has seen its answer through.
fn seen_through(outcome: Result<(), Status>, call: &OpenCall) -> Result<(), Status> {
    let queue = call.queue.lock();
    outcome.and_then(|()| {
        if queue.replies_panicked {
            Err(Status::unknown("the task that sent the replies panicked"))
        } else if queue.replies_alive > 0 {
            Err(Status::unknown(
                "the handler returned before its replies were all sent",
            ))
        } else if !queue.answered {
            Err(Status::unknown("the handler returned without an answer"))
        } else {
            Ok(())
        }
    })
}

fn break_off(writer: &mut ResponseWriter) -> Result<(), Status> {
    let status = Status::deadline_exceeded("the call's deadline passed on the server");
    // The client may be gone, but the outcome is the same.
    let _ = writer.break_off(status.clone());
    Err(status)
}

fn client_gone(call: &OpenCall) -> Status {
    if !call.queue.lock().headers_sent {
        call.connection.count_cancelled();
    }
    Status::cancelled("the client gave up the call, or its connection is lost")
}

/// Lets go of the stream, once the client has been heard out. Whoever still holds an end of the call
/// in another task learns that it is over.
async fn let_go(call: OpenCall) {
    let OpenCall {
        connection,
        recv,
        queue,
        writer,
    } = call;
    queue.seal(call_is_over());
    queue.clear();
    drop(writer);
    read_to_end(&recv, &connection).await;
    recv.close(call_is_over);
}

fn call_is_over() -> Status {
    Status::cancelled("the call is over")
}

/// One of the calls that a server may have at once.
struct CallPermit<'a>(&'a CallCount);

impl<'a> CallPermit<'a> {
    fn take(calls: &'a CallCount, limit: usize) -> Option<Self> {
        let before = calls.open.fetch_add(1, Ordering::Relaxed);
        // Dropped at once where there is no room, which counts it down again.
        Some(Self(calls)).filter(|_| before < limit)
    }
}

impl Drop for CallPermit<'_> {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none_left.notify_waiters();
        }
    }
}

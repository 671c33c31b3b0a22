//! One call, from Request-Headers to Trailers, straight down.
//!
//! While the handler runs, three others are at work beside it in the same task: the pump, which
//! takes in what the client sends; the writer, which sends what the handler has queued and sees when
//! the client is gone; and the deadline. The first of handler, client and deadline to end decides
//! the outcome. To drop the handler's future is to cancel it.
//!
//! Before it, and in just the same way, run the interceptors that are asked whether the call may begin.
//!
//! Spec: gRPC-HTTP2 §Requests, §Responses; gRPC-Codes.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use http::Extensions;
use http::request::Parts;
use tokio::time::Instant;
use tracing::{Instrument, Span};

use super::call_count::CallPermit;
use super::config::ReplyEncoding;
use super::running::ServerShared;
use super::server_call::ServerCall;
use crate::call::{
    CallEnd, CallStart, Deadline, Interception, LazyTimer, RequestParts, Side, Traffic, unwinding,
};
use crate::transport::connection_shared::ConnectionShared;
use crate::transport::counters::Counter;
use crate::transport::peer::{Peer, PeerAddress};
use crate::transport::response_writer::ResponseWriter;
use crate::transport::send::Gone;
use crate::transport::server_stream::{OpenCall, ServerStream, StreamHalves, read_to_end};
use crate::wire::header_size::{check_header_list, request_header_list_size};
use crate::wire::{Encoding, Metadata, MethodPath, Rejection, RequestHeaders, Status};

/// How a handler came to its end.
enum Ended {
    Returned(Result<(), Status>),
    ClientGone,
    DeadlinePassed,
}

/// Serves one call to its end.
pub(super) async fn serve_call(server: Arc<ServerShared>, stream: ServerStream) {
    let ServerStream {
        head,
        halves,
        received_at,
        slot,
    } = stream;
    let mut headers = match parse_within_limits(head, halves.connection()) {
        Ok(headers) => headers,
        Err(rejection) => {
            drop(slot);
            return reject(&server, halves, rejection, received_at).await;
        }
    };

    let mut deadline = headers.timeout.map(Deadline::after);
    let path = headers.path.clone();
    let encoding = reply_encoding(server.config.reply_encoding, &headers);
    let mut call = halves.open(
        server.config.max_recv_message,
        encoding,
        headers.content_type,
    );
    let permit = CallPermit::take(&server.calls, server.config.max_concurrent_calls);
    let untold = CallPermit::take(&server.untold, usize::MAX);

    let mut interception = server.interceptors.begin(|| CallStart {
        authority: headers.authority.clone(),
        deadline,
        ..call_start(path.clone(), &call.connection().peer, received_at)
    });

    let refused = if permit.is_none() {
        server.counters.count(Counter::MaxConcurrentCalls);
        Some(Ended::Returned(Err(Status::resource_exhausted(
            "the server has too many calls under way",
        ))))
    } else if deadline.is_some_and(Deadline::has_passed) {
        Some(Ended::DeadlinePassed)
    } else if let Some(interception) = &mut interception {
        let asked = ask(interception, &mut headers, &mut call, &mut deadline);
        Box::pin(asked).await
    } else {
        None
    };
    let span = interception
        .as_ref()
        .map_or_else(Span::none, |it| it.span());
    let outcome = async {
        let ended = match refused {
            Some(ended) => ended,
            None => serve(&server, headers, &mut call, deadline).await,
        };
        // The handler has ended, and its slot with it; what follows only waits for the client to
        // read.
        drop((permit, slot));
        end(&mut call, ended, deadline).await
    }
    .instrument(span)
    .await;
    server.call_ended(&call, &path, received_at, &outcome);
    if let Some(interception) = &mut interception {
        interception.traffic = traffic(&call);
        interception.tell(&outcome);
    }
    drop((interception, untold));
    let_go(call).await;
}

/// Answers a request that does not become a call. Those who want to know of calls are told, if it can be
/// said which one it would have been.
async fn reject(
    server: &ServerShared,
    halves: StreamHalves,
    rejection: Rejection,
    received_at: Instant,
) {
    if let Rejection::Status { status, path, .. } = &rejection
        && let Some(path) = path
        && let Some(mut interception) = server
            .interceptors
            .begin(|| call_start(path.clone(), &halves.connection().peer, received_at))
    {
        interception.tell(&Err(Status::clone(status)));
    }
    match rejection.body() {
        "" => halves.answer(rejection.into_response()).await,
        body => halves.answer_http(rejection.into_response(), body).await,
    }
}

fn parse_within_limits(
    head: Parts,
    connection: &ConnectionShared,
) -> Result<RequestHeaders, Rejection> {
    let limits = &connection.config;
    let size = request_header_list_size(&head.method, &head.uri, &head.headers);
    let fields = head.headers.len();
    let headers = RequestHeaders::parse(head)?;
    match check_header_list(
        size,
        fields,
        limits.max_metadata_size,
        limits.max_metadata_pairs,
    ) {
        Ok(()) => Ok(headers),
        Err(error) => {
            connection.counters().count_received(&error);
            Err(Rejection::Status {
                status: Box::new(error.into()),
                path: Some(headers.path),
                accept_encoding: false,
                content_type: headers.content_type,
            })
        }
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

/// What interceptors see first.
fn call_start(path: MethodPath, peer: &Peer, began_at: Instant) -> CallStart {
    CallStart {
        metadata: Metadata::new(),
        extensions: Extensions::new(),
        span: Span::none(),
        side: Side::Server,
        path,
        authority: None,
        peer: Some(peer.clone()),
        secure: peer.is_tls() || *peer.address() == PeerAddress::Unix,
        deadline: None,
        began_at,
    }
}

/// Asks the interceptors whether the call may begin. Yields how it ends, if it may not.
async fn ask(
    interception: &mut Interception,
    headers: &mut RequestHeaders,
    call: &mut OpenCall,
    deadline: &mut Option<Deadline>,
) -> Option<Ended> {
    interception.start.metadata = std::mem::take(&mut headers.metadata);
    interception.start.extensions = std::mem::take(&mut headers.extensions);
    while interception.goes_on() {
        let ended = run(pin!(interception.ask_next()), call, *deadline).await;
        let Ended::Returned(Ok(())) = ended else {
            return Some(ended);
        };
        *deadline = interception.start.deadline;
    }
    headers.metadata = std::mem::take(&mut interception.start.metadata);
    headers.extensions = interception.start.extensions.clone();
    None
}

/// Has the service answer the call.
async fn serve(
    server: &ServerShared,
    headers: RequestHeaders,
    call: &mut OpenCall,
    deadline: Option<Deadline>,
) -> Ended {
    let Some(service) = server.services.get(headers.path.service()) else {
        return Ended::Returned(Err(headers.path.unknown_service().into()));
    };
    let incoming = server_call(server, call, headers, deadline);
    let mut handler = match unwinding("the service", || service.serve(incoming)) {
        Ok(handler) => handler,
        Err(status) => {
            server.counters.count(Counter::HandlerPanicked);
            return Ended::Returned(Err(status));
        }
    };
    let ended = run(handler.as_mut(), call, deadline).await;
    // Destructors are the handler's code too, and decide nothing any more.
    let _ = unwinding("the handler's destructor", || drop(handler));
    ended
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
            peer: call.connection().peer.clone(),
            extensions: headers.extensions,
            phase: call.connection().phase.clone(),
            end: CallEnd::of(&call.queue),
        },
        recv: call.recv.clone(),
        queue: call.queue.clone(),
        config: Arc::clone(&server.config),
        inflight: Arc::clone(&server.inflight),
        charge: None,
    }
}

/// Runs the handler until it returns, or has lost its reason to; and so an interceptor before it.
async fn run(
    mut handler: Pin<&mut (dyn Future<Output = Result<(), Status>> + Send + '_)>,
    call: &mut OpenCall,
    deadline: Option<Deadline>,
) -> Ended {
    let mut timer = LazyTimer::new(deadline);
    poll_fn(|cx| {
        loop {
            if let Poll::Ready(status) = call.recv.poll_pump(cx) {
                return Poll::Ready(Ended::Returned(Err(status)));
            }
            call.queue.lock().writer_looks_later();
            match unwinding("the handler", || handler.as_mut().poll(cx)) {
                Ok(Poll::Ready(outcome)) => return Poll::Ready(Ended::Returned(outcome)),
                Ok(Poll::Pending) => {}
                Err(status) => {
                    call.connection().count(Counter::HandlerPanicked);
                    return Poll::Ready(Ended::Returned(Err(status)));
                }
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
    .await
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
            call.connection().count(Counter::HandlerPanicked);
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
        call.connection().count_cancelled();
    }
    Status::cancelled("the client gave up the call, or its connection is lost")
}

/// Lets go of the stream, once the client has been heard out. Whoever still holds an end of the call
/// in another task learns that it is over.
async fn let_go(call: OpenCall) {
    let OpenCall {
        recv,
        queue,
        writer,
    } = call;
    queue.seal(call_is_over());
    queue.clear();
    drop(writer);
    read_to_end(&recv).await;
    recv.close(call_is_over);
}

fn call_is_over() -> Status {
    Status::cancelled("the call is over")
}

/// How much was said in a call.
fn traffic(call: &OpenCall) -> Traffic {
    let (messages_received, bytes_received) = call.recv.received();
    let queue = call.queue.lock();
    Traffic {
        messages_received,
        bytes_received,
        messages_sent: queue.messages,
        bytes_sent: queue.queued_bytes,
        attempts: 0,
    }
}

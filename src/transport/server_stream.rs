//! One accepted stream, before anyone has looked at what it asks for.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::connection_shared::ConnectionShared;
use super::counters::Counter;
use super::recv::RecvHalf;
use super::reply_queue::ReplyQueue;
use super::response_writer::ResponseWriter;
use super::send::SendHalf;
use crate::wire::{ContentType, Encoding};

/// A stream that a client opened, with the slot that its call takes.
pub(crate) struct ServerStream {
    pub(crate) head: http::request::Parts,
    pub(crate) halves: StreamHalves,
    pub(crate) received_at: Instant,
    pub(crate) slot: Slot,
}

/// The two directions of a stream that nobody has used yet.
pub(crate) struct StreamHalves {
    connection: Arc<ConnectionShared>,
    body: h2::RecvStream,
    respond: h2::server::SendResponse<Bytes>,
}

/// The parts of a call that is being served.
pub(crate) struct OpenCall {
    pub(crate) recv: RecvHalf,
    pub(crate) queue: ReplyQueue,
    pub(crate) writer: ResponseWriter,
}

/// One of the calls that a connection may have at once. Freed when the call's handler has really
/// ended, not when its stream is closed: a client that resets streams frees nothing early.
pub(crate) struct Slot(Arc<ConnectionShared>);

impl Slot {
    pub(crate) fn take(connection: &Arc<ConnectionShared>) -> Self {
        connection.calls.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connection))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ServerStream {
    pub(crate) fn new(
        request: http::Request<h2::RecvStream>,
        respond: h2::server::SendResponse<Bytes>,
        received_at: Instant,
        slot: Slot,
    ) -> Self {
        let (head, body) = request.into_parts();
        let connection = Arc::clone(&slot.0);
        Self {
            head,
            halves: StreamHalves {
                connection,
                body,
                respond,
            },
            received_at,
            slot,
        }
    }
}

impl OpenCall {
    pub(crate) fn connection(&self) -> &Arc<ConnectionShared> {
        self.writer.connection()
    }
}

impl StreamHalves {
    pub(crate) fn connection(&self) -> &Arc<ConnectionShared> {
        &self.connection
    }

    /// Makes a call of the stream: messages up to `message_limit` bytes in, messages out that are
    /// compressed by `encoding` if nobody says otherwise.
    pub(crate) fn open(
        self,
        message_limit: usize,
        encoding: Encoding,
        content_type: ContentType,
    ) -> OpenCall {
        let Self {
            connection,
            body,
            respond,
        } = self;
        let recv = RecvHalf::new(body, message_limit, Arc::clone(&connection));
        let queue = ReplyQueue::new(encoding);
        let writer = ResponseWriter::new(respond, queue.clone(), content_type, connection);
        OpenCall {
            recv,
            queue,
            writer,
        }
    }

    /// Answers a request that breaks a rule of gRPC, at once.
    pub(crate) async fn answer(mut self, response: http::Response<()>) {
        // An error means that the client is gone, and nobody is left to be told.
        let _ = self.respond.send_response(response, true);
        let recv = RecvHalf::new(self.body, 0, Arc::clone(&self.connection));
        read_to_end(&recv).await;
    }

    /// Answers a request that is no gRPC, once it has been read: its sender may be none that listens
    /// while it speaks.
    pub(crate) async fn answer_http(mut self, response: http::Response<()>, body: &'static str) {
        let recv = RecvHalf::new(self.body, 0, Arc::clone(&self.connection));
        read_to_end(&recv).await;
        if let Ok(stream) = self.respond.send_response(response, false) {
            let mut send = SendHalf::new(stream, Some(self.connection.config.send_stall_timeout));
            send.begin(Bytes::from_static(body.as_bytes()), false);
            // Errors mean that the client is gone, as above.
            let counters = self.connection.counters();
            if poll_fn(|cx| send.poll_all(cx, counters)).await.is_ok() {
                let _ = send.finish();
            }
        }
    }
}

/// Reads on into nothing after an early answer, or before a late one: what the client sent before it saw
/// the answer is no fault, but h2 would count it as one once the stream is forgotten. For a moment only;
/// then dropping the stream says RST_STREAM(NO_ERROR), RFC 9113 §8.1. Not before, however much comes:
/// haproxy throws an answer away behind which it reads the reset at once.
pub(crate) async fn read_to_end(recv: &RecvHalf) {
    if recv.has_ended() {
        return;
    }
    let connection = recv.connection();
    let discarded = poll_fn(|cx| recv.poll_discard(cx));
    // Out of time is as good an end as any.
    let _ = timeout(connection.config.early_answer_linger, discarded).await;
    if !recv.has_ended() {
        connection.count(Counter::EarlyAnswerLinger);
    }
}

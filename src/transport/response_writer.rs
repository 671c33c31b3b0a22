//! ResponseWriter: a response in the order of the wire.
//!
//! ```text
//!   Response-Headers  *Length-Prefixed-Message  Trailers        or        Trailers-Only
//! ```
//!
//! Response-Headers are held back until the first message, an explicit wish of the handler, or the
//! end: a call that fails before that leaves as Trailers-Only, which a client may retry.
//!
//! The writer empties the handler's queue, and sees first when the client is gone.
//!
//! Spec: gRPC-HTTP2 §Responses; gRFC A6 §When Retries are Valid.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::connection_shared::ConnectionShared;
use super::counters::Counter;
use super::reply_queue::ReplyQueue;
use super::send::{Gone, SendHalf};
use crate::wire::{ContentType, Encoding, Metadata, ResponseHeaders, Status, Trailers, WireError};

/// Writes one response.
pub(crate) struct ResponseWriter {
    respond: h2::server::SendResponse<Bytes>,
    body: Option<SendHalf>,
    queue: ReplyQueue,
    content_type: ContentType,
    connection: Arc<ConnectionShared>,
    /// Waits until the connection has room.
    room: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Bytes that wait for room, here and in the queue, as they were last counted.
    waiting: usize,
}

impl ResponseWriter {
    pub(crate) fn new(
        respond: h2::server::SendResponse<Bytes>,
        queue: ReplyQueue,
        content_type: ContentType,
        connection: Arc<ConnectionShared>,
    ) -> Self {
        Self {
            respond,
            body: None,
            queue,
            content_type,
            connection,
            room: None,
            waiting: 0,
        }
    }

    pub(crate) fn connection(&self) -> &Arc<ConnectionShared> {
        &self.connection
    }

    /// Writes what is queued, as far as there is room. Says whether a handler that waits for room in
    /// the queue is to be polled again. Wakes `cx` when there is more to do.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, Gone> {
        let room_made = self.write_queued(cx)?;
        if self.is_blocked() {
            let half_written = self.body.as_ref().map_or(0, SendHalf::pending_bytes);
            let queued = self.queue.lock().bytes.len();
            self.count_waiting(half_written + queued);
        } else if self.waiting > 0 {
            self.count_waiting(0);
        }
        Ok(room_made)
    }

    fn write_queued(&mut self, cx: &mut Context<'_>) -> Result<bool, Gone> {
        let mut room_made = false;
        loop {
            match self.poll_send(cx) {
                Poll::Ready(result) => result?,
                Poll::Pending => return Ok(room_made),
            }
            let mut queue = self.queue.lock();
            room_made |= queue.handed_over(cx);
            if !queue.has_work() {
                queue.writer_waits(cx);
                return Ok(room_made);
            }
            let headers = (!queue.headers_sent).then(|| {
                queue.headers_sent = true;
                (std::mem::take(&mut queue.metadata), queue.announced)
            });
            let bytes = queue.take();
            drop(queue);
            if let Some((metadata, encoding)) = headers {
                self.body = Some(self.send_headers(metadata, encoding)?);
            }
            if let Some(body) = &mut self.body {
                body.begin(bytes.freeze(), false);
            }
        }
    }

    /// Hands over what is half written, as far as the stream and the connection have room.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let Some(body) = self.body.as_mut().filter(|body| body.is_blocked()) else {
            return Poll::Ready(Ok(()));
        };
        let connection = &self.connection;
        if self.room.is_some() || connection.unsent.is_full() {
            let room = self.room.get_or_insert_with(|| {
                connection.count(Counter::ConnectionSendBuffer);
                let connection = Arc::clone(connection);
                Box::pin(async move { connection.unsent.has_room().await })
            });
            if room.as_mut().poll(cx).is_pending() {
                let gone = ready!(body.poll_held_up(cx));
                connection.count(Counter::SendStallTimeout);
                return Poll::Ready(Err(gone));
            }
            self.room = None;
        }
        let before = body.pending_bytes();
        let polled = body.poll_send(cx, connection.counters());
        connection.is_unsent(before - body.pending_bytes());
        if polled == Poll::Ready(Err(Gone)) && body.has_stalled() {
            connection.count(Counter::SendStallTimeout);
        }
        polled
    }

    fn count_waiting(&mut self, bytes: usize) {
        self.connection.is_waiting(self.waiting, bytes);
        self.waiting = bytes;
    }

    /// Ready when the client is gone.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Gone> {
        match &mut self.body {
            Some(body) => body.poll_gone(cx),
            None => self.respond.poll_reset(cx).map(|_| Gone),
        }
    }

    /// Whether a message lies half written, waiting for the client to make room.
    pub(crate) fn is_blocked(&self) -> bool {
        self.body.as_ref().is_some_and(SendHalf::is_blocked)
    }

    /// Writes what is still queued, then the end of the call.
    ///
    /// # Cancel safety
    ///
    /// Not safe: dropped half-way, the stream ends without a status. The call's task alone awaits
    /// it, and goes on to [`ResponseWriter::break_off`].
    pub(crate) async fn finish(&mut self, outcome: Result<(), Status>) -> Result<(), Gone> {
        poll_fn(|cx| {
            self.write(cx)?;
            if self.is_blocked() {
                return Poll::Ready(Err(ready!(self.poll_gone(cx))));
            }
            Poll::Ready(Ok(()))
        })
        .await?;
        self.send_end(outcome)
    }

    /// Ends the call at once: with its status where the messages so far are whole, by RST_STREAM
    /// where one is cut. gRPC-HTTP2 §Errors.
    pub(crate) fn break_off(&mut self, status: Status) -> Result<(), Gone> {
        if self.is_blocked() {
            if let Some(body) = &mut self.body {
                body.cancel();
            }
            return Ok(());
        }
        self.send_end(Err(status))
    }

    fn send_end(&mut self, outcome: Result<(), Status>) -> Result<(), Gone> {
        let (metadata, announced, trailers) = {
            let mut queue = self.queue.lock();
            let metadata = std::mem::take(&mut queue.metadata);
            (
                metadata,
                queue.announced,
                std::mem::take(&mut queue.trailers),
            )
        };
        let trailers = Trailers {
            outcome,
            metadata: trailers,
        };
        // The largest trailers that the client says it accepts.
        let header_limit = self.connection.peer_header_limit();
        if self.body.is_none() {
            // Initial metadata has no place in Trailers-Only: it must stay initial.
            if metadata.is_empty() {
                let content_type = self.content_type;
                let response = fit(trailers, header_limit, |trailers, limit| {
                    trailers.into_trailers_only_within(content_type, limit)
                })
                .unwrap_or_else(|error| too_large(error).into_trailers_only(content_type));
                return self
                    .respond
                    .send_response(response, true)
                    .map(drop)
                    .map_err(|_| Gone);
            }
            self.body = Some(self.send_headers(metadata, announced)?);
        }
        let headers = fit(trailers, header_limit, Trailers::into_headers_within)
            .unwrap_or_else(|error| too_large(error).into_headers());
        self.body
            .as_mut()
            .map_or(Err(Gone), |body| body.send_trailers(headers))
    }

    fn send_headers(&mut self, metadata: Metadata, encoding: Encoding) -> Result<SendHalf, Gone> {
        let headers = ResponseHeaders {
            content_type: self.content_type,
            encoding,
            // Said only where it helps: in the answer to a coding that we cannot read. A client that
            // compresses has chosen its coding before it hears from us.
            accept_encoding: None,
            metadata,
        };
        let stream = self
            .respond
            .send_response(headers.into_response(), false)
            .map_err(|_| Gone)?;
        Ok(SendHalf::new(
            stream,
            Some(self.connection.config.send_stall_timeout),
        ))
    }
}

impl Drop for ResponseWriter {
    fn drop(&mut self) {
        // What found no room goes with the stream.
        if self.waiting > 0 {
            self.count_waiting(0);
        }
    }
}

/// Makes trailers fit what the client says it takes: details and text are shortened, metadata is not.
///
/// gRPC's C core says how much it takes at the most, and drops at random what is larger than its
/// other limit, by default half of that; what is exactly as large as it says it drops too. So what
/// can be shortened is made half as large, and the rest must stay below the limit.
fn fit<T>(
    trailers: Trailers,
    limit: Option<usize>,
    write: impl Fn(Trailers, Option<usize>) -> Result<T, WireError>,
) -> Result<T, WireError> {
    let Some(limit) = limit.filter(|_| trailers.outcome.is_err() || !trailers.metadata.is_empty())
    else {
        return write(trailers, None);
    };
    write(trailers.clone(), Some(limit / 2))
        .or_else(|_| write(trailers, Some(limit.saturating_sub(1))))
}

/// What is said instead of trailers that the client would not take.
fn too_large(error: WireError) -> Trailers {
    Trailers {
        outcome: Err(error.into()),
        metadata: Metadata::new(),
    }
}

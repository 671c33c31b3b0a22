//! ResponseReader: a response in the order of the wire.
//!
//! ```text
//!   Response-Headers  *Length-Prefixed-Message  Trailers        or        Trailers-Only
//! ```
//!
//! What ends a response without trailers is never a success, whatever came before: a reset, a lost
//! connection, the end of the stream.
//!
//! A byte's window is given back when its message is taken. While the reader waits for a message that
//! is not whole, its bytes are given back at once, or a message larger than the window could never
//! become whole.
//!
//! Spec: gRPC-HTTP2 §Responses, §Errors; RFC 9113 §5.2, §8.1.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::StatusCode;

use super::client_connection::{ConnectionState, Slot};
use super::counters::Counter;
use super::errors::status_of_client_stream;
use super::peer::Peer;
use crate::wire::header_size::{STATUS_FIELD_SIZE, check_header_list, header_list_size};
use crate::wire::response_headers::QUOTED_BODY_LIMIT;
use crate::wire::{
    Deframer, Metadata, NotGrpc, RawMessage, ResponseHeaders, ResponseStart, Status, Trailers,
    WireError,
};

/// Reads one response. Dropped before its end, it takes the stream along: RST_STREAM(CANCEL).
pub(crate) struct ResponseReader {
    connection: Arc<ConnectionState>,
    id: u32,
    part: Part,
    message_limit: usize,
    interim_responses: u32,
    messages: u64,
    bytes: u64,
}

/// What is read next.
enum Part {
    Head(h2::client::ResponseFuture, Slot),
    /// An answer that is not gRPC, and the start of its body.
    Foreign(h2::RecvStream, NotGrpc, Vec<u8>, Slot),
    Messages(Messages, Slot),
    Over,
}

struct Messages {
    stream: h2::RecvStream,
    http_status: StatusCode,
    deframer: Deframer,
    /// The last DATA frame came; trailers may follow.
    ended: bool,
    /// Bytes that count against our windows.
    unreleased: usize,
    /// Give back in pieces of this size while the reader is busy.
    release_step: usize,
}

/// How a response begins.
#[derive(Debug)]
pub(crate) enum Head {
    /// Messages and trailers follow.
    Headers(ResponseHeaders),
    /// It has ended already.
    Ended(Trailers),
}

impl ResponseReader {
    pub(super) fn new(
        response: h2::client::ResponseFuture,
        id: u32,
        connection: Arc<ConnectionState>,
        slot: Slot,
    ) -> Self {
        Self {
            connection,
            id,
            part: Part::Head(response, slot),
            message_limit: usize::MAX,
            interim_responses: 0,
            messages: 0,
            bytes: 0,
        }
    }

    /// Messages from here on may be so many bytes long, as sent.
    pub(crate) fn limit_messages(&mut self, limit: usize) {
        self.message_limit = limit;
    }

    /// The connection of the stream.
    pub(crate) fn connection(&self) -> &Arc<ConnectionState> {
        &self.connection
    }

    /// Who answers.
    pub(crate) fn peer(&self) -> &Peer {
        self.connection.peer()
    }

    /// Whether nothing of the request has left this process, nor will. Asked of a stream that has
    /// failed before it was answered.
    pub(crate) fn never_left(&self) -> bool {
        self.connection.never_wrote(self.id)
    }

    /// Messages and body bytes that came so far.
    pub(crate) fn received(&self) -> (u64, u64) {
        (self.messages, self.bytes)
    }

    /// How the response begins. To be polled until it is ready, and then no more.
    ///
    /// # Errors
    ///
    /// The stream failed before, or its first header block breaks a rule.
    pub(crate) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Status>> {
        loop {
            match &mut self.part {
                Part::Head(response, _) => {
                    let head = match Self::poll_response(
                        response,
                        self.id,
                        &mut self.interim_responses,
                        &self.connection,
                        cx,
                    ) {
                        Poll::Ready(head) => head,
                        Poll::Pending => return Poll::Pending,
                    };
                    match head.and_then(|response| self.begin(response)) {
                        Ok(Some(head)) => return Poll::Ready(Ok(head)),
                        Ok(None) => {}
                        Err(failure) => {
                            self.part = Part::Over;
                            return Poll::Ready(Err(failure));
                        }
                    }
                }
                Part::Foreign(stream, _, body, _) => {
                    // Its end, a failure or enough of it: all that is wanted is a few words.
                    while body.len() < QUOTED_BODY_LIMIT {
                        let Some(Ok(chunk)) = ready!(stream.poll_data(cx)) else {
                            break;
                        };
                        body.extend_from_slice(&chunk);
                        let _ = stream.flow_control().release_capacity(chunk.len());
                    }
                    let Part::Foreign(_, answer, body, _) =
                        std::mem::replace(&mut self.part, Part::Over)
                    else {
                        unreachable!("matched above");
                    };
                    let status = answer.into_status(&body);
                    return Poll::Ready(Err(status));
                }
                Part::Messages(..) | Part::Over => {
                    let status = Status::internal("the response's head was read before");
                    return Poll::Ready(Err(status));
                }
            }
        }
    }

    fn poll_response(
        response: &mut h2::client::ResponseFuture,
        id: u32,
        interim_responses: &mut u32,
        connection: &ConnectionState,
        cx: &mut Context<'_>,
    ) -> Poll<Result<http::Response<h2::RecvStream>, Status>> {
        // Interim responses stand before the final one. They are taken first, because h2 drops those that
        // it passes on the way to it.
        while let Poll::Ready(Some(Ok(_))) = response.poll_informational(cx) {
            *interim_responses += 1;
            let limit = connection.config.max_interim_responses;
            if *interim_responses > limit {
                connection.counters.count(Counter::MaxInterimResponses);
                let text = format!("the server sent more than {limit} interim responses (1xx)");
                let status = Status::unavailable(text);
                return Poll::Ready(Err(status));
            }
        }
        Pin::new(response)
            .poll(cx)
            .map_err(|error| status_of_client_stream(&error, id, connection))
    }

    /// Looks at the first header block. `None` if there is more to read before it can be judged.
    fn begin(&mut self, response: http::Response<h2::RecvStream>) -> Result<Option<Head>, Status> {
        let (head, stream) = response.into_parts();
        let end_stream = stream.is_end_stream();
        let http_status = head.status;
        self.check_size(&head.headers, STATUS_FIELD_SIZE)?;
        let start = ResponseStart::parse(head, end_stream)?;
        self.connection.answered();
        let slot = match std::mem::replace(&mut self.part, Part::Over) {
            Part::Head(_, slot) | Part::Foreign(_, _, _, slot) | Part::Messages(_, slot) => slot,
            Part::Over => return Ok(None),
        };
        match start {
            ResponseStart::Headers(headers) => {
                let messages = Messages {
                    stream,
                    http_status,
                    deframer: Deframer::new(self.message_limit),
                    ended: false,
                    unreleased: 0,
                    release_step: self.connection.stream_window() / 4,
                };
                self.part = Part::Messages(messages, slot);
                Ok(Some(Head::Headers(headers)))
            }
            ResponseStart::TrailersOnly(trailers) => Ok(Some(Head::Ended(trailers))),
            ResponseStart::NotGrpc(answer) => {
                self.part = Part::Foreign(stream, answer, Vec::new(), slot);
                Ok(None)
            }
            ResponseStart::Interim => {
                let text = "h2 gave out an interim response as the final one";
                Err(Status::internal(text))
            }
        }
    }

    /// Checks a header list that is `extra` bytes larger than its map.
    fn check_size(&self, headers: &http::HeaderMap, extra: usize) -> Result<(), WireError> {
        let config = &self.connection.config;
        check_header_list(
            header_list_size(headers) + extra,
            headers.len(),
            config.max_metadata_size,
            config.max_metadata_pairs,
        )
        .inspect_err(|error| self.connection.counters.count_received(error))
    }

    /// The next message, if it is here already.
    pub(crate) fn message_at_hand(&mut self) -> Option<RawMessage> {
        let Part::Messages(messages, _) = &mut self.part else {
            return None;
        };
        // A message that breaks the framing does so again when it is asked for.
        let message = messages.deframer.next_message().ok()??;
        self.messages += 1;
        messages.release(&self.connection);
        Some(message)
    }

    /// The next message; `None` when the last one has been taken, and trailers are to be read.
    ///
    /// # Errors
    ///
    /// A message that breaks the framing; a stream that was reset or lost. The stream is over then.
    pub(crate) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<RawMessage>, Status>> {
        let Part::Messages(messages, _) = &mut self.part else {
            return Poll::Ready(Ok(None));
        };
        loop {
            match messages.deframer.next_message() {
                Ok(Some(message)) => {
                    self.messages += 1;
                    messages.release(&self.connection);
                    return Poll::Ready(Ok(Some(message)));
                }
                Ok(None) => {}
                Err(error) => {
                    self.connection.counters.count_received(&error);
                    self.part = Part::Over;
                    return Poll::Ready(Err(error.into()));
                }
            }
            if messages.ended {
                return Poll::Ready(Ok(None));
            }
            match messages.poll_fill(cx) {
                Poll::Ready(Ok(came)) => self.bytes += came,
                Poll::Ready(Err(error)) => {
                    let failure = failure_after_head(&error, self.id, &self.connection);
                    self.part = Part::Over;
                    return Poll::Ready(Err(failure));
                }
                Poll::Pending => {
                    // What is left is the beginning of a message.
                    messages.release_now(messages.unreleased, &self.connection);
                    return Poll::Pending;
                }
            }
        }
    }

    fn check_trailers(&self, trailers: &http::HeaderMap) -> Result<(), WireError> {
        // What h2 cut may look whole.
        match self.connection.header_list_too_large(self.id) {
            Some(error) => Err(error),
            None => self.check_size(trailers, 0),
        }
    }

    /// How the call ended, once there are no more messages.
    ///
    /// A message that is cut off is the server's fault, unless it says that the call failed anyway.
    pub(crate) fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Trailers> {
        let Part::Messages(messages, _) = &mut self.part else {
            return Poll::Ready(failed(Status::internal(
                "the response's trailers were read before",
            )));
        };
        let read = ready!(messages.stream.poll_trailers(cx));
        let cut = messages.deframer.finish();
        let http_status = messages.http_status;
        self.part = Part::Over;
        let trailers = match read {
            Ok(Some(headers)) => match self.check_trailers(&headers) {
                Ok(()) => Trailers::parse(headers, http_status),
                Err(error) => failed(error.into()),
            },
            Ok(None) => Trailers::missing(http_status),
            Err(error) => failed(failure_after_head(&error, self.id, &self.connection)),
        };
        Poll::Ready(match (cut, trailers.outcome.is_ok()) {
            (Err(error), true) => failed(error.into()),
            (Err(_) | Ok(()), _) => trailers,
        })
    }
}

impl Messages {
    /// Takes one chunk of what h2 holds, so that the messages in it can be taken from where they are: of
    /// several, all but the last would be copied. Ready, with the count of its bytes, when one came or the
    /// end did.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<u64, h2::Error>> {
        let Some(chunk) = ready!(self.stream.poll_data(cx)).transpose()? else {
            self.ended = true;
            return Poll::Ready(Ok(0));
        };
        let came = chunk.len();
        self.deframer.push(chunk);
        self.unreleased += came;
        Poll::Ready(Ok(u64::try_from(came).unwrap_or(0)))
    }

    // In steps, since each release takes h2's lock.
    fn release(&mut self, connection: &ConnectionState) {
        let still_buffered = self.deframer.buffered();
        let releasable = self.unreleased.saturating_sub(still_buffered);
        if releasable >= self.release_step {
            self.release_now(releasable, connection);
        }
    }

    fn release_now(&mut self, length: usize, connection: &ConnectionState) {
        if length > 0 {
            // Who waits for the first bytes of a full window has not given back less than a step of it.
            if length >= self.release_step
                && self.stream.flow_control().used_capacity() >= connection.stream_window()
            {
                connection.counters.count(Counter::StreamWindow);
            }
            // Fails only for more than was received, which `unreleased` rules out.
            let _ = self.stream.flow_control().release_capacity(length);
            self.unreleased -= length.min(self.unreleased);
        }
    }
}

/// What ended a stream whose response had begun: its application has seen the request, whatever the
/// server says now.
fn failure_after_head(error: &h2::Error, id: u32, connection: &ConnectionState) -> Status {
    Status {
        unprocessed: false,
        ..status_of_client_stream(error, id, connection)
    }
}

fn failed(status: Status) -> Trailers {
    Trailers {
        outcome: Err(status),
        metadata: Metadata::new(),
    }
}

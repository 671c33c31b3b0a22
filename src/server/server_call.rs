//! One incoming call, as generated code is handed it.

use std::fmt;
use std::sync::Arc;

use super::config::ServerConfig;
use super::replies::Replies;
use crate::call::message::encode_message;
use crate::call::{
    Charge, Deadline, Inbound, InflightBytes, LazyTimer, Request, RequestParts, Response,
};
use crate::transport::counters::Counter;
use crate::transport::recv::RecvHalf;
use crate::transport::reply_queue::ReplyQueue;
use crate::wire::decode_cost::SCANNED_FROM;
use crate::wire::{AcceptEncoding, Encoding, Status};

/// One incoming call: take its request, once, and answer it.
///
/// Which methods to use follows from the shape of the call: [`request`](Self::request) where one
/// message comes in, [`requests`](Self::requests) where a stream does; [`reply`](Self::reply) where
/// one message goes out, [`replies`](Self::replies) where a stream does.
pub struct ServerCall {
    pub(super) parts: RequestParts,
    pub(super) accept_encoding: AcceptEncoding,
    pub(super) recv: RecvHalf,
    pub(super) queue: ReplyQueue,
    pub(super) config: Arc<ServerConfig>,
    pub(super) inflight: Arc<InflightBytes>,
    /// For the request, until its handler has ended.
    pub(super) charge: Option<Charge>,
}

impl ServerCall {
    /// The method's name, as in the call's path: `SayHello`.
    pub fn method(&self) -> &str {
        self.parts.path.method()
    }

    /// The request of a call that brings one message.
    ///
    /// # Errors
    ///
    /// As [`Inbound::single`], and DEADLINE_EXCEEDED if the message takes longer to come than
    /// [`ServerConfig::request_read_timeout`] allows.
    ///
    /// # Cancel safety
    ///
    /// Not safe: what was received of the message is lost.
    pub async fn request<M: prost::Message + Default>(&mut self) -> Result<Request<M>, Status> {
        let mut inbound = self.inbound();
        let limit = self.config.request_read_timeout;
        let mut timer = LazyTimer::new(Some(Deadline::after(limit)));
        let Some(request) = timer.race(inbound.only_request()).await else {
            self.recv.counters().count(Counter::RequestReadTimeout);
            return Err(Status::deadline_exceeded(format!(
                "the request did not come within {limit:?}"
            )));
        };
        let (message, charge) = request?;
        self.charge = charge;
        self.parts.compressed = inbound.came_compressed();
        Ok(Request::from_parts(self.take_parts(), message))
    }

    /// The request of a call that brings a stream of messages.
    pub fn requests<M: prost::Message + Default>(&mut self) -> Request<Inbound<M>> {
        let inbound = self.inbound();
        Request::from_parts(self.take_parts(), inbound)
    }

    /// Answers with one message.
    ///
    /// # Errors
    ///
    /// RESOURCE_EXHAUSTED if it is larger than [`ServerConfig::max_send_message`], or finds no room
    /// within [`ServerConfig::max_inflight_message_bytes`].
    pub async fn reply<M: prost::Message>(&mut self, response: Response<M>) -> Result<(), Status> {
        let Response {
            metadata,
            message,
            trailers,
            encoding,
        } = response;
        let mut queue = self.queue.lock();
        if let Some(encoding) = encoding.map(|encoding| self.acceptable(encoding)) {
            queue.encoding = encoding;
            queue.announced = encoding;
        }
        let (encoding, limit) = (queue.encoding, self.config.max_send_message);
        let plain_length = message.encoded_len();
        if plain_length >= SCANNED_FROM {
            queue.charge = Some(Box::new(self.inflight.charge(plain_length)?));
        }
        let length = encode_message(&message, encoding, limit, &mut queue.bytes)
            .inspect_err(|error| self.recv.counters().count_sent(error))?;
        queue.metadata = metadata;
        queue.trailers = trailers;
        queue.queued(length);
        Ok(())
    }

    /// The means to answer with a stream of messages.
    pub fn replies<M: prost::Message>(&mut self) -> Replies<M> {
        Replies::new(
            self.queue.clone(),
            self.accept_encoding,
            self.config.max_send_message,
            self.recv.counters(),
        )
    }

    /// The status for a method that the service does not have.
    pub fn unknown_method(&self) -> Status {
        self.parts.path.unknown_method().into()
    }

    fn inbound<M: prost::Message + Default>(&self) -> Inbound<M> {
        Inbound::of_request(
            self.recv.clone(),
            self.parts.encoding,
            self.config.max_recv_message,
            Arc::clone(&self.inflight),
        )
    }

    fn acceptable(&self, encoding: Encoding) -> Encoding {
        if self.accept_encoding.contains(encoding) {
            encoding
        } else {
            Encoding::Identity
        }
    }

    fn take_parts(&mut self) -> RequestParts {
        let parts = &mut self.parts;
        RequestParts {
            metadata: std::mem::take(&mut parts.metadata),
            deadline: parts.deadline,
            encoding: parts.encoding,
            compressed: parts.compressed,
            path: parts.path.clone(),
            authority: parts.authority.take(),
            peer: parts.peer.clone(),
            extensions: std::mem::take(&mut parts.extensions),
            phase: parts.phase.clone(),
            end: parts.end.clone(),
        }
    }
}

impl fmt::Debug for ServerCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCall")
            .field("path", &self.parts.path)
            .finish_non_exhaustive()
    }
}

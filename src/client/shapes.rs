//! The four kinds of call.
//!
//! All of them begin in the same way: what the channel knows is added to what the request says, a
//! stream is opened, Request-Headers leave. A call of one message is all there at the start; one that
//! streams has two halves, which are given out before the server has said anything: a server may well
//! wait for the first message before it answers.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Channel;
use super::call::Call;
use super::intercept::{ask, call_start};
use super::outbound::Outbound;
use super::outgoing::Outgoing;
use super::two_halves::{ResponseHalf, SharedCall};
use crate::call::message::encode_message;
use crate::call::{Deadline, Inbound, Request, Response, Wishes};
use crate::wire::{AcceptEncoding, ContentType, Encoding, MethodPath, RequestHeaders, Status};

impl Channel {
    /// Makes a call of one message that is answered by one.
    ///
    /// # Errors
    ///
    /// The status with which the call ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping it cancels the call.
    pub async fn unary<Q, P>(
        &self,
        path: MethodPath,
        request: impl Into<Request<Q>>,
    ) -> Result<Response<P>, Status>
    where
        Q: prost::Message,
        P: prost::Message + Default,
    {
        let (message, wishes) = request.into().split();
        let plan = self.plan(path, wishes);
        let body = plan.encode(&message);
        drop(message);
        let (call, limit) = plan.begin(Some(body)).await?;
        Inbound::of_response(call, limit).single().await
    }

    /// Makes a call of one message that is answered by a stream of them. Returns when the request is on
    /// its way.
    ///
    /// # Errors
    ///
    /// The status with which the call ended before.
    ///
    /// # Cancel safety
    ///
    /// Dropping it cancels the call.
    pub async fn server_streaming<Q, P>(
        &self,
        path: MethodPath,
        request: impl Into<Request<Q>>,
    ) -> Result<Inbound<P>, Status>
    where
        Q: prost::Message,
        P: prost::Message + Default,
    {
        let (message, wishes) = request.into().split();
        let plan = self.plan(path, wishes);
        let body = plan.encode(&message);
        drop(message);
        let (mut call, limit) = plan.begin(Some(body)).await?;
        poll_fn(|cx| call.poll_open(cx)).await?;
        Ok(Inbound::of_response(call, limit))
    }

    /// Makes a call of a stream of messages that is answered by one: see
    /// [`Inbound::single`]. Returns when Request-Headers are on their way.
    ///
    /// # Errors
    ///
    /// The status with which the call ended before.
    ///
    /// # Cancel safety
    ///
    /// Dropping it cancels the call.
    pub async fn client_streaming<Q, P>(
        &self,
        path: MethodPath,
        request: impl Into<Request<()>>,
    ) -> Result<(Outbound<Q>, Inbound<P>), Status>
    where
        Q: prost::Message,
        P: prost::Message + Default,
    {
        self.bidi(path, request).await
    }

    /// Makes a call of two streams of messages. Returns when Request-Headers are on their way: the
    /// server may wait for the first message before it answers, or speak first.
    ///
    /// # Errors
    ///
    /// The status with which the call ended before.
    ///
    /// # Cancel safety
    ///
    /// Dropping it cancels the call.
    pub async fn bidi<Q, P>(
        &self,
        path: MethodPath,
        request: impl Into<Request<()>>,
    ) -> Result<(Outbound<Q>, Inbound<P>), Status>
    where
        Q: prost::Message,
        P: prost::Message + Default,
    {
        let ((), wishes) = request.into().split();
        let plan = self.plan(path, wishes);
        let (encoding, send_limit) = (plan.encoding, plan.max_request_bytes);
        let (mut call, limit) = plan.begin(None).await?;
        poll_fn(|cx| call.poll_open(cx)).await?;
        let call = SharedCall::new(call);
        let response = Box::new(ResponseHalf::new(Arc::clone(&call)));
        Ok((
            Outbound::new(call, encoding, send_limit),
            Inbound::of_response(response, limit),
        ))
    }

    /// What the channel adds to what a request says.
    fn plan(&self, path: MethodPath, wishes: Wishes) -> Plan {
        let config = &self.shared.config;
        let policies = self.shared.policies();
        let method = policies
            .as_ref()
            .and_then(|policies| policies.config.method(&path));
        let limit =
            |own: usize, theirs: Option<usize>| theirs.map_or(own, |theirs| theirs.min(own));
        let timeout = method.and_then(|method| method.timeout);
        let deadline = [wishes.deadline, timeout.map(Deadline::after)];
        Plan {
            encoding: wishes.encoding.unwrap_or(config.encoding),
            deadline: deadline.into_iter().flatten().min(),
            wait_for_ready: wishes
                .wait_for_ready
                .or_else(|| method.and_then(|method| method.wait_for_ready))
                .unwrap_or(config.wait_for_ready),
            max_request_bytes: limit(
                config.max_send_message,
                method.and_then(|method| method.max_request_bytes),
            ),
            max_response_bytes: limit(
                config.max_recv_message,
                method.and_then(|method| method.max_response_bytes),
            ),
            policies,
            channel: self.clone(),
            path,
            wishes,
        }
    }
}

/// A call about to be made.
struct Plan {
    channel: Channel,
    path: MethodPath,
    wishes: Wishes,
    encoding: Encoding,
    deadline: Option<Deadline>,
    wait_for_ready: bool,
    max_request_bytes: usize,
    max_response_bytes: usize,
    policies: Option<Arc<super::policies::Policies>>,
}

impl Plan {
    fn encode<Q: prost::Message>(&self, message: &Q) -> Result<Bytes, Status> {
        let mut bytes = BytesMut::new();
        encode_message(message, self.encoding, self.max_request_bytes, &mut bytes)
            .inspect_err(|error| self.channel.shared.counters.count_sent(error))
            .map_err(|error| Status::from(error).unprocessed())?;
        Ok(bytes.freeze())
    }

    /// Asks the interceptors, and makes the first attempt. Yields the call, and how many bytes its
    /// messages may have.
    async fn begin(
        self,
        request: Option<Result<Bytes, Status>>,
    ) -> Result<(Box<Call>, usize), Status> {
        let interceptors = self.channel.interceptors;
        let shared = self.channel.shared;
        let headers = RequestHeaders {
            path: self.path,
            authority: Some(shared.line.authority.clone()),
            https: shared.line.https,
            timeout: None,
            encoding: self.encoding,
            accept_encoding: AcceptEncoding::SUPPORTED,
            content_type: ContentType::Grpc,
            metadata: self.wishes.metadata,
            extensions: self.wishes.extensions,
        };
        let mut outgoing = Outgoing {
            channel: shared,
            headers,
            deadline: self.deadline,
            wait_for_ready: self.wait_for_ready,
            policies: self.policies,
            max_response_bytes: self.max_response_bytes,
        };
        let mut parent = self.wishes.parent;
        let request = request.transpose();
        let mut interception = interceptors.begin(|| call_start(&mut outgoing));
        if let Some(interception) = &mut interception {
            let refused = request.as_ref().err();
            Box::pin(ask(interception, &mut outgoing, &mut parent, refused)).await?;
        }
        let call = Call::begin(Arc::new(outgoing), parent, request?, interception);
        Ok((call, self.max_response_bytes))
    }
}

//! The suite's service: it answers as a request asks, and tells what it has seen of it.

use std::time::Duration;

use barewire::{Deadline, Inbound, Replies, Request, Response, Status};
use prost_types::Any;
use tokio::time::sleep;

use crate::conformance::conformance_payload::RequestInfo;
use crate::conformance::unary_response_definition::Response as Answer;
use crate::conformance::{
    BidiStreamRequest, BidiStreamResponse, ClientStreamRequest, ClientStreamResponse,
    ConformancePayload, ConformanceService, Error, ServerStreamRequest, ServerStreamResponse,
    StreamResponseDefinition, UnaryRequest, UnaryResponse, UnaryResponseDefinition,
};
use crate::convert::{to_any, to_headers, to_metadata, to_status};

/// The service. It keeps nothing between calls.
pub(crate) struct Conformance;

impl ConformanceService for Conformance {
    async fn unary(
        &self,
        request: Request<UnaryRequest>,
    ) -> Result<Response<UnaryResponse>, Status> {
        let seen = vec![to_any("UnaryRequest", &request.message)];
        let info = request_info(&request, seen);
        let definition = request.message.response_definition;
        let wrap = |payload| UnaryResponse {
            payload: Some(payload),
        };
        answer(definition.unwrap_or_default(), info, wrap).await
    }

    async fn client_stream(
        &self,
        mut requests: Request<Inbound<ClientStreamRequest>>,
    ) -> Result<Response<ClientStreamResponse>, Status> {
        let mut seen = Vec::new();
        let mut definition = None;
        while let Some(message) = requests.next().await? {
            let first = seen.is_empty();
            seen.push(to_any("ClientStreamRequest", &message));
            if first {
                definition = message.response_definition;
            }
        }
        let info = request_info(&requests, seen);
        let wrap = |payload| ClientStreamResponse {
            payload: Some(payload),
        };
        answer(definition.unwrap_or_default(), info, wrap).await
    }

    async fn server_stream(
        &self,
        request: Request<ServerStreamRequest>,
        replies: Replies<ServerStreamResponse>,
    ) -> Result<(), Status> {
        let seen = vec![to_any("ServerStreamRequest", &request.message)];
        let info = request_info(&request, seen);
        let definition = request.message.response_definition.unwrap_or_default();
        let wrap = |payload| ServerStreamResponse {
            payload: Some(payload),
        };
        let mut answers = Answers::begin(definition, replies, wrap).await?;
        answers.rest(info).await
    }

    async fn bidi_stream(
        &self,
        mut requests: Request<Inbound<BidiStreamRequest>>,
        replies: Replies<BidiStreamResponse>,
    ) -> Result<(), Status> {
        let mut info = request_info(&requests, Vec::new());
        let Some(first) = requests.next().await? else {
            return Ok(());
        };
        let full_duplex = first.full_duplex;
        info.requests.push(to_any("BidiStreamRequest", &first));
        let wrap = |payload| BidiStreamResponse {
            payload: Some(payload),
        };
        let definition = first.response_definition.unwrap_or_default();
        let mut answers = Answers::begin(definition, replies, wrap).await?;
        loop {
            // By turns, for as long as there are answers.
            if full_duplex && !answers.next(&mut info).await? {
                break;
            }
            let Some(message) = requests.next().await? else {
                break;
            };
            info.requests.push(to_any("BidiStreamRequest", &message));
        }
        answers.rest(info).await
    }
}

/// What is seen of a request.
fn request_info<T>(request: &Request<T>, seen: Vec<Any>) -> RequestInfo {
    let millis = |deadline: Deadline| i64::try_from(deadline.remaining().as_millis()).ok();
    RequestInfo {
        request_headers: to_headers(&request.metadata),
        timeout_ms: request.deadline.and_then(millis),
        requests: seen,
    }
}

/// The answer of one message that is asked for.
async fn answer<M>(
    definition: UnaryResponseDefinition,
    info: RequestInfo,
    wrap: impl FnOnce(ConformancePayload) -> M,
) -> Result<Response<M>, Status> {
    wait(definition.response_delay_ms).await;
    let headers = to_metadata(&definition.response_headers)?;
    let trailers = to_metadata(&definition.response_trailers)?;
    let data = match definition.response {
        Some(Answer::ResponseData(data)) => data,
        None => Vec::new(),
        Some(Answer::Error(error)) => {
            // A handler that fails has one place for metadata, the status. The suite knows such ones,
            // and looks for the headers among the trailers too.
            let mut metadata = headers;
            metadata.extend(&trailers);
            return Err(failure(error, Some(info)).with_metadata(metadata));
        }
    };
    let payload = ConformancePayload {
        data,
        request_info: Some(info),
    };
    Ok(Response {
        metadata: headers,
        message: wrap(payload),
        trailers,
        encoding: None,
    })
}

/// The status to fail with. It tells what was seen, if no message has told it before.
fn failure(mut error: Error, info: Option<RequestInfo>) -> Status {
    let info = info.map(|info| to_any("ConformancePayload.RequestInfo", &info));
    error.details.extend(info);
    to_status(error)
}

/// The answers of a stream that are asked for.
struct Answers<M> {
    definition: StreamResponseDefinition,
    replies: Replies<M>,
    wrap: fn(ConformancePayload) -> M,
    /// How many were given.
    given: usize,
}

impl<M: prost::Message> Answers<M> {
    /// Sends Response-Headers at once: clients wait for them.
    async fn begin(
        definition: StreamResponseDefinition,
        mut replies: Replies<M>,
        wrap: fn(ConformancePayload) -> M,
    ) -> Result<Self, Status> {
        let headers = to_metadata(&definition.response_headers)?;
        replies.send_headers(headers).await?;
        Ok(Self {
            definition,
            replies,
            wrap,
            given: 0,
        })
    }

    /// Gives the next answer, with what was seen since the last one. Says whether there was one.
    async fn next(&mut self, info: &mut RequestInfo) -> Result<bool, Status> {
        let Some(data) = self.definition.response_data.get(self.given) else {
            return Ok(false);
        };
        wait(self.definition.response_delay_ms).await;
        let info = std::mem::take(info);
        let payload = ConformancePayload {
            data: data.clone(),
            request_info: (info != RequestInfo::default()).then_some(info),
        };
        self.replies.send((self.wrap)(payload)).await?;
        self.given += 1;
        Ok(true)
    }

    /// Gives the answers that are left, and ends the stream.
    async fn rest(&mut self, mut info: RequestInfo) -> Result<(), Status> {
        while self.next(&mut info).await? {}
        let trailers = to_metadata(&self.definition.response_trailers)?;
        let Some(error) = self.definition.error.take() else {
            self.replies.set_trailers(trailers);
            return Ok(());
        };
        let unseen = (self.given == 0).then_some(info);
        Err(failure(error, unseen).with_metadata(trailers))
    }
}

async fn wait(millis: u32) {
    sleep(Duration::from_millis(millis.into())).await;
}

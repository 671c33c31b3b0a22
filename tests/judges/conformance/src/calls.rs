//! One call, as a case asks for it: what to say and how fast, and when to give up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use barewire::{
    CallRecord, Channel, Inbound, Interceptor, MethodPath, Outbound, Request, Response, Status,
};
use prost::Message;
use tokio::time::{sleep, timeout};

use crate::client::CannotCall;
use crate::conformance::client_compat_request::cancel::CancelTiming;
use crate::conformance::{
    BidiStreamResponse, ClientCompatRequest, ClientResponseResult, ConformancePayload,
    ConformanceServiceClient, StreamType,
};
use crate::convert::{to_error, to_headers, to_metadata};

/// Makes the call that a case asks for, and tells what came of it.
pub(crate) async fn make_call(
    case: &ClientCompatRequest,
    channel: Channel,
) -> Result<ClientResponseResult, CannotCall> {
    let end = End::default();
    let channel = channel.intercept(end.clone());
    let client = ConformanceServiceClient::new(channel.clone());
    let mut call = Call::new(case);
    let request = request(case)?;
    let outcome = match case.stream_type() {
        StreamType::Unary if case.method() == "Unimplemented" => {
            // No server has it, so the service here does not name it. Its messages are empty.
            let path = "/connectrpc.conformance.v1.ConformanceService/Unimplemented";
            let answer = channel.unary::<(), ()>(MethodPath::from_static(path), request);
            call.hear_one(answer, |()| None).await
        }
        StreamType::Unary => {
            let message = only_message(case)?;
            let answer = client.unary(request.map(|()| message));
            call.hear_one(answer, |response| response.payload).await
        }
        StreamType::ServerStream => {
            let message = only_message(case)?;
            async {
                let inbound = client.server_stream(request.map(|()| message)).await?;
                call.hear_all(inbound, |response| response.payload).await
            }
            .await
        }
        StreamType::ClientStream => {
            let messages = messages(case)?;
            async {
                let (outbound, inbound) = client.client_stream(request).await?;
                call.say_all(outbound, messages).await;
                call.hear_one(inbound.single(), |response| response.payload)
                    .await
            }
            .await
        }
        StreamType::HalfDuplexBidiStream => {
            let messages = messages(case)?;
            async {
                let (outbound, inbound) = client.bidi_stream(request).await?;
                call.say_all(outbound, messages).await;
                call.hear_all(inbound, |response| response.payload).await
            }
            .await
        }
        StreamType::FullDuplexBidiStream => {
            let messages = messages(case)?;
            async {
                let (outbound, inbound) = client.bidi_stream(request).await?;
                let payload = |response: BidiStreamResponse| response.payload;
                call.by_turns(outbound, inbound, messages, payload).await
            }
            .await
        }
        StreamType::Unspecified => {
            return Err(CannotCall("the case names no kind of call".to_owned()));
        }
    };
    // A call is given up by dropping it, so that nobody is left who could be told how it ended. But
    // interceptors are.
    Ok(call.finish(outcome.and_then(|()| end.outcome())))
}

/// A call under way.
struct Call<'a> {
    case: &'a ClientCompatRequest,
    heard: ClientResponseResult,
}

impl<'a> Call<'a> {
    fn new(case: &'a ClientCompatRequest) -> Self {
        Self {
            case,
            heard: ClientResponseResult::default(),
        }
    }

    /// Sends the messages and ends the request. A server that takes no more says why in its response.
    async fn say_all<Q: Message>(&mut self, mut outbound: Outbound<Q>, messages: Vec<Q>) {
        self.heard.num_unsent_requests = count(&messages);
        for message in messages {
            if !self.say(&mut outbound, message).await {
                return;
            }
        }
        self.close(outbound);
    }

    /// Sends the messages, hears a response after each, and then ends the request and hears the rest.
    async fn by_turns<Q: Message, P: Message + Default>(
        &mut self,
        mut outbound: Outbound<Q>,
        mut inbound: Inbound<P>,
        messages: Vec<Q>,
        payload: fn(P) -> Option<ConformancePayload>,
    ) -> Result<(), Status> {
        self.heard.num_unsent_requests = count(&messages);
        for message in messages {
            if !self.say(&mut outbound, message).await {
                break;
            }
            if !self.hear_next(&mut inbound, payload).await? {
                return Ok(());
            }
        }
        self.close(outbound);
        self.hear_all(inbound, payload).await
    }

    /// Sends a message. Says whether the server took it.
    async fn say<Q: Message>(&mut self, outbound: &mut Outbound<Q>, message: Q) -> bool {
        sleep(millis(self.case.request_delay_ms)).await;
        let sent = outbound.send(message).await.is_ok();
        self.heard.num_unsent_requests -= i32::from(sent);
        sent
    }

    /// Ends the request, or gives the call up instead, which is to drop a request that has not ended.
    fn close<Q: Message>(&self, mut outbound: Outbound<Q>) {
        if self.cancel_timing() != Some(CancelTiming::BeforeCloseSend(())) {
            // If the call has failed already, its response says how.
            let _ = outbound.finish();
        }
    }

    /// Hears a response of one message.
    async fn hear_one<P>(
        &mut self,
        answer: impl Future<Output = Result<Response<P>, Status>>,
        payload: fn(P) -> Option<ConformancePayload>,
    ) -> Result<(), Status> {
        let patience = self.patience();
        let hearing = async {
            let response = answer
                .await
                .inspect_err(|status| self.heard.response_headers = to_headers(&status.headers))?;
            self.heard.response_headers = to_headers(&response.metadata);
            let payload = payload(response.message).unwrap_or_default();
            self.heard.payloads.push(payload);
            self.heard.response_trailers = to_headers(&response.trailers);
            Ok(())
        };
        within(patience, hearing).await
    }

    /// Hears the rest of a stream.
    async fn hear_all<P: Message + Default>(
        &mut self,
        mut inbound: Inbound<P>,
        payload: fn(P) -> Option<ConformancePayload>,
    ) -> Result<(), Status> {
        let patience = self.patience();
        let hearing = async move {
            while self.hear_next(&mut inbound, payload).await? {}
            Ok(())
        };
        within(patience, hearing).await
    }

    /// Hears one message of a stream. Says whether to go on.
    async fn hear_next<P: Message + Default>(
        &mut self,
        inbound: &mut Inbound<P>,
        payload: fn(P) -> Option<ConformancePayload>,
    ) -> Result<bool, Status> {
        self.heard.response_headers = to_headers(inbound.headers().await?);
        let Some(response) = inbound.next().await? else {
            let trailers = inbound.trailers().map(to_headers);
            self.heard.response_trailers = trailers.unwrap_or_default();
            return Ok(false);
        };
        let payload = payload(response).unwrap_or_default();
        self.heard.payloads.push(payload);
        Ok(!self.has_heard_enough())
    }

    fn has_heard_enough(&self) -> bool {
        let heard = u32::try_from(self.heard.payloads.len()).unwrap_or(u32::MAX);
        self.cancel_timing() == Some(CancelTiming::AfterNumResponses(heard))
    }

    /// How long to listen, once the request has ended.
    fn patience(&self) -> Option<Duration> {
        match self.cancel_timing()? {
            CancelTiming::AfterCloseSendMs(wait) => Some(millis(wait)),
            CancelTiming::BeforeCloseSend(()) | CancelTiming::AfterNumResponses(_) => None,
        }
    }

    fn cancel_timing(&self) -> Option<CancelTiming> {
        let cancel = self.case.cancel.as_ref()?;
        let at_once = CancelTiming::AfterCloseSendMs(0);
        Some(cancel.cancel_timing.unwrap_or(at_once))
    }

    fn finish(mut self, outcome: Result<(), Status>) -> ClientResponseResult {
        if let Err(status) = outcome {
            self.heard.response_trailers = to_headers(&status.metadata);
            self.heard.error = Some(to_error(&status));
        }
        self.heard
    }
}

/// How a call ended, as its interceptors are told.
#[derive(Clone, Default)]
struct End(Arc<Mutex<Option<Result<(), Status>>>>);

impl End {
    fn outcome(&self) -> Result<(), Status> {
        let outcome = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        outcome.unwrap_or_else(|| Err(Status::internal("nobody was told how the call ended")))
    }
}

impl Interceptor for End {
    fn after(&self, call: &CallRecord<'_>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(call.outcome.clone());
    }
}

fn request(case: &ClientCompatRequest) -> Result<Request<()>, Status> {
    let request = Request::new(()).with_metadata(to_metadata(&case.request_headers)?);
    Ok(match case.timeout_ms {
        Some(timeout) => request.with_timeout(millis(timeout)),
        None => request,
    })
}

fn only_message<Q: Message + Default>(case: &ClientCompatRequest) -> Result<Q, CannotCall> {
    let mut messages = messages(case)?;
    match (messages.pop(), messages.len()) {
        (Some(message), 0) => Ok(message),
        _ => Err(CannotCall("one message was expected".to_owned())),
    }
}

fn messages<Q: Message + Default>(case: &ClientCompatRequest) -> Result<Vec<Q>, CannotCall> {
    let messages = case.request_messages.iter();
    let decoded = messages.map(|message| Q::decode(message.value.as_slice()));
    decoded
        .collect::<Result<_, _>>()
        .map_err(|error| CannotCall(error.to_string()))
}

fn count<T>(messages: &[T]) -> i32 {
    i32::try_from(messages.len()).unwrap_or(i32::MAX)
}

/// Works for so long, if there is a limit, and then leaves off.
async fn within(
    limit: Option<Duration>,
    work: impl Future<Output = Result<(), Status>>,
) -> Result<(), Status> {
    match limit {
        Some(limit) => timeout(limit, work).await.unwrap_or(Ok(())),
        None => work.await,
    }
}

fn millis(count: u32) -> Duration {
    Duration::from_millis(count.into())
}

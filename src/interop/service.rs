//! `grpc.testing.TestService`: does what its requests ask for.
//!
//! It is written on [`Service`] itself instead of the trait that the generator prints, for two things
//! that the trait cannot say: `UnaryCall` sends Response-Headers before it is known how it ends, and
//! `UnimplementedCall` is not there at all.
//!
//! What is not done: nobody is told who they are (`fill_username`, `fill_oauth_scope`), since that
//! takes accounts of Google Cloud, nor how they came here (`fill_grpclb_route_type`).
//!
//! Spec: gRPC-Interop (Server).

use std::fmt;
use std::process;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::sleep;

use super::load::{Load, Turn, report_call};
use super::proto::testing::{
    BoolValue, EchoStatus, Empty, Payload, PayloadType, ResponseParameters, SimpleRequest,
    SimpleResponse, StreamingInputCallRequest, StreamingInputCallResponse,
    StreamingOutputCallRequest, StreamingOutputCallResponse,
};
use crate::{
    Code, Encoding, Inbound, Metadata, Peer, Replies, Request, Response, ServerCall, Service,
    Serving, Status,
};

/// A value of this key in a request comes back as initial metadata.
pub(super) const ECHO_INITIAL: &str = "x-grpc-test-echo-initial";
/// A value of this key in a request comes back as trailing metadata.
pub(super) const ECHO_TRAILING: &str = "x-grpc-test-echo-trailing-bin";

/// Serves `grpc.testing.TestService`.
pub(super) struct TestServer {
    id: String,
    load: Load,
}

impl TestServer {
    pub(super) fn new(load: Load) -> Self {
        let started = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanos = started.unwrap_or_default().as_nanos();
        Self {
            id: format!("barewire-{}-{nanos}", process::id()),
            load,
        }
    }
}

impl Service for TestServer {
    fn name(&self) -> &'static str {
        "grpc.testing.TestService"
    }

    fn file_descriptor_set(&self) -> &'static [u8] {
        include_bytes!(concat!(env!("OUT_DIR"), "/grpc.testing.descriptor_set.bin"))
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            match call.method() {
                "EmptyCall" => {
                    let _: Request<Empty> = call.request().await?;
                    call.reply(Response::new(Empty {})).await
                }
                "UnaryCall" => {
                    let request = call.request().await?;
                    unary_call(request, &self.id, call.replies()).await
                }
                "CacheableUnaryCall" => {
                    let _: Request<SimpleRequest> = call.request().await?;
                    call.reply(cacheable_unary_call()?).await
                }
                "StreamingOutputCall" => {
                    let request = call.request().await?;
                    streaming_output_call(request, call.replies()).await
                }
                "StreamingInputCall" => {
                    let response = streaming_input_call(call.requests()).await?;
                    call.reply(response).await
                }
                "FullDuplexCall" => {
                    let requests = call.requests();
                    full_duplex_call(requests, &self.load, call.replies()).await
                }
                "HalfDuplexCall" => {
                    let requests = call.requests();
                    half_duplex_call(requests, call.replies()).await
                }
                _ => Err(call.unknown_method()),
            }
        })
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

async fn unary_call(
    request: Request<SimpleRequest>,
    server_id: &str,
    replies: Replies<SimpleResponse>,
) -> Result<(), Status> {
    let mut echo = Echo::begin(&request.metadata, replies).await?;
    let compressed = request.came_compressed();
    let message = request.message;
    echo.check_status(message.response_status)?;
    check_compression(message.expect_compressed, compressed)?;
    if let Some(report) = message.orca_per_query_report {
        report_call(report, &mut echo.trailers)?;
    }
    let server_id = if message.fill_server_id {
        server_id
    } else {
        ""
    };
    let response = SimpleResponse {
        payload: Some(payload(message.response_type, message.response_size)?),
        server_id: server_id.to_owned(),
        ..SimpleResponse::default()
    };
    echo.send(response, message.response_compressed).await?;
    echo.finish()
}

fn cacheable_unary_call() -> Result<Response<SimpleResponse>, Status> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanos = now.unwrap_or_default().as_nanos().to_string();
    let mut response = Response::new(SimpleResponse {
        payload: Some(Payload {
            body: nanos.into_bytes(),
            ..Payload::default()
        }),
        ..SimpleResponse::default()
    });
    response
        .metadata
        .insert("cache-control", "max-age=60, public")?;
    Ok(response)
}

async fn streaming_output_call(
    request: Request<StreamingOutputCallRequest>,
    replies: Replies<StreamingOutputCallResponse>,
) -> Result<(), Status> {
    let peer = request.peer().cloned();
    let mut echo = Echo::begin(&request.metadata, replies).await?;
    let wanted = request.message;
    echo.check_status(wanted.response_status)?;
    for parameters in &wanted.response_parameters {
        echo.answer(wanted.response_type, parameters, peer.as_ref())
            .await?;
    }
    echo.finish()
}

async fn streaming_input_call(
    mut requests: Request<Inbound<StreamingInputCallRequest>>,
) -> Result<Response<StreamingInputCallResponse>, Status> {
    let mut sum = 0_i32;
    while let Some(message) = requests.next().await? {
        check_compression(
            message.expect_compressed,
            requests.message.came_compressed(),
        )?;
        let length = message.payload.unwrap_or_default().body.len();
        sum = i32::try_from(length)
            .ok()
            .and_then(|length| sum.checked_add(length))
            .ok_or_else(|| {
                Status::out_of_range("the payloads have more bytes than an int32 counts")
            })?;
    }
    Ok(StreamingInputCallResponse {
        aggregated_payload_size: sum,
    }
    .into())
}

async fn full_duplex_call(
    mut requests: Request<Inbound<StreamingOutputCallRequest>>,
    load: &Load,
    replies: Replies<StreamingOutputCallResponse>,
) -> Result<(), Status> {
    let peer = requests.peer().cloned();
    let mut echo = Echo::begin(&requests.metadata, replies).await?;
    // From the first report to the end of the call no other call may report: each client waits to
    // see its own.
    let mut turn: Option<Turn> = None;
    while let Some(wanted) = requests.next().await? {
        echo.check_status(wanted.response_status)?;
        if let Some(report) = wanted.orca_oob_report {
            let turn = match &mut turn {
                Some(turn) => turn,
                None => turn.insert(load.turn().await?),
            };
            turn.set(report);
        }
        for parameters in &wanted.response_parameters {
            echo.answer(wanted.response_type, parameters, peer.as_ref())
                .await?;
        }
    }
    echo.finish()
}

async fn half_duplex_call(
    mut requests: Request<Inbound<StreamingOutputCallRequest>>,
    replies: Replies<StreamingOutputCallResponse>,
) -> Result<(), Status> {
    let peer = requests.peer().cloned();
    let mut echo = Echo::begin(&requests.metadata, replies).await?;
    let mut answers: Vec<(i32, ResponseParameters)> = Vec::new();
    while let Some(wanted) = requests.next().await? {
        echo.check_status(wanted.response_status)?;
        let kind = wanted.response_type;
        answers.extend(
            wanted
                .response_parameters
                .into_iter()
                .map(|parameters| (kind, parameters)),
        );
        if answers.len() > MOST_KEPT {
            return Err(Status::resource_exhausted(format!(
                "more than {MOST_KEPT} messages were asked for before the first could be sent"
            )));
        }
    }
    for (kind, parameters) in &answers {
        echo.answer(*kind, parameters, peer.as_ref()).await?;
    }
    echo.finish()
}

/// A response, with the metadata of its request.
struct Echo<M> {
    replies: Replies<M>,
    /// Until Response-Headers leave.
    headers: Option<Metadata>,
    trailers: Metadata,
}

impl<M: prost::Message> Echo<M> {
    /// Sends Response-Headers if they say something, so that they are there however the call ends.
    async fn begin(request: &Metadata, replies: Replies<M>) -> Result<Self, Status> {
        let (mut headers, mut trailers) = (Metadata::new(), Metadata::new());
        for value in request.get_all(ECHO_INITIAL) {
            headers.append(ECHO_INITIAL, value)?;
        }
        for value in request.get_all_bin(ECHO_TRAILING) {
            trailers.append_bin(ECHO_TRAILING, &value)?;
        }
        let silent = headers.is_empty();
        let mut echo = Self {
            replies,
            headers: Some(headers),
            trailers,
        };
        if !silent {
            echo.send_headers().await?;
        }
        Ok(echo)
    }

    async fn send_headers(&mut self) -> Result<(), Status> {
        let Some(headers) = self.headers.take() else {
            return Ok(());
        };
        // The coding is named here or never, and which messages will be compressed is not known yet.
        self.replies.set_encoding(Encoding::Gzip)?;
        self.replies.send_headers(headers).await
    }

    async fn send(&mut self, message: M, compressed: Option<BoolValue>) -> Result<(), Status> {
        self.send_headers().await?;
        let encoding = match compressed {
            Some(BoolValue { value: true }) => Encoding::Gzip,
            Some(BoolValue { value: false }) | None => Encoding::Identity,
        };
        self.replies.set_encoding(encoding)?;
        self.replies.send(message).await
    }

    /// Fails if the client asks for that.
    fn check_status(&self, status: Option<EchoStatus>) -> Result<(), Status> {
        let Some(EchoStatus { code, message }) = status else {
            return Ok(());
        };
        if code == 0 {
            return Ok(());
        }
        // What is no code is UNKNOWN, as for a client that is sent one. gRPC-Codes.
        let code = u32::try_from(code).ok().and_then(Code::from_number);
        Err(Status::new(code.unwrap_or(Code::Unknown), message)
            .with_metadata(self.trailers.clone()))
    }

    fn finish(mut self) -> Result<(), Status> {
        self.replies.set_trailers(self.trailers);
        Ok(())
    }
}

impl Echo<StreamingOutputCallResponse> {
    /// Sends the message that the parameters ask for.
    async fn answer(
        &mut self,
        kind: i32,
        parameters: &ResponseParameters,
        peer: Option<&Peer>,
    ) -> Result<(), Status> {
        if let Ok(micros @ 1..) = u64::try_from(parameters.interval_us) {
            sleep(Duration::from_micros(micros)).await;
        }
        let wants_address = parameters
            .fill_peer_socket_address
            .is_some_and(|wants| wants.value);
        let address = peer.filter(|_| wants_address).map(ToString::to_string);
        let response = StreamingOutputCallResponse {
            payload: Some(payload(kind, parameters.size)?),
            peer_socket_address: address.unwrap_or_default(),
        };
        self.send(response, parameters.compressed).await
    }
}

fn check_compression(expected: Option<BoolValue>, came: bool) -> Result<(), Status> {
    match expected {
        Some(BoolValue { value }) if value != came => {
            let [expected, came] =
                [value, came].map(|yes| if yes { "compressed" } else { "plain" });
            Err(Status::invalid_argument(format!(
                "the message came {came}, and says that it should be {expected}"
            )))
        }
        Some(_) | None => Ok(()),
    }
}

/// A payload of so many zeros.
fn payload(kind: i32, size: i32) -> Result<Payload, Status> {
    if PayloadType::try_from(kind).is_err() {
        return Err(Status::invalid_argument(format!(
            "response_type {kind} is none: there is only COMPRESSABLE, {}",
            i32::from(PayloadType::Compressable)
        )));
    }
    let length = usize::try_from(size)
        .ok()
        .filter(|length| *length <= LONGEST_BODY);
    let length = length.ok_or_else(|| {
        Status::invalid_argument(format!("size {size} is not within 0 to {LONGEST_BODY}"))
    })?;
    Ok(Payload {
        r#type: kind,
        body: vec![0; length],
    })
}

/// Bytes of a payload that a client may ask for. Few clients take messages above 4 MiB.
const LONGEST_BODY: usize = 64 * 1024 * 1024;
/// Messages that a client of `HalfDuplexCall` may ask for.
const MOST_KEPT: usize = 100_000;

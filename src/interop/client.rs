//! Runs a case, and tells how it failed.

use std::fmt::{self, Debug, Display};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::proto::testing::{
    Payload, PayloadType, SimpleRequest, SimpleResponse, TestServiceClient,
};
use super::soak::SoakOptions;
use super::{cases, compression, http2, orca, soak};
use crate::{Channel, Code, Inbound, Metadata, Request, Status};

/// What runs the cases against a server.
#[derive(Clone)]
pub struct TestClient {
    /// Makes a channel to the server. Each case has one of its own; `channel_soak` has many.
    pub connect: Arc<dyn Fn() -> Result<Channel, Status> + Send + Sync>,
    /// What the server is called in reports.
    pub server: String,
    /// Metadata that goes with every call.
    pub metadata: Metadata,
    /// How the cases go that take long.
    pub soak: SoakOptions,
}

/// One of the cases.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name in the document.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// Which server it is for.
    pub group: CaseGroup,
    run: for<'a> fn(&'a Run) -> Running<'a>,
}

/// A case being run.
type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// Which server a case is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseGroup {
    /// One that does its best.
    Standard,
    /// One that does its best, with limits of its own on how long the case may take.
    Soak,
    /// One that misbehaves on HTTP/2 in just this way.
    Http2,
}

/// How a case failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What should have come.
    pub expected: String,
    /// What came instead.
    pub came: String,
}

impl TestClient {
    /// Runs a case.
    ///
    /// # Errors
    ///
    /// What was expected and what came instead.
    ///
    /// # Cancel safety
    ///
    /// Dropping it cancels its calls.
    pub async fn run(&self, case: &Case) -> Result<(), Failure> {
        let channel = succeeded("a channel", (self.connect)())?;
        let run = Run {
            client: self.clone(),
            service: TestServiceClient::new(channel.clone()),
            channel,
        };
        let outcome = (case.run)(&run);
        match case.group {
            CaseGroup::Soak => outcome.await,
            CaseGroup::Standard | CaseGroup::Http2 => {
                let limited = tokio::time::timeout(CASE_TIMEOUT, outcome).await;
                limited.unwrap_or_else(|_| {
                    Err(Failure::new(
                        format!("an end within {CASE_TIMEOUT:?}"),
                        "none",
                    ))
                })
            }
        }
    }
}

impl Debug for TestClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Case {
    /// The case of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|case| case.name == name)
    }

    /// All cases, in the order of the document.
    #[rustfmt::skip]
    pub const ALL: &'static [Self] = &[
        Self { name: "empty_unary",                 group: CaseGroup::Standard, about: "a message of no bytes each way",                            run: |run| Box::pin(cases::empty_unary(run)) },
        Self { name: "large_unary",                 group: CaseGroup::Standard, about: "large messages, which need flow control",                   run: |run| Box::pin(cases::large_unary(run)) },
        Self { name: "client_compressed_unary",     group: CaseGroup::Standard, about: "a request that is compressed, and one that is not",         run: |run| Box::pin(compression::client_compressed_unary(run)) },
        Self { name: "server_compressed_unary",     group: CaseGroup::Standard, about: "a response that is compressed, and one that is not",        run: |run| Box::pin(compression::server_compressed_unary(run)) },
        Self { name: "client_streaming",            group: CaseGroup::Standard, about: "a stream in",                                               run: |run| Box::pin(cases::client_streaming(run)) },
        Self { name: "client_compressed_streaming", group: CaseGroup::Standard, about: "a stream in, of which one message is compressed",           run: |run| Box::pin(compression::client_compressed_streaming(run)) },
        Self { name: "server_streaming",            group: CaseGroup::Standard, about: "a stream out",                                              run: |run| Box::pin(cases::server_streaming(run)) },
        Self { name: "server_compressed_streaming", group: CaseGroup::Standard, about: "a stream out, of which one message is compressed",          run: |run| Box::pin(compression::server_compressed_streaming(run)) },
        Self { name: "ping_pong",                   group: CaseGroup::Standard, about: "streams both ways, by turns",                               run: |run| Box::pin(cases::ping_pong(run)) },
        Self { name: "empty_stream",                group: CaseGroup::Standard, about: "streams both ways without a message",                       run: |run| Box::pin(cases::empty_stream(run)) },
        Self { name: "custom_metadata",             group: CaseGroup::Standard, about: "metadata, and back as headers and trailers",                run: |run| Box::pin(cases::custom_metadata(run)) },
        Self { name: "status_code_and_message",     group: CaseGroup::Standard, about: "a status that is not OK",                                   run: |run| Box::pin(cases::status_code_and_message(run)) },
        Self { name: "special_status_message",      group: CaseGroup::Standard, about: "a status whose text is no ASCII",                           run: |run| Box::pin(cases::special_status_message(run)) },
        Self { name: "unimplemented_method",        group: CaseGroup::Standard, about: "a method that the service does not have",                   run: |run| Box::pin(cases::unimplemented_method(run)) },
        Self { name: "unimplemented_service",       group: CaseGroup::Standard, about: "a service that the server does not have",                   run: |run| Box::pin(cases::unimplemented_service(run)) },
        Self { name: "cancel_after_begin",          group: CaseGroup::Standard, about: "a call that is cancelled before its first message",         run: |run| Box::pin(cases::cancel_after_begin(run)) },
        Self { name: "cancel_after_first_response", group: CaseGroup::Standard, about: "a call that is cancelled after the first answer",           run: |run| Box::pin(cases::cancel_after_first_response(run)) },
        Self { name: "timeout_on_sleeping_server",  group: CaseGroup::Standard, about: "a deadline that passes",                                    run: |run| Box::pin(cases::timeout_on_sleeping_server(run)) },
        Self { name: "pick_first_unary",            group: CaseGroup::Standard, about: "many calls that all go to one of several servers",          run: |run| Box::pin(cases::pick_first_unary(run)) },
        Self { name: "orca_per_rpc",                group: CaseGroup::Standard, about: "the load of a call, in its trailers",                       run: |run| Box::pin(orca::orca_per_rpc(run)) },
        Self { name: "orca_oob",                    group: CaseGroup::Standard, about: "the load of the server, in a stream beside the calls",      run: |run| Box::pin(orca::orca_oob(run)) },
        Self { name: "rpc_soak",                    group: CaseGroup::Soak,     about: "large calls on one channel, for long",                      run: |run| Box::pin(soak::rpc_soak(run)) },
        Self { name: "channel_soak",                group: CaseGroup::Soak,     about: "large calls, each on a new channel, for long",              run: |run| Box::pin(soak::channel_soak(run)) },
        Self { name: "goaway",                      group: CaseGroup::Http2,    about: "GOAWAY between two calls",                                  run: |run| Box::pin(http2::goaway(run)) },
        Self { name: "rst_after_header",            group: CaseGroup::Http2,    about: "RST_STREAM after Response-Headers",                         run: |run| Box::pin(http2::rst_after_header(run)) },
        Self { name: "rst_during_data",             group: CaseGroup::Http2,    about: "RST_STREAM within a message",                               run: |run| Box::pin(http2::rst_during_data(run)) },
        Self { name: "rst_after_data",              group: CaseGroup::Http2,    about: "RST_STREAM after a message, in place of trailers",          run: |run| Box::pin(http2::rst_after_data(run)) },
        Self { name: "ping",                        group: CaseGroup::Http2,    about: "PINGs between all frames",                                  run: |run| Box::pin(http2::ping(run)) },
        Self { name: "max_streams",                 group: CaseGroup::Http2,    about: "a server that allows one stream at a time",                 run: |run| Box::pin(http2::max_streams(run)) },
        Self { name: "data_frame_padding",          group: CaseGroup::Http2,    about: "DATA frames with much padding",                             run: |run| Box::pin(http2::data_frame_padding(run)) },
        Self { name: "no_df_padding_sanity_test",   group: CaseGroup::Http2,    about: "the same frames without padding",                           run: |run| Box::pin(http2::data_frame_padding(run)) },
    ];
}

impl Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Case").field(&self.name).finish()
    }
}

impl Failure {
    pub(super) fn new(expected: impl Into<String>, came: impl Into<String>) -> Self {
        Self {
            expected: expected.into(),
            came: came.into(),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}; came {}", self.expected, self.came)
    }
}

impl std::error::Error for Failure {}

/// What a case works with.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) client: TestClient,
    pub(super) channel: Channel,
    pub(super) service: TestServiceClient,
}

impl Run {
    /// A request with the metadata that every call has.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        Request::new(message).with_metadata(self.client.metadata.clone())
    }

    /// `large_unary`, which many cases are made of.
    pub(super) async fn large_call(&self) -> Result<(), Failure> {
        let response = self.service.unary_call(self.request(large_request())).await;
        is_large(&succeeded("UnaryCall", response)?.message)
    }
}

/// The request of `large_unary`.
pub(super) fn large_request() -> SimpleRequest {
    SimpleRequest {
        response_size: LARGE_RESPONSE_SIZE,
        payload: Some(zeros(LARGE_REQUEST_BYTES)),
        ..SimpleRequest::default()
    }
}

/// A payload of so many zeros.
pub(super) fn zeros(length: usize) -> Payload {
    Payload {
        r#type: PayloadType::Compressable.into(),
        body: vec![0; length],
    }
}

/// What came of something that must succeed.
pub(super) fn succeeded<T>(what: &str, outcome: Result<T, Status>) -> Result<T, Failure> {
    outcome.map_err(|status| Failure::new(format!("{what} to end with OK"), status.to_string()))
}

/// What came of something that must fail in this way.
pub(super) fn failed<T>(
    what: &str,
    code: Code,
    outcome: Result<T, Status>,
) -> Result<Status, Failure> {
    let expected = || format!("{what} to end with {code}");
    match outcome {
        Err(status) if status.code == code => Ok(status),
        Err(status) => Err(Failure::new(expected(), status.to_string())),
        Ok(_) => Err(Failure::new(expected(), "OK")),
    }
}

/// Compares what came.
pub(super) fn equal<T: PartialEq + Debug>(what: &str, expected: T, came: T) -> Result<(), Failure> {
    if came == expected {
        return Ok(());
    }
    Err(Failure::new(
        format!("{what} {expected:?}"),
        format!("{came:?}"),
    ))
}

/// What came of sending a part of a request. A server that takes no more has said why in its response.
pub(super) async fn sent<M: prost::Message + Default>(
    outcome: Result<(), Status>,
    inbound: &mut Inbound<M>,
) -> Result<(), Failure> {
    let Err(status) = outcome else {
        return Ok(());
    };
    let why = match inbound.next().await {
        Ok(_) => status,
        Err(why) => why,
    };
    succeeded("the request", Err(why))
}

/// The next message of a stream that has one more.
pub(super) async fn next<M: prost::Message + Default>(
    inbound: &mut Inbound<M>,
) -> Result<M, Failure> {
    let next = succeeded("the stream", inbound.next().await)?;
    next.ok_or_else(|| Failure::new("one more message", "the end of the stream, with OK"))
}

/// The end of a stream, which must be a good one.
pub(super) async fn ends<M: prost::Message + Default>(
    inbound: &mut Inbound<M>,
) -> Result<(), Failure> {
    match succeeded("the stream", inbound.next().await)? {
        None => Ok(()),
        Some(message) => Err(Failure::new(
            "the end of the stream, with OK",
            format!("one more message, of {} bytes", message.encoded_len()),
        )),
    }
}

/// Checks the response of `large_unary`.
pub(super) fn is_large(response: &SimpleResponse) -> Result<(), Failure> {
    is_zeros(response.payload.as_ref(), LARGE_RESPONSE_SIZE)
}

/// Checks a payload.
pub(super) fn is_zeros(payload: Option<&Payload>, size: i32) -> Result<(), Failure> {
    let Some(Payload { r#type, body }) = payload else {
        return Err(Failure::new(format!("a payload of {size} bytes"), "none"));
    };
    equal(
        "a payload of type",
        i32::from(PayloadType::Compressable),
        *r#type,
    )?;
    equal(
        "a payload of bytes",
        usize::try_from(size).ok(),
        Some(body.len()),
    )?;
    let other = body.iter().position(|byte| *byte != 0);
    equal("a payload of zeros, with another byte at", None, other)
}

/// Bytes of payload in the request of `large_unary`.
const LARGE_REQUEST_BYTES: usize = 271_828;
/// Bytes of payload in its response.
pub(super) const LARGE_RESPONSE_SIZE: i32 = 314_159;
/// How long a case may take. grpc-go's own script allows 20 s.
const CASE_TIMEOUT: Duration = Duration::from_secs(30);

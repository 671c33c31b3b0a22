//! The standard cases, one function each, named as in the document.
//!
//! Spec: gRPC-Interop (Client).

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::timeout;

use super::client::{
    Failure, LARGE_RESPONSE_SIZE, Run, ends, equal, failed, is_large, is_zeros, large_request,
    next, sent, succeeded, zeros,
};
use super::proto::testing::{
    EchoStatus, Empty, ResponseParameters, SimpleRequest, StreamingInputCallRequest,
    StreamingOutputCallRequest, UnimplementedServiceClient,
};
use super::service::{ECHO_INITIAL, ECHO_TRAILING};
use crate::{Code, Metadata, Request};

pub(super) async fn empty_unary(run: &Run) -> Result<(), Failure> {
    let response = run.service.empty_call(run.request(Empty {})).await;
    succeeded("EmptyCall", response).map(drop)
}

pub(super) async fn large_unary(run: &Run) -> Result<(), Failure> {
    run.large_call().await
}

pub(super) async fn client_streaming(run: &Run) -> Result<(), Failure> {
    let call = run.service.streaming_input_call(run.request(())).await;
    let (mut outbound, mut inbound) = succeeded("StreamingInputCall", call)?;
    for length in REQUEST_BYTES {
        let message = StreamingInputCallRequest {
            payload: Some(zeros(length)),
            ..StreamingInputCallRequest::default()
        };
        sent(outbound.send(message).await, &mut inbound).await?;
    }
    sent(outbound.finish(), &mut inbound).await?;
    let response = succeeded("StreamingInputCall", inbound.single().await)?;
    let sum = response.message.aggregated_payload_size;
    equal("aggregated_payload_size", 74_922, sum)
}

pub(super) async fn server_streaming(run: &Run) -> Result<(), Failure> {
    let message = StreamingOutputCallRequest {
        response_parameters: RESPONSE_SIZES.map(response_of).to_vec(),
        ..StreamingOutputCallRequest::default()
    };
    let call = run
        .service
        .streaming_output_call(run.request(message))
        .await;
    let mut inbound = succeeded("StreamingOutputCall", call)?;
    for size in RESPONSE_SIZES {
        is_zeros(next(&mut inbound).await?.payload.as_ref(), size)?;
    }
    ends(&mut inbound).await
}

pub(super) async fn ping_pong(run: &Run) -> Result<(), Failure> {
    let call = run.service.full_duplex_call(run.request(())).await;
    let (mut outbound, mut inbound) = succeeded("FullDuplexCall", call)?;
    for (length, size) in REQUEST_BYTES.into_iter().zip(RESPONSE_SIZES) {
        sent(outbound.send(ping(length, size)).await, &mut inbound).await?;
        is_zeros(next(&mut inbound).await?.payload.as_ref(), size)?;
    }
    sent(outbound.finish(), &mut inbound).await?;
    ends(&mut inbound).await
}

pub(super) async fn empty_stream(run: &Run) -> Result<(), Failure> {
    let call = run.service.full_duplex_call(run.request(())).await;
    let (mut outbound, mut inbound) = succeeded("FullDuplexCall", call)?;
    sent(outbound.finish(), &mut inbound).await?;
    ends(&mut inbound).await
}

pub(super) async fn custom_metadata(run: &Run) -> Result<(), Failure> {
    let request = with_echoes(run.request(large_request()))?;
    let response = succeeded("UnaryCall", run.service.unary_call(request).await)?;
    is_large(&response.message)?;
    echoes_are_back(&response.metadata, Some(&response.trailers))?;

    let call = run
        .service
        .full_duplex_call(with_echoes(run.request(()))?)
        .await;
    let (mut outbound, mut inbound) = succeeded("FullDuplexCall", call)?;
    let message = StreamingOutputCallRequest {
        payload: large_request().payload,
        ..ping(0, LARGE_RESPONSE_SIZE)
    };
    sent(outbound.send(message).await, &mut inbound).await?;
    // Initial metadata is there before the first message is read.
    let headers = succeeded("FullDuplexCall", inbound.headers().await)?.clone();
    is_zeros(
        next(&mut inbound).await?.payload.as_ref(),
        LARGE_RESPONSE_SIZE,
    )?;
    sent(outbound.finish(), &mut inbound).await?;
    ends(&mut inbound).await?;
    echoes_are_back(&headers, inbound.trailers())
}

pub(super) async fn status_code_and_message(run: &Run) -> Result<(), Failure> {
    const TEXT: &str = "test status message";
    let message = SimpleRequest {
        response_status: Some(unknown(TEXT)),
        ..SimpleRequest::default()
    };
    let response = run.service.unary_call(run.request(message)).await;
    equal(
        "the text",
        TEXT,
        &failed("UnaryCall", Code::Unknown, response)?.message,
    )?;

    let call = run.service.full_duplex_call(run.request(())).await;
    let (mut outbound, mut inbound) = succeeded("FullDuplexCall", call)?;
    let message = StreamingOutputCallRequest {
        response_status: Some(unknown(TEXT)),
        ..StreamingOutputCallRequest::default()
    };
    sent(outbound.send(message).await, &mut inbound).await?;
    // The server may have answered already, with what is looked at below.
    let _ = outbound.finish();
    let status = failed("FullDuplexCall", Code::Unknown, inbound.next().await)?;
    equal("the text", TEXT, &status.message)
}

pub(super) async fn special_status_message(run: &Run) -> Result<(), Failure> {
    const TEXT: &str =
        "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";
    let message = SimpleRequest {
        response_status: Some(unknown(TEXT)),
        ..SimpleRequest::default()
    };
    let response = run.service.unary_call(run.request(message)).await;
    equal(
        "the text",
        TEXT,
        &failed("UnaryCall", Code::Unknown, response)?.message,
    )
}

pub(super) async fn unimplemented_method(run: &Run) -> Result<(), Failure> {
    let response = run.service.unimplemented_call(run.request(Empty {})).await;
    failed("UnimplementedCall", Code::Unimplemented, response).map(drop)
}

pub(super) async fn unimplemented_service(run: &Run) -> Result<(), Failure> {
    let service = UnimplementedServiceClient::new(run.channel.clone());
    let response = service.unimplemented_call(run.request(Empty {})).await;
    failed("UnimplementedCall", Code::Unimplemented, response).map(drop)
}

pub(super) async fn cancel_after_begin(run: &Run) -> Result<(), Failure> {
    let call = run.service.streaming_input_call(run.request(())).await;
    let (outbound, inbound) = succeeded("StreamingInputCall", call)?;
    drop(outbound);
    failed(
        "StreamingInputCall",
        Code::Cancelled,
        inbound.single().await,
    )
    .map(drop)
}

pub(super) async fn cancel_after_first_response(run: &Run) -> Result<(), Failure> {
    let call = run.service.full_duplex_call(run.request(())).await;
    let (mut outbound, mut inbound) = succeeded("FullDuplexCall", call)?;
    let [length, ..] = REQUEST_BYTES;
    let [size, ..] = RESPONSE_SIZES;
    sent(outbound.send(ping(length, size)).await, &mut inbound).await?;
    is_zeros(next(&mut inbound).await?.payload.as_ref(), size)?;
    drop(outbound);
    failed("FullDuplexCall", Code::Cancelled, inbound.next().await).map(drop)
}

pub(super) async fn timeout_on_sleeping_server(run: &Run) -> Result<(), Failure> {
    let request = run.request(()).with_timeout(Duration::from_millis(1));
    let outcome = async {
        let (mut outbound, mut inbound) = run.service.full_duplex_call(request).await?;
        let message = StreamingOutputCallRequest {
            payload: Some(zeros(27_182)),
            ..StreamingOutputCallRequest::default()
        };
        outbound.send(message).await?;
        inbound.next().await
    };
    // The millisecond may be over at any of the three.
    failed("FullDuplexCall", Code::DeadlineExceeded, outcome.await).map(drop)
}

pub(super) async fn pick_first_unary(run: &Run) -> Result<(), Failure> {
    const CALLS: usize = 100;
    const TIMEOUT: Duration = Duration::from_secs(30);
    let calls = async {
        let mut ids = BTreeSet::new();
        for _ in 0..CALLS {
            let message = SimpleRequest {
                response_size: 1,
                payload: Some(zeros(1)),
                fill_server_id: true,
                ..SimpleRequest::default()
            };
            let response = run.service.unary_call(run.request(message)).await;
            ids.insert(succeeded("UnaryCall", response)?.message.server_id);
        }
        let one = ids.len() == 1 && !ids.contains("");
        let other = || Failure::new("always the same server_id", format!("{ids:?}"));
        one.then_some(()).ok_or_else(other)
    };
    timeout(TIMEOUT, calls).await.unwrap_or_else(|_| {
        Err(Failure::new(
            format!("{CALLS} calls within {TIMEOUT:?}"),
            "fewer",
        ))
    })
}

/// A message that asks for one of this size.
fn ping(length: usize, size: i32) -> StreamingOutputCallRequest {
    StreamingOutputCallRequest {
        response_parameters: vec![response_of(size)],
        payload: Some(zeros(length)),
        ..StreamingOutputCallRequest::default()
    }
}

fn response_of(size: i32) -> ResponseParameters {
    ResponseParameters {
        size,
        ..ResponseParameters::default()
    }
}

fn unknown(text: &str) -> EchoStatus {
    EchoStatus {
        code: i32::from(Code::Unknown.number()),
        message: text.to_owned(),
    }
}

fn with_echoes<T>(mut request: Request<T>) -> Result<Request<T>, Failure> {
    let inserted = request
        .metadata
        .insert(ECHO_INITIAL, ECHO_INITIAL_VALUE)
        .and_then(|()| {
            request
                .metadata
                .insert_bin(ECHO_TRAILING, ECHO_TRAILING_VALUE)
        });
    succeeded("to set metadata", inserted)?;
    Ok(request)
}

fn echoes_are_back(headers: &Metadata, trailers: Option<&Metadata>) -> Result<(), Failure> {
    let initial: Vec<&str> = headers.get_all(ECHO_INITIAL).collect();
    equal(
        "initial metadata of x-grpc-test-echo-initial",
        vec![ECHO_INITIAL_VALUE],
        initial,
    )?;
    let trailing: Vec<Vec<u8>> = trailers
        .into_iter()
        .flat_map(|trailers| trailers.get_all_bin(ECHO_TRAILING))
        .map(|value| value.to_vec())
        .collect();
    let expected = vec![ECHO_TRAILING_VALUE.to_vec()];
    equal(
        "trailing metadata of x-grpc-test-echo-trailing-bin",
        expected,
        trailing,
    )
}

/// Bytes of payload of the messages of a request.
const REQUEST_BYTES: [usize; 4] = [27_182, 8, 1_828, 45_904];
/// Bytes of payload of the messages of a response.
const RESPONSE_SIZES: [i32; 4] = [31_415, 9, 2_653, 58_979];
const ECHO_INITIAL_VALUE: &str = "test_initial_metadata_value";
const ECHO_TRAILING_VALUE: &[u8] = &[0xab, 0xab, 0xab];

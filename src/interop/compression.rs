//! The cases about compression, one function each, named as in the document.
//!
//! Those of the client begin with a message that says it is compressed and is not. A server that takes
//! it does not look, so that nothing could be learnt from what it says of the others.
//!
//! Spec: gRPC-Interop (client_compressed_unary and its like), gRPC-Compression.

use super::client::{
    Failure, Run, ends, equal, failed, is_large, is_zeros, large_request, next, sent, succeeded,
    zeros,
};
use super::proto::testing::{
    BoolValue, ResponseParameters, SimpleRequest, SimpleResponse, StreamingInputCallRequest,
    StreamingOutputCallRequest,
};
use crate::{Code, Encoding, MethodPath};

pub(super) async fn client_compressed_unary(run: &Run) -> Result<(), Failure> {
    let request = |expect, encoding| {
        let message = SimpleRequest {
            expect_compressed: Some(BoolValue { value: expect }),
            ..large_request()
        };
        run.request(message).with_encoding(encoding)
    };
    let probe = run.service.unary_call(request(true, Encoding::Identity));
    failed(PROBE, Code::InvalidArgument, probe.await)?;
    for (expect, encoding) in [(true, Encoding::Gzip), (false, Encoding::Identity)] {
        let response = run.service.unary_call(request(expect, encoding)).await;
        let what = format!("UnaryCall in {encoding}");
        is_large(&succeeded(&what, response)?.message)?;
    }
    Ok(())
}

pub(super) async fn server_compressed_unary(run: &Run) -> Result<(), Failure> {
    for compressed in [true, false] {
        let message = SimpleRequest {
            response_compressed: Some(BoolValue { value: compressed }),
            ..large_request()
        };
        // As a stream of one message, which tells of each message how it came.
        let path = MethodPath::from_static("/grpc.testing.TestService/UnaryCall");
        let call = run
            .channel
            .server_streaming::<SimpleRequest, SimpleResponse>(path, run.request(message));
        let mut inbound = succeeded("UnaryCall", call.await)?;
        let response = next(&mut inbound).await?;
        equal(
            "a response compressed:",
            compressed,
            inbound.came_compressed(),
        )?;
        is_large(&response)?;
        ends(&mut inbound).await?;
    }
    Ok(())
}

pub(super) async fn client_compressed_streaming(run: &Run) -> Result<(), Failure> {
    let message = |expect, length| StreamingInputCallRequest {
        expect_compressed: Some(BoolValue { value: expect }),
        payload: Some(zeros(length)),
    };
    let call = run.service.streaming_input_call(run.request(()));
    let (mut outbound, inbound) = succeeded("StreamingInputCall", call.await)?;
    // The server may answer before it has all, with what is looked at below.
    let _ = outbound.send(message(true, 27_182)).await;
    let _ = outbound.finish();
    failed(PROBE, Code::InvalidArgument, inbound.single().await)?;

    let request = run.request(()).with_encoding(Encoding::Gzip);
    let call = run.service.streaming_input_call(request);
    let (mut outbound, mut inbound) = succeeded("StreamingInputCall", call.await)?;
    sent(outbound.send(message(true, 27_182)).await, &mut inbound).await?;
    succeeded("the request", outbound.set_encoding(Encoding::Identity))?;
    sent(outbound.send(message(false, 45_904)).await, &mut inbound).await?;
    sent(outbound.finish(), &mut inbound).await?;
    let response = succeeded("StreamingInputCall", inbound.single().await)?;
    let sum = response.message.aggregated_payload_size;
    equal("aggregated_payload_size", 73_086, sum)
}

pub(super) async fn server_compressed_streaming(run: &Run) -> Result<(), Failure> {
    const WANTED: [(bool, i32); 2] = [(true, 31_415), (false, 92_653)];
    let parameters = WANTED.map(|(compressed, size)| ResponseParameters {
        size,
        compressed: Some(BoolValue { value: compressed }),
        ..ResponseParameters::default()
    });
    let message = StreamingOutputCallRequest {
        response_parameters: parameters.to_vec(),
        ..StreamingOutputCallRequest::default()
    };
    let call = run.service.streaming_output_call(run.request(message));
    let mut inbound = succeeded("StreamingOutputCall", call.await)?;
    for (compressed, size) in WANTED {
        let response = next(&mut inbound).await?;
        equal(
            "a message compressed:",
            compressed,
            inbound.came_compressed(),
        )?;
        is_zeros(response.payload.as_ref(), size)?;
    }
    ends(&mut inbound).await
}

const PROBE: &str = "a call that says it is compressed and is not";

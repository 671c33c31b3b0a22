//! The cases against a server that misbehaves on HTTP/2, one function each, named as in the document.
//! Every one makes the call of `large_unary`. What the server sees is for the server to judge.
//!
//! Spec: gRPC-Interop (negative HTTP/2), gRPC-HTTP2 §Errors.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::{Failure, Run, large_request};
use crate::Code;

/// The second call comes after GOAWAY, and on a new connection.
pub(super) async fn goaway(run: &Run) -> Result<(), Failure> {
    run.large_call().await?;
    // The server judges where the second call comes; it is to know of GOAWAY by then. The document
    // and grpc-go wait as long.
    sleep(Duration::from_secs(1)).await;
    run.large_call().await
}

pub(super) async fn rst_after_header(run: &Run) -> Result<(), Failure> {
    is_reset(run, &[Code::Internal]).await
}

/// The document leaves the code open, grpc-go has UNKNOWN.
pub(super) async fn rst_during_data(run: &Run) -> Result<(), Failure> {
    is_reset(run, &[Code::Internal, Code::Unknown]).await
}

/// The message is whole, and yet nobody has said OK.
pub(super) async fn rst_after_data(run: &Run) -> Result<(), Failure> {
    is_reset(run, &[Code::Internal]).await
}

/// The server counts the answers.
pub(super) async fn ping(run: &Run) -> Result<(), Failure> {
    run.large_call().await
}

/// The server counts the streams that are open at once.
pub(super) async fn max_streams(run: &Run) -> Result<(), Failure> {
    const CALLS: usize = 15; // as grpc-go; the document has 10
    // By the end of this call the server has said what it allows.
    run.large_call().await?;
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let run = run.clone();
        calls.spawn(async move { run.large_call().await });
    }
    calls.join_all().await.into_iter().collect()
}

/// Padding counts against the windows, and is to be given back with what it pads.
pub(super) async fn data_frame_padding(run: &Run) -> Result<(), Failure> {
    run.large_call().await
}

async fn is_reset(run: &Run, codes: &[Code]) -> Result<(), Failure> {
    let expected = || {
        let names: Vec<&str> = codes.iter().map(|code| code.name()).collect();
        format!("UnaryCall to end with {}", names.join(" or "))
    };
    match run.service.unary_call(run.request(large_request())).await {
        Err(status) if codes.contains(&status.code) => Ok(()),
        Err(status) => Err(Failure::new(expected(), status.to_string())),
        Ok(_) => Err(Failure::new(expected(), "OK")),
    }
}

//! CallSpans: a `tracing` span for each call, named as gRPC names them.
//!
//! ```text
//!   Sent{otel.name="Sent.helloworld.Greeter.SayHello" … peer=127.0.0.1:50051 code="OK" duration_ms=0.412}
//!   Recv{otel.name="Recv.helloworld.Greeter.SayHello" … peer=127.0.0.1:43210 code="OK" duration_ms=0.227}
//! ```
//!
//! In `tracing` a span's name is part of the program's text, so the method cannot stand in it. It stands
//! in the field `otel.name`, which those who send spans on to OpenTelemetry take for the name.
//!
//! What links the spans of two processes is neither written nor read here: that takes an interceptor
//! that knows the ids of whoever collects the spans.
//!
//! Spec: gRFC A72.

use tracing::field::{Empty, display};
use tracing::info_span;

use super::interceptor::{CallRecord, CallStart, Interceptor, Side};
use crate::wire::Status;

/// An [`Interceptor`] that has each call run in a span of its own, at level INFO.
///
/// The span tells the method and the peer, and at the end the code and the duration in milliseconds.
/// Of metadata it tells nothing. A call that never came to [`before`](Interceptor::before) has no span.
///
/// # Example
///
/// ```
/// # use barewire::{CallSpans, Server};
/// let server = Server::new().intercept(CallSpans);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct CallSpans;

impl Interceptor for CallSpans {
    async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
        let (service, method) = (call.path().service(), call.path().method());
        let span = match call.side() {
            Side::Client => info_span!(
                "Sent",
                otel.name = format!("Sent.{service}.{method}"),
                otel.kind = "client",
                rpc.service = service,
                rpc.method = method,
                peer = Empty,
                code = Empty,
                duration_ms = Empty,
            ),
            Side::Server => info_span!(
                "Recv",
                otel.name = format!("Recv.{service}.{method}"),
                otel.kind = "server",
                rpc.service = service,
                rpc.method = method,
                peer = call.peer().map(display),
                code = Empty,
                duration_ms = Empty,
            ),
        };
        call.span = span;
        Ok(())
    }

    fn after(&self, call: &CallRecord<'_>) {
        let code = match call.outcome {
            Ok(()) => "OK",
            Err(status) => status.code.name(),
        };
        call.span.record("code", code);
        let milliseconds = call.duration.as_secs_f64() * 1e3;
        call.span.record("duration_ms", milliseconds);
        if let (Side::Client, Some(peer)) = (call.side, call.peer) {
            call.span.record("peer", display(peer));
        }
    }
}

//! Layer 3: what both ends of a call share, and where messages get types.
//!
//! ```text
//!   below: Bytes                          here: M, a prost message
//!   RecvHalf ── RawMessage ──▶ message ──▶ Inbound<M>      what comes in
//!   ReplyQueue ◀── bytes ──── message ◀── Replies<M>       what a server sends out
//! ```
//!
//! A call begins with a [`Request`] and, on a single response, ends with a [`Response`]. How it
//! ended badly is a [`Status`](crate::Status). At both of its ends stand its [`Interceptor`]s.

mod call_spans;
mod deadline;
mod inbound;
#[cfg(feature = "server")]
mod inflight;
mod interception;
mod interceptor;
#[cfg_attr(
    not(feature = "server"),
    allow(dead_code, reason = "a client decodes each message where it stands")
)]
mod long_work;
pub(crate) mod message;
#[cfg(feature = "server")]
mod received;
mod request;
#[cfg(feature = "server")]
mod requests;
mod response;
mod unwinding;

pub use call_spans::CallSpans;
pub use deadline::Deadline;
pub(crate) use deadline::LazyTimer;
pub use inbound::Inbound;
#[cfg(feature = "client")]
pub(crate) use inbound::Responses;
#[cfg(feature = "server")]
pub(crate) use inflight::{Charge, InflightBytes};
pub(crate) use interception::{Interception, Interceptors, Traffic};
pub use interceptor::{CallRecord, CallStart, Interceptor, Side};
#[cfg(feature = "server")]
pub(crate) use received::{CallEnd, RequestParts};
pub use request::Request;
#[cfg(feature = "client")]
pub(crate) use request::{ParentOver, Wishes};
pub use response::Response;
#[cfg(feature = "server")]
pub(crate) use unwinding::unwinding;
#[cfg(feature = "client")]
pub(crate) use unwinding::unwinding_future;

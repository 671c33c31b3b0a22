//! Layer 3: what both ends of a call share, and where messages get types.
//!
//! ```text
//!   below: Bytes                          here: M, a prost message
//!   RecvHalf ── RawMessage ──▶ message ──▶ Inbound<M>      what comes in
//!   ReplyQueue ◀── bytes ──── message ◀── Replies<M>       what a server sends out
//! ```
//!
//! A call begins with a [`Request`] and, on a single response, ends with a [`Response`]. How it
//! ended badly is a [`Status`](crate::Status).

mod deadline;
mod inbound;
#[cfg(feature = "server")]
mod inflight;
pub(crate) mod message;
mod observer;
#[cfg(feature = "server")]
mod received;
mod request;
#[cfg(feature = "server")]
mod requests;
mod response;

pub use deadline::Deadline;
pub(crate) use deadline::LazyTimer;
pub use inbound::Inbound;
#[cfg(feature = "client")]
pub(crate) use inbound::Responses;
#[cfg(feature = "server")]
pub(crate) use inflight::{Charge, InflightBytes};
pub use observer::{CallRecord, Observer};
#[cfg(feature = "server")]
pub(crate) use received::{CallEnd, RequestParts};
pub use request::Request;
#[cfg(feature = "client")]
pub(crate) use request::{ParentOver, Wishes};
pub use response::Response;

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
mod inflight;
pub(crate) mod message;
mod observer;
mod request;
mod response;

pub use deadline::Deadline;
pub(crate) use deadline::LazyTimer;
pub use inbound::Inbound;
pub(crate) use inflight::{Charge, InflightBytes};
pub use observer::{CallRecord, Observer};
pub use request::Request;
pub(crate) use request::RequestParts;
pub use response::Response;

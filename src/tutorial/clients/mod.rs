//! The tutorials' clients: what each asks of its service, and prints of the answers.
//!
//! | client | file | service |
//! |---|---|---|
//! | [`greeter`], [`greeter_in_full`] | `greeters.rs` | `helloworld.Greeter` |
//! | [`multi_greeter`] | `greeters.rs` | `hellostreamingworld.MultiGreeter` |
//! | [`greet`] | `greeters.rs` | `greet.Greeter` |
//! | [`numbers`] | `streams.rs` | `number_stream.NumberService` |
//! | [`sums`] | `streams.rs` | `sum_stream.SumService` |
//! | [`chat`] | `streams.rs` | `chat.ChatService` |
//! | [`route_guide`] | `route_guide.rs` | `routeguide.RouteGuide` |
//! | [`hello`] | `hello.rs` | `hello.Hello` |
//! | [`contact`] | `contact.rs` | `Contact` |
//!
//! Each is a function that makes the calls which the tutorial's own client in Python makes, in the
//! same order, and prints the same lines, so that both can be put side by side. They are written to
//! be read, on generated clients alone.

mod chance;
mod contact;
mod error;
mod greeters;
mod hello;
mod route_guide;
mod streams;

pub use contact::contact;
pub use error::WalkError;
pub use greeters::{greet, greeter, greeter_in_full, multi_greeter};
pub use hello::hello;
pub use route_guide::route_guide;
pub use streams::{chat, numbers, sums};

//! Layer 4: calling.
//!
//! | file | what |
//! |---|---|
//! | `target` | what a channel is a line to, as one text |
//! | [`resolve`] | names to addresses |
//! | [`proxy`] | HTTP CONNECT proxies |

pub mod proxy;
pub mod resolve;
mod target;

pub use target::{Destination, Scheme, Target, TargetError};

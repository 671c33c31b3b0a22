//! Layer 4: calling.
//!
//! | file | what |
//! |---|---|
//! | `target` | what a channel is a line to, as one text |

mod target;

pub use target::{Destination, Scheme, Target, TargetError};

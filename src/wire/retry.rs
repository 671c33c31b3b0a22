//! What a server that fails a call says about trying it again.
//!
//! ```text
//!  grpc-retry-pushback-ms: 500      try again, in half a second
//!  grpc-retry-pushback-ms: -1       do not try again
//! ```
//!
//! It is trailing metadata, which handlers may set. How often a client has tried already, it says
//! in `grpc-previous-rpc-attempts`, which [`RequestHeaders`](super::RequestHeaders) write.
//!
//! Spec: gRFC A6 §Pushback.

use std::time::Duration;

use crate::spec::grpc::names;
use crate::wire::metadata::Metadata;

/// What a server that failed a call says about trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushback {
    /// Nothing.
    None,
    /// After exactly this time.
    After(Duration),
    /// Not at all. What cannot be understood says so too.
    Never,
}

impl Pushback {
    /// Reads it from the trailing metadata of a call.
    #[must_use]
    pub fn parse(metadata: &Metadata) -> Self {
        let mut values = metadata.values(names::RETRY_PUSHBACK);
        match (values.next(), values.next()) {
            (None, _) => Self::None,
            (Some(value), None) => {
                parse_milliseconds(value.as_bytes()).map_or(Self::Never, Self::After)
            }
            // Which of several values holds is nowhere said, so none does.
            (Some(_), Some(_)) => Self::Never,
        }
    }
}

/// Digits up to the largest signed number of 32 bits. A negative number is as good as no number.
fn parse_milliseconds(value: &[u8]) -> Option<Duration> {
    if value.is_empty() {
        return None;
    }
    let mut amount: u64 = 0;
    for digit in value {
        // Digit by digit, because the integer parser of the standard library also takes "+1".
        if !digit.is_ascii_digit() {
            return None;
        }
        amount = amount * 10 + u64::from(digit - b'0');
        if amount > PUSHBACK_LIMIT {
            return None;
        }
    }
    Some(Duration::from_millis(amount))
}

/// The largest signed number of 32 bits.
const PUSHBACK_LIMIT: u64 = 0x7fff_ffff;

//! Timeout: how long the client will wait, in the field `grpc-timeout`.
//!
//! ```text
//!  grpc-timeout: 100m          one to eight digits, then a unit:
//!                              H hour   M minute   S second
//!                              m milli  u micro    n nano
//! ```
//!
//! The value says how much time is left, not when it is over: the clocks of two machines do not
//! agree. No field means no limit. A timeout of zero is legal, and over when it arrives.
//!
//! Eight digits of hours are more than eleven thousand years. [`parse_timeout`] gives at most
//! [`TIMEOUT_LIMIT`], so that a moment of now plus a timeout always exists.
//!
//! Spec: gRPC-HTTP2 §Requests (Timeout, TimeoutValue, TimeoutUnit).

use std::time::Duration;

use http::HeaderValue;

use crate::spec::grpc::{
    HOUR, MICROSECOND, MILLISECOND, MINUTE, NANOSECOND, SECOND, TIMEOUT_DIGITS_LIMIT,
};
use crate::wire::error::{WireError, quote};

/// The longest timeout that is told from none: a hundred years.
pub const TIMEOUT_LIMIT: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Reads the value of `grpc-timeout`. What is longer than [`TIMEOUT_LIMIT`] becomes that.
///
/// # Errors
///
/// [`WireError::TimeoutWithoutUnit`] or [`WireError::InvalidTimeoutDigits`].
pub fn parse_timeout(value: &[u8]) -> Result<Duration, WireError> {
    let Some((unit, digits)) = value.split_last() else {
        return Err(WireError::TimeoutWithoutUnit(quote(value)));
    };
    let Some(nanoseconds) = unit_nanoseconds(*unit) else {
        return Err(WireError::TimeoutWithoutUnit(quote(value)));
    };
    if digits.is_empty() || digits.len() > TIMEOUT_DIGITS_LIMIT {
        return Err(WireError::InvalidTimeoutDigits(quote(value)));
    }
    let mut amount: u64 = 0;
    for digit in digits {
        // Digit by digit, because the integer parser of the standard library also takes "+1".
        if !digit.is_ascii_digit() {
            return Err(WireError::InvalidTimeoutDigits(quote(value)));
        }
        amount = amount * 10 + u64::from(digit - b'0');
    }
    // Eight digits of any unit below an hour are far less than 2^64 nanoseconds; those of hours
    // may be more, and then the limit holds.
    let timeout = amount.checked_mul(nanoseconds).map(Duration::from_nanos);
    Ok(timeout.map_or(TIMEOUT_LIMIT, |timeout| timeout.min(TIMEOUT_LIMIT)))
}

/// Writes the value of `grpc-timeout` in the finest unit that has room for it, rounded up, so that
/// the server never gives up before the client.
///
/// A call whose time is over should not be sent at all, so a zero is for the caller to notice.
#[must_use]
pub fn format_timeout(timeout: Duration) -> HeaderValue {
    let nanoseconds = timeout.as_nanos();
    for (unit, length) in UNITS {
        let amount = nanoseconds.div_ceil(u128::from(length));
        if amount <= LARGEST_AMOUNT {
            return header_value(amount, unit);
        }
    }
    header_value(LARGEST_AMOUNT, HOUR)
}

fn header_value(amount: u128, unit: u8) -> HeaderValue {
    let text = format!("{amount}{}", char::from(unit));
    match HeaderValue::from_maybe_shared(bytes::Bytes::from(text)) {
        Ok(value) => value,
        // Digits and a letter are printable ASCII, which every header value may have.
        Err(_) => unreachable!("a timeout is a legal header value"),
    }
}

fn unit_nanoseconds(unit: u8) -> Option<u64> {
    UNITS
        .iter()
        .find(|(letter, _)| *letter == unit)
        .map(|(_, length)| *length)
}

/// The units and their lengths in nanoseconds, finest first.
const UNITS: [(u8, u64); 6] = [
    (NANOSECOND, 1),
    (MICROSECOND, 1_000),
    (MILLISECOND, 1_000_000),
    (SECOND, 1_000_000_000),
    (MINUTE, 60 * 1_000_000_000),
    (HOUR, 3600 * 1_000_000_000),
];

/// What eight digits can say.
const LARGEST_AMOUNT: u128 = 99_999_999;

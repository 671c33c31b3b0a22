//! Percent-Encoded: how a text travels in a header field.
//!
//! ```text
//!  "größer als 100%"  →  gr%C3%B6%C3%9Fer als 100%25
//! ```
//!
//! `grpc-message` is UTF-8, but a header value is safe only where it is printable ASCII. So every
//! byte outside 0x20–0x7E, and the `%` itself, becomes `%` and two upper-case hex digits.
//!
//! [`percent_decode`] is the only decoder here that never fails. A text that arrives damaged is
//! still worth more to a person than none, and the status code beside it must not change because
//! of it. So a `%` without two hex digits stays as it is, and bytes that are no UTF-8 become
//! replacement characters.
//!
//! Spec: gRPC-HTTP2 §Responses (Status-Message, Percent-Encoded), RFC 3986 §2.1.

use std::borrow::Cow;

/// Encodes a text. One that needs no encoding is returned as it is.
#[must_use]
pub fn percent_encode(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + text.len() / 2);
    for byte in text.bytes() {
        if is_plain(byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(hex_digit(byte >> 4));
            encoded.push(hex_digit(byte & 0x0f));
        }
    }
    Cow::Owned(encoded)
}

/// Decodes what a peer sent, however damaged.
#[must_use]
pub fn percent_decode(encoded: &[u8]) -> Cow<'_, str> {
    if !encoded.contains(&b'%') {
        return String::from_utf8_lossy(encoded);
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [byte, after @ ..] = rest {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low))
        {
            decoded.push(high << 4 | low);
            rest = after;
        } else {
            decoded.push(*byte);
            rest = after;
        }
    }
    match String::from_utf8(decoded) {
        Ok(text) => Cow::Owned(text),
        Err(error) => Cow::Owned(String::from_utf8_lossy(error.as_bytes()).into_owned()),
    }
}

/// The longest start of an encoded text that has at most `limit` bytes and ends between two
/// characters.
pub(super) fn shorten(encoded: &str, limit: usize) -> &str {
    let mut end = limit.min(encoded.len());
    loop {
        match encoded.get(..end) {
            Some(start) if ends_between_characters(start, encoded.get(end..)) => return start,
            Some(_) | None => end = end.saturating_sub(1),
        }
    }
}

fn ends_between_characters(start: &str, rest: Option<&str>) -> bool {
    let cut_in_escape = start.ends_with('%') || start.bytes().nth_back(1) == Some(b'%');
    // %80 to %BF continue a character of UTF-8 that began before.
    let cut_in_character = matches!(
        rest.map(str::as_bytes),
        Some([b'%', b'8' | b'9' | b'A' | b'B', ..])
    );
    start.is_empty() || !cut_in_escape && !cut_in_character
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'%'
}

/// The digit of a number below 16, upper-case as RFC 3986 §2.1 asks of a writer.
fn hex_digit(number: u8) -> char {
    char::from(if number < 10 {
        b'0' + number
    } else {
        b'A' + number - 10
    })
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

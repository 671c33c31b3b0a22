//! `wire::percent`: P109, P110.

use std::borrow::Cow;

use barewire::wire::percent::{percent_decode, percent_encode};

use crate::support::Random;

#[test]
#[rustfmt::skip]
fn p109_every_byte_outside_printable_ascii_and_the_percent_sign_are_encoded() {
    let cases: &[(&str, &str)] = &[
        ("",                   ""),
        ("no such feature",    "no such feature"),
        ("100%",               "100%25"),
        ("%41",                "%2541"),
        ("größer",             "gr%C3%B6%C3%9Fer"),
        ("~ !\"#$&'()*+,-./",  "~ !\"#$&'()*+,-./"),
        ("\u{7f}\0\u{1f}",     "%7F%00%1F"),
        ("\t\ntest\r\n",       "%09%0Atest%0D%0A"),
        // The message of the interop suite's special_status_message.
        ("\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n",
         "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A"),
    ];
    for (text, encoded) in cases {
        assert_eq!(percent_encode(text), *encoded);
        assert_eq!(percent_decode(encoded.as_bytes()), *text);
    }
}

#[test]
fn p109_a_text_that_needs_no_encoding_is_not_copied() {
    assert!(matches!(percent_encode("plain"), Cow::Borrowed("plain")));
    assert!(matches!(percent_decode(b"plain"), Cow::Borrowed("plain")));
}

#[test]
#[rustfmt::skip]
fn p110_a_damaged_text_is_read_as_far_as_it_goes() {
    let cases: &[(&[u8], &str)] = &[
        (b"%",           "%"),
        (b"%4",          "%4"),
        (b"%zz",         "%zz"),
        (b"%4z",         "%4z"),
        (b"100%",        "100%"),
        (b"%%41",        "%A"),
        (b"%e2%98%ba",   "☺"),          // lower-case hex
        (b"%E2%98",      "\u{fffd}"),   // half a character
        (b"%ff",         "\u{fffd}"),
        (b"a%ffb",       "a\u{fffd}b"),
        (b"\xff raw",    "\u{fffd} raw"),
        (b"\xe2\x98\xba", "☺"),         // not encoded at all
        (b"%+1%-1%0x",   "%+1%-1%0x"),  // no integer parser is fooled
        (b"%00",         "\0"),
    ];
    for (encoded, text) in cases {
        assert_eq!(percent_decode(encoded), *text, "{}", encoded.escape_ascii());
    }
}

#[test]
fn p109_every_text_comes_back() {
    let mut random = Random::new(3);
    for _ in 0..10_000 {
        let length = random.below(40);
        let text = String::from_utf8_lossy(&random.bytes(length)).into_owned();
        let encoded = percent_encode(&text);
        assert!(
            encoded.bytes().all(|byte| matches!(byte, 0x20..=0x7e)),
            "{encoded}"
        );
        assert_eq!(percent_decode(encoded.as_bytes()), text);
    }
}

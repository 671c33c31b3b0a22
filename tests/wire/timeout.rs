//! `wire::timeout`: P33–P38.

use std::time::{Duration, Instant};

use barewire::wire::timeout::{TIMEOUT_LIMIT, format_timeout, parse_timeout};
use barewire::wire::{Code, WireError};

use crate::oracles;
use crate::support::Random;

const HOUR: u64 = 3600;

#[test]
#[rustfmt::skip]
fn p033_a_timeout_is_one_to_eight_digits_and_a_unit() {
    let cases: &[(&str, Duration)] = &[
        ("1H",        Duration::from_secs(HOUR)),
        ("1M",        Duration::from_secs(60)),
        ("1S",        Duration::from_secs(1)),
        ("1m",        Duration::from_millis(1)),
        ("1u",        Duration::from_micros(1)),
        ("1n",        Duration::from_nanos(1)),
        ("100m",      Duration::from_millis(100)),
        ("00000001S", Duration::from_secs(1)),          // leading zeros are digits
        ("99999999n", Duration::from_nanos(99_999_999)),
        ("99999999S", Duration::from_secs(99_999_999)),
        ("876000H",   TIMEOUT_LIMIT),                   // a hundred years
    ];
    for (value, timeout) in cases {
        assert_eq!(parse_timeout(value.as_bytes()), Ok(*timeout), "{value}");
    }
}

#[test]
#[rustfmt::skip]
fn p034_the_finest_unit_that_fits_is_sent_and_rounded_up() {
    let cases: &[(Duration, &str)] = &[
        (Duration::from_nanos(1),                "1n"),
        (Duration::from_nanos(99_999_999),       "99999999n"),
        (Duration::from_millis(100),             "100000u"),
        (Duration::from_nanos(100_000_001),      "100001u"),
        (Duration::from_secs(1),                 "1000000u"),
        (Duration::from_micros(99_999_999),      "99999999u"),
        (Duration::from_secs(100),               "100000m"),
        (Duration::from_secs(HOUR),              "3600000m"),
        (Duration::from_secs(30 * HOUR),         "108000S"),
        (Duration::from_secs(99_999_999),        "99999999S"),
        (Duration::from_secs(100_000_000),       "1666667M"),    // 1,666,666 minutes and 40 s
        (Duration::from_secs(99_999_999 * 60),   "99999999M"),
        (TIMEOUT_LIMIT,                          "52560000M"),
        (Duration::from_secs(99_999_999 * HOUR), "99999999H"),
        (Duration::MAX,                          "99999999H"),   // as much as can be said
    ];
    for (timeout, value) in cases {
        assert_eq!(format_timeout(*timeout), value, "{timeout:?}");
    }
}

#[test]
#[rustfmt::skip]
fn p036_a_malformed_timeout_is_internal() {
    let cases: &[(&str, &str)] = &[
        ("",           "grpc-timeout \"\" has no unit of H M S m u n"),
        ("1",          "grpc-timeout \"1\" has no unit of H M S m u n"),
        ("5x",         "grpc-timeout \"5x\" has no unit of H M S m u n"),
        ("1h",         "grpc-timeout \"1h\" has no unit of H M S m u n"),      // case counts
        ("1N",         "grpc-timeout \"1N\" has no unit of H M S m u n"),
        ("1S ",        "grpc-timeout \"1S \" has no unit of H M S m u n"),
        ("S",          "grpc-timeout \"S\" is not 1 to 8 digits and a unit"),
        ("123456789S", "grpc-timeout \"123456789S\" is not 1 to 8 digits and a unit"),
        ("000000001S", "grpc-timeout \"000000001S\" is not 1 to 8 digits and a unit"),
        ("+1S",        "grpc-timeout \"+1S\" is not 1 to 8 digits and a unit"),
        ("-1S",        "grpc-timeout \"-1S\" is not 1 to 8 digits and a unit"),
        (" 1S",        "grpc-timeout \" 1S\" is not 1 to 8 digits and a unit"),
        ("1 S",        "grpc-timeout \"1 S\" is not 1 to 8 digits and a unit"),
        ("1.5S",       "grpc-timeout \"1.5S\" is not 1 to 8 digits and a unit"),
        ("1e3m",       "grpc-timeout \"1e3m\" is not 1 to 8 digits and a unit"),
        ("1mS",        "grpc-timeout \"1mS\" is not 1 to 8 digits and a unit"),
        ("١S",         "grpc-timeout \"\\xd9\\xa1S\" is not 1 to 8 digits and a unit"), // a digit, but not ASCII
    ];
    for (value, text) in cases {
        let error = parse_timeout(value.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), *text);
        assert_eq!(error.code(), Code::Internal, "D8");
        let expected = matches!(
            error,
            WireError::TimeoutWithoutUnit(_) | WireError::InvalidTimeoutDigits(_)
        );
        assert!(expected, "{error:?}");
    }
}

#[test]
fn p036_an_endless_value_is_quoted_in_part() {
    let error = parse_timeout(&[b'9'; 10_000]).unwrap_err();
    assert!(error.to_string().len() < 200, "{error}");
}

#[test]
#[rustfmt::skip]
fn p037_zero_is_a_timeout_that_is_over() {
    for value in ["0n", "0S", "00000000H"] {
        assert_eq!(parse_timeout(value.as_bytes()), Ok(Duration::ZERO), "{value}");
    }
}

#[test]
fn p038_a_timeout_past_a_hundred_years_is_a_hundred_years() {
    for value in ["99999999H", "876001H", "99999999M"] {
        let timeout = parse_timeout(value.as_bytes()).unwrap();
        assert_eq!(timeout, TIMEOUT_LIMIT, "{value}");
        assert!(Instant::now().checked_add(timeout).is_some(), "{value}");
    }
}

#[test]
fn p034_what_is_sent_is_never_less_and_hardly_more() {
    let mut random = Random::new(7);
    for _ in 0..10_000 {
        let bits = random.below(62);
        let timeout = Duration::from_nanos(1 + (random.next() >> (63 - bits)));
        let timeout = timeout.min(TIMEOUT_LIMIT);
        let value = format_timeout(timeout);
        let read = parse_timeout(value.as_bytes()).unwrap();
        assert!(read >= timeout, "{timeout:?} became {value:?}");
        assert!(
            read - timeout <= timeout / 99_999 + Duration::from_nanos(1),
            "{timeout:?} {value:?}"
        );
    }
}

#[test]
fn p033_ten_thousand_generated_values_are_read_as_the_grammar_says() {
    let mut random = Random::new(99);
    let letters = b"0123456789HMSmun+ x";
    for _ in 0..10_000 {
        let length = random.below(11);
        let mut value: Vec<u8> = (0..length).map(|_| letters[random.below(10)]).collect();
        value.push(letters[random.below(letters.len())]);
        if random.below(4) == 0 {
            let place = random.below(value.len());
            value[place] = letters[random.below(letters.len())];
        }
        oracles::timeout(&value);
    }
}

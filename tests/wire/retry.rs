//! `wire::retry`: P176.

use std::time::Duration;

use barewire::wire::{Metadata, Pushback};

use crate::support::headers;

#[test]
#[rustfmt::skip]
fn p176_pushback_is_one_number_or_a_refusal() {
    let after = |milliseconds| Pushback::After(Duration::from_millis(milliseconds));
    let cases: &[(&[&str], Pushback)] = &[
        // values            what they say
        (&[],                Pushback::None),
        (&["0"],             after(0)),
        (&["100"],           after(100)),
        (&["007"],           after(7)),             // one zero is as good as three
        (&["2147483647"],    after(2_147_483_647)),
        (&["2147483648"],    Pushback::Never),      // past 32 bits with a sign
        (&["99999999999999999999"], Pushback::Never),
        (&["-1"],            Pushback::Never),
        (&["-0"],            Pushback::Never),
        (&["+5"],            Pushback::Never),
        (&["x"],             Pushback::Never),
        (&[""],              Pushback::Never),
        (&[" 5"],            Pushback::Never),
        (&["5 "],            Pushback::Never),
        (&["1.5"],           Pushback::Never),
        (&["1e3"],           Pushback::Never),
        (&["0x10"],          Pushback::Never),
        (&["٣"],             Pushback::Never),      // a digit, but not ASCII
        (&["5, 5"],          Pushback::Never),
        (&["5", "5"],        Pushback::Never),
        (&["5", "-1", "7"],  Pushback::Never),
    ];
    for (values, expected) in cases {
        let fields: Vec<_> = values.iter().map(|value| ("grpc-retry-pushback-ms", *value)).collect();
        let metadata = Metadata::from_headers(headers(&fields)).unwrap();
        assert_eq!(Pushback::parse(&metadata), *expected, "{values:?}");
    }
}

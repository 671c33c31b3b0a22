//! `wire::status_details`: P114, D13.

use barewire::wire::Code;
use barewire::wire::status_details::details_agree;

use crate::support::hex;

#[test]
#[rustfmt::skip]
fn p114_details_go_with_the_code_or_are_no_details() {
    let cases: &[(&str, Code, bool)] = &[
        // google.rpc.Status                                  grpc-status       agree
        ("08 05",                                             Code::NotFound,   true),
        ("08 05 12 04 6e6f6e65",                              Code::NotFound,   true),
        ("12 04 6e6f6e65 08 05",                              Code::NotFound,   true),   // any order
        ("08 05 1a 06 0a04 74797065",                         Code::NotFound,   true),   // with an Any
        ("08 8500",                                           Code::NotFound,   true),   // a long varint
        ("08 03 08 05",                                       Code::NotFound,   true),   // the last counts
        ("",                                                  Code::NotFound,   true),   // says nothing
        ("12 04 6e6f6e65",                                    Code::NotFound,   true),
        ("08 00",                                             Code::NotFound,   true),
        ("21 0102030405060708 2d 01020304 30 01",             Code::NotFound,   true),   // unknown fields
        ("08 05",                                             Code::Internal,   false),  // D13
        ("08 ffffffffffffffffff01",                           Code::NotFound,   false),  // -1
        ("08 05 08 0d",                                       Code::NotFound,   false),
        ("08 8502",                                           Code::NotFound,   false),  // 261 = 256 + 5
        ("08",                                                Code::NotFound,   false),  // cut
        ("08 85",                                             Code::NotFound,   false),
        ("12 04 6e6f",                                        Code::NotFound,   false),
        ("12 ffffffffffffffffff01",                           Code::NotFound,   false),
        ("08 ffffffffffffffffffffff01",                       Code::NotFound,   false),  // no varint
        ("0b 0c",                                             Code::NotFound,   false),  // a group
        ("0f",                                                Code::NotFound,   false),
        ("21 01020304",                                       Code::NotFound,   false),
    ];
    for (details, code, agree) in cases {
        assert_eq!(details_agree(&hex(details), *code), *agree, "{details} for {code}");
    }
}

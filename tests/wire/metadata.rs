//! `wire::metadata`: P50–P62, P245.

use barewire::wire::{Code, Metadata, MetadataValue, WireError};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::oracles;
use crate::support::{Random, headers, hex, lines};

fn received(fields: &[(&str, &str)]) -> Metadata {
    Metadata::from_headers(headers(fields)).unwrap()
}

fn sent(metadata: &Metadata) -> Vec<String> {
    lines(&metadata.clone().into_headers())
}

#[test]
#[rustfmt::skip]
fn p050_a_name_is_lower_case_letters_digits_and_three_marks() {
    let cases: &[(&str, Option<&str>)] = &[
        ("request-id",  Some("request-id")),
        ("Request-ID",  Some("request-id")),        // folded
        ("a",           Some("a")),
        ("0_a-b.c",     Some("0_a-b.c")),
        ("",            None),
        ("a b",         None),
        ("a:b",         None),
        ("a!b",         None),                      // legal in HTTP, not in gRPC
        ("größe",       None),
        ("a\nb",        None),
        (":path",       None),
    ];
    for (name, expected) in cases {
        let mut metadata = Metadata::new();
        match (metadata.insert(name, "x"), expected) {
            (Ok(()), Some(expected)) => assert_eq!(sent(&metadata), [format!("{expected}: x")]),
            (Err(status), None) => {
                assert_eq!(status.code, Code::Internal, "{name:?}");
                assert!(metadata.is_empty());
            }
            (found, _) => panic!("{name:?}: {found:?}"),
        }
    }
}

#[test]
#[rustfmt::skip]
fn p051_names_of_the_protocol_are_neither_shown_nor_set() {
    let cases = [
        // name                         shown  may be set
        ("grpc-timeout",                false, false),
        ("grpc-encoding",               false, false),
        ("grpc-accept-encoding",        false, false),
        ("grpc-message-type",           false, false),      // P44: ignored
        ("grpc-status",                 false, false),
        ("grpc-message",                false, false),
        ("grpc-future",                 false, false),      // P52: unknown, and no error
        ("grpc-",                       false, false),
        ("te",                          false, false),
        ("content-type",                false, false),
        ("content-length",              false, false),      // P49
        ("host",                        false, false),
        ("connection",                  false, false),      // P27, and the four below
        ("keep-alive",                  false, false),
        ("proxy-connection",            false, false),
        ("transfer-encoding",           false, false),
        ("upgrade",                     false, false),
        ("user-agent",                  true,  false),
        ("grpc-previous-rpc-attempts",  true,  true),
        ("grpc-retry-pushback-ms",      true,  true),
        ("grpc-status-details-bin",     true,  true),
        ("grpc-trace-bin",              true,  true),
        ("grpc-tags-bin",               true,  true),
        ("authorization",               true,  true),
        ("x-grpc-status",               true,  true),
        ("grpcstatus",                  true,  true),
        ("te-x",                        true,  true),
    ];
    for (name, shown, may_be_set) in cases {
        let upper = name.to_uppercase();
        let metadata = received(&[(name, "AAAA")]);
        assert_eq!(metadata.contains(name), shown, "{name}");
        assert_eq!(metadata.get_bytes(name).is_some(), shown, "{name}");
        assert_eq!(metadata.get_bytes(&upper).is_some(), shown, "{upper}");
        assert_eq!(metadata.get(name).is_some() || metadata.get_bin(name).is_some(), shown, "{name}");
        assert_eq!((metadata.len(), metadata.iter().count()), (shown.into(), shown.into()), "{name}");
        assert_eq!(metadata.is_empty(), !shown, "{name}");
        assert_eq!(sent(&metadata).is_empty(), !may_be_set, "{name} is written again");
        assert_eq!(metadata.clone().remove(name), shown, "{name}");

        let mut metadata = Metadata::new();
        for name in [name, &upper] {
            let set = if name.to_lowercase().ends_with("-bin") {
                metadata.insert_bin(name, b"x").and_then(|()| metadata.append_bin(name, b"x"))
            } else {
                metadata.insert(name, "x").and_then(|()| metadata.append(name, "x"))
            };
            assert_eq!(set.is_ok(), may_be_set, "{name}: {set:?}");
            assert!(set.is_ok() || set.unwrap_err().message.ends_with("is reserved"));
        }
    }
}

#[test]
fn p051_hidden_fields_do_not_travel_on_with_the_others() {
    let fields = [
        ("te", "trailers"),
        ("a", "1"),
        ("user-agent", "x"),
        ("grpc-timeout", "1S"),
    ];
    let metadata = received(&fields);
    assert_eq!(sent(&metadata), ["a: 1"]);
    let mut target = headers(&[("content-type", "application/grpc")]);
    metadata.append_to(&mut target);
    assert_eq!(lines(&target), ["content-type: application/grpc", "a: 1"]);
    let mut copy = Metadata::new();
    copy.extend(&metadata);
    assert_eq!(sent(&copy), ["a: 1"]);
    assert!(!copy.contains("user-agent"));
}

#[test]
#[rustfmt::skip]
fn p053_only_printable_ascii_is_sent() {
    let cases = [
        ("plain",      true),
        ("",           true),       // P61
        (" ~",         true),
        ("a\tb",       false),
        ("a\nb",       false),
        ("a\0b",       false),
        ("a\u{7f}",    false),
        ("é",          false),
    ];
    for (value, legal) in cases {
        let mut metadata = Metadata::new();
        let set = metadata.append("x", value).and_then(|()| metadata.insert("x", value));
        assert_eq!(set.is_ok(), legal, "{value:?}");
        match set {
            Ok(()) => assert_eq!(metadata.get("x"), Some(value)),
            Err(status) => assert_eq!(status.code, Code::Internal, "{value:?}"),
        }
    }
}

#[test]
fn p054_any_legal_value_is_received_and_can_be_echoed() {
    let mut fields = HeaderMap::new();
    let value = HeaderValue::from_bytes(b"a\tb\xe9").unwrap();
    fields.append(HeaderName::from_static("x"), value.clone());
    let metadata = Metadata::from_headers(fields).unwrap();
    assert_eq!(metadata.get("x"), None, "it is no text");
    assert_eq!(metadata.get_bytes("x"), Some(&b"a\tb\xe9"[..]));
    let shown: Vec<_> = metadata.iter().collect();
    assert_eq!(shown, [("x", MetadataValue::Ascii(b"a\tb\xe9"))]);
    assert_eq!(metadata.into_headers().get("x"), Some(&value));
}

#[test]
fn p056_values_of_one_name_keep_their_order() {
    let metadata = received(&[("a", "1"), ("b", "x"), ("a", "3"), ("a", "2")]);
    assert_eq!(metadata.get_all("a").collect::<Vec<_>>(), ["1", "3", "2"]);
    assert_eq!(metadata.get("a"), Some("1"));
    assert_eq!(metadata.len(), 4);

    let mut metadata = Metadata::new();
    for value in ["1", "3", "2"] {
        metadata.append("a", value).unwrap();
    }
    assert_eq!(sent(&metadata), ["a: 1", "a: 3", "a: 2"]);
    metadata.insert("A", "4").unwrap();
    assert_eq!(sent(&metadata), ["a: 4"], "insert replaces");
}

#[test]
fn p057_plain_values_are_not_split_at_commas() {
    let metadata = received(&[("a", "1,2, 3")]);
    assert_eq!(metadata.get_all("a").collect::<Vec<_>>(), ["1,2, 3"]);
}

#[test]
#[rustfmt::skip]
fn p058_binary_values_are_sent_without_padding_and_read_with_or_without() {
    let cases: &[(&str, &str, &[&str])] = &[
        // bytes      sent        also read
        ("",          "",         &[]),                 // P61
        ("00",        "AA",       &["AA==", "AA="]),
        ("abab",      "q6s",      &["q6s="]),
        ("ababab",    "q6ur",     &[" q6ur "]),
        ("fbff",      "+/8",      &["+/8=", "+/9"]),    // bits left over may be dirty
        ("00000000",  "AAAAAA",   &["AAAAAA=="]),
    ];
    for (bytes, value, others) in cases {
        let mut metadata = Metadata::new();
        metadata.insert_bin("x-bin", &hex(bytes)).unwrap();
        assert_eq!(sent(&metadata), [format!("x-bin: {value}")]);
        assert_eq!(metadata.get_bin("x-bin").unwrap(), hex(bytes));
        for other in others.iter().chain([value]) {
            let metadata = received(&[("x-bin", other)]);
            assert_eq!(metadata.get_bin("X-Bin").unwrap(), hex(bytes), "{other:?}");
            assert_eq!(metadata.get_bytes("x-bin"), Some(other.as_bytes()), "as it stands");
            assert_eq!(metadata.get("x-bin"), None, "it is no text");
        }
    }
}

#[test]
#[rustfmt::skip]
fn p059_joined_binary_values_are_split_before_decoding() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["AA==,q6ur"],        &["00", "ababab"]),
        (&["AA,q6ur"],          &["00", "ababab"]),
        (&["AA == , q6ur"],     &[]),                       // a blank inside is no base64
        (&["AA== ,\tq6ur"],     &["00", "ababab"]),
        (&["AA", "q6ur,AA"],    &["00", "ababab", "00"]),
        (&["AA,,AA"],           &["00", "", "00"]),         // an empty part is an empty value
    ];
    for (values, expected) in cases {
        let fields: Vec<_> = values.iter().map(|value| ("x-bin", *value)).collect();
        let Ok(metadata) = Metadata::from_headers(headers(&fields)) else {
            assert!(expected.is_empty(), "{values:?}");
            continue;
        };
        let found: Vec<_> = metadata.get_all_bin("x-bin").collect();
        let expected: Vec<_> = expected.iter().map(|value| hex(value)).collect();
        assert_eq!(found, expected, "{values:?}");
        let shown: Vec<_> = metadata.iter().map(|(_, value)| value).collect();
        let wanted: Vec<_> = expected.into_iter().map(|value| MetadataValue::Binary(value.into())).collect();
        assert_eq!(shown, wanted, "{values:?}");
    }
}

#[test]
fn p059_several_binary_values_are_sent_in_lines_of_their_own() {
    let mut metadata = Metadata::new();
    metadata.append_bin("x-bin", &[0]).unwrap();
    metadata.append_bin("x-bin", &hex("ababab")).unwrap();
    assert_eq!(sent(&metadata), ["x-bin: AA", "x-bin: q6ur"]);
}

#[test]
#[rustfmt::skip]
fn p060_a_binary_value_that_is_not_base64_is_internal() {
    for value in ["***", "A", "AAAAA", "AA===", "AAA==", "AAAA=", "=", "A=A=", "A-_A", "AA==AA", "AA,*", "\u{e9}A"] {
        let error = Metadata::from_headers(headers(&[("a", "***"), ("x-bin", value)])).unwrap_err();
        assert_eq!(error, WireError::InvalidBase64("x-bin".into()), "{value:?}");
        assert_eq!(error.code(), Code::Internal);
        assert!(!error.to_string().contains(value), "a value is nothing for a log");
    }
}

#[test]
fn p060_ten_thousand_generated_values_are_read_as_a_slow_decoder_reads_them() {
    let mut random = Random::new(60);
    let letters = b"AQgw+/=9, -";
    for _ in 0..10_000 {
        let length = random.below(9);
        let value: String = (0..length)
            .map(|_| char::from(letters[random.below(letters.len())]))
            .collect();
        oracles::metadata(format!("x-bin: {value}").as_bytes());
    }
}

#[test]
fn the_two_kinds_of_values_have_names_of_their_own() {
    let mut metadata = Metadata::new();
    for status in [
        metadata.insert("x-bin", "AA").unwrap_err(),
        metadata.append("X-BIN", "AA").unwrap_err(),
        metadata.insert_bin("x", b"a").unwrap_err(),
        metadata.append_bin("x", b"a").unwrap_err(),
        metadata.insert_bin("bin", b"a").unwrap_err(),
    ] {
        assert_eq!(status.code, Code::Internal);
        assert!(status.message.contains("-bin"), "{status}");
    }
    assert!(metadata.is_empty());
    assert_eq!(received(&[("x", "AA")]).get_bin("x"), None);
}

#[test]
fn p061_empty_values_are_values() {
    let mut metadata = Metadata::new();
    metadata.insert("a", "").unwrap();
    metadata.insert_bin("b-bin", b"").unwrap();
    let metadata = Metadata::from_headers(metadata.into_headers()).unwrap();
    assert_eq!(metadata.get("a"), Some(""));
    assert_eq!(metadata.get_bin("b-bin"), Some(Bytes::new()));
    assert_eq!((metadata.len(), metadata.is_empty()), (2, false));
}

#[test]
fn metadata_can_be_put_together_and_taken_apart() {
    let mut metadata = Metadata::new();
    assert!(metadata.is_empty() && metadata == Metadata::default());
    assert!(!metadata.remove("a"));
    metadata.extend(&Metadata::new());
    metadata.insert("a", "1").unwrap();
    metadata.extend(&received(&[("a", "2"), ("b-bin", "AA")]));
    assert_eq!(sent(&metadata), ["a: 1", "a: 2", "b-bin: AA"]);
    assert_eq!(metadata.get("missing"), None);
    assert_eq!(metadata.get("not a name"), None);
    assert!(!metadata.remove("not a name"));
    assert!(metadata.remove("A"));
    assert!(!metadata.contains("a") && metadata.contains("b-bin"));
}

#[test]
fn two_metadata_are_equal_if_they_show_the_same() {
    let cases = [
        (
            received(&[("a", "1"), ("b", "2")]),
            received(&[("b", "2"), ("a", "1")]),
            true,
        ),
        (
            received(&[("a", "1"), ("te", "x")]),
            received(&[("a", "1")]),
            true,
        ),
        (received(&[("te", "x")]), Metadata::new(), true),
        (
            received(&[("a", "1"), ("a", "2")]),
            received(&[("a", "2"), ("a", "1")]),
            false,
        ),
        (
            received(&[("a", "1")]),
            received(&[("a", "1"), ("b", "2")]),
            false,
        ),
        (received(&[("a", "1")]), received(&[("b", "1")]), false),
    ];
    for (one, other, equal) in cases {
        assert_eq!(one == other, equal, "{one:?} {other:?}");
        assert_eq!(other == one, equal, "{one:?} {other:?}");
    }
}

#[test]
fn p245_what_is_shown_for_debugging_tells_no_secrets() {
    let fields = [
        ("authorization", "Bearer s3cret"),
        ("key-bin", "q6ur"),
        ("te", "trailers"),
        ("a", "1"),
    ];
    let text = format!("{:?}", received(&fields));
    assert_eq!(text, r#"{"authorization": "…", "key-bin": "…", "a": "1"}"#);
}

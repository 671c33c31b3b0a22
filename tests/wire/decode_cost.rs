//! What a message is taken to cost before it is decoded.

use barewire::wire::decode_cost::{SCANNED_FROM, decode_cost, decode_cost_limit};

/// A message whose field 1 is a list of these.
fn list_of(element: &[u8], count: usize) -> Vec<u8> {
    let mut message = Vec::new();
    for _ in 0..count {
        prost::encoding::bytes::encode(1, &element.to_vec(), &mut message);
    }
    message
}

/// A field of that key, whose payload comes behind its length.
fn field(key: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[key, length], payload].concat()
}

#[test]
#[rustfmt::skip]
fn a_message_costs_its_bytes_and_its_fields() {
    let cases: &[(&str, Vec<u8>, usize)] = &[
        // message                                                           besides its bytes
        ("short",              list_of(b"", 511),                            0),     // below 1 KiB nobody looks
        ("empty elements",     list_of(b"", 2_000),                          320 + 160 * 1_999),
        ("one text",           list_of("é".repeat(5_000).as_bytes(), 1),     96),
        ("lines of text",      list_of(b"ff\r\n\tff\n", 200),            96 * 200),
        ("texts",              list_of(b"\xff\xff", 1_000),                96 * 1_000),
        ("lists in a list",    list_of(&list_of(b"", 10), 100),              320 + 160 * 99 + 100 * (320 + 160 * 9)),
        ("two lists",          [list_of(b"", 600), field(0x12, b"").repeat(600)].concat(), 2 * (320 + 160 * 599)),
        ("numbers",            [0x08, 0x96, 0x01].repeat(1_000),             16 * 1_000),
        ("fixed numbers",      [&[0x09][..], &[0; 8], &[0x0d], &[0; 4]].concat().repeat(100), 16 * 200),
        ("packed numbers",     list_of(&[0x07; 5_000], 1),                   96 + 8 * 5_000),
        ("of two bytes",       list_of(&[0x87, 0x01].repeat(2_000), 1),      96 + 8 * 2_000),
        ("none at the end",    list_of(&[&[0x07; 5_000][..], &[0x80]].concat(), 1), 96),
        ("one too long",       list_of(&[&[0x07; 5_000][..], &[0xff; 10], &[0x01]].concat(), 1), 96),
        ("one not as written", list_of(&[&[0x07; 5_000][..], &[0x80, 0x00]].concat(), 1), 96),
        ("a group",            [vec![0x0b, 0x08, 0xff, 0x7f, 0x0c], list_of(&[0xff; 2_000], 1)].concat(), 320 + 16 + 96),
        ("cut",                [list_of(b"", 2_000), vec![0x0a, 0x05]].concat(), 320 + 160 * 1_999), // decoded up to there
        ("cut in an element",  list_of(&[list_of(b"", 2_000), vec![0x0a, 0x85]].concat(), 1), 320 + 160 * 1_999 + 96),
        ("a long varint",      [vec![0x08], vec![0xff; 2_000]].concat(),     0),
    ];
    for (name, message, besides) in cases {
        assert_eq!(decode_cost(message), message.len() + besides, "{name}");
    }
    assert_eq!(list_of(b"", 512).len(), SCANNED_FROM);
}

#[test]
#[rustfmt::skip]
fn entries_that_hide_behind_other_keys_are_counted() {
    let rest = list_of(&[0xff; 1_500], 1);
    let other_reading = 161 * (4 + rest.len()) - 4 - rest.len();
    let cases: &[(&str, Vec<u8>, usize)] = &[
        // begin                                                             besides its bytes
        ("behind a number",        vec![0x08, 2, 0x08, 1],                   2 * 16 + 320 + 96),
        ("of two fields",          vec![0x08, 4, 0x08, 1, 0x10, 1],          3 * 16 + 320 + 96),
        ("an empty one",           vec![0x08, 0],                            16 + 320 + 96),
        ("two empty ones",         vec![0x08, 0, 0x08, 0],                   2 * 16 + 320 + 96),  // of one map: the same
        ("empty ones of two",      vec![0x08, 0, 0x10, 0],                   2 * 16 + 2 * 320 + 96),
        ("one in one",             vec![0x08, 4, 0x08, 2, 0x08, 1],          3 * 16 + 320 + 96),  // an entry has no map
        ("behind each other",      [0x08, 2, 0x08, 1].repeat(3),             6 * 16 + 3 * 320 + 96),
        ("too short for a field",  vec![0x08, 1, 0x10, 7],                   2 * 16 + 96),
        ("ends within a field",    vec![0x08, 2, 0x08, 0x81, 0x01, 0x18, 1], 3 * 16 + 96),
        ("behind a double",        field(0x09, &[0x08, 1]),                  other_reading),
        ("behind a float",         field(0x0d, &[0x08, 1]),                  other_reading),
        ("behind a group",         field(0x0b, &[0x08, 1]),                  other_reading),
        ("behind a group's end",   field(0x0c, &[0x08, 1]),                  other_reading),
        ("a double",               vec![0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f], 16 + 96),
        ("a float",                vec![0x0d, 0, 0, 0x80, 0x3f],             16 + 96),
        ("a fixed number",         vec![0x0d, 2, 0, 0, 0],                   16 + 96),
    ];
    for (name, begin, besides) in cases {
        let message = [&begin[..], &rest].concat();
        assert_eq!(decode_cost(&message), message.len() + besides, "{name}");
    }
}

#[test]
fn the_quicker_answer_goes_by_the_length() {
    let lists = [field(0x0a, b""), field(0x12, b"")].concat().repeat(500);
    assert_eq!(decode_cost(&lists), decode_cost_limit(lists.len()));
    assert_eq!(decode_cost_limit(1_000), 161_000);
    assert_eq!(decode_cost_limit(usize::MAX), usize::MAX);
}

#[test]
fn nesting_is_followed_as_deep_as_messages_are_decoded() {
    let mut message = list_of(b"", 600);
    for _ in 0..99 {
        message = list_of(&message, 1);
    }
    let elements = 320 + 160 * 599;
    assert_eq!(decode_cost(&message), message.len() + 320 * 99 + elements);
    // What lies deeper can only be texts.
    message = list_of(&message, 1);
    assert_eq!(decode_cost(&message), message.len() + 320 * 100 + 96 * 600);
}

/// There are two ways to read on at each place, and none of them is right: to try them all would take
/// for ever.
#[test]
fn no_bytes_make_the_scan_take_long() {
    let mut message = [0x0d, 0, 0x15, 0, 0x1d].repeat(50_000);
    message.extend_from_slice(&[0xff; 20]);
    // It is taken for the worst rather than looked at to the end.
    let limit = decode_cost_limit(message.len());
    assert_eq!(decode_cost(&message), limit);
}

#[test]
fn no_bytes_make_the_scan_fail_or_cost_more_than_the_quicker_answer_says() {
    let mut state: u64 = 0x2545_f491_4f6c_dd1d;
    for _ in 0..2_000 {
        let message: Vec<u8> = (0..1_500)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                // Few values, so that many of them read as fields.
                [0x0a, 0x12, 0x00, 0x02, 0x08, 0x01, 0x80, 0xff][(state >> 33) as usize % 8]
            })
            .collect();
        let cost = decode_cost(&message);
        let limit = decode_cost_limit(message.len());
        assert!(
            message.len() <= cost && cost <= limit,
            "{cost}, {limit}: {message:02x?}"
        );
    }
}

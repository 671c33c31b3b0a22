//! What a message is taken to cost before it is decoded.

use barewire::wire::decode_cost::{
    SCANNED_FROM, decode_cost, decode_cost_bound, decode_cost_limit,
};

/// A message whose field 1 is a list of these.
fn list_of(element: &[u8], count: usize) -> Vec<u8> {
    let mut message = Vec::new();
    for _ in 0..count {
        prost::encoding::bytes::encode(1, &element.to_vec(), &mut message);
    }
    message
}

#[test]
#[rustfmt::skip]
fn a_message_costs_its_bytes_and_its_elements() {
    let cases: &[(&str, Vec<u8>, usize)] = &[
        // message                                                           elements
        ("short",              list_of(b"", 511),                            0),     // below 1 KiB nobody looks
        ("empty elements",     list_of(b"", 2_000),                          2_000),
        ("one text",           list_of("é".repeat(5_000).as_bytes(), 1),     1),
        ("zeros",              list_of(&[0; 5_000], 1),                      1),     // a key of 0 is no key
        ("texts",              list_of(b"\xff\xff", 1_000),                  1_000),
        ("lists in a list",    list_of(&list_of(b"", 10), 100),              1_100),
        ("numbers",            [0x08, 0x96, 0x01].repeat(1_000),             0),
        ("fixed numbers",      [&[0x09][..], &[0; 8], &[0x0d], &[0; 4]].concat().repeat(100), 0),
        ("a group",            [vec![0x0b], vec![0x0c; 2_000]].concat(),     0),
        ("after a group",      [vec![0x0b, 0x0c], list_of(b"", 2_000)].concat(), 2_000), // which is passed over
        ("cut",                [list_of(b"", 2_000), vec![0x0a, 0x05]].concat(), 2_000), // decoded up to there
        ("cut in an element",  list_of(&[list_of(b"", 2_000), vec![0x0a, 0x05]].concat(), 1), 2_001),
        ("a long varint",      [vec![0x08], vec![0xff; 2_000]].concat(),     0),
    ];
    for (name, message, elements) in cases {
        assert_eq!(decode_cost(message), message.len() + 160 * elements, "{name}");
        assert!(decode_cost(message) <= decode_cost_bound(message), "{name}");
    }
    assert_eq!(list_of(b"", 512).len(), SCANNED_FROM);
}

#[test]
fn the_quicker_answers_count_keys_and_lengths() {
    // Text, of which few bytes could be keys; the dearest message of its length.
    let (text, empty) = (b"a text in a text field".repeat(100), list_of(b"", 1_000));
    let keys = text.iter().filter(|byte| *byte % 8 == 2).count();
    assert_eq!(decode_cost_bound(&text), text.len() + 160 * keys);
    assert_eq!(decode_cost(&empty), decode_cost_bound(&empty));
    assert_eq!(decode_cost(&empty), decode_cost_limit(empty.len()));
    assert_eq!(decode_cost_limit(usize::MAX), usize::MAX);
}

#[test]
fn nesting_is_followed_as_deep_as_messages_are_decoded() {
    let mut message = list_of(b"", 600);
    for _ in 0..100 {
        message = list_of(&message, 1);
    }
    assert_eq!(decode_cost(&message), message.len() + 160 * 700);
    // What lies deeper is bytes.
    message = list_of(&message, 1);
    assert_eq!(decode_cost(&message), message.len() + 160 * 101);
}

#[test]
fn no_bytes_make_the_scan_fail_or_cost_more_than_the_quicker_answers_say() {
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
        let (bound, limit) = (
            decode_cost_bound(&message),
            decode_cost_limit(message.len()),
        );
        assert!(
            message.len() <= cost && cost <= bound && cost <= limit,
            "{cost}, {bound}, {limit}: {message:02x?}"
        );
    }
}

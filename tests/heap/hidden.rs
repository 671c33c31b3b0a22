//! Entries of maps behind keys that do not say so.

use std::collections::HashMap;

use prost::Message;
use prost::encoding::encode_varint;

use crate::shapes::Smaller;
use crate::{LEAST, alone, heap_of, report};

#[derive(Clone, PartialEq, Message)]
struct Maps {
    #[prost(map = "uint64, message", tag = "1")]
    messages: HashMap<u64, Smaller>,
    #[prost(map = "string, string", tag = "2")]
    texts: HashMap<String, String>,
    #[prost(map = "uint32, message", tag = "3")]
    maps: HashMap<u32, Inner>,
    #[prost(message, repeated, tag = "4")]
    list: Vec<Inner>,
    #[prost(int64, tag = "5")]
    number: i64,
    #[prost(string, tag = "6")]
    text: String,
    #[prost(group, repeated, tag = "7")]
    groups: Vec<Inner>,
}

#[derive(Clone, PartialEq, Message)]
struct Inner {
    #[prost(map = "uint64, message", tag = "1")]
    messages: HashMap<u64, Smaller>,
    #[prost(map = "string, string", tag = "2")]
    texts: HashMap<String, String>,
}

/// A field of that number, wire type and payload, whether or not the two go together.
fn field(number: u64, wire_type: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_varint(number << 3 | wire_type, &mut bytes);
    encode_varint(payload.len() as u64, &mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

/// An entry whose key is a number, and whose value is not there.
fn entry(key: usize) -> Vec<u8> {
    let mut bytes = vec![0x08];
    encode_varint(key as u64, &mut bytes);
    bytes
}

fn entry_of(key: usize, value: &[u8]) -> Vec<u8> {
    [entry(key), field(2, 2, value)].concat()
}

fn text_entry(key: usize) -> Vec<u8> {
    let key = key.to_string();
    [field(1, 2, key.as_bytes()), field(2, 2, b"v")].concat()
}

fn many(count: usize, each: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    (0..count).flat_map(each).collect()
}

#[test]
fn entries_count_whatever_their_keys_say() {
    let _alone = alone();
    for wire_type in 0..=5 {
        let hidden = |number, entry: &[u8]| field(number, wire_type, entry);
        let inner = |key| hidden(1, &entry(key));
        #[rustfmt::skip]
        let shapes: &[(&str, Vec<u8>)] = &[
            ("messages",              many(2_000, |key| hidden(1, &entry(key)))),
            ("messages with fields",  many(2_000, |key| hidden(1, &entry_of(key, &[0x12, 1, b'x'])))),
            ("texts",                 many(2_000, |key| hidden(2, &text_entry(key)))),
            ("maps in a map",         many(100, |key| hidden(3, &entry_of(key, &many(50, inner))))),
            ("maps of one in a map",  many(500, |key| hidden(3, &entry_of(key, &inner(1))))),
            ("maps in a list",        many(100, |_| field(4, 2, &many(50, inner)))),
            ("maps of one in a list", many(500, |_| field(4, 2, &inner(1)))),
            ("one, which is empty",   many(500, |_| field(4, 2, &hidden(1, &[])))),
            ("two, which are empty",  many(500, |_| field(4, 2, &[hidden(1, &[]), hidden(2, &[])].concat()))),
            ("the first only",        [hidden(1, &entry(1)), many(2_000, |key| field(1, 2, &entry(key)))].concat()),
            ("behind a text",         [field(6, 2, &[b'x'; 200]), many(2_000, |key| hidden(1, &entry(key)))].concat()),
            ("beside numbers",        many(2_000, |key| [hidden(1, &entry(key)), vec![0x28, 0x7f]].concat())),
            ("with unknown fields",   many(500, |key| hidden(1, &[&entry(key)[..], &[0x19, 1, 2, 3, 4, 5, 6, 7, 8]].concat()))),
            ("in groups",             many(300, |key| [&[0x3b][..], &hidden(1, &entry(key)), &[0x3c]].concat())),
            ("between groups",        many(500, |key| [&hidden(1, &entry(key))[..], &[0x43, 0x09, 1, 2, 3, 4, 5, 6, 7, 8, 0x44]].concat())),
            ("with long texts",       many(500, |key| hidden(1, &entry_of(key, &field(2, 2, &[b'x'; 120]))))),
        ];
        for (name, bytes) in shapes {
            // The end of a group is none of its fields.
            if wire_type == 4 && *name == "in groups" {
                continue;
            }
            assert_counted(&format!("wire type {wire_type}: {name}"), bytes);
        }
    }
}

#[test]
fn what_reads_as_other_fields_first_does_not_keep_entries_from_being_counted() {
    let _alone = alone();
    let entries = many(2_000, |key| field(1, 2, &entry(key)));
    let rest = |length: usize| {
        let mut bytes = vec![0x32];
        encode_varint(length as u64, &mut bytes);
        bytes
    };
    // As a number of eight bytes the field ends within an entry, where a text begins that is the rest, and no
    // message: its first key is 0. As an entry of a map it has all that in a field that
    // nobody knows.
    let swallowed = |wire_type, width: usize| {
        let head = rest(entries.len() + 2);
        let mut text = vec![b'x'; width - 4];
        text.extend_from_slice(&head);
        text.extend_from_slice(&[0, 0]);
        let entry = field(3, 2, &text);
        [field(2, wire_type, &entry), entries.clone()].concat()
    };
    #[rustfmt::skip]
    let shapes: &[(&str, Vec<u8>)] = &[
        ("the rest is a text to a double",     swallowed(1, 9)),
        ("the rest is a text to a float",      swallowed(5, 5)),
        // In each there are many that are shorter.
        ("a long entry begins before",         [vec![0x28, 0x7d], many(2_000, |key| field(1, 0, &entry(key)))].concat()),
        ("a long entry begins before each",    many(2_000, |key| [vec![0x28, 0x70], field(1, 0, &entry(key))].concat())),
    ];
    for (name, bytes) in shapes {
        assert_counted(name, bytes);
    }
}

#[test]
fn entries_count_in_any_order_of_wire_types() {
    let _alone = alone();
    let mut state: u64 = 0x2545_f491_4f6c_dd1d;
    let mut below = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) % limit
    };
    for round in 0..300 {
        let mut bytes = Vec::new();
        for key in 0..600 {
            let wire_type = below(6);
            let inner = field(1, below(6), &entry(key));
            // In a group the end of one ends it.
            let in_group = field(1, below(4), &entry(key));
            bytes.extend(match below(7) {
                0 => field(2, wire_type, &text_entry(key)),
                1 => field(3, wire_type, &entry_of(key, &inner)),
                2 => field(4, 2, &inner),
                3 => vec![0x28, below(128) as u8],
                4 => [&[0x3b][..], &in_group, &[0x3c]].concat(),
                _ => field(1, wire_type, &entry(key)),
            });
        }
        assert_counted(&format!("round {round}"), &bytes);
    }
}

#[track_caller]
fn assert_counted(name: &str, bytes: &[u8]) {
    let share = report(name, bytes, heap_of::<Maps>(bytes));
    assert!(share >= LEAST, "{name}: {share}");
}

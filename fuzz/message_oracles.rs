//! What must hold for any bytes that are messages, or that messages are made of. As in `oracles.rs`:
//! one function for each fuzz target, which panics if it does not.
//!
//! `tests/wire/corpus.rs` replays their corpora.

#![allow(dead_code, reason = "each fuzz target uses one function")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::mem::size_of;

use barewire::wire::compression::{compress, decompress};
use barewire::wire::decode_cost::{decode_cost, decode_cost_limit};
use barewire::wire::framing::{PREFIX_LENGTH, encode_message};
use barewire::wire::status_details::details_agree;
use barewire::wire::{Code, Deframer, Encoding, RawMessage};
use bytes::Bytes;
use prost::Message;

/// The targets by name.
pub(crate) const TARGETS: [(&str, fn(&[u8])); 3] = [
    ("frame_roundtrip", frame_roundtrip),
    ("cost_estimate", cost_estimate),
    ("status_details", status_details),
];

/// Input: a byte that chooses the coding, one for the size of the chunks, then messages, each behind a
/// byte with its length, whose highest bit says that it is compressed. What was written is read again.
pub(crate) fn frame_roundtrip(data: &[u8]) {
    let Some((&[coding, size], mut rest)) = data.split_first_chunk() else {
        return;
    };
    let encoding = [Encoding::Gzip, Encoding::Deflate][usize::from(coding % 2)];
    let mut bodies = Vec::new();
    let mut stream = Vec::new();
    while let Some((&length, after)) = rest.split_first() {
        let (body, after) = after.split_at(usize::from(length & 0x7f).min(after.len()));
        rest = after;
        // Longer than a chunk, some of them.
        let body = body.repeat(1 + usize::from(coding >> 4));
        let compressed = length & 0x80 != 0;
        let sent = if compressed {
            compress(encoding, &body).unwrap()
        } else {
            Bytes::from(body.clone())
        };
        let message = RawMessage {
            compressed,
            body: sent,
        };
        let encoded = encode_message(&message).unwrap();
        assert_eq!(encoded.len(), PREFIX_LENGTH + message.body.len());
        stream.extend_from_slice(&encoded);
        bodies.push(body);
    }

    let mut deframer = Deframer::new(stream.len());
    let mut found = Vec::new();
    for chunk in stream.chunks(usize::from(size).max(1)) {
        deframer.push(Bytes::copy_from_slice(chunk));
        while let Some(message) = deframer.next_message().unwrap() {
            let body = if message.compressed {
                let limit = bodies[found.len()].len();
                decompress(encoding, &message.body, limit).unwrap()
            } else {
                message.body
            };
            found.push(body.to_vec());
        }
    }
    deframer.finish().unwrap();
    assert!(deframer.is_empty());
    assert_eq!(found, bodies);
}

/// Input: what is repeated until it is long enough to be looked at. The estimate lies between the length
/// and what the quicker answer says, and is no less than half of what prost takes.
pub(crate) fn cost_estimate(data: &[u8]) {
    if data.is_empty() {
        return;
    }
    let message = data.repeat(1 + LONG / data.len());
    let length = message.len();
    let cost = decode_cost(&message);
    assert!(cost >= length);
    assert!(cost <= decode_cost_limit(length));
    assert!(decode_cost_limit(length) <= length + 160 * length);

    if let Ok(shape) = Shape::decode(&message[..]) {
        let heap = shape.heap();
        assert!(
            heap <= 2 * cost,
            "{heap} bytes of heap, {cost} were expected"
        );
    }
}

const LONG: usize = 2_048;

/// A message type of which one is as large as an element is taken to be.
#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    shapes: Vec<Self>,
    #[prost(bytes = "vec", repeated, tag = "2")]
    pieces: Vec<Vec<u8>>,
    #[prost(map = "uint64, message", tag = "3")]
    map: HashMap<u64, MapValue>,
    #[prost(group, repeated, tag = "4")]
    groups: Vec<Group>,
    #[prost(message, optional, boxed, tag = "5")]
    next: Option<Box<Self>>,
    /// Packed or not. They are not counted as heap: a list that looks like text cannot be told from it.
    #[prost(int64, repeated, tag = "6")]
    numbers: Vec<i64>,
}

/// As large as one with its key may be.
#[derive(Clone, PartialEq, Message)]
struct MapValue {
    #[prost(message, repeated, tag = "1")]
    shapes: Vec<Shape>,
    #[prost(map = "uint64, string", tag = "2")]
    texts: HashMap<u64, String>,
    #[prost(string, tag = "3")]
    text: String,
    #[prost(string, tag = "4")]
    other_text: String,
}

#[derive(Clone, PartialEq, Message)]
struct Group {
    #[prost(message, repeated, tag = "1")]
    shapes: Vec<Shape>,
    #[prost(map = "sint32, message", tag = "2")]
    map: HashMap<i32, MapValue>,
}

impl Shape {
    /// The bytes of memory that it holds beside its own.
    fn heap(&self) -> usize {
        let pieces: usize = self.pieces.iter().map(Vec::capacity).sum();
        let groups: usize = self.groups.iter().map(Group::heap).sum();
        let next = self
            .next
            .as_ref()
            .map_or(0, |next| size_of::<Self>() + next.heap());
        let own = self.pieces.capacity() * size_of::<Vec<u8>>()
            + self.groups.capacity() * size_of::<Group>();
        own + pieces + groups + next + list_heap(&self.shapes) + map_heap(&self.map, MapValue::heap)
    }
}

impl MapValue {
    fn heap(&self) -> usize {
        list_heap(&self.shapes)
            + map_heap(&self.texts, String::capacity)
            + self.text.capacity()
            + self.other_text.capacity()
    }
}

impl Group {
    fn heap(&self) -> usize {
        list_heap(&self.shapes) + map_heap(&self.map, MapValue::heap)
    }
}

fn list_heap(shapes: &Vec<Shape>) -> usize {
    let held: usize = shapes.iter().map(Shape::heap).sum();
    shapes.capacity() * size_of::<Shape>() + held
}

/// A table has a power of two of places, of which an eighth stays free, and a byte more for each.
fn map_heap<K, V>(map: &HashMap<K, V>, heap: impl Fn(&V) -> usize) -> usize {
    let room = map.capacity();
    let places = match room {
        0 => 0,
        _ => (room + room / 7).next_power_of_two(),
    };
    places * (size_of::<(K, V)>() + 1) + map.values().map(heap).sum::<usize>()
}

/// Input: a byte for a code, then status details. Those that go with the code do so for prost too; those
/// that prost writes for it go with it, whatever else is in them.
pub(crate) fn status_details(data: &[u8]) {
    let Some((number, details)) = data.split_first() else {
        return;
    };
    let Some(code) = Code::from_number(u32::from(number % 17)) else {
        return;
    };
    let number = i32::from(number % 17);
    if details_agree(details, code)
        && let Ok(read) = RpcStatus::decode(details)
    {
        assert!([0, number].contains(&read.code), "{read:?} for {code}");
    }
    let others = [number + 1, number + 256, -1];
    let others = others.map(|other| (other, false));
    for (said, agrees) in [(number, true), (0, true)].into_iter().chain(others) {
        let written = RpcStatus {
            code: said,
            message: String::from_utf8_lossy(details).into_owned(),
            details: details.chunks(7).map(<[u8]>::to_vec).collect(),
        };
        assert_eq!(
            details_agree(&written.encode_to_vec(), code),
            agrees,
            "{written:?} for {code}"
        );
    }
}

/// `google.rpc.Status`, whose details are left as they are.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(bytes = "vec", repeated, tag = "3")]
    details: Vec<Vec<u8>>,
}

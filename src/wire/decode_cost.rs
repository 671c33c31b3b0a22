//! What a message costs in memory once it is decoded: an estimate, made before that is done.
//!
//! Two bytes of protobuf can say "another empty message", and become well over a hundred bytes in a
//! list of structs. Four million of them fit into a message of the usual limit, and gzip makes a few
//! thousand of those. So the length of a message says little about what it takes to decode it; the
//! number of its length-delimited fields says more.
//!
//! The scan knows no schema. A field that could be a message because its bytes read as fields is
//! taken for one, so that text is sometimes counted for more than it costs, and never for less. What
//! comes before bytes that are no field counts as well: it is decoded before they are found.
//!
//! Numbers are not counted. A list of them takes at most eight bytes for one, or twice that while it
//! grows. A list of one element has room for four.
//!
//! One kind of field costs more than all this says. prost takes the entries of a map for length-delimited
//! whatever their keys say, and what they say is all that the scan has to go by. So a peer can hide what
//! lies in a map, or behind it, from a server whose requests have maps.
//!
//! To scan takes longer than to decode. Where the most that a message can cost is little enough, that
//! will do: [`decode_cost_limit`] knows it from the length, [`decode_cost_bound`] from a glance at
//! each byte.
//!
//! Spec: Protocol Buffers §Encoding (Message Structure).

use crate::spec::protobuf::{
    END_GROUP, FIXED32, FIXED64, LENGTH_DELIMITED, START_GROUP, VARINT, VARINT_BYTES_LIMIT,
    WIRE_TYPE_BITS,
};

/// Messages below this are taken by their length: what they can become is small too.
pub const SCANNED_FROM: usize = 1024;
/// What one element of a list of messages or texts may take besides its bytes.
const ELEMENT: usize = 160;
/// How deep the scan looks into messages within messages: as deep as prost decodes them. It reads no
/// byte twice, so that depth costs nothing.
const DEPTH: u8 = 100;
/// The bits of a key's first byte that are the wire type.
const WIRE_TYPE: u8 = (1 << WIRE_TYPE_BITS) - 1;

/// The most that a message of so many bytes can cost: every two bytes are an element.
#[must_use]
pub const fn decode_cost_limit(length: usize) -> usize {
    length.saturating_add((length / 2).saturating_mul(ELEMENT))
}

/// More than `message` costs, or just as much: every byte that could be the first of an element's key
/// is taken for one.
#[must_use]
pub fn decode_cost_bound(message: &[u8]) -> usize {
    let keys = message
        .iter()
        .filter(|byte| *byte & WIRE_TYPE == LENGTH_DELIMITED);
    message
        .len()
        .saturating_add(keys.count().saturating_mul(ELEMENT))
}

/// About how many bytes of memory `message` takes decoded. At least its length, at most 81 times.
#[must_use]
pub fn decode_cost(message: &[u8]) -> usize {
    if message.len() < SCANNED_FROM {
        return message.len();
    }
    let mut elements = 0;
    // What is no protobuf fails to decode, but only where it ceases to be.
    let _ = count_elements(message, DEPTH, &mut elements);
    message
        .len()
        .saturating_add(elements.saturating_mul(ELEMENT))
}

/// Counts length-delimited fields. `None` at the first bytes that are no field.
fn count_elements(mut bytes: &[u8], depth: u8, count: &mut usize) -> Option<()> {
    while !bytes.is_empty() {
        let key = take_varint(&mut bytes)?;
        let number = key >> WIRE_TYPE_BITS;
        if number == 0 {
            return None;
        }
        match u8::try_from(key - (number << WIRE_TYPE_BITS)).ok()? {
            VARINT => {
                take_varint(&mut bytes)?;
            }
            FIXED64 => {
                take(&mut bytes, 8)?;
            }
            FIXED32 => {
                take(&mut bytes, 4)?;
            }
            LENGTH_DELIMITED => {
                let length = usize::try_from(take_varint(&mut bytes)?).ok()?;
                let payload = take(&mut bytes, length)?;
                *count = count.saturating_add(1);
                if let Some(depth) = depth.checked_sub(1) {
                    let _ = count_elements(payload, depth, count);
                }
            }
            // Nobody's schema has groups any more, but one that a schema does not know is passed over.
            START_GROUP | END_GROUP => {}
            // The other numbers mean nothing.
            _ => return None,
        }
    }
    Some(())
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    // Almost all have one byte.
    if let Some((&byte, rest)) = bytes.split_first()
        && byte < 0x80
    {
        *bytes = rest;
        return Some(u64::from(byte));
    }
    let mut value: u64 = 0;
    let mut shift = 0;
    for _ in 0..VARINT_BYTES_LIMIT {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

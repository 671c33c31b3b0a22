//! What a message costs in memory once it is decoded: an estimate, made before that is done.
//!
//! Two bytes of protobuf can say "another empty message", and become well over a hundred bytes in a
//! list of structs. Four million of them fit into a message of the usual limit, and gzip makes a few
//! thousand of those. So the length of a message says little about what it takes to decode it; its
//! fields say more:
//!
//! ```text
//!                            bytes   what prost allocates
//!  each byte                     1   a copy of each text
//!  a message in a list         160   its type may be that large; a list has room for up to twice as many
//!  the first in a list         320   a list of one has room for four
//!  a text in a list             64   24, of which a list of one has room for four
//!  a number with a key          16   8 in a list, which has room for up to twice as many
//!  a number in a packed list     8   the same
//! ```
//!
//! The scan knows no schema. What reads as fields is taken for a message, and what comes after a field of
//! another number for the first in a list. What else reads as numbers, and has bytes that no text has, is
//! taken for a packed list. What comes before bytes that are no field counts as well: it is decoded before
//! they are found.
//!
//! Most messages cost less than this says. Those of types of up to 160 bytes, and maps whose keys and values
//! take up to 136 together (56 in a `BTreeMap`), cost at most twice as much. Two things cannot be told
//! without the schema: how large a larger type is whose messages come all but empty, and which text is a
//! packed list. A list that is made to look like text takes up to sixteen times its bytes.
//!
//! prost takes the entries of a map for length-delimited whatever their keys say, so that they may hide.
//! What follows a number may be an entry of that length. It reads as the same fields either way, and is
//! an entry if one of them ends where it would. What follows a key of another wire type does not: from
//! there on all the rest would be other fields. If it reads as such it counts as the most that it can be.
//!
//! To scan takes longer than to decode. Where the most that a message can cost is little enough, that
//! will do: [`decode_cost_limit`] knows it from the length.
//!
//! Spec: Protocol Buffers §Encoding (Message Structure).

use crate::spec::protobuf::{
    END_GROUP, FIXED32, FIXED64, LENGTH_DELIMITED, START_GROUP, VARINT, VARINT_BYTES_LIMIT,
    WIRE_TYPE_BITS,
};

/// Messages below this are taken by their length: what they can become is small too.
pub const SCANNED_FROM: usize = 1024;
/// What one message in a list may take besides its bytes.
const ELEMENT: usize = 160;
/// What a list of one message, or a map of one entry, may take.
const FIRST_ELEMENT: usize = 2 * ELEMENT;
/// What a text may take besides its bytes.
const TEXT: usize = 64;
/// What a number may take that has a key of its own.
const NUMBER: usize = 16;
/// What a number in a packed list may take besides its bytes.
const PACKED_NUMBER: usize = 8;
/// The most that one byte can cost: two are a list of one empty message.
const DEAREST_BYTE: usize = 1 + FIRST_ELEMENT / 2;
/// How deep the scan looks into messages within messages: as deep as prost decodes them.
const DEPTH: u8 = 100;
/// What reads as so many fields reads on. Random bytes do not, and those of doubles are.
const FIELDS_AHEAD: u8 = 100;
/// How many fields and bytes are looked at once more, at the most, for each byte of a message.
const PATIENCE: usize = 2;

/// The most that a message of so many bytes can cost: every two bytes are a list of one.
#[must_use]
pub const fn decode_cost_limit(length: usize) -> usize {
    length.saturating_mul(DEAREST_BYTE)
}

/// About how many bytes of memory `message` takes decoded. At least its length, at most 161 times.
#[must_use]
pub fn decode_cost(message: &[u8]) -> usize {
    let length = message.len();
    if length < SCANNED_FROM {
        return length;
    }
    let mut scan = Scan {
        cost: length,
        patience: length.saturating_mul(PATIENCE),
    };
    // What is no protobuf fails to decode, but only where it ceases to be.
    let _ = scan.message(message, DEPTH);
    scan.cost.min(decode_cost_limit(length))
}

struct Scan {
    cost: usize,
    /// How many fields and bytes may still be looked at once more. After that all is taken for the worst
    /// that it may be, so that no message can make a scan take long.
    patience: usize,
}

impl Scan {
    /// Counts what is in a message. `None` at the first bytes that are no field.
    fn message(&mut self, mut bytes: &[u8], depth: u8) -> Option<()> {
        let mut last_key = 0;
        let mut entries = HiddenEntries::default();
        while !bytes.is_empty() {
            let field = bytes;
            let key = take_key(&mut bytes)?;
            let is_first = key != last_key;
            last_key = key;
            let wire_type = wire_type_of(key);
            let number = match wire_type {
                VARINT => Some(take_varint(&mut bytes)?),
                LENGTH_DELIMITED => {
                    let payload = take_payload(&mut bytes)?;
                    self.payload(payload, is_first, depth);
                    None
                }
                _ if self.reads_differently(bytes, number_of(key), FIELDS_AHEAD) => {
                    self.add(field.len().saturating_mul(DEAREST_BYTE));
                    return Some(());
                }
                _ => {
                    skip_value(wire_type, &mut bytes)?;
                    None
                }
            };
            match wire_type {
                VARINT | FIXED64 | FIXED32 => self.add(NUMBER),
                START_GROUP => self.add(FIRST_ELEMENT),
                _ => {}
            }
            if entries.end_after(field.len() - bytes.len()) {
                self.add(FIRST_ELEMENT);
            }
            match number {
                // A map has no more than one entry that is empty.
                Some(0) if is_first => self.add(FIRST_ELEMENT),
                Some(length) => entries.may_end_after(length),
                None => {}
            }
        }
        Some(())
    }

    /// Counts a length-delimited field.
    fn payload(&mut self, payload: &[u8], is_first: bool, depth: u8) {
        let message = depth
            .checked_sub(1)
            .and_then(|depth| self.message(payload, depth));
        let cost = match message {
            Some(()) if is_first => FIRST_ELEMENT,
            Some(()) => ELEMENT,
            None => TEXT.saturating_add(PACKED_NUMBER * self.packed_numbers(payload)),
        };
        self.add(cost);
    }

    /// How many numbers there are in what may be a packed list of them.
    fn packed_numbers(&mut self, bytes: &[u8]) -> usize {
        if !self.looks_again_at(bytes.len()) {
            return bytes.len();
        }
        let is_in_no_text = |byte: &&u8| **byte < b' ' && !matches!(**byte, b'\t' | b'\n' | b'\r');
        // To count them all takes less time than to stop at the first.
        if bytes.iter().filter(is_in_no_text).count() == 0 || !bytes.last().is_some_and(ends_number)
        {
            return 0;
        }
        // Nobody ends a number with bits that are all zero, but for 0 itself.
        let is_none = |number: &[u8]| {
            number.len() > VARINT_BYTES_LIMIT || (number.len() > 1 && number.ends_with(&[0]))
        };
        if bytes.split_inclusive(ends_number).any(is_none) {
            return 0;
        }
        bytes.iter().filter(|byte| ends_number(byte)).count()
    }

    /// Whether what follows a key may read on as an entry of a map, and other fields behind it, if the
    /// field of the number `map` is one.
    fn reads_differently(&mut self, mut bytes: &[u8], map: u64, fields: u8) -> bool {
        let entry = take_payload(&mut bytes);
        entry.is_some_and(|entry| self.is_entry(entry)) && self.reads_on(bytes, map, fields)
    }

    /// An entry has no map in it that is not within a message.
    fn is_entry(&mut self, mut bytes: &[u8]) -> bool {
        for _ in 0..FIELDS_AHEAD {
            if bytes.is_empty() || !self.looks_again_at(1) {
                return true;
            }
            let key = take_key(&mut bytes);
            if key
                .and_then(|key| skip_value(wire_type_of(key), &mut bytes))
                .is_none()
            {
                return false;
            }
        }
        true
    }

    fn reads_on(&mut self, mut bytes: &[u8], map: u64, fields: u8) -> bool {
        let Some(fields) = fields.checked_sub(1) else {
            return true;
        };
        if bytes.is_empty() || !self.looks_again_at(1) {
            return true;
        }
        let Some(key) = take_key(&mut bytes) else {
            return false;
        };
        let wire_type = wire_type_of(key);
        if !matches!(wire_type, VARINT | LENGTH_DELIMITED) {
            if self.reads_differently(bytes, map, fields) {
                return true;
            }
            if number_of(key) == map {
                return false;
            }
        }
        skip_value(wire_type, &mut bytes).is_some() && self.reads_on(bytes, map, fields)
    }

    fn looks_again_at(&mut self, count: usize) -> bool {
        let left = self.patience.checked_sub(count);
        self.patience = left.unwrap_or(0);
        left.is_some()
    }

    fn add(&mut self, bytes: usize) {
        self.cost = self.cost.saturating_add(bytes);
    }
}

/// The places where entries that hide behind numbers would end: the bit of 1 << n is for n bytes further
/// on. What is in a longer entry costs as much as it does.
#[derive(Default)]
struct HiddenEntries(u128);

impl HiddenEntries {
    fn may_end_after(&mut self, length: u64) {
        if (1..u64::from(u128::BITS)).contains(&length) {
            self.0 |= 1 << length;
        }
    }

    /// Whether one ends at the end of a field of so many bytes. Those that began before that are none then.
    fn end_after(&mut self, length: usize) -> bool {
        if self.0 == 0 {
            return false;
        }
        let shift = u32::try_from(length).unwrap_or(u32::MAX);
        self.0 = self.0.checked_shr(shift).unwrap_or(0);
        let ends = self.0 & 1 == 1;
        if ends {
            self.0 = 0;
        }
        ends
    }
}

/// A key whose field has a number.
fn take_key(bytes: &mut &[u8]) -> Option<u64> {
    take_varint(bytes).filter(|key| number_of(*key) != 0)
}

const fn number_of(key: u64) -> u64 {
    key >> WIRE_TYPE_BITS
}

fn wire_type_of(key: u64) -> u8 {
    let [low, ..] = key.to_le_bytes();
    low & ((1 << WIRE_TYPE_BITS) - 1)
}

const fn ends_number(byte: &u8) -> bool {
    *byte < 0x80
}

fn skip_value(wire_type: u8, bytes: &mut &[u8]) -> Option<()> {
    match wire_type {
        VARINT => {
            take_varint(bytes)?;
        }
        FIXED64 => {
            take(bytes, 8)?;
        }
        LENGTH_DELIMITED => {
            take_payload(bytes)?;
        }
        // What is in a group are fields like those around it.
        START_GROUP | END_GROUP => {}
        FIXED32 => {
            take(bytes, 4)?;
        }
        // The other numbers mean nothing.
        _ => return None,
    }
    Some(())
}

fn take_payload<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_varint(bytes)?).ok()?;
    take(bytes, length)
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

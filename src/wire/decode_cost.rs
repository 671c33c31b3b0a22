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
//!  a text in a list             96   24, of which a list of one has room for four
//!  a number with a key          16   8 in a list, which has room for up to twice as many
//!  a number in a packed list     8   the same
//! ```
//!
//! The scan knows no schema. What reads as fields is taken for a message, and what comes after a field of
//! another number for the first in a list. What else reads as numbers, and has bytes that no text has, is
//! taken for a packed list. What comes before bytes that are no field counts as well: it is decoded before
//! they are found. So does a text that reads as fields by chance, as that of one letter a thousand times may.
//!
//! Most messages cost less than this says. Those of types of up to 160 bytes, and maps whose keys and values
//! take up to 136 together (56 in a `BTreeMap`), cost at most twice as much. Two things cannot be told
//! without the schema: how large a larger type is whose messages come all but empty, and which text is a
//! packed list. A list that is made to look like text takes up to sixteen times its bytes.
//!
//! prost takes the entries of a map for length-delimited whatever their keys say, so that they may hide.
//! What follows a number may be an entry of that length. It reads as the same fields either way, and is
//! an entry if one of them ends where it would. What follows a key of another wire type does not: as an
//! entry it has other fields, and so has all that comes behind it. If that can be read to the end, it
//! counts as the most that it can be.
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
const TEXT: usize = 96;
/// What a number may take that has a key of its own.
const NUMBER: usize = 16;
/// What a number in a packed list may take besides its bytes.
const PACKED_NUMBER: usize = 8;
/// The most that one byte can cost: two are a list of one empty message.
const DEAREST_BYTE: usize = 1 + FIRST_ELEMENT / 2;
/// How deep the scan looks into messages within messages: as deep as prost decodes them.
const DEPTH: u8 = 100;

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
        patience: length,
    };
    let level = Level {
        group: 0,
        depth: DEPTH,
    };
    // What is no protobuf fails to decode, but only where it ceases to be.
    let _ = scan.fields(&mut &*message, level);
    scan.cost.min(decode_cost_limit(length))
}

struct Scan {
    cost: usize,
    /// How many fields may still be looked at once more. After that all is taken for the worst that it may
    /// be, so that no message can make a scan take long.
    patience: usize,
}

/// Another way to read fields: those of this number are the entries of a map. Those of others may be.
#[derive(Clone, Copy)]
struct Search {
    map: u64,
    /// As in [`Level`].
    group: u64,
}

/// What the fields that are read are part of.
#[derive(Clone, Copy)]
struct Level {
    /// The number of the group, 0 if they are those of a message.
    group: u64,
    /// How many messages may lie in each other here.
    depth: u8,
}

impl Scan {
    /// Counts what is in a message, or up to the end of a group. `None` at the first bytes that are no field.
    fn fields(&mut self, bytes: &mut &[u8], level: Level) -> Option<()> {
        let mut last_key = 0;
        let mut entries = HiddenEntries::default();
        while !bytes.is_empty() {
            let field = *bytes;
            let key = take_key(bytes)?;
            let is_first = key != last_key;
            last_key = key;
            let element = if is_first { FIRST_ELEMENT } else { ELEMENT };
            let mut number = None;
            match wire_type_of(key) {
                VARINT => {
                    number = Some(take_varint(bytes)?);
                    self.add(NUMBER);
                }
                LENGTH_DELIMITED => {
                    let payload = take_payload(bytes)?;
                    self.payload(payload, element, level.depth);
                }
                END_GROUP if level.group != 0 => {
                    return (number_of(key) == level.group).then_some(());
                }
                // Had it been an entry of a map, so would have been the one before.
                _ if is_first && self.reads_differently(bytes, number_of(key), level.group) => {
                    self.add(field.len().saturating_mul(DEAREST_BYTE));
                    *bytes = &[];
                    return Some(());
                }
                START_GROUP => {
                    let (group, depth) = (number_of(key), level.depth.checked_sub(1)?);
                    let group = Level { group, depth };
                    self.fields(bytes, group)?;
                    self.add(element);
                }
                wire_type => {
                    take_fixed(wire_type, bytes)?;
                    self.add(NUMBER);
                }
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
        (level.group == 0).then_some(())
    }

    /// Counts a length-delimited field, which costs so much if it is a message.
    fn payload(&mut self, payload: &[u8], element: usize, depth: u8) {
        let message = depth
            .checked_sub(1)
            .and_then(|depth| self.fields(&mut &*payload, Level { group: 0, depth }));
        let cost = match message {
            Some(()) => element,
            None => TEXT.saturating_add(PACKED_NUMBER * self.packed_numbers(payload)),
        };
        self.add(cost);
    }

    /// How many numbers there are in what may be a packed list of them.
    fn packed_numbers(&mut self, bytes: &[u8]) -> usize {
        // Two bytes take as long as a field.
        let Some(patience) = self.patience.checked_sub(bytes.len() / 2) else {
            return bytes.len();
        };
        self.patience = patience;
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

    fn add(&mut self, bytes: usize) {
        self.cost = self.cost.saturating_add(bytes);
    }
}

/// The search for another way to read what is left of a message, or of a group.
impl Scan {
    /// Whether there is one in which these bytes begin with an entry of a map, which has this number.
    fn reads_differently(&mut self, bytes: &[u8], number: u64, group: u64) -> bool {
        // Mostly there is not even a length.
        if take_payload(&mut &*bytes).is_none() {
            return false;
        }
        let search = Search { map: number, group };
        self.reads_as_entry(bytes, search, DEPTH) || self.patience == 0
    }

    fn reads_as_entry(&mut self, mut bytes: &[u8], search: Search, depth: u8) -> bool {
        // So many entries in a row are no chance.
        let Some(depth) = depth.checked_sub(1) else {
            return true;
        };
        // An entry has a map at most within a message.
        take_payload(&mut bytes)
            .is_some_and(|mut entry| self.skip_fields(&mut entry, 0, DEPTH).is_some())
            && self.reads_on(bytes, search, depth)
    }

    fn reads_on(&mut self, mut bytes: &[u8], search: Search, depth: u8) -> bool {
        let Search { map, group } = search;
        while !bytes.is_empty() {
            let key = self.look_again().and_then(|()| take_key(&mut bytes));
            let Some(key) = key else {
                return false;
            };
            let (number, wire_type) = (number_of(key), wire_type_of(key));
            if wire_type == END_GROUP && group != 0 {
                return number == group;
            }
            if !matches!(wire_type, VARINT | LENGTH_DELIMITED) {
                if self.reads_as_entry(bytes, search, depth) {
                    return true;
                }
                if number == map {
                    return false;
                }
            }
            if wire_type == START_GROUP {
                return self.reads_as_group(bytes, number, depth);
            }
            if self.skip_value(key, &mut bytes, DEPTH).is_none() {
                return false;
            }
        }
        group == 0
    }

    /// A group that has an end is taken for one, whatever comes behind it.
    fn reads_as_group(&mut self, bytes: &[u8], group: u64, depth: u8) -> bool {
        let search = Search { map: 0, group };
        depth
            .checked_sub(1)
            .is_none_or(|depth| self.reads_on(bytes, search, depth))
    }

    /// To the end of a message, or behind the end of this group.
    fn skip_fields(&mut self, bytes: &mut &[u8], group: u64, depth: u8) -> Option<()> {
        while !bytes.is_empty() {
            self.look_again()?;
            let key = take_key(bytes)?;
            if wire_type_of(key) == END_GROUP {
                return (number_of(key) == group).then_some(());
            }
            self.skip_value(key, bytes, depth)?;
        }
        (group == 0).then_some(())
    }

    fn skip_value(&mut self, key: u64, bytes: &mut &[u8], depth: u8) -> Option<()> {
        match wire_type_of(key) {
            VARINT => take_varint(bytes).map(drop),
            LENGTH_DELIMITED => take_payload(bytes).map(drop),
            START_GROUP => self.skip_fields(bytes, number_of(key), depth.checked_sub(1)?),
            wire_type => take_fixed(wire_type, bytes),
        }
    }

    fn look_again(&mut self) -> Option<()> {
        self.patience = self.patience.checked_sub(1)?;
        Some(())
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

fn take_fixed(wire_type: u8, bytes: &mut &[u8]) -> Option<()> {
    let length = match wire_type {
        FIXED64 => 8,
        FIXED32 => 4,
        // The other numbers mean nothing, or not here.
        _ => return None,
    };
    take(bytes, length).map(drop)
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

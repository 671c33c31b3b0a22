//! Wire types: the low three bits of a protobuf field's key, which say how its value ends.
//!
//! ```text
//!  key = field number << 3 | wire type, as a varint
//! ```
//!
//! Spec: Protocol Buffers §Encoding (Message Structure).

/// A varint: seven bits a byte, least significant first, the high bit set on all but the last.
pub const VARINT: u8 = 0;
/// Eight bytes, little-endian: `fixed64`, `sfixed64`, `double`.
pub const FIXED64: u8 = 1;
/// A varint length and that many bytes: strings, bytes, messages, packed lists.
pub const LENGTH_DELIMITED: u8 = 2;
/// The start of a group, a form that proto3 no longer has.
pub const START_GROUP: u8 = 3;
/// The end of a group.
pub const END_GROUP: u8 = 4;
/// Four bytes, little-endian: `fixed32`, `sfixed32`, `float`.
pub const FIXED32: u8 = 5;

/// How many low bits of a key are the wire type.
pub const WIRE_TYPE_BITS: u32 = 3;
/// The most bytes a varint of 64 bits takes.
pub const VARINT_BYTES_LIMIT: usize = 10;

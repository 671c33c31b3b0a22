//! Status-Details: more about a failure than a code and a text.
//!
//! `grpc-status-details-bin` holds a serialized message, in base64:
//!
//! ```text
//!  google.rpc.Status { int32 code = 1; string message = 2; repeated Any details = 3; }
//! ```
//!
//! The code in it must not contradict `grpc-status`. When it does, the plain field holds and the
//! details are dropped: they speak of some other failure. grpc-go makes such a call INTERNAL,
//! others do not look. Details that cannot be read are dropped too; the status remains.
//!
//! To find the code only field keys and lengths are read; no message type is needed for that.
//!
//! Spec: gRPC-HTTP2 §Responses (Status-Details), Protocol Buffers §Encoding.

use bytes::Bytes;
use http::HeaderMap;

use crate::spec::grpc::{STATUS_DETAILS, STATUS_DETAILS_CODE_FIELD};
use crate::spec::protobuf::{
    FIXED32, FIXED64, LENGTH_DELIMITED, VARINT, VARINT_BYTES_LIMIT, WIRE_TYPE_BITS,
};
use crate::wire::metadata::decode_parts;
use crate::wire::status::Code;

/// The details in trailers, if there are any that go with the code.
pub(super) fn read_details(trailers: &HeaderMap, code: Code) -> Option<Bytes> {
    let mut values = trailers
        .get_all(STATUS_DETAILS)
        .into_iter()
        .flat_map(decode_parts);
    // Of two, neither can be trusted, though only one can be read.
    let (Some(Some(details)), None) = (values.next(), values.next()) else {
        return None;
    };
    details_agree(&details, code).then_some(details)
}

/// Whether details are a `google.rpc.Status` that names this code, or none at all.
#[must_use]
pub fn details_agree(details: &[u8], code: Code) -> bool {
    let mut named = None;
    let mut rest = details;
    while !rest.is_empty() {
        let Some((field, value)) = take_field(&mut rest) else {
            return false;
        };
        if field == STATUS_DETAILS_CODE_FIELD {
            named = value;
        }
    }
    // proto3 leaves out a field that is zero, so no code and the code 0 say the same: nothing.
    matches!(named, None | Some(0)) || named == Some(u64::from(code.number()))
}

/// Takes one field: its number, and its value if that is a varint. `None` if it is damaged.
fn take_field(rest: &mut &[u8]) -> Option<(u64, Option<u64>)> {
    let key = take_varint(rest)?;
    let wire_type = u8::try_from(key & ((1 << WIRE_TYPE_BITS) - 1)).ok()?;
    let mut varint = None;
    let length = match wire_type {
        VARINT => {
            varint = Some(take_varint(rest)?);
            0
        }
        FIXED64 => 8,
        LENGTH_DELIMITED => usize::try_from(take_varint(rest)?).ok()?,
        FIXED32 => 4,
        _ => return None,
    };
    *rest = rest.get(length..)?;
    Some((key >> WIRE_TYPE_BITS, varint))
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number: u64 = 0;
    for place in 0..VARINT_BYTES_LIMIT {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        let shift = u32::try_from(place * 7).ok()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

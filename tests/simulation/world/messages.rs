//! What messages say: which call they are of, which way they go, and which of them they are.

/// Which way a message goes.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    Request,
    Reply,
}

/// A message of this length. Two of them differ, if they are long enough to.
pub fn message(call: usize, way: Way, index: usize, length: usize) -> Vec<u8> {
    let head = match way {
        Way::Request => format!("{call}>{index}:"),
        Way::Reply => format!("{call}<{index}:"),
    };
    let mut message = head.into_bytes();
    message.truncate(length);
    let start = (call * 31 + index * 7) % PATTERN.len();
    while message.len() < length {
        let from = (start + message.len()) % PATTERN.len();
        let rest = &PATTERN[from..];
        message.extend_from_slice(&rest[..rest.len().min(length - message.len())]);
    }
    message
}

/// Its length is a prime, so that pieces of a message in the wrong place differ.
static PATTERN: [u8; 8191] = pattern();

const fn pattern() -> [u8; 8191] {
    let mut pattern = [0; 8191];
    let mut state: u32 = 1;
    let mut at = 0;
    while at < pattern.len() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        pattern[at] = (state >> 24).to_be_bytes()[3];
        at += 1;
    }
    pattern
}

//! Messages that tell which call they belong to, and whether they are whole.
//!
//! ```text
//!  +-----------------+  +---------+  +------------------+
//!  | number, u64, BE |  | filler  |  | checksum, u64 BE |
//!  +-----------------+  +---------+  +------------------+
//! ```
//!
//! The filler follows from the number, and the checksum from both. What a network has damaged has a
//! wrong checksum. What has a right one and is not what was expected was mixed up by us.

use bytes::{BufMut, Bytes, BytesMut};

/// Why a message is not the one that was expected.
#[derive(Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not what its writer wrote.
    Damaged,
    /// It is a message of another call.
    Another,
}

/// The message of this number with a filler of this length.
pub fn seal(number: u64, filler: usize) -> Bytes {
    let mut message = BytesMut::with_capacity(filler + 16);
    message.put_u64(number);
    let mut chance = Chance(number);
    for _ in 0..filler {
        message.put_u8(chance.next().to_be_bytes()[0]);
    }
    let checksum = checksum(&message);
    message.put_u64(checksum);
    message.freeze()
}

/// The number of a message, if it is whole.
pub fn number_of(message: &[u8]) -> Option<u64> {
    let (content, sum) = message.split_last_chunk::<8>()?;
    let whole = u64::from_be_bytes(*sum) == checksum(content);
    let number = content.first_chunk::<8>().filter(|_| whole)?;
    Some(u64::from_be_bytes(*number))
}

/// Whether `message` is the one that `seal` makes.
pub fn check(message: &[u8], number: u64, filler: usize) -> Result<(), Wrong> {
    match number_of(message) {
        None => Err(Wrong::Damaged),
        Some(_) if message == seal(number, filler) => Ok(()),
        Some(_) => Err(Wrong::Another),
    }
}

/// FNV-1a.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Numbers that follow from a seed: splitmix64.
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of those below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

//! Chance, for what tutorials draw lots about.

use std::hash::{BuildHasher, RandomState};

/// Another number each time, zero included. Seeded by the system for hash maps; random enough for a
/// tutorial.
pub(super) fn random() -> u16 {
    let [.., high, low] = RandomState::new().hash_one(()).to_be_bytes();
    u16::from_be_bytes([high, low])
}

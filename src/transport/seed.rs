//! Where chance begins: jitter, shuffled addresses, whom to ask.
//!
//! Nobody can foresee it, unless a test wants to see the same run twice.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

thread_local! {
    /// The seed that is given out next, where a test has chosen one.
    static FORESEEN: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Has all chance that begins in this thread from now on begin with `seed`: a channel or a server that
/// is made here does the same in each run. It is meant for tests that stop tokio's clock, on a runtime
/// of one thread.
pub fn foresee(seed: u64) {
    FORESEEN.set(Some(seed));
}

/// A seed for one generator.
pub(crate) fn seed() -> u64 {
    match FORESEEN.get() {
        Some(seed) => {
            FORESEEN.set(Some(seed.wrapping_add(1)));
            seed
        }
        // The system seeds the hash maps of the standard library.
        None => RandomState::new().hash_one(()),
    }
}

//! Where choices come from: a seed, or the bytes of a fuzzer.

use std::collections::VecDeque;

/// Makes choices. The same seed, or the same bytes, make the same ones.
pub struct Chance {
    source: Source,
    /// What messages may yet weigh together.
    weight: usize,
}

/// A fuzzer learns more from many light runs than from few heavy ones. This is enough for one of the largest
/// messages, or for two streams of more than a small window each.
const LIGHT: usize = 320_000;

enum Source {
    Seed(u64),
    Bytes(VecDeque<u8>),
}

impl Chance {
    pub fn seeded(seed: u64) -> Self {
        // Seeds that follow one another begin far apart. No seed is 0.
        let state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        Self {
            source: Source::Seed(state),
            weight: usize::MAX,
        }
    }

    /// When the bytes are used up, the first choice is always taken.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self {
            source: Source::Bytes(bytes.iter().copied().collect()),
            weight: LIGHT,
        }
    }

    /// Whether a run may move so many bytes more. If so, they are taken for moved.
    pub fn affords(&mut self, bytes: usize) -> bool {
        let left = self.weight.checked_sub(bytes);
        self.weight = left.unwrap_or(self.weight);
        left.is_some()
    }

    /// No choice is left.
    pub fn is_spent(&self) -> bool {
        matches!(&self.source, Source::Bytes(bytes) if bytes.is_empty())
    }

    /// A number from 0 up to `limit`, which is not among them.
    pub fn below(&mut self, limit: usize) -> usize {
        let number = match &mut self.source {
            Source::Seed(state) => {
                // xorshift64*
                *state ^= *state >> 12;
                *state ^= *state << 25;
                *state ^= *state >> 27;
                usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap()
            }
            Source::Bytes(bytes) => {
                let low = usize::from(bytes.pop_front().unwrap_or(0));
                match limit {
                    0..=256 => low,
                    _ => low + (usize::from(bytes.pop_front().unwrap_or(0)) << 8),
                }
            }
        };
        number % limit.max(1)
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }

    /// One of them.
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub fn maybe<T>(&mut self, times: usize, thing: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(times).then(|| thing(self))
    }
}

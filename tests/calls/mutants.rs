//! The inputs of the fuzz target `server_bytes`, and what chance makes of them.

use std::fs;
use std::path::Path;

use crate::chance::Chance;

/// The inputs: a byte for how it is said, then what follows the preface.
pub fn inputs() -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/server_bytes");
    let mut paths: Vec<_> = fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // In an order that all systems share.
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Frames that are cut, doubled, mixed, or differ in a byte.
pub fn mutate(input: &mut Vec<u8>, inputs: &[Vec<u8>], chance: &mut Chance) {
    let at = chance.below(input.len() + 1);
    match chance.below(6) {
        0 => input.truncate(at),
        1 => input
            .splice(at..at, chance.of(inputs).iter().skip(1).copied())
            .for_each(drop),
        2 => {
            let piece: Vec<u8> = input.drain(at..).take(chance.below(40)).collect();
            input.extend(piece.repeat(1 + chance.below(20)));
        }
        3 => input.extend(chance.of(inputs).iter().skip(1)),
        _ => {
            if let Some(byte) = input.get_mut(at) {
                let bit = 1 << chance.below(8);
                *byte = *chance.of(&[*byte ^ bit, 0, 1, 0x7f, 0x80, 0xff]);
            }
        }
    }
}

//! The inputs of the fuzz target `service_config`, replayed, and what chance makes of them.

use std::fs;
use std::path::Path;

use crate::inside::random::Random;
use crate::service_config_oracle::service_config;

fn inputs() -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/service_config");
    let mut paths: Vec<_> = fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // In an order that all systems share.
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn every_input_of_service_config_holds() {
    let inputs = inputs();
    assert!(inputs.len() >= 10, "{} inputs", inputs.len());
    for input in inputs {
        println!("{}", input.escape_ascii());
        service_config(&input);
    }
}

#[test]
fn what_is_made_of_the_inputs_by_chance_holds() {
    let inputs = inputs();
    let random = Random::seeded(0x5eed);
    for _ in 0..20_000 {
        let mut input = inputs[random.below(inputs.len())].clone();
        for _ in 0..=random.below(3) {
            mutate(&mut input, &random);
        }
        println!("{}", input.escape_ascii());
        service_config(&input);
    }
}

/// One piece of JSON becomes another.
fn mutate(input: &mut Vec<u8>, random: &Random) {
    const PIECES: [&str; 18] = [
        "null",
        "true",
        "{}",
        "[]",
        "0",
        "1",
        "-1",
        "1.5",
        "1e400",
        "4294967296",
        "\"\"",
        "\"1s\"",
        "\"OK\"",
        "14",
        "\"unavailable\"",
        ",",
        ":",
        "}",
    ];
    // Where a value may begin or end.
    let ends: Vec<usize> = (0..=input.len())
        .filter(|end| input.get(*end).is_none_or(|byte| b" ,:[]{}".contains(byte)))
        .collect();
    let start = ends[random.below(ends.len())];
    let end = start + random.below(input.len() - start + 1).min(random.below(12));
    let piece = PIECES[random.below(PIECES.len())];
    input.splice(start..end, piece.bytes());
}

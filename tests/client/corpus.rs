//! The inputs of the fuzz targets that need a client, replayed, and what chance makes of service configs.

use std::fs;
use std::path::Path;

use crate::address_oracles::{target, tunnel};
use crate::client_oracle::client_bytes;
use crate::inside::random::Random;
use crate::meter_oracle::meter;
use crate::service_config_oracle::service_config;

fn inputs(name: &str) -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let corpus = corpus.join(name);
    let mut paths: Vec<_> = fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // In an order that all systems share.
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn replay(name: &str, oracle: fn(&[u8])) {
    let inputs = inputs(name);
    assert!(inputs.len() >= 10, "{} inputs", inputs.len());
    for input in inputs {
        println!("{}", input.escape_ascii());
        oracle(&input);
    }
}

#[test]
fn every_input_of_client_bytes_holds() {
    replay("client_bytes", client_bytes);
}

#[test]
fn every_input_of_meter_holds() {
    replay("meter", meter);
}

#[test]
fn every_input_of_service_config_holds() {
    replay("service_config", service_config);
}

#[cfg(all(feature = "health", feature = "reflection"))]
#[test]
fn every_input_of_services_holds() {
    replay("services", crate::services_oracle::services);
}

#[test]
fn every_input_of_target_holds() {
    replay("target", target);
}

#[test]
fn every_input_of_tunnel_holds() {
    replay("tunnel", tunnel);
}

#[test]
fn what_is_made_of_the_inputs_by_chance_holds() {
    let inputs = inputs("service_config");
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

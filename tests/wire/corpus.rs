//! The inputs of the fuzz targets, replayed: `fuzz/corpus/<target>/` against `fuzz/oracles.rs`.

use std::fs;
use std::path::Path;

use barewire::wire::{AcceptEncoding, Encoding};

use crate::oracles::TARGETS;

#[test]
fn every_input_of_the_fuzz_targets_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let readable = AcceptEncoding::SUPPORTED.contains(Encoding::Gzip);
    for (target, oracle) in TARGETS
        .into_iter()
        .filter(|(name, _)| readable || *name != "gzip_message")
    {
        let inputs = fs::read_dir(corpus.join(target)).expect(target);
        let mut count = 0;
        for input in inputs {
            let path = input.unwrap().path();
            println!("{}", path.display());
            oracle(&fs::read(path).unwrap());
            count += 1;
        }
        assert!(count >= 5, "{target} has only {count} inputs");
    }
}

#[test]
fn every_target_has_a_program() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut names: Vec<_> = fs::read_dir(programs)
        .unwrap()
        .map(|program| {
            program
                .unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    names.sort();
    let mut targets = TARGETS.map(|(target, _)| target).to_vec();
    // These need a server or a client; `tests/calls` and `tests/client` replay them.
    targets.extend(["server_bytes", "service_config"]);
    targets.sort_unstable();
    assert_eq!(names, targets);
}

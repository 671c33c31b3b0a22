//! The inputs of the fuzz targets, replayed: `fuzz/corpus/<target>/` against `fuzz/oracles.rs` and
//! `fuzz/message_oracles.rs`.

use std::fs;
use std::path::Path;

use barewire::wire::{AcceptEncoding, Encoding};

use crate::{message_oracles, oracles};

/// The targets that take one function of the grammar each.
fn targets() -> impl Iterator<Item = (&'static str, fn(&[u8]))> {
    oracles::TARGETS.into_iter().chain(message_oracles::TARGETS)
}

#[test]
fn every_input_of_the_fuzz_targets_holds() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let readable = AcceptEncoding::SUPPORTED.contains(Encoding::Gzip);
    let compressed = ["gzip_message", "frame_roundtrip", "status_trailers"];
    for (target, oracle) in targets().filter(|(name, _)| readable || !compressed.contains(name)) {
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
    let mut targets: Vec<_> = targets().map(|(target, _)| target).collect();
    // These need a server or a client; `tests/calls`, `tests/client` and `tests/simulation` replay them.
    targets.extend(["client_bytes", "meter", "ops", "server_bytes"]);
    targets.extend(["service_config", "services", "target", "tunnel"]);
    targets.sort_unstable();
    assert_eq!(names, targets);
}

/// A clone of the repository brings them along, and each run of the tests reads them.
#[test]
fn corpora_are_small() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for corpus in fs::read_dir(corpora).unwrap() {
        let path = corpus.unwrap().path();
        let sizes = fs::read_dir(&path)
            .unwrap()
            .map(|input| input.unwrap().metadata().unwrap().len());
        let sizes: Vec<u64> = sizes.collect();
        let (count, bytes) = (sizes.len(), sizes.iter().sum::<u64>());
        assert!(
            count <= 100 && bytes <= 100 * 1024,
            "{} has {count} inputs of {bytes} bytes",
            path.display()
        );
    }
}

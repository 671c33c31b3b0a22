//! What the package costs its users, and what it must not fall behind.

#![allow(clippy::expect_used, clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::process::Command;

/// Crates that a user of `features` compiles, this one included.
fn crates_of(features: &str) -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree", "--edges", "normal", "--prefix", "none", "--format", "{p}",
        ])
        .args(["--no-default-features", "--features", features])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .output()
        .expect("cargo tree runs");
    let error = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "cargo tree failed: {error}");
    let text = String::from_utf8(tree.stdout).expect("cargo tree prints UTF-8");
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            Some(format!("{} {}", words.next()?, words.next()?))
        })
        .collect()
}

#[test]
fn server_and_client_cost_at_most_45_crates() {
    let crates = crates_of("server,client");
    assert!(crates.len() <= 45, "{} crates: {crates:#?}", crates.len());
}

#[test]
fn everything_that_a_library_user_can_have_costs_at_most_62_crates() {
    let crates = crates_of("server,client,tls,gzip,health,reflection");
    assert!(crates.len() <= 62, "{} crates: {crates:#?}", crates.len());
}

#[test]
fn no_feature_brings_tonic_tower_or_hyper() {
    let crates = crates_of("cli");
    for name in ["tonic", "tower", "hyper", "openssl", "aws-lc-rs"] {
        let found = crates
            .iter()
            .find(|line| line.split(' ').next() == Some(name));
        assert_eq!(found, None, "{name} is among the crates of the command");
    }
}

#[test]
#[rustfmt::skip]
fn the_locked_versions_have_the_fixes_that_we_rely_on() {
    let least = [
        ("h2",     [0, 4, 20]),  // lost data and wake-ups around resets before
        ("rustls", [0, 23, 45]),
        ("prost",  [0, 14, 0]),
    ];
    let lock = include_str!("../Cargo.lock");
    for (name, least) in least {
        let entry = format!("name = \"{name}\"\nversion = \"");
        let (_, rest) = lock.split_once(&entry).expect(name);
        let (version, _) = rest.split_once('"').expect(name);
        let found: Vec<u64> = version.split('.').map(|part| part.parse().expect(name)).collect();
        assert!(found >= least.to_vec(), "{name} is locked at {version}, needed is {least:?}");
    }
}

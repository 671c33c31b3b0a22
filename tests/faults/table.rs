//! The table of `main.rs` is as it says: rows in order, tests that there are, and no test left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A row of the table: its name, and its tests.
struct Row {
    name: String,
    tests: Vec<String>,
}

fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn rows() -> Vec<Row> {
    let source = fs::read_to_string(tests_folder().join("faults/main.rs")).unwrap();
    let lines = source
        .lines()
        .filter_map(|line| line.strip_prefix("//! | "));
    let rows = lines.filter_map(|line| {
        let cells: Vec<&str> = line.trim_end_matches('|').split(" | ").collect();
        let [name, _, _, tests] = cells[..] else {
            panic!("a row of {} cells: {line}", cells.len());
        };
        let tests = tests.split('`').filter(|test| test.contains("::"));
        (name != "row").then(|| Row {
            name: name.to_owned(),
            tests: tests.map(str::to_owned).collect(),
        })
    });
    rows.collect()
}

/// The names of a file's tests.
fn tests_in(file: &Path) -> BTreeSet<String> {
    let source = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file:?}: {error}"));
    let mut found = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines() {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            let name = rest.split('(').next().unwrap();
            found.insert(name.to_owned());
            is_test = false;
        } else if !line.starts_with("#[") {
            is_test = false;
        }
    }
    found
}

#[test]
fn every_row_has_its_tests_and_they_are_there() {
    for Row { name, tests } in rows() {
        let own = tests.iter().filter(|test| {
            let (_, test) = test.rsplit_once("::").unwrap();
            test.starts_with(&format!("{name}_"))
        });
        assert!(own.count() > 0, "{name} has no test of its name");
        for test in tests {
            let parts: Vec<&str> = test.split("::").collect();
            let (file, function) = match parts[..] {
                [module, function] => (format!("faults/{module}.rs"), function),
                [suite, module, function] => (format!("{suite}/{module}.rs"), function),
                _ => panic!("{test} is neither module::test nor suite::module::test"),
            };
            let file = tests_folder().join(file);
            assert!(
                tests_in(&file).contains(function),
                "{name}: there is no {test}"
            );
        }
    }
}

#[test]
fn the_rows_are_in_order_and_none_is_missing() {
    let names: Vec<String> = rows().into_iter().map(|row| row.name).collect();
    let faults = (1..=25).map(|number| format!("f{number:02}"));
    let sums = (1..=3).map(|number| format!("s{number}"));
    assert_eq!(names, faults.chain(sums).collect::<Vec<_>>());
}

#[test]
fn every_test_of_a_row_is_in_the_table() {
    let listed: BTreeSet<String> = rows().into_iter().flat_map(|row| row.tests).collect();
    let mut count = 0;
    for entry in fs::read_dir(tests_folder().join("faults")).unwrap() {
        let file = entry.unwrap().path();
        let module = file.file_stem().unwrap().to_str().unwrap();
        let is_of_a_row = |name: &&String| {
            let row = name.split('_').next().unwrap();
            row.starts_with(['f', 's']) && row[1..].parse::<u32>().is_ok()
        };
        for test in tests_in(&file).iter().filter(is_of_a_row) {
            count += 1;
            assert!(
                listed.contains(&format!("{module}::{test}")),
                "{module}::{test} is in no row"
            );
        }
    }
    assert!(count > 40, "{count} tests of rows");
}

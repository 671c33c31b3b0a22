//! Compiles `.proto` files in a directory of the test's own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, io};

use barewire::codegen::Options;

/// Where this package lies.
pub(crate) fn package(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A directory for one test, with an empty `proto` and an empty `out`.
pub(crate) fn scratch(test: &str) -> PathBuf {
    let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("codegen")
        .join(test);
    if scratch.exists() {
        fs::remove_dir_all(&scratch).unwrap();
    }
    fs::create_dir_all(scratch.join("proto")).unwrap();
    fs::create_dir_all(scratch.join("out")).unwrap();
    scratch
}

/// Options that write into a test's directory.
pub(crate) fn options(scratch: &Path) -> Options {
    Options {
        out_dir: Some(scratch.join("out")),
        rerun_if_changed: false,
        ..Options::default()
    }
}

/// What was written: bytes by file name.
pub(crate) type Written = BTreeMap<String, Vec<u8>>;

pub(crate) fn written(scratch: &Path) -> Written {
    let entries = fs::read_dir(scratch.join("out"))
        .unwrap()
        .map(Result::unwrap);
    let name = |entry: &fs::DirEntry| entry.file_name().into_string().unwrap();
    entries
        .map(|entry| (name(&entry), fs::read(entry.path()).unwrap()))
        .collect()
}

/// Compiles files with these names and texts, each of them asked for.
pub(crate) fn compile(test: &str, files: &[(&str, &str)]) -> io::Result<Written> {
    let names: Vec<_> = files.iter().map(|(name, _)| *name).collect();
    compile_some(test, files, &names)
}

/// Compiles files of which only some are asked for.
pub(crate) fn compile_some(
    test: &str,
    files: &[(&str, &str)],
    asked: &[&str],
) -> io::Result<Written> {
    let scratch = scratch(test);
    let includes = [scratch.join("proto")];
    for (name, text) in files {
        fs::write(includes[0].join(name), text).unwrap();
    }
    let asked: Vec<_> = asked.iter().map(|name| includes[0].join(name)).collect();
    options(&scratch).compile(&asked, &includes)?;
    Ok(written(&scratch))
}

/// The Rust of the one package of one file.
pub(crate) fn rust_of(test: &str, proto: &str) -> String {
    let mut written = compile(test, &[("test.proto", proto)]).unwrap();
    written.retain(|name, _| name.ends_with(".rs"));
    let (_, text) = written.pop_first().expect("a file of Rust");
    assert!(written.is_empty(), "one package");
    String::from_utf8(text).unwrap()
}

/// The text of the error that compiling ends with, with paths as if the test's directory were `/`.
pub(crate) fn error_of(test: &str, files: &[(&str, &str)]) -> String {
    let error = compile(test, files).expect_err("an error");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("codegen")
        .join(test);
    error.to_string().replace(place.to_str().unwrap(), "")
}

/// Compares a committed file with what is printed now, or rewrites it.
pub(crate) fn assert_committed(path: &Path, printed: &[u8]) {
    if env::var_os("BAREWIRE_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, printed).unwrap();
    }
    let committed = fs::read(path).unwrap_or_default();
    let texts = (
        String::from_utf8_lossy(&committed),
        String::from_utf8_lossy(printed),
    );
    assert!(
        committed == printed,
        "{} is not what is printed now; BAREWIRE_BLESS=1 rewrites it\n{:?}",
        path.display(),
        texts
            .0
            .lines()
            .zip(texts.1.lines())
            .find(|(committed, printed)| committed != printed),
    );
}

/// Whether a tool of the Rust toolchain is there; if not, whoever runs the tests is told.
pub(crate) fn is_installed(tool: &str) -> bool {
    let output = Command::new(tool).arg("--version").output();
    let is_installed = output.is_ok_and(|output| output.status.success());
    if !is_installed {
        println!("not tested: {tool} is not installed");
    }
    is_installed
}

/// Runs one test of this suite in a process of its own, where [`is_child`] holds.
pub(crate) fn child(test: &str, change: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        // With one it puts the name of a test before what that says.
        .env_remove("RUST_TEST_THREADS");
    change(&mut command);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

pub(crate) fn is_child() -> bool {
    env::var_os(CHILD).is_some()
}

const CHILD: &str = "BAREWIRE_TEST_CHILD";

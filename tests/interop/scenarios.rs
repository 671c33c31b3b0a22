//! Which scenarios there are: read from the Python sources, so that they can be listed without
//! Python.
//!
//! ```python
//! @scenario("plain", limit=60)
//! def chat_keeps_the_order(server):
//! ```
//!
//! Every line that begins with `@scenario` must look like the first, and the line below it like the
//! second. Anything else stops the run: nobody would miss a scenario that is not found.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::server::Setup;

/// A function in `python/scenarios/`.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// The file's name without `.py`.
    pub(crate) module: String,
    /// The function's name.
    pub(crate) function: String,
    /// The server it wants to talk to.
    pub(crate) setup: Setup,
    /// How long it may take before its process is killed.
    pub(crate) limit: Duration,
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.module, self.function)
    }
}

/// All scenarios, in the order of their files' names and of their lines.
pub(crate) fn read() -> Vec<Scenario> {
    let folder = python_folder().join("scenarios");
    let entries = fs::read_dir(&folder).expect("the folder of the scenarios can be read");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "py"));
    files.sort();
    files.iter().flat_map(|file| read_file(file)).collect()
}

/// The folder of the Python sources.
pub(crate) fn python_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/python")
}

fn read_file(path: &Path) -> Vec<Scenario> {
    let module = path
        .file_stem()
        .unwrap()
        .to_str()
        .expect("names of scenario files are ASCII");
    let source = fs::read_to_string(path).expect("a scenario file is text");
    let lines: Vec<&str> = source.lines().collect();
    let pairs = lines
        .windows(2)
        .enumerate()
        .filter(|(_, pair)| pair[0].starts_with("@scenario"));
    pairs
        .map(|(index, pair)| {
            parse(module, pair[0], pair[1]).unwrap_or_else(|problem| {
                panic!("{}:{}: {problem}", path.display(), index + 1);
            })
        })
        .collect()
}

fn parse(module: &str, mark: &str, head: &str) -> Result<Scenario, String> {
    let arguments = mark
        .strip_prefix("@scenario(")
        .and_then(|rest| rest.strip_suffix(')'))
        .ok_or_else(|| format!("{mark:?} is not @scenario(…)"))?;
    let (setup, limit) = match arguments.split_once(", limit=") {
        Some((setup, seconds)) => (
            setup,
            seconds
                .parse()
                .map_err(|_| format!("{seconds:?} is not a number"))?,
        ),
        None => (arguments, DEFAULT_LIMIT_SECONDS),
    };
    let function = head
        .strip_prefix("def ")
        .and_then(|rest| rest.strip_suffix("(server):"))
        .ok_or_else(|| format!("{head:?} is not def …(server):"))?;
    Ok(Scenario {
        module: module.to_owned(),
        function: function.to_owned(),
        setup: Setup::named(setup.trim_matches('"'))
            .ok_or_else(|| format!("{setup} is not a set-up"))?,
        limit: Duration::from_secs(limit),
    })
}

// Long enough for a busy machine, short enough to wait for.
const DEFAULT_LIMIT_SECONDS: u64 = 30;

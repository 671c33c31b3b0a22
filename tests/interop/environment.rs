//! The Python that scenarios run in: an interpreter of the machine, and below `target/` a virtual
//! environment with pinned packages and the stubs of our own `.proto` files.
//!
//! What takes time is done once, by `python/prepare.py`; this file finds an interpreter for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::scenarios::python_folder;

/// What somebody without a Python should do.
pub(crate) const INSTALL: &str = "install python3 with its venv module \
     (Debian: apt install python3 python3-venv; macOS: brew install python)";

/// An interpreter of the machine that is new enough.
pub(crate) struct Python {
    command: &'static str,
}

/// Where everything is that scenarios need.
#[derive(Clone, Debug)]
pub(crate) struct Environment {
    /// The virtual environment's interpreter.
    pub(crate) python: PathBuf,
    /// The folder of the modules that `grpc_tools.protoc` made.
    pub(crate) stubs: PathBuf,
}

impl Python {
    /// The first interpreter that is new enough. An error says what was found, [`INSTALL`] what
    /// to do about it.
    pub(crate) fn find() -> Result<Self, String> {
        let mut too_old = Vec::new();
        for command in CANDIDATES {
            match version_of(command) {
                Some(version) if version >= OLDEST => return Ok(Self { command }),
                Some((major, minor)) => too_old.push(format!("{command} is {major}.{minor}")),
                None => {}
            }
        }
        let (major, minor) = OLDEST;
        let found = if too_old.is_empty() {
            "none found".to_owned()
        } else {
            too_old.join(", ")
        };
        Err(format!(
            "Python {major}.{minor} or newer is needed, {found}"
        ))
    }

    /// Makes the virtual environment and the stubs, or finds them made.
    pub(crate) fn prepare(&self, scratch: &Path) -> Result<Environment, String> {
        let mut command = Command::new(self.command);
        command
            .arg(python_folder().join("prepare.py"))
            .arg(env!("CARGO_MANIFEST_DIR"))
            .arg(scratch);
        let output = command
            .output()
            .map_err(|error| format!("cannot run {command:?}: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!(
                "the Python environment cannot be made ({}):\n{said}",
                output.status
            ));
        }
        let answer: Value = serde_json::from_slice(&output.stdout)
            .map_err(|error| format!("prepare.py: {error}"))?;
        let path = |name: &str| {
            answer[name]
                .as_str()
                .map(PathBuf::from)
                .ok_or_else(|| format!("no {name} in {answer}"))
        };
        Ok(Environment {
            python: path("python")?,
            stubs: path("stubs")?,
        })
    }
}

fn version_of(command: &str) -> Option<(u32, u32)> {
    let script = "import sys; print('%d %d' % sys.version_info[:2])";
    let output = Command::new(command)
        .args(["-c", script])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().split_once(' ')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

// What the pinned packages ask for.
const OLDEST: (u32, u32) = (3, 10);
const CANDIDATES: [&str; 7] = [
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python3.10",
    "python",
];

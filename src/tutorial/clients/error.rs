//! Why a client does not come to the end of its walk.

use std::fmt;
use std::io;

use crate::Status;

/// Why a client does not come to the end of its walk.
#[derive(Debug)]
#[non_exhaustive]
pub enum WalkError {
    /// A call ended badly.
    Call(Status),
    /// What it answered cannot be printed.
    Print(io::Error),
}

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(status) => write!(f, "{status}"),
            Self::Print(error) => write!(f, "cannot print: {error}"),
        }
    }
}

impl std::error::Error for WalkError {}

impl From<Status> for WalkError {
    fn from(status: Status) -> Self {
        Self::Call(status)
    }
}

impl From<io::Error> for WalkError {
    fn from(error: io::Error) -> Self {
        Self::Print(error)
    }
}

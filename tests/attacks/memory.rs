//! What a process has in memory, as Linux tells it.

use std::fs;

pub const MIB: u64 = 1024 * 1024;

/// Bytes in memory.
#[derive(Clone, Copy)]
pub struct Resident {
    pub now: u64,
    /// The most there ever were.
    pub peak: u64,
}

impl Resident {
    /// What the process `pid` has; `None` where the system does not say.
    pub fn of(pid: u32) -> Option<Self> {
        if !cfg!(target_os = "linux") {
            return None;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap();
            let kilobytes = line.split_whitespace().nth(1).unwrap();
            kilobytes.parse::<u64>().unwrap() * 1024
        };
        Some(Self {
            now: field("VmRSS:"),
            peak: field("VmHWM:"),
        })
    }
}

//! Faults by the thousand: deadlines that race answers, panics among calls that go well, and requests
//! that share small windows.
//!
//! By default there are as many of each as take some seconds. `BAREWIRE_FAULTS=all` makes them as many as
//! are promised.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barewire::{
    CallRecord, Channel, ChannelConfig, ClientHttp2Config, Code, Counter, Http2Config, Request,
    Server, ServerConfig,
};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};

use crate::chance::Chance;
use crate::scene::{CANARY_METHOD, Scene, channel_to, method};
use crate::support::{PATIENCE, Probe};

/// As many as there are to be, or a part of them.
fn count(all: usize, part: usize) -> usize {
    let wants_all = std::env::var("BAREWIRE_FAULTS").is_ok_and(|value| value == "all");
    if wants_all { all } else { part }
}

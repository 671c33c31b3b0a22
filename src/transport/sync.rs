//! Locks, counters and wake-ups, under one name: `tests/loom` compiles the files that use these once
//! more, with others in their place that try all orders in which threads may come.

pub(crate) use std::sync::{Mutex, MutexGuard, atomic};

pub(crate) use tokio::sync::Notify;
#[cfg(feature = "client")]
pub(crate) use tokio::sync::Semaphore;

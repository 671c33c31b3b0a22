//! What a message is taken to cost, beside what prost allocates for it. A suite of its own: its allocator
//! counts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a test that panics has said what is wrong"
)]

use std::alloc::System;
use std::sync::{Mutex, MutexGuard, PoisonError};

use barewire::wire::decode_cost::decode_cost;
use prost::Message;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

mod hidden;
mod shapes;
mod wide;

/// The least that an estimate may be of what is allocated.
const LEAST: f64 = 0.5;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One test at a time, since what others allocate counts as well.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of memory that `M` holds beside its own, decoded from `bytes`.
fn heap_of<M: Message + Default>(bytes: &[u8]) -> usize {
    let region = Region::new(ALLOCATOR);
    let decoded = M::decode(bytes).unwrap();
    let change = region.change();
    drop(decoded);
    change.bytes_allocated - change.bytes_deallocated
}

/// Says how an estimate stands to what was allocated.
fn report(name: &str, bytes: &[u8], heap: usize) -> f64 {
    let cost = decode_cost(bytes);
    let share = cost as f64 / heap as f64;
    println!(
        "{name:<42} {:>8} {cost:>9} {heap:>9} {share:>7.2}",
        bytes.len()
    );
    share
}

//! Notices panics. One in a task goes no further than the task, so it is noticed where it begins.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs what an input asks for.
///
/// # Panics
///
/// If anything in it did, on this thread.
pub(crate) fn without_panics(run: impl FnOnce()) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICKED.set(true);
            before(info);
        }));
    });
    PANICKED.set(false);
    run();
    assert!(!PANICKED.get(), "a task panicked");
}

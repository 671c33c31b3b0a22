//! Plays a conversation on one thread, with a clock that does not wait.

use std::cell::Cell;
use std::panic;
use std::sync::Once;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::time::sleep;

thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Longer than all that a client or a server waits for by itself.
pub(crate) const AGES: Duration = Duration::from_secs(600);

/// Plays what an input asks for, and waits until all that it began has ended.
///
/// # Panics
///
/// If anything in it did, or if a task is left.
pub(crate) fn play(conversation: impl Future<Output = ()>) {
    notice_panics();
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime without sockets").block_on(async {
        conversation.await;
        sleep(AGES).await;
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    });
    assert!(!PANICKED.get(), "a task panicked");
}

/// One in a task goes no further than the task, so it is noticed where it begins.
fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICKED.set(true);
            before(info);
        }));
    });
    PANICKED.set(false);
}

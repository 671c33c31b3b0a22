//! tokio, but for its runtimes: when a test is over, nothing of what it began may be left.
//!
//! A file that says `use crate::tokio;` has its `#[tokio::test]` run here. When the body has returned
//! and its variables are dropped, the tasks that the test spawned are aborted: its servers stop, its
//! peers are gone. What runs then are tasks of barewire, and they have to end by themselves.
//!
//! On the way the library asserts that it has given back what it counted: bytes, calls, slots. A panic
//! in a task goes no further than the task, so it is noticed where it begins.
//!
//! File descriptors belong to the whole process. They are counted if `RUST_TEST_THREADS=1` has the tests
//! run one after the other.

use std::cell::RefCell;
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

pub use ::tokio::*;
use task::{AbortHandle, JoinHandle};
use time::{Instant, sleep};

/// What belongs to a connection that has ended may wait so long for a peer.
const LONGEST_FAREWELL: Duration = Duration::from_secs(20);

/// A test that is under way.
#[derive(Default)]
struct Test {
    spawned: Mutex<Vec<AbortHandle>>,
    /// What the library said when it panicked.
    panics: Mutex<Vec<String>>,
}

thread_local! {
    /// The test that this thread works for.
    static TEST: RefCell<Option<Arc<Test>>> = const { RefCell::new(None) };
}

fn with_test(act: impl FnOnce(&Test)) {
    // A thread that ends may panic too.
    let _ = TEST.try_with(|test| {
        if let Ok(test) = test.try_borrow()
            && let Some(test) = &*test
        {
            act(test);
        }
    });
}

/// As that of tokio. The task ends with the test.
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let task = ::tokio::spawn(future);
    with_test(|test| test.spawned.lock().unwrap().push(task.abort_handle()));
    task
}

/// What `#[tokio::test]` runs tests on.
pub mod runtime {
    use std::sync::Arc;

    use super::{TEST, Test, count_descriptors, notice_panics};

    /// Makes a runtime for a test.
    pub struct Builder(::tokio::runtime::Builder);

    #[allow(dead_code, reason = "each suite asks for some of it")]
    impl Builder {
        pub fn new_current_thread() -> Self {
            Self(::tokio::runtime::Builder::new_current_thread())
        }

        pub fn new_multi_thread() -> Self {
            Self(::tokio::runtime::Builder::new_multi_thread())
        }

        pub fn worker_threads(mut self, count: usize) -> Self {
            self.0.worker_threads(count);
            self
        }

        pub fn start_paused(mut self, paused: bool) -> Self {
            self.0.start_paused(paused);
            self
        }

        pub fn enable_all(mut self) -> Self {
            self.0.enable_all();
            self
        }

        pub fn build(mut self) -> std::io::Result<Runtime> {
            notice_panics();
            let test = Arc::new(Test::default());
            let workers = Arc::clone(&test);
            self.0
                .on_thread_start(move || TEST.set(Some(Arc::clone(&workers))));
            TEST.set(Some(Arc::clone(&test)));
            let runtime = self.0.build()?;
            Ok(Runtime { runtime, test })
        }
    }

    /// The runtime of a test.
    pub struct Runtime {
        runtime: ::tokio::runtime::Runtime,
        test: Arc<Test>,
    }

    impl Runtime {
        /// Runs a test.
        ///
        /// # Panics
        ///
        /// As the test does; or because something is left of it.
        pub fn block_on<F: Future>(self, body: F) -> F::Output {
            let descriptors = count_descriptors();
            let output = self.runtime.block_on(body);
            self.runtime.block_on(self.test.ends(descriptors));
            output
        }
    }
}

impl Test {
    /// Nothing is left but so many descriptors.
    async fn ends(&self, descriptors: Option<usize>) {
        let runtime = ::tokio::runtime::Handle::current();
        let end = Instant::now() + LONGEST_FAREWELL;
        loop {
            for task in self.spawned.lock().unwrap().drain(..) {
                task.abort();
            }
            let tasks = runtime.metrics().num_alive_tasks();
            let more = count_descriptors()
                .unwrap_or(0)
                .saturating_sub(descriptors.unwrap_or(0));
            if (tasks, more) == (0, 0) {
                break;
            }
            let left = format!("{tasks} tasks of the library and {more} descriptors are left");
            assert!(Instant::now() < end, "{left}");
            // Nothing tells of the end of somebody else's task.
            sleep(Duration::from_millis(1)).await;
        }
        let panics = std::mem::take(&mut *self.panics.lock().unwrap());
        assert!(panics.is_empty(), "the library panicked: {panics:#?}");
    }
}

fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if is_of_the_library(panic) {
                with_test(|test| test.panics.lock().unwrap().push(panic.to_string()));
            }
            others(panic);
        }));
    });
}

/// Files are named from the package's folder.
fn is_of_the_library(panic: &PanicHookInfo<'_>) -> bool {
    panic
        .location()
        .is_some_and(|at| at.file().starts_with("src"))
}

/// The descriptors that the process has open, if they are to be counted.
fn count_descriptors() -> Option<usize> {
    let threads = std::env::var("RUST_TEST_THREADS").ok()?;
    let open = std::fs::read_dir("/proc/self/fd").ok()?;
    (threads == "1").then(|| open.count())
}

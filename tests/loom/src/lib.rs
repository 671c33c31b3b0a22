//! What threads share without a lock around all of it, in all orders in which they may come.
//!
//! The files of the library are compiled here once more, with [`transport::sync`] in place of its own.
//! What they need beside it is a stand-in here, and has no part in what is tried.
//!
//! | model | file | what must hold |
//! |---|---|---|
//! | `turn` | `transport/turn.rs` | a task that is woken in its turn or out of it gets another one |
//! | `gauge` | `transport/buffered.rs` | nothing is lost, and the end of the pressure is told |
//! | `wait_queue` | `transport/unsent.rs` | who waits for room goes on when there is some |
//! | `cancel_and_finish` | `transport/reply_queue.rs` | what is sent is taken or refused, and nobody waits for ever |
//! | `slots` | `transport/stream_slots.rs` | as many streams as there may be, and none is lost |
//! | `phase` | `transport/phase.rs` | each change of what a server does is seen, and its end |
//! | `drain` | `server/call_count.rs` | a drain ends with the last call |
//! | `inflight` | `call/inflight.rs` | all messages stay within the limit, and nothing is left |
//! | `pick` | `client/pick.rs` | a call that waits has a connection, or its failure |
//!
//! Not here: keepalive, whose state belongs to one task; and the outcome of a call, which lies behind
//! one lock on the client, and in one task on the server. `tests/simulation` tries those.

#![allow(dead_code, unused_imports, reason = "the library uses the rest")]

use barewire::wire;

mod transport {
    #[path = "../sync.rs"]
    pub mod sync;

    #[path = "../../../../src/transport/buffered.rs"]
    pub mod buffered;
    #[path = "../../../../src/transport/leaks.rs"]
    pub mod leaks;
    #[path = "../../../../src/transport/phase.rs"]
    pub mod phase;
    #[path = "../../../../src/transport/reply_queue.rs"]
    pub mod reply_queue;
    #[path = "../../../../src/transport/stream_slots.rs"]
    pub mod stream_slots;
    #[path = "../../../../src/transport/turn.rs"]
    pub mod turn;
    #[path = "../../../../src/transport/unsent.rs"]
    pub mod unsent;

    pub mod client_connection {
        /// As in the library.
        pub struct Load {
            pub open: usize,
            pub limit: usize,
            pub waiting: usize,
        }
    }

    pub mod counters {
        use crate::wire::WireError;

        pub use barewire::Counter;

        /// Counts nothing.
        #[derive(Clone, Debug)]
        pub struct Counters;

        impl Counters {
            pub fn count(&self, _: Counter) {}

            pub fn count_received(&self, _: &WireError) {}
        }
    }

    #[cfg(test)]
    mod tests;
}

mod call {
    #[path = "../../../../src/call/inflight.rs"]
    pub mod inflight;

    pub mod long_work {
        /// Nothing here takes long.
        #[derive(Debug)]
        pub struct LongWork;

        impl LongWork {
            pub fn new() -> Self {
                Self
            }
        }
    }

    #[cfg(test)]
    mod tests;
}

mod server {
    #[path = "../../../../src/server/call_count.rs"]
    pub mod call_count;

    #[cfg(test)]
    mod tests;
}

mod client {
    #[path = "../../../../src/client/pick.rs"]
    pub mod pick;

    pub mod connectivity {
        pub use barewire::ConnectivityState;
    }

    /// Backends with one stream each, which never ends.
    pub mod balance {
        use std::fmt;
        use std::future::pending;
        use std::sync::Arc;

        use crate::transport::sync::atomic::{AtomicBool, Ordering};

        pub trait Balancer: fmt::Debug + Send + Sync + 'static {
            fn pick(&self, call: &CallInfo<'_>, ready: &[Backend]) -> Option<usize>;
        }

        pub struct CallInfo<'a>(pub &'a str);

        #[derive(Clone)]
        pub struct Backend(pub Arc<AtomicBool>);

        /// One stream of a backend.
        pub struct Picked;

        impl Backend {
            pub fn is(&self, other: &Self) -> bool {
                Arc::ptr_eq(&self.0, &other.0)
            }

            pub fn has_room(&self) -> bool {
                !self.0.load(Ordering::SeqCst)
            }

            pub fn is_accepting(&self) -> bool {
                true
            }

            pub fn calls(&self) -> usize {
                usize::from(!self.has_room())
            }

            pub fn take(&self) -> Option<Picked> {
                (!self.0.swap(true, Ordering::SeqCst)).then_some(Picked)
            }

            pub async fn wait(&self) -> Picked {
                pending().await
            }
        }
    }

    #[cfg(test)]
    mod tests;
}

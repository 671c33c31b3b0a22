//! Messages that take long to decode: they take turns.
//!
//! Who decompresses and decodes a message of four megabytes keeps a worker of the runtime for ten
//! milliseconds or more. A hundred such tasks that are all ready hold up whoever comes behind them, and
//! the more so since a worker that always has something to do looks at its sockets only after every
//! sixty-first task. So there are at most as many under way as there are workers, and each lets those
//! go first that are ready, and those whose sockets are.
//!
//! What takes long is known before it is done: by the length of the message, and if it is compressed by
//! the first [`LONG`] bytes that come out.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::wire::{Encoding, RawMessage, WireError, compression};

/// Messages of so many bytes take long, as sent or decompressed. Below that even a message of nothing but
/// tiny fields takes no longer than two milliseconds.
pub(super) const LONG: usize = 128 * 1024;

/// Far longer than it takes to decode any message.
const LONGEST_TURN: Duration = Duration::from_secs(5);

/// Hands out turns.
#[derive(Debug)]
pub(super) struct LongWork {
    turns: Arc<Semaphore>,
    /// How many have ended.
    ended: Arc<AtomicUsize>,
}

/// The turn of one message.
pub(super) struct Turn {
    _permit: OwnedSemaphorePermit,
    ended: Arc<AtomicUsize>,
}

/// A message before it is decoded.
pub(super) enum Work {
    /// That does not take long. It is decompressed already.
    Short(Bytes),
    /// It has to wait for its turn.
    Long(RawMessage),
}

impl LongWork {
    /// As many turns at once as there are workers.
    pub(super) fn new() -> Self {
        let workers = Handle::try_current().map(|runtime| runtime.metrics().num_workers());
        Self {
            turns: Arc::new(Semaphore::new(workers.unwrap_or(1))),
            ended: Arc::default(),
        }
    }

    /// Waits for a turn, which lasts until what this yields is dropped. `None` when nobody's turn has
    /// ended for a while: a handler may ask for a message and then look at something else, with its turn
    /// in hand, and must not hold up the others for ever.
    pub(super) async fn turn(&self) -> Option<Turn> {
        let mut permit = pin!(Arc::clone(&self.turns).acquire_owned());
        let permit = loop {
            let ended = self.ended.load(Ordering::Relaxed);
            match timeout(LONGEST_TURN, permit.as_mut()).await {
                // The semaphore fails only if it was closed, which nobody does.
                Ok(permit) => break permit.ok()?,
                Err(_) if self.ended.load(Ordering::Relaxed) == ended => return None,
                // Others were first, and there were many of them.
                Err(_) => {}
            }
        };
        let turn = Turn {
            _permit: permit,
            ended: Arc::clone(&self.ended),
        };
        yield_now().await;
        Some(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }
}

impl Work {
    /// Sorts a message that came in a call whose headers announced `encoding`.
    ///
    /// # Errors
    ///
    /// As [`decompress_message`](super::message::decompress_message).
    pub(super) fn of(raw: RawMessage, encoding: Encoding, limit: usize) -> Result<Self, WireError> {
        if raw.body.len() >= LONG {
            return Ok(Self::Long(raw));
        }
        if !raw.compressed {
            return Ok(Self::Short(raw.body));
        }
        match compression::decompress(encoding, &raw.body, limit.min(LONG)) {
            Err(WireError::DecompressedTooLarge { .. }) if limit > LONG => Ok(Self::Long(raw)),
            other => other.map(Self::Short),
        }
    }
}

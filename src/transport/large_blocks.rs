//! Header blocks that are too large, known by the bytes in which they travel.
//!
//! h2 counts fields as it decodes them. From the first one that is too much it drops what comes. Of a
//! response's first block it then resets the stream; of trailers it says nothing, and what is left of
//! them may look like a success. Far too large a block ends the connection, and none of its calls is
//! told that this one was the cause.
//!
//! So the frames are looked at. A field never travels in more bytes than it counts (its name, its
//! value and 32), so that a block of more bytes than the limit is over the limit. And trailers that
//! h2 cuts to less than the limit have lost a field that is too large for the table of HPACK, so that
//! it travels in five eighths of its length at least: more bytes than the limit, if h2 takes four
//! times as much.
//!
//! Spec: RFC 9113 §6.5.2; RFC 7541 §4.1, §5.2.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::frame_scanner::FrameHead;
use crate::spec::http2::frame;

/// What frames have beside the fields in them, at most: padding with its length, and a priority.
#[cfg(feature = "client")]
const NO_FIELDS: usize = 256 + 5;

/// Streams with a header block that was too large, and the bytes of it. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct LargeBlocks(Arc<Found>);

#[derive(Default)]
struct Found {
    /// So that nobody locks for what almost never happens.
    any: AtomicBool,
    streams: Mutex<BTreeMap<u32, usize>>,
}

impl LargeBlocks {
    /// How many bytes a block of this stream had, if that was too much.
    #[cfg(feature = "client")]
    pub(super) fn take(&self, stream: u32) -> Option<usize> {
        if !self.0.any.load(Ordering::Acquire) {
            return None;
        }
        self.streams().remove(&stream)
    }

    fn put(&self, stream: u32, bytes: usize) {
        self.streams().insert(stream, bytes);
        self.0.any.store(true, Ordering::Release);
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, BTreeMap<u32, usize>> {
        let streams = self.0.streams.lock();
        streams.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds up the frames of header blocks.
pub(super) struct BlockMeasure {
    limit: usize,
    large: LargeBlocks,
    bytes: usize,
}

impl BlockMeasure {
    /// Looks for blocks with more than `limit` bytes of fields.
    #[cfg(feature = "client")]
    pub(super) fn new(limit: usize, large: LargeBlocks) -> Self {
        Self {
            limit: limit.saturating_add(NO_FIELDS),
            large,
            bytes: 0,
        }
    }

    /// A frame of a header block begins.
    pub(super) fn head(&mut self, head: FrameHead) {
        if head.kind == frame::HEADERS {
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(head.length);
        if self.bytes > self.limit {
            self.large.put(head.stream, self.bytes);
        }
    }
}

//! What a call has said so far, for its next attempt.
//!
//! ```text
//!   messages   m m m m m m m m M m m
//!   pieces    [m m m m m|m m m|M|m m …      the last one grows
//! ```
//!
//! Small messages are put together as they are said, so that they leave in one DATA frame. What an
//! attempt was handed does not grow any more: each attempt stands between two pieces.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};

use super::channel::ChannelShared;
use crate::transport::counters::Counter;

/// The most that small messages make together: what every peer takes in a DATA frame.
const PIECE_LIMIT: usize = 16 * 1024;
/// Messages above this are not copied to where others are.
const SMALL_MESSAGE: usize = 8 * 1024;

/// The messages of a call, length-prefixed, in the order in which they were said.
pub(super) struct Replay {
    channel: Arc<ChannelShared>,
    /// The first piece that is kept. Most calls have no more than that.
    first: Option<Bytes>,
    more: VecDeque<Bytes>,
    /// The piece that grows.
    growing: BytesMut,
    /// Bytes of all messages that were said.
    said_bytes: usize,
    /// Pieces that are no longer kept: the call is committed, and its attempt has them.
    dropped: usize,
    /// Bytes of those that are kept for further attempts.
    bytes: usize,
    /// Nothing is kept for further attempts: there will be none.
    committed: bool,
    /// The caller has said all.
    finished: bool,
}

impl Replay {
    pub(super) fn new(channel: Arc<ChannelShared>) -> Self {
        Self {
            channel,
            first: None,
            more: VecDeque::new(),
            growing: BytesMut::new(),
            said_bytes: 0,
            dropped: 0,
            bytes: 0,
            committed: false,
            finished: false,
        }
    }

    /// One more message was said. Takes it out of `message`.
    pub(super) fn push(&mut self, message: &mut BytesMut) {
        if message.len() > SMALL_MESSAGE {
            return self.push_apart(mem::take(message).freeze());
        }
        self.count(message.len());
        if self.growing.len() + message.len() > PIECE_LIMIT {
            self.end_piece();
        }
        // The first message gets what it needs; the second shows that more will follow.
        if self.growing.capacity() - self.growing.len() < message.len() {
            let room = if self.growing.is_empty() {
                message.len()
            } else {
                PIECE_LIMIT
            };
            self.growing.reserve(room);
        }
        self.growing.extend_from_slice(message);
        message.clear();
    }

    /// One more message was said, which is a piece by itself.
    pub(super) fn push_apart(&mut self, message: Bytes) {
        self.count(message.len());
        self.end_piece();
        self.add(message);
    }

    fn count(&mut self, length: usize) {
        if !self.committed {
            self.bytes += length;
            self.channel
                .replay_bytes
                .fetch_add(length, Ordering::Relaxed);
        }
        self.said_bytes = self.said_bytes.wrapping_add(length);
    }

    /// What is said from here on belongs to another piece.
    fn end_piece(&mut self) {
        if self.growing.is_empty() {
            return;
        }
        // The next pieces share what is left of the memory.
        let piece = if self.growing.len() == self.growing.capacity() {
            mem::take(&mut self.growing)
        } else {
            self.growing.split()
        };
        self.add(piece.freeze());
    }

    fn add(&mut self, piece: Bytes) {
        if self.first.is_none() {
            self.first = Some(piece);
        } else {
            self.more.push_back(piece);
        }
    }

    /// All was said.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// How many pieces were said.
    pub(super) fn end(&self) -> usize {
        self.dropped + self.ended_pieces() + usize::from(!self.growing.is_empty())
    }

    /// Those that are kept and do not grow.
    fn ended_pieces(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    /// How many bytes were said after the first so many.
    pub(super) fn bytes_behind(&self, bytes: usize) -> usize {
        self.said_bytes.wrapping_sub(bytes)
    }

    /// The piece of this number, if it was said and is kept. It grows no more; once the call is committed,
    /// it is not kept either.
    pub(super) fn piece(&mut self, number: usize) -> Option<Bytes> {
        let index = number.checked_sub(self.dropped)?;
        if index == self.ended_pieces() {
            self.end_piece();
        }
        match index.checked_sub(1) {
            None if self.committed => self.drop_first(),
            None => self.first.clone(),
            Some(index) => self.more.get(index).cloned(),
        }
    }

    fn drop_first(&mut self) -> Option<Bytes> {
        let first = mem::replace(&mut self.first, self.more.pop_front())?;
        self.dropped += 1;
        Some(first)
    }

    /// The request, if all of it was said and is one piece.
    pub(super) fn only(&mut self) -> Option<Bytes> {
        let alone = self.finished && self.dropped == 0 && self.end() == 1;
        if alone { self.piece(0) } else { None }
    }

    /// More was said than may be kept.
    pub(super) fn is_too_long(&self) -> bool {
        self.limit_passed().is_some()
    }

    /// Which limit keeps all that was said from being kept, if one does.
    fn limit_passed(&self) -> Option<Counter> {
        let config = &self.channel.config;
        if self.committed {
            None
        } else if self.bytes > config.retry_buffer_per_call {
            Some(Counter::RetryBufferPerCall)
        } else if self.channel.replay_bytes.load(Ordering::Relaxed)
            > config.retry_buffer_per_channel
        {
            Some(Counter::RetryBufferPerChannel)
        } else {
            None
        }
    }

    /// There will be no further attempt, and the one that is left has been handed the pieces before
    /// this number.
    pub(super) fn keep_from(&mut self, number: usize) {
        if !self.committed {
            if let Some(counter) = self.limit_passed() {
                self.channel.counters.count(counter);
            }
            self.release();
            self.committed = true;
        }
        while self.dropped < number && self.piece(self.dropped).is_some() {}
    }

    fn release(&mut self) {
        self.channel
            .replay_bytes
            .fetch_sub(self.bytes, Ordering::Relaxed);
        self.bytes = 0;
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.release();
    }
}

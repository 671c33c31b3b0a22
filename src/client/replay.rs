//! What a call has said so far, for its next attempt.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};

use super::channel::ChannelShared;
use crate::transport::counters::Counter;

/// So many bytes of small messages are sent as one: what every peer takes in a DATA frame.
const JOINED_LIMIT: usize = 16 * 1024;

/// The messages of a call, length-prefixed, in the order in which they were said.
pub(super) struct Replay {
    channel: Arc<ChannelShared>,
    /// The first that is kept. Most calls have no more than that.
    first: Option<Bytes>,
    more: VecDeque<Bytes>,
    /// Bytes of all messages that were said.
    said_bytes: usize,
    /// Messages that are no longer kept: the call is committed, and its attempt has them.
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
            said_bytes: 0,
            dropped: 0,
            bytes: 0,
            committed: false,
            finished: false,
        }
    }

    /// One more message was said.
    pub(super) fn push(&mut self, message: Bytes) {
        if !self.committed {
            self.bytes += message.len();
            self.channel
                .replay_bytes
                .fetch_add(message.len(), Ordering::Relaxed);
        }
        self.said_bytes = self.said_bytes.wrapping_add(message.len());
        if self.first.is_none() {
            self.first = Some(message);
        } else {
            self.more.push_back(message);
        }
    }

    /// All was said.
    pub(super) fn finish(&mut self) {
        self.finished = true;
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// How many messages were said.
    pub(super) fn end(&self) -> usize {
        self.dropped + usize::from(self.first.is_some()) + self.more.len()
    }

    /// How many bytes were said after the first so many.
    pub(super) fn bytes_behind(&self, bytes: usize) -> usize {
        self.said_bytes.wrapping_sub(bytes)
    }

    /// The messages from this number on, if they were said and are kept, and how many they are: the
    /// first, and those behind it as far as they fit into a DATA frame with it.
    pub(super) fn joined(&self, number: usize) -> Option<(Bytes, usize)> {
        let index = number.checked_sub(self.dropped)?;
        let kept = || self.first.iter().chain(&self.more).skip(index);
        let first = kept().next()?;
        let mut length = first.len();
        let fits = |message: &&Bytes| {
            length = length.saturating_add(message.len());
            length <= JOINED_LIMIT
        };
        let count = 1 + kept().skip(1).take_while(fits).count();
        if count == 1 {
            return Some((first.clone(), 1));
        }
        let mut bytes = BytesMut::with_capacity(length.min(JOINED_LIMIT));
        kept()
            .take(count)
            .for_each(|message| bytes.extend_from_slice(message));
        Some((bytes.freeze(), count))
    }

    /// The message of a request that consists of it alone.
    pub(super) fn only(&self) -> Option<Bytes> {
        let alone = self.dropped == 0 && self.more.is_empty() && self.finished;
        self.first.clone().filter(|_| alone)
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

    /// There will be no further attempt, and the one that is left has been handed the messages before
    /// this number.
    pub(super) fn keep_from(&mut self, number: usize) {
        if !self.committed {
            if let Some(counter) = self.limit_passed() {
                self.channel.counters.count(counter);
            }
            self.release();
            self.committed = true;
        }
        while self.dropped < number && self.first.is_some() {
            self.first = self.more.pop_front();
            self.dropped += 1;
        }
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

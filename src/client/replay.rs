//! What a call has said so far, for its next attempt.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::channel::ChannelShared;

/// The messages of a call, length-prefixed, in the order in which they were said.
pub(super) struct Replay {
    channel: Arc<ChannelShared>,
    /// The first that is kept. Most calls have no more than that.
    first: Option<Bytes>,
    more: VecDeque<Bytes>,
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

    /// The message of this number, if it was said and is kept.
    pub(super) fn get(&self, number: usize) -> Option<Bytes> {
        match number.checked_sub(self.dropped)? {
            0 => self.first.clone(),
            behind => self.more.get(behind - 1).cloned(),
        }
    }

    /// The message of a request that consists of it alone.
    pub(super) fn only(&self) -> Option<Bytes> {
        let alone = self.dropped == 0 && self.more.is_empty() && self.finished;
        self.first.clone().filter(|_| alone)
    }

    /// More was said than may be kept.
    pub(super) fn is_too_long(&self) -> bool {
        let config = &self.channel.config;
        !self.committed
            && (self.bytes > config.retry_buffer_per_call
                || self.channel.replay_bytes.load(Ordering::Relaxed)
                    > config.retry_buffer_per_channel)
    }

    /// There will be no further attempt, and the one that is left has been handed the messages before
    /// this number.
    pub(super) fn keep_from(&mut self, number: usize) {
        if !self.committed {
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

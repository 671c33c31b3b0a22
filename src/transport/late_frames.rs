//! What small DATA frames of streams that we have reset cost h2.
//!
//! h2 holds 256 bytes less its payload of each DATA frame below that size against the connection, and
//! forgives them when the payload is taken. That of a stream which was reset is thrown away, and
//! nobody ever takes it: only what larger frames have above 256 bytes is set off against it. So it
//! adds up over the life of a connection, which h2 ends when the budget is used up.
//!
//! Late are the frames behind our RST_STREAM, and those that came just before it: h2 may have thrown
//! them away as well, as it writes only when it has read all there is. As many streams are remembered
//! as h2 remembers, and for as long; once it has forgotten one, it answers RST_STREAM(STREAM_CLOSED)
//! and holds nothing against anybody.
//!
//! Spec: RFC 9113 §5.1, §6.1.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// What h2 holds against the connection for an empty frame, and the size from which on it is nothing.
pub(super) const SMALL_DATA_FRAME: usize = 256;

/// So many frames before a reset are looked at. More come only from a peer that means ill.
const FRAMES_PER_TURN: usize = 4_096;
/// An idle connection keeps room for so many.
const KEPT_FRAMES: usize = 8;

/// Streams that h2 has reset, and remembers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remembered {
    /// At most.
    pub(super) streams: usize,
    /// For so long.
    pub(super) duration: Duration,
}

/// See the module's description.
pub(super) struct LateFrames {
    remembered: Remembered,
    /// Streams that were reset lately, and before that. Together they are all that h2 remembers.
    young: BTreeSet<u32>,
    old: BTreeSet<u32>,
    young_since: Instant,
    /// There are any.
    any: bool,
    /// What the frames of a stream cost that came since h2 last wrote.
    this_turn: Vec<(u32, usize)>,
    /// What late frames have cost, or a little more.
    cost: usize,
}

impl LateFrames {
    pub(super) fn new(remembered: Remembered, now: Instant) -> Self {
        Self {
            remembered,
            young: BTreeSet::new(),
            old: BTreeSet::new(),
            young_since: now,
            any: false,
            this_turn: Vec::new(),
            cost: 0,
        }
    }

    /// What late frames have cost, or a little more.
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// A small DATA frame came that is not its stream's last, nor empty: those are counted elsewhere.
    #[inline]
    pub(super) fn received_small(&mut self, stream: u32, payload_bytes: usize, now: Instant) {
        let cost = SMALL_DATA_FRAME.saturating_sub(payload_bytes);
        if self.any && self.was_reset(stream, now) {
            self.cost = self.cost.saturating_add(cost);
        } else if self.this_turn.len() < FRAMES_PER_TURN {
            self.this_turn.push((stream, cost));
        }
    }

    /// A larger one did, which is set off against small ones.
    pub(super) fn received_large(&mut self, payload_bytes: usize) {
        if self.cost > 0 {
            let more = payload_bytes.saturating_sub(SMALL_DATA_FRAME);
            self.cost = self.cost.saturating_sub(more);
        }
    }

    /// We have reset this stream.
    pub(super) fn reset(&mut self, stream: u32, now: Instant) {
        for (_, cost) in self.this_turn.extract_if(.., |(one, _)| *one == stream) {
            self.cost = self.cost.saturating_add(cost);
        }
        if self.remembered.streams == 0 {
            return;
        }
        self.forget_old(now);
        if self.young.len() >= self.remembered.streams {
            self.grow_old(now);
        }
        if self.young.is_empty() {
            self.young_since = now;
        }
        self.young.insert(stream);
        self.any = true;
    }

    /// h2 has written all it had, and begins to read again.
    pub(super) fn turn_begins(&mut self) {
        self.this_turn.clear();
    }

    /// Gives back the memory that a busy peer made us take.
    pub(super) fn release_buffers(&mut self) {
        if self.this_turn.capacity() > KEPT_FRAMES {
            self.this_turn = Vec::new();
        }
    }

    #[cold]
    fn was_reset(&mut self, stream: u32, now: Instant) -> bool {
        self.forget_old(now);
        self.any = !(self.young.is_empty() && self.old.is_empty());
        self.young.contains(&stream) || self.old.contains(&stream)
    }

    fn forget_old(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.young_since);
        // The youngest of the young may have come just now.
        if age > self.remembered.duration {
            self.grow_old(now);
            if age > self.remembered.duration.saturating_mul(2) {
                self.old = BTreeSet::new();
            }
        }
    }

    fn grow_old(&mut self, now: Instant) {
        self.old = std::mem::take(&mut self.young);
        self.young_since = now;
    }
}

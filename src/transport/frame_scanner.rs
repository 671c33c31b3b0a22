//! Finds the frames in a stream of bytes without keeping them.
//!
//! ```text
//!  bytes 0..3      3        4        5..9               9..9+length
//!  +-------------+ +------+ +-------+ +---------------+ +---------+
//!  | length, BE  | | type | | flags | | R + stream id | | payload |
//!  +-------------+ +------+ +-------+ +---------------+ +---------+
//! ```
//!
//! The scanner is handed bytes as they pass, cut anywhere, and tells of each frame when its nine
//! bytes are known. Payloads are skipped, but for those that say something about the connection, or how
//! much of them is padding: their start is kept and told of when they are whole.
//!
//! Spec: RFC 9113 §4.1.

use crate::spec::http2::{FRAME_HEAD_LENGTH, flag, frame};

/// The nine bytes before each payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// Payload bytes.
    pub(crate) length: usize,
    /// The frame's type.
    pub(crate) kind: u8,
    /// Its flags.
    pub(crate) flags: u8,
    /// Its stream, 0 for the connection.
    pub(crate) stream: u32,
}

impl FrameHead {
    fn parse(bytes: [u8; FRAME_HEAD_LENGTH]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        let length = u32::from_be_bytes([0, l0, l1, l2]);
        Self {
            // A 24-bit number fits every usize that tokio runs on.
            length: usize::try_from(length).unwrap_or(usize::MAX),
            kind,
            flags,
            // The first bit is reserved and means nothing.
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        }
    }
}

/// What the scanner found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A frame begins.
    Head(FrameHead),
    /// The payload of such a frame has passed; this is its start, and if it is short
    /// all of it. So many bytes of those handed in follow it.
    Payload(FrameHead, &'a [u8], usize),
    /// The last byte of a header block has passed.
    BlockEnd,
}

/// Walks over the frames of one direction.
#[derive(Debug)]
pub(crate) struct FrameScanner {
    head: [u8; FRAME_HEAD_LENGTH],
    head_length: usize,
    payload_left: usize,
    kept: Option<Kept>,
    /// The payload that passes ends a header block.
    ends_block: bool,
    way: Way,
}

/// Which direction it is. What the peer says of its windows is its own affair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

#[derive(Debug)]
struct Kept {
    head: FrameHead,
    bytes: Vec<u8>,
}

impl FrameScanner {
    /// A scanner that first passes over `skip` bytes, such as the connection preface.
    pub(crate) fn after(skip: usize, way: Way) -> Self {
        Self {
            head: [0; FRAME_HEAD_LENGTH],
            head_length: 0,
            payload_left: skip,
            kept: None,
            ends_block: false,
            way,
        }
    }

    /// Looks at `bytes`, which follow those of the call before, and tells of what is in them.
    pub(crate) fn scan(&mut self, mut bytes: &[u8], mut found: impl FnMut(Found<'_>)) {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                bytes = self.pass_payload(bytes, &mut found);
                continue;
            }
            let head = match bytes.split_first_chunk::<FRAME_HEAD_LENGTH>() {
                Some((head, rest)) if self.head_length == 0 => {
                    bytes = rest;
                    *head
                }
                Some(_) | None => {
                    bytes = self.gather_head(bytes);
                    if self.head_length < FRAME_HEAD_LENGTH {
                        return;
                    }
                    self.head_length = 0;
                    self.head
                }
            };
            let head = FrameHead::parse(head);
            self.payload_left = head.length;
            found(Found::Head(head));
            self.ends_block = ends_block(head) && head.length > 0;
            if ends_block(head) && head.length == 0 {
                found(Found::BlockEnd);
            }
            if self.keeps(head) {
                if head.length == 0 {
                    found(Found::Payload(head, &[], bytes.len()));
                } else {
                    self.kept = Some(Kept {
                        head,
                        bytes: Vec::new(),
                    });
                }
            }
        }
    }

    fn keeps(&self, head: FrameHead) -> bool {
        match head.kind {
            frame::SETTINGS | frame::RST_STREAM | frame::GOAWAY => true,
            frame::DATA => head.flags & flag::PADDED != 0,
            frame::WINDOW_UPDATE => head.stream == 0 && self.way == Way::Out,
            _ => false,
        }
    }

    fn gather_head<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(free) = self.head.get_mut(self.head_length..) else {
            return &[];
        };
        let taken = free.len().min(bytes.len());
        let (now, rest) = bytes.split_at(taken);
        for (slot, byte) in free.iter_mut().zip(now) {
            *slot = *byte;
        }
        self.head_length += taken;
        rest
    }

    fn pass_payload<'a>(&mut self, bytes: &'a [u8], found: &mut impl FnMut(Found<'_>)) -> &'a [u8] {
        let taken = self.payload_left.min(bytes.len());
        let (now, rest) = bytes.split_at(taken);
        self.payload_left -= taken;
        if let Some(kept) = &mut self.kept {
            let room = KEPT_LIMIT.saturating_sub(kept.bytes.len());
            kept.bytes.extend(now.iter().take(room));
            if self.payload_left == 0 {
                found(Found::Payload(kept.head, &kept.bytes, rest.len()));
                self.kept = None;
            }
        }
        if self.ends_block && self.payload_left == 0 {
            found(Found::BlockEnd);
            self.ends_block = false;
        }
        rest
    }
}

/// So much of a payload is kept. Only the text of a GOAWAY is longer, and its start will do.
const KEPT_LIMIT: usize = 1024;

fn ends_block(head: FrameHead) -> bool {
    matches!(head.kind, frame::HEADERS | frame::CONTINUATION) && head.flags & flag::END_HEADERS != 0
}

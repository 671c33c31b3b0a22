//! Length-Prefixed-Message: five bytes, then the message.
//!
//! ```text
//!  byte 0      bytes 1..5           bytes 5..5+length
//!  +--------+  +-----------------+  +----------------+
//!  |  flag  |  | length, u32, BE |  | body           |
//!  +--------+  +-----------------+  +----------------+
//! ```
//!
//! The flag says whether the body is compressed: 0 no, 1 yes, all else is an error. The length is
//! that of the body as sent, after compression. A length of 0 is a message like any other.
//!
//! DATA frames may cut this anywhere, even inside the length, and one frame may hold many
//! messages. The [`Deframer`] takes chunks as they come and gives messages when they are whole.
//!
//! The length is the peer's word. It is checked as soon as it is known, and memory is taken for
//! bytes that came, never for bytes that were promised.
//!
//! Spec: gRPC-HTTP2 §Requests (Length-Prefixed-Message), §Data Frames.

use std::mem;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::spec::grpc::{FLAG_COMPRESSED, FLAG_PLAIN};
use crate::wire::error::WireError;

/// The length of what stands before each message.
pub const PREFIX_LENGTH: usize = 5;

/// A message as it travels: perhaps compressed, its type unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    /// Whether the body is in the coding that `grpc-encoding` names.
    pub compressed: bool,
    /// The body, without the five bytes before it.
    pub body: Bytes,
}

/// The five bytes before a message.
///
/// # Errors
///
/// [`WireError::MessageTooLarge`] if the length does not fit in 32 bits.
pub fn prefix(compressed: bool, length: usize) -> Result<[u8; PREFIX_LENGTH], WireError> {
    let Ok(length) = u32::try_from(length) else {
        let limit = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
        return Err(WireError::MessageTooLarge { length, limit });
    };
    let flag = if compressed {
        FLAG_COMPRESSED
    } else {
        FLAG_PLAIN
    };
    let [a, b, c, d] = length.to_be_bytes();
    Ok([flag, a, b, c, d])
}

/// A message with its prefix, in one piece.
///
/// # Errors
///
/// As [`prefix`].
pub fn encode_message(message: &RawMessage) -> Result<Bytes, WireError> {
    let prefix = prefix(message.compressed, message.body.len())?;
    let mut encoded = BytesMut::with_capacity(PREFIX_LENGTH + message.body.len());
    encoded.put_slice(&prefix);
    encoded.put_slice(&message.body);
    Ok(encoded.freeze())
}

/// Puts messages together from the chunks of a stream.
///
/// A message that lies whole in one chunk is a slice of that chunk. Only what crosses from one
/// chunk to the next is copied.
///
/// ```
/// use barewire::wire::framing::Deframer;
/// use bytes::Bytes;
///
/// let mut deframer = Deframer::new(4 * 1024 * 1024);
/// deframer.push(Bytes::from_static(b"\x00\x00\x00"));
/// assert_eq!(deframer.next_message()?, None);
/// deframer.push(Bytes::from_static(b"\x00\x02hi"));
/// assert_eq!(deframer.next_message()?.map(|message| message.body), Some("hi".into()));
/// deframer.finish()?;
/// # Ok::<(), barewire::wire::WireError>(())
/// ```
#[derive(Debug)]
pub struct Deframer {
    limit: usize,
    /// The older bytes: the start of a message that crosses chunks, and what piled up behind it.
    buffer: BytesMut,
    /// The newer bytes: what is left of the last chunk.
    chunk: Bytes,
    /// The rule that the peer broke. After that nothing it sends means anything.
    failure: Option<WireError>,
}

impl Deframer {
    /// A deframer for one direction of one call. Messages may be as long as the limit.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: BytesMut::new(),
            chunk: Bytes::new(),
            failure: None,
        }
    }

    /// Takes the next chunk of the stream.
    pub fn push(&mut self, chunk: Bytes) {
        if chunk.is_empty() || self.failure.is_some() {
            return;
        }
        let older = mem::replace(&mut self.chunk, chunk);
        self.keep(&older);
    }

    /// The next message, or `None` if it is not whole yet.
    ///
    /// # Errors
    ///
    /// [`WireError::InvalidFlag`] or [`WireError::MessageTooLarge`], as soon as the five bytes are
    /// there. The same error comes again on every later call.
    pub fn next_message(&mut self) -> Result<Option<RawMessage>, WireError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let message = if self.buffer.is_empty() {
            self.take_in_place()
        } else {
            self.assemble()
        };
        if let Err(failure) = &message {
            *self = Self {
                failure: Some(failure.clone()),
                ..Self::new(self.limit)
            };
        }
        message
    }

    /// Says whether the stream may end here. To be asked when [`Deframer::next_message`] has
    /// nothing more to give.
    ///
    /// # Errors
    ///
    /// [`WireError::TruncatedMessage`] if a message has begun and is not whole, or the error that
    /// ended the stream before.
    pub fn finish(&self) -> Result<(), WireError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        // A stream that ends inside a message is broken, not short: the peer promised more.
        // gRPC-HTTP2 §Requests (Message-Length).
        match self.missing() {
            0 => Ok(()),
            missing => Err(WireError::TruncatedMessage { missing }),
        }
    }

    /// How many bytes came that were not yet given out.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len() + self.chunk.len()
    }

    /// Whether all that came was given out, so that the stream stands between two messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.chunk.is_empty()
    }

    /// How many bytes the first message lacks: 0 if it is whole or has not begun. While its prefix
    /// is not whole, only the missing bytes of the prefix are known.
    #[must_use]
    pub fn missing(&self) -> usize {
        let held = self.buffered();
        match self.peek_prefix() {
            Some([_, length @ ..]) => total_length(length).saturating_sub(held),
            None if held == 0 => 0,
            None => PREFIX_LENGTH - held,
        }
    }

    /// How many bytes of memory the deframer holds for itself.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// The common case: nothing waits from before.
    fn take_in_place(&mut self) -> Result<Option<RawMessage>, WireError> {
        let Some(prefix) = self.chunk.first_chunk() else {
            return self.wait();
        };
        let head = Head::parse(*prefix, self.limit)?;
        if self.chunk.len() - PREFIX_LENGTH < head.length {
            return self.wait();
        }
        self.chunk.advance(PREFIX_LENGTH);
        let body = if self.chunk.len() == head.length {
            mem::take(&mut self.chunk)
        } else {
            self.chunk.split_to(head.length)
        };
        Ok(Some(RawMessage {
            compressed: head.compressed,
            body,
        }))
    }

    /// The other case: the message began in an earlier chunk. It gets the bytes that it lacks and
    /// no more, so that what follows in the chunk can be taken in place again.
    fn assemble(&mut self) -> Result<Option<RawMessage>, WireError> {
        self.fill_to(PREFIX_LENGTH);
        let Some(prefix) = self.buffer.first_chunk() else {
            return self.wait();
        };
        let head = Head::parse(*prefix, self.limit)?;
        let total = PREFIX_LENGTH.saturating_add(head.length);
        self.fill_to(total);
        if self.buffer.len() < total {
            return self.wait();
        }
        // With nothing behind the message the buffer goes with it. Split off, it would keep the
        // message's memory for as long as the call lives.
        let mut body = if self.buffer.len() == total {
            mem::take(&mut self.buffer)
        } else {
            self.buffer.split_to(total)
        };
        body.advance(PREFIX_LENGTH);
        Ok(Some(RawMessage {
            compressed: head.compressed,
            body: body.freeze(),
        }))
    }

    /// Nothing is whole. The rest of the chunk is copied, because a slice of a few bytes would
    /// hold on to the whole read buffer that it came in.
    fn wait(&mut self) -> Result<Option<RawMessage>, WireError> {
        let rest = mem::take(&mut self.chunk);
        self.keep(&rest);
        Ok(None)
    }

    /// Moves bytes from the chunk to the buffer until that has so many, if there are so many.
    fn fill_to(&mut self, length: usize) {
        let lacking = length
            .saturating_sub(self.buffer.len())
            .min(self.chunk.len());
        let bytes = self.chunk.split_to(lacking);
        self.keep(&bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let length = self.buffer.len() + bytes.len();
        let capacity = self.buffer.capacity();
        if length > capacity {
            let wanted = self.wanted_capacity(length, bytes);
            if wanted >= capacity.saturating_mul(2) {
                self.buffer.reserve(wanted - self.buffer.len());
            } else {
                // Asked for less than twice what it has, the buffer would become twice as large.
                let mut buffer = BytesMut::with_capacity(wanted);
                buffer.extend_from_slice(&self.buffer);
                self.buffer = buffer;
            }
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// How large the buffer should be to hold `length` bytes and grow well: room for the whole
    /// message, but at most 65 KiB or twice what really came. Where whole messages pile up, twice what
    /// came: with less, each chunk would move all that lies there.
    fn wanted_capacity(&self, length: usize, newest: &[u8]) -> usize {
        let first = if self.buffer.is_empty() {
            newest
        } else {
            &self.buffer
        };
        let Some(&[_, a, b, c, d, _, ..]) = first.get(..) else {
            return length;
        };
        let twice = length.saturating_mul(2);
        match total_length([a, b, c, d]) {
            total if total >= length => total.min(twice.max(FIRST_ALLOCATION_LIMIT)),
            _ => twice,
        }
    }

    fn peek_prefix(&self) -> Option<[u8; PREFIX_LENGTH]> {
        let mut prefix = [0; PREFIX_LENGTH];
        let bytes = self.buffer.iter().chain(&self.chunk).take(PREFIX_LENGTH);
        let copied = prefix
            .iter_mut()
            .zip(bytes)
            .map(|(place, byte)| *place = *byte)
            .count();
        (copied == PREFIX_LENGTH).then_some(prefix)
    }
}

/// What the five bytes say, checked.
struct Head {
    compressed: bool,
    length: usize,
}

impl Head {
    fn parse(prefix: [u8; PREFIX_LENGTH], limit: usize) -> Result<Self, WireError> {
        let [flag, length @ ..] = prefix;
        let compressed = match flag {
            FLAG_PLAIN => false,
            FLAG_COMPRESSED => true,
            other => return Err(WireError::InvalidFlag(other)),
        };
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > limit {
            return Err(WireError::MessageTooLarge { length, limit });
        }
        Ok(Self { compressed, length })
    }
}

/// The length of a message together with its prefix.
fn total_length(length: [u8; 4]) -> usize {
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    length.saturating_add(PREFIX_LENGTH)
}

/// The most memory that the first bytes of a message can claim for those that follow. A payload of
/// 64 KiB has a few bytes around it, and is not worth a second allocation for them.
const FIRST_ALLOCATION_LIMIT: usize = 65 * 1024;

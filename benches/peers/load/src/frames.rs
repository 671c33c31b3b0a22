//! As much of HTTP/2 as it takes to put load on a server: frames out as bytes that were made before,
//! frames in as heads to look at.
//!
//! Spec: RFC 9113 §4.1, §6; RFC 7541 §6.

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const HEAD_LENGTH: usize = 9;

pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;

pub const END_STREAM: u8 = 0x1;
pub const ACK: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;

pub const INITIAL_WINDOW_SIZE: u16 = 0x4;

/// What every connection begins with, and the largest frame that a peer must take.
pub const FIRST_WINDOW: u32 = 65_535;
pub const FRAME_LIMIT: usize = 16_384;

pub fn write_head(into: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let [_, lengths @ ..] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    into.extend_from_slice(&lengths);
    into.extend_from_slice(&[kind, flags]);
    into.extend_from_slice(&stream.to_be_bytes());
}

pub fn write_window_update(into: &mut Vec<u8>, stream: u32, bytes: u32) {
    write_head(into, 4, WINDOW_UPDATE, 0, stream);
    into.extend_from_slice(&bytes.to_be_bytes());
}

pub fn write_settings(into: &mut Vec<u8>, stream_window: u32) {
    write_head(into, 6, SETTINGS, 0, 0);
    into.extend_from_slice(&INITIAL_WINDOW_SIZE.to_be_bytes());
    into.extend_from_slice(&stream_window.to_be_bytes());
}

/// What SETTINGS say of the window of a stream.
pub fn initial_window(settings: &[u8]) -> Option<u32> {
    let (settings, _) = settings.as_chunks();
    settings.iter().find_map(|&[i, j, a, b, c, d]| {
        let is_window = u16::from_be_bytes([i, j]) == INITIAL_WINDOW_SIZE;
        is_window.then(|| u32::from_be_bytes([a, b, c, d]))
    })
}

/// What a WINDOW_UPDATE adds.
pub fn increment(payload: &[u8]) -> i64 {
    payload
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes).into())
}

/// A header of a request.
pub struct Field {
    pub name: &'static str,
    pub value: String,
    /// Whether it is another one with each call, so that no table keeps it.
    pub changes: bool,
}

/// The header block of a call: of a connection's first one, which fills the peer's dynamic table, or of
/// those that follow, with a byte for each field, as clients send it that keep a table.
pub fn header_block(tls: bool, fields: &[Field], first: bool) -> Vec<u8> {
    const POST: u8 = 0x83;
    const HTTP: u8 = 0x86;
    let kept = fields.iter().filter(|field| !field.changes);
    // The newest entry of the dynamic table is 62.
    let mut entry = (62..).take(kept.count()).last().unwrap_or_default();
    let mut block = vec![POST, HTTP + u8::from(tls)];
    for field in fields {
        if !first && !field.changes {
            block.push(0x80 | entry);
            entry -= 1;
            continue;
        }
        block.push(if field.changes { 0x00 } else { 0x40 });
        for text in [field.name, &field.value] {
            // Below 127, as all of ours are, a length is one byte.
            block.push(u8::try_from(text.len()).unwrap_or_default());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// What was found in the bytes that came.
pub enum Found<'a> {
    /// So many bytes of a DATA frame, which may go on.
    Data { stream: u32, length: usize },
    /// The end of a stream that has one.
    End { stream: u32 },
    /// A whole frame that is neither DATA nor HEADERS.
    Control {
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &'a [u8],
    },
}

/// Takes frames apart, however the bytes were cut.
#[derive(Default)]
pub struct Scanner {
    /// What came of a head, or of a control frame with its head.
    kept: Vec<u8>,
    /// What is still to come of a DATA or HEADERS frame.
    passing: Option<Passing>,
}

/// A frame whose payload nobody keeps.
struct Passing {
    kind: u8,
    flags: u8,
    stream: u32,
    rest: usize,
}

impl Scanner {
    /// Hands what is in `bytes` to `found`.
    pub fn scan(&mut self, mut bytes: &[u8], mut found: impl FnMut(Found<'_>)) {
        while !bytes.is_empty() {
            let wanted = match &self.passing {
                Some(frame) => frame.rest,
                None => self.wanted().saturating_sub(self.kept.len()),
            };
            let (part, after) = bytes.split_at(wanted.min(bytes.len()));
            bytes = after;
            match &mut self.passing {
                Some(frame) => {
                    frame.rest -= part.len();
                    frame.tell(part.len(), &mut found);
                    self.passing.take_if(|frame| frame.rest == 0);
                }
                None => {
                    self.kept.extend_from_slice(part);
                    self.look(&mut found);
                }
            }
        }
    }

    /// How many bytes must be together: a head, and with it the payload of a control frame.
    fn wanted(&self) -> usize {
        match *self.kept {
            [_, _, _, DATA | HEADERS, ..] => HEAD_LENGTH,
            [a, b, c, _, _, _, _, _, _, ..] => HEAD_LENGTH + length(a, b, c),
            _ => HEAD_LENGTH,
        }
    }

    fn look(&mut self, found: &mut impl FnMut(Found<'_>)) {
        if self.kept.len() < self.wanted() {
            return;
        }
        if let [a, b, c, kind, flags, s, t, u, v, payload @ ..] = &*self.kept {
            let (kind, flags) = (*kind, *flags);
            let stream = u32::from_be_bytes([*s, *t, *u, *v]);
            if kind == DATA || kind == HEADERS {
                let rest = length(*a, *b, *c);
                let frame = Passing {
                    kind,
                    flags,
                    stream,
                    rest,
                };
                frame.tell(0, found);
                self.passing = Some(frame).filter(|frame| frame.rest > 0);
            } else {
                found(Found::Control {
                    kind,
                    flags,
                    stream,
                    payload,
                });
            }
        }
        self.kept.clear();
    }
}

impl Passing {
    fn tell(&self, length: usize, found: &mut impl FnMut(Found<'_>)) {
        let stream = self.stream;
        if self.kind == DATA && length > 0 {
            found(Found::Data { stream, length });
        }
        if self.rest == 0 && self.flags & END_STREAM != 0 {
            found(Found::End { stream });
        }
    }
}

fn length(a: u8, b: u8, c: u8) -> usize {
    usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
}

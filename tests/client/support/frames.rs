//! Frames by hand, for whoever plays a peer that does.

use crate::support::{
    CONTINUATION, DATA, END_HEADERS, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    frame,
};

/// What a frame's payload may have until the other side allows more.
pub const FRAME_LIMIT: usize = 16 * 1024;

pub fn settings_frame(settings: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (name, value) in settings {
        payload.extend(name.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

/// A header block, in as many frames as it takes.
pub fn block_frames(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    let mut pieces: Vec<&[u8]> = block.chunks(FRAME_LIMIT).collect();
    let last = pieces.pop().unwrap_or_default();
    let mut kind = HEADERS;
    let mut flags = flags;
    let mut bytes = Vec::new();
    for piece in pieces {
        bytes.extend(frame(kind, flags, stream, piece));
        (kind, flags) = (CONTINUATION, 0);
    }
    bytes.extend(frame(kind, flags | END_HEADERS, stream, last));
    bytes
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &code.to_be_bytes())
}

pub fn goaway(last: u32, code: u32, text: &[u8]) -> Vec<u8> {
    let payload = [&last.to_be_bytes(), &code.to_be_bytes(), text].concat();
    frame(GOAWAY, 0, 0, &payload)
}

pub fn window(stream: u32, bytes: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &bytes.to_be_bytes())
}

pub fn ping(payload: [u8; 8]) -> Vec<u8> {
    frame(PING, 0, 0, &payload)
}

/// DATA, in as many frames as it takes.
pub fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    let pieces = bytes.chunks(FRAME_LIMIT);
    pieces
        .flat_map(|piece| frame(DATA, 0, stream, piece))
        .collect()
}

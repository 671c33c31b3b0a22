//! Numbers of HTTP/2: the preface, the head of a frame, frame types, flags, settings, error codes.
//!
//! ```text
//!  0        3      4       5                   9
//!  +--------+------+-------+-------------------+---------------
//!  | length | type | flags | R | stream id, 31 | payload …
//!  +--------+------+-------+-------------------+---------------
//! ```
//!
//! Spec: RFC 9113 §3.4, §4.1, §6, §6.5.2, §7.

/// What a client sends first. RFC 9113 §3.4.
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's head: length, type, flags, stream id. RFC 9113 §4.1.
pub const FRAME_HEAD_LENGTH: usize = 9;
/// The bits of a stream id; the highest is reserved. RFC 9113 §4.1.
pub const STREAM_ID_MASK: u32 = 0x7fff_ffff;
/// The largest payload of a frame until the receiver allows more. RFC 9113 §4.2.
pub const DEFAULT_MAX_FRAME_SIZE: u32 = 0x4000;
/// The largest payload that SETTINGS_MAX_FRAME_SIZE can allow. RFC 9113 §6.5.2.
pub const LARGEST_MAX_FRAME_SIZE: u32 = 0x00ff_ffff;
/// The flow-control window of a connection and its streams before anyone speaks. RFC 9113 §6.9.2.
pub const DEFAULT_WINDOW: u32 = 0xffff;
/// The largest flow-control window. RFC 9113 §6.9.1.
pub const LARGEST_WINDOW: u32 = 0x7fff_ffff;
/// What a field costs in a header list beside its name and value. RFC 9113 §6.5.2.
pub const FIELD_OVERHEAD: usize = 32;

/// Names of pseudo-header fields. RFC 9113 §8.3.
pub mod pseudo {
    /// The request's method.
    pub const METHOD: &str = ":method";
    /// The scheme of the request's target.
    pub const SCHEME: &str = ":scheme";
    /// The authority of the request's target.
    pub const AUTHORITY: &str = ":authority";
    /// The path and query of the request's target.
    pub const PATH: &str = ":path";
    /// The status of a response.
    pub const STATUS: &str = ":status";
}

/// Frame types. RFC 9113 §6.
pub mod frame {
    /// Bytes of a request or response. §6.1.
    pub const DATA: u8 = 0x00;
    /// The start of a header block. §6.2.
    pub const HEADERS: u8 = 0x01;
    /// Advice on order, no longer in use. §6.3.
    pub const PRIORITY: u8 = 0x02;
    /// The abrupt end of a stream. §6.4.
    pub const RST_STREAM: u8 = 0x03;
    /// What the sender can take. §6.5.
    pub const SETTINGS: u8 = 0x04;
    /// A request that the server makes up; gRPC never uses it. §6.6.
    pub const PUSH_PROMISE: u8 = 0x05;
    /// Are you there, and how far away? §6.7.
    pub const PING: u8 = 0x06;
    /// The start of a connection's end. §6.8.
    pub const GOAWAY: u8 = 0x07;
    /// Room for more DATA. §6.9.
    pub const WINDOW_UPDATE: u8 = 0x08;
    /// The rest of a header block. §6.10.
    pub const CONTINUATION: u8 = 0x09;
}

/// Flags of frames. The same bit means different things on different types. RFC 9113 §6.
pub mod flag {
    /// On DATA and HEADERS: the sender's half of the stream ends here.
    pub const END_STREAM: u8 = 0x01;
    /// On SETTINGS and PING: this answers yours.
    pub const ACK: u8 = 0x01;
    /// On HEADERS, PUSH_PROMISE and CONTINUATION: the header block ends here.
    pub const END_HEADERS: u8 = 0x04;
    /// On DATA, HEADERS and PUSH_PROMISE: a length of padding leads the payload.
    pub const PADDED: u8 = 0x08;
    /// On HEADERS: five bytes of priority lead the block.
    pub const PRIORITY: u8 = 0x20;
}

/// Identifiers of settings. RFC 9113 §6.5.2.
pub mod setting {
    /// The largest HPACK table that the sender keeps for decoding.
    pub const HEADER_TABLE_SIZE: u16 = 0x01;
    /// Whether the sender takes PUSH_PROMISE.
    pub const ENABLE_PUSH: u16 = 0x02;
    /// How many streams the peer may have open at once.
    pub const MAX_CONCURRENT_STREAMS: u16 = 0x03;
    /// The window that each stream starts with.
    pub const INITIAL_WINDOW_SIZE: u16 = 0x04;
    /// The largest frame payload that the sender takes.
    pub const MAX_FRAME_SIZE: u16 = 0x05;
    /// The largest header list that the sender takes, counted before compression. Advice only.
    pub const MAX_HEADER_LIST_SIZE: u16 = 0x06;
    /// Whether extended CONNECT may be used. RFC 8441 §3.
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 0x08;
}

/// Error codes of RST_STREAM and GOAWAY. RFC 9113 §7.
pub mod error {
    /// Not an error: the end was wanted.
    pub const NO_ERROR: u32 = 0x00;
    /// The peer broke the protocol in a way that has no code of its own.
    pub const PROTOCOL_ERROR: u32 = 0x01;
    /// The sender itself failed.
    pub const INTERNAL_ERROR: u32 = 0x02;
    /// The peer sent more than its window.
    pub const FLOW_CONTROL_ERROR: u32 = 0x03;
    /// Settings were not acknowledged in time.
    pub const SETTINGS_TIMEOUT: u32 = 0x04;
    /// A frame came for a stream that was already half-closed.
    pub const STREAM_CLOSED: u32 = 0x05;
    /// A frame's size was not allowed.
    pub const FRAME_SIZE_ERROR: u32 = 0x06;
    /// The stream was refused before anything was done with it, so it may be tried again.
    pub const REFUSED_STREAM: u32 = 0x07;
    /// The stream is no longer wanted.
    pub const CANCEL: u32 = 0x08;
    /// The HPACK state cannot be kept up.
    pub const COMPRESSION_ERROR: u32 = 0x09;
    /// A connection made by CONNECT broke.
    pub const CONNECT_ERROR: u32 = 0x0a;
    /// The peer causes too much load.
    pub const ENHANCE_YOUR_CALM: u32 = 0x0b;
    /// The transport is not secure enough.
    pub const INADEQUATE_SECURITY: u32 = 0x0c;
    /// HTTP/1.1 has to be used instead.
    pub const HTTP_1_1_REQUIRED: u32 = 0x0d;
}

/// The name of a frame type, if RFC 9113 gives it one.
#[must_use]
pub const fn frame_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        frame::DATA => "DATA",
        frame::HEADERS => "HEADERS",
        frame::PRIORITY => "PRIORITY",
        frame::RST_STREAM => "RST_STREAM",
        frame::SETTINGS => "SETTINGS",
        frame::PUSH_PROMISE => "PUSH_PROMISE",
        frame::PING => "PING",
        frame::GOAWAY => "GOAWAY",
        frame::WINDOW_UPDATE => "WINDOW_UPDATE",
        frame::CONTINUATION => "CONTINUATION",
        _ => return None,
    })
}

/// The name of a setting, if RFC 9113 or RFC 8441 gives it one.
#[must_use]
pub const fn setting_name(identifier: u16) -> Option<&'static str> {
    Some(match identifier {
        setting::HEADER_TABLE_SIZE => "HEADER_TABLE_SIZE",
        setting::ENABLE_PUSH => "ENABLE_PUSH",
        setting::MAX_CONCURRENT_STREAMS => "MAX_CONCURRENT_STREAMS",
        setting::INITIAL_WINDOW_SIZE => "INITIAL_WINDOW_SIZE",
        setting::MAX_FRAME_SIZE => "MAX_FRAME_SIZE",
        setting::MAX_HEADER_LIST_SIZE => "MAX_HEADER_LIST_SIZE",
        setting::ENABLE_CONNECT_PROTOCOL => "ENABLE_CONNECT_PROTOCOL",
        _ => return None,
    })
}

/// The name of an error code, if RFC 9113 gives it one.
#[must_use]
pub const fn error_name(code: u32) -> Option<&'static str> {
    Some(match code {
        error::NO_ERROR => "NO_ERROR",
        error::PROTOCOL_ERROR => "PROTOCOL_ERROR",
        error::INTERNAL_ERROR => "INTERNAL_ERROR",
        error::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
        error::SETTINGS_TIMEOUT => "SETTINGS_TIMEOUT",
        error::STREAM_CLOSED => "STREAM_CLOSED",
        error::FRAME_SIZE_ERROR => "FRAME_SIZE_ERROR",
        error::REFUSED_STREAM => "REFUSED_STREAM",
        error::CANCEL => "CANCEL",
        error::COMPRESSION_ERROR => "COMPRESSION_ERROR",
        error::CONNECT_ERROR => "CONNECT_ERROR",
        error::ENHANCE_YOUR_CALM => "ENHANCE_YOUR_CALM",
        error::INADEQUATE_SECURITY => "INADEQUATE_SECURITY",
        error::HTTP_1_1_REQUIRED => "HTTP_1_1_REQUIRED",
        _ => return None,
    })
}

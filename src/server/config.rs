//! What a server allows, beyond the HTTP/2 of one connection.

use std::time::Duration;

use crate::transport::config::Http2Config;
use crate::wire::Encoding;

/// Limits and timers of a [`Server`](super::Server). Plain data: change fields of
/// [`Default::default`]. Each field says what a peer sees when it goes past.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// The HTTP/2 side, per connection.
    pub http2: Http2Config,
    /// Connections at once; further ones wait. Default 10,000.
    pub max_connections: usize,
    /// While a connection waits, the one that has had no call and said nothing for the longest time,
    /// and for so long at least, is sent away: GOAWAY(NO_ERROR), with the text `max_connections`.
    /// Default 30 s.
    pub evict_idle_after: Duration,
    /// Connections at once from one IP address; further ones are closed. Default `None`.
    pub max_connections_per_ip: Option<usize>,
    /// How long to wait after the system refused to accept a connection for want of file descriptors
    /// or memory, or more than a hundred times in a row for other reasons. Doubles each time, up to
    /// `accept_backoff_max`, until a connection comes. Default 5 ms.
    pub accept_backoff_min: Duration,
    /// The longest such wait. Default 1 s.
    pub accept_backoff_max: Duration,
    /// TLS handshakes at once; further connections wait to be accepted. Default 1,024.
    pub max_handshakes: usize,
    /// From accept to the end of the TLS handshake: closed. Default 10 s.
    pub tls_handshake_timeout: Duration,
    /// Calls at once, over all connections; one more is RESOURCE_EXHAUSTED before its request is
    /// read. Default 20,000.
    pub max_concurrent_calls: usize,
    /// Bytes of a request message, as sent and decompressed: RESOURCE_EXHAUSTED.
    /// Default 4 MiB, as every gRPC implementation has it.
    pub max_recv_message: usize,
    /// Bytes of a reply message, as sent: the call ends with RESOURCE_EXHAUSTED. Default 2 GiB − 1.
    pub max_send_message: usize,
    /// Bytes of memory that request messages may take together while handlers have them, and unary
    /// replies until they are sent: RESOURCE_EXHAUSTED. What a request takes is estimated from its
    /// fields before it is decoded; messages below 1 KiB do not count. Up to a quarter of it messages
    /// are taken for the most that they could be, without a look at them, so that so much of it may be
    /// held by messages that take far less. One that waits to be decoded, behind others that take long,
    /// counts with its length. What does not count: ten KiB of each such call, and what the allocator
    /// keeps of what was freed, which may be a third of it all. Default 768 MiB.
    pub max_inflight_message_bytes: usize,
    /// Bytes that all connections together may hold: of requests that no handler has read, of messages
    /// that are not whole, and of replies that wait for the socket. Past it the connection with the
    /// most bytes of requests is not read from until there are fewer, and of its requests those that
    /// were left unread or not whole the longest end, one each `stalled_stream_timeout`:
    /// RESOURCE_EXHAUSTED. At a quarter more the connection that holds the most is closed:
    /// GOAWAY(ENHANCE_YOUR_CALM). Less than 64 KiB of a connection does not count. Default 1 GiB.
    pub max_buffered_bytes: usize,
    /// How long the one message of a unary or server-streaming request may take to come:
    /// DEADLINE_EXCEEDED. Default 300 s.
    pub request_read_timeout: Duration,
    /// How messages are compressed when the handler does not say. Default: not at all.
    pub reply_encoding: ReplyEncoding,
    /// How long a drain waits for calls to end before it cuts them: their connections end behind the
    /// GOAWAY, UNAVAILABLE. Default 30 s.
    pub drain_timeout: Duration,
}

/// How replies are compressed when the handler does not say. What the client does not accept is
/// never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplyEncoding {
    /// Always in this way.
    Always(Encoding),
    /// As the request was.
    AsRequest,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            http2: Http2Config::default(),
            max_connections: 10_000,
            evict_idle_after: Duration::from_secs(30),
            max_connections_per_ip: None,
            accept_backoff_min: Duration::from_millis(5),
            accept_backoff_max: Duration::from_secs(1),
            max_handshakes: 1_024,
            tls_handshake_timeout: Duration::from_secs(10),
            max_concurrent_calls: 20_000,
            max_recv_message: 4 * 1024 * 1024,
            max_send_message: 0x7fff_ffff,
            max_inflight_message_bytes: 768 * 1024 * 1024,
            max_buffered_bytes: 1024 * 1024 * 1024,
            request_read_timeout: Duration::from_secs(300),
            reply_encoding: ReplyEncoding::Always(Encoding::Identity),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl ServerConfig {
    /// Says what is wrong with this configuration, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the field, its value and what it must be.
    pub fn check(&self) -> Result<(), String> {
        let counts = [
            ("max_connections", self.max_connections),
            ("max_handshakes", self.max_handshakes),
            ("max_concurrent_calls", self.max_concurrent_calls),
            ("max_buffered_bytes", self.max_buffered_bytes),
        ];
        for (name, count) in counts {
            if count == 0 {
                return Err(format!("{name} is 0, but must be at least 1"));
            }
        }
        self.http2.check()
    }
}

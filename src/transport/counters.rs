//! Which limits were run into, and how often.
//!
//! A limit that is hit leaves no other trace at the end that set it: the peer is told, and a line at
//! level `debug` says it. So each has a counter, which costs nothing until then.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use h2::Reason;

use crate::wire::WireError;

/// What is counted: a limit or a timer that was run into, named for its setting, or a peer that does
/// not speak our language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counter {
    /// The server had all the connections that it may have: those behind them waited to be accepted.
    MaxConnections,
    /// A connection without calls was sent away to make room: GOAWAY(NO_ERROR).
    EvictIdleAfter,
    /// An address had all its connections: the next one was closed.
    MaxConnectionsPerIp,
    /// The system refused to accept a connection, which waited.
    AcceptBackoff,
    /// As many TLS handshakes were under way as may be: connections waited to be accepted.
    MaxHandshakes,
    /// A TLS handshake took too long: closed.
    TlsHandshakeTimeout,
    /// A TLS handshake failed: alert, closed.
    TlsHandshakeFailed,
    /// A peer spoke HTTP/1: one line of it with 505, closed.
    NotHttp2Http1,
    /// A peer spoke TLS to a port that has none: closed.
    NotHttp2Tls,
    /// A peer spoke something else: closed.
    NotHttp2Junk,
    /// The preface or the first SETTINGS did not come in time: closed.
    PrefaceTimeout,
    /// Our SETTINGS were not acknowledged: GOAWAY(SETTINGS_TIMEOUT).
    SettingsAckTimeout,
    /// A header block was not whole in time: GOAWAY(ENHANCE_YOUR_CALM).
    HeaderBlockTimeout,
    /// A connection had all its calls: RST_STREAM(REFUSED_STREAM). On a client: a call waited for a stream.
    MaxConcurrentStreams,
    /// The server had all its calls: RESOURCE_EXHAUSTED.
    MaxConcurrentCalls,
    /// Bytes that nobody had taken filled a stream's window: the peer waited to send more on it.
    StreamWindow,
    /// Bytes of all its streams filled a connection's window: the peer waited to send more.
    ConnectionWindow,
    /// A request was left unread while the connection's window was used up, or unread or not whole while
    /// the server held too many bytes: RESOURCE_EXHAUSTED.
    StalledStreamTimeout,
    /// A connection was not read from for a while, since all of them together held too much.
    MaxBufferedBytes,
    /// The connection that held the most was closed: GOAWAY(ENHANCE_YOUR_CALM).
    MaxBufferedBytesCut,
    /// The sender on a stream waited, since it had too much unsent, or the peer's windows had no room.
    StreamSendBuffer,
    /// The handlers of a connection waited, since it had too much unsent.
    ConnectionSendBuffer,
    /// A peer took no byte of a reply for too long: RST_STREAM(CANCEL).
    SendStallTimeout,
    /// The one message of a request did not come in time: DEADLINE_EXCEEDED.
    RequestReadTimeout,
    /// A request went on for too long after its answer was complete: RST_STREAM(NO_ERROR).
    EarlyAnswerLinger,
    /// Header bytes of a request were so many that h2 did not take it: 431, RST_STREAM(PROTOCOL_ERROR).
    MaxHeaderListSize,
    /// Header bytes of a call were too many: RESOURCE_EXHAUSTED.
    MaxMetadataSize,
    /// Header fields of a call were too many: RESOURCE_EXHAUSTED.
    MaxMetadataPairs,
    /// Headers were larger than the peer says it accepts: RESOURCE_EXHAUSTED, not sent.
    PeerHeaderListSize,
    /// A message that came was too large: RESOURCE_EXHAUSTED.
    MaxRecvMessage,
    /// A message to be sent was too large: RESOURCE_EXHAUSTED, not sent.
    MaxSendMessage,
    /// Messages took too much memory together: RESOURCE_EXHAUSTED.
    MaxInflightMessageBytes,
    /// A response had too many interim ones (1xx) before it: UNAVAILABLE.
    MaxInterimResponses,
    /// A PING of ours was not answered: closed.
    KeepaliveTimeout,
    /// PINGs came too early too often: GOAWAY(ENHANCE_YOUR_CALM).
    MaxPingStrikes,
    /// PINGs came too fast: the connection ended.
    Pings,
    /// SETTINGS came too fast: the connection ended.
    SettingsFrames,
    /// PRIORITY, unknown frames or unasked acknowledgements came too fast: the connection ended.
    IdleFrames,
    /// WINDOW_UPDATE came too often: the connection ended.
    WindowUpdateSlack,
    /// A server sent more header blocks than it has calls for: the connection was closed.
    HeaderBlocks,
    /// A peer gave up too many calls: GOAWAY(ENHANCE_YOUR_CALM).
    CancelledStreams,
    /// A peer forced too many stream errors: GOAWAY(ENHANCE_YOUR_CALM).
    FaultyStreams,
    /// A late frame came for a stream that was reset and is not remembered: RST_STREAM(STREAM_CLOSED).
    MaxConcurrentResetStreams,
    /// A connection was worn by resets, or by 50 empty DATA frames, and was replaced: GOAWAY(NO_ERROR).
    MaxLocalErrorResetStreams,
    /// A connection was worn by small frames of streams that had been reset, and was replaced:
    /// GOAWAY(NO_ERROR).
    DataFrameBudget,
    /// h2 ended a connection for a limit of its own, such as `data_frame_budget`:
    /// GOAWAY(ENHANCE_YOUR_CALM).
    Http2Budgets,
    /// A connection ended for a rule of HTTP/2 that was broken: GOAWAY with h2's code, or none where h2
    /// does not look.
    Http2Errors,
    /// A connection had no call for too long: GOAWAY(NO_ERROR).
    MaxConnectionIdle,
    /// A connection was too old: GOAWAY(NO_ERROR).
    MaxConnectionAge,
    /// Calls on an old connection had their time, and were cut.
    MaxConnectionAgeGrace,
    /// The PING of a drain was not answered: new streams were refused.
    DrainPingTimeout,
    /// A call was cut at the end of the drain: UNAVAILABLE.
    DrainTimeout,
    /// A peer did not take our GOAWAY: closed.
    GoawayLinger,
    /// A handler or an interceptor panicked: UNKNOWN.
    HandlerPanicked,
    /// A connection did not come to be in time.
    ConnectTimeout,
    /// An address had not answered in time, and the next one was tried beside it.
    HappyEyeballsDelay,
    /// One more connection to an address was made, since calls waited for a stream.
    MaxConnectionsPerAddress,
    /// Too many calls waited for a connection: RESOURCE_EXHAUSTED.
    MaxPendingCalls,
    /// A server said that we ask too often whether it is alive; we ask half as often.
    TooManyPings,
    /// A call sent more than is kept, and is not tried again.
    RetryBufferPerCall,
    /// All calls sent more than is kept, and one of them is not tried again.
    RetryBufferPerChannel,
    /// A connection had used up its stream ids, and was replaced.
    StreamIdLimit,
    /// A channel without calls closed its connections.
    IdleTimeout,
}

impl Counter {
    /// All of them.
    pub const ALL: [Self; 63] = [
        Self::MaxConnections,
        Self::EvictIdleAfter,
        Self::MaxConnectionsPerIp,
        Self::AcceptBackoff,
        Self::MaxHandshakes,
        Self::TlsHandshakeTimeout,
        Self::TlsHandshakeFailed,
        Self::NotHttp2Http1,
        Self::NotHttp2Tls,
        Self::NotHttp2Junk,
        Self::PrefaceTimeout,
        Self::SettingsAckTimeout,
        Self::HeaderBlockTimeout,
        Self::MaxConcurrentStreams,
        Self::MaxConcurrentCalls,
        Self::StreamWindow,
        Self::ConnectionWindow,
        Self::StalledStreamTimeout,
        Self::MaxBufferedBytes,
        Self::MaxBufferedBytesCut,
        Self::StreamSendBuffer,
        Self::ConnectionSendBuffer,
        Self::SendStallTimeout,
        Self::RequestReadTimeout,
        Self::EarlyAnswerLinger,
        Self::MaxHeaderListSize,
        Self::MaxMetadataSize,
        Self::MaxMetadataPairs,
        Self::PeerHeaderListSize,
        Self::MaxRecvMessage,
        Self::MaxSendMessage,
        Self::MaxInflightMessageBytes,
        Self::MaxInterimResponses,
        Self::KeepaliveTimeout,
        Self::MaxPingStrikes,
        Self::Pings,
        Self::SettingsFrames,
        Self::IdleFrames,
        Self::WindowUpdateSlack,
        Self::HeaderBlocks,
        Self::CancelledStreams,
        Self::FaultyStreams,
        Self::MaxConcurrentResetStreams,
        Self::MaxLocalErrorResetStreams,
        Self::DataFrameBudget,
        Self::Http2Budgets,
        Self::Http2Errors,
        Self::MaxConnectionIdle,
        Self::MaxConnectionAge,
        Self::MaxConnectionAgeGrace,
        Self::DrainPingTimeout,
        Self::DrainTimeout,
        Self::GoawayLinger,
        Self::HandlerPanicked,
        Self::ConnectTimeout,
        Self::HappyEyeballsDelay,
        Self::MaxConnectionsPerAddress,
        Self::MaxPendingCalls,
        Self::TooManyPings,
        Self::RetryBufferPerCall,
        Self::RetryBufferPerChannel,
        Self::StreamIdLimit,
        Self::IdleTimeout,
    ];

    /// The setting's name, where there is one: `max_connections`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MaxConnections => "max_connections",
            Self::EvictIdleAfter => "evict_idle_after",
            Self::MaxConnectionsPerIp => "max_connections_per_ip",
            Self::AcceptBackoff => "accept_backoff",
            Self::MaxHandshakes => "max_handshakes",
            Self::TlsHandshakeTimeout => "tls_handshake_timeout",
            Self::TlsHandshakeFailed => "tls_handshake_failed",
            Self::NotHttp2Http1 => "not_http2_http1",
            Self::NotHttp2Tls => "not_http2_tls",
            Self::NotHttp2Junk => "not_http2_junk",
            Self::PrefaceTimeout => "preface_timeout",
            Self::SettingsAckTimeout => "settings_ack_timeout",
            Self::HeaderBlockTimeout => "header_block_timeout",
            Self::MaxConcurrentStreams => "max_concurrent_streams",
            Self::MaxConcurrentCalls => "max_concurrent_calls",
            Self::StreamWindow => "stream_window",
            Self::ConnectionWindow => "connection_window",
            Self::StalledStreamTimeout => "stalled_stream_timeout",
            Self::MaxBufferedBytes => "max_buffered_bytes",
            Self::MaxBufferedBytesCut => "max_buffered_bytes_cut",
            Self::StreamSendBuffer => "stream_send_buffer",
            Self::ConnectionSendBuffer => "connection_send_buffer",
            Self::SendStallTimeout => "send_stall_timeout",
            Self::RequestReadTimeout => "request_read_timeout",
            Self::EarlyAnswerLinger => "early_answer_linger",
            Self::MaxHeaderListSize => "max_header_list_size",
            Self::MaxMetadataSize => "max_metadata_size",
            Self::MaxMetadataPairs => "max_metadata_pairs",
            Self::PeerHeaderListSize => "peer_header_list_size",
            Self::MaxRecvMessage => "max_recv_message",
            Self::MaxSendMessage => "max_send_message",
            Self::MaxInflightMessageBytes => "max_inflight_message_bytes",
            Self::MaxInterimResponses => "max_interim_responses",
            Self::KeepaliveTimeout => "keepalive_timeout",
            Self::MaxPingStrikes => "max_ping_strikes",
            Self::Pings => "pings",
            Self::SettingsFrames => "settings_frames",
            Self::IdleFrames => "idle_frames",
            Self::WindowUpdateSlack => "window_update_slack",
            Self::HeaderBlocks => "header_blocks",
            Self::CancelledStreams => "cancelled_streams",
            Self::FaultyStreams => "faulty_streams",
            Self::MaxConcurrentResetStreams => "max_concurrent_reset_streams",
            Self::MaxLocalErrorResetStreams => "max_local_error_reset_streams",
            Self::DataFrameBudget => "data_frame_budget",
            Self::Http2Budgets => "http2_budgets",
            Self::Http2Errors => "http2_errors",
            Self::MaxConnectionIdle => "max_connection_idle",
            Self::MaxConnectionAge => "max_connection_age",
            Self::MaxConnectionAgeGrace => "max_connection_age_grace",
            Self::DrainPingTimeout => "drain_ping_timeout",
            Self::DrainTimeout => "drain_timeout",
            Self::GoawayLinger => "goaway_linger",
            Self::HandlerPanicked => "handler_panicked",
            Self::ConnectTimeout => "connect_timeout",
            Self::HappyEyeballsDelay => "happy_eyeballs_delay",
            Self::MaxConnectionsPerAddress => "max_connections_per_address",
            Self::MaxPendingCalls => "max_pending_calls",
            Self::TooManyPings => "too_many_pings",
            Self::RetryBufferPerCall => "retry_buffer_per_call",
            Self::RetryBufferPerChannel => "retry_buffer_per_channel",
            Self::StreamIdLimit => "stream_id_limit",
            Self::IdleTimeout => "idle_timeout",
        }
    }
}

impl Counter {
    /// Its place in [`ALL`](Self::ALL), which is in the order of the declaration.
    #[expect(
        clippy::as_conversions,
        reason = "nothing else yields a variant's number"
    )]
    const fn index(self) -> usize {
        self as usize
    }

    /// What is counted when h2 ends a connection with this code.
    pub(super) fn of_fault(code: Reason) -> Self {
        if code == Reason::ENHANCE_YOUR_CALM {
            Self::Http2Budgets
        } else {
            Self::Http2Errors
        }
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The counters of a server or of a channel. Clones are the same counters.
///
/// # Example
///
/// ```
/// use barewire::{Counter, Server};
///
/// let server = Server::new();
/// let counters = server.counters();
/// // … and when it has served for a while:
/// assert_eq!(counters.of(Counter::MaxConnections), 0);
/// for (counter, times) in counters.hit() {
///     println!("{counter} {times}");
/// }
/// ```
#[derive(Clone)]
pub struct Counters(Arc<[AtomicU64; Counter::ALL.len()]>);

impl Counters {
    pub(crate) fn new() -> Self {
        Self(Arc::new([const { AtomicU64::new(0) }; Counter::ALL.len()]))
    }

    /// How often this has happened.
    #[must_use]
    pub fn of(&self, counter: Counter) -> u64 {
        self.counted(counter)
            .map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// What has happened at all, and how often.
    pub fn hit(&self) -> impl Iterator<Item = (Counter, u64)> {
        let counts = Counter::ALL
            .into_iter()
            .map(|counter| (counter, self.of(counter)));
        counts.filter(|(_, times)| *times > 0)
    }

    /// It has happened once more.
    pub(crate) fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// It has happened so many times more.
    // Never a part of what calls it: the path of a message is larger for it, though it is not taken.
    #[cold]
    pub(crate) fn add(&self, counter: Counter, times: u64) {
        if let Some(count) = self.counted(counter) {
            count.fetch_add(times, Ordering::Relaxed);
        }
    }

    /// What came broke this rule. Counts it if the rule is a limit of ours.
    pub(crate) fn count_received(&self, error: &WireError) {
        if let Some(counter) = of_received(error) {
            self.count(counter);
        }
    }

    /// What was to be sent breaks this rule. Counts it if the rule is a limit of ours.
    pub(crate) fn count_sent(&self, error: &WireError) {
        if matches!(error, WireError::MessageTooLarge { .. }) {
            self.count(Counter::MaxSendMessage);
        }
    }

    fn counted(&self, counter: Counter) -> Option<&AtomicU64> {
        self.0.get(counter.index())
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.hit().map(|(counter, times)| (counter.name(), times)))
            .finish()
    }
}

const fn of_received(error: &WireError) -> Option<Counter> {
    match error {
        WireError::MessageTooLarge { .. } | WireError::DecompressedTooLarge { .. } => {
            Some(Counter::MaxRecvMessage)
        }
        WireError::HeaderListTooLarge { .. } => Some(Counter::MaxMetadataSize),
        WireError::TooManyHeaderFields { .. } => Some(Counter::MaxMetadataPairs),
        WireError::TooManyBytesInflight { .. } => Some(Counter::MaxInflightMessageBytes),
        WireError::InvalidFlag(_)
        | WireError::TruncatedMessage { .. }
        | WireError::CompressedWithoutEncoding
        | WireError::EncodingNotBuilt(_)
        | WireError::CorruptMessage { .. }
        | WireError::BytesAfterMessage { .. }
        | WireError::InvalidProtobuf(_)
        | WireError::RepeatedHost
        | WireError::InvalidHost(_)
        | WireError::TimeoutWithoutUnit(_)
        | WireError::InvalidTimeoutDigits(_)
        | WireError::InvalidBase64(_)
        | WireError::UnsupportedResponseEncoding(_)
        | WireError::InterimResponseEnded(_)
        | WireError::MissingMessage
        | WireError::ExtraMessage
        | WireError::InvalidPath(_)
        | WireError::UnknownService(_)
        | WireError::UnknownMethod { .. }
        | WireError::UnsupportedRequestEncoding(_)
        | WireError::MissingTrailers
        | WireError::MissingStatus
        | WireError::InvalidStatus(_)
        | WireError::RepeatedStatus
        | WireError::UnknownStatus(_) => None,
    }
}

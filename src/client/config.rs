//! What a channel allows and wants.

use std::sync::Arc;
use std::time::Duration;

use super::service_config::ServiceConfig;
use crate::transport::client_config::ClientHttp2Config;
use crate::transport::connect::Dialer;
use crate::wire::Encoding;

/// Limits, timers and wishes of a [`Channel`](super::Channel). Plain data: change fields of
/// [`Default::default`].
#[derive(Clone)]
pub struct ChannelConfig {
    /// The HTTP/2 side, per connection.
    pub http2: ClientHttp2Config,
    /// Who makes byte streams to addresses. Default: the system's sockets.
    pub dialer: Option<Arc<dyn Dialer>>,
    /// How long a connection may take to come to be: TCP, TLS and the server's SETTINGS. Default 20 s.
    pub connect_timeout: Duration,
    /// Bytes of a response message, as sent and decompressed: RESOURCE_EXHAUSTED.
    /// Default 4 MiB, as every gRPC implementation.
    pub max_recv_message: usize,
    /// Bytes of a request message, as sent: RESOURCE_EXHAUSTED, and nothing is sent.
    /// Default 2 GiB − 1.
    pub max_send_message: usize,
    /// How requests are compressed when they do not say. Default: not at all.
    pub encoding: Encoding,
    /// Whether calls wait while the server cannot be reached, when they do not say. Default: no, they
    /// fail with UNAVAILABLE.
    pub wait_for_ready: bool,
    /// Whether a policy may have calls tried again. What the server's application has certainly not
    /// seen is tried again in any case. Default: yes.
    pub retries: bool,
    /// Attempts of one call, at the most, whatever a policy says. Default 5. gRFC A6.
    pub max_attempts: u32,
    /// Bytes of one call that are kept for a further attempt; a call that has sent more is not tried
    /// again. Default 256 KiB.
    pub retry_buffer_per_call: usize,
    /// The same for all calls of the channel together. Default 16 MiB.
    pub retry_buffer_per_channel: usize,
    /// Policies for calls, and what else the service's owner asks of clients. Default: none.
    pub service_config: Option<ServiceConfig>,
}

impl Default for ChannelConfig {
    fn default() -> Self {
        Self {
            http2: ClientHttp2Config::default(),
            dialer: None,
            connect_timeout: Duration::from_secs(20),
            max_recv_message: 4 * 1024 * 1024,
            max_send_message: 0x7fff_ffff,
            encoding: Encoding::Identity,
            wait_for_ready: false,
            retries: true,
            max_attempts: 5,
            retry_buffer_per_call: 256 * 1024,
            retry_buffer_per_channel: 16 * 1024 * 1024,
            service_config: None,
        }
    }
}

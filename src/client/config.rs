//! What a channel allows and wants.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::Backoff;
use super::balance::Balancing;
use super::proxy::Proxying;
use super::resolve::Resolver;
use super::service_config::ServiceConfig;
use crate::transport::client_config::ClientHttp2Config;
use crate::transport::connect::Dialer;
#[cfg(feature = "tls")]
use crate::transport::tls::ClientTls;
use crate::wire::Encoding;

/// Limits, timers and wishes of a [`Channel`](super::Channel). Plain data: change fields of
/// [`Default::default`].
#[derive(Clone)]
pub struct ChannelConfig {
    /// The HTTP/2 side, per connection.
    pub http2: ClientHttp2Config,
    /// TLS: whom to trust, and what to show. Default `None`: the system's roots where the target says
    /// `https://`, clear text elsewhere.
    #[cfg(feature = "tls")]
    pub tls: Option<ClientTls>,
    /// What `:authority` says instead of the target. Default: the name that TLS expects of the server,
    /// if that was set, else host and port as the target has them.
    pub authority: Option<String>,
    /// Whether connections go through an HTTP CONNECT proxy. Default: as the environment says. Not
    /// looked at where a dialer is given.
    pub proxy: Proxying,
    /// Who finds the addresses of the target. Default: names are looked up as the system does it, or
    /// by the proxy if there is one.
    pub resolver: Option<Arc<dyn Resolver>>,
    /// Who makes byte streams to addresses. Default: the system's sockets.
    pub dialer: Option<Arc<dyn Dialer>>,
    /// How calls are spread over the addresses of the target. Default: the first that answers has
    /// them all.
    pub balancing: Balancing,
    /// How long a connection may take to come to be: TCP, TLS and the server's SETTINGS. Default 20 s.
    pub connect_timeout: Duration,
    /// How long an address is left alone after a failure. Default: 1 s, then longer each time.
    pub backoff: Backoff,
    /// How long one address has the network for itself before the next is tried beside it. Less than
    /// 100 ms acts as 100 ms, more than 2 s as 2 s. Default 250 ms. gRFC A61.
    pub happy_eyeballs_delay: Duration,
    /// After so long without calls, or up to a quarter longer, the connections are closed; the next
    /// call connects again. `None`: never. Default 30 min. gRFC A62.
    pub idle_timeout: Option<Duration>,
    /// Calls that may wait for a connection, or for a stream on it; one more is RESOURCE_EXHAUSTED.
    /// Default 10,000.
    pub max_pending_calls: usize,
    /// Connections to one address, where its server takes fewer streams on one than there are calls.
    /// None acts as one, more than ten as ten. Default 4. gRFC A105.
    pub max_connections_per_address: usize,
    /// Bytes of a response message, as sent and decompressed: RESOURCE_EXHAUSTED.
    /// Default 4 MiB, as every gRPC implementation has it.
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
            #[cfg(feature = "tls")]
            tls: None,
            authority: None,
            proxy: Proxying::default(),
            resolver: None,
            dialer: None,
            balancing: Balancing::default(),
            connect_timeout: Duration::from_secs(20),
            backoff: Backoff::default(),
            happy_eyeballs_delay: Duration::from_millis(250),
            idle_timeout: Some(Duration::from_secs(30 * 60)),
            max_pending_calls: 10_000,
            max_connections_per_address: 4,
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

impl ChannelConfig {
    /// Says what is wrong with this configuration, if anything is.
    ///
    /// # Errors
    ///
    /// A sentence that names the field, its value and what it must be.
    pub fn check(&self) -> Result<(), String> {
        self.http2.check()?;
        self.backoff.check()?;
        if let Some(config) = &self.service_config {
            config.check()?;
        }
        if self.max_attempts == 0 {
            return Err("max_attempts is 0, but must be at least 1".to_owned());
        }
        if self.max_pending_calls == 0 {
            return Err("max_pending_calls is 0, but must be at least 1".to_owned());
        }
        Ok(())
    }

    pub(super) fn happy_eyeballs_delay(&self) -> Duration {
        self.happy_eyeballs_delay
            .clamp(Duration::from_millis(100), Duration::from_secs(2))
    }

    pub(super) fn max_connections_per_address(&self) -> usize {
        self.max_connections_per_address.clamp(1, 10)
    }
}

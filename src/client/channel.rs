//! Channel: a client's line to one target.

use std::fmt;
use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};

use http::uri::Authority;

use super::config::ChannelConfig;
use super::pick::Pool;
use super::policies::Policies;
use super::random::Random;
use crate::call::{Interceptor, Interceptors};
use crate::transport::connect::{Address, Connector, Dialer, Dialing, SystemDialer};
use crate::transport::{ByteStream, Io};
use crate::wire::Status;

/// A client's line to one target, on which calls are made. Clones are the same channel, and cheap.
#[derive(Clone)]
pub struct Channel {
    pub(super) shared: Arc<ChannelShared>,
    pub(super) interceptors: Interceptors,
}

/// What all calls of a channel share.
pub(crate) struct ChannelShared {
    pub(super) config: ChannelConfig,
    pub(super) pool: Pool,
    pub(super) authority: Authority,
    pub(super) https: bool,
    pub(super) policies: Option<Arc<Policies>>,
    pub(super) random: Random,
    /// Bytes that calls keep for further attempts.
    pub(super) replay_bytes: AtomicUsize,
}

impl Channel {
    /// A channel on a byte stream that exists already, such as one end of [`tokio::io::duplex`]. When
    /// it ends, so does the channel: it cannot be made anew.
    pub fn over(io: impl ByteStream + 'static) -> Self {
        let dialer = Once(Mutex::new(Some(Box::new(io))));
        let address = Address::Named("in-process".to_owned());
        Self::to(address, Arc::new(dialer), ChannelConfig::default())
    }

    fn to(address: Address, dialer: Arc<dyn Dialer>, config: ChannelConfig) -> Self {
        let connector = Connector {
            dialer,
            secure: None,
            http2: Arc::new(config.http2.clone()),
        };
        let policies = config
            .service_config
            .clone()
            .map(|config| Arc::new(Policies::new(config)));
        Self {
            interceptors: Interceptors::default(),
            shared: Arc::new(ChannelShared {
                pool: Pool::new(connector, address),
                authority: Authority::from_static("localhost"),
                https: false,
                policies,
                random: Random::new(),
                replay_bytes: AtomicUsize::new(0),
                config,
            }),
        }
    }

    /// Has `interceptor` see every call that is made on this channel and on its clones from here on.
    /// Clones that were made before share the connections, but have their calls to themselves. Several
    /// interceptors are asked in the order in which they were added, and told in the opposite order.
    #[must_use]
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.push(interceptor);
        self
    }

    /// Interim.
    pub fn lazy(target: &str) -> Result<Self, Status> {
        Self::with_config(target, ChannelConfig::default())
    }

    /// Interim.
    pub fn with_config(target: &str, config: ChannelConfig) -> Result<Self, Status> {
        let target = target.strip_prefix("http://").unwrap_or(target);
        let address = match target.parse() {
            Ok(address) => Address::Tcp(address),
            Err(_) => Address::Named(target.to_owned()),
        };
        Ok(Self::to(
            address,
            Arc::new(SystemDialer { user_timeout: None }),
            config,
        ))
    }

    /// Interim.
    pub async fn connect(target: &str) -> Result<Self, Status> {
        Self::lazy(target)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

impl ChannelShared {
    /// Whether nobody on the way can read what is said, whichever connection it goes over.
    pub(super) fn is_secure(&self) -> bool {
        self.https
    }

    /// What the service's owner asks of clients now.
    pub(super) fn policies(&self) -> Option<Arc<Policies>> {
        self.policies.clone()
    }
}

/// Gives out the one byte stream that there is.
struct Once(Mutex<Option<Io>>);

impl Dialer for Once {
    fn dial<'a>(&'a self, _: &'a Address) -> Dialing<'a> {
        let io = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        Box::pin(std::future::ready(io.ok_or_else(|| {
            let why = "the byte stream of this channel has ended, and there is no other";
            io::Error::new(io::ErrorKind::NotConnected, why)
        })))
    }
}

//! Channel: a client's line to one target.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use http::uri::Authority;

use super::config::ChannelConfig;
use super::connectivity::ConnectivityState;
use super::policies::Policies;
use super::pool::Pool;
use super::proxy::ProxyDialer;
use super::random::Random;
use super::resolve::{Dns, Fixed, Resolver};
use super::security::{Security, security_of};
use super::target::{Scheme, Target};
use crate::call::{Interceptor, Interceptors};
use crate::transport::connect::{Address, Connector, Dialer, Dialing, SecureClient, SystemDialer};
use crate::transport::counters::Counters;
use crate::transport::leaks::assert_none_left;
use crate::transport::{ByteStream, Io};
use crate::wire::Status;

/// A client's line to one target, on which calls are made. Clones are the same channel, and cheap.
///
/// A channel can be made anywhere, and used from several tokio runtimes. It works on the runtime in
/// which it connects, until it falls idle: while nobody runs that one, nothing moves. When that one
/// shuts down, calls that are under way end with UNAVAILABLE, and the next call connects on its own.
///
/// When the last clone is dropped, no further call can be made; those that are under way go on, with
/// what it takes to try them again. With the last of them the connections are closed and all tasks end.
///
/// # Example
///
/// ```no_run
/// use barewire::{Channel, MethodPath, Response, Status};
///
/// # async fn ask() -> Result<(), Status> {
/// let channel = Channel::connect("http://127.0.0.1:50051").await?;
/// // What generated clients do.
/// let path = MethodPath::from_static("/greeter.Greeter/Greet");
/// let answer: Response<String> = channel.unary(path, "you".to_owned()).await?;
/// println!("{}", answer.message);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Channel {
    pub(super) shared: Arc<ChannelShared>,
    pub(super) interceptors: Interceptors,
}

/// What all calls of a channel share.
pub(crate) struct ChannelShared {
    pub(super) config: ChannelConfig,
    pub(super) pool: Pool,
    pub(super) line: Line,
    pub(super) random: Random,
    /// Bytes that calls keep for further attempts.
    pub(super) replay_bytes: AtomicUsize,
    pub(super) counters: Counters,
}

/// Where a channel leads, as its calls need to know it.
pub(crate) struct Line {
    /// What `:authority` says.
    pub(super) authority: Authority,
    /// It is TLS all the way.
    pub(super) https: bool,
    /// It does not leave this machine.
    private: bool,
}

impl Channel {
    /// Connects to a target and waits until that is done.
    ///
    /// # Errors
    ///
    /// The target cannot be read, or cannot be connected to.
    ///
    /// # Cancel safety
    ///
    /// Dropping it gives the attempt up.
    pub async fn connect(target: &str) -> Result<Self, Status> {
        let channel = Self::lazy(target)?;
        channel.ready().await?;
        Ok(channel)
    }

    /// A channel to a target. It connects when the first call is made.
    ///
    /// # Errors
    ///
    /// The target cannot be read.
    pub fn lazy(target: &str) -> Result<Self, Status> {
        Self::with_config(target, ChannelConfig::default())
    }

    /// As [`lazy`](Self::lazy), with these limits, timers and wishes.
    ///
    /// # Errors
    ///
    /// The target cannot be read, or the configuration contradicts itself.
    pub fn with_config(target: &str, config: ChannelConfig) -> Result<Self, Status> {
        config.check().map_err(Status::internal)?;
        let target = Target::parse(target)?;
        let Security { secure, authority } = security_of(&target, &config)?;
        let authority = [config.authority.clone(), authority].into_iter().flatten();
        let authority = authority.chain([target.authority.clone()]).next();
        let authority = parse_authority(authority.unwrap_or_default())?;

        let (proxy, no_dialer) = match config.dialer {
            Some(_) => (None, false),
            None => {
                let variable = |name: &str| std::env::var(name).ok();
                let proxy = config.proxy.proxy_for(&target, variable);
                (
                    proxy.map_err(|error| Status::internal(error.to_string()))?,
                    true,
                )
            }
        };
        // A dialer or a resolver of the user's may lead anywhere.
        let private = no_dialer
            && config.resolver.is_none()
            && matches!(target.scheme, Scheme::Unix | Scheme::UnixAbstract);
        let dialer = config.dialer.clone().unwrap_or_else(|| {
            Arc::new(SystemDialer {
                user_timeout: config
                    .http2
                    .keepalive()
                    .map(|_| config.http2.keepalive_timeout),
            })
        });
        let (dialer, resolver): (Arc<dyn Dialer>, Arc<dyn Resolver>) = match proxy {
            // The proxy looks the name up, unless the user knows better.
            Some(proxy) => (
                Arc::new(ProxyDialer { proxy, dialer }),
                Arc::new(Fixed::unresolved(&target)),
            ),
            None => (dialer, Arc::new(Dns)),
        };
        let resolver = config.resolver.clone().unwrap_or(resolver);
        let https = secure.is_some();
        let connector = connector(dialer, secure, &config);
        let pool = Pool::new(config.clone(), connector, resolver, target);
        let line = Line {
            authority,
            https,
            private,
        };
        Ok(Self::on(pool, line, config))
    }

    /// A channel on a byte stream that exists already, such as one end of [`tokio::io::duplex`]. When
    /// it ends, so does the channel: it cannot be made anew.
    pub fn over(io: impl ByteStream + 'static) -> Self {
        Self::over_with(io, ChannelConfig::default())
    }

    /// As [`over`](Self::over), with these limits, timers and wishes. Those that are about addresses and
    /// TLS mean nothing here.
    pub fn over_with(io: impl ByteStream + 'static, config: ChannelConfig) -> Self {
        let dialer = Once(Mutex::new(Some(Box::new(io))));
        let connector = connector(Arc::new(dialer), None, &config);
        let address = Address::Named("in-process".to_owned());
        let pool = Pool::once(config.clone(), connector, address);
        let line = Line {
            authority: Authority::from_static("localhost"),
            https: false,
            private: false,
        };
        Self::on(pool, line, config)
    }

    fn on(pool: Pool, line: Line, config: ChannelConfig) -> Self {
        Self {
            interceptors: Interceptors::default(),
            shared: Arc::new(ChannelShared {
                counters: pool.counters().clone(),
                pool,
                line,
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

    /// How often which limit was run into, on this channel and its clones.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counters.clone()
    }

    /// What the channel can do for a call at the moment.
    #[must_use]
    pub fn state(&self) -> ConnectivityState {
        self.shared.pool.state()
    }

    /// Waits until the state is another one than `from`, and yields it. States that last only a moment
    /// may be missed.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn state_changed(&self, from: ConnectivityState) -> ConnectivityState {
        self.shared.pool.state_changed(from).await
    }

    /// Connects, if the channel is idle. Outside of a tokio runtime it may do nothing.
    pub fn connect_now(&self) {
        self.shared.pool.connect_now();
    }

    /// Connects, if the channel is idle, and waits until it is READY.
    ///
    /// # Errors
    ///
    /// Why it cannot connect, at the first time that all addresses have failed. It goes on trying, unless
    /// it is SHUTDOWN, or there is no tokio runtime to do it on.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn ready(&self) -> Result<(), Status> {
        self.shared.pool.ready().await
    }
}

fn parse_authority(text: String) -> Result<Authority, Status> {
    Authority::try_from(text.as_str()).map_err(|_| {
        Status::internal(format!(
            "{text:?} cannot be sent as an authority; set ChannelConfig::authority"
        ))
    })
}

fn connector(
    dialer: Arc<dyn Dialer>,
    secure: Option<Arc<dyn SecureClient>>,
    config: &ChannelConfig,
) -> Connector {
    Connector {
        dialer,
        secure,
        http2: Arc::new(config.http2.clone()),
        counters: Counters::new(),
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
        self.line.https || self.line.private
    }

    /// What the service's owner asks of clients now.
    pub(super) fn policies(&self) -> Option<Arc<Policies>> {
        self.pool.policies()
    }
}

impl Drop for ChannelShared {
    fn drop(&mut self) {
        // No call is left that could keep anything.
        let left = self.replay_bytes.load(Ordering::Relaxed);
        assert_none_left(left, "bytes for further attempts");
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

//! The server: services, listeners, and an orderly end.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use super::config::ServerConfig;
use super::drain::DrainReport;
use super::listen::{Listeners, PlainText, Secure};
use super::running::Running;
use super::service::Service;
use crate::call::{Interceptor, Interceptors};
use crate::transport::ByteStream;
use crate::transport::counters::Counters;

/// A gRPC server: services, and how they are served.
///
/// # Example
///
/// ```no_run
/// # use barewire::{Server, Service};
/// # async fn run(greeter: impl Service) -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:50051").await?;
/// Server::new().add(greeter).serve(listener).await
/// # }
/// ```
pub struct Server {
    pub(super) config: ServerConfig,
    pub(super) services: Vec<Arc<dyn Service>>,
    pub(super) interceptors: Interceptors,
    pub(super) secure: Arc<dyn Secure>,
    pub(super) counters: Counters,
}

impl Server {
    /// A server without services. It answers every call with UNIMPLEMENTED.
    pub fn new() -> Self {
        Self {
            config: ServerConfig::default(),
            services: Vec::new(),
            interceptors: Interceptors::default(),
            secure: Arc::new(PlainText),
            counters: Counters::new(),
        }
    }

    /// With these limits and timers.
    #[must_use]
    pub fn with_config(mut self, config: ServerConfig) -> Self {
        self.config = config;
        self
    }

    /// Serves one more service.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "nobody adds a service with a plus sign"
    )]
    pub fn add(mut self, service: impl Service) -> Self {
        self.services.push(Arc::new(service));
        self
    }

    /// Has `interceptor` see every call, of all services. Several of them are asked in the order in
    /// which they were added, and told in the opposite order.
    #[must_use]
    pub fn intercept(mut self, interceptor: impl Interceptor) -> Self {
        self.interceptors.push(interceptor);
        self
    }

    /// How often which limit was run into. To be taken before the server serves, and looked at as often
    /// as you like, also when it has ended.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }

    /// The names of the services, as they were added.
    pub fn service_names(&self) -> impl Iterator<Item = &'static str> {
        self.services.iter().map(|service| service.name())
    }

    /// The descriptors of the services added so far; see [`Service::file_descriptor_set`].
    pub fn file_descriptor_sets(&self) -> impl Iterator<Item = &'static [u8]> {
        self.services
            .iter()
            .map(|service| service.file_descriptor_set())
    }

    #[cfg(feature = "tls")]
    pub(crate) fn secured_by(mut self, secure: Arc<dyn Secure>) -> Self {
        self.secure = secure;
        self
    }

    /// Serves for ever.
    ///
    /// # Errors
    ///
    /// Only before anything is served: a configuration that contradicts itself, two services of one
    /// name. A fault of a connection ends that connection alone.
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops listening and cuts all calls at once.
    pub async fn serve(self, listeners: impl Into<Listeners>) -> io::Result<()> {
        self.serve_until(listeners, std::future::pending())
            .await
            .map(drop)
    }

    /// Serves until `signal` resolves, then drains: listens no more, tells the services and the
    /// clients, waits for calls to end, cuts those that do not, and reports.
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// Dropping it stops listening and cuts all calls at once.
    pub async fn serve_until(
        self,
        listeners: impl Into<Listeners>,
        signal: impl Future<Output = ()>,
    ) -> io::Result<DrainReport> {
        let listeners = listeners.into();
        let secure = Arc::clone(&self.secure);
        let running = Running::start(self)?;
        let mut signal = pin!(signal);
        while let Some(Some(next)) = until(signal.as_mut(), running.next(&listeners)).await {
            running.spawn(next, Arc::clone(&secure));
        }
        // Counted while we still listen: whoever sees that we do not may let its calls end.
        let calls = running.open_calls();
        drop(listeners);
        Ok(running.drain(calls).await)
    }

    /// Serves one connection that exists already, such as one end of [`tokio::io::duplex`], without
    /// TLS, until it ends.
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve).
    ///
    /// # Cancel safety
    ///
    /// Dropping it cuts the connection and its calls.
    pub async fn serve_io(self, io: impl ByteStream + 'static) -> io::Result<()> {
        Running::start(self)?.serve_one(Box::new(io)).await;
        Ok(())
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.service_names().collect();
        f.debug_struct("Server")
            .field("services", &names)
            .finish_non_exhaustive()
    }
}

/// What `work` yields, unless `signal` comes first: then `None`.
async fn until<T>(
    mut signal: Pin<&mut impl Future<Output = ()>>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    // Signal and work race; the signal is looked at first, so that a busy listener cannot hide it.
    poll_fn(|cx| {
        if signal.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        work.as_mut().poll(cx).map(Some)
    })
    .await
}

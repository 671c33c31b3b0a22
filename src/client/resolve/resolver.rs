//! Resolver: whoever knows the addresses behind a name.

use std::borrow::Cow;
use std::fmt;
use std::future::pending;
use std::pin::Pin;

use super::order::{distinct, interleave};
use crate::client::service_config::{ServiceConfig, ServiceConfigError};
use crate::client::target::Target;
use crate::transport::connect::Address;

/// Knows the addresses behind a [`Target`]. A plug for registries of services.
///
/// A channel asks with [`resolve`](Self::resolve): when it first connects, when connections fail, and
/// when [`changed`](Self::changed) says that the answer is another one now.
///
/// # Example
///
/// ```
/// use std::pin::Pin;
///
/// use barewire::resolve::{Resolution, Resolver, Resolving};
/// use barewire::{Address, Target};
/// use tokio::sync::{Notify, watch};
///
/// /// Follows a list that another part of the program keeps.
/// struct Registry {
///     addresses: watch::Receiver<Vec<Address>>,
///     news: Notify,
/// }
///
/// impl Resolver for Registry {
///     fn resolve<'a>(&'a self, _: &'a Target) -> Resolving<'a> {
///         let addresses = self.addresses.borrow().clone();
///         Box::pin(async move { Ok(Resolution::new(addresses)) })
///     }
///
///     // `notify_one` is remembered until somebody waits, so no change is missed.
///     fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
///         Box::pin(self.news.notified())
///     }
/// }
/// ```
pub trait Resolver: Send + Sync + 'static {
    /// Finds the addresses behind `target`.
    ///
    /// # Errors
    ///
    /// Why there are none. A channel keeps the addresses of the last answer, and asks again after a
    /// while; without any, calls fail with this text.
    ///
    /// # Cancel safety
    ///
    /// Must be safe: dropped, the question is withdrawn.
    fn resolve<'a>(&'a self, target: &'a Target) -> Resolving<'a>;

    /// Waits until [`resolve`](Self::resolve) would answer otherwise than it last did. By default
    /// that is never known.
    ///
    /// The future may be dropped and another one made at any time, so a change that comes when
    /// nobody waits must end the next wait.
    ///
    /// # Cancel safety
    ///
    /// Must be safe.
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(pending())
    }
}

/// An answer of a [`Resolver`] that is being found.
pub type Resolving<'a> =
    Pin<Box<dyn Future<Output = Result<Resolution, ResolveError>> + Send + 'a>>;

/// What a [`Resolver`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resolution {
    /// Where servers are, those to be tried first in front.
    pub addresses: Vec<Address>,
    /// How calls are to be made, if the resolver knows. A config that is void leaves the one in force
    /// that came before it.
    pub service_config: Option<Result<ServiceConfig, ServiceConfigError>>,
}

impl Resolution {
    /// These addresses, each once, and no service config. IPv4 and IPv6 take turns, so that a family
    /// that does not work here costs one attempt and not many. RFC 8305 §4.
    pub fn new(addresses: impl IntoIterator<Item = Address>) -> Self {
        Self {
            addresses: interleave(distinct(addresses)),
            service_config: None,
        }
    }
}

/// Why there are no addresses behind a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolveError(Cow<'static, str>);

impl ResolveError {
    /// An error with a text for whoever made the call: the name, and what went wrong.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ResolveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ResolveError {}

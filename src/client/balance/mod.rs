//! Which connection a call goes out on, of those that are ready.
//!
//! ```text
//!   Balancing        connections                    each call
//!   PickFirst        to the first that answers      all on it
//!   RoundRobin       to all addresses               in turn
//!   LeastRequest     to all addresses               the less busy of a few
//!   Custom           to all addresses               as a Balancer says
//! ```
//!
//! A balancer sees only what is ready: a dead server leaves the list at once, and what
//! happens while there is nothing to choose from is the channel's business.
//!
//! Spec: gRPC Load Balancing; gRFC A48, A61.

mod backend;
mod least_request;
mod round_robin;

use std::fmt;
use std::sync::Arc;

pub use backend::Backend;
pub(super) use backend::Lane;
pub(crate) use backend::Picked;
use least_request::LeastRequest;
use round_robin::RoundRobin;

use super::service_config::LoadBalancingConfig;
use crate::wire::{Metadata, MethodPath, RequestHeaders};

/// How a channel spreads its calls over the addresses of its target.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Balancing {
    /// All calls go to the first address that takes a connection, until it breaks.
    PickFirst {
        /// Whether the addresses are shuffled before, so that many clients do not choose the same.
        shuffle: bool,
    },
    /// Connects to all addresses, and gives each a call in turn.
    RoundRobin,
    /// Connects to all addresses, and gives each call to the one with the fewest calls under way
    /// among some that chance chooses.
    LeastRequest {
        /// How many chance chooses. Less than two acts as two, more than ten as ten. gRFC A48.
        choice_count: usize,
    },
    /// Connects to all addresses, and asks a balancer of your own.
    Custom(Arc<dyn Balancer>),
}

impl Default for Balancing {
    fn default() -> Self {
        Self::PickFirst { shuffle: false }
    }
}

/// Chooses the server of each call. A plug for policies of your own.
///
/// # Example
///
/// ```
/// use barewire::{Backend, Balancer, CallInfo};
///
/// /// Gives all calls of a tenant to the same server, as long as the servers stay the same.
/// #[derive(Debug)]
/// struct ByTenant;
///
/// impl Balancer for ByTenant {
///     fn pick(&self, call: &CallInfo<'_>, ready: &[Backend]) -> Option<usize> {
///         let tenant = call.metadata.get("tenant").unwrap_or_default();
///         let sum: usize = tenant.bytes().map(usize::from).sum();
///         sum.checked_rem(ready.len())
///     }
/// }
/// ```
pub trait Balancer: fmt::Debug + Send + Sync + 'static {
    /// Chooses: the index of one of these, of which there is at least one. `None` lets the call
    /// wait until the list is another one.
    ///
    /// If the server that is chosen takes no more calls at the moment, the question is repeated
    /// with those that do; if there are none, the call waits for the one that was chosen.
    ///
    /// Runs for every call, in the caller's task, and for many calls at once.
    fn pick(&self, call: &CallInfo<'_>, ready: &[Backend]) -> Option<usize>;
}

/// What a [`Balancer`] may know of a call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallInfo<'a> {
    /// Which method is called.
    pub path: &'a MethodPath,
    /// What the caller sends along.
    pub metadata: &'a Metadata,
}

impl Balancing {
    /// Whether there is a connection to each address, and not to one of them.
    pub(super) const fn connects_to_all(&self) -> bool {
        match self {
            Self::PickFirst { .. } => false,
            Self::RoundRobin | Self::LeastRequest { .. } | Self::Custom(_) => true,
        }
    }

    /// Who chooses.
    pub(super) fn balancer(&self) -> Arc<dyn Balancer> {
        match self {
            Self::PickFirst { .. } => Arc::new(TheOnly),
            Self::RoundRobin => Arc::new(RoundRobin::new()),
            Self::LeastRequest { choice_count } => Arc::new(LeastRequest::new(*choice_count)),
            Self::Custom(balancer) => Arc::clone(balancer),
        }
    }
}

impl From<LoadBalancingConfig> for Balancing {
    fn from(config: LoadBalancingConfig) -> Self {
        match config {
            LoadBalancingConfig::PickFirst { shuffle } => Self::PickFirst { shuffle },
            LoadBalancingConfig::RoundRobin => Self::RoundRobin,
            LoadBalancingConfig::LeastRequest { choice_count } => Self::LeastRequest {
                choice_count: usize::try_from(choice_count).unwrap_or(usize::MAX),
            },
        }
    }
}

/// With one connection there is nothing to choose.
#[derive(Debug)]
struct TheOnly;

impl Balancer for TheOnly {
    fn pick(&self, _: &CallInfo<'_>, _: &[Backend]) -> Option<usize> {
        Some(0)
    }
}

impl<'a> CallInfo<'a> {
    pub(crate) fn of(headers: &'a RequestHeaders) -> Self {
        Self {
            path: &headers.path,
            metadata: &headers.metadata,
        }
    }
}

//! The task of a pool: names to addresses, addresses to subchannels.
//!
//! ```text
//!   look up ─▶ addresses ─▶ subchannels: those that stay, stay; new ones connect; the others end
//!      ▲                        │
//!      └── again: a connection is lost, no address answers, the resolver has news, it failed
//! ```
//!
//! A lookup that fails leaves everything as it is. One that finds no addresses does not: what was
//! there is there no more.
//!
//! Spec: gRPC-Naming, gRPC Service Config; gRFC A21, A61, A62.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use tokio::time::{Instant, sleep, sleep_until};

use super::balance::Balancing;
use super::pool::Shared;
use super::resolve::clock::ResolveClock;
use super::resolve::order::{distinct, interleave};
use super::resolve::{Resolution, Resolver};
use super::service_config::{LoadBalancingConfig, ServiceConfig};
use super::subchannel::{Subchannel, WhenLost};
use super::target::Target;
use crate::call::unwinding_future;
use crate::transport::connect::Address;
use crate::transport::counters::Counter;
use crate::wire::Status;

/// How often it is seen, within the time after which a channel is idle, whether there are calls.
const IDLE_CHECKS: u32 = 8;

/// Where addresses come from.
pub(super) enum Source {
    /// A resolver finds those behind a target, and may find others later.
    Names {
        resolver: Arc<dyn Resolver>,
        target: Target,
    },
    /// This is the only one, and can be dialled only once.
    Only(Address),
}

/// Held while the task of a pool is at work. However it ends, the channel is idle then.
pub(super) struct Awake(Arc<Shared>);

impl Awake {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.0.picker.fall_asleep();
    }
}

/// Keeps connections until nobody needs them.
pub(super) async fn work(awake: Awake, source: Arc<Source>) {
    let shared = &awake.0;
    let mut subchannels = Subchannels::new(shared);
    match &*source {
        Source::Names { resolver, target } => {
            let mut idle = pin!(falls_idle(shared));
            let mut following = pin!(subchannels.follow_names(&**resolver, target));
            // Names are followed until the channel is idle; that does not end by itself.
            poll_fn(|cx| match following.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => idle.as_mut().poll(cx),
            })
            .await;
        }
        Source::Only(address) => {
            subchannels.when_lost = WhenLost::ShutDown;
            subchannels.set_addresses(vec![address.clone()]);
            pending().await
        }
    }
}

/// Resolves when there has been no call for the idle timeout, or up to a quarter longer. Calls then
/// need not note the time when they end.
async fn falls_idle(shared: &Shared) {
    let Some(timeout) = shared.config.idle_timeout else {
        return pending().await;
    };
    let mut quiet_checks = 0;
    // The first one may tell of a call that has just ended.
    while quiet_checks <= IDLE_CHECKS {
        sleep(timeout / IDLE_CHECKS).await;
        if shared.picker.was_used() {
            quiet_checks = 0;
        } else {
            quiet_checks += 1;
        }
    }
    shared.connector.counters.count(Counter::IdleTimeout);
}

/// The subchannels of a channel. They end with this.
struct Subchannels<'a> {
    shared: &'a Arc<Shared>,
    list: Vec<Subchannel>,
    last_id: u64,
    /// How a service config asks that calls be spread.
    asked: Option<LoadBalancingConfig>,
    /// How they are.
    balancing: Balancing,
    when_lost: WhenLost,
}

impl<'a> Subchannels<'a> {
    fn new(shared: &'a Arc<Shared>) -> Self {
        let balancing = shared.config.balancing.clone();
        shared.picker.set_balancer(balancing.balancer());
        Self {
            shared,
            list: Vec::new(),
            last_id: 0,
            asked: None,
            when_lost: WhenLost::under(&balancing),
            balancing,
        }
    }

    /// Looks up names, and again whenever they may have changed.
    async fn follow_names(&mut self, resolver: &dyn Resolver, target: &Target) {
        let mut clock = ResolveClock::new(Instant::now());
        loop {
            lookup_due(self.shared, resolver, &mut clock).await;
            clock.begin(Instant::now());
            // A resolver may be the user's. If this task ended with it, the next call would begin it
            // again, and at once.
            let asking = async { resolver.resolve(target).await };
            let outcome = match unwinding_future("the resolver", asking).await {
                Ok(Ok(resolution)) => self.take(resolution, target),
                Ok(Err(error)) => Err(error.to_string()),
                Err(panicked) => {
                    let (name, what) = (&target.text, panicked.message);
                    Err(format!("cannot resolve {name:?}: {what}"))
                }
            };
            match outcome {
                Ok(()) => clock.succeed(Instant::now()),
                Err(error) => {
                    tracing::debug!(%error, "names not resolved");
                    clock.fail(Instant::now(), |earlier| self.shared.backoff(earlier));
                    let failure = Status::unavailable(error).unprocessed();
                    self.shared.picker.names_failed(failure);
                }
            }
        }
    }

    /// Obeys what a resolver found.
    ///
    /// # Errors
    ///
    /// Why there is nothing to connect to.
    fn take(&mut self, resolution: Resolution, target: &Target) -> Result<(), String> {
        if let Some(Err(error)) = &resolution.service_config {
            tracing::warn!(%error, "the service config of a resolution is void");
        }
        let config = resolution.service_config.transpose();
        let config = self.shared.policies.update(config);
        let config = config.map_err(|error| error.to_string())?;
        self.balance_as(config.load_balancing);
        self.limit_connections(&config);
        let addresses = distinct(resolution.addresses);
        if addresses.is_empty() {
            self.end_all();
            return Err(format!("there are no addresses behind {:?}", target.text));
        }
        self.set_addresses(addresses);
        Ok(())
    }

    /// Balances as a service config asks, or as the channel does where it asks nothing.
    fn balance_as(&mut self, asked: Option<LoadBalancingConfig>) {
        if asked == self.asked {
            return;
        }
        self.asked = asked;
        let balancing = match asked {
            Some(asked) => asked.into(),
            None => self.shared.config.balancing.clone(),
        };
        let when_lost = WhenLost::under(&balancing);
        if when_lost != self.when_lost {
            self.end_all();
        }
        self.shared.picker.set_balancer(balancing.balancer());
        self.balancing = balancing;
        self.when_lost = when_lost;
    }

    /// What a config asks for counts up to the channel's own limit. gRFC A105 §Configuration.
    fn limit_connections(&self, config: &ServiceConfig) {
        let own = self.shared.config.max_connections_per_address();
        let asked = config.max_connections_per_address;
        let limit = match asked.map(usize::try_from) {
            Some(Ok(asked)) => asked.clamp(1, own),
            Some(Err(_)) | None => own,
        };
        self.shared.max_connections.store(limit, Ordering::Relaxed);
    }

    /// Has connections to these addresses, or to one of them, and no others. Those that are still
    /// among them stay. There is at least one.
    fn set_addresses(&mut self, mut addresses: Vec<Address>) {
        if self.balancing.connects_to_all() {
            self.list
                .retain(|one| addresses.iter().any(|address| one.is_for(address)));
            addresses.retain(|address| !self.list.iter().any(|one| one.is_for(address)));
            return self.add(addresses.into_iter().map(|address| vec![address]).collect());
        }
        if let Balancing::PickFirst { shuffle: true } = self.balancing {
            self.shared.random.shuffle(&mut addresses);
        }
        let addresses = interleave(addresses);
        match self.list.first() {
            Some(only) => only.set_addresses(addresses),
            None => self.add(vec![addresses]),
        }
    }

    /// Begins subchannels with these lists of addresses, beside those that there are.
    fn add(&mut self, lists: Vec<Vec<Address>>) {
        let new: Vec<_> = (self.last_id + 1..).zip(lists).collect();
        let mut ids: Vec<u64> = self.list.iter().map(|one| one.id).collect();
        ids.extend(new.iter().map(|(id, _)| id));
        // Known to the picker before they have something to say.
        self.shared.picker.keep(&ids);
        for (id, addresses) in new {
            self.last_id = id;
            let subchannel = Subchannel::spawn(id, addresses, self.when_lost, self.shared);
            self.list.push(subchannel);
        }
    }

    fn end_all(&mut self) {
        self.list.clear();
        self.shared.picker.keep(&[]);
    }
}

/// Waits until names are to be looked up.
async fn lookup_due(shared: &Shared, resolver: &dyn Resolver, clock: &mut ResolveClock) {
    let mut has_news = false;
    loop {
        let due_at = clock.due_at();
        let mut due = pin!(async {
            match due_at {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        });
        let mut wanted = pin!(shared.names_wanted.notified());
        let mut changed = resolver.changed();
        // The moment races with what may bring it forward.
        let is_due = poll_fn(|cx| {
            if due.as_mut().poll(cx).is_ready() {
                return Poll::Ready(true);
            }
            if wanted.as_mut().poll(cx).is_ready() {
                clock.ask();
                return Poll::Ready(false);
            }
            // Said once, it is known: a resolver that goes on saying so is not listened to.
            if !has_news && changed.as_mut().poll(cx).is_ready() {
                has_news = true;
                clock.announce();
                return Poll::Ready(false);
            }
            Poll::Pending
        });
        if is_due.await {
            return;
        }
    }
}

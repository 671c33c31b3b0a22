//! A server at work: its connections, its calls, and how it comes to an end.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::call_count::CallCount;
use super::config::ServerConfig;
use super::drain::{CutCall, DrainReport};
use super::listen::{Accepted, AddressPermit, Listeners, PerAddress, Secure};
use super::serve_call::serve_call;
use super::server::Server;
use super::service::Service;
use crate::call::{InflightBytes, Interceptors};
use crate::transport::Io;
use crate::transport::counters::{Counter, Counters};
use crate::transport::leaks::assert_none_left;
use crate::transport::peer::{Peer, PeerAddress};
use crate::transport::phase::{Phase, PhaseTeller};
use crate::transport::server_connection::{ConnectionError, StartCall, serve_connection};
use crate::transport::server_stream::OpenCall;
use crate::transport::server_transport::ServerTransport;
use crate::wire::{Code, MethodPath, Status};

/// What all calls of a server share.
pub(super) struct ServerShared {
    pub(super) config: Arc<ServerConfig>,
    pub(super) services: Services,
    pub(super) interceptors: Interceptors,
    pub(super) inflight: Arc<InflightBytes>,
    pub(super) counters: Counters,
    /// Calls whose handler is at work.
    pub(super) calls: CallCount,
    /// Calls of which it was not told yet that they have ended. They outlast their handlers a little,
    /// and the server waits for them: what it reports is to be all.
    pub(super) untold: CallCount,
    cut: Mutex<Vec<CutCall>>,
}

/// The services of a server, sorted by name: for the few that there are, that finds one sooner than a
/// hash.
pub(super) struct Services(Vec<(&'static str, Arc<dyn Service>)>);

impl Services {
    fn new(services: Vec<Arc<dyn Service>>) -> io::Result<Self> {
        let named = services
            .into_iter()
            .map(|service| (service.name(), service));
        let mut services: Vec<_> = named.collect();
        services.sort_by_key(|(name, _)| *name);
        for pair in services.windows(2) {
            if let [(name, _), (same, _)] = pair
                && name == same
            {
                let why = format!("two services of this server are named {name}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        }
        Ok(Self(services))
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<dyn Service>> {
        let found = self.0.binary_search_by_key(&name, |(name, _)| name).ok()?;
        self.0.get(found).map(|(_, service)| service)
    }
}

impl ServerShared {
    /// Remembers calls that had to be cut, for the report.
    pub(super) fn call_ended(
        &self,
        call: &OpenCall,
        path: &MethodPath,
        received_at: Instant,
        outcome: &Result<(), Status>,
    ) {
        if outcome
            .as_ref()
            .is_err_and(|status| status.code == Code::Cancelled)
            && call.connection().phase.now() == Phase::Cutting
        {
            self.counters.count(Counter::DrainTimeout);
            let cut = CutCall {
                path: path.clone(),
                peer: call.connection().peer.clone(),
                age: received_at.elapsed(),
            };
            self.cut
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(cut);
        }
    }
}

impl Drop for ServerShared {
    fn drop(&mut self) {
        // No call is left.
        assert_none_left(self.calls.open(), "calls");
        assert_none_left(self.untold.open(), "calls of which was not told");
    }
}

/// A server at work.
pub(super) struct Running {
    shared: Arc<ServerShared>,
    transport: Arc<ServerTransport>,
    phase: PhaseTeller,
    connections: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    per_address: Arc<PerAddress>,
    start_call: StartCall,
}

/// A connection that was accepted, and may be served.
pub(super) struct Next {
    accepted: Accepted,
    connection: OwnedSemaphorePermit,
    handshake: OwnedSemaphorePermit,
    address: AddressPermit,
}

impl Running {
    pub(super) fn start(server: Server) -> io::Result<Self> {
        let Server {
            config,
            services,
            interceptors,
            secure: _,
            counters,
        } = server;
        config
            .check()
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))?;
        let inflight = InflightBytes::new(config.max_inflight_message_bytes, counters.clone());
        let transport = ServerTransport::new(
            config.http2.clone(),
            config.max_buffered_bytes,
            counters.clone(),
        );
        let shared = Arc::new(ServerShared {
            inflight: Arc::new(inflight),
            counters,
            config: Arc::new(config),
            services: Services::new(services)?,
            interceptors,
            calls: CallCount::default(),
            untold: CallCount::default(),
            cut: Mutex::new(Vec::new()),
        });
        let start_call: StartCall = {
            let shared = Arc::clone(&shared);
            Arc::new(move |stream, call| call.set(serve_call(Arc::clone(&shared), stream)))
        };
        Ok(Self {
            transport: Arc::new(transport),
            phase: PhaseTeller::new(),
            connections: Arc::new(Semaphore::new(permits(shared.config.max_connections))),
            handshakes: Arc::new(Semaphore::new(permits(shared.config.max_handshakes))),
            per_address: Arc::default(),
            start_call,
            shared,
        })
    }

    /// The next connection that there is room for. `None` only if the server is gone.
    pub(super) async fn next(&self, listeners: &Listeners) -> Option<Next> {
        let counters = &self.shared.counters;
        // One connection is accepted ahead, so that nobody has to make room for nobody.
        let (accepted, address) = loop {
            let accepted = listeners.accept(&self.shared.config, counters).await;
            let limit = self.shared.config.max_connections_per_ip;
            if let Some(address) = self.per_address.take(&accepted.address, limit) {
                break (accepted, address);
            }
            // Dropped, and so closed, before anybody waits or goes for its sake.
            counters.count(Counter::MaxConnectionsPerIp);
        };
        let connection = match Arc::clone(&self.connections).try_acquire_owned() {
            Ok(connection) => connection,
            Err(_) => self.make_room().await?,
        };
        if self.handshakes.available_permits() == 0 {
            counters.count(Counter::MaxHandshakes);
        }
        let handshake = Arc::clone(&self.handshakes).acquire_owned().await.ok()?;
        Some(Next {
            accepted,
            connection,
            handshake,
            address,
        })
    }

    /// Waits for the end of a connection, and sends idle ones away for that.
    async fn make_room(&self) -> Option<OwnedSemaphorePermit> {
        self.shared.counters.count(Counter::MaxConnections);
        loop {
            let silence = self.shared.config.evict_idle_after;
            self.transport.open.send_idle_away(silence);
            let room = Arc::clone(&self.connections).acquire_owned();
            // A peer that takes its time to go is not waited for.
            if let Ok(connection) = timeout(EVICTION_INTERVAL, room).await {
                return connection.ok();
            }
        }
    }

    // The task that is spawned here ends with its connection: when the peer leaves, when it is
    // drained, at the latest when it is cut.
    pub(super) fn spawn(&self, next: Next, secure: Arc<dyn Secure>) {
        let Next {
            accepted,
            connection,
            handshake,
            address,
        } = next;
        let limit = self.shared.config.tls_handshake_timeout;
        let transport = Arc::clone(&self.transport);
        let phase = self.phase.watch();
        let start_call = Arc::clone(&self.start_call);
        tokio::spawn(async move {
            let Accepted { io, address: from } = accepted;
            let securing = timeout(limit, secure.secure(io));
            let secured = match phase.clone().until_cut(securing).await {
                Some(Ok(Ok(secured))) => secured,
                Some(Ok(Err(error))) => {
                    transport.counters.count(Counter::TlsHandshakeFailed);
                    tracing::debug!(peer = %from, %error, "TLS handshake failed");
                    return;
                }
                Some(Err(_)) => {
                    transport.counters.count(Counter::TlsHandshakeTimeout);
                    tracing::debug!(peer = %from, "no TLS handshake within {limit:?}");
                    return;
                }
                None => return,
            };
            drop(handshake);
            let (io, certificates) = secured;
            let peer = match certificates {
                Some(certificates) => Peer::with_certificates(from, certificates),
                None => Peer::new(from),
            };
            let ended = serve_connection(io, peer.clone(), transport, phase, start_call).await;
            log_end(&peer, ended);
            drop((connection, address));
        });
    }

    /// Serves a connection that was not accepted by a listener, to its end.
    pub(super) async fn serve_one(&self, io: Io) {
        let peer = Peer::new(PeerAddress::InProcess);
        let ended = serve_connection(
            io,
            peer.clone(),
            Arc::clone(&self.transport),
            self.phase.watch(),
            Arc::clone(&self.start_call),
        );
        log_end(&peer, ended.await);
        self.shared.untold.wait_for_none().await;
    }

    /// Calls whose handlers are at work.
    pub(super) fn open_calls(&self) -> usize {
        self.shared.calls.open()
    }

    pub(super) async fn drain(self, calls_at_start: usize) -> DrainReport {
        let began_at = Instant::now();
        for (_, service) in &self.shared.services.0 {
            service.drain();
        }
        self.phase.tell(Phase::Draining);
        if timeout(self.shared.config.drain_timeout, self.all_ended())
            .await
            .is_err()
        {
            self.phase.tell(Phase::Cutting);
            self.all_ended().await;
        }
        let cut = std::mem::take(
            &mut *self
                .shared
                .cut
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        DrainReport {
            duration: began_at.elapsed(),
            calls_at_start,
            cut,
        }
    }

    async fn all_ended(&self) {
        let all = u32::try_from(permits(self.shared.config.max_connections)).unwrap_or(u32::MAX);
        // An error would say that the semaphore was closed, which nobody does.
        let _ = self.connections.acquire_many(all).await;
        self.shared.untold.wait_for_none().await;
    }
}

/// While a connection waits, so often another one may be sent away.
const EVICTION_INTERVAL: Duration = Duration::from_secs(1);

/// As many permits as a semaphore can have, and hand out at once: more is as good as no limit.
fn permits(count: usize) -> usize {
    count.min(0x0fff_ffff)
}

fn log_end(peer: &Peer, ended: Result<(), ConnectionError>) {
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

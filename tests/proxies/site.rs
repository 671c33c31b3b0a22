//! Where a check is: a proxy, and servers of ours behind it.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use barewire::{
    ByteStream, Channel, ChannelConfig, ClientCertificates, ClientTls, Counters, Server,
    ServerConfig, ServerTls,
};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::proxy::{Kind, Plan, Programs, Proxy, Security};
use crate::service::Place;
use crate::support::{Client, Probe, Seen, connect};

/// Which proxy, and what it needs.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) kind: Kind,
    pub(crate) security: Security,
    pub(crate) programs: Programs,
    pub(crate) certificates: PathBuf,
}

impl Site {
    /// A proxy before servers on these ports.
    pub(crate) fn proxy(&self, servers: &[u16]) -> Proxy {
        self.changed_proxy(servers, &[])
    }

    /// A proxy that is told something else than the documentation has it.
    pub(crate) fn changed_proxy(&self, servers: &[u16], changes: &[(&str, &str)]) -> Proxy {
        let plan = Plan {
            kind: self.kind,
            security: self.security,
            servers,
            certificates: &self.certificates,
            changes,
        };
        Proxy::start(&self.programs, plan)
    }

    /// A channel of its own.
    pub(crate) fn channel(&self, proxy: SocketAddr) -> Channel {
        self.channel_with(proxy, ChannelConfig::default())
    }

    pub(crate) fn channel_with(&self, proxy: SocketAddr, mut config: ChannelConfig) -> Channel {
        config.tls = self.client_tls();
        let scheme = if config.tls.is_some() {
            "https"
        } else {
            "http"
        };
        Channel::with_config(&format!("{scheme}://{proxy}"), config).unwrap()
    }

    /// A connection on bare h2.
    pub(crate) async fn client(&self, proxy: SocketAddr) -> Client {
        let io = connect(proxy).await;
        Client::over(self.secured(io).await).await
    }

    /// The byte stream inside TLS, if it is TLS.
    pub(crate) async fn secured(&self, io: TcpStream) -> Box<dyn ByteStream> {
        match self.client_tls() {
            Some(tls) => tls.handshake(io, "localhost").await.unwrap().0,
            None => Box::new(io),
        }
    }

    /// The flags of `barewire serve`.
    pub(crate) fn tls_flags(&self) -> Vec<String> {
        let path = |name| self.certificates.join(name).display().to_string();
        match self.security {
            Security::ClearText => Vec::new(),
            Security::Tls => {
                let certificate = ["--tls-cert".to_owned(), path("server.pem")];
                [certificate, ["--tls-key".to_owned(), path("server.key")]].concat()
            }
        }
    }

    /// The server, with TLS if it is TLS.
    pub(crate) fn secure(&self, server: Server) -> Server {
        match self.security {
            Security::ClearText => server,
            Security::Tls => {
                let (certificate, key) = (self.pem("server.pem"), self.pem("server.key"));
                let nobody = ClientCertificates::None;
                server.tls(ServerTls::from_pem(&certificate, &key, nobody).unwrap())
            }
        }
    }

    fn client_tls(&self) -> Option<ClientTls> {
        let is_tls = self.security == Security::Tls;
        is_tls.then(|| ClientTls::with_roots(&self.pem("ca.pem")).unwrap())
    }

    fn pem(&self, name: &str) -> Vec<u8> {
        fs::read(Path::new(&self.certificates).join(name)).unwrap()
    }
}

/// A server in this process.
pub(crate) struct Backend {
    pub(crate) port: u16,
    pub(crate) counters: Counters,
    _stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Backend {
    pub(crate) async fn start(site: &Site, server: Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = site.secure(server);
        let counters = server.counters();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let signal = async {
                // Dropped is said as well.
                let _ = stopped.await;
            };
            server.serve_until(listener, signal).await.unwrap();
        });
        Self {
            port,
            counters,
            _stop: stop,
            task,
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Two servers behind a proxy.
pub(crate) struct Scene {
    pub(crate) site: Site,
    pub(crate) proxy: Proxy,
    pub(crate) backends: [Backend; 2],
    /// What the handlers of both saw.
    pub(crate) seen: Arc<Seen>,
}

impl Scene {
    pub(crate) async fn start(site: &Site) -> Self {
        Self::with(site, ServerConfig::default()).await
    }

    pub(crate) async fn with(site: &Site, config: ServerConfig) -> Self {
        let seen = Arc::new(Seen::default());
        let backends = [
            Backend::start(site, server("one", &seen, config.clone())).await,
            Backend::start(site, server("two", &seen, config)).await,
        ];
        let proxy = site.proxy(&[backends[0].port, backends[1].port]);
        Self {
            site: site.clone(),
            proxy,
            backends,
            seen,
        }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.site.channel(self.proxy.address)
    }

    /// Waits until no handler runs any more.
    pub(crate) async fn all_handlers_ended(&self) {
        let none = |seen: &Seen| seen.running() == 0;
        self.seen.wait_for("handlers end", none).await;
    }
}

/// A server with the services of these tests.
pub(crate) fn server(name: &'static str, seen: &Arc<Seen>, config: ServerConfig) -> Server {
    let seen = Arc::clone(seen);
    let place = Place {
        name,
        seen: Arc::clone(&seen),
    };
    Server::new()
        .with_config(config)
        .add(Probe { seen })
        .add(place)
}

/// A wire between proxy and server, on which connections are counted.
pub(crate) struct Wire {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
    _relays: JoinSet<()>,
}

impl Wire {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own_port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let mut relays = JoinSet::new();
        relays.spawn(async move {
            let mut pairs = JoinSet::new();
            loop {
                let (mut from, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                pairs.spawn(async move {
                    let mut to = connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
                    from.set_nodelay(true).unwrap();
                    // However it ends, both ends are told.
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                });
            }
        });
        Self {
            port: own_port,
            connections,
            _relays: relays,
        }
    }

    /// How many there were.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Waits for what must come.
pub(crate) async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, future).await;
    ended.unwrap_or_else(|_| panic!("never: {what}"))
}

const PATIENCE: Duration = Duration::from_secs(20);

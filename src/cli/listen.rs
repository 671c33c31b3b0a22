//! Addresses to sockets.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, lookup_host};

use super::messages::StartError;
use super::tls_files::Renewal;

/// What the server listens on.
#[derive(Default)]
pub(super) struct Sockets {
    pub(super) listeners: Vec<TcpListener>,
    pub(super) addresses: Vec<SocketAddr>,
    /// Addresses of a name that this machine does not have.
    pub(super) left_out: Vec<SocketAddr>,
}

impl Sockets {
    /// Listens on the addresses in `texts`, or, if there are none, where the tutorials' clients look:
    /// on this machine alone, by either version of IP.
    pub(super) async fn open(texts: &[String]) -> Result<Self, StartError> {
        let mut hosts = Vec::new();
        for text in texts {
            hosts.push(resolve(text).await?);
        }
        if hosts.is_empty() {
            hosts.push(vec![
                (Ipv4Addr::LOCALHOST, USUAL_PORT).into(),
                (Ipv6Addr::LOCALHOST, USUAL_PORT).into(),
            ]);
        }
        let all: Vec<_> = hosts.concat();
        let mut sockets = Self::default();
        for host in &hosts {
            sockets.open_host(host, &all)?;
        }
        Ok(sockets)
    }

    /// Listens on a port of all addresses of this machine.
    pub(super) fn open_everywhere(port: u16) -> Result<Self, StartError> {
        let all_of_ipv4 = (Ipv4Addr::UNSPECIFIED, port).into();
        // All of IPv6 is all of IPv4 too, where there is IPv6.
        let opened = match open((Ipv6Addr::UNSPECIFIED, port).into(), &[]) {
            Err(why) if is_missing(&why) => open(all_of_ipv4, &[]),
            opened => opened,
        };
        let (listener, address) = opened.map_err(|why| StartError::ListenOnPort { port, why })?;
        Ok(Self {
            listeners: vec![listener],
            addresses: vec![address],
            left_out: Vec::new(),
        })
    }

    /// Tells where the server listens.
    pub(super) fn announcement(&self, tls: Option<&Renewal>) -> String {
        let security = if tls.is_some() { "TLS" } else { "plain text" };
        let mut text = String::new();
        for address in &self.addresses {
            text += &format!("listening on {address} ({security})\n");
        }
        for address in &self.left_out {
            text += &format!("not on {address}, which this machine does not have\n");
        }
        text
    }

    /// Listens on every address of a host. One that this machine does not have is left out if
    /// another is there: `localhost` is often known by IPv6 where there is none.
    fn open_host(&mut self, host: &[SocketAddr], all: &[SocketAddr]) -> Result<(), StartError> {
        let mut missing = None;
        let mut found = false;
        for address in host.iter().copied() {
            if self.addresses.contains(&address) {
                found = true;
                continue;
            }
            match open(address, all) {
                Ok((listener, address)) => {
                    self.listeners.push(listener);
                    self.addresses.push(address);
                    found = true;
                }
                Err(why) if is_missing(&why) => {
                    self.left_out.push(address);
                    missing = Some(StartError::Listen { address, why });
                }
                Err(why) => return Err(StartError::Listen { address, why }),
            }
        }
        match missing {
            Some(missing) if !found => Err(missing),
            Some(_) | None => Ok(()),
        }
    }
}

/// The addresses that `HOST:PORT` stands for.
async fn resolve(text: &str) -> Result<Vec<SocketAddr>, StartError> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    let (host, port) = text
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
        .filter(|(host, _)| !host.is_empty() && !host.contains([':', '[', '/', ' ']))
        .ok_or_else(|| StartError::NotAnAddress(text.to_owned()))?;
    let unknown = |why| StartError::UnknownHost {
        host: host.to_owned(),
        why,
    };
    let mut addresses = Vec::new();
    for address in lookup_host((host, port)).await.map_err(unknown)? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err(unknown(io::Error::other("the name has no address")));
    }
    Ok(addresses)
}

fn open(address: SocketAddr, all: &[SocketAddr]) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        // All of IPv6 is all of IPv4 too, as in other gRPC servers, unless that is asked for beside.
        let all_of_ipv4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
        socket.set_only_v6(all.contains(&all_of_ipv4))?;
    }
    reuse(&socket)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket.into())?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Lets a server take the port of the one before it, whose last connections the system still counts.
#[cfg(unix)]
fn reuse(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// Elsewhere, the same setting would let two servers have one port.
#[cfg(not(unix))]
fn reuse(_: &Socket) -> io::Result<()> {
    Ok(())
}

/// Whether the machine does not have the address, or nothing of its kind.
fn is_missing(why: &io::Error) -> bool {
    // EAFNOSUPPORT has no name in the standard library.
    why.kind() == io::ErrorKind::AddrNotAvailable || matches!(why.raw_os_error(), Some(97 | 47))
}

/// The port of most tutorials.
const USUAL_PORT: u16 = 50051;
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;

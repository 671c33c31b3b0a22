//! Proxying: which targets are reached through a proxy.
//!
//! The environment says so, in variables whose names are older than any document:
//!
//! - `grpc_proxy`, `https_proxy`, `HTTPS_PROXY`, `http_proxy`: the first that is set counts, as in gRPC
//!   C++, and an empty one means no proxy. `HTTP_PROXY` is not read: a web server that runs programs
//!   by CGI sets it to what a client sends as `Proxy:`. curl does not read it either.
//! - `no_grpc_proxy`, `no_proxy`, `NO_PROXY`: the first that is set counts. It lists what is reached
//!   directly, with commas or blanks between the entries:
//!
//! ```text
//!  *                all
//!  host             this host, and all below it: a.host, b.a.host
//!  .host  *.host    all below it
//!  10.0.0.1  ::1    this address
//!  10.0.0.0/8       this network
//!  host:50051       this port of it; an IPv6 address needs brackets then
//! ```
//!
//! gRPC C++ compares the ends of names, so that `ample.com` covers `example.com`. Here they end at
//! dots, as in curl and Go.
//!
//! This machine is reached directly, since `localhost` is another machine to a proxy elsewhere. So are
//! Unix sockets.
//!
//! Spec: gRFC A1.

use std::net::IpAddr;

use super::tunnel::{Proxy, ProxyError};
use crate::client::host_port::{DEFAULT_PORT, parse_host_port, parse_ip};
use crate::client::target::{Destination, Target};
use crate::transport::connect::Address;

/// Whether a channel uses a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxying {
    /// As the environment says: see [`proxy_for`](Self::proxy_for). The default.
    #[default]
    Environment,
    /// No proxy, whatever the environment says.
    Direct,
    /// This proxy, also to reach this machine.
    Through(Proxy),
}

const PROXY_VARIABLES: [&str; 4] = ["grpc_proxy", "https_proxy", "HTTPS_PROXY", "http_proxy"];
const EXCEPTION_VARIABLES: [&str; 3] = ["no_grpc_proxy", "no_proxy", "NO_PROXY"];

impl Proxying {
    /// The proxy on the way to `target`, if there is one. `variable` yields variables of the
    /// environment: `|name| std::env::var(name).ok()`.
    ///
    /// The proxy is the first that is set of `grpc_proxy`, `https_proxy`, `HTTPS_PROXY` and
    /// `http_proxy`; none if that is empty. What the first that is set of `no_grpc_proxy`, `no_proxy`
    /// and `NO_PROXY` lists is reached directly: hosts with all below them, IP addresses, networks as
    /// `10.0.0.0/8`, each of the first two with a `:port` if only that is meant, or `*`. So are this
    /// machine and Unix sockets.
    ///
    /// # Errors
    ///
    /// The variable does not name a proxy that can be used, but the target needs it. Going there
    /// directly might be what the proxy is to prevent.
    pub fn proxy_for(
        &self,
        target: &Target,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Proxy>, ProxyError> {
        let hosts = hosts_of(target);
        match self {
            Self::Through(proxy) if !hosts.is_empty() => Ok(Some(proxy.clone())),
            Self::Through(_) | Self::Direct => Ok(None),
            Self::Environment => {
                let first = |names: &[&'static str]| {
                    let mut values = names.iter().map(|name| (*name, variable(name)));
                    values.find_map(|(name, value)| Some((name, value?)))
                };
                let Some((name, url)) = first(&PROXY_VARIABLES) else {
                    return Ok(None);
                };
                let exceptions = first(&EXCEPTION_VARIABLES);
                let exceptions = exceptions.map_or_else(String::new, |(_, list)| list);
                let direct = |host: &Host| host.is_here() || host.is_among(&exceptions);
                if url.is_empty() || hosts.iter().all(direct) {
                    return Ok(None);
                }
                Proxy::parse(&url)
                    .map(Some)
                    .map_err(|error| error.found_in(name))
            }
        }
    }
}

/// A host and port that a target leads to.
struct Host {
    /// In lower case.
    name: String,
    /// The address that the name is, if it is one.
    ip: Option<IpAddr>,
    port: u16,
}

/// The hosts that a target leads to; none if it leads to Unix sockets.
fn hosts_of(target: &Target) -> Vec<Host> {
    match &target.destination {
        Destination::Name { host, port, .. } => vec![Host::named(host, *port)],
        Destination::Addresses(addresses) => addresses.iter().filter_map(Host::of).collect(),
    }
}

impl Host {
    fn of(address: &Address) -> Option<Self> {
        match address {
            Address::Tcp(address) => Some(Self::named(&address.ip().to_string(), address.port())),
            Address::Named(text) => {
                let (host, port) =
                    parse_host_port(text, DEFAULT_PORT).unwrap_or((text, DEFAULT_PORT));
                Some(Self::named(host, port))
            }
            Address::Unix(_) | Address::UnixAbstract(_) => None,
        }
    }

    fn named(host: &str, port: u16) -> Self {
        Self {
            name: host.trim_end_matches('.').to_ascii_lowercase(),
            ip: parse_ip(host, port).map(|address| address.ip().to_canonical()),
            port,
        }
    }

    // The names are those of RFC 6761 §6.3. A connection to no address in particular, 0.0.0.0, comes
    // to this machine too.
    fn is_here(&self) -> bool {
        match self.ip {
            Some(ip) => ip.is_loopback() || ip.is_unspecified(),
            None => self.name == "localhost" || self.name.ends_with(".localhost"),
        }
    }

    fn is_among(&self, exceptions: &str) -> bool {
        let exceptions = exceptions.to_ascii_lowercase();
        exceptions
            .split(|letter: char| letter == ',' || letter.is_ascii_whitespace())
            .any(|entry| self.is_meant_by(entry))
    }

    fn is_meant_by(&self, entry: &str) -> bool {
        if entry == "*" {
            return true;
        }
        if let Some((network, length)) = entry.split_once('/') {
            return self.ip.is_some_and(|ip| is_within(ip, network, length));
        }
        let (name, port) = match entry.rsplit_once(':') {
            // The colons of an IPv6 address that has no brackets.
            Some(_) if entry.parse::<IpAddr>().is_ok() => (entry, None),
            Some((name, port)) => (name, Some(port)),
            None => (entry, None),
        };
        if port.is_some_and(|port| port.parse() != Ok(self.port)) {
            return false;
        }
        match self.ip {
            Some(ip) => {
                let address = name.trim_start_matches('[').trim_end_matches(']');
                address.parse().map(|known: IpAddr| known.to_canonical()) == Ok(ip)
            }
            None => self.is_named_by(name),
        }
    }

    fn is_named_by(&self, domain: &str) -> bool {
        let domain = domain.trim_end_matches('.').trim_start_matches('*');
        match domain.strip_prefix('.') {
            Some(parent) => self.is_below(parent),
            None => self.name == domain || self.is_below(domain),
        }
    }

    fn is_below(&self, parent: &str) -> bool {
        let child = self.name.strip_suffix(parent);
        !parent.is_empty() && child.is_some_and(|child| child.ends_with('.'))
    }
}

/// Whether an address has its first `length` bits in common with `network`.
fn is_within(ip: IpAddr, network: &str, length: &str) -> bool {
    let (Ok(network), Ok(length)) = (network.parse(), length.parse::<u32>()) else {
        return false;
    };
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) => {
            length <= 32 && (ip.to_bits() ^ network.to_bits()).leading_zeros() >= length
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) => {
            length <= 128 && (ip.to_bits() ^ network.to_bits()).leading_zeros() >= length
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

//! Target: what a channel is a line to, as one text.
//!
//! ```text
//!  http://host[:port]           look up the host; port 80 if none is given
//!  https://host[:port]          the same with TLS; port 443
//!  dns:[//server/]host[:port]   look up the host; port 443
//!  ipv4:address[:port],…        these addresses; port 443
//!  ipv6:[address][:port],…      these addresses; port 443
//!  passthrough:///text          the text, for the dialer to understand
//!  unix:path, unix:///path      a socket in the file system
//!  unix-abstract:name           a socket in the abstract namespace of Linux
//!  anything else                as if dns:/// stood before it
//! ```
//!
//! The first two are no schemes of gRPC's naming document; people write them, and they say whether
//! TLS is meant, which the others leave to the channel's configuration.
//!
//! Texts are taken as they stand but for paths of sockets, which are percent-decoded. Hosts are
//! ASCII: an international name is written in its ASCII form, and nothing here converts it.
//!
//! Spec: gRPC-Naming §Name Syntax, RFC 3986 §3.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::host_port::{DEFAULT_PORT, join, parse_host_port, parse_ip, parse_ipv6, without_user};
use crate::transport::connect::Address;
use crate::wire::Status;

/// What a channel is a line to.
///
/// # Example
///
/// ```
/// use barewire::Target;
///
/// let target = Target::parse("https://example.com")?;
/// assert_eq!(target.authority, "example.com");
/// assert!(target.implies_tls());
/// # Ok::<(), barewire::TargetError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// The text that was parsed.
    pub text: String,
    /// How it was read.
    pub scheme: Scheme,
    /// Where it leads.
    pub destination: Destination,
    /// What requests say in `:authority`, if the channel's configuration does not say otherwise: host
    /// and port as they were written, `localhost` for a Unix socket. Bytes that have no place there
    /// are percent-encoded.
    pub authority: String,
    /// The name or IP address that the server's certificate must be for, if there is TLS: a host
    /// without port and brackets.
    pub server_name: String,
}

/// How a [`Target`] was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scheme {
    /// `dns:[//server/]host[:port]`, or `host[:port]` alone. Port 443 if none is given.
    Dns,
    /// `http://host[:port]`. Port 80 if none is given.
    Http,
    /// `https://host[:port]`: there is TLS. Port 443 if none is given.
    Https,
    /// `ipv4:address[:port][,…]`: these addresses. Port 443 if none is given.
    Ipv4,
    /// `ipv6:[address][:port][,…]`: these addresses. Port 443 if none is given.
    Ipv6,
    /// `passthrough:///text`: the text is for the dialer to understand.
    Passthrough,
    /// `unix:path` or `unix:///path`: a socket in the file system.
    Unix,
    /// `unix-abstract:name`: a socket in the abstract namespace of Linux.
    UnixAbstract,
}

/// Where a [`Target`] leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A host to be looked up.
    Name {
        /// A name or an IP address, without brackets.
        host: String,
        /// 1 to 65535.
        port: u16,
        /// The name server to ask, with its port if one was given; otherwise those of the system.
        dns_server: Option<String>,
    },
    /// Addresses that need no lookup.
    Addresses(Vec<Address>),
}

/// A text is no [`Target`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("target {target:?} {problem}")]
#[non_exhaustive]
pub struct TargetError {
    /// The text, without the password if it has one.
    pub target: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

// INVALID_ARGUMENT would be the application's to say. gRPC-Codes §Codes made by the library.
impl From<TargetError> for Status {
    fn from(error: TargetError) -> Self {
        Self::internal(error.to_string())
    }
}

impl Target {
    /// Reads a target, in one of the forms that [`Scheme`] lists.
    ///
    /// # Errors
    ///
    /// One sentence that tells the target, what is wrong with it, and what would be right.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let scheme = text
            .split_once(':')
            .and_then(|(name, rest)| Some((Scheme::named(name)?, rest)));
        let parsed = match scheme {
            Some((Scheme::Dns, rest)) => parse_dns(rest),
            Some((Scheme::Http, rest)) => parse_url(Scheme::Http, rest, 80),
            Some((Scheme::Https, rest)) => parse_url(Scheme::Https, rest, DEFAULT_PORT),
            Some((Scheme::Ipv4, rest)) => parse_addresses(Scheme::Ipv4, rest),
            Some((Scheme::Ipv6, rest)) => parse_addresses(Scheme::Ipv6, rest),
            Some((Scheme::Passthrough, rest)) => parse_passthrough(rest),
            Some((Scheme::Unix, rest)) => parse_unix(rest),
            Some((Scheme::UnixAbstract, rest)) => parse_unix_abstract(rest),
            None => parse_without_scheme(text),
        };
        match parsed {
            Ok(target) => Ok(Self {
                text: text.to_owned(),
                ..target
            }),
            Err(problem) => Err(TargetError {
                target: without_user(text),
                problem,
            }),
        }
    }

    /// Whether the target itself says that there is TLS, as `https://` does.
    pub fn implies_tls(&self) -> bool {
        self.scheme == Scheme::Https
    }

    /// What to dial if somebody else looks the name up.
    pub(crate) fn unresolved(&self) -> Vec<Address> {
        match &self.destination {
            Destination::Name { host, port, .. } => vec![Address::Named(join(host, *port))],
            Destination::Addresses(addresses) => addresses.clone(),
        }
    }

    // The text is filled in by `parse`.
    fn new(scheme: Scheme, destination: Destination, authority: &str, host: &str) -> Self {
        // A dot at the end is a matter of the lookup; TLS has names without it. RFC 6066 §3.
        let server_name = without_zone(host);
        let server_name = server_name.strip_suffix('.').unwrap_or(&server_name);
        Self {
            text: String::new(),
            scheme,
            destination,
            authority: encode_authority(&without_zone(authority)),
            server_name: server_name.to_owned(),
        }
    }
}

impl Scheme {
    // Schemes are compared without regard to case. RFC 3986 §3.1.
    fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "dns" => Self::Dns,
            "http" => Self::Http,
            "https" => Self::Https,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "passthrough" => Self::Passthrough,
            "unix" => Self::Unix,
            "unix-abstract" => Self::UnixAbstract,
            _ => return None,
        })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Http => "http",
            Self::Https => "https",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Passthrough => "passthrough",
            Self::Unix => "unix",
            Self::UnixAbstract => "unix-abstract",
        }
    }
}

fn parse_url(scheme: Scheme, rest: &str, default_port: u16) -> Result<Target, String> {
    let name = scheme.name();
    let Some(rest) = rest.strip_prefix("//") else {
        return Err(format!("lacks //; write {name}://host:port"));
    };
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // Looked for behind the host too: a password may have any of these.
    if let Some((_, host)) = rest.rsplit_once('@') {
        return Err(format!(
            "has a user name, which gRPC does not send; write {name}://{host} and put credentials into metadata"
        ));
    }
    if !matches!(tail, "" | "/") {
        let part = match tail.as_bytes().first() {
            Some(b'?') => "query",
            Some(b'#') => "fragment",
            Some(_) | None => "path",
        };
        return Err(format!(
            "has a {part}, but the path of a call is its service and method; write {name}://{authority}"
        ));
    }
    parse_name(scheme, authority, default_port, None)
}

fn parse_dns(rest: &str) -> Result<Target, String> {
    let (server, path) = split_authority(rest);
    let name = path.strip_prefix('/').unwrap_or(path);
    if let Some(server) = server {
        parse_host_port(server, DNS_PORT)?;
        if name.is_empty() {
            return Err(format!(
                "has a name server and no host; write dns:///{server}"
            ));
        }
    }
    parse_name(Scheme::Dns, name, DEFAULT_PORT, server)
}

/// Where name servers listen. RFC 1035 §4.2.
const DNS_PORT: u16 = 53;

fn parse_without_scheme(text: &str) -> Result<Target, String> {
    if let Some((scheme, _)) = text.split_once("://")
        && !scheme.contains([':', '@'])
    {
        return Err(format!(
            "has the scheme {scheme:?}; known are http, https, dns, ipv4, ipv6, passthrough, unix and unix-abstract"
        ));
    }
    if text.starts_with(['/', '.']) {
        let path = without_user(text);
        return Err(format!(
            "is neither host nor URL; write unix:{path} if it is the path of a socket"
        ));
    }
    parse_name(Scheme::Dns, text, DEFAULT_PORT, None)
}

fn parse_name(
    scheme: Scheme,
    text: &str,
    default_port: u16,
    dns_server: Option<&str>,
) -> Result<Target, String> {
    let (host, port) = parse_host_port(text, default_port)?;
    let destination = Destination::Name {
        host: host.to_owned(),
        port,
        dns_server: dns_server.map(str::to_owned),
    };
    Ok(Target::new(scheme, destination, text, host))
}

fn parse_addresses(scheme: Scheme, rest: &str) -> Result<Target, String> {
    let name = scheme.name();
    let (authority, path) = split_authority(rest);
    if let Some(authority) = authority {
        let right = without_user(&format!("{name}:{authority}{path}"));
        return Err(format!(
            "has an authority, but {name} takes none; write {right}"
        ));
    }
    let list = path.strip_prefix('/').unwrap_or(path);
    let addresses = list.split(',').map(|part| parse_address(scheme, part));
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    // One authority must do for all of them: that of the first.
    let first = list.split(',').next().unwrap_or(list);
    let (host, authority) = match parse_ipv6(first) {
        Some(address) => (address.ip().to_string(), format!("[{first}]")),
        None => {
            let (host, _) = parse_host_port(first, DEFAULT_PORT)?;
            (host.to_owned(), first.to_owned())
        }
    };
    let destination = Destination::Addresses(addresses.into_iter().map(Address::Tcp).collect());
    Ok(Target::new(scheme, destination, &authority, &host))
}

fn parse_address(scheme: Scheme, part: &str) -> Result<SocketAddr, String> {
    // An IPv6 address without a port may stand here without brackets too, and only here.
    let (host, port) = match parse_ipv6(part) {
        None if !part.is_empty() => parse_host_port(part, DEFAULT_PORT)?,
        Some(_) | None => (part, DEFAULT_PORT),
    };
    match parse_ip(host, port) {
        Some(address) if address.is_ipv6() == (scheme == Scheme::Ipv6) => Ok(address),
        Some(_) | None => {
            let name = scheme.name();
            let example = if scheme == Scheme::Ipv6 {
                "ipv6:[::1]:50051,[::1]:50052"
            } else {
                "ipv4:127.0.0.1:50051,127.0.0.1:50052"
            };
            Err(format!(
                "has {host:?}, which is no {name} address; write {example}"
            ))
        }
    }
}

fn parse_passthrough(rest: &str) -> Result<Target, String> {
    let (authority, path) = split_authority(rest);
    if let Some(authority) = authority {
        let right = without_user(&format!("passthrough:///{authority}{path}"));
        return Err(format!(
            "has an authority, but passthrough takes none; write {right}"
        ));
    }
    let text = path.strip_prefix('/').unwrap_or(path);
    if text.is_empty() {
        return Err("has no text; write passthrough:///address".to_owned());
    }
    let host = parse_host_port(text, DEFAULT_PORT).map_or(text, |(host, _)| host);
    Ok(Target::new(
        Scheme::Passthrough,
        Destination::Addresses(vec![Address::Named(text.to_owned())]),
        text,
        host,
    ))
}

/// What requests through a Unix socket say in `:authority`, as all implementations do.
const UNIX_AUTHORITY: &str = "localhost";

fn parse_unix(rest: &str) -> Result<Target, String> {
    let path = match split_authority(rest) {
        (None, path) => decode_path(path)?,
        (Some(authority), path) => {
            let path = without_user(&format!("{authority}{path}"));
            return Err(format!(
                "has an authority, but unix takes none; write unix:{path} or unix:///{path}"
            ));
        }
    };
    let path = String::from_utf8(path).map_err(|_| {
        "has a path that is not UTF-8; such a socket cannot be named here".to_owned()
    })?;
    if path.is_empty() {
        return Err("has no path; write unix:path or unix:///path".to_owned());
    }
    if path.contains('\0') {
        return Err(
            "has a NUL byte in its path; write unix-abstract:name for an abstract name".to_owned(),
        );
    }
    Ok(Target::new(
        Scheme::Unix,
        Destination::Addresses(vec![Address::Unix(PathBuf::from(path))]),
        UNIX_AUTHORITY,
        UNIX_AUTHORITY,
    ))
}

fn parse_unix_abstract(rest: &str) -> Result<Target, String> {
    let (authority, path) = split_authority(rest);
    if let Some(authority) = authority {
        let right = without_user(&format!("unix-abstract:{authority}{path}"));
        return Err(format!(
            "has an authority, but unix-abstract takes none; write {right}"
        ));
    }
    let name = decode_path(path)?;
    if name.is_empty() {
        return Err("has no name; write unix-abstract:name".to_owned());
    }
    Ok(Target::new(
        Scheme::UnixAbstract,
        Destination::Addresses(vec![Address::UnixAbstract(name)]),
        UNIX_AUTHORITY,
        UNIX_AUTHORITY,
    ))
}

/// Takes the authority off what follows a scheme. An empty one is none.
fn split_authority(rest: &str) -> (Option<&str>, &str) {
    let Some(rest) = rest.strip_prefix("//") else {
        return (None, rest);
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (Some(authority).filter(|text| !text.is_empty()), path)
}

/// `fe80::1%2` or `[fe80::1%2]:80` without the `%2`, which means something on this machine only.
/// RFC 6874 §1.
fn without_zone(text: &str) -> Cow<'_, str> {
    let host = parse_host_port(text, DEFAULT_PORT).map_or(text, |(host, _)| host);
    match (parse_ipv6(host), host.split_once('%')) {
        (Some(_), Some((address, _))) => Cow::Owned(text.replace(host, address)),
        (_, _) => Cow::Borrowed(text),
    }
}

fn decode_path(path: &str) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'%' => {
                let Some((byte, after)) = hex_pair(after) else {
                    return Err(
                        "has a % without two hex digits; write %25 for the sign itself".to_owned(),
                    );
                };
                decoded.push(byte);
                rest = after;
            }
            b'?' => return Err("has a ? in its path; write it as %3F".to_owned()),
            b'#' => return Err("has a # in its path; write it as %23".to_owned()),
            byte => decoded.push(*byte),
        }
    }
    Ok(decoded)
}

fn hex_pair(text: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = text else {
        return None;
    };
    let value = char::from(*high).to_digit(16)? * 16 + char::from(*low).to_digit(16)?;
    Some((u8::try_from(value).ok()?, rest))
}

// What may stand in an authority. A user name may not. RFC 3986 §3.2, RFC 9113 §8.3.1.
fn encode_authority(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

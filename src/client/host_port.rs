//! `host[:port]`, as it stands in targets and in the URLs of proxies.
//!
//! ```text
//!  localhost:50051    10.0.0.1    [2001:db8::1]:443    [fe80::1%2]
//! ```
//!
//! What is wrong with such a text is told as the end of a sentence that begins with the text.
//!
//! Spec: RFC 3986 §3.2, RFC 6874.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6};

/// The port of an address that has none. gRPC-Naming §Name Syntax.
pub(super) const DEFAULT_PORT: u16 = 443;

/// Takes `host[:port]` apart. The host comes without brackets, and is a name that can be looked up or
/// an IP address.
pub(super) fn parse_host_port(text: &str, default_port: u16) -> Result<(&str, u16), String> {
    // Before anything is quoted, since what stands before it may be a password.
    if text.contains('@') {
        return Err("has an @, and no user name belongs here; write host:port".to_owned());
    }
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => split_bracketed(rest)?,
        None => split_plain(text)?,
    };
    let port = match port {
        Some(port) => parse_port(port)?,
        None => default_port,
    };
    Ok((host, port))
}

fn split_bracketed(rest: &str) -> Result<(&str, Option<&str>), String> {
    let Some((host, after)) = rest.split_once(']') else {
        return Err("has a [ without its ]; write an IPv6 address as [::1]:50051".to_owned());
    };
    if parse_ipv6(host).is_none() {
        return Err(format!(
            "has {host:?} in brackets, which is no IPv6 address; write one as [::1]:50051"
        ));
    }
    match after.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if after.is_empty() => Ok((host, None)),
        None => Err(format!(
            "has {after:?} behind the brackets; write [{host}]:port"
        )),
    }
}

fn split_plain(text: &str) -> Result<(&str, Option<&str>), String> {
    if text.matches(':').count() > 1 {
        let is_like_ipv6 = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
        return Err(if text.bytes().all(is_like_ipv6) {
            "has an IPv6 address without brackets; write it as [::1]:50051".to_owned()
        } else {
            "has more than one port; write host:port".to_owned()
        });
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if host.is_empty() {
        return Err("has no host; write localhost for this machine".to_owned());
    }
    // Letters, digits and what else occurs in names of hosts. RFC 3986 §3.2.2 (reg-name) has more,
    // of which nothing can be looked up.
    let strange = |letter: &char| !letter.is_ascii_alphanumeric() && !"-._~".contains(*letter);
    match host.chars().find(strange) {
        None => Ok((host, port)),
        Some(letter) if letter.is_ascii() => Err(format!(
            "has {letter:?} in its host; a host is letters, digits, '-', '.' and '_'"
        )),
        Some(letter) => Err(format!(
            "has {letter:?} in its host; write the name in its ASCII form, which begins with xn--"
        )),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    if text.is_empty() {
        return Err("has a colon and no port; leave the colon out or write a port".to_owned());
    }
    // `parse` would take a sign too.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if digits && port > 0 => Ok(port),
        Ok(_) | Err(_) => Err(format!("has port {text:?}; a port is 1 to 65535")),
    }
}

/// The address that a host is, if it is one: no lookup is needed then. An IPv6 address may have a
/// zone, as a number: `fe80::1%2`.
pub(super) fn parse_ip(host: &str, port: u16) -> Option<SocketAddr> {
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Some(SocketAddr::from((address, port)));
    }
    let mut address = parse_ipv6(host)?;
    address.set_port(port);
    Some(SocketAddr::V6(address))
}

pub(super) fn parse_ipv6(host: &str) -> Option<SocketAddrV6> {
    format!("[{host}]:0").parse().ok()
}

/// A host and a port as they are written together.
pub(super) fn join(host: &str, port: u16) -> String {
    if parse_ipv6(host).is_some() {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// A URL as it may be quoted: without the user name, which often has a password behind it.
pub(super) fn without_user(url: &str) -> String {
    let Some((before, after)) = url.rsplit_once('@') else {
        return url.to_owned();
    };
    match before.split_once("://") {
        Some((scheme, _)) if !scheme.contains(':') => format!("{scheme}://…@{after}"),
        Some(_) | None => format!("…@{after}"),
    }
}

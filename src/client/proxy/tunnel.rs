//! Proxy: asks for a tunnel by HTTP CONNECT.
//!
//! ```text
//!  → CONNECT example.com:443 HTTP/1.1
//!  → host: example.com:443
//!  → proxy-authorization: Basic dXNlcjpzZWNyZXQ=
//!  →
//!  ← HTTP/1.1 200 OK
//!  ← …
//!  ←
//!  ↔ whatever the two ends say from here on
//! ```
//!
//! The way to the proxy is clear text, what passes through the tunnel is TLS if the channel has it.
//! Proxies that want TLS themselves, and SOCKS, are not spoken to.
//!
//! Spec: RFC 9110 §9.3.6, RFC 9112 §2.2 and §4, RFC 7617 §2.

use std::fmt;
use std::io::{Error, ErrorKind, Result};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::client::host_port::{DEFAULT_PORT, join, parse_host_port, without_user};
use crate::transport::ByteStream;
use crate::wire::percent::percent_decode;

/// An HTTP proxy that makes tunnels.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    /// What stands behind `Basic`.
    credentials: Option<String>,
}

/// A text is no [`Proxy`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_name} {url:?} {problem}")]
pub struct ProxyError {
    /// `proxy`, or the variable of the environment.
    source_name: &'static str,
    /// Without user name and password.
    url: String,
    problem: String,
}

impl ProxyError {
    pub(super) fn found_in(self, variable: &'static str) -> Self {
        Self {
            source_name: variable,
            ..self
        }
    }
}

impl Proxy {
    /// Reads `http://[user[:password]@]host[:port]`, or the same without `http://`. The port is 443 if
    /// none is given, as in other gRPC implementations. User name and password are percent-decoded.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what would be right.
    pub fn parse(url: &str) -> std::result::Result<Self, ProxyError> {
        let failed = |problem| ProxyError {
            source_name: "proxy",
            url: without_user(url),
            problem,
        };
        let rest = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if !scheme.contains([':', '@']) => {
                return Err(failed(format!(
                    "has the scheme {scheme:?}, and only http is spoken to proxies; write http://host:port"
                )));
            }
            // What looks like a scheme is part of a password.
            Some(_) | None => url,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let (host, port) = parse_host_port(rest, DEFAULT_PORT).map_err(failed)?;
        Ok(Self {
            host: host.to_owned(),
            port,
            credentials: user.map(encode_credentials),
        })
    }

    /// Asks the proxy at the other end of `io` for a tunnel to `host_port`, and yields the tunnel.
    /// Nothing is read of what comes through it.
    ///
    /// # Errors
    ///
    /// Those of `io`; an answer that is not HTTP/1; an answer that is no success, with its status line.
    ///
    /// # Cancel safety
    ///
    /// Dropping it drops the byte stream, which is of no use in the middle of the exchange.
    pub async fn connect_through<T: ByteStream>(&self, mut io: T, host_port: &str) -> Result<T> {
        // What is put into a line must not end it.
        if !host_port.bytes().all(|byte| byte.is_ascii_graphic()) {
            let text = format!("{host_port:?} cannot be named to a proxy");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let exchange = async {
            io.write_all(self.request(host_port).as_bytes()).await?;
            io.flush().await?;
            read_final_head(&mut io).await
        };
        let head = exchange
            .await
            .map_err(|error| Error::new(error.kind(), format!("proxy {self}: {error}")))?;
        // A success has no body, whatever its fields say. RFC 9110 §9.3.6.
        if (200..=299).contains(&head.status) {
            return Ok(io);
        }
        let remedy = match head.status {
            407 => "; it wants credentials, as in http://user:password@host:port",
            _ => "",
        };
        let line = head.status_line;
        let text = format!("proxy {self} makes no tunnel to {host_port}: {line}{remedy}");
        Err(Error::other(text))
    }

    fn request(&self, host_port: &str) -> String {
        let mut request = format!("CONNECT {host_port} HTTP/1.1\r\nhost: {host_port}\r\n");
        if let Some(credentials) = &self.credentials {
            request.push_str("proxy-authorization: Basic ");
            request.push_str(credentials);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        request
    }
}

/// User name, colon and password in base64. RFC 7617 §2.
fn encode_credentials(user: &str) -> String {
    let colon = if user.contains(':') { "" } else { ":" };
    BASE64.encode(format!("{}{colon}", percent_decode(user.as_bytes())))
}

/// What counts in the head of a response.
struct Head {
    status: u16,
    /// Fit to be shown.
    status_line: String,
}

/// All heads of a proxy's answer together. Proxies say far less.
const HEAD_LIMIT: usize = 8 * 1024;
/// How every head begins. RFC 9112 §2.3.
const HTTP1: &[u8] = b"HTTP/1.";

/// Reads heads up to one that is an answer: those of 1xx are not yet. RFC 9110 §15.2.
async fn read_final_head(io: &mut impl ByteStream) -> Result<Head> {
    let mut room = HEAD_LIMIT;
    loop {
        let head = read_head(io, room).await?;
        room = room.saturating_sub(head.len());
        let head = parse_head(&head)?;
        if !matches!(head.status, 100 | 102..=199) {
            return Ok(head);
        }
    }
}

/// Reads a head with its empty line.
async fn read_head(io: &mut impl ByteStream, limit: usize) -> Result<Vec<u8>> {
    let mut head = Vec::with_capacity(256);
    // A recipient may take a bare LF for a line's end. RFC 9112 §2.2.
    while !head.ends_with(b"\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() >= limit {
            return Err(broken("its answer does not end", &head));
        }
        // Byte by byte, since what follows the empty line belongs to others.
        match io.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                let text = "it closed the connection and made no tunnel";
                return Err(Error::new(ErrorKind::UnexpectedEof, text));
            }
            Err(error) => return Err(error),
        }
        // A peer that speaks something else may wait for us now.
        let start = head.get(..HTTP1.len()).unwrap_or(&head);
        if !HTTP1.starts_with(start) {
            return Err(broken("it does not answer in HTTP/1", &head));
        }
    }
    Ok(head)
}

fn parse_head(head: &[u8]) -> Result<Head> {
    let line = head.split(|byte| matches!(byte, b'\r' | b'\n')).next();
    let line = line.unwrap_or_default();
    // Version, three digits, and a reason that may be missing. RFC 9112 §4.
    match line.split(|byte| *byte == b' ').nth(1) {
        Some(digits @ [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9']) => Ok(Head {
            status: digits
                .iter()
                .fold(0, |status, digit| status * 10 + u16::from(digit - b'0')),
            status_line: quote(line),
        }),
        Some(_) | None => Err(broken("its answer has no status", line)),
    }
}

fn broken(what: &str, head: &[u8]) -> Error {
    let text = format!("{what}: \"{}\"", quote(head));
    Error::new(ErrorKind::InvalidData, text)
}

/// Enough to recognize what it is.
const QUOTE_LIMIT: usize = 128;

fn quote(bytes: &[u8]) -> String {
    let start = bytes.get(..QUOTE_LIMIT).unwrap_or(bytes);
    start.trim_ascii_end().escape_ascii().to_string()
}

impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&join(&self.host, self.port))
    }
}

impl fmt::Debug for Proxy {
    // Without the password.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Proxy({self})")
    }
}

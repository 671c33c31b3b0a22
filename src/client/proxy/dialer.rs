//! ProxyDialer: a dialer that goes through a proxy.

use std::io::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::tunnel::Proxy;
use crate::client::host_port::{DEFAULT_PORT, join, parse_host_port};
use crate::client::resolve::look_up;
use crate::transport::ByteStream;
use crate::transport::connect::{Address, Dialer, Dialing};

/// Dials through a [`Proxy`]. Unix sockets, which it cannot reach, are dialled directly.
pub struct ProxyDialer {
    /// The proxy.
    pub proxy: Proxy,
    /// Makes the byte stream to the proxy.
    pub dialer: Arc<dyn Dialer>,
}

impl Dialer for ProxyDialer {
    fn dial<'a>(&'a self, address: &'a Address) -> Dialing<'a> {
        Box::pin(async move {
            let host_port = match address {
                Address::Tcp(address) => address.to_string(),
                Address::Named(text) => with_port(text),
                Address::Unix(_) | Address::UnixAbstract(_) => {
                    return self.dialer.dial(address).await;
                }
            };
            let io = self.dial_proxy().await.map_err(|error| {
                Error::new(error.kind(), format!("proxy {}: {error}", self.proxy))
            })?;
            self.proxy.connect_through(io, &host_port).await
        })
    }
}

/// An address of the proxy that does not answer holds up the next one no longer than this.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(2);

impl ProxyDialer {
    async fn dial_proxy(&self) -> Result<Box<dyn ByteStream>> {
        let found = look_up(&self.proxy.host, self.proxy.port).await;
        let addresses = found.map_err(Error::other)?;
        let Some((last, others)) = addresses.split_last() else {
            return Err(Error::other("it has no address"));
        };
        for address in others {
            let address = Address::Tcp(*address);
            if let Ok(Ok(io)) = timeout(ADDRESS_TIMEOUT, self.dialer.dial(&address)).await {
                return Ok(io);
            }
        }
        self.dialer.dial(&Address::Tcp(*last)).await
    }
}

/// A proxy wants a port in any case.
fn with_port(text: &str) -> String {
    match parse_host_port(text, DEFAULT_PORT) {
        Ok((host, port)) => join(host, port),
        Err(_) => text.to_owned(),
    }
}

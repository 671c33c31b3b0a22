//! Dns: names are looked up as the system does it.
//!
//! The system's own resolver is asked, so `/etc/hosts` and what else it knows counts here too. It
//! takes no name server as an argument; a target that has one needs a resolver of its own.
//!
//! Service configs in TXT records are not read: most implementations leave that off, and the system's
//! resolver does not read such records.
//!
//! Spec: gRPC-Naming §Name Syntax.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::resolver::{Resolution, ResolveError, Resolver, Resolving};
use crate::client::host_port::parse_ip;
use crate::client::target::{Destination, Target};
use crate::transport::connect::Address;

/// Looks names up; addresses that stand in the target are taken as they are. What a channel uses if it
/// is given no other resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dns;

impl Resolver for Dns {
    fn resolve<'a>(&'a self, target: &'a Target) -> Resolving<'a> {
        Box::pin(async move {
            let (host, port) = match &target.destination {
                Destination::Addresses(addresses) => {
                    return Ok(Resolution::new(addresses.iter().cloned()));
                }
                Destination::Name {
                    dns_server: Some(server),
                    ..
                } => return Err(no_choice_of_server(&target.text, server)),
                Destination::Name { host, port, .. } => (host, *port),
            };
            let addresses = look_up(host, port).await?;
            Ok(Resolution::new(addresses.into_iter().map(Address::Tcp)))
        })
    }
}

/// How long a lookup may take: as long as an attempt to connect. The system's own limit depends on its
/// configuration and can be minutes.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(20);

/// The IP addresses of a host; without a lookup if it is one.
///
/// # Cancel safety
///
/// Safe. The system cannot be interrupted, so its thread is busy for as long as it takes.
pub(in crate::client) async fn look_up(
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, ResolveError> {
    if let Some(address) = parse_ip(host, port) {
        return Ok(vec![address]);
    }
    let failed = |cause: &dyn std::fmt::Display| {
        ResolveError::new(format!("cannot resolve {host:?}: {cause}"))
    };
    let found = timeout(LOOKUP_TIMEOUT, lookup_host((host, port)))
        .await
        .map_err(|_| failed(&format_args!("no answer within {LOOKUP_TIMEOUT:?}")))?
        .map_err(|error| failed(&error))?;
    let addresses: Vec<SocketAddr> = found.collect();
    if addresses.is_empty() {
        return Err(failed(&"the name has no addresses"));
    }
    Ok(addresses)
}

fn no_choice_of_server(target: &str, server: &str) -> ResolveError {
    ResolveError::new(format!(
        "target {target:?} names the name server {server:?}, which only a resolver of your own can ask; \
         leave it out to ask those of the system"
    ))
}

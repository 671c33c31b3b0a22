//! How a channel is secured, with the feature `tls`.

use std::sync::Arc;

use super::config::ChannelConfig;
use super::security::Security;
use super::target::{Scheme, Target};
use crate::transport::Io;
use crate::transport::connect::{SecureClient, Securing};
use crate::transport::tls::ClientTls;
use crate::wire::Status;

/// Which TLS the connections to a target have, if any.
///
/// # Errors
///
/// Target and configuration contradict each other; or the system has no roots.
pub(super) fn security_of(target: &Target, config: &ChannelConfig) -> Result<Security, Status> {
    let tls = match &config.tls {
        Some(_) if target.scheme == Scheme::Http => {
            return Err(Status::internal(format!(
                "target {:?} asks for clear text, but the channel is given TLS; write https:// \
                 instead",
                target.text
            )));
        }
        Some(tls) => tls.clone(),
        None if target.implies_tls() => {
            ClientTls::system().map_err(|error| Status::internal(error.to_string()))?
        }
        None => return Ok(Security::default()),
    };
    let authority = tls.authority_override().map(str::to_owned);
    let host = target.server_name.clone();
    Ok(Security {
        secure: Some(Arc::new(TlsWith { tls, host })),
        authority,
    })
}

/// Shakes hands with one server.
struct TlsWith {
    tls: ClientTls,
    /// Its name, or its IP address.
    host: String,
}

impl SecureClient for TlsWith {
    fn secure(&self, io: Io) -> Securing<'_> {
        Box::pin(self.tls.connect(io, &self.host))
    }
}

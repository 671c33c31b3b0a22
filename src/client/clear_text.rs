//! How a channel is secured, without the feature `tls`: not at all.

use super::config::ChannelConfig;
use super::security::Security;
use super::target::Target;
use crate::wire::Status;

/// Clear text.
///
/// # Errors
///
/// The target asks for TLS.
pub(super) fn security_of(target: &Target, _: &ChannelConfig) -> Result<Security, Status> {
    if target.implies_tls() {
        return Err(Status::internal(format!(
            "target {:?} asks for TLS, but this build of barewire lacks the feature \"tls\"",
            target.text
        )));
    }
    Ok(Security::default())
}

//! Flags that all commands share which call a server.

use std::time::Duration;

use clap::Args;

use super::messages::CallError;
use super::serve::parse_interval;
use super::tls_files::ClientTlsOptions;
use crate::{Channel, ChannelConfig, Encoding, MethodConfig, ServiceConfig};

/// How to call.
#[derive(Args)]
pub(super) struct ChannelOptions {
    /// How long a call may take, connecting included, in seconds [default: for ever]
    #[arg(long, value_name = "SECONDS", value_parser = parse_interval)]
    timeout: Option<Duration>,

    /// Compress requests
    #[arg(long)]
    gzip: bool,

    #[command(flatten)]
    tls: ClientTlsOptions,
}

impl ChannelOptions {
    /// A channel to `target`. It connects when it is first used.
    pub(super) fn open(&self, target: &str) -> Result<Channel, CallError> {
        let method = MethodConfig {
            timeout: self.timeout,
            ..MethodConfig::default()
        };
        let config = ChannelConfig {
            encoding: if self.gzip {
                Encoding::Gzip
            } else {
                Encoding::Identity
            },
            service_config: Some(ServiceConfig {
                default_method: Some(method),
                ..ServiceConfig::default()
            }),
            // Without a flag the target says whether there is TLS.
            tls: if self.tls.any() {
                Some(self.tls.load()?)
            } else {
                None
            },
            ..ChannelConfig::default()
        };
        Channel::with_config(target, config).map_err(CallError::Target)
    }
}

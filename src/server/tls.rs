//! A server with TLS.

use std::sync::Arc;

use super::Server;
use super::listen::{Secure, Securing};
use crate::transport::Io;
use crate::transport::tls::ServerTls;

impl Server {
    /// Serves TLS on all listeners. Keep a clone of `tls` to renew certificates while serving.
    #[must_use]
    pub fn tls(self, tls: ServerTls) -> Self {
        self.secured_by(Arc::new(tls))
    }
}

impl Secure for ServerTls {
    fn secure(&self, io: Io) -> Securing<'_> {
        Box::pin(async move {
            let (io, certificates) = self.accept(io).await?;
            Ok((io, Some(certificates)))
        })
    }
}

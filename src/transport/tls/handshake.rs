//! What both sides bring to a handshake: the cryptography and the protocol's name.
//!
//! The cryptography is that of `ring`, asked for by name, so that another crate that links another
//! provider changes nothing here.
//!
//! Spec: RFC 7301; RFC 9113 §3.2.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

use super::error::TlsError;

/// The protocol's name in ALPN. RFC 9113 §3.1.
pub(super) const ALPN_H2: &[u8] = b"h2";

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// Adds `h2` to a configuration that names no protocol.
pub(super) fn offer_h2(protocols: &mut Vec<Vec<u8>>) -> Result<(), TlsError> {
    if protocols.is_empty() {
        protocols.push(ALPN_H2.to_vec());
    }
    let found = protocols.iter().any(|protocol| protocol == ALPN_H2);
    found.then_some(()).ok_or(TlsError::Alpn)
}

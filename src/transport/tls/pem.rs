//! PEM to certificates and keys, and what a text has instead.

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::{TlsError, TlsPart};

pub(super) fn certificates(
    part: TlsPart,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Pem { part, error })?;
    if chain.is_empty() {
        Err(missing(part, "CERTIFICATE", pem))
    } else {
        Ok(chain)
    }
}

pub(super) fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let part = TlsPart::PrivateKey;
    let mut keys = PrivateKeyDer::pem_slice_iter(pem);
    let key = keys.next().ok_or_else(|| missing(part, "PRIVATE KEY", pem));
    key?.map_err(|error| TlsError::Pem { part, error })
}

/// What these certificates have signed is trusted.
pub(super) fn roots(
    certificates: &[CertificateDer<'static>],
) -> Result<RootCertStore, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.clone())?;
    }
    Ok(roots)
}

fn missing(part: TlsPart, wanted: &'static str, pem: &[u8]) -> TlsError {
    let text = String::from_utf8_lossy(pem);
    let labels = text.lines().filter_map(|line| {
        let label = line.strip_prefix("-----BEGIN ")?;
        Some(label.trim_end().strip_suffix("-----")?.to_owned())
    });
    TlsError::Missing {
        part,
        wanted,
        found: labels.collect(),
    }
}

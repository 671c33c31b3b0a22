//! TLS for those who bring none of their own: rustls on ring, as with all peers that are compared.

use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::Fault;
use crate::options::Options;

/// If a server is to speak TLS: `certificate=` and `key=`, both in PEM.
pub fn acceptor(options: &Options) -> Result<Option<TlsAcceptor>, Fault> {
    let (Some(certificate), Some(key)) = (options.file("certificate")?, options.file("key")?)
    else {
        return Ok(None);
    };
    let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>()?;
    let mut config = ServerConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(&key)?)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Some(Arc::new(config).into()))
}

/// If a client is to speak TLS: `roots=`, in PEM.
pub fn connector(options: &Options) -> Result<Option<TlsConnector>, Fault> {
    let Some(roots) = options.file("roots")? else {
        return Ok(None);
    };
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&roots) {
        store.add(certificate?)?;
    }
    let mut config = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Some(Arc::new(config).into()))
}

/// Whom the certificate is for.
pub fn server_name() -> Result<ServerName<'static>, Fault> {
    Ok(ServerName::try_from(SERVER_NAME)?)
}

pub const SERVER_NAME: &str = "localhost";

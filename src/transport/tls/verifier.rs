//! Who a server is: verified by webpki, and where webpki cannot, by hand.
//!
//! webpki verifies a certificate against the roots, with one kind left out: a certificate of an
//! authority is never taken for a server's. Yet this is what everyone makes who follows a tutorial,
//! with `openssl req -x509`: one certificate that is its own authority, given to server and client.
//!
//! So a certificate that is, byte for byte, one that the user gave as a root is verified here. It needs
//! no signature of anyone, since the user vouches for it; dates, host and purpose are looked at as
//! webpki would, and whether the server has the key, by what it signs in the handshake. Nothing changes
//! for any other certificate, nor for what a root has signed, nor for the roots of the system.
//!
//! | of a certificate that is itself a root | webpki | here | grpcio |
//! |---|---|---|---|
//! | is an authority's | refused | taken | taken |
//! | names the host in its subjectAltName | taken | taken | taken |
//! | has none, and the host is its common name | refused | taken | taken |
//! | has none, and a wildcard or two common names | refused | refused | taken |
//! | is signed by someone unknown | refused | taken | taken |
//! | is for clients only | refused | refused | taken |
//! | is of X.509 version 1 | refused | refused | taken |
//!
//! A common name is text for people, in which an authority may write what it likes, so that it counts
//! nowhere else. Here the user has seen the certificate, and can only have meant this host. gRPC's C
//! core compares it for every certificate without a subjectAltName.
//!
//! Spec: RFC 5280 §6.1; RFC 9525 §6.3.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::{ParsedCertificate, VerifierBuilderError};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
};

use super::handshake::provider;
use super::x509::Certificate;

/// Verifies what servers show.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    webpki: Arc<WebPkiServerVerifier>,
    /// The certificates that the user gave as roots.
    given: Vec<CertificateDer<'static>>,
}

impl ServerVerifier {
    /// Trusts what `roots` have signed, and each of `given` as the certificate of a server.
    pub(super) fn new(
        roots: RootCertStore,
        given: Vec<CertificateDer<'static>>,
    ) -> Result<Self, VerifierBuilderError> {
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        Ok(Self {
            webpki: webpki.build()?,
            given,
        })
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.given.iter().any(|given| given == end_entity) {
            return verify_given(end_entity, server_name, now);
        }
        self.webpki
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki
            .verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki
            .verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.webpki.root_hint_subjects()
    }
}

/// Verifies a certificate that is one of those given.
fn verify_given(
    der: &CertificateDer<'_>,
    host: &ServerName<'_>,
    now: UnixTime,
) -> Result<ServerCertVerified, Error> {
    // webpki reads it first, and refuses critical extensions that it does not know.
    let parsed = ParsedCertificate::try_from(der)?;
    let certificate = Certificate::parse(der).ok_or(CertificateError::BadEncoding)?;
    verify_dates(&certificate, now)?;
    if !certificate.is_for_servers() {
        return Err(CertificateError::InvalidPurpose.into());
    }
    if certificate.has_alternative_names {
        verify_server_name(&parsed, host)?;
    } else {
        verify_common_name(&certificate, host)?;
    }
    Ok(ServerCertVerified::assertion())
}

fn verify_dates(certificate: &Certificate<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let (not_before, not_after) = (certificate.not_before, certificate.not_after);
    if now < not_before {
        return Err(CertificateError::NotValidYetContext {
            time: now,
            not_before,
        });
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext {
            time: now,
            not_after,
        });
    }
    Ok(())
}

fn verify_common_name(
    certificate: &Certificate<'_>,
    host: &ServerName<'_>,
) -> Result<(), CertificateError> {
    // A common name has no form for an IP address, and none for many hosts. RFC 9525 §6.3.
    let common_name = certificate.common_name.filter(|name| !name.contains('*'));
    let presented = match (common_name, host) {
        (Some(name), ServerName::DnsName(host)) => {
            let host = host.as_ref();
            // The dot of the root may end a name.
            if name.eq_ignore_ascii_case(host.strip_suffix('.').unwrap_or(host)) {
                return Ok(());
            }
            // In webpki's words.
            vec![format!("DnsName({name:?})")]
        }
        _ => Vec::new(),
    };
    Err(CertificateError::NotValidForNameContext {
        expected: host.to_owned(),
        presented,
    })
}

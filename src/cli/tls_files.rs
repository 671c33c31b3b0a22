//! Certificate and key files to TLS.

use std::fs;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::messages::StartError;
use super::serve::{ClientAuth, ServeOptions};
use crate::{ClientCertificates, ServerTls, TlsError};

/// Where a server's TLS comes from. Read at the start, and again when the files were renewed.
pub(super) struct TlsFiles {
    certificate: PathBuf,
    key: PathBuf,
    clients: Option<(PathBuf, ClientAuth)>,
}

impl TlsFiles {
    /// The files that the flags name. `None` if they ask for no TLS.
    pub(super) fn from_options(options: &ServeOptions) -> Result<Option<Self>, StartError> {
        let ServeOptions {
            tls_cert,
            tls_key,
            tls_client_ca,
            tls_client_auth,
            ..
        } = options;
        if tls_client_auth.is_some() && tls_client_ca.is_none() {
            return Err(StartError::ClientAuthorityMissing);
        }
        match (tls_cert, tls_key) {
            (Some(certificate), Some(key)) => Ok(Some(Self {
                certificate: certificate.clone(),
                key: key.clone(),
                clients: tls_client_ca
                    .clone()
                    .map(|path| (path, tls_client_auth.unwrap_or(ClientAuth::Required))),
            })),
            (Some(_), None) => Err(StartError::KeyMissing),
            (None, Some(_)) => Err(StartError::CertificateMissing),
            (None, None) if tls_client_ca.is_some() => Err(StartError::ClientAuthorityWithoutTls),
            (None, None) => Ok(None),
        }
    }

    /// Whether a client needs a certificate.
    pub(super) fn clients_must_show_certificates(&self) -> bool {
        matches!(self.clients, Some((_, ClientAuth::Required)))
    }

    /// Reads the files.
    pub(super) fn load(&self) -> Result<ServerTls, StartError> {
        let certificate = read("--tls-cert", &self.certificate)?;
        let key = read("--tls-key", &self.key)?;
        self.check_certificate(&certificate)?;
        self.check_key(&key)?;
        // First without clients, so that it is clear which file is to blame.
        let tls = ServerTls::from_pem(&certificate, &key, ClientCertificates::None)
            .map_err(|error| self.unusable_certificate(&error))?;

        let Some((path, auth)) = &self.clients else {
            return Ok(tls);
        };
        let authorities = read("--tls-client-ca", path)?;
        check_certificates("--tls-client-ca", path, &authorities)?;
        let clients = match auth {
            ClientAuth::Optional => ClientCertificates::Optional(&authorities),
            ClientAuth::Required => ClientCertificates::Required(&authorities),
        };
        ServerTls::from_pem(&certificate, &key, clients).map_err(|error| {
            StartError::UnusableAuthority {
                path: path.clone(),
                why: why_not_usable(&error),
            }
        })
    }

    fn check_certificate(&self, pem: &[u8]) -> Result<(), StartError> {
        let checked = check_certificates("--tls-cert", &self.certificate, pem);
        let has_key = || PrivateKeyDer::from_pem_slice(pem).is_ok();
        match checked {
            Err(StartError::NoCertificate { path, .. }) if has_key() => {
                Err(StartError::KeyForCertificate(path))
            }
            checked => checked,
        }
    }

    fn check_key(&self, pem: &[u8]) -> Result<(), StartError> {
        let Err(error) = PrivateKeyDer::from_pem_slice(pem) else {
            return Ok(());
        };
        if let Some(what) = damage(&error) {
            return Err(damaged("--tls-key", &self.key, what));
        }
        let locked = pem
            .windows(LOCKED_KEY.len())
            .any(|window| window == LOCKED_KEY);
        if locked {
            Err(StartError::LockedKey(self.key.clone()))
        } else {
            Err(StartError::NoKey(self.key.clone()))
        }
    }

    fn unusable_certificate(&self, error: &TlsError) -> StartError {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        if matches!(
            error,
            TlsError::Rustls(rustls::Error::InconsistentKeys(
                rustls::InconsistentKeys::KeyMismatch
            ))
        ) {
            return StartError::WrongKey { certificate, key };
        }
        StartError::UnusableCertificate {
            certificate,
            key,
            why: why_not_usable(error),
        }
    }
}

/// TLS that can be renewed while it serves.
pub(super) struct Renewal {
    pub(super) files: TlsFiles,
    pub(super) tls: ServerTls,
}

impl Renewal {
    /// Reads the files again. If they are bad, all stays as it is.
    pub(super) fn renew(&self) -> Result<(), StartError> {
        self.files.load().map(|new| self.tls.replace(&new))
    }
}

const LOCKED_KEY: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

fn read(flag: &'static str, path: &Path) -> Result<Vec<u8>, StartError> {
    fs::read(path).map_err(|why| StartError::unreadable(flag, path, why))
}

fn check_certificates(flag: &'static str, path: &Path, pem: &[u8]) -> Result<(), StartError> {
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        if let Some(what) = certificate.err().as_ref().and_then(damage) {
            return Err(damaged(flag, path, what));
        }
        count += 1;
    }
    if count == 0 {
        return Err(StartError::NoCertificate {
            flag,
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// The words of rustls, but for its commonest case, which it calls a peer's certificate.
fn why_not_usable(error: &TlsError) -> String {
    if matches!(
        error,
        TlsError::Rustls(rustls::Error::InvalidCertificate(_))
            | TlsError::Authority(rustls::Error::InvalidCertificate(_))
    ) {
        return "what it holds is not an X.509 certificate".to_owned();
    }
    error.to_string()
}

fn damaged(flag: &'static str, path: &Path, what: String) -> StartError {
    StartError::DamagedPem {
        flag,
        path: path.to_owned(),
        what,
    }
}

/// What is wrong with PEM. `None` if it only has nothing of what was looked for.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest says what it is in words of its own"
)]
fn damage(error: &PemError) -> Option<String> {
    match error {
        PemError::NoItemsFound => None,
        PemError::MissingSectionEnd { end_marker } => {
            let end = String::from_utf8_lossy(end_marker);
            Some(format!("the line -----END {end}----- is missing"))
        }
        PemError::IllegalSectionStart { .. } => {
            Some("a line with BEGIN does not end as it should".to_owned())
        }
        PemError::Base64Decode(_) => {
            Some("what stands between BEGIN and END is not base64".to_owned())
        }
        error => Some(error.to_string()),
    }
}

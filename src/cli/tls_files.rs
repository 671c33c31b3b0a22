//! Certificate and key files to TLS, of a server and of a client.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use rustls::InconsistentKeys;

use super::messages::StartError;
use super::serve::{ClientAuth, ServeOptions};
use crate::transport::tls::damage_text;
use crate::{ClientCertificates, ClientTls, ServerTls, TlsError, TlsPart};

/// Where a server's TLS comes from. Read at the start, and again when the files were renewed.
pub(super) struct TlsFiles {
    certificate: TlsFile,
    key: TlsFile,
    clients: Option<(TlsFile, ClientAuth)>,
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
                certificate: TlsFile::new("--tls-cert", certificate),
                key: TlsFile::new("--tls-key", key),
                clients: tls_client_ca.as_ref().map(|path| {
                    let auth = tls_client_auth.unwrap_or(ClientAuth::Required);
                    (TlsFile::new("--tls-client-ca", path), auth)
                }),
            })),
            (Some(_), None) => Err(StartError::KeyMissing),
            (None, Some(_)) => Err(StartError::CertificateMissing),
            (None, None) if tls_client_ca.is_some() => Err(StartError::ClientAuthorityWithoutTls),
            (None, None) => Ok(None),
        }
    }

    /// The files of a certificate and its key, each with the flag that names it.
    pub(super) fn of_pair(certificate: (&'static str, &Path), key: (&'static str, &Path)) -> Self {
        Self {
            certificate: TlsFile::new(certificate.0, certificate.1),
            key: TlsFile::new(key.0, key.1),
            clients: None,
        }
    }

    /// Whether a client needs a certificate.
    pub(super) fn clients_must_show_certificates(&self) -> bool {
        matches!(self.clients, Some((_, ClientAuth::Required)))
    }

    /// Reads the files.
    pub(super) fn load(&self) -> Result<ServerTls, StartError> {
        let certificate = self.certificate.read()?;
        let key = self.key.read()?;
        let authorities = match &self.clients {
            Some((file, auth)) => Some((file.read()?, auth)),
            None => None,
        };
        let clients = match &authorities {
            Some((pem, ClientAuth::Optional)) => ClientCertificates::Optional(pem),
            Some((pem, ClientAuth::Required)) => ClientCertificates::Required(pem),
            None => ClientCertificates::None,
        };
        ServerTls::from_pem(&certificate, &key, clients).map_err(|error| {
            let authorities = self.clients.as_ref().map(|(file, _)| file);
            explain(error, authorities, Some((&self.certificate, &self.key)))
        })
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

/// A client's flags for TLS, for every command that calls.
#[derive(Args)]
#[command(next_help_heading = "TLS, which https:// asks for, and any of these")]
pub(super) struct ClientTlsOptions {
    /// Trust servers with these certificates, in PEM, or signed by them [default: the roots of the
    /// system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Show this certificate to a server that asks for one, in PEM, its issuers after it
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// The private key of the certificate, in PEM
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Expect a certificate for this host, whatever the address is, and ask for this host
    #[arg(long, value_name = "HOST")]
    server_name: Option<String>,
}

impl ClientTlsOptions {
    /// Whether a flag asks for TLS.
    pub(super) fn any(&self) -> bool {
        let Self {
            ca,
            cert,
            key,
            server_name,
        } = self;
        ca.is_some() || cert.is_some() || key.is_some() || server_name.is_some()
    }

    /// Reads the files that the flags name, and the roots of the system if no flag names others.
    pub(super) fn load(&self) -> Result<ClientTls, StartError> {
        let identity = match (&self.cert, &self.key) {
            (Some(certificate), Some(key)) => Some((
                TlsFile::new("--cert", certificate),
                TlsFile::new("--key", key),
            )),
            (Some(_), None) => return Err(StartError::ClientKeyMissing),
            (None, Some(_)) => return Err(StartError::ClientCertificateMissing),
            (None, None) => None,
        };
        let mut tls = load_roots(self.ca.as_deref().map(|path| ("--ca", path)))?;
        if let Some((certificate, key)) = identity {
            tls = tls
                .identity(&certificate.read()?, &key.read()?)
                .map_err(|error| explain(error, None, Some((&certificate, &key))))?;
        }
        if let Some(name) = &self.server_name {
            tls = tls
                .server_name(name)
                .map_err(|error| explain(error, None, None))?;
        }
        Ok(tls)
    }
}

/// TLS of a client that trusts a file, which a flag names, or else the roots of the system.
pub(super) fn load_roots(file: Option<(&'static str, &Path)>) -> Result<ClientTls, StartError> {
    let Some((flag, path)) = file else {
        return ClientTls::system().map_err(|error| explain(error, None, None));
    };
    let file = TlsFile::new(flag, path);
    ClientTls::with_roots(&file.read()?).map_err(|error| explain(error, Some(&file), None))
}

/// A file that a flag names.
struct TlsFile {
    flag: &'static str,
    path: PathBuf,
}

impl TlsFile {
    fn new(flag: &'static str, path: &Path) -> Self {
        Self {
            flag,
            path: path.to_owned(),
        }
    }

    fn read(&self) -> Result<Vec<u8>, StartError> {
        fs::read(&self.path).map_err(|why| StartError::unreadable(self.flag, &self.path, why))
    }
}

/// What is wrong, with the names of the files that were read.
fn explain(
    error: TlsError,
    authorities: Option<&TlsFile>,
    identity: Option<(&TlsFile, &TlsFile)>,
) -> StartError {
    let of_part = |part: TlsPart| match part {
        TlsPart::CertificateChain => identity.map(|(certificate, _)| certificate),
        TlsPart::PrivateKey => identity.map(|(_, key)| key),
        TlsPart::ClientAuthorities | TlsPart::Roots => authorities,
    };
    match (&error, identity) {
        (TlsError::Missing { part, found, .. }, _) => {
            of_part(*part).map(|file| nothing_found(file, *part, found))
        }
        (TlsError::Pem { part, error }, _) => of_part(*part).map(|file| StartError::DamagedPem {
            flag: file.flag,
            path: file.path.clone(),
            what: damage_text(error),
        }),
        (
            TlsError::Rustls(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)),
            Some((certificate, key)),
        ) => Some(StartError::WrongKey {
            flag: certificate.flag,
            certificate: certificate.path.clone(),
            key: key.path.clone(),
        }),
        (TlsError::Rustls(_), Some((certificate, key))) => Some(StartError::UnusableCertificate {
            certificate: certificate.path.clone(),
            key: key.path.clone(),
            why: error.to_string(),
        }),
        (TlsError::Authority(_) | TlsError::Root(_) | TlsError::Verifier(_), _) => {
            authorities.map(|file| StartError::UnusableAuthority {
                flag: file.flag,
                path: file.path.clone(),
                why: error.to_string(),
            })
        }
        (
            TlsError::Rustls(_)
            | TlsError::Alpn
            | TlsError::NoSystemRoots(_)
            | TlsError::ServerName(_),
            _,
        ) => None,
    }
    .unwrap_or(StartError::Tls(error))
}

fn nothing_found(file: &TlsFile, part: TlsPart, found: &[String]) -> StartError {
    let TlsFile { flag, path } = file;
    let (flag, path) = (*flag, path.clone());
    let has = |ending: &str| found.iter().any(|label| label.ends_with(ending));
    match part {
        TlsPart::PrivateKey if has("ENCRYPTED PRIVATE KEY") => StartError::LockedKey { flag, path },
        TlsPart::PrivateKey => StartError::NoKey { flag, path },
        TlsPart::CertificateChain if has("PRIVATE KEY") => {
            StartError::KeyForCertificate { flag, path }
        }
        TlsPart::CertificateChain | TlsPart::ClientAuthorities | TlsPart::Roots => {
            StartError::NoCertificate { flag, path }
        }
    }
}

//! A certificate for a server, and its key, in files.

use std::path::PathBuf;

use rcgen::{CertifiedKey, KeyPair};

use crate::process::file;

/// A certificate for `localhost` that vouches for itself, in files of its own.
pub struct Identity {
    pub made: CertifiedKey<KeyPair>,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Identity {
    pub fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self {
            certificate: file(&format!("{name}-cert.pem"), made.cert.pem().as_bytes()),
            key: file(
                &format!("{name}-key.pem"),
                made.signing_key.serialize_pem().as_bytes(),
            ),
            made,
        }
    }

    pub fn flags(&self) -> [&str; 4] {
        let [certificate, key] = [&self.certificate, &self.key].map(|path| path.to_str().unwrap());
        ["--tls-cert", certificate, "--tls-key", key]
    }
}

//! Certificates, made when a test needs them.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate and its key; of an authority too.
pub struct Identity {
    pub certificate: Certificate,
    pub key: KeyPair,
    parameters: CertificateParams,
}

impl Identity {
    pub fn self_signed(parameters: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        Self {
            certificate,
            key,
            parameters,
        }
    }

    /// An authority, which is no server.
    pub fn authority(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = named(&[name]);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self::self_signed(parameters)
    }

    /// Signs for `localhost`, for servers and clients, and then as changed.
    pub fn sign(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut parameters = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.parameters, &self.key);
        let certificate = parameters.signed_by(&key, &issuer).unwrap();
        Self {
            certificate,
            key,
            parameters,
        }
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).unwrap()
    }

    /// What trusts it, and all that it signed.
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der()).unwrap();
        roots
    }
}

/// A name of these common names.
pub fn named(names: &[&str]) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    for name in names {
        distinguished.push(DnType::CommonName, *name);
    }
    distinguished
}

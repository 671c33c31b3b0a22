//! A certificate as grpc's test credentials have it: for `*.test.google.fr`, and signed by an
//! authority that no system knows.

use rcgen::SanType;

use crate::identities::Identity;

/// All in PEM.
pub struct Certificates {
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

impl Certificates {
    pub fn make() -> Self {
        let authority = Identity::authority("test authority");
        let server = authority.sign(|parameters| {
            let name = "*.test.google.fr".try_into().unwrap();
            parameters.subject_alt_names = vec![SanType::DnsName(name)];
        });
        Self {
            authority: authority.pem(),
            certificate: server.pem(),
            key: server.key_pem(),
        }
    }
}

//! Certificates for one run, made when the first scenario needs a server and removed at the end.
//!
//! | file | what it is |
//! |---|---|
//! | `ca.pem` | the authority that signed all below |
//! | `server.pem`, `server.key` | a server, for `localhost` and `127.0.0.1` |
//! | `server-and-key.pem` | both in one file, as haproxy wants them |
//! | `client.pem`, `client.key` | a client |
//! | `stranger.pem`, `stranger.key` | a client that signed its own certificate |
//! | `tutorial.pem`, `tutorial.key` | a server whose certificate is its own authority, as tutorials make it |

use std::fs;
use std::path::{Path, PathBuf};
use std::process;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa};

use crate::identities::Identity;

/// The folder with the certificates of this run.
pub(crate) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes all of them, in a folder that no other run uses.
    pub(crate) fn make(scratch: &Path) -> Self {
        let folder = scratch.join(format!("certificates-{}", process::id()));
        fs::create_dir_all(&folder).expect("a folder below target/ can be made");
        let certificates = Self { folder };

        let authority = Identity::authority("barewire test authority");
        certificates.write("ca.pem", &authority.pem());
        let mut server = parameters("barewire test server", &["localhost", "127.0.0.1"]);
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let mut client = parameters("barewire test client", &["client.example"]);
        client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        for (name, parameters) in [("server", server), ("client", client.clone())] {
            let signed = authority.sign(|changed| *changed = parameters);
            certificates.write_pair(name, &signed);
            let both = signed.pem() + &signed.key_pem();
            certificates.write(&format!("{name}-and-key.pem"), &both);
        }
        certificates.write_pair("stranger", &Identity::self_signed(client));

        // What `openssl req -x509` makes by default: an authority, though it is used as a server.
        let mut tutorial = parameters("localhost", &["localhost"]);
        tutorial.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        certificates.write_pair("tutorial", &Identity::self_signed(tutorial));
        certificates
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn remove(&self) {
        // What stays behind is only litter.
        let _ = fs::remove_dir_all(&self.folder);
    }

    fn write_pair(&self, name: &str, identity: &Identity) {
        self.write(&format!("{name}.pem"), &identity.pem());
        self.write(&format!("{name}.key"), &identity.key_pem());
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).expect("a file below target/ can be written");
    }
}

fn parameters(common_name: &str, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let mut parameters = CertificateParams::new(names).expect("names of hosts are ASCII");
    parameters
        .distinguished_name
        .push(DnType::CommonName, common_name);
    parameters
}

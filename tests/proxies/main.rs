//! barewire behind nginx, haproxy and Envoy, in clear text and over TLS.
//!
//! ```text
//!  this process                     proxy                     this process, or barewire serve
//!    clients ── frames ──▶ nginx │ haproxy │ envoy ── frames ──▶ one server or two
//! ```
//!
//! Each check is a trial for each proxy and each security: `cargo test --test proxies -- envoy::tls`
//! runs those with that text in their name. `cargo test` leaves all of them out, since they need
//! programs that not everybody wants; what they need they get below `target/`, by `prepare.py`.
//!
//! What a proxy does in another way than the rest, and why, stands at the check: there it is an
//! exception, and its trial is ignored with the reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "a test that panics has said what is wrong"
)]

mod calls;
mod check;
mod faults;
mod lifecycle;
mod official;
mod proxy;
mod service;
mod site;

#[allow(dead_code, reason = "it is shared with the interop tests")]
#[path = "../interop/certificates.rs"]
mod certificates;
#[allow(dead_code, reason = "each suite uses some of it")]
#[path = "../client/support/identities.rs"]
mod identities;
#[allow(dead_code, reason = "it is shared with the interop tests")]
#[path = "../interop/process.rs"]
mod process;
#[allow(dead_code, reason = "it is shared with the tests of whole calls")]
#[path = "../calls/support.rs"]
mod support;

// Shared files look for it here.
use ::tokio;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Trial};

use certificates::Certificates;
use check::Check;
use proxy::{Kind, Programs, Security};
use site::Site;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let needs = Arc::new(Needs::default());
    let checks = [
        calls::checks(),
        faults::checks(),
        lifecycle::checks(),
        official::checks(),
    ];
    let checks: Vec<Arc<Check>> = checks.into_iter().flatten().map(Arc::new).collect();
    let mut trials = Vec::new();
    for kind in Kind::ALL {
        for security in Security::ALL {
            for check in &checks {
                let (check, needs) = (Arc::clone(check), Arc::clone(&needs));
                let name = format!("{kind}::{security}::{}", check.name);
                trials.push(Trial::ignorable_test(name, move || {
                    check.run(&needs.site(kind, security)?)
                }));
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if let Some(certificates) = needs.certificates.get() {
        certificates.remove();
    }
    conclusion.exit_code()
}

/// What all checks share. Made when the first one needs it.
#[derive(Default)]
struct Needs {
    programs: OnceLock<Result<Programs, String>>,
    certificates: OnceLock<Certificates>,
}

impl Needs {
    fn site(&self, kind: Kind, security: Security) -> Result<Site, String> {
        let programs = self.programs.get_or_init(Programs::prepare);
        let certificates = self
            .certificates
            .get_or_init(|| Certificates::make(&scratch()));
        Ok(Site {
            kind,
            security,
            programs: programs.clone()?,
            certificates: certificates.folder().to_owned(),
        })
    }
}

/// The folder below `target/` for all that these tests write.
fn scratch() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("proxies")
}

//! gRPC's own interop cases, by our client on our server.

use std::sync::Arc;

use barewire::interop::{self, Case, CaseGroup, SoakOptions, TestClient};
use barewire::{Metadata, Server};

use crate::check::Check;
use crate::site::{Backend, Site};

pub(crate) fn checks() -> Vec<Check> {
    let cases = Case::ALL
        .iter()
        .filter(|case| case.group != CaseGroup::Http2);
    cases.map(check).collect()
}

fn check(case: &'static Case) -> Check {
    let name = format!("official::{}", case.name);
    Check::named(name, async move |site: &Site| run(site, case).await)
}

async fn run(site: &Site, case: &'static Case) {
    let one = Backend::start(site, interop::add_all(Server::new())).await;
    let two = Backend::start(site, interop::add_all(Server::new())).await;
    let both = [one.port, two.port];
    let proxy = match case.name {
        // They ask that a call goes where the one before it went.
        "pick_first_unary" | "orca_oob" => site.proxy(&both[..1]),
        _ => site.proxy(&both),
    };
    let (own, address) = (site.clone(), proxy.address);
    let client = TestClient {
        connect: Arc::new(move || Ok(own.channel(address))),
        server: site.kind.to_string(),
        metadata: Metadata::new(),
        soak: SoakOptions::default(),
    };
    if let Err(failure) = client.run(case).await {
        panic!("{failure}");
    }
}

//! Who may talk to whom over TLS, and what is said when it fails.

use barewire::{Channel, ChannelConfig, ClientTls, Code, Origin, Request, Status};

use super::script::{Scripted, answer, hang};
use super::site::Setup;
use super::{Case, Site};
use crate::printed::control::{ControlClient, Message};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(by_name_and_by_address),
        Case::new(a_certificate_that_is_its_own_authority),
        Case::new(an_authority_that_nobody_knows),
        Case::new(a_server_that_wants_a_certificate),
        Case::new(a_server_that_does_not_know_our_certificate),
        Case::new(clear_text_to_a_server_that_wants_tls),
        Case::new(tls_to_a_server_that_wants_clear_text),
        Case::new(a_server_that_is_killed_and_comes_back),
    ]
}

/// Trusts the authority of these certificates.
pub(super) fn trusting(site: &Site) -> ClientTls {
    ClientTls::with_roots(&site.pem("ca.pem")).unwrap()
}

/// The same, and shows a certificate of its own.
pub(super) fn known(site: &Site) -> ClientTls {
    as_whom(site, "client")
}

fn as_whom(site: &Site, name: &str) -> ClientTls {
    let certificate = site.pem(&format!("{name}.pem"));
    let key = site.pem(&format!("{name}.key"));
    trusting(site).identity(&certificate, &key).unwrap()
}

fn channel(target: &str, tls: Option<ClientTls>) -> Channel {
    let config = ChannelConfig {
        tls,
        ..ChannelConfig::default()
    };
    Channel::with_config(target, config).unwrap()
}

fn https(address: &str) -> String {
    format!("https://{address}")
}

async fn call(channel: &Channel) -> Result<(), Status> {
    let control = ControlClient::new(channel.clone());
    control.unary(Message::default()).await.map(drop)
}

/// A call on this channel fails before it has begun, and all of these words say why.
async fn is_refused(channel: &Channel, words: &[&str]) {
    let status = call(channel).await.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::Unavailable, Origin::Local),
        "{status}"
    );
    for word in words {
        assert!(
            status.message.contains(word),
            "{word:?} is not in: {status}"
        );
    }
}

async fn by_name_and_by_address(site: &Site) {
    let address = site.address(Setup::Tls);
    let (_, port) = address.split_once(':').unwrap();
    for target in [https(&address), https(&format!("localhost:{port}"))] {
        call(&channel(&target, Some(trusting(site)))).await.unwrap();
    }
}

async fn a_certificate_that_is_its_own_authority(site: &Site) {
    let server = site.start_tls("tutorial");
    let roots = site.pem("tutorial.pem");
    let tls = ClientTls::with_roots(&roots).unwrap();
    let target = https(&format!("localhost:{}", server.port()));
    call(&channel(&target, Some(tls))).await.unwrap();
    // It is no authority for others, and nobody else's authority is one for it.
    is_refused(&channel(&target, Some(trusting(site))), &["certificate"]).await;
    let other = https(&site.address(Setup::Tls));
    let tls = ClientTls::with_roots(&roots).unwrap();
    is_refused(&channel(&other, Some(tls)), &["certificate"]).await;
}

async fn an_authority_that_nobody_knows(site: &Site) {
    let address = site.address(Setup::Tls);
    let tls = ClientTls::with_roots(&site.pem("stranger.pem")).unwrap();
    is_refused(
        &channel(&https(&address), Some(tls)),
        &[&address, "certificate"],
    )
    .await;
}

async fn a_server_that_wants_a_certificate(site: &Site) {
    let address = site.address(Setup::MutualTls);
    call(&channel(&https(&address), Some(known(site))))
        .await
        .unwrap();
    is_refused(
        &channel(&https(&address), Some(trusting(site))),
        &[&address],
    )
    .await;
}

async fn a_server_that_does_not_know_our_certificate(site: &Site) {
    let address = site.address(Setup::MutualTls);
    let tls = as_whom(site, "stranger");
    is_refused(&channel(&https(&address), Some(tls)), &[&address]).await;
}

async fn clear_text_to_a_server_that_wants_tls(site: &Site) {
    let address = site.address(Setup::Tls);
    let target = format!("http://{address}");
    // It does not say what it is missing.
    is_refused(&channel(&target, None), &[&address]).await;
}

async fn tls_to_a_server_that_wants_clear_text(site: &Site) {
    let address = site.address(Setup::Plain);
    let tls = trusting(site);
    is_refused(&channel(&https(&address), Some(tls)), &[&address, "TLS"]).await;
}

async fn a_server_that_is_killed_and_comes_back(site: &Site) {
    let mut server = site.start_tls("server");
    let channel = channel(&https(&server.address()), Some(trusting(site)));
    let scripted = Scripted::new([answer(1), hang()]);
    let control = ControlClient::new(channel.clone());
    for _ in 0..2 {
        let (_outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
        assert!(inbound.next().await.unwrap().is_some());
        server.kill();
        let status = inbound.next().await.unwrap_err();
        assert_eq!(
            (status.code, status.origin),
            (Code::Unavailable, Origin::Local)
        );
        server.start();
        let request = Request::new(Message::default()).with_wait_for_ready(true);
        control.unary(request).await.unwrap();
    }
}

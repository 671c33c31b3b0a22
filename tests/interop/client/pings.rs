//! A server that is asked too often whether it is alive says so, and goes away.

use std::time::Duration;

use barewire::{Channel, ChannelConfig, ClientHttp2Config, Code, Status};
use bytes::Bytes;

use super::script::{Scripted, answer, hang, wait};
use super::site::Setup;
use super::tap::{ENHANCE_YOUR_CALM, GOAWAY, Side, Tap};
use super::{Case, Site};
use crate::printed::control::{ControlClient, Message};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(too_many_pings_end_a_connection_not_the_channel),
        Case::new(keepalive_slows_down_when_it_is_too_much)
            .within(120)
            .slow(),
        Case::new(keepalive_within_what_the_server_allows)
            .within(60)
            .slow(),
    ]
}

/// A PING frame. RFC 9113 §6.7.
const PING: &[u8] = b"\0\0\x08\x06\0\0\0\0\0too_many";

async fn too_many_pings_end_a_connection_not_the_channel(site: &Site) {
    let tap = Tap::to(site.address(Setup::Plain)).await;
    let channel = Channel::connect(&tap.target()).await.unwrap();
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([answer(1), hang()]);
    let (_outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    assert!(inbound.next().await.unwrap().is_some());

    for _ in 0..10 {
        tap.inject(0, Bytes::from_static(PING));
    }
    let goaway = tap
        .frame(|frame| (frame.from, frame.kind) == (Side::Server, GOAWAY))
        .await;
    assert_eq!(goaway.payload[4..8], ENHANCE_YOUR_CALM.to_be_bytes());
    let status = inbound.next().await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert_is_told(&status);
    site.log().says("too many pings").await;
    control.unary(Message::default()).await.unwrap();
}

async fn keepalive_slows_down_when_it_is_too_much(site: &Site) {
    let server = site.start(&["--option", "grpc.http2.max_ping_strikes=1"]);
    let channel = Channel::with_config(&server.target(), keepalive()).unwrap();
    let control = ControlClient::new(channel.clone());
    // After 10 s the first PING, which is none too many; after 20 s and 30 s those that are.
    let scripted = Scripted::new([hang()]);
    let status = control
        .unary(scripted.request(Message::default()))
        .await
        .unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert_is_told(&status);
    site.log().says("too many pings").await;
    // The next connection asks half as often.
    let scripted = Scripted::new([wait(35_000)]);
    control
        .unary(scripted.request(Message::default()))
        .await
        .unwrap();
}

async fn keepalive_within_what_the_server_allows(site: &Site) {
    let interval = "grpc.http2.min_ping_interval_without_data_ms=5000";
    let server = site.start(&["--option", interval]);
    let channel = Channel::with_config(&server.target(), keepalive()).unwrap();
    let scripted = Scripted::new([wait(45_000)]);
    let request = scripted.request(Message::default());
    ControlClient::new(channel).unary(request).await.unwrap();
}

/// The server ends its calls in its own words before it goes, or we say what its GOAWAY said.
fn assert_is_told(status: &Status) {
    let message = status.message.to_lowercase().replace(' ', "_");
    assert!(message.contains("too_many_pings"), "{status}");
}

/// The shortest that there is.
fn keepalive() -> ChannelConfig {
    ChannelConfig {
        http2: ClientHttp2Config {
            keepalive_time: Some(Duration::from_secs(10)),
            ..ClientHttp2Config::default()
        },
        ..ChannelConfig::default()
    }
}

//! What is compressed on the wire, and what is not.

use barewire::{Channel, ChannelConfig, Encoding};

use super::line::Line;
use super::script::{Scripted, answer, echo, plain_answer};
use super::site::Setup;
use super::tap::{Side, Tap};
use super::{Case, Site};
use crate::printed::control::{ControlClient, Message};

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(nothing_unless_it_is_asked_for),
        Case::new(requests_of_a_call_that_asks_for_it),
        Case::new(requests_of_a_channel_that_asks_for_it),
        Case::new(a_call_that_does_not_want_it_on_a_channel_that_does),
        Case::new(a_message_that_does_not_want_it),
        Case::new(answers_if_the_server_does),
        Case::new(answers_one_by_one),
    ]
}

const GZIP: Encoding = Encoding::Gzip;
const DEFLATE: Encoding = Encoding::Deflate;

/// A channel of its own through a tap.
async fn tapped(site: &Site, config: ChannelConfig) -> (Tap, Channel) {
    let tap = Tap::to(site.address(Setup::Plain)).await;
    let channel = Channel::with_config(&tap.target(), config).unwrap();
    (tap, channel)
}

/// Ten thousand bytes that become few.
fn thin() -> Message {
    Message {
        body: vec![b'x'; 10_000],
    }
}

/// Whether each message on this side of the first call was compressed, and was also short.
fn compressed(tap: &Tap, side: Side) -> Vec<bool> {
    let messages = tap.messages(side);
    for message in &messages {
        assert_eq!(message.is_compressed, message.length < 1000, "{messages:?}");
    }
    messages
        .iter()
        .map(|message| message.is_compressed)
        .collect()
}

/// Sends a request and gets it back as it was.
async fn is_echoed(channel: &Channel, encoding: Option<Encoding>, coding: &str) {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([echo()]).compressed(coding);
    let mut request = scripted.request(());
    request.encoding = encoding;
    let (mut outbound, mut inbound) = control.bidi(request).await.unwrap();
    outbound.send(thin()).await.unwrap();
    outbound.finish().unwrap();
    let answer = inbound.next().await.unwrap().expect("one for one");
    assert_eq!(answer.body, thin().body);
    assert_eq!(inbound.next().await.unwrap(), None);
}

async fn nothing_unless_it_is_asked_for(site: &Site) {
    let (tap, channel) = tapped(site, ChannelConfig::default()).await;
    is_echoed(&channel, None, "").await;
    assert_eq!(compressed(&tap, Side::Client), [false]);
    assert_eq!(compressed(&tap, Side::Server), [false]);
}

async fn requests_of_a_call_that_asks_for_it(site: &Site) {
    for encoding in [GZIP, DEFLATE] {
        let (tap, channel) = tapped(site, ChannelConfig::default()).await;
        is_echoed(&channel, Some(encoding), "").await;
        assert_eq!(compressed(&tap, Side::Client), [true], "{encoding:?}");
    }
}

async fn requests_of_a_channel_that_asks_for_it(site: &Site) {
    for encoding in [GZIP, DEFLATE] {
        let (tap, channel) = tapped(site, Line::compressing(encoding)).await;
        is_echoed(&channel, None, "").await;
        assert_eq!(compressed(&tap, Side::Client), [true], "{encoding:?}");
    }
}

async fn a_call_that_does_not_want_it_on_a_channel_that_does(site: &Site) {
    let (tap, channel) = tapped(site, Line::compressing(GZIP)).await;
    is_echoed(&channel, Some(Encoding::Identity), "").await;
    assert_eq!(compressed(&tap, Side::Client), [false]);
}

async fn a_message_that_does_not_want_it(site: &Site) {
    let (tap, channel) = tapped(site, ChannelConfig::default()).await;
    let scripted = Scripted::new([echo()]);
    let request = scripted.request(()).with_encoding(GZIP);
    let (mut outbound, mut inbound) = ControlClient::new(channel).bidi(request).await.unwrap();
    for encoding in [GZIP, Encoding::Identity, GZIP] {
        outbound.set_encoding(encoding).unwrap();
        outbound.send(thin()).await.unwrap();
        assert!(inbound.next().await.unwrap().is_some());
    }
    outbound.finish().unwrap();
    assert_eq!(inbound.next().await.unwrap(), None);
    assert_eq!(compressed(&tap, Side::Client), [true, false, true]);
}

async fn answers_if_the_server_does(site: &Site) {
    for coding in ["gzip", "deflate"] {
        let (tap, channel) = tapped(site, ChannelConfig::default()).await;
        is_echoed(&channel, None, coding).await;
        assert_eq!(compressed(&tap, Side::Client), [false]);
        assert_eq!(compressed(&tap, Side::Server), [true], "{coding}");
    }
}

async fn answers_one_by_one(site: &Site) {
    let (tap, channel) = tapped(site, ChannelConfig::default()).await;
    let steps = [answer(10_000), plain_answer(10_000), answer(10_000)];
    let scripted = Scripted::new(steps).compressed("gzip");
    let request = scripted.request(Message::default());
    let mut inbound = ControlClient::new(channel)
        .server_stream(request)
        .await
        .unwrap();
    for _ in 0..3 {
        let answer = inbound.next().await.unwrap().expect("there are three");
        assert_eq!(answer.body, thin().body);
    }
    assert_eq!(inbound.next().await.unwrap(), None);
    assert_eq!(compressed(&tap, Side::Server), [true, false, true]);
}

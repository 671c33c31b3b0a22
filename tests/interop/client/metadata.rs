//! Metadata both ways: what we send comes back as it was, before the messages and after them.

use std::env;

use barewire::wire::metadata::MetadataValue;
use barewire::{Channel, Code, Metadata};

use super::Case;
use super::line::Line;
use super::script::{Scripted, answer, fail, headers, wait};
use crate::printed::control::{ControlClient, Message};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::TO_BOTH, of_each_kind_of_call));
    cases.extend(Case::on_each(Line::TO_BOTH, of_a_failed_call));
    cases.extend(Case::on_each(Line::TO_BOTH, of_a_call_that_fails_at_once));
    cases.extend(Case::on_each(&[Line::Plain], that_comes_before_any_message));
    cases.extend(Case::on_each(&[Line::Plain], of_many_pairs));
    cases.extend(Case::on_each(
        &[Line::Plain],
        that_is_not_allowed_is_not_sent,
    ));
    cases
}

/// Everything that metadata may be.
fn colourful() -> Metadata {
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut metadata = Metadata::new();
    for value in [
        "one",
        "two",
        "",
        "one",
        "a,b, c",
        "x  y",
        "~!@#$%^&*()_+={}[]|\\:;\"'<>?/`",
    ] {
        metadata.append("text", value).unwrap();
    }
    metadata.append("a_key-with.all_123", "value").unwrap();
    metadata.append("empty", "").unwrap();
    for value in [
        &every_byte[..],
        b"",
        b"\0",
        b"abc",
        b"\xab\xab\xab",
        b"one, two",
    ] {
        metadata.append_bin("bytes-bin", value).unwrap();
    }
    metadata.append_bin("nothing-bin", b"").unwrap();
    metadata
}

/// The pairs of each name in their order, the names in theirs.
fn pairs(metadata: &Metadata) -> Vec<(String, Vec<u8>)> {
    let pairs = metadata.iter().map(|(name, value)| {
        let value = match value {
            MetadataValue::Ascii(value) => value.to_vec(),
            MetadataValue::Binary(value) => value.to_vec(),
        };
        (name.to_owned(), value)
    });
    let mut pairs: Vec<_> = pairs.collect();
    if env::var_os("BAREWIRE_INTEROP_PROXY").is_some() {
        pairs.retain(|(name, _)| !is_of_proxy(name));
    }
    pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
    pairs
}

/// Whether a proxy added it: to the answer, or to the request, and then it came back.
fn is_of_proxy(name: &str) -> bool {
    let name = name.strip_prefix("trailing-").unwrap_or(name);
    [
        "date",
        "server",
        "x-envoy-",
        "x-forwarded-proto",
        "x-request-id",
    ]
    .iter()
    .any(|added| name.starts_with(added))
}

fn trailing(sent: &Metadata) -> Vec<(String, Vec<u8>)> {
    let mut pairs = pairs(sent);
    for (name, _) in &mut pairs {
        name.insert_str(0, "trailing-");
    }
    pairs
}

/// A call with this metadata and with a script.
fn with<T>(scripted: &Scripted, message: T, metadata: &Metadata) -> barewire::Request<T> {
    let mut request = scripted.request(message);
    request.metadata.extend(metadata);
    request
}

async fn of_each_kind_of_call(channel: Channel) {
    let control = ControlClient::new(channel);
    let (scripted, sent) = (Scripted::new([answer(1)]), colourful());
    let wanted = (pairs(&sent), trailing(&sent));

    let request = with(&scripted, Message::default(), &sent);
    let response = control.unary(request).await.unwrap();
    assert_eq!(
        (pairs(&response.metadata), pairs(&response.trailers)),
        wanted
    );

    let (_outbound, inbound) = control
        .client_stream(with(&scripted, (), &sent))
        .await
        .unwrap();
    let response = inbound.single().await.unwrap();
    assert_eq!(
        (pairs(&response.metadata), pairs(&response.trailers)),
        wanted
    );

    let request = with(&scripted, Message::default(), &sent);
    let server_stream = control.server_stream(request).await.unwrap();
    let (_outbound, bidi) = control.bidi(with(&scripted, (), &sent)).await.unwrap();
    for mut inbound in [server_stream, bidi] {
        assert!(inbound.next().await.unwrap().is_some());
        assert_eq!(pairs(inbound.headers().await.unwrap()), wanted.0);
        assert_eq!(inbound.trailers(), None);
        assert_eq!(inbound.next().await.unwrap(), None);
        assert_eq!(pairs(inbound.trailers().unwrap()), wanted.1);
        // The headers are still there.
        assert_eq!(pairs(inbound.headers().await.unwrap()), wanted.0);
    }
}

async fn of_a_failed_call(channel: Channel) {
    let control = ControlClient::new(channel);
    let sent = colourful();
    let scripted = Scripted::new([headers(), answer(1), fail(Code::Aborted, "no")]);

    let request = with(&scripted, Message::default(), &sent);
    let mut inbound = control.server_stream(request).await.unwrap();
    assert!(inbound.next().await.unwrap().is_some());
    let status = inbound.next().await.unwrap_err();
    assert_eq!(
        (status.code, pairs(&status.metadata)),
        (Code::Aborted, trailing(&sent))
    );
    assert_eq!(pairs(inbound.headers().await.unwrap()), pairs(&sent));

    let request = with(&scripted, Message::default(), &sent);
    let status = control.unary(request).await.unwrap_err();
    assert_eq!(
        (status.code, pairs(&status.metadata)),
        (Code::Aborted, trailing(&sent))
    );
}

async fn of_a_call_that_fails_at_once(channel: Channel) {
    let control = ControlClient::new(channel);
    let sent = colourful();
    let scripted = Scripted::new([fail(Code::Aborted, "no")]);

    let request = with(&scripted, Message::default(), &sent);
    let status = control.unary(request).await.unwrap_err();
    assert_eq!(
        (status.code, pairs(&status.metadata)),
        (Code::Aborted, trailing(&sent))
    );

    let (_outbound, mut inbound) = control.bidi(with(&scripted, (), &sent)).await.unwrap();
    let status = inbound.next().await.unwrap_err();
    assert_eq!(
        (status.code, pairs(&status.metadata)),
        (Code::Aborted, trailing(&sent))
    );
}

async fn that_comes_before_any_message(channel: Channel) {
    let control = ControlClient::new(channel);
    let sent = colourful();
    let scripted = Scripted::new([headers(), wait(60_000)]);
    let (_outbound, mut inbound) = control.bidi(with(&scripted, (), &sent)).await.unwrap();
    assert_eq!(pairs(inbound.headers().await.unwrap()), pairs(&sent));
}

async fn of_many_pairs(channel: Channel) {
    let control = ControlClient::new(channel);
    let mut sent = Metadata::new();
    for i in 0..50 {
        sent.append(&format!("key-{i}"), &format!("value-{i}"))
            .unwrap();
        sent.append("same", &i.to_string()).unwrap();
    }
    let request = barewire::Request::new(Message::default()).with_metadata(sent.clone());
    let response = control.unary(request).await.unwrap();
    assert_eq!(pairs(&response.metadata), pairs(&sent));
    assert_eq!(pairs(&response.trailers), trailing(&sent));
}

async fn that_is_not_allowed_is_not_sent(channel: Channel) {
    let mut metadata = Metadata::new();
    for (name, value) in [
        ("grpc-future", "1"),
        ("te", "trailers"),
        ("Upper", "no"),
        ("k", "é"),
    ] {
        // Whether it is refused here or made harmless, the call below goes well.
        let _ = metadata.insert(name, value);
    }
    let request = barewire::Request::new(Message::default()).with_metadata(metadata);
    ControlClient::new(channel).unary(request).await.unwrap();
}

//! Messages and metadata that are large, and those that are too large.

use barewire::{Channel, ChannelConfig, ClientHttp2Config, Code, Origin, Status};

use super::line::Line;
use super::script::{Scripted, answer, answers, read_all};
use super::site::Setup;
use super::{Case, Site};
use crate::printed::control::{Answer, ControlClient, Message};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::TO_BOTH, an_empty_message));
    cases.extend(Case::on_each(Line::TO_BOTH, answers_up_to_the_limit));
    cases.extend(Case::on_each(Line::TO_BOTH, an_answer_over_the_limit));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        an_answer_over_the_limit_in_a_stream,
    ));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        a_request_over_the_server_s_limit,
    ));
    cases.extend(Case::on_each(&[Line::Plain], an_answer_that_is_a_bomb));
    cases.push(Case::new(a_request_over_our_own_limit).through_proxies());
    cases.push(Case::new(messages_of_any_size_if_both_allow_it));
    cases.push(Case::new(metadata_over_the_server_s_limit));
    cases.push(Case::new(metadata_over_our_limit).through_proxies());
    cases
}

/// What is the limit unless something else is said, on both sides.
const LIMIT: usize = 4 * 1024 * 1024;
/// What a message has around a body of about four megabytes: a tag, and its length in four bytes.
const FRAME: usize = 5;

async fn assert_lives(channel: &Channel) {
    ControlClient::new(channel.clone())
        .unary(Message::default())
        .await
        .unwrap();
}

fn body(size: usize) -> Message {
    Message {
        body: vec![b'x'; size],
    }
}

async fn ask_for(channel: &Channel, scripted: &Scripted) -> Result<Vec<usize>, Status> {
    let control = ControlClient::new(channel.clone());
    let request = scripted.request(Message::default());
    let mut inbound = control.server_stream(request).await?;
    let mut sizes = Vec::new();
    while let Some(Answer { body, .. }) = inbound.next().await? {
        assert!(body.iter().all(|&byte| byte == b'x'));
        sizes.push(body.len());
    }
    Ok(sizes)
}

fn to_u32(size: usize) -> u32 {
    u32::try_from(size).unwrap()
}

async fn an_empty_message(channel: Channel) {
    let scripted = Scripted::new([answers(3, 0)]);
    assert_eq!(ask_for(&channel, &scripted).await, Ok(vec![0, 0, 0]));
    let (mut outbound, inbound) = ControlClient::new(channel).client_stream(()).await.unwrap();
    for _ in 0..3 {
        outbound.send(Message::default()).await.unwrap();
    }
    outbound.finish().unwrap();
    let answer = inbound.single().await.unwrap().message;
    assert_eq!((answer.requests, answer.request_bytes), (3, 0));
}

async fn answers_up_to_the_limit(channel: Channel) {
    for size in [16_379, 65_536, 1_000_000, LIMIT - FRAME] {
        let scripted = Scripted::new([answers(2, to_u32(size))]);
        assert_eq!(ask_for(&channel, &scripted).await, Ok(vec![size, size]));
        let request = body(size);
        let answer = ControlClient::new(channel.clone())
            .unary(request)
            .await
            .unwrap()
            .message;
        assert_eq!(answer.request_bytes, u64::try_from(size).unwrap());
    }
}

async fn an_answer_over_the_limit(channel: Channel) {
    for size in [LIMIT - FRAME + 1, 10 * LIMIT] {
        let control = ControlClient::new(channel.clone());
        let scripted = Scripted::new([answer(to_u32(size))]);
        let request = scripted.request(Message::default());
        let status = control.unary(request).await.unwrap_err();
        assert_eq!(
            (status.code, status.origin),
            (Code::ResourceExhausted, Origin::Local)
        );
        assert_lives(&channel).await;
    }
}

async fn an_answer_over_the_limit_in_a_stream(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let over = to_u32(LIMIT + 1);
    let scripted = Scripted::new([answer(100), answer(over), answers(1000, over)]);
    let request = scripted.request(Message::default());
    let mut inbound = control.server_stream(request).await.unwrap();
    assert!(inbound.next().await.unwrap().is_some());
    let status = inbound.next().await.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::ResourceExhausted, Origin::Local)
    );
    assert_eq!(inbound.next().await.unwrap_err(), status);
    // The server need not go on with what nobody hears.
    scripted.is_cancelled(&channel).await;
    assert_lives(&channel).await;
}

async fn a_request_over_the_server_s_limit(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let over = body(LIMIT + 1);
    let status = control.unary(over.clone()).await.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::ResourceExhausted, Origin::Peer)
    );

    let scripted = Scripted::new([read_all()]);
    let (mut outbound, inbound) = control.client_stream(scripted.request(())).await.unwrap();
    // What the server says is what counts, not how far we came.
    while outbound.send(over.clone()).await.is_ok() {}
    let status = inbound.single().await.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::ResourceExhausted, Origin::Peer)
    );
    assert_lives(&channel).await;
}

async fn an_answer_that_is_a_bomb(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    for coding in ["gzip", "deflate"] {
        // A hundred megabytes become a tenth of one.
        let scripted = Scripted::new([answer(100 * 1024 * 1024)]).compressed(coding);
        let request = scripted.request(Message::default());
        let status = control.unary(request).await.unwrap_err();
        assert_eq!(
            (status.code, status.origin),
            (Code::ResourceExhausted, Origin::Local)
        );
        assert_lives(&channel).await;
    }
}

async fn a_request_over_our_own_limit(site: &Site) {
    let config = ChannelConfig {
        max_send_message: 1000,
        ..ChannelConfig::default()
    };
    let channel = site.channel(Setup::Plain, config);
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([]);
    let status = control
        .unary(scripted.request(body(1000)))
        .await
        .unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::ResourceExhausted, Origin::Local)
    );

    let (mut outbound, inbound) = control.client_stream(()).await.unwrap();
    outbound.send(body(900)).await.unwrap();
    let status = outbound.send(body(1000)).await.unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted);
    let status = inbound.single().await.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::ResourceExhausted, Origin::Local)
    );
    assert_lives(&channel).await;
}

async fn messages_of_any_size_if_both_allow_it(site: &Site) {
    const SIZE: usize = 50 * 1024 * 1024;
    let server = site.start(&["--option", "grpc.max_receive_message_length=-1"]);
    let config = ChannelConfig {
        max_recv_message: 2 * SIZE,
        ..ChannelConfig::default()
    };
    let channel = Channel::with_config(&server.target(), config).unwrap();
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([read_all(), answer(to_u32(SIZE))]);
    let answer = control
        .unary(scripted.request(body(SIZE)))
        .await
        .unwrap()
        .message;
    assert_eq!((answer.requests, answer.body.len()), (1, SIZE));
    assert_eq!(answer.request_bytes, u64::try_from(SIZE).unwrap());
}

async fn metadata_over_the_server_s_limit(site: &Site) {
    let options = [
        "--option",
        "grpc.max_metadata_size=2000",
        "--option",
        "grpc.absolute_max_metadata_size=2000",
    ];
    let server = site.start(&options);
    let channel = Channel::connect(&server.target()).await.unwrap();
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([]);
    for size in [2000, 100_000] {
        let mut request = scripted.request(Message::default());
        request.metadata.insert("large", &"x".repeat(size)).unwrap();
        let status = control.unary(request).await.unwrap_err();
        // The server has announced its limit, so nothing need be sent.
        assert_eq!(
            (status.code, status.origin),
            (Code::ResourceExhausted, Origin::Local)
        );
    }
    assert_eq!(scripted.calls(&channel).await, []);
    assert_lives(&channel).await;
}

async fn metadata_over_our_limit(site: &Site) {
    let config = ChannelConfig {
        http2: ClientHttp2Config {
            max_metadata_size: 4000,
            ..ClientHttp2Config::default()
        },
        ..ChannelConfig::default()
    };
    let channel = site.channel(Setup::Plain, config);
    let control = ControlClient::new(channel.clone());
    // It comes back in the headers, or only in the trailers; there it is named once more.
    for steps in [vec![answer(1)], vec![]] {
        let scripted = Scripted::new(steps);
        let mut request = scripted.request(Message::default());
        request.metadata.insert("large", &"x".repeat(5000)).unwrap();
        let status = control.unary(request).await.unwrap_err();
        assert_eq!(
            (status.code, status.origin),
            (Code::ResourceExhausted, Origin::Local)
        );
        assert_lives(&channel).await;
    }
}

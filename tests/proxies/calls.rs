//! Calls through a proxy are what they are without one.

use std::time::Duration;

use barewire::wire::metadata::MetadataValue;
use barewire::{
    Channel, ChannelConfig, Code, Encoding, Inbound, Metadata, MethodPath, Origin, Outbound,
    ReplyEncoding, Request, Response, ServerConfig, Status,
};
use socket2::SockRef;
use tokio::task::JoinSet;

use crate::check::Check;
use crate::proxy::{Kind, Security};
use crate::service::failure;
use crate::site::{Scene, Site, in_time};
use crate::support::{Client, connect};

pub(crate) fn checks() -> Vec<Check> {
    vec![
        Check::new(a_timeout_reaches_the_server),
        Check::new(a_deadline_ends_the_handler),
        Check::new(a_cancelled_call_ends_its_handler),
        Check::new(a_client_that_is_gone_ends_its_handlers),
        Check::new(each_message_is_answered_before_the_next),
        Check::new(each_request_arrives_before_the_next_is_sent),
        Check::new(each_answer_arrives_before_the_next_is_made),
        Check::new(headers_arrive_before_the_first_message).except(
            Kind::Nginx,
            &[Security::Tls],
            "what waits to be encrypted is sent when a DATA frame comes, and HEADERS wait for one (nginx/nginx#808)",
        ),
        Check::new(metadata_goes_both_ways),
        Check::new(compressed_messages_stay_compressed),
        Check::new(large_messages_go_both_ways),
        Check::new(every_code_arrives_with_its_details),
        Check::new(calls_are_spread_over_both_servers),
    ]
}

const ECHO: &str = "/test.Probe/Echo";
const NAME: &str = "/test.Place/Name";

/// A unary call.
async fn unary(
    channel: &Channel,
    path: &'static str,
    request: impl Into<Request<String>>,
) -> Result<Response<String>, Status> {
    channel.unary(MethodPath::from_static(path), request).await
}

async fn server_stream(channel: &Channel, path: &'static str, message: &str) -> Inbound<String> {
    let path = MethodPath::from_static(path);
    channel
        .server_streaming(path, message.to_owned())
        .await
        .unwrap()
}

async fn bidi(channel: &Channel, path: &'static str) -> (Outbound<String>, Inbound<String>) {
    channel
        .bidi(MethodPath::from_static(path), ())
        .await
        .unwrap()
}

async fn a_timeout_reaches_the_server(site: &Site) {
    let scene = Scene::start(site).await;
    let channel = scene.channel();
    let timeout = Duration::from_secs(50);
    let request = Request::new(String::new()).with_timeout(timeout);
    let left = unary(&channel, "/test.Place/Left", request).await.unwrap();
    let left: u64 = left.message.parse().expect("it was told of the deadline");
    assert!((10_000..=50_000).contains(&left), "{left} ms are left");

    let left = unary(&channel, "/test.Place/Left", String::new())
        .await
        .unwrap();
    assert_eq!(left.message, "none");
}

async fn a_deadline_ends_the_handler(site: &Site) {
    let scene = Scene::start(site).await;
    let timeout = Duration::from_millis(1_500);
    let request = Request::new(String::new()).with_timeout(timeout);
    let status = unary(&scene.channel(), "/test.Probe/Never", request)
        .await
        .unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    assert_eq!(scene.seen.begun(), 1);
    scene.all_handlers_ended().await;
}

async fn a_cancelled_call_ends_its_handler(site: &Site) {
    let scene = Scene::start(site).await;
    let channel = scene.channel();

    // Before any answer.
    let own = channel.clone();
    let call = tokio::spawn(async move { unary(&own, "/test.Probe/Never", String::new()).await });
    scene.seen.wait_for("one", |seen| seen.running() == 1).await;
    call.abort();
    scene.all_handlers_ended().await;

    // After the first.
    let (outbound, mut inbound) = bidi(&channel, "/test.Probe/Begin").await;
    assert_eq!(inbound.next().await.unwrap().as_deref(), Some("begun"));
    assert_eq!(scene.seen.running(), 1);
    drop((outbound, inbound));
    scene.all_handlers_ended().await;

    // In the middle of answers without an end.
    let mut inbound = server_stream(&channel, "/test.Probe/Flood", "").await;
    for _ in 0..3 {
        inbound.next().await.unwrap();
    }
    drop(inbound);
    scene.all_handlers_ended().await;
    assert_eq!(scene.seen.begun(), 3);
    unary(&channel, ECHO, "after".to_owned()).await.unwrap();
}

async fn a_client_that_is_gone_ends_its_handlers(site: &Site) {
    let scene = Scene::start(site).await;
    for _ in 0..5 {
        let io = connect(scene.proxy.address).await;
        // It goes as one that has crashed: TCP says RST.
        SockRef::from(&io).set_linger(Some(Duration::ZERO)).unwrap();
        let client = Client::over(site.secured(io).await).await;
        let mut calls = Vec::new();
        for _ in 0..4 {
            let mut call = client.start("Begin", &[]).await;
            call.send_message("half of it").await;
            calls.push(call);
        }
        scene
            .seen
            .wait_for("four", |seen| seen.running() == 4)
            .await;
        drop((calls, client));
        scene.all_handlers_ended().await;
    }
}

async fn each_message_is_answered_before_the_next(site: &Site) {
    let scene = Scene::start(site).await;
    let (mut outbound, mut inbound) = bidi(&scene.channel(), "/test.Probe/Chat").await;
    for number in 0..200 {
        let message = number.to_string();
        outbound.send(message.clone()).await.unwrap();
        let answer = in_time("an answer", inbound.next()).await.unwrap();
        assert_eq!(answer, Some(message));
    }
    outbound.finish().unwrap();
    assert_eq!(inbound.next().await.unwrap(), None);
}

async fn each_request_arrives_before_the_next_is_sent(site: &Site) {
    let scene = Scene::start(site).await;
    let path = MethodPath::from_static("/test.Place/Note");
    let (mut outbound, inbound) = scene.channel().client_streaming(path, ()).await.unwrap();
    for number in 0..200 {
        outbound.send(number.to_string()).await.unwrap();
        in_time("the request", scene.seen.gate.notified()).await;
    }
    outbound.finish().unwrap();
    let response: Response<String> = inbound.single().await.unwrap();
    assert_eq!(response.message, "noted");
}

async fn each_answer_arrives_before_the_next_is_made(site: &Site) {
    let scene = Scene::start(site).await;
    let mut inbound = server_stream(&scene.channel(), "/test.Place/Step", "").await;
    for _ in 0..200 {
        scene.seen.gate.notify_one();
        let answer = in_time("an answer", inbound.next()).await.unwrap();
        assert_eq!(answer.as_deref(), Some("step"));
    }
}

async fn headers_arrive_before_the_first_message(site: &Site) {
    let scene = Scene::start(site).await;
    let mut inbound = server_stream(&scene.channel(), "/test.Probe/Headers", "last").await;
    in_time("headers", inbound.headers()).await.unwrap();
    scene.seen.gate.notify_one();
    assert_eq!(inbound.next().await.unwrap().as_deref(), Some("last"));
    assert_eq!(inbound.next().await.unwrap(), None);
    assert_eq!(inbound.trailers().unwrap().get("x-end"), Some("here"));
}

async fn metadata_goes_both_ways(site: &Site) {
    let scene = Scene::start(site).await;
    let mut metadata = Metadata::new();
    let every_byte: Vec<u8> = (0..=255).collect();
    let long = "x".repeat(6_000);
    let texts = [
        ("plain", "text"),
        ("empty", ""),
        ("with_underscore", "_"),
        ("with.dot", "."),
        ("with-dash", "-"),
        ("0digit", "0"),
        ("punctuation", "!#$%&'*+-.^_`|~ (),/:;<=>?@[]{}"),
        ("long", &*long),
        ("twice", "one"),
        ("twice", "two"),
    ];
    for (name, value) in texts {
        metadata.append(name, value).unwrap();
    }
    for value in [&every_byte[..], b"", &[0], &[255; 3], &[7; 1_000]] {
        metadata.append_bin("list-bin", value).unwrap();
    }
    for number in 0..100 {
        metadata.append(&format!("many-{number}"), "x").unwrap();
    }
    let request = Request::new(String::new()).with_metadata(metadata.clone());
    let response = unary(&scene.channel(), "/test.Probe/Metadata", request)
        .await
        .unwrap();
    for came in [&response.metadata, &response.trailers] {
        assert_missing_nothing(&metadata, came);
    }
}

/// All that was sent came; what a proxy adds may be there too.
fn assert_missing_nothing(sent: &Metadata, came: &Metadata) {
    let values = |metadata: &Metadata, name: &str| -> Vec<Vec<u8>> {
        let of_name = metadata.iter().filter(|(other, _)| *other == name);
        of_name
            .map(|(_, value)| match value {
                MetadataValue::Ascii(value) => value.to_vec(),
                MetadataValue::Binary(value) => value.to_vec(),
            })
            .collect()
    };
    for (name, _) in sent.iter() {
        assert_eq!(values(came, name), values(sent, name), "{name}");
    }
}

async fn compressed_messages_stay_compressed(site: &Site) {
    let config = ServerConfig {
        reply_encoding: ReplyEncoding::AsRequest,
        ..ServerConfig::default()
    };
    let scene = Scene::with(site, config).await;
    for encoding in [Encoding::Gzip, Encoding::Deflate, Encoding::Identity] {
        let config = ChannelConfig {
            encoding,
            ..ChannelConfig::default()
        };
        let channel = site.channel_with(scene.proxy.address, config);
        let request = "x".repeat(10_000);
        let mut inbound = server_stream(&channel, "/test.Place/Compressed", &request).await;
        let is_compressed = encoding != Encoding::Identity;
        let said = inbound.next().await.unwrap().unwrap();
        assert_eq!(said, is_compressed.to_string());
        assert_eq!(inbound.next().await.unwrap().unwrap().len(), 10_000);
        assert_eq!(inbound.came_compressed(), is_compressed);
        assert_eq!(inbound.next().await.unwrap(), None);
    }
}

async fn large_messages_go_both_ways(site: &Site) {
    let scene = Scene::start(site).await;
    let channel = scene.channel();
    // With the bytes around it, as much as both sides take.
    let message = "x".repeat(4 * 1024 * 1024 - 5);
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let (channel, message) = (channel.clone(), message.clone());
        calls.spawn(async move { unary(&channel, ECHO, message).await });
    }
    while let Some(ended) = calls.join_next().await {
        let response = ended.unwrap().unwrap();
        assert!(response.message == message, "it came back as another");
    }
    let status = unary(&channel, ECHO, message + "x").await.unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted, "{status}");
}

async fn every_code_arrives_with_its_details(site: &Site) {
    let scene = Scene::start(site).await;
    let channel = scene.channel();
    for code in Code::ALL {
        let number = code.number().to_string();
        let expected = failure(&number).unwrap();
        // Trailers alone.
        let at_once = unary(&channel, "/test.Place/Fail", number.clone())
            .await
            .unwrap_err();
        // Trailers after a message.
        let mut inbound = server_stream(&channel, "/test.Place/FailLate", &number).await;
        assert_eq!(inbound.next().await.unwrap().as_deref(), Some("before"));
        let late = inbound.next().await.unwrap_err();
        for status in [at_once, late] {
            assert_eq!(
                (status.code, &*status.message, &*status.details),
                (code, &*expected.message, &*expected.details)
            );
            assert_eq!(status.origin, Origin::Peer);
            assert_missing_nothing(&expected.metadata, &status.metadata);
        }
    }
}

async fn calls_are_spread_over_both_servers(site: &Site) {
    let scene = Scene::start(site).await;
    let channel = scene.channel();
    let mut names = Vec::new();
    for _ in 0..20 {
        let response = unary(&channel, NAME, String::new()).await.unwrap();
        names.push(response.message);
    }
    for name in ["one", "two"] {
        let count = names.iter().filter(|other| *other == name).count();
        assert!(count >= 5, "{name} had {count} of 20 calls");
    }
}

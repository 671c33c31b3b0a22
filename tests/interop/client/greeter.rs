//! `helloworld.Greeter`

use barewire::Channel;
use barewire::tutorial::proto::helloworld::{GreeterClient, HelloRequest};

use super::Case;
use super::line::Line;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::ALL, say_hello));
    cases.extend(Case::on_each(Line::ALL, say_hello_again));
    cases.extend(Case::on_each(Line::ALL, stream_reply));
    cases.extend(Case::on_each(Line::ALL, bidi_stream));
    cases.extend(Case::on_each(Line::TO_BOTH, bidi_stream_without_a_request));
    cases.extend(Case::on_each(Line::TO_BOTH, all_methods_at_once));
    cases
}

fn you() -> HelloRequest {
    named("you")
}

fn named(name: &str) -> HelloRequest {
    HelloRequest {
        name: name.to_owned(),
    }
}

async fn say_hello(channel: Channel) {
    let greeter = GreeterClient::new(channel);
    for name in ["you", "", "世界", &"x".repeat(100_000)] {
        let response = greeter.say_hello(named(name)).await.unwrap();
        assert_eq!(response.message.message, format!("Hello, {name}!"));
    }
}

async fn say_hello_again(channel: Channel) {
    let response = GreeterClient::new(channel).say_hello2(you()).await.unwrap();
    assert_eq!(response.message.message, "Hello again, you!");
}

async fn stream_reply(channel: Channel) {
    let greeter = GreeterClient::new(channel);
    let mut replies = greeter.say_hello_stream_reply(you()).await.unwrap();
    for i in 0..10 {
        let reply = replies.next().await.unwrap().expect("there are ten");
        assert_eq!(reply.message, format!("Hello number {i}, you!"));
    }
    assert_eq!(replies.next().await.unwrap(), None);
    // Who asks again gets the same answer.
    assert_eq!(replies.next().await.unwrap(), None);
}

async fn bidi_stream(channel: Channel) {
    let greeter = GreeterClient::new(channel);
    let (mut requests, mut replies) = greeter.say_hello_bidi_stream(()).await.unwrap();
    for name in ["one", "two", "三", ""] {
        requests.send(named(name)).await.unwrap();
        let reply = replies.next().await.unwrap().expect("one for each");
        assert_eq!(reply.message, format!("Hello, {name}!"));
    }
    requests.finish().unwrap();
    assert_eq!(replies.next().await.unwrap(), None);
}

async fn bidi_stream_without_a_request(channel: Channel) {
    let greeter = GreeterClient::new(channel);
    let (mut requests, mut replies) = greeter.say_hello_bidi_stream(()).await.unwrap();
    requests.finish().unwrap();
    assert_eq!(replies.next().await.unwrap(), None);
}

async fn all_methods_at_once(channel: Channel) {
    tokio::join!(
        say_hello(channel.clone()),
        say_hello_again(channel.clone()),
        stream_reply(channel.clone()),
        bidi_stream(channel.clone()),
        bidi_stream(channel),
    );
}

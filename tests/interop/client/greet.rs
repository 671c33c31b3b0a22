//! `greet.Greeter`

use barewire::Channel;
use barewire::tutorial::proto::greet::{GreeterClient, HelloRequest};

use super::Case;
use super::line::Line;

pub(super) fn cases() -> Vec<Case> {
    Case::on_each(Line::TO_THREADS, say_hello).collect()
}

async fn say_hello(channel: Channel) {
    let request = HelloRequest {
        name: "you".to_owned(),
    };
    let response = GreeterClient::new(channel)
        .say_hello(request)
        .await
        .unwrap();
    assert_eq!(response.message.message, "Hello, you!");
}

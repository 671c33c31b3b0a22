//! `hellostreamingworld.MultiGreeter`

use barewire::tutorial::proto::hellostreamingworld::{HelloRequest, MultiGreeterClient};
use barewire::{Channel, Code};

use super::Case;
use super::line::Line;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::ALL, say_hello));
    cases.extend(Case::on_each(Line::TO_THREADS, as_many_greetings_as_asked));
    cases.extend(Case::on_each(&[Line::Plain], what_is_no_number_is_refused));
    cases
}

fn request(num_greetings: &str) -> HelloRequest {
    HelloRequest {
        name: "you".to_owned(),
        num_greetings: num_greetings.to_owned(),
    }
}

async fn say_hello(channel: Channel) {
    let greeter = MultiGreeterClient::new(channel);
    let mut replies = greeter.say_hello(request("")).await.unwrap();
    for i in 0..10 {
        let reply = replies.next().await.unwrap().expect("there are ten");
        assert_eq!(reply.message, format!("Hello number {i}, you!"));
    }
    assert_eq!(replies.next().await.unwrap(), None);
}

async fn as_many_greetings_as_asked(channel: Channel) {
    let greeter = MultiGreeterClient::new(channel);
    for asked in [0, 1, 3000] {
        let mut replies = greeter
            .say_hello(request(&asked.to_string()))
            .await
            .unwrap();
        let mut heard = 0;
        while let Some(reply) = replies.next().await.unwrap() {
            assert_eq!(reply.message, format!("Hello number {heard}, you!"));
            heard += 1;
        }
        assert_eq!(heard, asked);
    }
}

async fn what_is_no_number_is_refused(channel: Channel) {
    let greeter = MultiGreeterClient::new(channel);
    let mut replies = greeter.say_hello(request("many")).await.unwrap();
    let status = replies.next().await.unwrap_err();
    assert_eq!(status.code, Code::InvalidArgument);
    assert!(status.message.contains("'many'"), "{status}");
}

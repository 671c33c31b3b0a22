//! `chat.ChatService`

use barewire::Channel;
use barewire::tutorial::proto::chat::{ChatRequest, ChatServiceClient};

use super::Case;
use super::line::Line;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(
        Line::TO_THREADS,
        each_message_is_answered_before_the_next,
    ));
    cases.extend(Case::on_each(&[Line::Plain], two_chats_at_once));
    cases.extend(Case::on_each(
        &[Line::Plain],
        of_many_messages_from_another_task,
    ));
    cases
}

fn say(message: &str) -> ChatRequest {
    ChatRequest {
        message: message.to_owned(),
    }
}

async fn each_message_is_answered_before_the_next(channel: Channel) {
    let (mut requests, mut replies) = ChatServiceClient::new(channel).chat(()).await.unwrap();
    for message in ["Hello", "", "你好", "bye"] {
        requests.send(say(message)).await.unwrap();
        let reply = replies.next().await.unwrap().expect("one for each");
        assert_eq!(reply.message, format!("You said: {message}"));
    }
    requests.finish().unwrap();
    assert_eq!(replies.next().await.unwrap(), None);
}

async fn two_chats_at_once(channel: Channel) {
    let chats = ChatServiceClient::new(channel);
    let (mut first, mut first_replies) = chats.chat(()).await.unwrap();
    let (mut second, mut second_replies) = chats.chat(()).await.unwrap();
    second.send(say("second")).await.unwrap();
    first.send(say("first")).await.unwrap();
    let reply = first_replies.next().await.unwrap().unwrap();
    assert_eq!(reply.message, "You said: first");
    let reply = second_replies.next().await.unwrap().unwrap();
    assert_eq!(reply.message, "You said: second");
    first.finish().unwrap();
    assert_eq!(first_replies.next().await.unwrap(), None);
    second.send(say("alone")).await.unwrap();
    let reply = second_replies.next().await.unwrap().unwrap();
    assert_eq!(reply.message, "You said: alone");
    second.finish().unwrap();
    assert_eq!(second_replies.next().await.unwrap(), None);
}

async fn of_many_messages_from_another_task(channel: Channel) {
    const MESSAGES: usize = 5000;
    let (mut requests, mut replies) = ChatServiceClient::new(channel).chat(()).await.unwrap();
    let talker = tokio::spawn(async move {
        for i in 0..MESSAGES {
            requests.send(say(&i.to_string())).await.unwrap();
        }
        requests.finish().unwrap();
    });
    for i in 0..MESSAGES {
        let reply = replies.next().await.unwrap().expect("one for each");
        assert_eq!(reply.message, format!("You said: {i}"));
    }
    assert_eq!(replies.next().await.unwrap(), None);
    talker.await.unwrap();
}

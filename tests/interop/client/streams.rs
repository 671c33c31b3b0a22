//! Streams: who speaks first, who says when it is enough, and what waits for what.

use barewire::{Channel, Code};

use super::Case;
use super::line::Line;
use super::script::{
    Scripted, answer, answers, echo, endless_answers, headers, read, read_all, wait,
};
use crate::printed::control::{ControlClient, Message};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::TO_BOTH, the_server_speaks_first));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        the_halves_are_there_before_the_server_says_anything,
    ));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        the_server_goes_on_after_we_have_said_all,
    ));
    cases.extend(Case::on_each(Line::TO_BOTH, an_answer_before_all_is_read));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        a_server_that_ends_before_all_is_read,
    ));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        the_server_sends_all_before_it_reads,
    ));
    cases.extend(Case::on_each(Line::TO_BOTH, both_send_all_the_time));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        the_halves_live_in_different_tasks,
    ));
    cases.extend(Case::on_each(Line::TO_BOTH, a_reader_that_is_slow));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        small_messages_in_large_numbers,
    ));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        one_stream_does_not_hold_up_another,
    ));
    cases.extend(Case::on_each(Line::TO_BOTH, more_or_fewer_answers_than_one));
    cases
}

const MEBIBYTE: usize = 1024 * 1024;

fn body(size: usize) -> Message {
    Message {
        body: vec![b'x'; size],
    }
}

async fn the_server_speaks_first(channel: Channel) {
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([answer(5), read(1), answer(6), read_all(), answer(7)]);
    let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    let answer = inbound.next().await.unwrap().unwrap();
    assert_eq!((answer.body.len(), answer.requests), (5, 0));
    outbound.send(body(1)).await.unwrap();
    let answer = inbound.next().await.unwrap().unwrap();
    assert_eq!((answer.body.len(), answer.requests), (6, 1));
    outbound.send(body(1)).await.unwrap();
    outbound.finish().unwrap();
    let answer = inbound.next().await.unwrap().unwrap();
    assert_eq!((answer.body.len(), answer.requests), (7, 2));
    assert_eq!(inbound.next().await.unwrap(), None);
}

async fn the_halves_are_there_before_the_server_says_anything(channel: Channel) {
    let control = ControlClient::new(channel);
    // Not even headers come before the first message.
    let scripted = Scripted::new([echo()]);
    let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    outbound.send(body(1)).await.unwrap();
    assert!(inbound.next().await.unwrap().is_some());
    outbound.finish().unwrap();
    assert_eq!(inbound.next().await.unwrap(), None);

    let scripted = Scripted::new([read_all(), headers(), answer(1)]);
    let (mut outbound, inbound) = control.client_stream(scripted.request(())).await.unwrap();
    outbound.send(body(1)).await.unwrap();
    outbound.finish().unwrap();
    assert_eq!(inbound.single().await.unwrap().message.requests, 1);
}

async fn the_server_goes_on_after_we_have_said_all(channel: Channel) {
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([read_all(), answers(3, 10), wait(100), answers(3, 10)]);
    let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    for _ in 0..5 {
        outbound.send(body(1)).await.unwrap();
    }
    outbound.finish().unwrap();
    // What has been said cannot be added to.
    assert!(outbound.send(body(1)).await.is_err());
    for _ in 0..6 {
        let answer = inbound.next().await.unwrap().expect("there are six");
        assert_eq!(answer.requests, 5);
    }
    assert_eq!(inbound.next().await.unwrap(), None);
}

async fn an_answer_before_all_is_read(channel: Channel) {
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([read(2), answer(1)]);
    let (mut outbound, inbound) = control.client_stream(scripted.request(())).await.unwrap();
    outbound.send(body(1)).await.unwrap();
    outbound.send(body(1)).await.unwrap();
    assert_eq!(inbound.single().await.unwrap().message.requests, 2);
    // Nobody hears it any more; a client may find that out at any time.
    while outbound.send(body(1000)).await.is_ok() {}
}

async fn a_server_that_ends_before_all_is_read(channel: Channel) {
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([read(1), answer(1)]);
    let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    while outbound.send(body(MEBIBYTE)).await.is_ok() {}
    assert!(inbound.next().await.unwrap().is_some());
    // That we could not say all is no failure of the call: the server did not want to hear it.
    assert_eq!(inbound.next().await.unwrap(), None);
}

async fn the_server_sends_all_before_it_reads(channel: Channel) {
    const MESSAGES: u32 = 10;
    let control = ControlClient::new(channel);
    let size = u32::try_from(MEBIBYTE).unwrap();
    let scripted = Scripted::new([answers(MESSAGES, size), read_all(), answer(0)]);
    let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    // It does not read before all ten are gone, and we do not stop sending for that.
    let sender = async {
        for _ in 0..MESSAGES {
            outbound.send(body(MEBIBYTE)).await.unwrap();
        }
        outbound.finish().unwrap();
    };
    let reader = async {
        for _ in 0..MESSAGES {
            let answer = inbound.next().await.unwrap().expect("there are ten");
            assert_eq!(answer.body.len(), MEBIBYTE);
        }
        let last = inbound.next().await.unwrap().expect("and one more");
        assert_eq!(last.requests, MESSAGES);
        assert_eq!(inbound.next().await.unwrap(), None);
    };
    tokio::join!(sender, reader);
}

async fn both_send_all_the_time(channel: Channel) {
    const MESSAGES: usize = 10;
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([echo()]);
    let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    let sender = async {
        for _ in 0..MESSAGES {
            outbound.send(body(MEBIBYTE)).await.unwrap();
        }
        outbound.finish().unwrap();
    };
    let reader = async {
        for _ in 0..MESSAGES {
            let answer = inbound.next().await.unwrap().expect("one for each");
            assert_eq!(answer.body.len(), MEBIBYTE);
        }
        assert_eq!(inbound.next().await.unwrap(), None);
    };
    tokio::join!(sender, reader);
}

async fn the_halves_live_in_different_tasks(channel: Channel) {
    const MESSAGES: usize = 1000;
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([echo()]);
    let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    let sender = tokio::spawn(async move {
        for size in 0..MESSAGES {
            outbound.send(body(size)).await.unwrap();
        }
        outbound.finish().unwrap();
    });
    let reader = tokio::spawn(async move {
        for size in 0..MESSAGES {
            let answer = inbound.next().await.unwrap().expect("one for each");
            assert_eq!(answer.body.len(), size);
        }
        assert_eq!(inbound.next().await.unwrap(), None);
    });
    sender.await.unwrap();
    reader.await.unwrap();
}

async fn a_reader_that_is_slow(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([answers(100, 100_000)]);
    let request = scripted.request(Message::default());
    let mut inbound = control.server_stream(request).await.unwrap();
    for i in 0..100 {
        // Other calls go on meanwhile.
        if i % 10 == 0 {
            control.unary(Message::default()).await.unwrap();
        }
        let answer = inbound.next().await.unwrap().expect("there are a hundred");
        assert_eq!(answer.body.len(), 100_000);
    }
    assert_eq!(inbound.next().await.unwrap(), None);
}

async fn small_messages_in_large_numbers(channel: Channel) {
    const MESSAGES: u32 = 10_000;
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([read_all(), answers(MESSAGES, 1)]);
    let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    for _ in 0..MESSAGES {
        outbound.send(body(1)).await.unwrap();
    }
    outbound.finish().unwrap();
    let mut answers = 0;
    while let Some(answer) = inbound.next().await.unwrap() {
        assert_eq!(answer.requests, MESSAGES);
        answers += 1;
    }
    assert_eq!(answers, MESSAGES);
}

async fn one_stream_does_not_hold_up_another(channel: Channel) {
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([endless_answers(100_000)]);
    let mut unread = Vec::new();
    for _ in 0..5 {
        let request = scripted.request(Message::default());
        unread.push(control.server_stream(request).await.unwrap());
    }
    for inbound in &mut unread {
        assert!(inbound.next().await.unwrap().is_some());
    }
    // What they send now stays where it is, and takes the room of nobody else.
    let scripted = Scripted::new([answers(20, 100_000)]);
    let request = scripted.request(Message::default());
    let mut inbound = control.server_stream(request).await.unwrap();
    let mut answers = 0;
    while inbound.next().await.unwrap().is_some() {
        answers += 1;
    }
    assert_eq!(answers, 20);
}

async fn more_or_fewer_answers_than_one(channel: Channel) {
    let control = ControlClient::new(channel);
    for (steps, code) in [
        (vec![read(0)], Code::Unimplemented),
        (vec![answers(2, 10)], Code::Unimplemented),
    ] {
        let scripted = Scripted::new(steps);
        let (_outbound, inbound) = control.bidi(scripted.request(())).await.unwrap();
        let status = inbound.single().await.unwrap_err();
        assert_eq!(status.code, code, "{status}");
    }
}

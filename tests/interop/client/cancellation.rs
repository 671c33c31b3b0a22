//! To drop what a call is read with cancels it, at any time and in each of its kinds, and the server
//! sees it.

use std::time::Duration;

use barewire::{Channel, Code, Status};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::line::Line;
use super::script::{Scripted, answer, endless_answers, hang, headers, read};
use super::site::Setup;
use super::tap::{CANCEL, Side, Tap};
use super::{Case, Site};
use crate::printed::control::{ControlClient, Message};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::TO_BOTH, a_unary_call_that_is_dropped));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        a_unary_call_that_takes_too_long,
    ));
    cases.extend(Case::on_each(Line::TO_BOTH, a_server_stream_before_headers));
    cases.extend(Case::on_each(Line::TO_BOTH, a_server_stream_that_waits));
    cases.extend(Case::on_each(Line::TO_BOTH, a_server_stream_in_full_flow));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        a_client_stream_whose_answer_is_dropped,
    ));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        a_client_stream_that_is_dropped_unfinished,
    ));
    cases.extend(Case::on_each(Line::TO_BOTH, a_bidi_stream_before_headers));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        a_bidi_stream_between_two_messages,
    ));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        a_bidi_stream_after_we_have_said_all,
    ));
    cases.extend(Case::on_each(Line::TO_BOTH, a_task_that_is_aborted));
    cases.extend(Case::on_each(Line::TO_BOTH, many_calls_on_one_connection));
    cases.push(Case::new(the_stream_is_reset));
    cases
}

/// A call on this channel still goes well.
async fn assert_lives(channel: &Channel) {
    ControlClient::new(channel.clone())
        .unary(Message::default())
        .await
        .unwrap();
}

async fn a_unary_call_that_is_dropped(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    for steps in [vec![hang()], vec![headers(), hang()]] {
        let scripted = Scripted::new(steps);
        let call = control.unary(scripted.request(Message::default()));
        tokio::select! {
            outcome = call => panic!("the call hangs, but ended: {outcome:?}"),
            _ = scripted.begun(&channel, 1) => {}
        }
        scripted.is_cancelled(&channel).await;
    }
    assert_lives(&channel).await;
}

async fn a_unary_call_that_takes_too_long(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([hang()]);
    let call = control.unary(scripted.request(Message::default()));
    // A time limit that is not the call's own: the server learns of it all the same.
    timeout(Duration::from_millis(1500), call)
        .await
        .unwrap_err();
    let seen = scripted.is_cancelled(&channel).await;
    assert_eq!(seen.remaining_ms, None);
}

async fn a_server_stream_before_headers(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([hang()]);
    let request = scripted.request(Message::default());
    let inbound = control.server_stream(request).await.unwrap();
    scripted.begun(&channel, 1).await;
    drop(inbound);
    scripted.is_cancelled(&channel).await;
    assert_lives(&channel).await;
}

async fn a_server_stream_that_waits(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([answer(10), hang()]);
    let request = scripted.request(Message::default());
    let mut inbound = control.server_stream(request).await.unwrap();
    assert!(inbound.next().await.unwrap().is_some());
    drop(inbound);
    scripted.is_cancelled(&channel).await;
    assert_lives(&channel).await;
}

async fn a_server_stream_in_full_flow(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    for read in [0, 1, 5, 1000] {
        let scripted = Scripted::new([endless_answers(1000)]);
        let request = scripted.request(Message::default());
        let mut inbound = control.server_stream(request).await.unwrap();
        for _ in 0..read {
            assert!(inbound.next().await.unwrap().is_some());
        }
        scripted.begun(&channel, 1).await;
        drop(inbound);
        scripted.is_cancelled(&channel).await;
    }
    assert_lives(&channel).await;
}

async fn a_client_stream_whose_answer_is_dropped(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([read(1), headers(), hang()]);
    let (mut outbound, mut inbound) = control.client_stream(scripted.request(())).await.unwrap();
    outbound.send(Message::default()).await.unwrap();
    inbound.headers().await.unwrap();
    drop(inbound);
    let seen = scripted.is_cancelled(&channel).await;
    assert_eq!(seen.requests, 1);
    assert!(outbound.send(Message::default()).await.is_err());
    assert_lives(&channel).await;
}

async fn a_client_stream_that_is_dropped_unfinished(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([read(1), headers(), hang()]);
    let (mut outbound, mut inbound) = control.client_stream(scripted.request(())).await.unwrap();
    outbound.send(Message::default()).await.unwrap();
    inbound.headers().await.unwrap();
    drop(outbound);
    let status: Status = inbound.single().await.unwrap_err();
    assert_eq!(status.code, Code::Cancelled, "{status}");
    scripted.is_cancelled(&channel).await;
    assert_lives(&channel).await;
}

async fn a_bidi_stream_before_headers(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([hang()]);
    let (outbound, inbound) = control.bidi(scripted.request(())).await.unwrap();
    scripted.begun(&channel, 1).await;
    drop(inbound);
    scripted.is_cancelled(&channel).await;
    drop(outbound);
    assert_lives(&channel).await;
}

async fn a_bidi_stream_between_two_messages(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    // A server that waits for us, and one that does not.
    for steps in [
        vec![read(1), answer(1), read(1), hang()],
        vec![answer(1), hang()],
    ] {
        let scripted = Scripted::new(steps);
        let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
        outbound.send(Message::default()).await.unwrap();
        assert!(inbound.next().await.unwrap().is_some());
        drop(inbound);
        scripted.is_cancelled(&channel).await;
        assert!(outbound.send(Message::default()).await.is_err());
    }
    assert_lives(&channel).await;
}

async fn a_bidi_stream_after_we_have_said_all(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([headers(), hang()]);
    let (mut outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    outbound.finish().unwrap();
    inbound.headers().await.unwrap();
    // This half is done with and means nothing any more.
    drop(outbound);
    drop(inbound);
    scripted.is_cancelled(&channel).await;
    assert_lives(&channel).await;
}

async fn a_task_that_is_aborted(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([answer(1), hang()]);
    let (_outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    let task = tokio::spawn(async move { while inbound.next().await.unwrap().is_some() {} });
    scripted.begun(&channel, 1).await;
    task.abort();
    scripted.is_cancelled(&channel).await;
    assert_lives(&channel).await;
}

async fn many_calls_on_one_connection(channel: Channel) {
    const ROUNDS: u32 = 10;
    const CALLS: u32 = 20;
    let scripted = Scripted::new([answer(1), hang()]);
    for _ in 0..ROUNDS {
        let mut calls = JoinSet::new();
        for i in 0..CALLS {
            let control = ControlClient::new(channel.clone());
            let request = scripted.request(());
            calls.spawn(async move {
                let (_outbound, mut inbound) = control.bidi(request).await.unwrap();
                // Some are dropped before the server has said anything.
                if i % 2 == 0 {
                    assert!(inbound.next().await.unwrap().is_some());
                }
            });
        }
        while let Some(ended) = calls.join_next().await {
            ended.unwrap();
        }
    }
    // Those that were dropped before they were sent need not have come.
    scripted.ended(&channel, ROUNDS * CALLS / 2).await;
    assert_lives(&channel).await;
}

async fn the_stream_is_reset(site: &Site) {
    let tap = Tap::to(site.address(Setup::Plain)).await;
    let channel = Channel::connect(&tap.target()).await.unwrap();
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([answer(1), hang()]);
    let request = scripted.request(Message::default());
    let mut inbound = control.server_stream(request).await.unwrap();
    assert!(inbound.next().await.unwrap().is_some());
    drop(inbound);
    let reset = tap.frame(|frame| frame.is_reset(Side::Client, 1)).await;
    assert_eq!(*reset.payload, CANCEL.to_be_bytes());
}

//! A deadline covers all of a call: whatever the server waits with, the call ends in time, and the
//! server learns of it.

use std::time::Duration;

use barewire::{Channel, Code, Inbound, Origin, Outbound, Request, Status};
use tokio::time::Instant;

use super::line::Line;
use super::script::{Scripted, answer, answers, fail, hang, headers, read_all, wait};
use super::site::Setup;
use super::tap::{CANCEL, Frame, Side, Tap};
use super::{Case, Site};
use crate::printed::control::{Answer, ControlClient, Message, Step};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::TO_BOTH, before_headers));
    cases.extend(Case::on_each(Line::TO_BOTH, between_headers_and_messages));
    cases.extend(Case::on_each(Line::TO_BOTH, between_messages));
    cases.extend(Case::on_each(Line::TO_BOTH, before_trailers));
    cases.extend(Case::on_each(Line::TO_BOTH, while_the_server_does_not_read));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        while_the_client_does_not_finish,
    ));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        a_call_that_ends_in_time_is_left_alone,
    ));
    cases.extend(Case::on_each(
        &[Line::Plain],
        one_that_has_passed_sends_nothing,
    ));
    cases.extend(Case::on_each(&[Line::Plain], the_server_may_say_it_first));
    cases.push(Case::new(the_stream_is_reset));
    cases
}

/// Longer than the way to a busy server takes, through a proxy too.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// How late a call may end. The machine may be busy; the server would take a minute.
const SLACK: Duration = Duration::from_secs(4);

/// A call that ends at its deadline, and is forgotten by the server then.
struct Doomed {
    scripted: Scripted,
    began_at: Instant,
}

impl Doomed {
    fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            scripted: Scripted::new(steps),
            began_at: Instant::now(),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        self.scripted.request(message).with_timeout(TIMEOUT)
    }

    async fn ended(self, channel: &Channel, status: Status) {
        let elapsed = self.began_at.elapsed();
        assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
        assert_eq!(status.origin, Origin::Local, "{status}");
        assert!(
            TIMEOUT <= elapsed && elapsed < TIMEOUT + SLACK,
            "{elapsed:?}"
        );
        let seen = self.scripted.is_cancelled(channel).await;
        let remaining = seen
            .remaining_ms
            .expect("the server was told of the deadline");
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        assert!(
            remaining > 0.0 && remaining <= millis(TIMEOUT) + 10.0,
            "{seen:?}"
        );
        assert!(seen.lasted_ms < millis(TIMEOUT + SLACK), "{seen:?}");
    }
}

/// Runs the steps in each of the four kinds of call at once, with a deadline that they do not keep.
/// Where the server streams, it sends `count` answers before.
async fn each_kind(channel: &Channel, steps: &[Step], count: usize) {
    let control = ControlClient::new(channel.clone());
    let unary = async {
        let doomed = Doomed::new(steps.to_vec());
        let request = doomed.request(Message::default());
        let status = control.unary(request).await.unwrap_err();
        doomed.ended(channel, status).await;
    };
    let client_stream = async {
        let doomed = Doomed::new(steps.to_vec());
        let (_outbound, inbound) = control.client_stream(doomed.request(())).await.unwrap();
        doomed
            .ended(channel, inbound.single().await.unwrap_err())
            .await;
    };
    let streams = each_stream(channel, steps, count);
    tokio::join!(unary, client_stream, streams);
}

/// The same in the two kinds in which the server streams.
async fn each_stream(channel: &Channel, steps: &[Step], count: usize) {
    let control = ControlClient::new(channel.clone());
    let server_stream = async {
        let doomed = Doomed::new(steps.to_vec());
        let request = doomed.request(Message::default());
        let inbound = control.server_stream(request).await.unwrap();
        doomed
            .ended(channel, read_to_the_end(inbound, count).await)
            .await;
    };
    let bidi = async {
        let doomed = Doomed::new(steps.to_vec());
        let (_outbound, inbound) = control.bidi(doomed.request(())).await.unwrap();
        doomed
            .ended(channel, read_to_the_end(inbound, count).await)
            .await;
    };
    tokio::join!(server_stream, bidi);
}

/// Reads `count` answers, and then an error that is said again to who asks again.
async fn read_to_the_end(mut inbound: Inbound<Answer>, count: usize) -> Status {
    for _ in 0..count {
        inbound.next().await.unwrap().expect("not all answers yet");
    }
    let status = inbound.next().await.unwrap_err();
    assert_eq!(inbound.next().await.unwrap_err(), status);
    status
}

async fn before_headers(channel: Channel) {
    each_kind(&channel, &[hang()], 0).await;
}

async fn between_headers_and_messages(channel: Channel) {
    each_kind(&channel, &[headers(), hang()], 0).await;
}

async fn between_messages(channel: Channel) {
    let steps = [answers(3, 10), wait(100), answer(10), hang(), answer(10)];
    each_stream(&channel, &steps, 4).await;
}

async fn before_trailers(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let steps = [answer(10), hang()];
    // A stream of one message that is asked for as such.
    let single = async {
        let doomed = Doomed::new(steps.clone());
        let (_outbound, inbound) = control.bidi(doomed.request(())).await.unwrap();
        doomed
            .ended(&channel, inbound.single().await.unwrap_err())
            .await;
    };
    tokio::join!(each_stream(&channel, &steps, 1), single);
}

async fn while_the_server_does_not_read(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let doomed = Doomed::new([hang()]);
    let (outbound, mut inbound) = control.bidi(doomed.request(())).await.unwrap();
    // The windows are full long before the deadline.
    send_until_it_fails(outbound).await;
    let elapsed = doomed.began_at.elapsed();
    assert!(elapsed < TIMEOUT + SLACK, "{elapsed:?}");
    doomed
        .ended(&channel, inbound.next().await.unwrap_err())
        .await;
}

async fn send_until_it_fails(mut outbound: Outbound<Message>) {
    let message = Message {
        body: vec![b'x'; 100_000],
    };
    while outbound.send(message.clone()).await.is_ok() {}
}

async fn while_the_client_does_not_finish(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    // It waits for the end of the requests, and a coroutine takes our end for one.
    let doomed = Doomed::new([read_all(), hang()]);
    let (mut outbound, inbound) = control.client_stream(doomed.request(())).await.unwrap();
    outbound.send(Message::default()).await.unwrap();
    let status = inbound.single().await.unwrap_err();
    doomed.ended(&channel, status).await;
    assert!(outbound.send(Message::default()).await.is_err());
}

async fn a_call_that_ends_in_time_is_left_alone(channel: Channel) {
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([wait(50), answer(1), wait(50)]);
    let timeout = Duration::from_secs(20);
    let request = scripted.request(Message::default()).with_timeout(timeout);
    let mut inbound = control.server_stream(request).await.unwrap();
    assert!(inbound.next().await.unwrap().is_some());
    assert_eq!(inbound.next().await.unwrap(), None);
    let request = scripted.request(Message::default()).with_timeout(timeout);
    control.unary(request).await.unwrap();
}

async fn one_that_has_passed_sends_nothing(channel: Channel) {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new([]);
    let request = scripted
        .request(Message::default())
        .with_timeout(Duration::ZERO);
    let status = control.unary(request).await.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::DeadlineExceeded, Origin::Local)
    );
    assert_eq!(scripted.calls(&channel).await, []);
}

async fn the_server_may_say_it_first(channel: Channel) {
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([fail(Code::DeadlineExceeded, "mine, not yours")]);
    let request = scripted.request(Message::default());
    let status = control.unary(request).await.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::DeadlineExceeded, Origin::Peer)
    );
    assert_eq!(status.message, "mine, not yours");
}

async fn the_stream_is_reset(site: &Site) {
    let tap = Tap::to(site.address(Setup::Plain)).await;
    let channel = Channel::connect(&tap.target()).await.unwrap();
    let control = ControlClient::new(channel.clone());
    let doomed = Doomed::new([hang()]);
    let request = doomed.request(Message::default());
    let status = control.unary(request).await.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded);
    // The server's clock may ring first. Then it has said all, and so have we.
    let is_end =
        |frame: &Frame| frame.is_reset(Side::Client, 1) || frame.ends_stream(Side::Server, 1);
    let end = tap.frame(is_end).await;
    if end.from == Side::Client {
        assert_eq!(*end.payload, CANCEL.to_be_bytes());
    }
}

//! How calls fail: each code, every kind of text, and details.

use barewire::{Channel, Code, Origin, Status};
use prost::Message as _;

use super::Case;
use super::line::Line;
use super::script::{Scripted, answer, answers, fail, fail_with_details, headers, raise};
use crate::printed::control::{ControlClient, Message, Step};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    cases.extend(Case::on_each(Line::TO_BOTH, each_code_of_each_kind_of_call));
    cases.extend(Case::on_each(Line::TO_BOTH, texts_come_as_they_were));
    cases.extend(Case::on_each(Line::TO_BOTH, details_come_as_they_were));
    cases.extend(Case::on_each(
        &[Line::Plain],
        details_of_another_code_are_dropped,
    ));
    cases.extend(Case::on_each(
        &[Line::Plain],
        details_that_are_none_are_dropped,
    ));
    cases.extend(Case::on_each(Line::TO_BOTH, a_server_that_falls_over));
    cases.extend(Case::on_each(
        Line::TO_BOTH,
        answers_before_the_failure_are_heard,
    ));
    cases.extend(Case::on_each(
        &[Line::Coroutines],
        a_method_that_is_not_served,
    ));
    cases
}

/// The failures of these steps in each of the four kinds of call.
async fn each_kind(channel: &Channel, steps: &[Step]) -> [Status; 4] {
    let control = ControlClient::new(channel.clone());
    let scripted = Scripted::new(steps.iter().cloned());

    let request = scripted.request(Message::default());
    let unary = control.unary(request).await.unwrap_err();

    let request = scripted.request(Message::default());
    let mut inbound = control.server_stream(request).await.unwrap();
    let server_stream = inbound.next().await.unwrap_err();
    assert_eq!(inbound.next().await.unwrap_err(), server_stream);

    let (_outbound, inbound) = control.client_stream(scripted.request(())).await.unwrap();
    let client_stream = inbound.single().await.unwrap_err();

    let (_outbound, mut inbound) = control.bidi(scripted.request(())).await.unwrap();
    let bidi = inbound.next().await.unwrap_err();
    assert_eq!(inbound.next().await.unwrap_err(), bidi);

    [unary, server_stream, client_stream, bidi]
}

async fn each_code_of_each_kind_of_call(channel: Channel) {
    for code in Code::ALL {
        let text = format!("{code}, 世界, é, 😀");
        // At once, and after headers.
        for steps in [vec![fail(code, &text)], vec![headers(), fail(code, &text)]] {
            for status in each_kind(&channel, &steps).await {
                assert_eq!((status.code, &*status.message), (code, &*text));
                assert_eq!(status.origin, Origin::Peer);
            }
        }
    }
}

async fn texts_come_as_they_were(channel: Channel) {
    let every_ascii: String = (0..128_u8).map(char::from).collect();
    let texts = [
        "",
        "plain text",
        "非 ASCII: 世界, é, 😀",
        "100% and %41 and %zz and a % at the end %",
        "\ttest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n",
        &every_ascii,
        &"x".repeat(3000),
        &"界".repeat(800),
    ];
    let control = ControlClient::new(channel);
    for text in texts {
        let scripted = Scripted::new([fail(Code::NotFound, text)]);
        let request = scripted.request(Message::default());
        let status = control.unary(request).await.unwrap_err();
        assert_eq!((status.code, &*status.message), (Code::NotFound, text));
    }
}

/// `google.rpc.Status`
#[derive(Clone, PartialEq, prost::Message)]
struct Details {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(bytes, repeated, tag = "3")]
    details: Vec<Vec<u8>>,
}

impl Details {
    fn new(code: i32) -> Self {
        Self {
            code,
            message: "世界".to_owned(),
            // An `Any` without a type.
            details: vec![b"\x12\x03\x00\xff\x80".to_vec()],
        }
    }
}

async fn details_come_as_they_were(channel: Channel) {
    for code in Code::ALL {
        let details = Details::new(code.number().into()).encode_to_vec();
        let step = fail_with_details(code, "世界", details.clone());
        for status in each_kind(&channel, &[step]).await {
            assert_eq!((status.code, &*status.message), (code, "世界"));
            assert_eq!(*status.details, *details);
        }
    }
}

async fn details_of_another_code_are_dropped(channel: Channel) {
    let details = Details::new(5).encode_to_vec();
    let step = fail_with_details(Code::Internal, "not five", details);
    for status in each_kind(&channel, &[step]).await {
        assert_eq!(
            (status.code, &*status.message),
            (Code::Internal, "not five")
        );
        assert_eq!(*status.details, *b"");
    }
}

async fn details_that_are_none_are_dropped(channel: Channel) {
    let step = fail_with_details(Code::Internal, "garbage", b"\xff\xff\xff".to_vec());
    for status in each_kind(&channel, &[step]).await {
        assert_eq!((status.code, &*status.message), (Code::Internal, "garbage"));
        assert_eq!(*status.details, *b"");
    }
}

async fn a_server_that_falls_over(channel: Channel) {
    for steps in [vec![raise()], vec![headers(), raise()]] {
        for status in each_kind(&channel, &steps).await {
            assert_eq!((status.code, status.origin), (Code::Unknown, Origin::Peer));
            assert!(
                status.message.contains("this server has a mistake in it"),
                "{status}"
            );
        }
    }
}

async fn answers_before_the_failure_are_heard(channel: Channel) {
    let control = ControlClient::new(channel);
    let scripted = Scripted::new([answers(3, 100), fail(Code::DataLoss, "three are enough")]);
    let request = scripted.request(Message::default());
    let server_stream = control.server_stream(request).await.unwrap();
    let (_outbound, bidi) = control.bidi(scripted.request(())).await.unwrap();
    for mut inbound in [server_stream, bidi] {
        for _ in 0..3 {
            let answer = inbound.next().await.unwrap().expect("there are three");
            assert_eq!(answer.body.len(), 100);
        }
        let status = inbound.next().await.unwrap_err();
        assert_eq!(
            (status.code, &*status.message),
            (Code::DataLoss, "three are enough")
        );
    }

    // Where one answer is due, an error outweighs it.
    let scripted = Scripted::new([answer(100), fail(Code::DataLoss, "not even one")]);
    let (_outbound, inbound) = control.bidi(scripted.request(())).await.unwrap();
    let status = inbound.single().await.unwrap_err();
    assert_eq!(
        (status.code, &*status.message),
        (Code::DataLoss, "not even one")
    );
}

async fn a_method_that_is_not_served(channel: Channel) {
    use barewire::tutorial::proto::chat::{ChatRequest, ChatServiceClient};
    use barewire::tutorial::proto::greet::{GreeterClient, HelloRequest};

    // The server of coroutines does not have these services.
    let greeter = GreeterClient::new(channel.clone());
    let status = greeter
        .say_hello(HelloRequest::default())
        .await
        .unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::Unimplemented, Origin::Peer)
    );

    let (mut requests, mut replies) = ChatServiceClient::new(channel).chat(()).await.unwrap();
    // It may be refused before it is sent, or after.
    let _ = requests.send(ChatRequest::default()).await;
    let status = replies.next().await.unwrap_err();
    assert_eq!(
        (status.code, status.origin),
        (Code::Unimplemented, Origin::Peer)
    );
}

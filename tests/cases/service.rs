//! The test server: what each field of a request makes it do, down to the bytes.

use std::time::Duration;

use barewire::interop::proto::testing::{
    BoolValue, EchoStatus, Payload, ResponseParameters, SimpleRequest, SimpleResponse,
    StreamingInputCallRequest, StreamingInputCallResponse, StreamingOutputCallRequest,
    StreamingOutputCallResponse, TestOrcaReport, TestServiceClient,
};
use barewire::interop::proto::xds::service::orca::v3::{
    OpenRcaServiceClient, OrcaLoadReportRequest,
};
use barewire::wire::framing::{Deframer, RawMessage, encode_message};
use barewire::{Channel, Code, Server, interop};
use bytes::Bytes;
use flate2::read::GzDecoder;
use http::HeaderMap;
use prost::Message;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::raw::Client;
use crate::support::pipe;
use crate::tokio;

/// A response as it came over the wire.
struct Answer {
    headers: HeaderMap,
    messages: Vec<RawMessage>,
    trailers: HeaderMap,
    trailers_only: bool,
}

impl Answer {
    fn status(&self) -> &str {
        self.trailers["grpc-status"].to_str().unwrap()
    }

    fn message<M: Message + Default>(&self, index: usize) -> M {
        let RawMessage { compressed, body } = &self.messages[index];
        if !compressed {
            return M::decode(body.clone()).unwrap();
        }
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut GzDecoder::new(&**body), &mut plain).unwrap();
        M::decode(&*plain).unwrap()
    }

    fn flags(&self) -> Vec<bool> {
        let flags = self.messages.iter().map(|message| message.compressed);
        flags.collect()
    }
}

/// Calls with these messages, in plain.
async fn call(path: &str, fields: &[(&str, &str)], messages: &[&[u8]]) -> Answer {
    let client = Client::over(pipe()).await;
    let mut request = http::Request::post(format!("http://localhost/grpc.testing.{path}"))
        .header("te", "trailers")
        .header("content-type", "application/grpc");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let mut call = client.send_request(request.body(()).unwrap(), false).await;
    for message in messages {
        let body = Bytes::copy_from_slice(message);
        let message = RawMessage {
            compressed: false,
            body,
        };
        call.send_bytes(encode_message(&message).unwrap()).await;
    }
    let _ = call.send.send_data(Bytes::new(), true);

    let (head, mut body) = call.response.await.unwrap().into_parts();
    let trailers_only = body.is_end_stream();
    let mut deframer = Deframer::new(usize::MAX);
    let mut messages = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        deframer.push(chunk);
        while let Some(message) = deframer.next_message().unwrap() {
            messages.push(message);
        }
    }
    let trailers = body.trailers().await.unwrap();
    Answer {
        trailers: trailers.unwrap_or_else(|| head.headers.clone()),
        headers: head.headers,
        messages,
        trailers_only,
    }
}

async fn unary(fields: &[(&str, &str)], request: &SimpleRequest) -> Answer {
    call("TestService/UnaryCall", fields, &[&request.encode_to_vec()]).await
}

async fn streaming_output(fields: &[(&str, &str)], request: &StreamingOutputCallRequest) -> Answer {
    let message = request.encode_to_vec();
    call("TestService/StreamingOutputCall", fields, &[&message]).await
}

fn parameters(size: i32, compressed: Option<bool>) -> ResponseParameters {
    ResponseParameters {
        size,
        compressed: compressed.map(|value| BoolValue { value }),
        ..ResponseParameters::default()
    }
}

fn zeros(length: usize) -> Option<Payload> {
    Some(Payload {
        body: vec![0; length],
        ..Payload::default()
    })
}

const ECHOES: [(&str, &str); 2] = [
    ("x-grpc-test-echo-initial", "test_initial_metadata_value"),
    ("x-grpc-test-echo-trailing-bin", "q6ur"),
];

#[test]
#[rustfmt::skip]
fn the_messages_are_as_long_as_those_of_others() {
    let large = |response_compressed, expect_compressed| SimpleRequest {
        response_size: 314_159,
        payload: zeros(271_828),
        response_compressed,
        expect_compressed,
        ..SimpleRequest::default()
    };
    let ping = |length, size| StreamingOutputCallRequest {
        response_parameters: vec![parameters(size, None)],
        payload: zeros(length),
        ..StreamingOutputCallRequest::default()
    };
    let input = |length| StreamingInputCallRequest { payload: zeros(length), ..Default::default() };
    let output = |length| StreamingOutputCallResponse { payload: zeros(length), ..Default::default() };
    let ask = |sizes: &[(i32, Option<bool>)]| StreamingOutputCallRequest {
        response_parameters: sizes.iter().map(|(size, compressed)| parameters(*size, *compressed)).collect(),
        ..Default::default()
    };
    let [yes, no] = [true, false].map(|value| Some(BoolValue { value }));
    let cases = [
        (large(None, None).encoded_len(),   271_840),
        (large(None, yes).encoded_len(),    271_844),
        (large(None, no).encoded_len(),     271_842),
        (large(yes, None).encoded_len(),    271_844),
        (large(no, None).encoded_len(),     271_842),
        (SimpleResponse { payload: zeros(314_159), ..Default::default() }.encoded_len(), 314_167),
        (input(27_182).encoded_len(),       27_190),
        (input(8).encoded_len(),            12),
        (input(1_828).encoded_len(),        1_834),
        (input(45_904).encoded_len(),       45_912),
        (ask(&[(31_415, None), (9, None), (2_653, None), (58_979, None)]).encoded_len(), 21),
        (ask(&[(31_415, Some(true)), (92_653, Some(false))]).encoded_len(), 18),
        (output(31_415).encoded_len(),      31_423),
        (output(9).encoded_len(),           13),
        (output(2_653).encoded_len(),       2_659),
        (output(58_979).encoded_len(),      58_987),
        (ping(27_182, 31_415).encoded_len(), 27_196),
        (ping(8, 9).encoded_len(),          16),
        (ping(1_828, 2_653).encoded_len(),  1_839),
        (ping(45_904, 58_979).encoded_len(), 45_918),
    ];
    for (number, (length, expected)) in cases.into_iter().enumerate() {
        assert_eq!(length, expected, "{number}");
    }
}

#[tokio::test]
async fn metadata_comes_back_with_a_message_and_with_a_failure() {
    for code in [0, 2] {
        let request = SimpleRequest {
            response_status: Some(EchoStatus {
                code,
                message: "test status message".to_owned(),
            }),
            ..SimpleRequest::default()
        };
        let answer = unary(&ECHOES, &request).await;
        assert_eq!(answer.status(), code.to_string());
        assert_eq!(answer.headers[ECHOES[0].0], ECHOES[0].1);
        assert_eq!(answer.trailers[ECHOES[1].0], ECHOES[1].1);
        assert!(!answer.trailers_only);
    }
}

#[tokio::test]
async fn without_metadata_a_failure_is_trailers_only() {
    let text = "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";
    let request = SimpleRequest {
        response_status: Some(EchoStatus {
            code: 2,
            message: text.to_owned(),
        }),
        ..SimpleRequest::default()
    };
    let answer = unary(&[], &request).await;
    assert!(answer.trailers_only);
    assert_eq!(
        answer.trailers["grpc-message"],
        "%09%0Atest with whitespace%0D%0Aand Unicode BMP %E2%98%BA and non-BMP %F0%9F%98%88%09%0A"
    );
}

#[tokio::test]
#[rustfmt::skip]
async fn what_cannot_be_done_is_refused() {
    let sized = |response_type, response_size| SimpleRequest { response_type, response_size, ..Default::default() };
    let cases = [
        // type  size        status
        (0,      0,          "0"),
        (0,      -1,         "3"),
        (0,      i32::MAX,   "3"),
        (1,      1,          "3"),  // no such type
    ];
    for (kind, size, status) in cases {
        assert_eq!(unary(&[], &sized(kind, size)).await.status(), status, "{kind} {size}");
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn a_status_is_of_the_code_that_is_asked_for() {
    for (code, status) in [(1, "1"), (16, "16"), (17, "2"), (-1, "2")] {
        let request = SimpleRequest {
            response_status: Some(EchoStatus { code, message: String::new() }),
            ..SimpleRequest::default()
        };
        assert_eq!(unary(&[], &request).await.status(), status, "{code}");
    }
}

#[tokio::test]
async fn what_no_server_has_is_not_there() {
    for path in [
        "TestService/UnimplementedCall",
        "UnimplementedService/UnimplementedCall",
    ] {
        assert_eq!(call(path, &[], &[b""]).await.status(), "12", "{path}");
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn each_message_is_compressed_as_asked() {
    const GZIP: &[(&str, &str)] = &[("grpc-accept-encoding", "identity,gzip")];
    let cases: &[(&[(&str, &str)], &[Option<bool>], &[bool])] = &[
        // the client reads   asked for                               compressed
        (GZIP,                &[None],                                &[false]),
        (GZIP,                &[Some(true), Some(false), Some(true)], &[true, false, true]),
        (GZIP,                &[Some(false), Some(true)],             &[false, true]),
        (&[],                 &[Some(true), Some(false)],             &[false, false]),
    ];
    for (fields, asked, compressed) in cases {
        let request = StreamingOutputCallRequest {
            response_parameters: asked.iter().map(|asked| parameters(1_000, *asked)).collect(),
            ..StreamingOutputCallRequest::default()
        };
        let answer = streaming_output(fields, &request).await;
        assert_eq!((answer.status(), &*answer.flags()), ("0", *compressed), "{asked:?}");
        for index in 0..compressed.len() {
            assert_eq!(answer.message::<StreamingOutputCallResponse>(index).payload, zeros(1_000));
        }
        if let [asked] = asked {
            let request = SimpleRequest {
                response_size: 1_000,
                response_compressed: asked.map(|value| BoolValue { value }),
                ..SimpleRequest::default()
            };
            assert_eq!(unary(fields, &request).await.flags(), *compressed, "{asked:?}");
        }
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn a_request_that_came_otherwise_than_it_says_is_refused() {
    for (expected, status) in [(None, "0"), (Some(false), "0"), (Some(true), "3")] {
        let expect_compressed = expected.map(|value| BoolValue { value });
        let request = SimpleRequest { expect_compressed, ..SimpleRequest::default() };
        // The headers name a coding, and the message does not use it.
        let answer = unary(&[("grpc-encoding", "gzip")], &request).await;
        assert_eq!(answer.status(), status, "{expected:?}");

        let request = StreamingInputCallRequest { expect_compressed, payload: zeros(5) }.encode_to_vec();
        let answer = call("TestService/StreamingInputCall", &[], &[&request, &request]).await;
        assert_eq!(answer.status(), status, "{expected:?}");
        if status == "0" {
            let response: StreamingInputCallResponse = answer.message(0);
            assert_eq!(response.aggregated_payload_size, 10);
        }
    }
}

#[tokio::test]
async fn the_load_of_a_call_is_in_its_trailers() {
    let request = SimpleRequest {
        orca_per_query_report: Some(TestOrcaReport {
            cpu_utilization: 0.8210,
            memory_utilization: 0.5847,
            request_cost: [("cost".to_owned(), 3456.32)].into(),
            utilization: [("util".to_owned(), 0.30499)].into(),
        }),
        ..SimpleRequest::default()
    };
    let answer = unary(&[], &request).await;
    assert_eq!(
        answer.trailers["endpoint-load-metrics-bin"],
        "CRKDwMqhReo/ERIUP8bcteI/Ig8KBGNvc3QRcT0K16MAq0AqDwoEdXRpbBG+2ebG9ITTPw"
    );
}

#[tokio::test]
async fn a_server_tells_which_one_it_is_and_who_calls() {
    let mut request = SimpleRequest::default();
    for fill in [false, true] {
        request.fill_server_id = fill;
        let response: SimpleResponse = unary(&[], &request).await.message(0);
        assert_eq!(!response.server_id.is_empty(), fill);
    }
    for fill in [false, true] {
        let request = StreamingOutputCallRequest {
            response_parameters: vec![ResponseParameters {
                fill_peer_socket_address: Some(BoolValue { value: fill }),
                ..ResponseParameters::default()
            }],
            ..StreamingOutputCallRequest::default()
        };
        let response: StreamingOutputCallResponse =
            streaming_output(&[], &request).await.message(0);
        let expected = if fill { "in-process" } else { "" };
        assert_eq!(response.peer_socket_address, expected);
    }
}

#[tokio::test]
async fn a_cacheable_answer_is_the_time() {
    let answer = call("TestService/CacheableUnaryCall", &[], &[b""]).await;
    assert_eq!(answer.headers["cache-control"], "max-age=60, public");
    let response: SimpleResponse = answer.message(0);
    let text = String::from_utf8(response.payload.unwrap().body).unwrap();
    assert!(text.parse::<u128>().unwrap() > 0, "{text}");
}

#[tokio::test(start_paused = true)]
async fn intervals_come_before_messages_and_add_up() {
    let request = StreamingOutputCallRequest {
        response_parameters: vec![
            ResponseParameters {
                interval_us: 2_000_000,
                ..ResponseParameters::default()
            };
            3
        ],
        ..StreamingOutputCallRequest::default()
    };
    let start = Instant::now();
    assert_eq!(streaming_output(&[], &request).await.messages.len(), 3);
    assert_eq!(start.elapsed().as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn half_duplex_answers_when_all_is_said() {
    let message = |size| {
        let request = StreamingOutputCallRequest {
            response_parameters: vec![parameters(size, None)],
            ..StreamingOutputCallRequest::default()
        };
        request.encode_to_vec()
    };
    let messages = [message(3), message(5)];
    let messages: Vec<&[u8]> = messages.iter().map(|message| &**message).collect();
    let answer = call("TestService/HalfDuplexCall", &[], &messages).await;
    for (index, length) in [3, 5].into_iter().enumerate() {
        let response: StreamingOutputCallResponse = answer.message(index);
        assert_eq!(response.payload, zeros(length));
    }

    let service = TestServiceClient::new(Channel::over(pipe()));
    let (mut outbound, mut inbound) = service.half_duplex_call(()).await.unwrap();
    outbound
        .send(StreamingOutputCallRequest::default())
        .await
        .unwrap();
    let early = timeout(Duration::from_secs(5), inbound.next()).await;
    assert!(early.is_err(), "{early:?}");
}

fn reports(cpu_utilization: f64) -> StreamingOutputCallRequest {
    StreamingOutputCallRequest {
        orca_oob_report: Some(TestOrcaReport {
            cpu_utilization,
            ..TestOrcaReport::default()
        }),
        response_parameters: vec![parameters(1, None)],
        ..StreamingOutputCallRequest::default()
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_at_a_time_says_what_the_load_is() {
    let channel = Channel::over(pipe());
    let service = TestServiceClient::new(channel.clone());
    let (mut first, mut first_answers) = service.full_duplex_call(()).await.unwrap();
    first.send(reports(0.25)).await.unwrap();
    first_answers.next().await.unwrap().unwrap();

    let (mut second, mut second_answers) = service.full_duplex_call(()).await.unwrap();
    second.send(reports(0.5)).await.unwrap();
    let early = timeout(Duration::from_secs(5), second_answers.next()).await;
    assert!(early.is_err(), "{early:?}");

    let load = OpenRcaServiceClient::new(channel);
    let request = OrcaLoadReportRequest::default();
    let mut told = load.stream_core_metrics(request).await.unwrap();
    assert_eq!(told.next().await.unwrap().unwrap().cpu_utilization, 0.25);
    first.finish().unwrap();
    assert_eq!(first_answers.next().await.unwrap(), None);
    second_answers.next().await.unwrap().unwrap();
    let start = Instant::now();
    assert_eq!(told.next().await.unwrap().unwrap().cpu_utilization, 0.5);
    assert_eq!(start.elapsed().as_millis(), 1_000);
}

#[tokio::test]
async fn the_load_is_told_until_the_server_drains() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let server = interop::add_all(Server::new());
    let serving = tokio::spawn(server.serve_until(listener, async { drop(stopped.await) }));

    let load = OpenRcaServiceClient::new(Channel::lazy(&target).unwrap());
    let request = OrcaLoadReportRequest::default();
    let mut told = load.stream_core_metrics(request).await.unwrap();
    told.next().await.unwrap().unwrap();
    stop.send(()).unwrap();
    let status = told.next().await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(serving.await.unwrap().unwrap().cut.is_empty());
}

//! Calls with streams: what they deliver, and how they may end. OK is only what a handler returned.

use barewire::{
    Code, Http2Config, Inbound, Replies, Request, Server, ServerCall, ServerConfig, Service,
    Serving,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::{
    Client, DATA, END_HEADERS, END_STREAM, HEADERS, PATIENCE, Probe, RST_STREAM, RawPeer, encoded,
    frame, piped_server, request_block,
};
use crate::tokio;

async fn client() -> Client {
    Client::over(piped_server(Probe::default(), ServerConfig::default())).await
}

#[tokio::test]
async fn a_server_stream_delivers_all_in_order() {
    let answer = client().await.call("Count", &["10000"]).await;
    let expected: Vec<String> = (0..10_000).map(|number: u32| number.to_string()).collect();
    assert_eq!(answer.messages, expected);
    assert_eq!(answer.code(), Some("0"));
}

#[tokio::test]
async fn a_stream_of_nothing_ends_ok() {
    let answer = client().await.call("Count", &["0"]).await;
    assert_eq!((answer.code(), answer.messages.len()), (Some("0"), 0));
}

#[tokio::test]
async fn a_client_stream_is_heard_to_its_end() {
    let answer = client().await.call("Sum", &["a", "bb", "", "ccc"]).await;
    assert_eq!(answer.messages, ["4 6"]);
    let answer = client().await.call("Sum", &[]).await;
    assert_eq!(answer.messages, ["0 0"]);
}

#[tokio::test]
async fn a_stream_may_be_larger_than_its_windows() {
    // Four times the connection's window, in messages and in one.
    let config = ServerConfig {
        max_recv_message: 2_000_000,
        http2: Http2Config {
            stream_window: 65_535,
            connection_window: 4 * 65_535,
            ..Http2Config::default()
        },
        ..ServerConfig::default()
    };
    let client = Client::over(piped_server(Probe::default(), config)).await;
    for length in [10_000, 1_000_000] {
        let count = 1_000_000 / length;
        let message = "v".repeat(length);
        let messages = vec![&*message; count];
        let answer = timeout(PATIENCE, client.call("Sum", &messages)).await;
        let answer = answer.expect("room for all");
        assert_eq!(answer.messages, [format!("{count} 1000000")]);
    }
}

#[tokio::test]
async fn both_directions_take_turns() {
    let client = client().await;
    let mut call = client.start("Chat", &[]).await;
    // Each message is answered before the next is sent.
    call.send_message("first").await;
    let response = (&mut call.response).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), encoded("first"));
    for text in ["second", "third"] {
        call.send_message(text).await;
        assert_eq!(body.data().await.unwrap().unwrap(), encoded(text));
    }
    call.send.send_data(bytes::Bytes::new(), true).unwrap();
    assert!(body.data().await.is_none());
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
}

#[tokio::test]
async fn many_small_messages_share_data_frames() {
    let mut peer = RawPeer::begin(piped_server(Probe::default(), ServerConfig::default())).await;
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &request_block("Count"));
    bytes.extend(frame(DATA, END_STREAM, 1, &encoded("1000")));
    peer.write(&bytes).await;
    let (mut frames, mut length) = (0, 0);
    loop {
        let frame = peer.frame_on(1).await.unwrap();
        if frame.kind == DATA {
            frames += 1;
            length += frame.payload.len();
        } else if frame.flags & END_STREAM != 0 {
            break;
        }
    }
    // 1,000 messages of eight to ten bytes.
    assert_eq!(length, 10 * 8 + 90 * 9 + 900 * 10);
    assert!(frames <= 3, "{frames} DATA frames");
}

#[tokio::test]
async fn p092_headers_leave_before_any_message_when_the_handler_wants() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let client = Client::over(piped_server(probe, ServerConfig::default())).await;
    let mut call = client.start("Headers", &[("x-early", "yes")]).await;
    call.send_message("late").await;
    call.send.send_data(bytes::Bytes::new(), true).unwrap();
    let response = (&mut call.response).await.unwrap();
    assert_eq!(response.headers()["x-early"], "yes");
    seen.gate.notify_one();
    let mut body = response.into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), encoded("late"));
    assert!(body.data().await.is_none());
    let trailers = body.trailers().await.unwrap().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-end"]),
        (&"0".parse().unwrap(), &"here".parse().unwrap())
    );
}

#[tokio::test]
async fn p091_an_error_before_the_first_message_leaves_as_trailers_only() {
    let mut peer = RawPeer::begin(piped_server(Probe::default(), ServerConfig::default())).await;
    peer.write(&frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        1,
        &request_block("Refuse"),
    ))
    .await;
    let first = peer.frame_on(1).await.unwrap();
    assert_eq!(
        (first.kind, first.flags),
        (HEADERS, END_HEADERS | END_STREAM)
    );
}

#[tokio::test]
async fn p105_messages_before_an_error_are_delivered() {
    let answer = client().await.call("Fail", &["x"]).await;
    assert_eq!(answer.messages, ["one", "two"]);
    assert_eq!((answer.code(), answer.text()), (Some("10"), "half-way"));
    assert_eq!(answer.trailers["x-why"], "so");
}

#[tokio::test]
#[rustfmt::skip]
async fn p120_no_end_is_clean_but_a_returned_ok() {
    let cases = [
        // method       messages that came       why it is not OK
        ("Panic",       &[][..],                 "the handler panicked"),
        ("PanicLate",   &["before"],             "the handler panicked"),
        ("PanicApart",  &["one of many"],        "the task that sent the replies panicked"),
        ("Elsewhere",   &[],                     "the handler returned before its replies were all sent"),
        ("Silence",     &[],                     "the handler returned without an answer"),
    ];
    let client = client().await;
    for (method, messages, text) in cases {
        let answer = client.call(method, &["x"]).await;
        assert_eq!(answer.messages, messages, "{method}");
        assert_eq!((answer.code(), answer.text()), (Some("2"), text), "{method}");
    }
}

#[tokio::test]
async fn p087_a_request_cut_inside_a_message_is_internal() {
    for (method, cut) in [
        ("Echo", 1),
        ("Sum", 4),
        ("Sum", 5),
        ("Chat", 7),
        ("Echo", 7),
    ] {
        let client = client().await;
        let mut call = client.start(method, &[]).await;
        call.send_bytes(encoded("hello").slice(..cut)).await;
        let answer = call.finish().await;
        assert_eq!(answer.code(), Some("13"), "{method} cut at {cut}");
    }
}

#[tokio::test]
async fn p117_a_client_that_resets_is_not_answered() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let mut peer = RawPeer::begin(piped_server(probe, ServerConfig::default())).await;
    for (number, code) in (0..14_u32).enumerate() {
        let stream = u32::try_from(number).unwrap() * 2 + 1;
        peer.write(&frame(
            HEADERS,
            END_HEADERS,
            stream,
            &request_block("Begin"),
        ))
        .await;
        assert_eq!(peer.frame_on(stream).await.unwrap().kind, HEADERS);
        assert_eq!(peer.frame_on(stream).await.unwrap().kind, DATA);
        peer.write(&frame(RST_STREAM, 0, stream, &code.to_be_bytes()))
            .await;
        seen.wait_for("the handler is dropped", |seen| seen.running() == 0)
            .await;
    }
    peer.write(&frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        101,
        &request_block("Refuse"),
    ))
    .await;
    // Nothing but window updates and this answer: no frame on the streams that were reset.
    loop {
        let frame = peer.frame().await.unwrap();
        assert!(frame.stream == 0 || frame.stream == 101, "{frame:?}");
        if frame.stream == 101 {
            break;
        }
    }
}

/// Gives one end of a call to a task of its own, and tells how it ends there.
struct Apart(mpsc::UnboundedSender<Code>);

impl Service for Apart {
    fn name(&self) -> &'static str {
        "test.Probe"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        let told = self.0.clone();
        Box::pin(async move {
            let mut requests: Request<Inbound<String>> = call.requests();
            let mut replies: Replies<String> = call.replies();
            if call.method() == "Reads" {
                tokio::spawn(async move {
                    while let Some(_message) = match requests.next().await {
                        Ok(message) => message,
                        Err(status) => return told.send(status.code),
                    } {}
                    told.send(Code::Unknown)
                });
                return Ok(());
            }
            tokio::spawn(async move {
                loop {
                    if let Err(status) = replies.send("more".to_owned()).await {
                        return told.send(status.code);
                    }
                }
            });
            std::future::pending().await
        })
    }
}

async fn apart() -> (Client, mpsc::UnboundedReceiver<Code>) {
    let (told, hears) = mpsc::unbounded_channel();
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    tokio::spawn(Server::new().add(Apart(told)).serve_io(theirs));
    (Client::over(ours).await, hears)
}

/// The client has its answer and does not end its request.
#[tokio::test(start_paused = true)]
async fn who_reads_in_another_task_learns_that_the_call_is_over() {
    let (client, mut hears) = apart().await;
    let mut call = client.start("Reads", &[]).await;
    call.send_message("one").await;
    let response = (&mut call.response).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "0");
    let heard = timeout(PATIENCE, hears.recv()).await;
    assert_eq!(heard.expect("word of it"), Some(Code::Cancelled));
}

/// The client goes away, or is out of time.
#[tokio::test(start_paused = true)]
async fn who_writes_in_another_task_learns_that_the_call_is_over() {
    let (client, mut hears) = apart().await;
    for limit in ["1H", "1S"] {
        let mut call = client.start("Writes", &[("grpc-timeout", limit)]).await;
        let _begun = (&mut call.response).await.unwrap();
        if limit == "1H" {
            call.send.send_reset(h2::Reason::CANCEL);
        }
        let heard = timeout(PATIENCE, hears.recv()).await;
        assert_eq!(heard.expect("word of it"), Some(Code::Cancelled), "{limit}");
    }
}

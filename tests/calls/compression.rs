//! Compression, and the sizes of messages.

use std::io::{Read, Write};

use barewire::wire::framing::{RawMessage, encode_message};
use barewire::{
    Encoding, Inbound, Replies, ReplyEncoding, Request, Response, ServerCall, ServerConfig,
    Service, Serving, Status,
};
use bytes::Bytes;
use flate2::Compression;
use flate2::read::{GzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

use crate::support::{Client, Probe, piped_server};
use crate::tokio;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn compressed(body: Vec<u8>) -> Bytes {
    encode_message(&RawMessage {
        compressed: true,
        body: body.into(),
    })
    .unwrap()
}

fn protobuf(text: &str) -> Vec<u8> {
    prost::Message::encode_to_vec(&text.to_owned())
}

/// Calls with these header fields and body bytes; yields the answer's head, body and status.
async fn raw_call(
    client: &Client,
    method: &str,
    fields: &[(&str, &str)],
    body: Bytes,
) -> (http::HeaderMap, Vec<u8>, String, String) {
    let mut call = client.start(method, fields).await;
    call.send_bytes(body).await;
    call.send.send_data(Bytes::new(), true).unwrap();
    let response = (&mut call.response).await.unwrap();
    let (head, mut stream) = response.into_parts();
    let mut received = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk.unwrap();
        stream.flow_control().release_capacity(chunk.len()).unwrap();
        received.extend(chunk);
    }
    let trailers = stream
        .trailers()
        .await
        .unwrap()
        .unwrap_or_else(|| head.headers.clone());
    let text = trailers
        .get("grpc-message")
        .map_or("", |text| text.to_str().unwrap())
        .to_owned();
    (
        head.headers,
        received,
        trailers["grpc-status"].to_str().unwrap().to_owned(),
        text,
    )
}

async fn probe_with(config: ServerConfig) -> Client {
    Client::over(piped_server(Probe::default(), config)).await
}

#[tokio::test]
async fn p231_compressed_requests_are_read_and_answered_plain_by_default() {
    let client = probe_with(ServerConfig::default()).await;
    for (coding, body) in [
        ("gzip", gzip(&protobuf("hello"))),
        ("deflate", zlib(&protobuf("hello"))),
    ] {
        let fields = [
            ("grpc-encoding", coding),
            ("grpc-accept-encoding", "gzip,deflate"),
        ];
        let (headers, body, status, _) = raw_call(&client, "Echo", &fields, compressed(body)).await;
        assert_eq!(
            (status.as_str(), headers.get("grpc-encoding")),
            ("0", None),
            "{coding}"
        );
        assert_eq!(&body[5..], protobuf("hello"));
    }
}

#[tokio::test]
async fn p228_replies_are_compressed_as_the_request_was_if_so_configured() {
    let config = ServerConfig {
        reply_encoding: ReplyEncoding::AsRequest,
        ..Default::default()
    };
    let client = probe_with(config).await;
    let text = "the same again and ".repeat(100);

    let fields = [
        ("grpc-encoding", "gzip"),
        ("grpc-accept-encoding", "identity, gzip"),
    ];
    let (headers, body, status, _) =
        raw_call(&client, "Echo", &fields, compressed(gzip(&protobuf(&text)))).await;
    assert_eq!(
        (status.as_str(), headers["grpc-encoding"].to_str().unwrap()),
        ("0", "gzip")
    );
    assert_eq!(body[0], 1);
    let mut plain = Vec::new();
    GzDecoder::new(&body[5..]).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, protobuf(&text));

    let fields = [
        ("grpc-encoding", "deflate"),
        ("grpc-accept-encoding", "deflate"),
    ];
    let (headers, body, _, _) =
        raw_call(&client, "Echo", &fields, compressed(zlib(&protobuf(&text)))).await;
    assert_eq!(headers["grpc-encoding"], "deflate");
    let mut plain = Vec::new();
    ZlibDecoder::new(&body[5..])
        .read_to_end(&mut plain)
        .unwrap();
    assert_eq!(plain, protobuf(&text));

    // A client that accepts nothing but plain messages gets plain messages.
    let fields = [("grpc-encoding", "gzip")];
    let (headers, body, status, _) =
        raw_call(&client, "Echo", &fields, compressed(gzip(&protobuf(&text)))).await;
    assert_eq!(
        (status.as_str(), headers.get("grpc-encoding"), body[0]),
        ("0", None, 0)
    );
}

#[tokio::test]
async fn p232_a_message_that_would_grow_is_sent_plain_and_p070_so_is_an_empty_one() {
    let config = ServerConfig {
        reply_encoding: ReplyEncoding::Always(Encoding::Gzip),
        ..Default::default()
    };
    let client = probe_with(config).await;
    let fields = [("grpc-accept-encoding", "gzip")];
    for text in ["", "x"] {
        let plain = encode_message(&RawMessage {
            compressed: false,
            body: protobuf(text).into(),
        });
        let (headers, body, _, _) = raw_call(&client, "Echo", &fields, plain.unwrap()).await;
        assert_eq!(headers["grpc-encoding"], "gzip", "{text:?}");
        assert_eq!((body[0], &body[5..]), (0, &protobuf(text)[..]), "{text:?}");
    }
}

/// Chooses its own compression.
struct Choosy;

impl Service for Choosy {
    fn name(&self) -> &'static str {
        "test.Probe"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            let text = "z".repeat(1_000);
            if call.method() == "Unary" {
                let _: Request<String> = call.request().await?;
                let response = Response {
                    encoding: Some(Encoding::Gzip),
                    ..Response::new(text)
                };
                return call.reply(response).await;
            }
            let mut replies: Replies<String> = call.replies();
            replies.set_encoding(Encoding::Gzip)?;
            replies.send(text.clone()).await?;
            replies.set_encoding(Encoding::Identity)?;
            replies.send(text.clone()).await?;
            replies.set_encoding(Encoding::Gzip)?;
            replies.send(text).await?;
            match replies.set_encoding(Encoding::Deflate) {
                Err(_) => Ok(()),
                Ok(()) => Err(Status::unknown("a second coding was taken")),
            }
        })
    }
}

#[tokio::test]
async fn p227_a_handler_may_compress_message_by_message() {
    let client = Client::over(piped_server(Choosy, ServerConfig::default())).await;
    let fields = [("grpc-accept-encoding", "gzip,deflate")];
    let request = encode_message(&RawMessage {
        compressed: false,
        body: Bytes::new(),
    })
    .unwrap();
    let (headers, body, status, _) = raw_call(&client, "Unary", &fields, request.clone()).await;
    assert_eq!(
        (status.as_str(), &headers["grpc-encoding"], body[0]),
        ("0", &"gzip".parse().unwrap(), 1)
    );
    let (headers, body, status, text) = raw_call(&client, "Stream", &fields, request.clone()).await;
    assert_eq!((status.as_str(), text.as_str()), ("0", ""));
    assert_eq!(headers["grpc-encoding"], "gzip");
    let mut flags = Vec::new();
    let mut rest = &body[..];
    while let [flag, a, b, c, d, more @ ..] = rest {
        flags.push(*flag);
        rest = &more[usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap()..];
    }
    assert_eq!(flags, [1, 0, 1]);
    // A client that accepts no coding gets none, whatever the handler wants.
    let (headers, body, _, _) = raw_call(&client, "Unary", &[], request).await;
    assert_eq!((headers.get("grpc-encoding"), body[0]), (None, 0));
}

#[tokio::test]
#[rustfmt::skip]
async fn messages_that_cannot_be_read_end_the_call() {
    let hello = protobuf("hello");
    let mut flipped = gzip(&hello);
    let last = flipped.len() - 1;
    flipped[last] ^= 0xff;
    let raw = |flag: u8, body: &[u8]| {
        let mut bytes = vec![flag];
        bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(body);
        Bytes::from(bytes)
    };
    let cases = [
        // coding     bytes                                       code   text begins
        (None,        raw(2, &hello),                             "13",  "message flag 0x02"),           // P69
        (None,        raw(0xff, &hello),                          "13",  "message flag 0xff"),
        (None,        raw(1, &gzip(&hello)),                      "13",  "message flag is 1"),           // P80
        (Some("identity"), raw(1, &gzip(&hello)),                 "13",  "message flag is 1"),
        (Some("gzip"), raw(1, &flipped),                          "13",  "message is not valid gzip"),   // P84
        (Some("gzip"), raw(1, b"no gzip at all"),                 "13",  "message is not valid gzip"),
        (Some("gzip"), raw(1, &[gzip(&hello), gzip(&hello)].concat()), "13", "2"),                      // one member only
        (Some("gzip"), raw(0, &hello),                            "0",   ""),                            // P41
        (Some("br"),  raw(0, &hello),                             "12",  "grpc-encoding \"br\""),        // P81
        (None,        raw(0, b"\xff\xff\xff"),                    "13",  "message is not valid protobuf"), // P88
        (None,        Bytes::from_static(b"\x00\xff\xff\xff\xff"), "8",  "message of 4294967295 bytes"), // P283
    ];
    let client = probe_with(ServerConfig::default()).await;
    for (coding, body, code, begin) in cases {
        let fields: Vec<_> = coding.map(|coding| ("grpc-encoding", coding)).into_iter().collect();
        let (headers, _, status, text) = raw_call(&client, "Echo", &fields, body.clone()).await;
        assert_eq!(status, code, "{coding:?} {body:?} {text}");
        assert!(text.starts_with(begin), "{coding:?} {body:?}: {text}");
        if code == "12" {
            assert_eq!(headers["grpc-accept-encoding"], "identity, gzip, deflate");
        }
    }
}

#[tokio::test]
async fn p072_the_limit_itself_passes_and_one_byte_more_does_not() {
    let config = ServerConfig {
        max_recv_message: 1_000,
        ..Default::default()
    };
    let client = probe_with(config).await;
    let plain = |length: usize| {
        let text = "x".repeat(length - 3);
        encode_message(&RawMessage {
            compressed: false,
            body: protobuf(&text).into(),
        })
        .unwrap()
    };
    let (_, _, status, _) = raw_call(&client, "Echo", &[], plain(1_000)).await;
    assert_eq!(status, "0");
    let (_, _, status, text) = raw_call(&client, "Echo", &[], plain(1_001)).await;
    assert_eq!(status, "8");
    assert_eq!(
        text,
        "message of 1001 bytes is longer than the limit of 1000"
    );
    // P73: a bomb stops at the limit, whatever its size on the wire.
    let bomb = compressed(gzip(&vec![0; 50_000_000]));
    let fields = [("grpc-encoding", "gzip")];
    let (_, _, status, text) = raw_call(&client, "Sum", &fields, bomb).await;
    assert_eq!(status, "8", "{text}");
}

#[tokio::test]
async fn p138_an_oversize_message_is_refused_before_it_has_come() {
    let client = probe_with(ServerConfig::default()).await;
    let mut call = client.start("Echo", &[]).await;
    // The head announces 4 MiB and a byte; nothing follows, and the stream stays open.
    call.send_bytes(Bytes::from_static(&[0, 0, 0x40, 0, 1]))
        .await;
    let answer = call.answer().await;
    assert_eq!(answer.code(), Some("8"));
}

#[tokio::test]
async fn p075_an_oversize_reply_is_not_sent() {
    let config = ServerConfig {
        max_send_message: 10,
        ..Default::default()
    };
    let client = probe_with(config).await;
    assert_eq!(client.call("Echo", &["12345678"]).await.code(), Some("0"));
    let answer = client.call("Echo", &["123456789"]).await;
    assert_eq!((answer.code(), answer.trailers_only), (Some("8"), true));
    assert_eq!(
        answer.text(),
        "message of 11 bytes is longer than the limit of 10"
    );
}

#[tokio::test]
async fn a_message_that_would_be_large_in_memory_finds_no_room() {
    let config = ServerConfig {
        max_inflight_message_bytes: 1_000_000,
        ..Default::default()
    };
    let client = probe_with(config).await;
    // 20,000 bytes that say "another empty message" 10,000 times, in 60 bytes of gzip.
    let bomb = compressed(gzip(&[0x12, 0x00].repeat(10_000)));
    assert!(bomb.len() < 100, "{}", bomb.len());
    let fields = [("grpc-encoding", "gzip")];
    for method in ["Echo", "Sum"] {
        let (_, _, status, text) = raw_call(&client, method, &fields, bomb.clone()).await;
        assert_eq!(status, "8", "{text}");
        assert_eq!(
            text,
            "message of about 1620160 bytes in memory finds no room within the 1000000 of all calls"
        );
    }
    // One at a time, messages of 100 kB have room for ever, in unary calls and in streams. No field begins
    // with this letter.
    let large = "v".repeat(100_000);
    for _ in 0..30 {
        assert_eq!(client.call("Echo", &[&large]).await.code(), Some("0"));
    }
    let answer = client.call("Sum", &[large.as_str(); 30]).await;
    assert_eq!(answer.messages, ["30 3000000"]);
}

#[tokio::test]
async fn messages_of_calls_under_way_share_their_room() {
    let config = ServerConfig {
        max_inflight_message_bytes: 250_000,
        ..Default::default()
    };
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let client = Client::over(piped_server(probe, config)).await;
    let large = "v".repeat(100_000);
    let mut slow = client.start("Slow", &[]).await;
    slow.send_message(&large).await;
    let slow = tokio::spawn(slow.finish());
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    // Request and reply of this one do not fit beside the request that is held.
    let answer = client.call("Echo", &[&large]).await;
    assert_eq!(answer.code(), Some("8"), "{answer:?}");
    seen.gate.notify_one();
    assert_eq!(slow.await.unwrap().code(), Some("0"));
    assert_eq!(client.call("Echo", &[&large]).await.code(), Some("0"));
}

/// Tells of each message whether it came compressed.
struct Flags;

impl Service for Flags {
    fn name(&self) -> &'static str {
        "test.Probe"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            let mut flags = Vec::new();
            if call.method() == "One" {
                let request: Request<String> = call.request().await?;
                flags.push(request.came_compressed().to_string());
            } else {
                let mut requests: Request<Inbound<String>> = call.requests();
                while requests.next().await?.is_some() {
                    flags.push(requests.message.came_compressed().to_string());
                }
            }
            call.reply(Response::new(flags.join(" "))).await
        })
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn a_handler_sees_of_each_message_whether_it_came_compressed() {
    let plain = encode_message(&RawMessage { compressed: false, body: protobuf("x").into() }).unwrap();
    let small = compressed(gzip(&protobuf("x")));
    let cases: &[(&str, &[&Bytes], &str)] = &[
        ("One",  &[&plain],                 "false"),  // though the headers name a coding
        ("One",  &[&small],                 "true"),
        ("Many", &[],                       ""),
        ("Many", &[&small, &plain, &small], "true false true"),
    ];
    let client = Client::over(piped_server(Flags, ServerConfig::default())).await;
    for (method, messages, flags) in cases {
        let body: Vec<u8> = messages.iter().flat_map(|message| message.to_vec()).collect();
        let fields = [("grpc-encoding", "gzip")];
        let (_, answer, status, _) = raw_call(&client, method, &fields, body.into()).await;
        let expected = encode_message(&RawMessage { compressed: false, body: protobuf(flags).into() }).unwrap();
        assert_eq!((&*answer, &*status), (&*expected, "0"), "{method} {messages:?}");
    }
}

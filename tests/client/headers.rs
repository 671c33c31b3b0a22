//! Request-Headers as they leave, and metadata in both directions.

use std::time::Duration;

use barewire::{Channel, ChannelConfig, Code, Metadata, Request};

use crate::raw_server::*;
use crate::support::{END_STREAM, block};
use crate::tokio;

/// The head of a unary call with this request.
async fn head_of(config: ChannelConfig, request: Request<String>) -> RawRequest {
    let mut line = Line::with(config);
    let channel = line.channel.clone();
    let (_, head) = tokio::join!(unary(&channel, request), async {
        let mut server = line.accept().await;
        let head = server.request().await;
        server.write(&answer(head.stream, "ok")).await;
        head
    });
    head
}

fn ask() -> Request<String> {
    Request::new("ask".to_owned())
}

#[tokio::test(start_paused = true)]
async fn p015_p017_p018_p019_p024_p026_p028_p043_a_request_says_who_calls_what() {
    let head = head_of(ChannelConfig::default(), ask()).await.head;
    assert_eq!(head.method, "POST");
    assert_eq!(head.uri.scheme_str(), Some("http"));
    assert_eq!(head.uri.path_and_query().unwrap(), "/test.Raw/Call");
    assert!(head.uri.authority().is_some());
    assert_eq!(head.headers["te"], "trailers");
    assert_eq!(head.headers["content-type"], "application/grpc");
    let agent = head.headers["user-agent"].to_str().unwrap();
    assert!(agent.starts_with("grpc-rust-barewire/"), "{agent}");
    assert!(
        !head.headers.contains_key("grpc-timeout"),
        "P39: no deadline"
    );
    assert!(!head.headers.contains_key("content-length"), "P49");
}

#[tokio::test(start_paused = true)]
async fn p024_the_authority_of_a_pipe_is_localhost() {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let channel = Channel::over(near);
    let (_, head) = tokio::join!(unary(&channel, ask()), async {
        let mut server = RawServer::begin(far, &[]).await;
        let head = server.request().await;
        server.write(&answer(head.stream, "ok")).await;
        (head, server)
    });
    assert_eq!(head.0.head.uri.authority().unwrap(), "localhost");
}

#[tokio::test(start_paused = true)]
async fn p015_the_order_is_timeout_call_definition_metadata() {
    let mut request = ask().with_timeout(Duration::from_secs(5));
    request.metadata.insert("a-first", "1").unwrap();
    request.metadata.insert_bin("z-bin", b"\x00").unwrap();
    let head = head_of(ChannelConfig::default(), request).await.head;
    // h2 keeps the order in which fields came.
    let names: Vec<&str> = head.headers.keys().map(|name| name.as_str()).collect();
    let place = |name: &str| names.iter().position(|it| *it == name).unwrap();
    assert_eq!(names[0], "grpc-timeout");
    for definition in ["te", "content-type", "user-agent"] {
        for metadata in ["a-first", "z-bin"] {
            assert!(place(definition) < place(metadata), "{names:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p033_p034_the_time_that_is_left_is_sent_in_eight_digits_rounded_up() {
    let cases = [
        (Duration::from_nanos(99_999_999),    "99999999n"),
        (Duration::from_millis(100),          "100000u"),
        (Duration::from_nanos(100_000_001),   "100001u"),
        (Duration::from_secs(100),            "100000m"),
        (Duration::from_secs(3600),           "3600000m"),
        (Duration::from_secs(99_999_999),     "99999999S"),
        (Duration::from_secs(100_000_000),    "1666667M"),
    ];
    for (timeout, sent) in cases {
        let mut line = Line::new();
        let channel = line.channel.clone();
        // On a connection that is there, so that no time passes.
        let (first, mut server) = tokio::join!(unary(&channel, ask()), async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            server.write(&answer(stream, "ok")).await;
            server
        });
        first.unwrap();
        let (_, head) = tokio::join!(unary(&channel, ask().with_timeout(timeout)), async {
            let head = server.request().await;
            server.write(&answer(head.stream, "ok")).await;
            head
        });
        assert_eq!(head.field("grpc-timeout"), sent);
    }
    // More than a hundred years act as that.
    let head = head_of(ChannelConfig::default(), ask().with_timeout(Duration::MAX)).await;
    assert!(head.field("grpc-timeout").ends_with('M') || head.field("grpc-timeout").ends_with('H'), "{:?}", head.head.headers);
}

#[tokio::test(start_paused = true)]
async fn p035_the_time_is_what_is_left_when_the_headers_leave() {
    // The connection takes a second.
    let mut line = Line::new();
    let channel = line.channel.clone();
    let request = ask().with_timeout(Duration::from_secs(3));
    let (result, head) = tokio::join!(unary(&channel, request), async {
        let io = line.dialled().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut server = RawServer::begin(io, &[]).await;
        let head = server.request().await;
        server.write(&answer(head.stream, "ok")).await;
        head
    });
    result.unwrap();
    assert_eq!(head.field("grpc-timeout"), "2000000u");
}

#[tokio::test(start_paused = true)]
async fn p035_without_time_nothing_is_sent() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (first, mut server) = tokio::join!(unary(&channel, ask()), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server.write(&answer(stream, "ok")).await;
        server
    });
    first.unwrap();
    server.unasked().await;
    let request = ask().with_timeout(Duration::ZERO);
    let status = unary(&channel, request).await.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    assert!(status.unprocessed, "nothing was sent: {status}");
    assert_eq!(server.unasked().await, []);
    // The slot is given back, and the deadline of a request made earlier counts from then.
    let late = ask().with_timeout(Duration::from_secs(1));
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = unary(&channel, late).await.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    assert_eq!(server.unasked().await, []);
}

#[tokio::test(start_paused = true)]
async fn p048_headers_of_a_stream_leave_before_its_first_message() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let ((_outbound, _inbound), mut server) = tokio::join!(bidi(&channel, ()), async {
        let mut server = line.accept().await;
        let head = server.request().await;
        assert_eq!(head.flags & END_STREAM, 0);
        server
    });
    assert_eq!(server.unasked().await, []);
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p027_p050_p051_p053_metadata_that_cannot_be_sent_is_refused_here() {
    let names = [
        "", " ", "a b", "ä", "a:b", ":path", "grpc-status", "grpc-timeout", "grpc-anything",
        "te", "content-type", "user-agent", "host", "connection", "keep-alive", "proxy-connection",
        "transfer-encoding", "upgrade", "x\n", "x\0",
    ];
    let mut metadata = Metadata::new();
    for name in names {
        metadata.insert(name, "v").expect_err(name);
        metadata.append(name, "v").expect_err(name);
    }
    for value in ["a\nb", "a\rb", "a\0b", "é", "\u{7f}", "a\tb"] {
        metadata.insert("x", value).expect_err(value);
    }
    assert!(metadata.is_empty());
    // Folded to lower case, or refused: never sent as it is.
    if metadata.insert("X-Upper", "v").is_ok() {
        assert_eq!(metadata.get("x-upper"), Some("v"));
    }
}

#[tokio::test(start_paused = true)]
async fn p055_p056_p057_p058_p061_metadata_leaves_as_it_was_set() {
    let mut request = ask();
    let metadata = &mut request.metadata;
    metadata.append("dup", "one").unwrap();
    metadata.append("dup", "two").unwrap();
    metadata.append("dup", "a,b").unwrap();
    metadata.insert("empty", "").unwrap();
    metadata.insert("blank", " a ").unwrap();
    metadata.insert("printable", "!~ \"%").unwrap();
    metadata.append_bin("one-bin", b"\x00").unwrap();
    metadata.append_bin("one-bin", b"\xab\xab\xab").unwrap();
    metadata.insert_bin("empty-bin", b"").unwrap();
    let head = head_of(ChannelConfig::default(), request).await.head;
    let all = |name: &str| -> Vec<String> {
        let values = head.headers.get_all(name).into_iter();
        values
            .map(|value| value.to_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(all("dup"), ["one", "two", "a,b"]);
    assert_eq!(all("empty"), [""]);
    assert!([" a ", "a"].contains(&&*all("blank")[0]));
    assert_eq!(all("printable"), ["!~ \"%"]);
    // Unpadded, and never joined: some peers do not part them again.
    assert_eq!(all("one-bin"), ["AA", "q6ur"]);
    assert_eq!(all("empty-bin"), [""]);
}

#[tokio::test(start_paused = true)]
async fn p044_p052_p056_p057_p058_p059_p061_p062_metadata_of_a_response_is_read_where_it_stood() {
    let initial = [
        ("dup", "one"),
        ("dup", "two"),
        ("joined", "a,b"),
        ("bytes-bin", "AA==, q6ur"),
        ("bytes-bin", "AA"),
        ("empty", ""),
        ("empty-bin", ""),
        ("grpc-future", "1"),
        ("grpc-message-type", "nonsense"),
        ("both", "initial"),
    ];
    let trailing = [
        ("grpc-status", "0"),
        ("both", "trailing"),
        ("grpc-else", "x"),
        ("end-bin", "AQ"),
    ];
    let answer = unary_to(async |server, stream| {
        let bytes = [
            headers_with(stream, &initial),
            message(stream, "a"),
            trailers(stream, &trailing),
        ];
        server.write(&bytes.concat()).await;
    })
    .await
    .unwrap();
    let metadata = &answer.metadata;
    assert_eq!(metadata.get_all("dup").collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(metadata.get_all("joined").collect::<Vec<_>>(), ["a,b"]);
    let bytes: Vec<_> = metadata.get_all_bin("bytes-bin").collect();
    assert_eq!(bytes, [&b"\x00"[..], b"\xab\xab\xab", b"\x00"]);
    assert_eq!(metadata.get("empty"), Some(""));
    assert_eq!(metadata.get_bin("empty-bin").as_deref(), Some(&b""[..]));
    assert_eq!(metadata.get("both"), Some("initial"));
    assert_eq!(metadata.get("grpc-future"), None);
    assert_eq!(metadata.get("end-bin"), None);
    assert_eq!(answer.trailers.get("both"), Some("trailing"));
    assert_eq!(
        answer.trailers.get_bin("end-bin").as_deref(),
        Some(&b"\x01"[..])
    );
    assert_eq!(answer.trailers.get("dup"), None);
    assert_eq!(answer.trailers.len(), 2, "{:?}", answer.trailers);
}

#[tokio::test(start_paused = true)]
async fn p054_any_legal_value_is_received_and_can_be_sent_on() {
    // A tab and bytes beyond ASCII: not from a gRPC application, but from proxies.
    let raw = b"a\tb\xe9\xff";
    let mut fields = block(&GRPC);
    fields.extend([0x00, 1, b'x', 5]);
    fields.extend(raw);
    let answer = unary_to(async |server, stream| {
        let bytes = [
            block_frames(stream, 0, &fields),
            message(stream, "a"),
            trailers_ok(stream),
        ];
        server.write(&bytes.concat()).await;
    })
    .await
    .unwrap();
    assert_eq!(answer.metadata.get_bytes("x"), Some(&raw[..]));
    let request = ask().with_metadata(answer.metadata);
    let head = head_of(ChannelConfig::default(), request).await.head;
    assert_eq!(head.headers["x"].as_bytes(), raw);
    // What defined the response does not define the request.
    assert_eq!(head.headers.get_all("content-type").iter().count(), 1);
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p028_p113_p285_content_types_that_are_grpc() {
    let cases = [
        ("application/grpc",                  true),
        ("application/grpc+proto",            true),
        ("application/grpc;charset=utf-8",    true),
        ("Application/GRPC ; x=1",            true),
        ("application/grpc+PROTO; x",         true),
        ("application/grpcfoo",               false),
        ("application/grpc-web",              false),
        ("application/grpc-web+proto",        false),
        ("application/grpc+json",             false),
        ("application/json",                  false),
        ("text/html",                         false),
        ("",                                  false),
    ];
    for (content_type, is_grpc) in cases {
        let heard = heard_from(async |server, stream| {
            let head = any_block(stream, 0, &[(":status", "200"), ("content-type", content_type)]);
            server.write(&[head, message(stream, "a"), trailers_ok(stream)].concat()).await;
        })
        .await;
        assert_eq!(heard.end.is_ok(), is_grpc, "{content_type}: {:?}", heard.end);
        if let Err(status) = heard.end {
            assert_eq!(status.code, Code::Unknown, "{content_type}");
            assert!(status.message.contains(content_type), "{status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p273_the_response_s_coding_is_told() {
    let answer = unary_to(async |server, stream| {
        server.write(&answer(stream, "a")).await;
    })
    .await
    .unwrap();
    assert_eq!(answer.encoding, Some(barewire::Encoding::Identity));
}

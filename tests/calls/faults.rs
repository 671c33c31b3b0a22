//! What a server says to peers that break rules, or speak something else. The connection lives on
//! wherever RFC 9113 lets it.

use barewire::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE,
    Probe, RST_STREAM, RawPeer, SETTINGS, block, encoded, frame, piped_server, request_block,
};
use crate::tokio;

fn server() -> tokio::io::DuplexStream {
    piped_server(Probe::default(), ServerConfig::default())
}

#[tokio::test(start_paused = true)]
async fn p281_http1_gets_one_line_of_http1() {
    let mut io = server();
    io.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer:?}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn p281_tls_and_junk_on_a_plain_port_are_closed_at_once() {
    for first in [
        &[0x16, 0x03, 0x01, 0x02, 0x00][..],
        b"\x00\x01\x02",
        b"hello",
        b"PRI * HTTP/1",
    ] {
        let mut io = server();
        io.write_all(first).await.unwrap();
        let start = tokio::time::Instant::now();
        let mut answer = Vec::new();
        io.read_to_end(&mut answer).await.unwrap();
        assert!(start.elapsed().as_secs() < 1, "{first:?}");
        assert!(answer.is_empty(), "{first:?}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p006_a_peer_that_says_nothing_or_too_little_is_closed() {
    let mut half_a_frame = PREFACE.to_vec();
    half_a_frame.extend([0, 0, 6, 4, 0]);
    for first in [
        b"".to_vec(),
        b"PRI * HT".to_vec(),
        PREFACE.to_vec(),
        half_a_frame,
    ] {
        let mut io = server();
        io.write_all(&first).await.unwrap();
        let start = tokio::time::Instant::now();
        let mut answer = Vec::new();
        io.read_to_end(&mut answer).await.unwrap();
        let taken = start.elapsed().as_secs_f64();
        assert!((10.0..12.0).contains(&taken), "{first:?}: {taken}");
    }
}

#[tokio::test(start_paused = true)]
async fn settings_that_are_never_acknowledged_end_the_connection() {
    let mut peer = RawPeer::silent(server());
    let mut first = PREFACE.to_vec();
    first.extend(frame(SETTINGS, 0, 0, &[]));
    peer.write(&first).await;
    let start = tokio::time::Instant::now();
    // Reads with more patience than the helpers have, since the clock is ours.
    let mut rest = Vec::new();
    peer.io.read_to_end(&mut rest).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 30);
    let goaway = rest.windows(4).position(|bytes| bytes[3] == GOAWAY);
    assert!(goaway.is_some(), "{rest:02x?}");
    assert!(rest.ends_with(b"settings_not_acknowledged"), "{rest:02x?}");
}

#[tokio::test(start_paused = true)]
async fn a_header_block_that_does_not_end_ends_the_connection() {
    let mut peer = RawPeer::begin(server()).await;
    peer.write(&frame(HEADERS, 0, 1, &request_block("Echo")))
        .await;
    peer.write(&frame(CONTINUATION, 0, 1, &block(&[("x-slow", "1")])))
        .await;
    let start = tokio::time::Instant::now();
    let goaway = peer.last_goaway().await;
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(goaway, Some((11, "header_block_timeout".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_header_block_in_pieces_is_read_if_it_comes_in_time() {
    let mut peer = RawPeer::begin(server()).await;
    let block = request_block("Echo");
    let (first, second) = block.split_at(20);
    peer.write(&frame(HEADERS, 0, 1, first)).await;
    tokio::time::advance(std::time::Duration::from_secs(9)).await;
    let mut rest = frame(CONTINUATION, END_HEADERS, 1, second);
    rest.extend(frame(DATA, END_STREAM, 1, &encoded("hello")));
    peer.write(&rest).await;
    tokio::time::advance(std::time::Duration::from_secs(9)).await;
    assert_eq!(peer.frame_on(1).await.unwrap().kind, HEADERS);
}

#[tokio::test]
#[rustfmt::skip]
async fn requests_that_are_no_grpc_get_an_http_status() {
    let cases = [
        // method   content-type                       HTTP   why
        ("GET",     Some("application/grpc"),          405), // P17
        ("DELETE",  Some("application/grpc"),          405),
        ("GET",     None,                              405),
        ("POST",    None,                              415), // P30
        ("POST",    Some("image/jpeg"),                415),
        ("POST",    Some("application/grpcfoo"),       415), // P29
        ("POST",    Some("application/grpc-web"),      415),
        ("POST",    Some("application/grpc+json"),     415), // D6
    ];
    let client = Client::over(server()).await;
    for (method, content_type, status) in cases {
        let mut request = http::Request::builder().method(method).uri("http://localhost/test.Probe/Echo");
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        let mut call = client.send_request(request.body(()).unwrap(), false).await;
        // The body is read to its end, so that the client is not cut off while it sends.
        call.send_bytes(encoded(&"x".repeat(60_000))).await;
        let answer = call.finish().await;
        assert_eq!(answer.http_status, status, "{method} {content_type:?}");
        assert_eq!(answer.code(), None, "{method} {content_type:?}");
        assert!(answer.body.starts_with("This is a gRPC server"), "{answer:?}");
        if status == 405 {
            assert_eq!(answer.headers["allow"], "POST");
        }
    }
    assert_eq!(client.call("Echo", &["hello"]).await.code(), Some("0"));
}

#[tokio::test]
#[rustfmt::skip]
async fn p020_paths_are_matched_byte_for_byte() {
    let cases = [
        // path                      code   text
        ("/test.Probe/Echo",         "0",   ""),
        ("/test.Probe/echo",         "12",  "test.Probe has no method echo"),
        ("/test.probe/Echo",         "12",  "there is no service test.probe"),
        ("/test.Probe/Echo/",        "12",  "path \"/test.Probe/Echo/\" is not /service/method"),
        ("/test.Probe/Echo?x",       "12",  "test.Probe has no method Echo?x"), // P21
        ("/test.Probe/%45cho",       "12",  "test.Probe has no method %2545cho"),
        ("/Echo",                    "12",  "path \"/Echo\" is not /service/method"),
        ("/a/b/C",                   "12",  "there is no service a/b"),
        ("/",                        "12",  "path \"/\" is not /service/method"),
    ];
    let client = Client::over(server()).await;
    for (path, code, text) in cases {
        let request = http::Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc").body(()).unwrap();
        let mut call = client.send_request(request, false).await;
        call.send_message("hello").await;
        let answer = call.finish().await;
        assert_eq!((answer.code(), answer.text()), (Some(code), text), "{path}");
    }
}

/// Sends one header block on stream 1 and yields the first frame that comes back on it.
async fn answer_to(fields: &[(&str, &str)]) -> (RawPeer<tokio::io::DuplexStream>, u8, Vec<u8>) {
    let mut peer = RawPeer::begin(server()).await;
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &block(fields));
    bytes.extend(frame(DATA, END_STREAM, 1, &encoded("hello")));
    peer.write(&bytes).await;
    let first = peer.frame_on(1).await.expect("an answer");
    (peer, first.kind, first.payload)
}

#[tokio::test]
async fn malformed_requests_end_their_stream_alone() {
    let good = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/test.Probe/Echo"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ];
    let more: [(&str, &str); 7] = [
        ("connection", "close"), // P27
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "close"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "trailers, deflate"), // P26
        ("content-length", "3"),     // P49: the body is longer
    ];
    for field in more {
        let mut fields = good.to_vec();
        fields.push(field);
        let (mut peer, kind, payload) = answer_to(&fields).await;
        assert_eq!(
            (kind, payload),
            (RST_STREAM, 1_u32.to_be_bytes().to_vec()),
            "{field:?}"
        );
        let mut bytes = frame(HEADERS, END_HEADERS, 3, &request_block("Echo"));
        bytes.extend(frame(DATA, END_STREAM, 3, &encoded("hello")));
        peer.write(&bytes).await;
        assert_eq!(
            peer.frame_on(3).await.map(|frame| frame.kind),
            Some(HEADERS),
            "{field:?}"
        );
    }
    // P26: a proxy may have dropped `te`, and P44, P52: what we do not know is no fault.
    let mut fields = good[..5].to_vec();
    fields.extend([("grpc-message-type", "nonsense"), ("grpc-future", "1")]);
    let (_, kind, _) = answer_to(&fields).await;
    assert_eq!(kind, HEADERS);
}

#[tokio::test]
async fn p018_the_scheme_is_not_compared_with_the_transport() {
    let (_, kind, _) = answer_to(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/test.Probe/Echo"),
        ("content-type", "application/grpc"),
    ])
    .await;
    assert_eq!(kind, HEADERS);
}

#[tokio::test]
async fn p047_a_request_may_end_with_its_headers_or_with_trailers() {
    let client = Client::over(server()).await;
    let request = |method: &str| {
        http::Request::post(format!("http://localhost/test.Probe/{method}"))
            .header("content-type", "application/grpc")
            .body(())
            .unwrap()
    };
    let answer = client
        .send_request(request("Sum"), true)
        .await
        .answer()
        .await;
    assert_eq!(
        (answer.code(), &answer.messages[..]),
        (Some("0"), &["0 0".to_owned()][..])
    );
    let answer = client
        .send_request(request("Echo"), true)
        .await
        .answer()
        .await;
    assert_eq!(answer.code(), Some("12"));

    let mut call = client.send_request(request("Metadata"), false).await;
    call.send_message("hello").await;
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-request-trailer", "ignored".parse().unwrap());
    call.send.send_trailers(trailers).unwrap();
    let answer = call.answer().await;
    assert_eq!(answer.code(), Some("0"));
    assert_eq!(answer.headers.get("x-request-trailer"), None);
}

#[tokio::test]
async fn p139_a_ping_is_answered_with_its_own_bytes() {
    let mut peer = RawPeer::begin(server()).await;
    peer.write(&frame(PING, 0, 0, b"whatever")).await;
    let pong = peer.frame_of(PING).await.unwrap();
    assert_eq!((pong.flags, &pong.payload[..]), (ACK, &b"whatever"[..]));
}

#[tokio::test]
async fn p146_the_fourth_ping_without_a_call_is_one_too_many() {
    let mut peer = RawPeer::begin(server()).await;
    for _ in 0..4 {
        peer.write(&frame(PING, 0, 0, b"hurry up")).await;
    }
    assert_eq!(
        peer.last_goaway().await,
        Some((11, "too_many_pings".to_owned()))
    );
}

#[tokio::test]
async fn p147_pings_between_our_frames_are_no_strikes() {
    let mut peer = RawPeer::begin(server()).await;
    for number in 0..20 {
        let stream = number * 2 + 1;
        let mut bytes = frame(PING, 0, 0, b"bdp-ping");
        bytes.extend(frame(HEADERS, END_HEADERS, stream, &request_block("Echo")));
        bytes.extend(frame(DATA, END_STREAM, stream, &encoded("hello")));
        peer.write(&bytes).await;
        assert_eq!(
            peer.frame_on(stream).await.map(|frame| frame.kind),
            Some(HEADERS)
        );
    }
}

#[tokio::test]
async fn floods_of_idle_frames_end_the_connection() {
    let priority = frame(2, 0, 1, &[0, 0, 0, 0, 16]);
    let unknown = frame(0xbe, 0, 0, b"what is this");
    let settings = frame(SETTINGS, 0, 0, &[]);
    let pong = frame(PING, ACK, 0, b"unasked!");
    let update = frame(crate::support::WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes());
    let cases = [
        (priority, 1_000, "too_many_idle_frames"),
        (unknown, 1_000, "too_many_idle_frames"),
        (pong, 1_000, "too_many_idle_frames"),
        (settings, 98, "too_many_settings"),
        (update, 1_000, "too_many_window_updates"),
    ];
    for (one, allowed, text) in cases {
        // As many as are allowed, less what the bucket may not have, are no fault.
        let mut peer = RawPeer::begin(server()).await;
        peer.write(&one.repeat(allowed - 10)).await;
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &request_block("Echo"));
        bytes.extend(frame(DATA, END_STREAM, 1, &encoded("hello")));
        peer.write(&bytes).await;
        assert_eq!(
            peer.frame_on(1).await.map(|frame| frame.kind),
            Some(HEADERS),
            "{text}"
        );

        let mut peer = RawPeer::begin(server()).await;
        peer.write(&one.repeat(allowed * 2)).await;
        assert_eq!(peer.last_goaway().await, Some((11, text.to_owned())));
    }
}

#[tokio::test]
async fn stream_errors_that_a_peer_forces_are_counted() {
    let mut peer = RawPeer::begin(server()).await;
    let fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/test.Probe/Echo"),
        ("content-type", "application/grpc"),
        ("connection", "close"),
    ];
    for number in 0..300 {
        peer.write(&frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            number * 2 + 1,
            &block(&fields),
        ))
        .await;
    }
    assert_eq!(
        peer.last_goaway().await,
        Some((11, "too_many_stream_errors".to_owned()))
    );
}

#[tokio::test]
async fn p271_headers_far_over_the_limit_never_reach_us() {
    let client = Client::over(server()).await;
    let value = "v".repeat(70_000);
    let answer = client
        .start("Echo", &[("x-large", &value)])
        .await
        .finish()
        .await;
    assert_eq!(answer.http_status, 431);
    assert_eq!(client.call("Echo", &["hello"]).await.code(), Some("0"));
}

#[tokio::test]
async fn too_many_metadata_fields_end_the_call() {
    let client = Client::over(server()).await;
    let names: Vec<String> = (0..300).map(|number: u32| format!("x-{number}")).collect();
    let fields: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let answer = client.start("Echo", &fields).await.finish().await;
    assert_eq!(answer.code(), Some("8"));
    assert!(
        answer.text().contains("more than the limit of 256"),
        "{}",
        answer.text()
    );
}

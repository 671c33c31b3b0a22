//! What a server may make the client hold: header blocks, messages, windows.

use std::time::Duration;

use barewire::{ChannelConfig, ClientHttp2Config, Code, MethodConfig, Request, ServiceConfig};

use crate::raw_server::*;
use crate::support::{CONTINUATION, DATA, END_HEADERS, GOAWAY, HEADERS, block, frame};
use crate::tokio;

/// Where a large block stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Headers,
    TrailersOnly,
    Trailers,
}

const PLACES: [Place; 3] = [Place::Headers, Place::TrailersOnly, Place::Trailers];

impl Place {
    /// A response with these fields in this place. All else in it is well.
    fn response(self, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
        let ok = ("grpc-status", "0");
        match self {
            Self::Headers => {
                let rest = [message(stream, "a"), trailers_ok(stream)].concat();
                [headers_with(stream, fields), rest].concat()
            }
            Self::TrailersOnly => trailers_only(stream, &[&[ok], fields].concat()),
            Self::Trailers => {
                let end = trailers(stream, &[&[ok], fields].concat());
                [headers(stream), message(stream, "a"), end].concat()
            }
        }
    }
}

/// A call with a large block, and another call on the same connection that must not be harmed.
async fn with_neighbour(
    response: impl FnOnce(u32) -> Vec<u8>,
) -> (Heard, Result<barewire::Response<String>, barewire::Status>) {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let neighbour = tokio::spawn({
        let channel = channel.clone();
        async move { unary(&channel, "neighbour".to_owned()).await }
    });
    let mut server = line.accept().await;
    let other = server.request().await.stream;
    let client = async {
        let call = channel.server_streaming(path(), "ask".to_owned());
        read_all(&mut within(call).await.unwrap()).await
    };
    let (heard, ()) = tokio::join!(client, async {
        let stream = server.request().await.stream;
        server.try_write(&response(stream)).await;
        idle().await;
        server.try_write(&answer(other, "well")).await;
        server.close_writing().await;
    });
    (heard, neighbour.await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn p066_p067_header_blocks_up_to_the_limit_pass_and_larger_ones_end_the_call() {
    // The limit is 16 KiB of names and values, and 32 bytes for each field.
    for place in PLACES {
        let fixed = match place {
            Place::Headers => 10 + 32 + 28 + 32,
            Place::TrailersOnly => 10 + 32 + 28 + 32 + 12 + 32,
            Place::Trailers => 12 + 32,
        };
        for (more, fits) in [(0, true), (1, false), (100, false)] {
            let value = "v".repeat(16 * 1024 - fixed - 32 - 1 + more);
            let (heard, neighbour) =
                with_neighbour(|stream| place.response(stream, &[("x", &value)])).await;
            assert_eq!(heard.end.is_ok(), fits, "{place:?} {more}: {:?}", heard.end);
            if let Err(status) = heard.end {
                assert_eq!(status.code, Code::ResourceExhausted, "{status}");
                assert!(!status.unprocessed);
            }
            assert_eq!(neighbour.unwrap().message, "well", "{place:?} {more}");
        }
    }
}

/// h2 cuts trailers that are larger than it takes, and says nothing: what is left may look like a
/// success. It gives up on the connection when a block is far too large.
#[tokio::test(start_paused = true)]
async fn p067_p272_trailers_of_any_size_are_never_cut_without_a_word() {
    for kib in [
        17, 30, 40, 48, 50, 60, 63, 64, 65, 66, 70, 80, 100, 128, 200, 250, 257, 300,
    ] {
        for place in PLACES {
            // In one value, with the status before it or after it; in many fields; in repeated ones.
            let value = "v".repeat(kib * 1024);
            let many: Vec<String> = (0..kib).map(|number| format!("{number:0>990}")).collect();
            let many: Vec<_> = many.iter().map(|value| ("x", value.as_str())).collect();
            let mixed: Vec<_> = [("a", "1"), ("x", &value), ("b", "2")].into();
            for fields in [vec![("x", &*value)], many, mixed] {
                let (heard, neighbour) =
                    with_neighbour(|stream| place.response(stream, &fields)).await;
                let count = fields.len();
                let status = heard
                    .end
                    .expect_err(&format!("{place:?}, {kib} KiB in {count}"));
                assert_eq!(
                    status.code,
                    Code::ResourceExhausted,
                    "{place:?}, {kib} KiB in {count}: {status}"
                );
                assert!(!status.unprocessed);
                match neighbour {
                    Ok(answer) => assert_eq!(answer.message, "well"),
                    // h2 takes 64 KiB; at more than four times as much it gives up.
                    Err(status) => {
                        assert_eq!(status.code, Code::Unavailable, "{kib} KiB: {status}");
                        assert!(kib > 90, "{place:?}, {kib} KiB in {count}: {status}");
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p067_a_status_behind_a_large_field_is_not_lost_to_another_code() {
    for kib in [17, 64, 100] {
        let value = "v".repeat(kib * 1024);
        for status in ["0", "5"] {
            let fields = [("x", &*value), ("grpc-status", status)];
            let (heard, neighbour) = with_neighbour(|stream| {
                [
                    headers(stream),
                    message(stream, "a"),
                    trailers(stream, &fields),
                ]
                .concat()
            })
            .await;
            assert_eq!(heard.messages, ["a"]);
            assert_eq!(heard.end.unwrap_err().code, Code::ResourceExhausted);
            assert_eq!(neighbour.unwrap().message, "well");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_fields_end_the_call() {
    for (count, fits) in [(200, true), (257, false), (1000, false)] {
        let fields: Vec<(&str, &str)> = vec![("x", ""); count];
        for place in PLACES {
            let (heard, neighbour) = with_neighbour(|stream| place.response(stream, &fields)).await;
            assert_eq!(
                heard.end.is_ok(),
                fits,
                "{place:?} {count}: {:?}",
                heard.end
            );
            if let Err(status) = heard.end {
                assert_eq!(status.code, Code::ResourceExhausted, "{status}");
            }
            assert_eq!(neighbour.unwrap().message, "well");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p066_a_block_of_63_kib_passes_where_limits_allow() {
    let http2 = ClientHttp2Config {
        max_metadata_size: 100 * 1024,
        max_header_list_size: 400 * 1024,
        ..ClientHttp2Config::default()
    };
    for place in PLACES {
        let config = ChannelConfig {
            http2: http2.clone(),
            ..ChannelConfig::default()
        };
        let value = "X".repeat(63 * 1024);
        let heard = heard_from_with(config, async |server, stream| {
            server
                .write(&place.response(stream, &[("x-large", &value)]))
                .await;
        })
        .await;
        heard.end.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn p066_a_block_may_be_cut_into_continuations_anywhere() {
    let fields = [
        (":status", "200"),
        ("content-type", "application/grpc"),
        ("x", "123"),
    ];
    let whole = block(&fields);
    for cut in 0..=whole.len() {
        for middle in [cut, whole.len()] {
            let heard = heard_from(async |server, stream| {
                let bytes = [
                    frame(HEADERS, 0, stream, &whole[..cut]),
                    frame(CONTINUATION, 0, stream, &whole[cut..middle]),
                    frame(CONTINUATION, END_HEADERS, stream, &whole[middle..]),
                    message(stream, "a"),
                    trailers_ok(stream),
                ];
                server.write(&bytes.concat()).await;
            })
            .await;
            assert_eq!(heard.messages, ["a"], "cut at {cut} and {middle}");
            heard.end.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_continuations_ends_the_connection() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (result, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept().await;
        let stream = server.request().await.stream;
        server
            .write(&frame(HEADERS, 0, stream, &block(&GRPC)))
            .await;
        for _ in 0..1000 {
            server.try_write(&frame(CONTINUATION, 0, stream, &[])).await;
        }
        let goaway = server.frame_of(GOAWAY).await.unwrap();
        assert_eq!(goaway.payload[4..8], ENHANCE_YOUR_CALM.to_be_bytes());
        assert!(server.is_closed().await);
    });
    assert_eq!(result.unwrap_err().code, Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn p065_p168_metadata_larger_than_the_server_takes_fails_here_and_sends_nothing() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (first, mut server) = tokio::join!(unary(&channel, "ask".to_owned()), async {
        let mut server = line.accept_with(&[(MAX_HEADER_LIST_SIZE, 1024)]).await;
        let stream = server.request().await.stream;
        server.write(&answer(stream, "small")).await;
        server
    });
    first.unwrap();
    server.unasked().await;
    for (size, fits) in [(300, true), (1024, false), (10_000, false)] {
        let mut request = Request::new("ask".to_owned());
        request.metadata.insert("x", &"v".repeat(size)).unwrap();
        let (result, ()) = tokio::join!(unary(&channel, request), async {
            if fits {
                let stream = server.request().await.stream;
                server.write(&answer(stream, "ok")).await;
            } else {
                assert_eq!(server.unasked().await, []);
            }
        });
        if fits {
            result.unwrap();
            server.unasked().await;
        } else {
            let status = result.unwrap_err();
            assert_eq!(status.code, Code::ResourceExhausted, "{status}");
            assert!(status.unprocessed, "{status}");
        }
    }
    // The server may change its mind.
    server
        .write(&settings_frame(&[(MAX_HEADER_LIST_SIZE, 100_000)]))
        .await;
    idle().await;
    let mut request = Request::new("ask".to_owned());
    request.metadata.insert("x", &"v".repeat(20_000)).unwrap();
    let (result, ()) = tokio::join!(unary(&channel, request), async {
        let call = server.request().await;
        assert_eq!(call.field("x").len(), 20_000);
        server.write(&answer(call.stream, "ok")).await;
    });
    result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn p072_p074_messages_up_to_the_limit_pass_and_larger_ones_end_the_call() {
    // A string message of n bytes has a key and a length before it.
    let limit = 4 * 1024 * 1024;
    for (length, fits) in [(limit, true), (limit + 1, false)] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let client = async {
            let call = channel.server_streaming(path(), "ask".to_owned());
            read_all(&mut call.await.unwrap()).await
        };
        let (heard, _server) = tokio::join!(client, async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            let text = "v".repeat(length - 5);
            let body = prost::Message::encode_to_vec(&text);
            assert_eq!(body.len(), length);
            server.write(&headers(stream)).await;
            if fits {
                // In pieces, as windows open.
                let bytes = framed(false, &body);
                for piece in bytes.chunks(512 * 1024) {
                    server.write(&data(stream, piece)).await;
                    idle().await;
                }
                server.write(&trailers_ok(stream)).await;
            } else {
                // The prefix is enough to know.
                server
                    .write(&data(stream, &framed(false, &body)[..5]))
                    .await;
                assert_eq!(server.reset_of(stream).await, CANCEL);
            }
            server
        });
        if fits {
            assert_eq!(heard.messages[0].len(), length - 5);
            heard.end.unwrap();
        } else {
            let status = heard.end.unwrap_err();
            assert_eq!(status.code, Code::ResourceExhausted, "{status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p283_a_length_that_wraps_is_too_large() {
    for length in [0xffff_ffff_u32, 0xffff_fffb, 0x8000_0000] {
        let heard = heard_from(async |server, stream| {
            let mut prefix = vec![0];
            prefix.extend(length.to_be_bytes());
            let bytes = [headers(stream), message(stream, "a"), data(stream, &prefix)];
            server.write(&bytes.concat()).await;
        })
        .await;
        assert_eq!(heard.messages, ["a"]);
        assert_eq!(heard.end.unwrap_err().code, Code::ResourceExhausted);
    }
}

#[tokio::test(start_paused = true)]
async fn p075_a_request_over_the_send_limit_is_not_sent() {
    let config = ChannelConfig {
        max_send_message: 10,
        ..ChannelConfig::default()
    };
    let mut line = Line::with(config);
    let channel = line.channel.clone();
    // Unary: not even a connection is asked for.
    let status = unary(&channel, "x".repeat(9)).await.unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted, "{status}");
    assert!(status.unprocessed);
    assert!(!line.has_dialled());
    // Of a stream: the message is not sent.
    let ((mut outbound, _inbound), mut server) = tokio::join!(bidi(&channel, ()), async {
        let mut server = line.accept().await;
        server.request().await;
        server
    });
    within(outbound.send("x".repeat(8))).await.unwrap();
    let sent = server.messages_of(1, 1).await;
    assert_eq!(sent, ["x".repeat(8)]);
    let status = within(outbound.send("x".repeat(9))).await.unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted, "{status}");
    let more = server.unasked().await;
    assert!(more.iter().all(|frame| frame.kind != DATA), "{more:?}");
}

#[tokio::test(start_paused = true)]
async fn p077_limits_of_the_service_config_count_if_they_are_smaller() {
    let with = |own: usize, theirs: usize| ChannelConfig {
        max_recv_message: own,
        max_send_message: own,
        service_config: Some(ServiceConfig {
            default_method: Some(MethodConfig {
                max_request_bytes: Some(theirs),
                max_response_bytes: Some(theirs),
                ..MethodConfig::default()
            }),
            ..ServiceConfig::default()
        }),
        ..ChannelConfig::default()
    };
    for (own, theirs) in [(100, 50), (50, 100)] {
        for (length, fits) in [(48, true), (49, false)] {
            let text = "x".repeat(length);
            let heard = heard_from_with(with(own, theirs), async |server, stream| {
                let bytes = [headers(stream), message(stream, &text), trailers_ok(stream)];
                server.write(&bytes.concat()).await;
            })
            .await;
            assert_eq!(heard.end.is_ok(), fits, "{own} {theirs} {length}");
            let line = Line::with(with(own, theirs));
            let call = tokio::time::timeout(
                Duration::from_millis(1),
                line.channel.unary::<_, String>(path(), text),
            );
            // What is small enough waits for a connection.
            assert_eq!(call.await.is_err(), fits, "{own} {theirs} {length}");
        }
    }
    // Zero means that only empty messages pass.
    for (text, fits) in [("", true), ("a", false)] {
        let line = Line::with(with(100, 0));
        let call = line.channel.unary::<_, String>(path(), text.to_owned());
        let result = tokio::time::timeout(Duration::from_millis(1), call).await;
        assert_eq!(result.is_err(), fits);
    }
}

#[tokio::test(start_paused = true)]
async fn p078_promised_bytes_take_no_memory() {
    // Four MiB are promised on each of a thousand streams, and none comes.
    let mut line = Line::new();
    let mut calls = Vec::new();
    let before = resident_bytes();
    for _ in 0..1000 {
        let channel = line.channel.clone();
        calls.push(tokio::spawn(
            async move { unary(&channel, String::new()).await },
        ));
    }
    let mut server = line.accept().await;
    for _ in 0..1000 {
        let stream = server.request().await.stream;
        let prefix = [0, 0, 0x40, 0, 0, b'x'];
        server
            .write(&[headers(stream), data(stream, &prefix)].concat())
            .await;
    }
    idle().await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 300 * 1024 * 1024, "{grown} bytes");
    for call in calls {
        call.abort();
    }
}

/// Of this process, other tests and all.
fn resident_bytes() -> usize {
    let Ok(text) = std::fs::read_to_string("/proc/self/statm") else {
        return 0;
    };
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test(start_paused = true)]
async fn p079_a_message_larger_than_the_window_becomes_whole() {
    let config = ChannelConfig {
        http2: ClientHttp2Config {
            stream_window: 65_535,
            connection_window: 4 * 65_535,
            ..ClientHttp2Config::default()
        },
        ..ChannelConfig::default()
    };
    let text = "v".repeat(4_000_000);
    let heard = heard_from_with(config, async |server, stream| {
        server.write(&headers(stream)).await;
        send_within_windows(server, stream, &encoded(&text), 65_535).await;
        server.write(&trailers_ok(stream)).await;
    })
    .await;
    assert_eq!(heard.messages, [text]);
    heard.end.unwrap();
}

/// Sends as a server does that keeps to the stream's window.
async fn send_within_windows(server: &mut RawServer, stream: u32, bytes: &[u8], room: usize) {
    let mut room = room;
    let mut rest = bytes;
    while !rest.is_empty() {
        if room == 0 {
            let update = server
                .next(|frame| frame.kind == crate::support::WINDOW_UPDATE && frame.stream == stream)
                .await
                .unwrap();
            let more = u32::from_be_bytes(update.payload.try_into().unwrap());
            room += usize::try_from(more).unwrap();
        }
        let (now, later) = rest.split_at(room.min(rest.len()).min(FRAME_LIMIT));
        server.write(&frame(DATA, 0, stream, now)).await;
        room -= now.len();
        rest = later;
    }
}

#[cfg(feature = "gzip")]
fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[cfg(feature = "gzip")]
#[tokio::test(start_paused = true)]
async fn p073_a_bomb_stops_at_the_limit() {
    // A gibibyte of zeros in a mebibyte: a block of a mebibyte of them, a thousand times over.
    let zeros = vec![0; 1024 * 1024];
    let mut block = Vec::with_capacity(64 * 1024);
    flate2::Compress::new(flate2::Compression::best(), false)
        .compress_vec(&zeros, &mut block, flate2::FlushCompress::Sync)
        .unwrap();
    let mut bomb = gzip(b"")[..10].to_vec();
    bomb.extend(block.repeat(1024));
    assert!(bomb.len() < 2 * 1024 * 1024, "{}", bomb.len());
    let before = resident_bytes();
    let heard = heard_from(async |server, stream| {
        server
            .write(&headers_with(stream, &[("grpc-encoding", "gzip")]))
            .await;
        for piece in framed(true, &bomb).chunks(256 * 1024) {
            server.write(&data(stream, piece)).await;
            idle().await;
        }
        server.write(&trailers_ok(stream)).await;
    })
    .await;
    let status = heard.end.unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted, "{status}");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 200 * 1024 * 1024, "{grown} bytes");
}

#[cfg(feature = "gzip")]
#[tokio::test(start_paused = true)]
async fn p073_p074_the_limit_holds_for_what_is_decompressed() {
    for (length, fits) in [(4 * 1024 * 1024, true), (4 * 1024 * 1024 + 1, false)] {
        let body = prost::Message::encode_to_vec(&"v".repeat(length - 5));
        let compressed = gzip(&body);
        let heard = heard_from(async |server, stream| {
            let bytes = [
                headers_with(stream, &[("grpc-encoding", "gzip")]),
                data(stream, &framed(true, &compressed)),
                trailers_ok(stream),
            ];
            server.write(&bytes.concat()).await;
        })
        .await;
        assert_eq!(heard.end.is_ok(), fits, "{length}: {:?}", heard.end);
        if let Err(status) = heard.end {
            assert_eq!(status.code, Code::ResourceExhausted);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p252_five_thousand_small_frames_in_a_burst_harm_nobody() {
    // 5 B of prefix, and a message in 10 B; many to a frame would be kinder.
    for piece in [1, 5, 15] {
        let heard = heard_from(async |server, stream| {
            let mut bytes = headers(stream);
            let all: Vec<u8> = (0..5000)
                .flat_map(|n| encoded(&format!("{n:08}")))
                .collect();
            for piece in all.chunks(piece).take(5000 * 15 / piece) {
                bytes.extend(frame(DATA, 0, stream, piece));
            }
            bytes.extend(trailers_ok(stream));
            server.write(&bytes).await;
        })
        .await;
        heard.end.unwrap();
        assert_eq!(heard.messages.len(), 5000, "in pieces of {piece}");
        assert_eq!(heard.messages[4999], "00004999");
    }
}

#[tokio::test(start_paused = true)]
async fn p252_small_frames_that_nobody_reads_harm_nobody() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (mut inbound, mut server) = tokio::join!(
        async {
            let call = channel.server_streaming::<String, String>(path(), "ask".to_owned());
            call.await.unwrap()
        },
        async {
            let mut server = line.accept().await;
            server.request().await;
            server
        }
    );
    let one = message(1, "x");
    server
        .write(&[headers(1), one.repeat(50_000), trailers_ok(1)].concat())
        .await;
    idle().await;
    let (other, ()) = tokio::join!(unary(&channel, "other".to_owned()), async {
        let stream = server.request().await.stream;
        server.write(&answer(stream, "well")).await;
    });
    assert_eq!(other.unwrap().message, "well");
    let heard = read_all(&mut inbound).await;
    heard.end.unwrap();
    assert_eq!(heard.messages.len(), 50_000);
}

#[tokio::test(start_paused = true)]
async fn p071_p253_empty_and_padded_frames_are_passed_over() {
    let heard = heard_from(async |server, stream| {
        let mut bytes = headers(stream);
        for byte in encoded("padded") {
            // One byte, and padding of 0 to 255 bytes.
            let padding = usize::from(byte);
            let mut payload = vec![byte, byte];
            payload.extend(vec![0; padding]);
            bytes.extend(frame(DATA, PADDED, stream, &payload));
            bytes.extend(frame(DATA, 0, stream, &[]));
            bytes.extend(frame(DATA, PADDED, stream, &[3, 0, 0, 0]));
        }
        bytes.extend(trailers_ok(stream));
        server.write(&bytes).await;
    })
    .await;
    assert_eq!(heard.messages, ["padded"]);
    heard.end.unwrap();
}

#[tokio::test(start_paused = true)]
async fn p071_padding_is_given_back_to_the_window() {
    // 255 bytes of padding for each byte: far more than the windows have.
    let config = ChannelConfig {
        http2: ClientHttp2Config {
            stream_window: 65_535,
            connection_window: 4 * 65_535,
            ..ClientHttp2Config::default()
        },
        ..ChannelConfig::default()
    };
    let text = "p".repeat(4000);
    let heard = heard_from_with(config, async |server, stream| {
        server.write(&headers(stream)).await;
        for bytes in encoded(&text).chunks(100) {
            for byte in bytes {
                let mut payload = vec![255, *byte];
                payload.extend([0; 255]);
                server.write(&frame(DATA, PADDED, stream, &payload)).await;
            }
            idle().await;
        }
        server.write(&trailers_ok(stream)).await;
    })
    .await;
    assert_eq!(heard.messages, [text]);
    heard.end.unwrap();
}

#[tokio::test(start_paused = true)]
async fn p267_an_unread_stream_does_not_starve_ten_busy_ones() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let mut unread = None;
    let mut busy = Vec::new();
    let mut server = {
        let opening = async {
            let call = channel.server_streaming::<String, String>(path(), "unread".to_owned());
            unread = Some(call.await.unwrap());
        };
        let ((), server) = tokio::join!(opening, async {
            let mut server = line.accept().await;
            server.request().await;
            server
        });
        server
    };
    // It gets all that its window takes.
    let chunk = "u".repeat(FRAME_LIMIT - 8);
    let full = message(1, &chunk).repeat(63);
    server.write(&[headers(1), full].concat()).await;
    for _ in 0..10 {
        let channel = channel.clone();
        busy.push(tokio::spawn(async move {
            let call = channel.server_streaming(path(), "busy".to_owned());
            read_all(&mut call.await.unwrap()).await
        }));
    }
    let mut streams = Vec::new();
    for _ in 0..10 {
        streams.push(server.request().await.stream);
    }
    for stream in &streams {
        server.write(&headers(*stream)).await;
    }
    // 6 MiB on each: twice as much on all as the connection's window.
    for _ in 0..12 {
        for stream in &streams {
            let half = message(*stream, &chunk).repeat(32);
            server.write(&half).await;
        }
        idle().await;
    }
    for stream in &streams {
        server.write(&trailers_ok(*stream)).await;
    }
    for call in busy {
        let heard = call.await.unwrap();
        heard.end.unwrap();
        assert_eq!(heard.messages.len(), 12 * 32);
    }
    // And it is all there when somebody reads.
    server.write(&trailers_ok(1)).await;
    let heard = read_all(&mut unread.unwrap()).await;
    heard.end.unwrap();
    assert_eq!(heard.messages.len(), 63);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ignores_the_window_ends_its_call() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let (mut inbound, mut server) = tokio::join!(
        async {
            let call = channel.server_streaming::<String, String>(path(), "ask".to_owned());
            call.await.unwrap()
        },
        async {
            let mut server = line.accept().await;
            server.request().await;
            server
        }
    );
    // 2 MiB into a window of one, and nobody reads.
    let chunk = "u".repeat(FRAME_LIMIT - 8);
    server
        .write(&[headers(1), message(1, &chunk).repeat(128)].concat())
        .await;
    idle().await;
    let heard = read_all(&mut inbound).await;
    assert!(
        (63..=65).contains(&heard.messages.len()),
        "{}",
        heard.messages.len()
    );
    assert_eq!(heard.end.unwrap_err().code, Code::Internal);
    let (other, ()) = tokio::join!(unary(&channel, "other".to_owned()), async {
        let stream = server.request().await.stream;
        server.write(&answer(stream, "well")).await;
    });
    assert_eq!(other.unwrap().message, "well");
}

#[tokio::test(start_paused = true)]
async fn p266_a_sender_waits_for_the_server_and_keeps_little() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let ((mut outbound, inbound), mut server) = tokio::join!(bidi(&channel, ()), async {
        let mut server = line.accept().await;
        server.request().await;
        server
    });
    let sending = tokio::spawn(async move {
        let mut sent = 0_usize;
        while outbound.send("x".repeat(1000)).await.is_ok() {
            sent += 1;
        }
        sent
    });
    idle().await;
    // The window took 65 messages. What was put together with the last of them waits.
    let taken = server.unasked().await;
    let taken: usize = taken.iter().map(|frame| frame.payload.len()).sum();
    assert_eq!(taken, FIRST_WINDOW);
    server.write(&reset(1, CANCEL)).await;
    let sent = sending.await.unwrap();
    assert!(
        (64..=66 + 15).contains(&sent),
        "{sent} messages were taken from the application"
    );
    drop(inbound);
}

/// An application that sends much before it looks at the response keeps no more than a retry needs.
#[tokio::test(start_paused = true)]
async fn p173_who_only_sends_keeps_no_more_than_the_retry_buffer() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let ((mut outbound, mut inbound), mut server) = tokio::join!(bidi(&channel, ()), async {
        let settings = [(INITIAL_WINDOW_SIZE, 0x7fff_ffff)];
        let mut server = line.accept_with(&settings).await;
        server.write(&window(0, 0x7fff_ffff - 65_535)).await;
        server.request().await;
        server
    });
    let before = resident_bytes();
    let text = "x".repeat(64 * 1024);
    let mut received = 0;
    for _ in 0..1500 {
        within(outbound.send(text.clone())).await.unwrap();
        while received < 60 * 1024 {
            received += server.frame_on(1).await.unwrap().payload.len();
        }
        received = 0;
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 80 * 1024 * 1024, "{grown} of 96 MiB were kept");
    // What is no longer kept cannot be sent again.
    server.write(&reset(1, REFUSED_STREAM)).await;
    let status = within(inbound.next()).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert!(!line.has_dialled());
}

/// Frames that cost the server nothing, without end.
#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn floods_end_the_connection_and_say_which() {
    let floods: [(&str, Vec<u8>, usize); 5] = [
        ("too_many_pings",          ping([0; 8]),              2_000),
        ("too_many_settings",       settings_frame(&[]),       200),
        ("too_many_window_updates", window(0, 1),              20_000),
        ("too_many_idle_frames",    frame(2, 0, 1, &[0; 5]),   2_000),  // PRIORITY
        ("too_many_idle_frames",    frame(0xee, 0, 1, b"?"),   2_000),  // unknown
    ];
    for (what, one, count) in floods {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let (result, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
            let mut server = line.accept().await;
            server.request().await;
            server.try_write(&one.repeat(count)).await;
            assert!(server.is_closed().await);
        });
        let status = result.unwrap_err();
        assert_eq!(status.code, Code::Unavailable, "{status}");
        assert!(status.message.contains(what), "{status}");
    }
}

/// Interim responses that nobody takes pile up in h2. A call that only sends does not take them.
#[tokio::test(start_paused = true)]
async fn interim_responses_that_nobody_takes_are_counted_too() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let ((_outbound, mut inbound), mut server) = tokio::join!(bidi(&channel, ()), async {
        let mut server = line.accept().await;
        server.request().await;
        server
    });
    let hint = any_block(1, 0, &[(":status", "103")]);
    server.try_write(&hint.repeat(100_000)).await;
    assert!(server.is_closed().await);
    let status = within(inbound.next()).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_interim_responses_ends_its_call_only() {
    let (heard, neighbour) = with_neighbour(|stream| {
        let hint = any_block(stream, 0, &[(":status", "103")]);
        [hint.repeat(1000), trailers_ok(stream)].concat()
    })
    .await;
    assert_eq!(heard.end.unwrap_err().code, Code::Unavailable);
    assert_eq!(neighbour.unwrap().message, "well");
}

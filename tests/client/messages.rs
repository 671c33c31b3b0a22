//! Length-Prefixed-Messages, cut, joined, compressed and broken.

use barewire::{Channel, Code, Encoding, Inbound, Outbound, Request};

use crate::chance::Chance;
use crate::raw_server::*;
use crate::support::{DATA, END_STREAM, frame};
use crate::tokio;

#[tokio::test(start_paused = true)]
async fn p068_p070_messages_leave_as_five_bytes_and_a_body() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let ((mut outbound, _inbound), mut server) = tokio::join!(bidi(&channel, ()), async {
        let mut server = line.accept().await;
        server.request().await;
        server
    });
    #[rustfmt::skip]
    let cases: [(&str, &[u8]); 3] = [
        ("abc",        &[0, 0, 0, 0, 5, 0x0a, 3, b'a', b'b', b'c']),
        ("",           &[0, 0, 0, 0, 0]),                            // empty is a message
        ("b",          &[0, 0, 0, 0, 3, 0x0a, 1, b'b']),
    ];
    for (text, bytes) in cases {
        outbound.send(text.to_owned()).await.unwrap();
        let sent = server.frame_on(1).await.unwrap();
        assert_eq!((sent.kind, sent.flags, &*sent.payload), (DATA, 0, bytes));
    }
    outbound.finish().unwrap();
    let end = server.frame_on(1).await.unwrap();
    assert_eq!(
        (end.kind, end.flags, &*end.payload),
        (DATA, END_STREAM, &[][..])
    );
}

#[tokio::test(start_paused = true)]
async fn p046_the_end_of_a_request_is_a_flag_on_data() {
    // Of no message at all.
    let mut line = Line::new();
    let channel = line.channel.clone();
    let ((mut outbound, _inbound), mut server) = tokio::join!(bidi(&channel, ()), async {
        let mut server = line.accept().await;
        let call = server.request().await;
        assert_eq!(call.flags & END_STREAM, 0, "on HEADERS");
        server
    });
    outbound.finish().unwrap();
    let end = server.frame_on(1).await.unwrap();
    assert_eq!(
        (end.kind, end.flags, end.payload.len()),
        (DATA, END_STREAM, 0)
    );

    // Of one: with the message.
    let mut line = Line::new();
    let channel = line.channel.clone();
    let _call = tokio::spawn(async move { unary(&channel, "ask".to_owned()).await });
    let mut server = line.accept().await;
    let call = server.request().await;
    assert_eq!(call.flags & END_STREAM, 0, "on HEADERS");
    let whole = server.frame_on(call.stream).await.unwrap();
    assert_eq!((whole.kind, whole.flags), (DATA, END_STREAM));
    assert_eq!(whole.payload, encoded("ask"));
    assert_eq!(server.unasked().await, []);
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p069_p080_a_flag_is_zero_or_one_and_one_needs_a_coding() {
    let body = [0x0a, 1, b'a'];
    let framed = |flag: u8| [&[flag, 0, 0, 0, 3][..], &body].concat();
    let cases: [(u8, Option<&str>, bool, &str); 8] = [
        (0,    None,             true,  ""),
        (0,    Some("identity"), true,  ""),
        (1,    None,             false, "flag is 1"),
        (1,    Some("identity"), false, "flag is 1"),
        (2,    None,             false, "0x02"),
        (2,    Some("gzip"),     false, "0x02"),
        (0x80, None,             false, "0x80"),   // the trailer frame of gRPC-Web
        (0xff, None,             false, "0xff"),
    ];
    for (flag, coding, well, words) in cases {
        let heard = heard_from(async |server, stream| {
            let fields: Vec<_> = coding.map(|coding| ("grpc-encoding", coding)).into_iter().collect();
            let bytes = [headers_with(stream, &fields), message(stream, "first"), data(stream, &framed(flag)), trailers_ok(stream)];
            server.write(&bytes.concat()).await;
        })
        .await;
        assert_eq!(heard.messages[0], "first");
        assert_eq!(heard.end.is_ok(), well, "{flag} {coding:?}");
        if let Err(status) = heard.end {
            assert_eq!(status.code, Code::Internal);
            assert!(status.message.contains(words), "{status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p070_an_empty_message_is_a_message() {
    let heard = heard_from(async |server, stream| {
        let bytes = [headers(stream), data(stream, &[0; 15]), trailers_ok(stream)];
        server.write(&bytes.concat()).await;
    })
    .await;
    heard.end.unwrap();
    assert_eq!(heard.messages, ["", "", ""]);
    let answer = unary_to(async |server, stream| {
        let bytes = [headers(stream), data(stream, &[0; 5]), trailers_ok(stream)];
        server.write(&bytes.concat()).await;
    })
    .await
    .unwrap();
    assert_eq!(answer.message, "");
}

#[tokio::test(start_paused = true)]
async fn p071_data_frames_may_cut_messages_anywhere() {
    let all = [encoded("one"), encoded(""), encoded("three")].concat();
    for first in 0..=all.len() {
        for settled in [false, true] {
            let heard = heard_from(async |server, stream| {
                let (a, b) = all.split_at(first);
                server
                    .write(&[headers(stream), data(stream, a)].concat())
                    .await;
                if settled {
                    idle().await;
                }
                server
                    .write(&[data(stream, b), trailers_ok(stream)].concat())
                    .await;
            })
            .await;
            heard.end.unwrap();
            assert_eq!(heard.messages, ["one", "", "three"], "cut at {first}");
        }
    }
    // A byte to a frame, and all in one.
    for size in [1, 2, 3, 1000] {
        let heard = heard_from(async |server, stream| {
            let many = all.repeat(100);
            let pieces = many.chunks(size).flat_map(|piece| data(stream, piece));
            let bytes: Vec<u8> = headers(stream).into_iter().chain(pieces).collect();
            server.write(&[bytes, trailers_ok(stream)].concat()).await;
        })
        .await;
        heard.end.unwrap();
        assert_eq!(heard.messages.len(), 300);
    }
}

/// The bytes of the connection may come in any pieces, too.
#[tokio::test(start_paused = true)]
async fn p071_the_connection_may_be_cut_anywhere() {
    let whole = [
        headers_with(1, &[("x-initial", "i")]),
        message(1, "one"),
        message(1, "two"),
        trailers(1, &[("grpc-status", "0"), ("x-end", "t")]),
    ]
    .concat();
    for cut in 0..=whole.len() {
        let heard = heard_from(async |server, _| {
            server.write(&whole[..cut]).await;
            idle().await;
            server.write(&whole[cut..]).await;
        })
        .await;
        heard.end.unwrap();
        assert_eq!(heard.messages, ["one", "two"], "cut at {cut}");
    }
}

/// The stream may be over after any byte, in each of the ways in which it can be over, and what came
/// whole is given out.
#[tokio::test(start_paused = true)]
async fn p087_a_stream_cut_at_any_byte_is_broken() {
    type End = fn(u32) -> Vec<u8>;
    #[rustfmt::skip]
    let ends: [(&str, End, Option<Code>); 6] = [
        ("trailers that say OK",  trailers_ok,                              Some(Code::Internal)),
        ("trailers that do not",  |s| trailers(s, &[("grpc-status", "5")]), Some(Code::NotFound)),
        ("END_STREAM on DATA",    |s| frame(DATA, END_STREAM, s, &[]),      Some(Code::Internal)),
        ("RST_STREAM NO_ERROR",   |s| reset(s, NO_ERROR),                   Some(Code::Internal)),
        ("RST_STREAM CANCEL",     |s| reset(s, CANCEL),                     Some(Code::Cancelled)),
        ("the connection's end",  |_| Vec::new(),                           Some(Code::Unavailable)),
    ];
    let (one, two) = (encoded("one"), encoded("two"));
    let all = [one.clone(), two].concat();
    for (what, end, code) in ends {
        for cut in 0..=all.len() {
            let heard = heard_from(async |server, stream| {
                let bytes = [headers(stream), data(stream, &all[..cut]), end(stream)];
                server.write(&bytes.concat()).await;
                if what == "the connection's end" {
                    server.close_writing().await;
                }
            })
            .await;
            let whole = usize::from(cut >= one.len()) + usize::from(cut == all.len());
            assert_eq!(heard.messages, ["one", "two"][..whole], "{what} at {cut}");
            let between = cut == 0 || cut == one.len() || cut == all.len();
            match heard.end {
                Ok(()) => assert!(between && what == "trailers that say OK", "{what} at {cut}"),
                Err(status) => assert_eq!(Some(status.code), code, "{what} at {cut}: {status}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p088_what_is_no_message_of_its_type_ends_the_call() {
    for body in [
        &b"\x0a"[..],
        b"\x0a\x05ab",
        b"\x08",
        b"\xff\xff\xff",
        b"\x0a\x02\xff\xfe",
        b"\x0f",
    ] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let client = async {
            let call = channel.server_streaming(path(), "ask".to_owned());
            read_all(&mut call.await.unwrap()).await
        };
        let (heard, _server) = tokio::join!(client, async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            let bytes = [message(stream, "a"), data(stream, &framed(false, body))];
            server
                .write(&[headers(stream), bytes.concat()].concat())
                .await;
            assert_eq!(server.reset_of(stream).await, CANCEL);
            server
        });
        assert_eq!(heard.messages, ["a"]);
        assert_eq!(heard.end.unwrap_err().code, Code::Internal, "{body:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p083_a_coding_that_we_do_not_have_ends_the_call() {
    for coding in ["foo", "br", "gzip, deflate", "GZIP ", "", "identity,gzip"] {
        let mut line = Line::new();
        let channel = line.channel.clone();
        let client = async {
            let call = channel.server_streaming(path(), "ask".to_owned());
            read_all(&mut call.await.unwrap()).await
        };
        let (heard, _server) = tokio::join!(client, async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            server
                .write(&headers_with(stream, &[("grpc-encoding", coding)]))
                .await;
            assert_eq!(server.reset_of(stream).await, CANCEL, "{coding:?}");
            server
        });
        let status = heard.end.unwrap_err();
        assert_eq!(status.code, Code::Internal, "{coding:?}: {status}");
    }
}

#[cfg(feature = "gzip")]
mod compression {
    use std::io::Write;

    use super::*;
    use crate::tokio;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn body(text: &str) -> Vec<u8> {
        prost::Message::encode_to_vec(&text.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn p085_p086_p229_each_compressed_message_stands_alone() {
        let long = "many words ".repeat(100);
        let codings: [(&str, fn(&[u8]) -> Vec<u8>); 2] = [("gzip", gzip), ("deflate", zlib)];
        for (coding, compress) in codings {
            let heard = heard_from(async |server, stream| {
                let bytes = [
                    headers_with(stream, &[("grpc-encoding", coding)]),
                    data(stream, &framed(true, &compress(&body("one")))),
                    message(stream, "plain between"),
                    data(stream, &framed(true, &compress(&body(&long)))),
                    data(stream, &framed(true, &compress(&body(&long)))),
                    data(stream, &framed(true, &compress(b""))),
                    trailers_ok(stream),
                ];
                server.write(&bytes.concat()).await;
            })
            .await;
            heard.end.unwrap();
            assert_eq!(
                heard.messages,
                ["one", "plain between", &long, &long, ""],
                "{coding}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn p084_damaged_compression_ends_the_call() {
        let good = gzip(&body(&"words ".repeat(50)));
        let raw_deflate = &good[10..good.len() - 8];
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 0x10;
        let mut wrong_sum = good.clone();
        let at = wrong_sum.len() - 6;
        wrong_sum[at] ^= 1;
        #[rustfmt::skip]
        let cases: [(&str, &str, Vec<u8>); 9] = [
            ("gzip",    "a byte flipped",     flipped),
            ("gzip",    "a wrong checksum",   wrong_sum),
            ("gzip",    "cut",                good[..good.len() - 1].to_vec()),
            ("gzip",    "a second member",    [good.clone(), good.clone()].concat()),
            ("gzip",    "junk behind",        [good.clone(), b"x".to_vec()].concat()),
            ("gzip",    "nothing",            Vec::new()),
            ("gzip",    "not compressed",     body("plain")),
            ("gzip",    "zlib",               zlib(&body("a"))),
            ("deflate", "without zlib's head", raw_deflate.to_vec()),
        ];
        for (coding, what, bytes) in cases {
            let heard = heard_from(async |server, stream| {
                let bytes = [
                    headers_with(stream, &[("grpc-encoding", coding)]),
                    message(stream, "first"),
                    data(stream, &framed(true, &bytes)),
                    trailers_ok(stream),
                ];
                server.write(&bytes.concat()).await;
            })
            .await;
            assert_eq!(heard.messages, ["first"], "{what}");
            let status = heard.end.expect_err(what);
            assert_eq!(status.code, Code::Internal, "{what}: {status}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn p041_p227_p232_a_request_is_compressed_where_it_is_asked_for_and_helps() {
        let long = "many words ".repeat(100);
        let mut line = Line::new();
        let channel = line.channel.clone();
        let request = Request::new(()).with_encoding(Encoding::Gzip);
        let ((mut outbound, _inbound), mut server) = tokio::join!(bidi(&channel, request), async {
            let mut server = line.accept().await;
            let call = server.request().await;
            assert_eq!(call.field("grpc-encoding"), "gzip");
            server
        });
        outbound.send(long.clone()).await.unwrap();
        let first = server.frame_on(1).await.unwrap().payload;
        assert_eq!(first[0], 1);
        assert!(first.len() < 100, "{}", first.len());
        // One that would grow, one that is empty, and one for which it was switched off.
        for text in ["a", ""] {
            outbound.send(text.to_owned()).await.unwrap();
            assert_eq!(server.frame_on(1).await.unwrap().payload, encoded(text));
        }
        outbound.set_encoding(Encoding::Identity).unwrap();
        outbound.send(long.clone()).await.unwrap();
        assert_eq!(server.frame_on(1).await.unwrap().payload, encoded(&long));
        outbound.set_encoding(Encoding::Deflate).unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn p227_p228_nothing_is_compressed_by_default_and_the_client_says_what_it_reads() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    let _call = tokio::spawn(async move { unary(&channel, "words ".repeat(100)).await });
    let mut server = line.accept().await;
    let call = server.request().await;
    assert_eq!(call.field("grpc-encoding"), "");
    if cfg!(feature = "gzip") {
        assert_eq!(
            call.field("grpc-accept-encoding"),
            "identity, gzip, deflate"
        );
    }
    assert_eq!(
        server.messages_of(call.stream, 9).await,
        ["words ".repeat(100)]
    );
}

/// A pair of halves, each to be used in a task of its own.
async fn open(line: &mut Line) -> (Outbound<String>, Inbound<String>, RawServer) {
    let channel: Channel = line.channel.clone();
    let ((outbound, inbound), server) = tokio::join!(bidi(&channel, ()), async {
        let mut server = line.accept().await;
        server.request().await;
        server
    });
    (outbound, inbound, server)
}

#[tokio::test(start_paused = true)]
async fn p048_a_server_may_speak_first() {
    let mut line = Line::new();
    let (mut outbound, mut inbound, mut server) = open(&mut line).await;
    // Headers, and a message, before the client has said anything.
    server
        .write(&[headers(1), message(1, "hello")].concat())
        .await;
    assert_eq!(
        within(inbound.next()).await.unwrap().as_deref(),
        Some("hello")
    );
    outbound.send("hello yourself".to_owned()).await.unwrap();
    assert_eq!(server.messages_of(1, 1).await, ["hello yourself"]);
    server.write(&trailers_ok(1)).await;
    assert_eq!(within(inbound.next()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn p048_a_client_may_speak_before_the_server_s_headers() {
    let mut line = Line::new();
    let (mut outbound, mut inbound, mut server) = open(&mut line).await;
    // A server that answers each message, and sends its headers with the first answer.
    for text in ["one", "two", "three"] {
        within(outbound.send(text.to_owned())).await.unwrap();
        assert_eq!(server.messages_of(1, 1).await, [text]);
        if text == "one" {
            server.write(&headers(1)).await;
        }
        server.write(&message(1, text)).await;
        assert_eq!(within(inbound.next()).await.unwrap().as_deref(), Some(text));
    }
    outbound.finish().unwrap();
    server.write(&trailers_ok(1)).await;
    assert_eq!(within(inbound.next()).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn p092_headers_can_be_waited_for_alone() {
    let mut line = Line::new();
    let (_outbound, mut inbound, mut server) = open(&mut line).await;
    server
        .write(&headers_with(1, &[("x-initial", "early")]))
        .await;
    let initial = within(inbound.headers()).await.unwrap();
    assert_eq!(initial.get("x-initial"), Some("early"));
    server
        .write(&[message(1, "a"), trailers_ok(1)].concat())
        .await;
    assert_eq!(within(inbound.next()).await.unwrap().as_deref(), Some("a"));
    // They stay.
    let initial = within(inbound.headers()).await.unwrap();
    assert_eq!(initial.get("x-initial"), Some("early"));
    assert_eq!(within(inbound.next()).await.unwrap(), None);
    let initial = within(inbound.headers()).await.unwrap();
    assert_eq!(initial.get("x-initial"), Some("early"));
}

/// The halves live in two tasks; whatever the one waits for, the other must not keep it from it.
#[tokio::test(start_paused = true)]
async fn p276_both_sides_send_ten_mebibytes_before_they_read() {
    let mut line = Line::new();
    let (mut outbound, mut inbound, mut server) = open(&mut line).await;
    let text = "x".repeat(100_000);
    let sending = {
        let text = text.clone();
        tokio::spawn(async move {
            for _ in 0..105 {
                outbound.send(text.clone()).await.unwrap();
            }
            outbound.finish().unwrap();
        })
    };
    // The server sends all that the windows of the client take (1 MiB), and the client does not read:
    // its sending goes on meanwhile.
    server.write(&headers(1)).await;
    let answer = encoded(&text).repeat(10);
    server.write(&data(1, &answer)).await;
    server
        .write(&[window(0, 20_000_000), window(1, 20_000_000)].concat())
        .await;
    let (sent, received) = tokio::join!(within(sending), server.messages_of(1, usize::MAX));
    sent.unwrap();
    assert_eq!(received.len(), 105);
    // And then the other way.
    let reading = tokio::spawn(async move { read_all(&mut inbound).await });
    for _ in 0..9 {
        idle().await;
        server.write(&data(1, &answer)).await;
    }
    server.write(&trailers_ok(1)).await;
    let heard = reading.await.unwrap();
    heard.end.unwrap();
    assert_eq!(heard.messages.len(), 100);
}

/// One half waits for what only the other half's polls bring on, in each order of events.
#[tokio::test(start_paused = true)]
async fn a_half_that_waits_is_woken_whoever_polls() {
    for seed in 1..200 {
        let mut chance = Chance(seed);
        let mut line = Line::new();
        let (mut outbound, mut inbound, mut server) = open(&mut line).await;
        let sending = tokio::spawn(async move {
            // 20 messages of 10 KB: the window takes six.
            for _ in 0..20 {
                outbound.send("x".repeat(10_000)).await.unwrap();
            }
            outbound.finish().unwrap();
        });
        let reading = tokio::spawn(async move { read_all(&mut inbound).await });
        // Windows, headers and messages in an order of chance.
        let mut steps: Vec<Vec<u8>> = Vec::new();
        for _ in 0..20 {
            steps.push([window(0, 10_000), window(1, 10_000)].concat());
        }
        let mut answers = vec![headers(1)];
        answers.extend((0..10).map(|number: i32| message(1, &number.to_string())));
        let mut answers = answers.into_iter();
        while !steps.is_empty() || answers.len() > 0 {
            let from_answers = steps.is_empty() || answers.len() > 0 && chance.below(2) == 0;
            let bytes = if from_answers {
                answers.next().unwrap()
            } else {
                steps.pop().unwrap()
            };
            server.write(&bytes).await;
            match chance.below(3) {
                0 => idle().await,
                1 => tokio::task::yield_now().await,
                _ => {}
            }
        }
        within(sending).await.unwrap();
        assert_eq!(
            server.messages_of(1, usize::MAX).await.len(),
            20,
            "seed {seed}"
        );
        server.write(&trailers_ok(1)).await;
        let heard = within(reading).await.unwrap();
        heard.end.unwrap();
        assert_eq!(heard.messages.len(), 10);
    }
}

/// `send` may be dropped at any time: its message is sent wholly, or not at all.
#[tokio::test(start_paused = true)]
async fn a_send_that_is_dropped_leaves_no_half_message() {
    for seed in 1..100 {
        let mut chance = Chance(seed);
        let mut line = Line::new();
        let (mut outbound, mut inbound, mut server) = open(&mut line).await;
        let client = async {
            let mut dropped = 0;
            for number in 0..30 {
                let text = format!("{number:05}").repeat(2000);
                let most =
                    std::time::Duration::from_millis(u64::try_from(chance.below(4)).unwrap());
                if tokio::time::timeout(most, outbound.send(text))
                    .await
                    .is_err()
                {
                    dropped += 1;
                }
            }
            outbound.finish().unwrap();
            (dropped, read_all(&mut inbound).await)
        };
        let serve = async {
            let reading = async {
                let mut room = 65_535;
                let mut bytes = Vec::new();
                loop {
                    let frame = server.frame_on(1).await.unwrap();
                    bytes.extend(&frame.payload);
                    room -= frame.payload.len();
                    if frame.flags & END_STREAM != 0 {
                        return bytes;
                    }
                    if room < 10_000 {
                        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
                        let more = [window(0, 50_000), window(1, 50_000)];
                        server.write(&more.concat()).await;
                        room += 50_000;
                    }
                }
            };
            let bytes = within(reading).await;
            server.write(&[headers(1), trailers_ok(1)].concat()).await;
            bytes
        };
        let ((dropped, heard), bytes) = tokio::join!(client, serve);
        heard.end.unwrap();
        let mut deframer = barewire::wire::framing::Deframer::new(usize::MAX);
        deframer.push(bytes.into());
        let mut numbers = Vec::new();
        while let Some(message) = deframer.next_message().unwrap() {
            let text: String = prost::Message::decode(message.body).unwrap();
            assert_eq!(text, text[..5].repeat(2000), "seed {seed}");
            numbers.push(text[..5].parse::<u32>().unwrap());
        }
        deframer.finish().unwrap();
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(
            numbers.len() + dropped >= 30,
            "seed {seed}: {numbers:?}, {dropped}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_after_the_last_is_refused_here() {
    let mut line = Line::new();
    let (mut outbound, _inbound, mut server) = open(&mut line).await;
    outbound.finish().unwrap();
    let status = within(outbound.send("late".to_owned())).await.unwrap_err();
    assert_eq!(status.code, Code::Internal);
    outbound.finish().unwrap();
    let frames = server.unasked().await;
    assert_eq!(frames.len(), 1, "{frames:?}");
}

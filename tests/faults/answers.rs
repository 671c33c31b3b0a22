//! Rows 9 to 12 and 24: what a client makes of answers.

use barewire::{Code, Inbound, Origin, Replies, Request, ServerCall, Service, Serving, Status};

use crate::raw_server::{
    CANCEL, INTERNAL_ERROR, any_block, data, headers, message, path, read_all, reset, trailers,
    trailers_ok, trailers_only, within,
};
use crate::scene::{Scene, Stage, flagged, request};
use crate::support::{DATA, END_STREAM, Probe, encoded, frame, request_block};
use crate::tokio;

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn f09_an_answer_that_is_not_grpc_is_mapped_and_quoted_and_never_read_as_messages() {
    let cases = [
        ("400", Code::Internal),
        ("401", Code::Unauthenticated),
        ("403", Code::PermissionDenied),
        ("404", Code::Unimplemented),
        ("429", Code::Unavailable),
        ("502", Code::Unavailable),
        ("503", Code::Unavailable),
        ("504", Code::Unavailable),
        ("200", Code::Unknown),
        ("204", Code::Unknown),
        ("302", Code::Unknown),
        ("405", Code::Unknown),
        ("415", Code::Unknown),
        ("500", Code::Unknown),
        ("999", Code::Unknown),
    ];
    let mut stage = Stage::new().await;
    // A body that could be read as two messages, and one that is far too long to be quoted.
    let messages = encoded("a message, if one wants to see one").repeat(2);
    let page = format!("<html>sorry{}", "x".repeat(100_000));
    for (http, code) in cases {
        for body in [&messages[..], page.as_bytes()] {
            let fields = [(":status", http), ("content-type", "text/html")];
            let heard = stage.heard(async |server, stream| {
                let head = any_block(stream, 0, &fields);
                let end = trailers(stream, &[("x-end", "1")]);
                server.try_write(&[head, data(stream, body), end].concat()).await;
            }).await;
            assert!(heard.messages.is_empty(), "{http}: {:?}", heard.messages);
            let status = heard.end.expect_err(http);
            assert_eq!(status.code, code, "{status}");
            assert_eq!(status.origin, Origin::Local);
            assert!(status.message.contains(&format!("HTTP status {http}")), "{status}");
            assert!(status.message.contains("text/html"), "{status}");
            // What is quoted, and the words around it.
            assert!(status.message.len() < 1024 + 200, "{}", status.message.len());
            let start = if body == &messages[..] { "a message, if" } else { "<html>sorry" };
            assert!(status.message.contains(start), "{status}");
        }
    }
    stage.ends_well().await;
}

/// Ends of a response, and what they are.
type Ending = (&'static str, fn(u32) -> Vec<u8>, Code, &'static str);

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn f10_without_a_number_for_a_status_nothing_is_a_success() {
    let mut endings: Vec<Ending> = vec![
        ("no grpc-status",            |s| trailers(s, &[("x-end", "1")]),               Code::Unknown,     "trailers have no grpc-status"),
        ("no trailers at all",        |s| trailers(s, &[]),                             Code::Unknown,     "trailers have no grpc-status"),
        ("cut by the end of DATA",    |s| frame(DATA, END_STREAM, s, &[]),              Code::Internal,    "response ended without trailers"),
        ("cut inside a message",      |s| frame(DATA, END_STREAM, s, &encoded("b")[..4]), Code::Internal,  "response ended without trailers"),
        ("cut by RST_STREAM",         |s| reset(s, INTERNAL_ERROR),                     Code::Internal,    "INTERNAL_ERROR"),
        ("cut by RST_STREAM(CANCEL)", |s| reset(s, CANCEL),                             Code::Cancelled,   "CANCEL"),
        ("two of them",               |s| trailers(s, &[("grpc-status", "0"), ("grpc-status", "0")]), Code::Unknown, "grpc-status appears more than once"),
        ("no number",                 |s| trailers(s, &[("grpc-status", "OK")]),        Code::Unknown,     "grpc-status \"OK\" is not a number"),
        ("an empty one",              |s| trailers(s, &[("grpc-status", "")]),          Code::Unknown,     "grpc-status \"\" is not a number"),
        ("a sign",                    |s| trailers(s, &[("grpc-status", "+0")]),        Code::Unknown,     "grpc-status \"+0\" is not a number"),
        ("a number below zero",       |s| trailers(s, &[("grpc-status", "-1")]),        Code::Unknown,     "grpc-status \"-1\" is not a number"),
        ("a zero too many",           |s| trailers(s, &[("grpc-status", "00")]),        Code::Unknown,     "grpc-status \"00\" is not a number"),
        ("past 32 bits",              |s| trailers(s, &[("grpc-status", "4294967296")]), Code::Unknown,    "4294967296"),
        ("a number without a code",   |s| trailers(s, &[("grpc-status", "17")]),        Code::Unknown,     "grpc-status 17 has no meaning"),
    ];
    endings.push(("a second response", headers, Code::Internal, ""));
    let mut stage = Stage::new().await;
    for (what, end, code, said) in endings {
        let heard = stage.heard(async |server, stream| {
            let bytes = [headers(stream), message(stream, "a"), end(stream)];
            server.write(&bytes.concat()).await;
        }).await;
        assert_eq!(heard.messages, ["a"], "{what}");
        let status = heard.end.expect_err(what);
        assert_eq!(status.code, code, "{what}: {status}");
        assert!(status.message.contains(said), "{what}: {status}");
        assert!(!status.unprocessed, "{what}");
        // The one message of a unary call is not given out either.
        let answer = stage.unary(async |server, stream| {
            let bytes = [headers(stream), message(stream, "a"), end(stream)];
            server.write(&bytes.concat()).await;
        }).await;
        assert_eq!(answer.expect_err(what).code, code, "{what}");
    }
    stage.ends_well().await;
}

#[tokio::test(start_paused = true)]
async fn f11_trailers_over_the_limit_are_resource_exhausted_and_never_ok() {
    let mut stage = Stage::new().await;
    // 16 KiB are taken; h2 cuts above 64 KiB, and gives up on the connection far above that.
    for kib in [17, 40, 63, 65, 80] {
        let value = "v".repeat(kib * 1024);
        for (first, code) in [
            ("0", Code::ResourceExhausted),
            ("5", Code::ResourceExhausted),
        ] {
            let before = [("grpc-status", first), ("x-large", &*value)];
            let behind = [("x-large", &*value), ("grpc-status", first)];
            for fields in [before, behind] {
                let heard = stage
                    .heard(async |server, stream| {
                        let rest = [message(stream, "a"), trailers(stream, &fields)].concat();
                        server.write(&[headers(stream), rest].concat()).await;
                    })
                    .await;
                assert_eq!(heard.messages, ["a"]);
                let status = heard.end.expect_err("a status");
                assert_eq!(status.code, code, "{kib} KiB, {first}: {status}");
                assert!(
                    status.message.contains("larger than the limit of 16384"),
                    "{status}"
                );
                let only = stage
                    .heard(async |server, stream| {
                        server.write(&trailers_only(stream, &fields)).await;
                    })
                    .await;
                assert_eq!(
                    only.end.expect_err("a status").code,
                    code,
                    "{kib} KiB, {first}"
                );
            }
        }
    }
    stage.ends_well().await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn f12_a_text_in_bad_percent_encoding_is_kept_as_it_came() {
    let cases = [
        // grpc-message    the text
        ("%",              "%"),
        ("%4",             "%4"),
        ("%zz",            "%zz"),
        ("%%41",           "%A"),
        ("100% sure",      "100% sure"),
        ("a%2gb%20c",      "a%2gb c"),
        ("%e4%bd%a0",      "你"),
        ("%ff",            "\u{fffd}"),
    ];
    let mut stage = Stage::new().await;
    for (encoded, text) in cases {
        let fields = [("grpc-status", "5"), ("grpc-message", encoded)];
        let heard = stage.heard(async |server, stream| {
            server.write(&[headers(stream), trailers(stream, &fields)].concat()).await;
        }).await;
        let status = heard.end.unwrap_err();
        assert_eq!((status.code, &*status.message, status.origin), (Code::NotFound, text, Origin::Peer));
        let answer = stage.unary(async |server, stream| server.write(&trailers_only(stream, &fields)).await).await;
        let status = answer.unwrap_err();
        assert_eq!((status.code, &*status.message), (Code::NotFound, text));
    }
    stage.ends_well().await;
}

#[tokio::test(start_paused = true)]
async fn f24_the_first_error_of_a_stream_ends_it_at_a_client() {
    let mut stage = Stage::new().await;
    let channel = stage.line.channel.clone();
    type End = fn(u32) -> Vec<u8>;
    let ends: [End; 3] = [
        |s| reset(s, INTERNAL_ERROR),
        |s| [headers(s), reset(s, INTERNAL_ERROR)].concat(),
        |s| [headers(s), data(s, &flagged(9, b"x")), trailers_ok(s)].concat(),
    ];
    for end in ends {
        let server = &mut stage.server;
        let call = channel.server_streaming::<String, String>(path(), "ask".to_owned());
        let (mut inbound, ()) = tokio::join!(async { within(call).await.unwrap() }, async {
            let stream = server.request().await.stream;
            server.write(&end(stream)).await;
        });
        let first = within(inbound.next()).await.unwrap_err();
        assert_eq!(first.code, Code::Internal, "{first}");
        // h2 repeats the error of a stream for ever. Whoever goes on asking hears it, and never waits.
        for _ in 0..3 {
            match within(inbound.next()).await {
                Ok(None) => {}
                Err(again) => assert_eq!(
                    (again.code, again.message),
                    (first.code, first.message.clone())
                ),
                Ok(Some(message)) => panic!("{message:?} behind {first}"),
            }
        }
        let heard = read_all(&mut inbound).await;
        assert_eq!(heard.messages, [] as [String; 0]);
    }
    stage.ends_well().await;
}

/// Asks for requests also behind an error, three times, and answers with what it was told.
struct Stubborn(Probe);

impl Service for Stubborn {
    fn name(&self) -> &'static str {
        "test.Probe"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        if call.method() != "Stubborn" {
            return self.0.serve(call);
        }
        Box::pin(async move {
            let mut requests: Request<Inbound<String>> = call.requests();
            let mut replies: Replies<String> = call.replies();
            let mut errors = 0;
            while errors < 3 {
                match requests.next().await {
                    Ok(Some(message)) => replies.send(message).await?,
                    Ok(None) => return Ok(()),
                    Err(status) => {
                        errors += 1;
                        replies.send(status.code.name().to_owned()).await?;
                    }
                }
            }
            Err(Status::aborted("enough"))
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f24_the_first_error_of_a_stream_ends_it_at_a_server() {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let scene = Scene::serving(Stubborn(probe), seen).await;
    let mut caller = scene.raw().await;
    caller
        .say(&[
            request(3, &request_block("Stubborn")),
            frame(DATA, 0, 3, &encoded("one")),
            frame(DATA, END_STREAM, 3, &flagged(9, b"x")),
        ])
        .await;
    let answer = caller.answer(3).await;
    // Whoever goes on asking hears it again, and what the handler makes of it is the outcome.
    assert_eq!(answer.messages, ["one", "INTERNAL", "INTERNAL", "INTERNAL"]);
    assert_eq!((answer.code(), answer.text()), (Some("10"), "enough"));
    caller.ends_well().await;
    scene.ends_well().await;
}

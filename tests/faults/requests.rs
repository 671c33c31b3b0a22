//! Rows 1 to 8: what clients begin with, and what their requests are made of.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use barewire::{
    CallRecord, CallStart, Code, Counter, Interceptor, Request, Server, ServerConfig, Status,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::raw_server::{
    CANCEL, INTERNAL_ERROR, PROTOCOL_ERROR, data, headers, headers_with, message, path, trailers,
    trailers_ok, unary, within,
};
use crate::scene::{CANARY_METHOD, Scene, Stage, counted, flagged, request};
use crate::support::{
    Answer, DATA, END_HEADERS, END_STREAM, HEADERS, Probe, block, connect, encoded, frame, hits,
    request_block,
};
use crate::tokio;

const METHOD: (&str, &str) = (":method", "POST");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "localhost");
const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// The header block of a call of Echo, with more fields.
fn echo_with(fields: &[(&str, &str)]) -> Vec<u8> {
    [request_block("Echo"), block(fields)].concat()
}

/// The end of a request, with these bytes before it.
fn last(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, bytes)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The protobuf of a text.
fn body(text: &str) -> Vec<u8> {
    prost::Message::encode_to_vec(&text.to_owned())
}

fn outcome(answer: &Answer) -> (Option<&str>, String) {
    (answer.code(), answer.text().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[rustfmt::skip]
async fn f01_what_is_not_http2_is_closed_and_counted_by_kind() {
    // A ClientHello of TLS 1.2 and one of TLS 1.3 begin alike. RFC 8446 §5.1.
    let hello = [&[0x16, 3, 1, 0, 64, 1, 0, 0, 60, 3, 3][..], &[7; 58]].concat();
    let cases: [(&[u8], &str, Counter); 6] = [
        // what comes                                what goes back   counted as
        (&hello,                                     "",              Counter::NotHttp2Tls),
        (b"\x16",                                    "",              Counter::NotHttp2Tls),
        (b"hello?\r\n",                              "",              Counter::NotHttp2Junk),
        (b"\0\0\x12\x04\0\0\0\0\0",                  "",              Counter::NotHttp2Junk), // HTTP/2 without its preface
        (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n",       "HTTP/1.1 505 ", Counter::NotHttp2Http1),
        (b"POST /test.Probe/Echo HTTP/1.0\r\n\r\n",  "HTTP/1.1 505 ", Counter::NotHttp2Http1),
    ];
    let scene = Scene::new().await;
    for (bytes, expected, counter) in cases {
        let before = scene.counters.of(counter);
        let mut io = connect(scene.address).await;
        io.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(crate::support::PATIENCE, io.read_to_end(&mut answer));
        // A reset is an end too: it comes where bytes are left unread.
        let _ = closed.await.expect("an end in time");
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(expected), "{}: {answer:?}", bytes.escape_ascii());
        assert_eq!(answer.is_empty(), expected.is_empty(), "{}: {answer:?}", bytes.escape_ascii());
        counted(&scene.counters, counter, before + 1).await;
    }
    scene.ends_well().await;
}

/// What the layers of a server know a call by.
#[derive(Clone, Default)]
struct Paths(Arc<Mutex<Vec<String>>>);

impl Paths {
    fn add(&self, layer: &str, path: &str) {
        self.0.lock().unwrap().push(format!("{layer} {path}"));
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Interceptor for Paths {
    async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
        let path = call.path();
        if path.method() != CANARY_METHOD {
            self.add("before", path.as_str());
            self.add("parts", &format!("/{}/{}", path.service(), path.method()));
        }
        Ok(())
    }

    fn after(&self, call: &CallRecord<'_>) {
        if call.path.method() != CANARY_METHOD {
            self.add("after", call.path.as_str());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[rustfmt::skip]
async fn f02_a_path_is_checked_before_any_interceptor_and_is_one_for_all() {
    let probe = Probe::default();
    let seen = Arc::clone(&probe.seen);
    let paths = Paths::default();
    let scene = Scene::of(Server::new().add(probe).intercept(paths.clone()), seen).await;
    let mut caller = scene.raw().await;
    // The neighbour's.
    assert_eq!(paths.take(), ["before /test.Probe/Chat", "parts /test.Probe/Chat"]);

    let not_paths = ["/Echo", "/", "//Echo", "/test.Probe/", "/test.Probe/Echo/", "*"];
    let mut stream = 1;
    for path in not_paths {
        stream += 2;
        let block = block(&[METHOD, SCHEME, (":path", path), AUTHORITY, GRPC]);
        caller.say(&[request(stream, &block), last(stream, &encoded("hello"))]).await;
        let answer = caller.answer(stream).await;
        let text = format!("path \"{path}\" is not /service/method");
        assert_eq!(outcome(&answer), (Some("12"), text));
        assert_eq!(paths.take(), [] as [String; 0], "{path}");
    }
    // h2 has a word for what is no path at all.
    for path in ["", "test.Probe/Echo", "/test.Probe/Ec ho", "http://a/test.Probe/Echo"] {
        stream += 2;
        let block = block(&[METHOD, SCHEME, (":path", path), AUTHORITY, GRPC]);
        caller.say(&[request(stream, &block), last(stream, &encoded("hello"))]).await;
        let answer = caller.answer(stream).await;
        assert_eq!(answer.reset, Some(h2::Reason::PROTOCOL_ERROR), "{path:?}");
        assert_eq!(paths.take(), [] as [String; 0], "{path}");
    }
    // Byte for byte, whatever else it might mean.
    for path in ["/test.Probe/Echo", "/test.Probe/%45cho", "/test.Probe/Echo?x", "/test.probe/Echo", "/a/b/C"] {
        stream += 2;
        let block = block(&[METHOD, SCHEME, (":path", path), AUTHORITY, GRPC]);
        caller.say(&[request(stream, &block), last(stream, &encoded("hello"))]).await;
        let answer = caller.answer(stream).await;
        let expected = if path == "/test.Probe/Echo" { "0" } else { "12" };
        assert_eq!(answer.code(), Some(expected), "{path}: {}", answer.text());
        let layers = ["before", "parts", "after"].map(|layer| format!("{layer} {path}"));
        assert_eq!(paths.take(), layers);
    }
    caller.ends_well().await;
    scene.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[rustfmt::skip]
async fn f03_what_is_no_grpc_gets_405_or_415_in_words() {
    let cases = [
        // method   content-type                       HTTP   in words
        ("GET",     Some("application/grpc"),          405,   "This is a gRPC server"),
        ("HEAD",    Some("application/grpc"),          405,   "This is a gRPC server"),
        ("OPTIONS", None,                              405,   "This is a gRPC server"),
        ("PUT",     Some("application/grpc"),          405,   "This is a gRPC server"),
        ("POUST",   Some("application/grpc"),          405,   "This is a gRPC server"),
        ("POST",    None,                              415,   "This is a gRPC server"),
        ("POST",    Some(""),                          415,   "This is a gRPC server"),
        ("POST",    Some("text/html"),                 415,   "This is a gRPC server"),
        ("POST",    Some("application/grpcfoo"),       415,   "This is a gRPC server"),
        ("POST",    Some("application/grpc-web+proto"), 415,  "This is a gRPC server"),
        ("POST",    Some("application/grpc+json"),     415,   "This is a gRPC server"),
    ];
    let scene = Scene::new().await;
    let mut caller = scene.raw().await;
    for (number, (method, content_type, http, words)) in (1..).zip(cases) {
        let stream = number * 2 + 1;
        let mut fields = vec![(":method", method), SCHEME, (":path", "/test.Probe/Never"), AUTHORITY];
        fields.extend(content_type.map(|value| ("content-type", value)));
        caller.say(&[request(stream, &block(&fields)), last(stream, &encoded("hello"))]).await;
        let answer = caller.answer(stream).await;
        // The README tells why there is no grpc-status.
        assert_eq!((answer.http_status, answer.code()), (http, None), "{method} {content_type:?}");
        assert!(method == "HEAD" || answer.body.starts_with(words), "{method} {content_type:?}: {}", answer.body);
    }
    // A handler of Never would be there still: this waits until there is none.
    caller.ends_well().await;
    scene.ends_well().await;
}

/// A way to spoil a message: coding, the message with its prefix, and what is said of it.
type Spoiled = (&'static str, Option<&'static str>, Vec<u8>, &'static str);

fn spoiled() -> Vec<Spoiled> {
    let hello = body("hello");
    let good = gzip(&hello);
    let mut broken = good.clone();
    *broken.last_mut().unwrap() ^= 0xff;
    let cut = good[..good.len() - 1].to_vec();
    let trailing = [&good[..], b"x"].concat();
    let members = [&good[..], &good].concat();
    let (gzip, deflate) = (Some("gzip"), Some("deflate"));
    #[rustfmt::skip]
    let all = vec![
        // what                      coding    bytes                          said of it
        ("flag 2",                   None,     flagged(2, &hello),            "message flag 0x02 is neither 0 (plain) nor 1 (compressed)"),
        ("flag 128",                 gzip,     flagged(0x80, &hello),         "message flag 0x80 is neither 0 (plain) nor 1 (compressed)"),
        ("flag 255",                 None,     flagged(0xff, b""),            "message flag 0xff is neither 0 (plain) nor 1 (compressed)"),
        ("flag 1 without a coding",  None,     flagged(1, &good),             "message flag is 1 (compressed) but grpc-encoding is absent or identity"),
        ("flag 1 with identity",     Some("identity"), flagged(1, &good),     "message flag is 1 (compressed) but grpc-encoding is absent or identity"),
        ("broken gzip",              gzip,     flagged(1, &broken),           "message is not valid gzip: "),
        ("gzip that is cut",         gzip,     flagged(1, &cut),              "message is not valid gzip: "),
        ("no gzip",                  gzip,     flagged(1, b"hello"),          "message is not valid gzip: "),
        ("no gzip and no bytes",     gzip,     flagged(1, b""),               "message is not valid gzip: "),
        ("gzip where zlib is due",   deflate,  flagged(1, &good),             "message is not valid deflate: "),
        ("two members",              gzip,     flagged(1, &members),          " bytes follow the end of the gzip message"),
        ("a byte behind it",         gzip,     flagged(1, &trailing),         "1 bytes follow the end of the gzip message"),
        ("gzip of no protobuf",      gzip,     flagged(1, &self::gzip(b"\xff\xff")), "message is not valid protobuf: "),
        ("cut in its prefix",        None,     flagged(0, &hello)[..3].to_vec(), "stream ended inside a message, 2 bytes or more before its end"),
        ("cut in its body",          None,     flagged(0, &hello)[..9].to_vec(), "stream ended inside a message, 3 bytes or more before its end"),
        ("no protobuf",              None,     flagged(0, b"\xff\xff\xff"),   "message is not valid protobuf: "),
        ("protobuf that is cut",     None,     flagged(0, &hello[..4]),       "message is not valid protobuf: "),
        ("text that is no UTF-8",    None,     flagged(0, b"\x0a\x01\xff"),   "message is not valid protobuf: "),
    ];
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f04_a_message_that_cannot_be_read_is_internal_at_a_server() {
    let scene = Scene::new().await;
    let mut caller = scene.raw().await;
    // As the one message of a request, and as one of a stream.
    let methods = ["Echo", "Sum"];
    let cases = methods.map(|method| spoiled().into_iter().map(move |case| (method, case)));
    for (number, (method, (what, coding, bytes, said))) in (1..).zip(cases.into_iter().flatten()) {
        let stream = number * 2 + 1;
        let fields = coding.map(|coding| ("grpc-encoding", coding));
        let block = [request_block(method), block(fields.as_slice())].concat();
        caller
            .say(&[request(stream, &block), last(stream, &bytes)])
            .await;
        let answer = caller.answer(stream).await;
        assert_eq!(answer.code(), Some("13"), "{method}: {what}");
        assert!(answer.text().contains(said), "{what}: {}", answer.text());
        assert!(answer.messages.is_empty(), "{what}");
    }
    caller.ends_well().await;
    scene.ends_well().await;
}

#[tokio::test(start_paused = true)]
async fn f04_a_message_that_cannot_be_read_is_internal_at_a_client() {
    let mut stage = Stage::new().await;
    for (what, coding, bytes, said) in spoiled() {
        let response = |stream| {
            let fields = coding.map(|coding| ("grpc-encoding", coding));
            let parts = [
                headers_with(stream, fields.as_slice()),
                data(stream, &bytes),
                trailers_ok(stream),
            ];
            parts.concat()
        };
        let heard = stage
            .heard(async |server, stream| server.write(&response(stream)).await)
            .await;
        let status = heard.end.expect_err(what);
        assert_eq!(status.code, Code::Internal, "{what}: {status}");
        assert!(status.message.contains(said), "{what}: {status}");
        assert!(heard.messages.is_empty(), "{what}");
        let answer = stage
            .unary(async |server, stream| server.write(&response(stream)).await)
            .await;
        let status = answer.expect_err(what);
        assert_eq!(status.code, Code::Internal, "{what}: {status}");
    }
    stage.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f05_an_unknown_coding_is_unimplemented_and_the_known_ones_are_told() {
    let scene = Scene::new().await;
    let mut caller = scene.raw().await;
    for (number, coding) in (1..).zip(["br", "snappy", "GZIP", "gzip, deflate", ""]) {
        let stream = number * 2 + 1;
        let block = echo_with(&[("grpc-encoding", coding)]);
        // Nobody waits for the message, which would be plain.
        caller.say(&[request(stream, &block)]).await;
        let answer = caller.answer(stream).await;
        let text = format!(
            "grpc-encoding \"{coding}\" is not supported; supported: identity, gzip, deflate"
        );
        assert_eq!(outcome(&answer), (Some("12"), text));
        assert_eq!(
            answer.headers["grpc-accept-encoding"],
            "identity, gzip, deflate"
        );
    }
    caller.ends_well().await;
    scene.ends_well().await;
}

#[tokio::test(start_paused = true)]
async fn f05_an_unknown_coding_of_a_response_is_internal() {
    let mut stage = Stage::new().await;
    for coding in ["br", "snappy", "GZIP", "gzip, deflate", ""] {
        let heard = stage
            .heard(async |server, stream| {
                let head = headers_with(stream, &[("grpc-encoding", coding)]);
                let rest = [message(stream, "a"), trailers_ok(stream)].concat();
                server.write(&[head, rest].concat()).await;
            })
            .await;
        let status = heard.end.unwrap_err();
        assert_eq!(status.code, Code::Internal, "{coding:?}: {status}");
        assert_eq!(
            status.message,
            format!(
                "grpc-encoding \"{coding}\" of the response is not supported; supported: identity, gzip, deflate"
            )
        );
        assert!(heard.messages.is_empty());
    }
    stage.ends_well().await;
}

const NONE_CAME: &str = "exactly one message is due, but none came";
const SECOND_CAME: &str = "exactly one message is due, but a second one came";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f06_no_message_or_two_where_one_is_due_are_unimplemented_at_a_server() {
    let scene = Scene::new().await;
    let mut caller = scene.raw().await;
    let two = [encoded("1"), encoded("2")].concat();
    let cases: [(&str, &[u8], &str); 6] = [
        ("Echo", b"", NONE_CAME),
        ("Echo", &two, SECOND_CAME),
        ("Echo", &two.repeat(2), SECOND_CAME),
        ("Count", b"", NONE_CAME),
        ("Count", &two, SECOND_CAME),
        ("Count", &two.repeat(2), SECOND_CAME),
    ];
    for (number, (method, bytes, text)) in (1..).zip(cases) {
        let stream = number * 2 + 1;
        caller
            .say(&[request(stream, &request_block(method)), last(stream, bytes)])
            .await;
        let answer = caller.answer(stream).await;
        assert_eq!(outcome(&answer), (Some("12"), text.to_owned()), "{method}");
        assert!(answer.messages.is_empty(), "{method}");
    }
    caller.ends_well().await;
    scene.ends_well().await;
}

#[tokio::test(start_paused = true)]
async fn f06_no_message_or_two_where_one_is_due_are_unimplemented_at_a_client() {
    let mut stage = Stage::new().await;
    let cases: [(&[&str], &str); 3] = [
        (&[], NONE_CAME),
        (&["a", "b"], SECOND_CAME),
        (&["a", "b", "c"], SECOND_CAME),
    ];
    for (texts, said) in cases {
        let response = |stream| {
            let messages = texts.iter().map(|text| message(stream, text));
            let messages = messages.collect::<Vec<_>>().concat();
            [headers(stream), messages, trailers_ok(stream)].concat()
        };
        let answer = stage
            .unary(async |server, stream| server.write(&response(stream)).await)
            .await;
        let status = answer.unwrap_err();
        assert_eq!((status.code, &*status.message), (Code::Unimplemented, said));

        // The answer to a stream of requests.
        let channel = stage.line.channel.clone();
        let call = channel.client_streaming::<String, String>(path(), ());
        let server = &mut stage.server;
        let client = async {
            let (mut outbound, inbound) = within(call).await.unwrap();
            // The answer may be there already.
            let _ = outbound.finish();
            within(inbound.single()).await
        };
        let (answer, ()) = tokio::join!(client, async {
            let stream = server.request().await.stream;
            server.write(&response(stream)).await;
        });
        let status = answer.unwrap_err();
        assert_eq!((status.code, &*status.message), (Code::Unimplemented, said));
    }
    stage.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[rustfmt::skip]
async fn f07_a_field_that_cannot_be_read_ends_its_call_alone() {
    let scene = Scene::new().await;
    let mut caller = scene.raw().await;
    let internal = |text: &str| Ok(("13".to_owned(), text.to_owned()));
    let host = block(&[METHOD, SCHEME, (":path", "/test.Probe/Echo"), GRPC, ("host", "a"), ("host", "b")]);
    let authorities = block(&[METHOD, SCHEME, (":path", "/test.Probe/Echo"), AUTHORITY, AUTHORITY, GRPC]);
    let cases = [
        // the block                                         what becomes of the call
        (echo_with(&[("x-bin", "***")]),                     internal("value of x-bin is not base64")),
        (echo_with(&[("x-bin", "A")]),                       internal("value of x-bin is not base64")),
        (echo_with(&[("x-bin", "AA=A")]),                    internal("value of x-bin is not base64")),
        (echo_with(&[("x-bin", "AAAA"), ("x-bin", "-_-_")]), internal("value of x-bin is not base64")),
        (echo_with(&[("grpc-timeout", "")]),                 internal("grpc-timeout \"\" has no unit of H M S m u n")),
        (echo_with(&[("grpc-timeout", "5x")]),               internal("grpc-timeout \"5x\" has no unit of H M S m u n")),
        (echo_with(&[("grpc-timeout", "S")]),                internal("grpc-timeout \"S\" is not 1 to 8 digits and a unit")),
        (echo_with(&[("grpc-timeout", "123456789S")]),       internal("grpc-timeout \"123456789S\" is not 1 to 8 digits and a unit")),
        (echo_with(&[("grpc-timeout", "-1S")]),              internal("grpc-timeout \"-1S\" is not 1 to 8 digits and a unit")),
        (host,                                               internal("host appears more than once")),
        // A client makes INTERNAL of it: `tests/client/resets.rs`.
        (authorities,                                        Err(h2::Reason::PROTOCOL_ERROR)),
    ];
    for (number, (block, expected)) in (1..).zip(cases) {
        let stream = number * 2 + 1;
        caller.say(&[request(stream, &block), last(stream, &encoded("hello"))]).await;
        let answer = caller.answer(stream).await;
        let found = match answer.reset {
            Some(reason) => Err(reason),
            None => Ok((answer.code().unwrap().to_owned(), answer.text().to_owned())),
        };
        assert_eq!(found, expected);
    }
    caller.ends_well().await;
    scene.ends_well().await;
}

#[tokio::test(start_paused = true)]
async fn f07_a_value_that_a_client_cannot_read_ends_its_call_alone() {
    let mut stage = Stage::new().await;
    for value in ["***", "A", "AA=A", "-_-_"] {
        for at_the_end in [false, true] {
            let heard = stage
                .heard(async |server, stream| {
                    let field = ("x-bin", value);
                    let (first, last) = if at_the_end {
                        (
                            headers(stream),
                            trailers(stream, &[("grpc-status", "0"), field]),
                        )
                    } else {
                        (headers_with(stream, &[field]), trailers_ok(stream))
                    };
                    server
                        .write(&[first, message(stream, "a"), last].concat())
                        .await;
                })
                .await;
            let status = heard.end.unwrap_err();
            assert_eq!(
                (status.code, &*status.message),
                (Code::Internal, "value of x-bin is not base64")
            );
        }
    }
    // What a server of ours answers to two :authority.
    for (code, expected) in [
        (PROTOCOL_ERROR, Code::Internal),
        (INTERNAL_ERROR, Code::Internal),
        (CANCEL, Code::Cancelled),
    ] {
        let answer = stage
            .unary(async |server, stream| {
                server.write(&crate::raw_server::reset(stream, code)).await;
            })
            .await;
        assert_eq!(answer.unwrap_err().code, expected);
    }
    stage.ends_well().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f08_a_timeout_of_zero_runs_no_handler_and_a_long_one_is_cut() {
    let probe = Probe::default();
    let seen = Arc::clone(&probe.seen);
    let paths = Paths::default();
    let scene = Scene::of(Server::new().add(probe).intercept(paths.clone()), seen).await;
    let mut caller = scene.raw().await;
    paths.take();
    for (number, timeout) in (1..).zip(["0n", "0H", "00000000m"]) {
        let stream = number * 2 + 1;
        let block = echo_with(&[("grpc-timeout", timeout)]);
        caller
            .say(&[request(stream, &block), last(stream, &encoded("hello"))])
            .await;
        let answer = caller.answer(stream).await;
        assert_eq!(answer.code(), Some("4"), "{timeout}: {}", answer.text());
        assert_eq!(paths.take(), ["after /test.Probe/Echo"], "nobody was asked");
    }
    // More than a hundred years, up to eleven thousand.
    for (number, timeout) in (10..).zip(["876001H", "99999999M", "99999999H"]) {
        let stream = number * 2 + 1;
        let block = echo_with(&[("grpc-timeout", timeout)]);
        caller
            .say(&[request(stream, &block), last(stream, &encoded("hello"))])
            .await;
        let answer = caller.answer(stream).await;
        assert_eq!(outcome(&answer), (Some("0"), String::new()), "{timeout}");
        assert_eq!(answer.messages, ["hello"]);
    }
    caller.ends_well().await;
    scene.ends_well().await;
}

#[tokio::test(start_paused = true)]
async fn f08_a_client_sends_no_call_that_is_late_and_no_timeout_that_is_too_long() {
    let mut stage = Stage::new().await;
    let channel = stage.line.channel.clone();
    let ask = |timeout| Request::new("ask".to_owned()).with_timeout(timeout);
    let status = unary(&channel, ask(Duration::ZERO)).await.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded, "{status}");
    assert!(status.unprocessed, "{status}");
    assert_eq!(stage.server.unasked().await, []);
    // A hundred years of 365 days, in minutes; and what eight digits can say.
    let two_centuries = Duration::from_secs(200 * 365 * 24 * 3600);
    for (timeout, said) in [(Duration::MAX, "52560000M"), (two_centuries, "1752000H")] {
        let server = &mut stage.server;
        let (answer, ()) = tokio::join!(unary(&channel, ask(timeout)), async {
            let call = server.request().await;
            assert_eq!(call.field("grpc-timeout"), said);
            server.messages_of(call.stream, 1).await;
            server
                .write(&crate::raw_server::answer(call.stream, "well"))
                .await;
        });
        assert_eq!(answer.unwrap().message, "well");
    }
    stage.ends_well().await;
}

/// The counters say nothing of these rows: no limit was hit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_calls_are_no_limits() {
    let scene = Scene::with(ServerConfig::default()).await;
    let mut caller = scene.raw().await;
    let block = echo_with(&[("grpc-timeout", "5x")]);
    caller
        .say(&[frame(HEADERS, END_HEADERS | END_STREAM, 3, &block)])
        .await;
    assert_eq!(caller.answer(3).await.code(), Some("13"));
    assert_eq!(hits(&scene.counters), []);
    caller.ends_well().await;
    scene.ends_well().await;
}

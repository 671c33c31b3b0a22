//! Interceptors of a server: what they see, what they may do, and when they are told.

use std::sync::Arc;
use std::time::Duration;

use barewire::{
    CallRecord, CallSpans, CallStart, Code, Deadline, Inbound, Interceptor, Replies, Request,
    Response, Server, ServerCall, ServerConfig, Service, Serving, Side, Status,
};
use bytes::Bytes;
use tokio::io::DuplexStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::info_span;

use crate::recorder::{Manner, Notes, Spans, code, traffic};
use crate::support::{Client, Probe, encoded};
use crate::tokio;

/// Serves one end of a pipe, and yields the other.
fn served(server: Server) -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    tokio::spawn(server.serve_io(theirs));
    ours
}

async fn client(server: Server) -> Client {
    Client::over(served(server)).await
}

#[tokio::test]
#[rustfmt::skip]
async fn hooks_run_once_for_calls_of_all_kinds_in_order_and_back() {
    let notes = Notes::default();
    let counts = notes.clone();
    let server = Server::new()
        .add(Probe::default())
        .intercept(notes.recorder("a"))
        .intercept(notes.recorder("b"))
        .intercept(move |call: &CallRecord<'_>| counts.add(traffic(call)));
    let client = client(server).await;
    let cases: &[(&str, &[&str], &str)] = &[
        // method  request           what goes in and out: a prefix is 5 B, tag and length are 2 B
        ("Echo",   &["hello"],       "in 1 msg 12 B out 1 msg 12 B"),
        ("Count",  &["3"],           "in 1 msg 8 B out 3 msg 24 B"),
        ("Sum",    &["a", "", "bc"], "in 3 msg 22 B out 1 msg 10 B"),  // an empty message is its prefix
        ("Chat",   &["a", "b"],      "in 2 msg 16 B out 2 msg 16 B"),
    ];
    for (method, messages, traffic) in cases {
        let answer = client.call(method, messages).await;
        assert_eq!(answer.code(), Some("0"), "{answer:?}");
        let expected = [
            &*format!("before a {method}"), &*format!("before b {method}"), traffic, "after b OK", "after a OK",
        ];
        assert_eq!(notes.wait_for(5).await, expected, "{method}");
    }
}

/// The handler has returned, but its reply waits for room: the call is not over.
#[tokio::test(start_paused = true)]
async fn a_reply_that_finds_no_room_before_the_deadline_is_told_as_late() {
    let notes = Notes::default();
    let server = Server::new()
        .add(Probe::default())
        .intercept(notes.recorder("a"));
    let client = client(server).await;
    let mut call = client.start("Echo", &[("grpc-timeout", "1S")]).await;
    // More than the client's window takes, and nobody reads.
    call.send_message(&"v".repeat(100_000)).await;
    call.send.send_data(Bytes::new(), true).unwrap();
    let told = notes.wait_for(2).await;
    assert_eq!(told, ["before a Echo", "after a DEADLINE_EXCEEDED"]);
}

/// Leaves a word for the handler.
#[derive(Clone)]
struct Word(&'static str);

/// Tells what it finds.
struct Spy(Spans);

impl Service for Spy {
    fn name(&self) -> &'static str {
        "test.Probe"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            match call.method() {
                // What interceptors have changed.
                "Look" => {
                    let request: Request<String> = call.request().await?;
                    let Word(word) = request.extensions.get().unwrap();
                    let metadata = &request.metadata;
                    let answer = format!(
                        "{word}, {:?}, {:?}, {:?}",
                        metadata.get("x-added"),
                        metadata.get("x-removed"),
                        request.deadline.map(Deadline::remaining),
                    );
                    call.reply(Response::new(answer)).await
                }
                // In which spans each turn of the handler runs.
                _ => {
                    let spans = self.0.clone();
                    let mut requests: Request<Inbound<String>> = call.requests();
                    let mut replies: Replies<String> = call.replies();
                    while requests.next().await?.is_some() {
                        replies.send(spans.inside()).await?;
                        tokio::task::yield_now().await;
                    }
                    let _told = Told(spans);
                    std::future::ready(()).await;
                    Ok(())
                }
            }
        })
    }
}

/// Its destructor runs in the span as well.
struct Told(Spans);

impl Drop for Told {
    fn drop(&mut self) {
        assert_ne!(self.0.inside(), "");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_interceptor_changes_the_handler_finds() {
    struct Changes(Notes);

    impl Interceptor for Changes {
        async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
            assert_eq!(call.side(), Side::Server);
            assert!(!call.is_secure());
            let seen = format!(
                "{} {} {} {:?} {:?}",
                call.path(),
                call.peer().unwrap(),
                call.authority().unwrap(),
                call.metadata.get("x-removed"),
                call.deadline().map(Deadline::remaining),
            );
            self.0.add(seen);
            call.metadata.remove("x-removed");
            call.metadata.insert("x-added", "by me")?;
            call.extensions.insert(Word("hello"));
            call.shorten_deadline(Deadline::after(Duration::from_secs(7)));
            call.shorten_deadline(Deadline::after(Duration::from_secs(700)));
            Ok(())
        }

        fn after(&self, call: &CallRecord<'_>) {
            assert_eq!(call.side, Side::Server);
            let Word(word) = call.extensions.get().unwrap();
            let peer = call.peer.unwrap();
            self.0.add(format!(
                "{word} {peer} {:?} {}",
                call.duration, call.attempts
            ));
        }
    }

    let notes = Notes::default();
    let server = Server::new()
        .add(Spy(Spans::default()))
        .intercept(Changes(notes.clone()));
    let client = client(server).await;
    let more = [("x-removed", "by you"), ("grpc-timeout", "9S")];
    let mut call = client.start("Look", &more).await;
    call.send_message("x").await;
    let answer = call.finish().await;
    assert_eq!(answer.messages, [r#"hello, Some("by me"), None, Some(7s)"#]);
    let expected = [
        r#"/test.Probe/Look in-process localhost Some("by you") Some(9s)"#,
        "hello in-process 0ns 0",
    ];
    assert_eq!(notes.wait_for(2).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_shortened_holds() {
    struct InFiveSeconds;

    impl Interceptor for InFiveSeconds {
        async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
            call.shorten_deadline(Deadline::after(Duration::from_secs(5)));
            Ok(())
        }
    }

    let notes = Notes::default();
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let server = Server::new()
        .add(probe)
        .intercept(InFiveSeconds)
        .intercept(notes.recorder("a"));
    let client = client(server).await;
    let start = Instant::now();
    let answer = client.start("Never", &[]).await.answer().await;
    assert_eq!((answer.code(), start.elapsed().as_secs()), (Some("4"), 5));
    assert_eq!(notes.wait_for(2).await[1], "after a DEADLINE_EXCEEDED");
    assert_eq!(seen.running(), 0);
}

#[tokio::test]
async fn a_refusal_is_trailers_only_and_no_handler_runs() {
    let notes = Notes::default();
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let server = Server::new()
        .add(probe)
        .intercept(notes.recorder("a"))
        .intercept(
            notes
                .recorder("b")
                .that(Manner::Refuses(Code::PermissionDenied)),
        )
        .intercept(notes.recorder("c"));
    let client = client(server).await;
    for method in ["Echo", "Count", "Sum", "Chat"] {
        // The request has not come yet, and is not waited for.
        let answer = client.start(method, &[]).await.answer().await;
        assert!(answer.trailers_only, "{answer:?}");
        assert_eq!((answer.code(), answer.text()), (Some("7"), "not with me"));
        let expected = [
            &*format!("before a {method}"),
            &*format!("before b {method}"),
            "after c PERMISSION_DENIED, not asked",
            "after b PERMISSION_DENIED",
            "after a PERMISSION_DENIED",
        ];
        assert_eq!(notes.wait_for(5).await, expected);
    }
    assert_eq!(seen.begun(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_may_wait_while_the_call_lives() {
    let notes = Notes::default();
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let permits = Arc::new(Semaphore::new(0));
    let server = Server::new().add(probe).intercept(
        notes
            .recorder("a")
            .that(Manner::Waits(Arc::clone(&permits))),
    );
    let client = client(server).await;

    let mut call = client.start("Echo", &[]).await;
    call.send_message("hello").await;
    assert_eq!(notes.wait_for(1).await, ["before a Echo"]);
    assert_eq!(seen.begun(), 0);
    permits.add_permits(1);
    assert_eq!(call.finish().await.messages, ["hello"]);
    assert_eq!(notes.wait_for(1).await, ["after a OK"]);

    // The call's deadline holds meanwhile.
    let start = Instant::now();
    let answer = client
        .start("Echo", &[("grpc-timeout", "5S")])
        .await
        .answer()
        .await;
    assert_eq!((answer.code(), start.elapsed().as_secs()), (Some("4"), 5));
    assert_eq!(notes.wait_for(2).await[1], "after a DEADLINE_EXCEEDED");

    // And a client may give up.
    let mut call = client.start("Echo", &[]).await;
    notes.wait_for(1).await;
    call.send.send_reset(h2::Reason::CANCEL);
    assert_eq!(notes.wait_for(1).await, ["after a CANCELLED"]);
    assert_eq!(seen.begun(), 1);
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn everyone_is_told_once_however_a_call_ends() {
    let notes = Notes::default();
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let server = Server::new().add(probe).intercept(notes.recorder("a")).intercept(notes.recorder("b"));
    let client = client(server).await;
    let cases = [
        // method       headers                        message  how it ends
        ("Echo",        &[][..],                       "x",     "OK"),
        ("Refuse",      &[],                           "x",     "PERMISSION_DENIED"),
        ("Fail",        &[],                           "x",     "ABORTED"),
        ("Nothing",     &[],                           "x",     "UNIMPLEMENTED"),
        ("Silence",     &[],                           "x",     "UNKNOWN"),
        ("Panic",       &[],                           "x",     "UNKNOWN"),
        ("PanicLate",   &[],                           "x",     "UNKNOWN"),
        ("Never",       &[("grpc-timeout", "5S")],     "x",     "DEADLINE_EXCEEDED"),
        ("Begin",       &[("grpc-timeout", "5S")],     "x",     "DEADLINE_EXCEEDED"),
    ];
    for (method, headers, message, code) in cases {
        let mut call = client.start(method, headers).await;
        call.send_message(message).await;
        let answer = call.finish_patiently().await;
        assert_eq!(notes.wait_for(4).await[2..], [format!("after b {code}"), format!("after a {code}")], "{answer:?}");
    }
    // The client gives up while the handler waits.
    let mut call = client.start("Never", &[]).await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1).await;
    call.send.send_reset(h2::Reason::CANCEL);
    assert_eq!(notes.wait_for(4).await[2..], ["after b CANCELLED", "after a CANCELLED"]);
    // The connection is lost.
    let _call = client.start("Never", &[]).await;
    seen.wait_for("the handler runs", |seen| seen.running() == 1).await;
    drop((client, _call));
    let told = notes.wait_for(4).await;
    assert_eq!(told[2..], ["after b CANCELLED", "after a CANCELLED"]);
    tokio::task::yield_now().await;
    assert_eq!(notes.take(), [""; 0], "once");
}

#[tokio::test]
async fn an_interceptor_that_panics_refuses_one_call() {
    let notes = Notes::default();
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let server = Server::new()
        .add(probe)
        .intercept(notes.recorder("a"))
        .intercept(notes.recorder("b").that(Manner::Panics));
    let client = client(server).await;
    for _ in 0..2 {
        let answer = client.call("Echo", &["x"]).await;
        assert_eq!(
            (answer.code(), answer.text()),
            (Some("2"), "an interceptor panicked")
        );
        assert_eq!(
            notes.wait_for(4).await[2..],
            ["after b UNKNOWN", "after a UNKNOWN"]
        );
    }
    assert_eq!(seen.begun(), 0);
}

#[tokio::test]
async fn an_interceptor_that_panics_at_the_end_changes_nothing() {
    let notes = Notes::default();
    let server = Server::new()
        .add(Probe::default())
        .intercept(notes.recorder("a"))
        .intercept(notes.recorder("b").that(Manner::PanicsAfter));
    let client = client(server).await;
    for _ in 0..2 {
        assert_eq!(client.call("Echo", &["x"]).await.messages, ["x"]);
        assert_eq!(notes.wait_for(4).await[2..], ["after b OK", "after a OK"]);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_to_no_handler_are_told_of_as_well() {
    let notes = Notes::default();
    let tell = notes.clone();
    let config = ServerConfig {
        max_concurrent_calls: 1,
        ..ServerConfig::default()
    };
    let server = Server::new()
        .with_config(config)
        .add(Probe::default())
        .intercept(notes.recorder("a"));
    let server = server.intercept(move |call: &CallRecord<'_>| {
        assert!(call.peer.is_some());
        tell.add(format!("{} {}", call.path, code(call)));
    });
    let client = client(server).await;
    let request = |path: &str, fields: &[(&str, &str)]| {
        let mut request = http::Request::post(format!("http://localhost{path}"));
        for (name, value) in [("te", "trailers"), ("content-type", "application/grpc")] {
            request = request.header(name, value);
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    };

    // A service that is not served: asked, and told.
    let answer = client
        .send_request(request("/a.B/C", &[]), true)
        .await
        .answer()
        .await;
    assert_eq!(answer.code(), Some("12"));
    let expected = [
        "before a C",
        "/a.B/C UNIMPLEMENTED",
        "after a UNIMPLEMENTED",
    ];
    assert_eq!(notes.wait_for(3).await, expected);

    // Malformed calls: not asked, but told.
    let malformed = [
        ([("grpc-timeout", "5x")], "INTERNAL"),
        ([("x-bin", "?")], "INTERNAL"),
        ([("grpc-encoding", "snappy")], "UNIMPLEMENTED"),
    ];
    for (fields, code) in malformed {
        let answer = client
            .send_request(request("/a.B/C", &fields), true)
            .await
            .answer()
            .await;
        assert!(answer.trailers_only, "{answer:?}");
        let expected = [
            format!("/a.B/C {code}"),
            format!("after a {code}, not asked"),
        ];
        assert_eq!(notes.wait_for(2).await, expected);
    }

    // The deadline passed before it came: the same.
    let late = request("/test.Probe/Echo", &[("grpc-timeout", "0n")]);
    let answer = client.send_request(late, true).await.answer().await;
    assert_eq!(answer.code(), Some("4"));
    let expected = [
        "/test.Probe/Echo DEADLINE_EXCEEDED",
        "after a DEADLINE_EXCEEDED, not asked",
    ];
    assert_eq!(notes.wait_for(2).await, expected);

    // What is no call is not told of.
    let no_path = request("/a", &[]);
    assert_eq!(
        client
            .send_request(no_path, true)
            .await
            .answer()
            .await
            .code(),
        Some("12")
    );
    let mut get = request("/a.B/C", &[]);
    *get.method_mut() = http::Method::GET;
    assert_eq!(
        client
            .send_request(get, true)
            .await
            .answer()
            .await
            .http_status,
        405
    );
    let mut json = request("/a.B/C", &[]);
    json.headers_mut()
        .insert("content-type", "application/json".parse().unwrap());
    assert_eq!(
        client
            .send_request(json, true)
            .await
            .answer()
            .await
            .http_status,
        415
    );

    // One call too many: not asked, but told.
    let _first = client.start("Never", &[]).await;
    assert_eq!(notes.wait_for(1).await, ["before a Never"]);
    assert_eq!(client.call("Echo", &["x"]).await.code(), Some("8"));
    let expected = [
        "/test.Probe/Echo RESOURCE_EXHAUSTED",
        "after a RESOURCE_EXHAUSTED, not asked",
    ];
    assert_eq!(notes.wait_for(2).await, expected);
}

#[tokio::test]
async fn a_call_runs_in_the_span_that_an_interceptor_opens() {
    struct Opens(&'static str, Spans);

    impl Interceptor for Opens {
        async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
            tokio::task::yield_now().await;
            call.span = if self.0 == "outer" {
                assert_eq!(self.1.inside(), "");
                info_span!("outer")
            } else {
                assert_eq!(self.1.inside(), "outer");
                info_span!("inner")
            };
            Ok(())
        }

        fn after(&self, _: &CallRecord<'_>) {
            assert_eq!(self.1.inside(), "inner");
        }
    }

    let spans = Spans::default();
    let _here = tracing::subscriber::set_default(spans.clone());
    let notes = Notes::default();
    let server = Server::new()
        .add(Spy(spans.clone()))
        .intercept(notes.recorder("a"))
        .intercept(Opens("outer", spans.clone()))
        .intercept(Opens("inner", spans.clone()));
    let client = client(server).await;
    let mut call = client.start("Chat", &[]).await;
    call.send_message("a").await;
    let mut body = (&mut call.response).await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), encoded("inner"));
    assert_eq!(spans.inside(), "", "nobody else is in it");
    call.send_message("b").await;
    assert_eq!(body.data().await.unwrap().unwrap(), encoded("inner"));
    call.send.send_data(Bytes::new(), true).unwrap();
    assert!(body.data().await.is_none());
    assert_eq!(body.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    assert_eq!(notes.wait_for(2).await[1], "after a OK");
    // Here no span keeps the one around it, so that the outer one is closed when it is replaced.
    assert_eq!(spans.closed(2).await, ["outer", "inner in=outer"]);
}

#[tokio::test]
async fn p250_a_span_tells_of_a_call_and_nothing_of_its_metadata() {
    let spans = Spans::default();
    let _here = tracing::subscriber::set_default(spans.clone());
    let notes = Notes::default();
    let server = Server::new()
        .add(Probe::default())
        .intercept(notes.recorder("a"))
        .intercept(CallSpans);
    let client = client(server).await;
    for (method, code) in [("Echo", "OK"), ("Refuse", "PERMISSION_DENIED")] {
        let mut call = client.start(method, &[("authorization", "secret")]).await;
        call.send_message("x").await;
        call.finish().await;
        assert_eq!(notes.wait_for(2).await[1], format!("after a {code}"));
        let expected = format!(
            "Recv otel.name=\"Recv.test.Probe.{method}\" otel.kind=\"server\" \
             rpc.service=\"test.Probe\" rpc.method=\"{method}\" peer=in-process \
             code=\"{code}\" duration_ms=number"
        );
        assert_eq!(spans.closed(1).await, [expected]);
    }
}

#[tokio::test]
async fn p245_what_is_shown_of_a_call_has_no_secrets() {
    struct Shows(Notes);

    impl Interceptor for Shows {
        async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
            self.0.add(format!("{call:?}"));
            Ok(())
        }

        fn after(&self, call: &CallRecord<'_>) {
            self.0.add(format!("{call:?}"));
        }
    }

    let notes = Notes::default();
    let server = Server::new()
        .add(Probe::default())
        .intercept(Shows(notes.clone()));
    let client = client(server).await;
    let secrets = [("authorization", "Bearer hunter2"), ("x-bin", "aHVudGVyMg")];
    client.start("Refuse", &secrets).await.answer().await;
    for text in notes.wait_for(2).await {
        assert!(text.contains("Refuse"), "{text}");
        assert!(
            !text.contains("hunter2") && !text.contains("aHVudGVyMg"),
            "{text}"
        );
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_secure() {
    struct Asks(Notes);

    impl Interceptor for Asks {
        async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
            self.0
                .add(format!("{} {}", call.peer().unwrap(), call.is_secure()));
            Ok(())
        }
    }

    let notes = Notes::default();
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("interceptors.socket");
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = Server::new()
        .add(Probe::default())
        .intercept(Asks(notes.clone()));
    let server = tokio::spawn(server.serve(listener));
    let client = Client::over(tokio::net::UnixStream::connect(&path).await.unwrap()).await;
    assert_eq!(client.call("Echo", &["x"]).await.code(), Some("0"));
    assert_eq!(notes.take(), ["unix true"]);
    server.abort();
}

//! Interceptors of a channel: what they see, what they may do, and when they are told.

use std::sync::Arc;
use std::time::Duration;

use barewire::{
    CallRecord, CallSpans, CallStart, Channel, Code, Credentials, Deadline, Inbound, Interceptor,
    MethodPath, Outbound, Request, Response, Server, ServerCall, Service, Serving, Side, Status,
};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::info_span;

use crate::recorder::{Manner, Notes, Spans, traffic};
use crate::shapes::{channel, path};
use crate::support::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, Probe, RST_STREAM, RawPeer, SETTINGS, Seen,
    block, encoded, frame,
};
use crate::tokio;

type Halves = (Outbound<String>, Inbound<String>);

async fn unary(channel: &Channel, method: &'static str) -> Result<Response<String>, Status> {
    channel.unary(path(method), "x".to_owned()).await
}

async fn bidi(channel: &Channel, method: &'static str) -> Result<Halves, Status> {
    channel.bidi(path(method), ()).await
}

/// A channel to a probe, and what the probe sees.
fn probed() -> (Channel, Arc<Seen>) {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    (channel(probe), seen)
}

#[tokio::test]
async fn hooks_run_once_for_calls_of_all_kinds_in_order_and_back() {
    let notes = Notes::default();
    let counts = notes.clone();
    let (channel, _) = probed();
    let channel = channel
        .intercept(notes.recorder("a"))
        .intercept(notes.recorder("b"))
        .intercept(move |call: &CallRecord<'_>| counts.add(traffic(call)));
    let expect = |method: &str, traffic: &str| {
        let expected = [
            &*format!("before a {method}"),
            &*format!("before b {method}"),
            traffic,
            "after b OK",
            "after a OK",
        ];
        assert_eq!(notes.take(), expected);
    };

    unary(&channel, "Echo").await.unwrap();
    expect("Echo", "in 1 msg 8 B out 1 msg 8 B");

    let count = channel.server_streaming(path("Count"), "3".to_owned());
    let mut answers: Inbound<String> = count.await.unwrap();
    while answers.next().await.unwrap().is_some() {}
    // Told when the trailers have been read, not when the halves are dropped.
    expect("Count", "in 3 msg 24 B out 1 msg 8 B");

    let (mut out, sum): Halves = channel.client_streaming(path("Sum"), ()).await.unwrap();
    for word in ["a", "bc", ""] {
        out.send(word.to_owned()).await.unwrap();
    }
    out.finish().unwrap();
    assert_eq!(sum.single().await.unwrap().message, "3 3");
    expect("Sum", "in 1 msg 10 B out 3 msg 22 B");

    let (mut out, mut back) = bidi(&channel, "Chat").await.unwrap();
    for word in ["a", "b"] {
        out.send(word.to_owned()).await.unwrap();
        assert_eq!(back.next().await.unwrap().as_deref(), Some(word));
    }
    out.finish().unwrap();
    assert_eq!(back.next().await.unwrap(), None);
    expect("Chat", "in 2 msg 16 B out 2 msg 16 B");
    drop((out, back));
    assert_eq!(notes.take(), [""; 0], "once");
}

#[tokio::test]
async fn only_calls_of_the_channel_that_is_intercepted_are_seen() {
    let notes = Notes::default();
    let (channel, _) = probed();
    let seen = channel.clone().intercept(notes.recorder("a"));
    let more = seen.clone().intercept(notes.recorder("b"));
    unary(&channel, "Echo").await.unwrap();
    assert_eq!(notes.take(), [""; 0]);
    unary(&seen, "Echo").await.unwrap();
    assert_eq!(notes.take(), ["before a Echo", "after a OK"]);
    unary(&more, "Echo").await.unwrap();
    assert_eq!(notes.take().len(), 4);
}

/// Left by the caller.
#[derive(Clone)]
struct Word(&'static str);

#[tokio::test(start_paused = true)]
async fn what_an_interceptor_changes_goes_out() {
    struct Changes(Notes);

    impl Interceptor for Changes {
        async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
            assert_eq!(call.side(), Side::Client);
            assert!(call.peer().is_none());
            let Word(word) = *call.extensions.get().unwrap();
            let seen = format!(
                "{} {} {word} {:?} {:?} {}",
                call.path(),
                call.authority().unwrap(),
                call.metadata.get("x-removed"),
                call.deadline().map(Deadline::remaining),
                call.audience().unwrap(),
            );
            self.0.add(seen);
            call.metadata.remove("x-removed");
            call.metadata.insert("x-added", "by me")?;
            call.extensions.insert(Word("changed"));
            Ok(())
        }

        fn after(&self, call: &CallRecord<'_>) {
            let Word(word) = call.extensions.get().unwrap();
            let peer = call.peer.unwrap();
            let (duration, attempts) = (call.duration, call.attempts);
            self.0.add(format!("{word} {peer} {duration:?} {attempts}"));
        }
    }

    let notes = Notes::default();
    let (channel, _) = probed();
    let channel = channel.intercept(Changes(notes.clone()));
    let mut request = Request::new("x".to_owned()).with_timeout(Duration::from_secs(9));
    request.metadata.insert("x-removed", "by you").unwrap();
    request.extensions.insert(Word("hello"));
    let call = channel.unary::<String, String>(path("Metadata"), request);
    let answer = call.await.unwrap();
    assert_eq!(answer.metadata.get("x-added"), Some("by me"));
    assert_eq!(answer.metadata.get("x-removed"), None);
    let expected = [
        "/test.Probe/Metadata localhost hello Some(\"by you\") Some(9s) https://localhost/test.Probe",
        "changed in-process 0ns 1",
    ];
    assert_eq!(notes.take(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_is_shortened_holds() {
    struct InFiveSeconds;

    impl Interceptor for InFiveSeconds {
        async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
            call.shorten_deadline(Deadline::after(Duration::from_secs(5)));
            call.shorten_deadline(Deadline::after(Duration::from_secs(500)));
            Ok(())
        }
    }

    let (channel, seen) = probed();
    let channel = channel.intercept(InFiveSeconds);
    let start = Instant::now();
    let status = unary(&channel, "Never").await.unwrap_err();
    assert_eq!(
        (status.code, start.elapsed().as_secs()),
        (Code::DeadlineExceeded, 5)
    );
    // The server knew it too.
    seen.wait_for("the handler ends", |seen| seen.running() == 0)
        .await;
}

#[tokio::test]
async fn a_refusal_sends_nothing() {
    let notes = Notes::default();
    let (channel, seen) = probed();
    let channel = channel
        .intercept(notes.recorder("a"))
        .intercept(notes.recorder("b").that(Manner::Refuses(Code::NotFound)))
        .intercept(notes.recorder("c"));
    let expected = [
        "after c NOT_FOUND, not asked",
        "after b NOT_FOUND",
        "after a NOT_FOUND",
    ];

    let status = unary(&channel, "Echo").await.unwrap_err();
    assert_eq!(
        (status.code, &*status.message),
        (Code::NotFound, "not with me")
    );
    assert!(status.unprocessed, "the call can be made again");
    assert_eq!(notes.take()[2..], expected);
    let count = channel.server_streaming::<String, String>(path("Count"), "3".to_owned());
    assert_eq!(count.await.unwrap_err().code, Code::NotFound);
    assert_eq!(notes.take()[2..], expected);
    let sum = channel.client_streaming::<String, String>(path("Sum"), ());
    assert_eq!(sum.await.unwrap_err().code, Code::NotFound);
    assert_eq!(notes.take()[2..], expected);
    assert_eq!(
        bidi(&channel, "Chat").await.unwrap_err().code,
        Code::NotFound
    );
    assert_eq!(notes.take()[2..], expected);
    assert_eq!(seen.begun(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_interceptor_may_wait_while_the_call_lives() {
    let notes = Notes::default();
    let permits = Arc::new(Semaphore::new(0));
    let (channel, seen) = probed();
    let waits = Manner::Waits(Arc::clone(&permits));
    let channel = channel.intercept(notes.recorder("a").that(waits));

    let call = tokio::spawn({
        let channel = channel.clone();
        async move { unary(&channel, "Echo").await }
    });
    assert_eq!(notes.wait_for(1).await, ["before a Echo"]);
    assert_eq!(seen.begun(), 0);
    permits.add_permits(1);
    call.await.unwrap().unwrap();
    assert_eq!(notes.take(), ["after a OK"]);

    // The call's deadline holds meanwhile.
    let start = Instant::now();
    let request = Request::new("x".to_owned()).with_timeout(Duration::from_secs(5));
    let call = channel.unary::<String, String>(path("Echo"), request);
    let status = call.await.unwrap_err();
    assert_eq!(
        (status.code, start.elapsed().as_secs()),
        (Code::DeadlineExceeded, 5)
    );
    assert!(status.unprocessed);
    assert_eq!(notes.take()[1], "after a DEADLINE_EXCEEDED");

    // And the caller may give up.
    let call = tokio::spawn(async move { bidi(&channel, "Chat").await });
    notes.wait_for(1).await;
    call.abort();
    assert_eq!(notes.wait_for(1).await, ["after a CANCELLED"]);
    assert_eq!(seen.begun(), 1);
}

/// Makes a call for the one that it serves.
struct Relay(Channel);

impl Service for Relay {
    fn name(&self) -> &'static str {
        "test.Relay"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        Box::pin(async move {
            let request: Request<String> = call.request().await?;
            let channel = self.0.clone();
            let child = request.child("x".to_owned());
            // In a task of its own, which the end of the handler does not end.
            let made =
                tokio::spawn(
                    async move { channel.unary::<String, String>(path("Echo"), child).await },
                );
            call.reply(made.await.unwrap()?).await
        })
    }
}

#[tokio::test]
async fn an_interceptor_is_not_waited_for_when_the_call_that_it_is_for_is_over() {
    let notes = Notes::default();
    let (inner, _) = probed();
    let waits = Manner::Waits(Arc::new(Semaphore::new(0)));
    let inner = inner.intercept(notes.recorder("a").that(waits));
    let (client, server) = tokio::io::duplex(64 * 1024);
    tokio::spawn(Server::new().add(Relay(inner)).serve_io(server));
    let outer = Channel::over(client);
    let call = tokio::spawn(async move {
        let path = MethodPath::from_static("/test.Relay/Call");
        outer.unary::<String, String>(path, "x".to_owned()).await
    });
    assert_eq!(notes.wait_for(1).await, ["before a Echo"]);
    call.abort();
    assert_eq!(notes.wait_for(1).await, ["after a CANCELLED"]);
}

#[tokio::test(start_paused = true)]
async fn everyone_is_told_once_however_a_call_ends() {
    let notes = Notes::default();
    let (channel, seen) = probed();
    let channel = channel
        .intercept(notes.recorder("a"))
        .intercept(notes.recorder("b"));
    let told = |code: &str| {
        let told = notes.take();
        assert_eq!(
            told[2..],
            [format!("after b {code}"), format!("after a {code}")]
        );
    };

    for (method, code) in [
        ("Echo", "OK"),
        ("Refuse", "PERMISSION_DENIED"),
        ("Nothing", "UNIMPLEMENTED"),
        ("Panic", "UNKNOWN"),
        // No message, and two: as the caller is told, whatever the server's status is.
        ("Count 0", "UNIMPLEMENTED"),
        ("Count 2", "UNIMPLEMENTED"),
    ] {
        let (method, message) = method.split_once(' ').unwrap_or((method, "x"));
        let method = path(Box::leak(method.to_owned().into_boxed_str()));
        let answer = channel
            .unary::<String, String>(method, message.to_owned())
            .await;
        let outcome = answer.map_or_else(|status| status.code.name(), |_| "OK");
        assert_eq!(outcome, code);
        told(code);
    }

    for method in ["Never", "Begin"] {
        let request = Request::new("x".to_owned()).with_timeout(Duration::from_secs(5));
        let call = channel.unary::<String, String>(path(method), request);
        assert_eq!(call.await.unwrap_err().code, Code::DeadlineExceeded);
        told("DEADLINE_EXCEEDED");
    }
    seen.wait_for("handlers end", |seen| seen.running() == 0)
        .await;

    // The caller gives up: a call of one message, either half of a stream, both.
    let call = tokio::spawn({
        let channel = channel.clone();
        async move { unary(&channel, "Never").await }
    });
    seen.wait_for("the handler runs", |seen| seen.running() == 1)
        .await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    told("CANCELLED");
    let (out, back) = bidi(&channel, "Chat").await.unwrap();
    drop(back);
    told("CANCELLED");
    drop(out);
    let (out, back) = bidi(&channel, "Chat").await.unwrap();
    drop(out);
    told("CANCELLED");
    drop(back);
    // The server ends while the caller looks elsewhere: told when the caller looks.
    let (_out, mut back) = bidi(&channel, "Refuse").await.unwrap();
    assert_eq!(back.next().await.unwrap_err().code, Code::PermissionDenied);
    told("PERMISSION_DENIED");
    assert_eq!(back.next().await.unwrap_err().code, Code::PermissionDenied);
    drop(back);
    assert_eq!(notes.take(), [""; 0], "once");
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_is_told_of() {
    let notes = Notes::default();
    let config = barewire::ChannelConfig {
        max_send_message: 3,
        ..barewire::ChannelConfig::default()
    };
    // No connection is looked for.
    let channel = Channel::with_config("http://127.0.0.1:1", config).unwrap();
    let channel = channel.intercept(notes.recorder("a"));
    let call = channel.unary::<String, String>(path("Echo"), "long".to_owned());
    assert_eq!(call.await.unwrap_err().code, Code::ResourceExhausted);
    assert_eq!(notes.take(), ["after a RESOURCE_EXHAUSTED, not asked"]);
}

#[tokio::test]
async fn a_server_that_is_not_there_has_no_peer() {
    let notes = Notes::default();
    let tell = notes.clone();
    let (ours, theirs) = tokio::io::duplex(64);
    drop(theirs);
    let channel = Channel::over(ours).intercept(move |call: &CallRecord<'_>| {
        let code = call.outcome.as_ref().unwrap_err().code;
        tell.add(format!(
            "{code} {:?} {}",
            call.peer.map(ToString::to_string),
            call.attempts
        ));
    });
    assert!(unary(&channel, "Echo").await.is_err());
    assert_eq!(notes.take(), ["UNAVAILABLE None 0"]);
}

#[tokio::test]
async fn an_interceptor_that_panics_ends_one_call() {
    let notes = Notes::default();
    let (channel, _) = probed();
    let panics = channel
        .clone()
        .intercept(notes.recorder("a").that(Manner::Panics));
    let after = channel
        .clone()
        .intercept(notes.recorder("b").that(Manner::PanicsAfter));
    for _ in 0..2 {
        let status = unary(&panics, "Echo").await.unwrap_err();
        assert_eq!(
            (status.code, &*status.message),
            (Code::Unknown, "an interceptor panicked")
        );
        assert_eq!(notes.take(), ["before a Echo", "after a UNKNOWN"]);
        unary(&after, "Echo").await.unwrap();
        assert_eq!(notes.take(), ["before b Echo", "after b OK"]);
        let (mut out, mut back) = bidi(&after, "Chat").await.unwrap();
        out.finish().unwrap();
        assert_eq!(back.next().await.unwrap(), None);
        assert_eq!(notes.take(), ["before b Chat", "after b OK"]);
    }
    unary(&channel, "Echo").await.unwrap();
}

/// Turns the first stream away, and answers the second.
async fn refuses_once(io: tokio::io::DuplexStream) {
    let mut peer = RawPeer::silent(io);
    let mut preface = vec![0; PREFACE.len()];
    tokio::io::AsyncReadExt::read_exact(&mut peer.io, &mut preface)
        .await
        .unwrap();
    peer.write(&frame(SETTINGS, 0, 0, &[])).await;
    let first = peer.frame_of(HEADERS).await.unwrap();
    let refused_stream = 7_u32.to_be_bytes();
    peer.write(&frame(RST_STREAM, 0, first.stream, &refused_stream))
        .await;
    let second = peer.frame_of(HEADERS).await.unwrap().stream;
    let head = block(&[(":status", "200"), ("content-type", "application/grpc")]);
    let mut answer = frame(HEADERS, END_HEADERS, second, &head);
    answer.extend(frame(DATA, 0, second, &encoded("done")));
    let trailers = block(&[("grpc-status", "0")]);
    answer.extend(frame(HEADERS, END_HEADERS | END_STREAM, second, &trailers));
    peer.write(&answer).await;
    while peer.frame().await.is_some() {}
}

#[tokio::test]
async fn p251_a_transparent_retry_is_an_attempt_of_its_own() {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(refuses_once(theirs));
    let notes = Notes::default();
    let tell = notes.clone();
    let channel = Channel::over(ours)
        .intercept(notes.recorder("a"))
        .intercept(move |call: &CallRecord<'_>| {
            tell.add(format!("{} attempts, {}", call.attempts, traffic(call)));
        });
    assert_eq!(unary(&channel, "Echo").await.unwrap().message, "done");
    let expected = [
        "before a Echo",
        "2 attempts, in 1 msg 11 B out 1 msg 8 B",
        "after a OK",
    ];
    assert_eq!(notes.take(), expected);
}

#[tokio::test]
async fn a_call_is_polled_in_the_span_that_an_interceptor_opens() {
    struct Opens(Spans);

    impl Interceptor for Opens {
        async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
            call.span = info_span!("opened");
            Ok(())
        }

        fn after(&self, _: &CallRecord<'_>) {
            assert_eq!(self.0.inside(), "opened");
        }
    }

    struct Sees(Spans);

    impl Interceptor for Sees {
        async fn before(&self, _: &mut CallStart) -> Result<(), Status> {
            assert_eq!(self.0.inside(), "opened");
            tokio::task::yield_now().await;
            assert_eq!(self.0.inside(), "opened");
            Ok(())
        }
    }

    let spans = Spans::default();
    let _here = tracing::subscriber::set_default(spans.clone());
    let (channel, _) = probed();
    let channel = channel
        .intercept(Opens(spans.clone()))
        .intercept(Sees(spans.clone()));
    unary(&channel, "Echo").await.unwrap();
    assert_eq!(spans.closed(1).await, ["opened"]);
    let (mut out, mut back) = bidi(&channel, "Chat").await.unwrap();
    assert_eq!(spans.inside(), "", "only while it is polled");
    out.send("a".to_owned()).await.unwrap();
    assert_eq!(spans.entered(), "opened");
    assert_eq!(back.next().await.unwrap().as_deref(), Some("a"));
    assert_eq!(spans.entered(), "opened");
    out.finish().unwrap();
    assert_eq!(spans.entered(), "opened");
    assert_eq!(back.next().await.unwrap(), None);
    assert_eq!(spans.closed(1).await, ["opened"]);
}

#[tokio::test]
async fn p250_a_span_tells_of_a_call() {
    let spans = Spans::default();
    let _here = tracing::subscriber::set_default(spans.clone());
    let (channel, _) = probed();
    let channel = channel.intercept(CallSpans);
    for (method, code) in [("Echo", "OK"), ("Refuse", "PERMISSION_DENIED")] {
        let _ = unary(&channel, method).await;
        let expected = format!(
            "Sent otel.name=\"Sent.test.Probe.{method}\" otel.kind=\"client\" \
             rpc.service=\"test.Probe\" rpc.method=\"{method}\" \
             code=\"{code}\" duration_ms=number peer=in-process"
        );
        assert_eq!(spans.closed(1).await, [expected]);
    }
}

/// Call credentials that end in this way.
struct Bearer(Result<&'static str, Code>);

impl Interceptor for Bearer {
    async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
        let token = self.0.map_err(|code| Status::new(code, "no such token"))?;
        call.metadata
            .insert("authorization", &format!("Bearer {token}"))
    }
}

#[tokio::test]
async fn p243_credentials_are_not_sent_in_clear_text_unless_asked() {
    let (channel, seen) = probed();
    let refused = channel
        .clone()
        .intercept(Credentials::new(Bearer(Ok("hunter2"))));
    let status = unary(&refused, "Metadata").await.unwrap_err();
    assert_eq!(status.code, Code::Unauthenticated, "{status}");
    assert!(!status.message.contains("hunter2"));
    assert_eq!(
        bidi(&refused, "Chat").await.unwrap_err().code,
        Code::Unauthenticated
    );
    assert_eq!(seen.begun(), 0, "nothing was sent");

    let asked = Credentials::new(Bearer(Ok("hunter2"))).allow_clear_text();
    let answer = unary(&channel.intercept(asked), "Metadata").await.unwrap();
    assert_eq!(answer.metadata.get("authorization"), Some("Bearer hunter2"));
}

#[tokio::test]
async fn p122_credentials_that_fail_say_nothing_of_the_call() {
    let (channel, seen) = probed();
    for code in Code::ALL {
        let bearer = Credentials::new(Bearer(Err(code))).allow_clear_text();
        let status = unary(&channel.clone().intercept(bearer), "Echo")
            .await
            .unwrap_err();
        match code.name() {
            "INVALID_ARGUMENT"
            | "NOT_FOUND"
            | "ALREADY_EXISTS"
            | "FAILED_PRECONDITION"
            | "ABORTED"
            | "OUT_OF_RANGE"
            | "DATA_LOSS" => {
                let text = format!("the call credentials failed with {code}: no such token");
                assert_eq!((status.code, &*status.message), (Code::Internal, &*text));
            }
            _ => assert_eq!((status.code, &*status.message), (code, "no such token")),
        }
        // A plain interceptor speaks for the application.
        let plain = unary(&channel.clone().intercept(Bearer(Err(code))), "Echo").await;
        assert_eq!(plain.unwrap_err().code, code);
    }
    assert_eq!(seen.begun(), 0);
}

#[tokio::test]
async fn p244_credentials_that_panic_are_unauthenticated() {
    let notes = Notes::default();
    let (channel, _) = probed();
    let panics = notes.recorder("a").that(Manner::Panics);
    let channel = channel.intercept(Credentials::new(panics).allow_clear_text());
    let status = unary(&channel, "Echo").await.unwrap_err();
    assert_eq!(
        (status.code, &*status.message),
        (Code::Unauthenticated, "call credentials panicked")
    );
    assert_eq!(notes.take(), ["before a Echo", "after a UNAUTHENTICATED"]);
}

#[tokio::test]
async fn p244_names_of_credentials_are_checked_like_metadata() {
    struct Named(&'static str);

    impl Interceptor for Named {
        async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
            call.metadata.insert(self.0, "x")
        }
    }

    let (channel, _) = probed();
    let named = |name| {
        let credentials = Credentials::new(Named(name)).allow_clear_text();
        channel.clone().intercept(credentials)
    };
    let answer = unary(&named("X-Token"), "Metadata").await.unwrap();
    assert_eq!(answer.metadata.get("x-token"), Some("x"));
    let status = unary(&named("no name"), "Echo").await.unwrap_err();
    assert_eq!(status.code, Code::Internal);
}

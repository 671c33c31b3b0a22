//! Rows 13 to 19: calls and connections that end before their time.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use barewire::faults::{FaultHandle, Faults, FaultyIo};
use barewire::{
    AttemptPolicy, CallRecord, CallStart, Channel, ChannelConfig, Code, Counter, Interceptor,
    MethodConfig, MethodPath, Request, RetryPolicy, Server, ServerConfig, ServiceConfig, Status,
};
use socket2::SockRef;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::chance::Chance;
use crate::process::Serving;
use crate::raw_server::{
    CANCEL, Line, NO_ERROR, REFUSED_STREAM, answer, bidi, goaway, idle, read_all, reset, unary,
};
use crate::scene::{
    CANARY_METHOD, RawCaller, Scene, Stage, channel_to, method, quiet_panics, request,
};
use crate::support::{
    Client, DATA, PATIENCE, Probe, RST_STREAM, RawPeer, block, encoded, frame, piped_server,
    request_block,
};
use crate::tokio;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[rustfmt::skip]
async fn f13_a_handler_that_panics_is_unknown_and_tells_nothing() {
    quiet_panics();
    // With one slot, which each of them gives back.
    let mut config = ServerConfig::default();
    config.http2.max_concurrent_streams = 2;
    let scene = Scene::with(config).await;
    let (client, neighbour) = scene.client().await;
    let cases = [
        // method        messages before it
        ("Panic",        0),
        ("PanicLate",    1),
        ("PanicApart",   1),
    ];
    for round in 0..10 {
        for (method, messages) in cases {
            let answer = client.call(method, &["hello"]).await;
            assert_eq!(answer.code(), Some("2"), "{method}, {round}: {answer:?}");
            assert!(!answer.text().contains("secret"), "{method}: {}", answer.text());
            assert!(!answer.text().is_empty(), "{method}");
            assert_eq!(answer.messages.len(), messages, "{method}");
        }
    }
    assert_eq!(scene.counters.of(Counter::HandlerPanicked), 30);
    neighbour.ends_well().await;
    scene.ends_well().await;
}

/// A caller whose call `method` runs on stream 3.
async fn begun(scene: &Scene, method: &str) -> RawCaller {
    let mut caller = scene.raw().await;
    caller.say(&[request(3, &request_block(method))]).await;
    // With the neighbour's, and one of the canary's at last.
    scene
        .seen
        .wait_for("the handler runs", |seen| seen.running() == 3)
        .await;
    caller
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_a_call_that_is_given_up_drops_its_handler_and_nothing_is_sent_after() {
    for method in ["Never", "Begin", "Flood"] {
        let scene = Scene::new().await;
        let mut caller = begun(&scene, method).await;
        // All that the window takes has come.
        caller.said_on(3).await;
        caller
            .say(&[frame(RST_STREAM, 0, 3, &8_u32.to_be_bytes())])
            .await;
        // What was on its way when the reset came is before the answer to this PING.
        caller.said_on(3).await;
        assert_eq!(caller.said_on(3).await, [], "{method}");
        caller.ends_well().await;
        scene.ends_well().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_a_deadline_drops_the_handler_and_nothing_is_sent_after() {
    let scene = Scene::new().await;
    let mut caller = scene.raw().await;
    let timeout = block(&[("grpc-timeout", "2S")]);
    let begin = [request_block("Begin"), timeout].concat();
    caller.say(&[request(3, &begin)]).await;
    let answer = caller.answer(3).await;
    assert_eq!(answer.messages, ["begun"]);
    assert_eq!(answer.code(), Some("4"), "{}", answer.text());
    // The request was not over: the server says that it wants no more of it, and that is all.
    let said = caller.said_on(3).await;
    assert!(
        said.iter().all(|frame| frame.kind == RST_STREAM),
        "{said:?}"
    );
    assert_eq!(caller.said_on(3).await, []);
    caller.ends_well().await;
    scene.ends_well().await;
}

/// How a call ends that nobody waits for any more.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Reset,
    Deadline,
    /// The connection ends, and it with it.
    Connection,
}

#[tokio::test(start_paused = true)]
async fn f14_a_handler_is_dropped_within_50_ms() {
    for method in ["Never", "Begin", "Flood", "Slow"] {
        for end in [End::Reset, End::Deadline, End::Connection] {
            let probe = Probe::default();
            let seen = probe.seen.clone();
            let mut peer = RawPeer::begin(piped_server(probe, ServerConfig::default())).await;
            let mut head = request_block(method);
            if end == End::Deadline {
                head.extend(block(&[("grpc-timeout", "2S")]));
            }
            let began_at = Instant::now();
            peer.write(&request(1, &head)).await;
            peer.write(&frame(DATA, 0, 1, &encoded("ask"))).await;
            seen.wait_for("the handler runs", |seen| seen.running() == 1)
                .await;
            idle().await;
            let ended_at = match end {
                End::Deadline => began_at + Duration::from_secs(2),
                End::Reset | End::Connection => Instant::now(),
            };
            match end {
                End::Reset => peer.write(&reset(1, CANCEL)).await,
                End::Connection => peer.io.shutdown().await.unwrap(),
                End::Deadline => {}
            }
            seen.wait_for("the handler is dropped", |seen| seen.running() == 0)
                .await;
            let now = Instant::now();
            assert!(now >= ended_at, "{method}, {end:?}");
            let late = now - ended_at;
            assert!(
                late <= Duration::from_millis(50),
                "{method}, {end:?}: {late:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_a_client_that_goes_away_drops_its_handlers() {
    let scene = Scene::new().await;
    let caller = begun(&scene, "Never").await;
    drop(caller.into_socket());
    // No handler is left, neither this one nor the neighbour's.
    scene.ends_well().await;
}

/// Whoever has taken the whole answer gives up in vain; whoever gives up before that has given up. Either
/// is the only outcome.
#[tokio::test(start_paused = true)]
async fn f15_a_complete_response_stays_ok_though_the_caller_gives_up() {
    for gives_up_first in [false, true] {
        let ended = Ended::default();
        let mut stage = Stage::new().await;
        let channel = stage.line.channel.clone().intercept(ended.clone());
        let server = &mut stage.server;
        let ((outbound, mut inbound), ()) = tokio::join!(bidi(&channel, ()), async {
            let stream = server.request().await.stream;
            server.write(&answer(stream, "all of it")).await;
            // The server wants no more of the request, and the caller is told of neither.
            server.write(&reset(stream, NO_ERROR)).await;
        });
        idle().await;
        let outcome = if gives_up_first {
            drop(outbound);
            let heard = read_all(&mut inbound).await;
            assert_eq!(heard.end.unwrap_err().code, Code::Cancelled);
            "CANCELLED"
        } else {
            let heard = read_all(&mut inbound).await;
            assert_eq!(heard.messages, ["all of it"]);
            heard.end.unwrap();
            drop(outbound);
            assert_eq!(inbound.next().await.unwrap(), None);
            "OK"
        };
        drop(inbound);
        assert_eq!(ended.all(), [(String::new(), vec![outcome])]);
        stage.ends_well().await;
    }
}

/// How calls ended, by the name that each of them has in its metadata.
#[derive(Clone, Default)]
struct Ended(Arc<Mutex<BTreeMap<String, Vec<&'static str>>>>);

/// A call's name.
#[derive(Clone)]
struct Name(String);

impl Ended {
    fn all(&self) -> Vec<(String, Vec<&'static str>)> {
        self.0.lock().unwrap().clone().into_iter().collect()
    }
}

impl Interceptor for Ended {
    async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
        let name = call.metadata.get("x-name").unwrap_or_default().to_owned();
        call.extensions.insert(Name(name));
        Ok(())
    }

    fn after(&self, call: &CallRecord<'_>) {
        if call.path.method() == CANARY_METHOD || !call.before_ran {
            return;
        }
        let Name(name) = call.extensions.get().cloned().unwrap();
        let code = match call.outcome {
            Ok(()) => "OK",
            Err(status) => status.code.name(),
        };
        self.0.lock().unwrap().entry(name).or_default().push(code);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_cancel_against_completion_has_one_outcome_on_each_side() {
    let (at_server, at_client) = (Ended::default(), Ended::default());
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let server = Server::new().add(probe).intercept(at_server.clone());
    let scene = Scene::of(server, seen).await;
    let channel = channel_to(scene.address).intercept(at_client.clone());
    let mut chance = Chance(15);
    const CALLS: usize = 1_000;
    for number in 0..CALLS {
        let mut request = Request::new("ask".to_owned());
        request
            .metadata
            .insert("x-name", &format!("{number:04}"))
            .unwrap();
        let call = channel.unary::<String, String>(method("Echo"), request);
        let mut call = Box::pin(call);
        // Given up after one look, or about when the answer comes; or never.
        match number % 3 {
            0 => drop(timeout(Duration::ZERO, call).await),
            1 => {
                for _ in 0..chance.below(200) {
                    if look(&mut call).await {
                        break;
                    }
                }
            }
            _ => drop(call.await),
        }
    }
    // The connection lives on, and the calls on it are over when these are.
    for _ in 0..10 {
        let call = channel.unary::<String, String>(method("Echo"), "last".to_owned());
        assert_eq!(call.await.unwrap().message, "last");
    }
    scene.ends_well().await;
    let (at_server, at_client) = (at_server.0.lock().unwrap(), at_client.0.lock().unwrap());
    let mut both = [0, 0];
    for (name, outcomes) in at_client.iter().filter(|(name, _)| !name.is_empty()) {
        let [outcome] = outcomes[..] else {
            panic!("{name}: {outcomes:?}");
        };
        assert!(["OK", "CANCELLED"].contains(&outcome), "{name}: {outcome}");
        both[usize::from(outcome == "OK")] += 1;
        match at_server.get(name).map(Vec::as_slice) {
            // It may have been given up before anything was sent.
            None => assert_eq!(outcome, "CANCELLED", "{name}"),
            Some(["OK"]) => {}
            Some(["CANCELLED"]) => assert_eq!(outcome, "CANCELLED", "{name}"),
            Some(other) => panic!("{name}: {other:?} at the server, {outcome} at the client"),
        }
    }
    assert!(both[0] > 0 && both[1] > 0, "{both:?} cancelled and OK");
}

/// Looks at a call once, and lets others run. Says whether it has ended.
async fn look(call: &mut (impl Future + Unpin)) -> bool {
    let ended = poll_fn(|cx| Poll::Ready(Pin::new(&mut *call).poll(cx).is_ready())).await;
    tokio::task::yield_now().await;
    ended
}

/// What takes a second at most may take longer where the machine has other things to do.
const SOON: Duration = Duration::from_secs(5);

/// Between a client and a server: passes bytes on until it is told how to end.
struct Relay {
    address: SocketAddr,
    end: oneshot::Sender<Cut>,
}

/// How a connection ends, for both of its sides.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    /// FIN, as of a process that exits or is killed.
    Fin,
    /// RST, as of a machine that has lost its memory.
    Rst,
}

impl Relay {
    async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, mut told) = oneshot::channel();
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect(server).await.unwrap();
            // Passing on has no end of its own in these tests.
            let cut = tokio::select! {
                passed = copy_bidirectional(&mut client, &mut server) => panic!("{passed:?}"),
                cut = &mut told => cut.unwrap(),
            };
            if cut == Cut::Rst {
                for io in [&client, &server] {
                    SockRef::from(io).set_linger(Some(Duration::ZERO)).unwrap();
                }
            }
        });
        Self { address, end }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f16_a_connection_that_is_cut_ends_its_calls_on_both_sides() {
    for cut in [Cut::Fin, Cut::Rst] {
        let scene = Scene::new().await;
        let relay = Relay::start(scene.address).await;
        let channel = channel_to(relay.address);
        // Calls that wait for their answer, and one whose answer has begun.
        let mut calls = Vec::new();
        for _ in 0..10 {
            let channel = channel.clone();
            calls.push(tokio::spawn(async move {
                let call = channel.unary::<String, String>(method("Slow"), "ask".to_owned());
                call.await.unwrap_err()
            }));
        }
        let begin = channel.bidi::<String, String>(method("Begin"), ());
        let (_outbound, mut inbound) = begin.await.unwrap();
        assert_eq!(inbound.next().await.unwrap().as_deref(), Some("begun"));
        scene
            .seen
            .wait_for("they run, and one of the canary's", |seen| {
                seen.running() == 12
            })
            .await;
        let cut_at = Instant::now();
        relay.end.send(cut).unwrap();
        calls.push(tokio::spawn(
            async move { inbound.next().await.unwrap_err() },
        ));
        for call in calls {
            let status = timeout(PATIENCE, call).await.unwrap().unwrap();
            assert_eq!(status.code, Code::Unavailable, "{cut:?}: {status}");
            assert!(!status.unprocessed, "{cut:?}: {status}");
        }
        // The server has dropped its handlers, and only the canary's may be at work.
        scene
            .seen
            .wait_for("they are dropped", |seen| seen.running() <= 1)
            .await;
        assert!(cut_at.elapsed() < SOON, "{:?}", cut_at.elapsed());
        scene.ends_well().await;
    }
}

/// In virtual time, where nothing passes but by timers.
#[tokio::test(start_paused = true)]
async fn f16_both_sides_know_within_a_second_that_a_connection_is_cut() {
    for cut in [Cut::Fin, Cut::Rst] {
        let probe = Probe::default();
        let seen = probe.seen.clone();
        let (near, far) = tokio::io::duplex(64 * 1024);
        let near = FaultyIo::new(near, Faults::default());
        let far = FaultyIo::new(far, Faults::default());
        let ends = [near.handle(), far.handle()];
        tokio::spawn(Server::new().add(probe).serve_io(far));
        let channel = Channel::over(near);
        // One waits for its answer, and the answer of the other has begun.
        let slow = tokio::spawn({
            let channel = channel.clone();
            async move {
                let call = channel.unary::<String, String>(method("Slow"), "ask".to_owned());
                call.await
            }
        });
        let begin = channel.bidi::<String, String>(method("Begin"), ());
        let (_outbound, mut inbound) = begin.await.unwrap();
        assert_eq!(inbound.next().await.unwrap().as_deref(), Some("begun"));
        seen.wait_for("both run", |seen| seen.running() == 2).await;
        idle().await;
        let cut_at = Instant::now();
        match cut {
            // The server finds the end of the stream, and nothing else is wrong with it.
            Cut::Fin => ends[0].cut(),
            Cut::Rst => ends.iter().for_each(FaultHandle::reset),
        }
        let ended = async {
            let begun = inbound.next().await.unwrap_err();
            (begun, slow.await.unwrap().unwrap_err())
        };
        let dropped = seen.wait_for("both are dropped", |seen| seen.running() == 0);
        let ((begun, slow), ()) = tokio::join!(ended, dropped);
        assert_eq!(begun.code, Code::Unavailable, "{cut:?}: {begun}");
        assert_eq!(slow.code, Code::Unavailable, "{cut:?}: {slow}");
        let late = cut_at.elapsed();
        assert!(late <= Duration::from_secs(1), "{cut:?}: {late:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f16_a_server_that_is_killed_is_unavailable() {
    let scene = Scene::new().await;
    let serving = Serving::on_a_free_port(&["--log", "none"]);
    let channel = channel_to(serving.addresses[0]);
    let chat = MethodPath::from_static("/chat.ChatService/Chat");
    let (mut outbound, mut inbound) = channel.bidi::<String, String>(chat, ()).await.unwrap();
    outbound.send("hi".to_owned()).await.unwrap();
    assert!(inbound.next().await.unwrap().is_some());
    serving.signal("KILL");
    let status = timeout(PATIENCE, inbound.next())
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    // And the next call: there is nobody to connect to, once the system has put the listener away.
    assert_eq!(serving.exit_code(), None);
    let hello = MethodPath::from_static("/helloworld.Greeter/SayHello");
    let call = channel.unary::<String, String>(hello, "you".to_owned());
    let status = timeout(PATIENCE, call).await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(status.message.contains("cannot connect to"), "{status}");
    scene.ends_well().await;
}

/// The address that the process of the test below calls; without it that does nothing.
const CALL: &str = "BAREWIRE_FAULTS_CALL";

#[tokio::test]
async fn in_a_process_that_is_killed() {
    let Ok(address) = std::env::var(CALL) else {
        return;
    };
    let call = Client::tcp(address.parse().unwrap()).await;
    let _call = call.start("Never", &[]).await;
    std::future::pending().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f16_a_client_that_is_killed_drops_its_handlers() {
    let scene = Scene::new().await;
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "ends::in_a_process_that_is_killed"])
        .env(CALL, scene.address.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    scene
        .seen
        .wait_for("it runs, and one of the canary's", |seen| {
            seen.running() == 2
        })
        .await;
    let killed_at = Instant::now();
    process.kill().unwrap();
    process.wait().unwrap();
    scene.ends_well().await;
    assert!(killed_at.elapsed() < SOON, "{:?}", killed_at.elapsed());
}

#[tokio::test(start_paused = true)]
async fn f17_what_the_server_has_not_seen_is_made_again_unseen_by_the_caller() {
    let mut stage = Stage::new().await;
    let channel = stage.line.channel.clone();
    let ask = || {
        let channel = channel.clone();
        tokio::spawn(async move { unary(&channel, "ask".to_owned()).await })
    };
    // Refused: once more on the same connection, and once only.
    let call = ask();
    let stream = stage.server.request().await.stream;
    stage.server.write(&reset(stream, REFUSED_STREAM)).await;
    let again = stage.server.request().await.stream;
    stage
        .server
        .write(&answer(again, "at the second time"))
        .await;
    assert_eq!(call.await.unwrap().unwrap().message, "at the second time");

    let call = ask();
    for _ in 0..2 {
        let stream = stage.server.request().await.stream;
        stage.server.write(&reset(stream, REFUSED_STREAM)).await;
    }
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(status.unprocessed, "{status}");

    // GOAWAY below the stream: once more on another connection, while the neighbour goes on here.
    let call = ask();
    stage.server.request().await;
    stage.server.write(&goaway(1, NO_ERROR, b"max_age")).await;
    let mut other = stage.line.accept().await;
    let stream = other.request().await.stream;
    other.write(&answer(stream, "elsewhere")).await;
    assert_eq!(call.await.unwrap().unwrap().message, "elsewhere");
    stage.neighbour_ends_well().await;
}

#[tokio::test(start_paused = true)]
async fn f18_a_connection_lost_after_the_request_is_unavailable_and_not_tried_again() {
    let mut stage = Stage::new().await;
    let channel = stage.line.channel.clone();
    let call = tokio::spawn(async move { unary(&channel, "ask".to_owned()).await });
    let stream = stage.server.request().await.stream;
    assert_eq!(stage.server.messages_of(stream, 1).await, ["ask"]);
    stage.server.close_writing().await;
    let status = call.await.unwrap().unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    assert!(!status.unprocessed, "{status}");
    assert!(!stage.line.has_dialled());
    // The neighbour's answer had begun: it is over, too.
    let status = stage.ends_without_its_connection().await;
    assert_eq!(status.code, Code::Unavailable, "{status}");
}

#[tokio::test(start_paused = true)]
async fn f18_a_connection_lost_after_the_request_is_tried_again_where_a_policy_says_so() {
    let policy = RetryPolicy {
        max_attempts: 3,
        initial_backoff: Duration::from_millis(10),
        max_backoff: Duration::from_millis(10),
        backoff_multiplier: 1.0,
        retryable_codes: vec![Code::Unavailable],
    };
    let config = ChannelConfig {
        service_config: Some(ServiceConfig {
            default_method: Some(MethodConfig {
                attempts: AttemptPolicy::Retry(policy),
                ..MethodConfig::default()
            }),
            ..ServiceConfig::default()
        }),
        ..ChannelConfig::default()
    };
    let mut stage = Stage::with(config).await;
    let channel = stage.line.channel.clone();
    let call = tokio::spawn(async move { unary(&channel, "ask".to_owned()).await });
    let first = stage.server.request().await;
    assert_eq!(first.field("grpc-previous-rpc-attempts"), "");
    assert_eq!(stage.server.messages_of(first.stream, 1).await, ["ask"]);
    stage.server.close_writing().await;
    let mut other = stage.line.accept().await;
    let second = other.request().await;
    assert_eq!(second.field("grpc-previous-rpc-attempts"), "1");
    assert_eq!(other.messages_of(second.stream, 1).await, ["ask"]);
    other.write(&answer(second.stream, "well")).await;
    assert_eq!(call.await.unwrap().unwrap().message, "well");
    // What the neighbour heard cannot be unheard.
    let status = stage.ends_without_its_connection().await;
    assert_eq!(status.code, Code::Unavailable, "{status}");
}

#[tokio::test(start_paused = true)]
async fn f19_after_goaway_a_new_connection_takes_over_and_no_call_fails() {
    let mut line = Line::new();
    let channel = line.channel.clone();
    for number in 0..100 {
        let (result, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
            let mut server = line.accept().await;
            let stream = server.request().await.stream;
            let goodbye = goaway(stream, NO_ERROR, b"");
            // Behind the answer, before it, and so that h2 has forgotten the stream.
            let bytes = match number % 3 {
                0 => [answer(stream, "well"), goodbye].concat(),
                1 => [goodbye, answer(stream, "well")].concat(),
                _ => {
                    server.write(&answer(stream, "well")).await;
                    idle().await;
                    goodbye
                }
            };
            server.write(&bytes).await;
            tokio::spawn(async move { server.is_closed().await });
        });
        assert_eq!(result.unwrap().message, "well", "{number}");
        idle().await;
    }
    // With a neighbour on each of the connections, which ends where it began.
    for _ in 0..3 {
        let mut stage = Stage::new().await;
        stage.server.write(&goaway(1, NO_ERROR, b"")).await;
        idle().await;
        let channel = stage.line.channel.clone();
        let (result, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
            let mut server = stage.line.accept().await;
            let stream = server.request().await.stream;
            server.write(&answer(stream, "well")).await;
        });
        assert_eq!(result.unwrap().message, "well");
        stage.neighbour_ends_well().await;
    }
}

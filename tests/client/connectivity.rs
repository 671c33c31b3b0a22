//! The states of a channel, back-off, and calls that wait.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use barewire::ConnectivityState::{Connecting, Idle, Ready, Shutdown, TransientFailure};
use barewire::resolve::{Resolver, Resolving};
use barewire::{
    Address, Balancing, Channel, ChannelConfig, ClientHttp2Config, Code, Dialer, Dialing,
    Http2Config, MethodPath, Request, Server, ServerConfig, Target,
};
use tokio::time::{Instant, sleep, timeout};

use crate::net::{
    LATENCY, Net, Place, address, balancing, becomes, call, call_with, hold, log_states,
    patient_call, settle,
};
use crate::support::PATIENCE;
use crate::tokio;

#[tokio::test(start_paused = true)]
async fn p161_a_channel_is_idle_until_the_first_call() {
    let (net, [_host]) = Net::with_hosts([1]);
    let channel = net.channel([1]);
    let states = log_states(&channel);
    sleep(Duration::from_secs(3_600)).await;
    assert_eq!((channel.state(), net.dialled()), (Idle, vec![]));
    assert_eq!(call(&channel).await.unwrap(), 1);
    settle().await;
    assert_eq!(*states.lock().unwrap(), [Idle, Connecting, Ready]);
}

#[tokio::test(start_paused = true)]
async fn p161_a_channel_connects_without_a_call_when_asked_to() {
    let (net, [host]) = Net::with_hosts([1]);
    let channel = net.channel([1]);
    channel.connect_now();
    assert_eq!(channel.state(), Connecting);
    becomes(&channel, Ready).await;
    assert_eq!(host.connections(), 1);
    // It is connected: there is nothing to do.
    channel.connect_now();
    channel.ready().await.unwrap();
    settle().await;
    assert_eq!(net.dialled(), [1]);
}

#[tokio::test(start_paused = true)]
async fn p161_states_follow_each_other_as_they_may() {
    let (net, [host]) = Net::with_hosts([1]);
    let channel = net.channel([1]);
    let states = log_states(&channel);
    call(&channel).await.unwrap();
    host.cut();
    becomes(&channel, Idle).await;
    settle().await;
    net.put(1, Place::Refused);
    call(&channel).await.unwrap_err();
    sleep(Duration::from_secs(60)).await;
    net.put(1, Place::Host(host.clone()));
    becomes(&channel, Ready).await;
    settle().await;
    let expected = [
        Idle,
        Connecting,
        Ready,
        Idle,
        Connecting,
        TransientFailure,
        Ready,
    ];
    assert_eq!(*states.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn p162_attempts_are_further_apart_each_time_up_to_two_minutes() {
    const NOMINAL: [f64; 13] = [
        1.0, 1.6, 2.56, 4.1, 6.55, 10.5, 16.8, 26.8, 42.9, 68.7, 110.0, 120.0, 120.0,
    ];
    let net = Net::default();
    let channel = net.channel([1]);
    channel.connect_now();
    sleep(Duration::from_secs(700)).await;
    let times = net.dial_times(1);
    let delays = times.windows(2).map(|pair| pair[1] - pair[0]);
    let delays: Vec<f64> = delays.take(NOMINAL.len()).collect();
    assert_eq!(delays.len(), NOMINAL.len(), "{times:?}");
    for (delay, nominal) in delays.iter().zip(NOMINAL) {
        let share = delay / nominal;
        assert!((0.79..1.21).contains(&share), "{delay} for {nominal}");
    }
}

#[tokio::test(start_paused = true)]
async fn p162_an_attempt_has_20_seconds_or_its_back_off_if_that_is_longer() {
    let net = Net::default();
    // P5: no SETTINGS, no connection.
    net.put(1, Place::Mute);
    let channel = net.channel([1]);
    channel.connect_now();
    sleep(Duration::from_secs(800)).await;
    let times = net.dial_times(1);
    let delays: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Back-off counts from the start of an attempt, so that it is over when the attempt is.
    for delay in &delays[..6] {
        assert!((20.0..20.1).contains(delay), "{delays:?}");
    }
    assert!(
        (26.8 * 0.79..26.8 * 1.21).contains(&delays[7]),
        "{delays:?}"
    );
    assert!(delays[9] > 50.0, "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn p162_a_connection_sets_the_back_off_to_its_beginning() {
    let net = Net::default();
    let channel = net.channel([1]);
    channel.connect_now();
    sleep(Duration::from_secs(60)).await;
    let host = net.host(1);
    becomes(&channel, Ready).await;
    sleep(Duration::from_secs(10)).await;
    net.put(1, Place::Refused);
    host.cut();
    becomes(&channel, Idle).await;
    let before = net.dial_times(1).len();
    channel.connect_now();
    sleep(Duration::from_secs(10)).await;
    let times = &net.dial_times(1)[before..];
    assert!((0.79..1.21).contains(&(times[1] - times[0])), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn p163_a_call_waits_while_the_channel_connects() {
    let net = Net::default();
    net.put(1, Place::BlackHole);
    let _host = net.host(2);
    let channel = net.channel([1, 2]);
    let began_at = Instant::now();
    assert_eq!(call(&channel).await.unwrap(), 2);
    assert_eq!(began_at.elapsed(), Duration::from_millis(250) + LATENCY);
}

#[tokio::test(start_paused = true)]
async fn p163_a_call_fails_with_the_real_reason_when_no_address_answers() {
    let net = Net::default();
    let channel = net.channel([1]);
    let status = call(&channel).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert_eq!(status.message, "cannot connect to 10.0.0.1:50051: refused");
    assert!(status.unprocessed);
    // Those that come while the channel is in this state fail at once.
    let began_at = Instant::now();
    assert_eq!(call(&channel).await.unwrap_err().code, Code::Unavailable);
    assert_eq!(began_at.elapsed(), Duration::ZERO);

    net.put(2, Place::Mute);
    let channel = net.channel([1, 2]);
    let status = call(&channel).await.unwrap_err();
    assert_eq!(
        status.message,
        "none of 2 addresses could be connected to; the last: \
         no HTTP/2 with 10.0.0.2:50051: not done within 20s"
    );
}

#[tokio::test(start_paused = true)]
async fn p164_a_call_that_waits_for_ready_outlasts_failures() {
    let net = Net::default();
    let channel = net.channel([1]);
    let patient = patient_call(&channel);
    sleep(Duration::from_secs(30)).await;
    assert_eq!(channel.state(), TransientFailure);
    assert!(!patient.is_finished());
    let _host = net.host(1);
    assert_eq!(patient.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn p164_a_deadline_that_passes_before_tells_why_there_was_no_connection() {
    let net = Net::default();
    let channel = net.channel([1]);
    let request = Request::new(String::new())
        .with_wait_for_ready(true)
        .with_timeout(Duration::from_secs(5));
    let began_at = Instant::now();
    let status = call_with(&channel, "/test.Host/Call", request).await;
    let status = status.unwrap_err();
    assert_eq!(status.code, Code::DeadlineExceeded);
    assert!(status.message.contains("refused"), "{status}");
    assert_eq!(began_at.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn p164_a_call_that_waits_for_ready_ends_with_the_channel() {
    let (client, server) = tokio::io::duplex(1024);
    let channel = Channel::over(client);
    drop(server);
    let status = patient_call(&channel).await.unwrap().unwrap_err();
    assert_eq!(
        (status.code, channel.state()),
        (Code::Unavailable, Shutdown)
    );
}

#[tokio::test(start_paused = true)]
async fn p161_a_channel_over_one_byte_stream_ends_with_it() {
    let (client, server) = tokio::io::duplex(1024 * 1024);
    let server = tokio::spawn(Server::new().serve_io(server));
    let channel = Channel::over(client);
    channel.ready().await.unwrap();
    server.abort();
    becomes(&channel, Shutdown).await;
    let status = call(&channel).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert!(
        status.message.starts_with("the channel has ended"),
        "{status}"
    );
    sleep(Duration::from_secs(3_600)).await;
    assert_eq!(channel.state(), Shutdown, "there is no way back");
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_wait_than_may() {
    let net = Net::default();
    net.put(1, Place::BlackHole);
    let config = ChannelConfig {
        max_pending_calls: 3,
        ..ChannelConfig::default()
    };
    let channel = net.channel_with([1], config);
    let calls: Vec<_> = (0..3).map(|_| patient_call(&channel)).collect();
    settle().await;
    let status = call(&channel).await.unwrap_err();
    assert_eq!(status.code, Code::ResourceExhausted);
    calls[0].abort();
    settle().await;
    // Whoever gives up makes room.
    let fourth = patient_call(&channel);
    settle().await;
    assert!(!fourth.is_finished());
}

#[tokio::test(start_paused = true)]
async fn p009_calls_that_wait_are_served_in_the_order_they_came() {
    let (net, [host]) = Net::with_hosts([1]);
    host.limit(1);
    let config = ChannelConfig {
        max_connections_per_address: 1,
        ..ChannelConfig::default()
    };
    let channel = net.channel_with([1], config);
    let mut calls = Vec::new();
    for number in 0..50 {
        calls.push(hold(&channel, number));
        tokio::task::yield_now().await;
    }
    // One that gives up leaves the queue to the others.
    calls.remove(20).abort();
    for call in calls {
        host.wait_for("the next call is begun", |host| host.calls() == 1)
            .await;
        host.release_one();
        assert_eq!(call.await.unwrap().unwrap(), 1);
    }
    let expected = (0..50).filter(|number| *number != 20);
    let expected: Vec<_> = expected.map(|number| number.to_string()).collect();
    assert_eq!(host.requests(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_is_dropped_closes_its_connections_and_stops_dialling() {
    let (net, [one, two]) = Net::with_hosts([1, 2]);
    let channel = net.channel_with([1, 2, 3], balancing(Balancing::RoundRobin));
    call(&channel).await.unwrap();
    let clone = channel.clone();
    drop(channel);
    settle().await;
    call(&clone).await.unwrap();
    let last = hold(&clone, "last");
    settle().await;
    drop(clone);
    settle().await;
    // A call that is under way goes on, and may have to be tried again.
    assert_eq!(one.connections() + two.connections(), 2);
    one.release_all();
    two.release_all();
    last.await.unwrap().unwrap();
    settle().await;
    assert_eq!(one.connections() + two.connections(), 0);
    let dials = net.dialled().len();
    sleep(Duration::from_secs(3_600)).await;
    assert_eq!(net.dialled().len(), dials);
}

#[tokio::test(start_paused = true)]
async fn p144_a_server_that_complains_of_pings_is_asked_half_as_often() {
    let net = Net::default();
    // Three PINGs are too many here.
    let serve = |io| {
        let config = ServerConfig {
            http2: Http2Config {
                keepalive_time: None,
                min_ping_interval: Duration::from_secs(100_000),
                ..Http2Config::default()
            },
            ..ServerConfig::default()
        };
        tokio::spawn(Server::new().with_config(config).serve_io(io));
    };
    net.put(1, Place::Other(Arc::new(serve)));
    let config = ChannelConfig {
        http2: ClientHttp2Config {
            keepalive_time: Some(Duration::from_secs(10)),
            keepalive_without_calls: true,
            ..ClientHttp2Config::default()
        },
        ..balancing(Balancing::RoundRobin)
    };
    let channel = net.channel_with([1], config);
    channel.connect_now();
    sleep(Duration::from_secs(500)).await;
    let times = net.dial_times(1);
    let delays: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (at, pair) in delays.windows(2).enumerate() {
        let share = pair[1] / pair[0];
        assert!((1.9..2.1).contains(&share), "{at}: {delays:?}");
    }
    assert!(delays.len() >= 3, "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_connections_at_once_is_not_dialled_without_pause() {
    let net = Net::default();
    net.put(1, Place::Flighty);
    let channel = net.channel_with([1], balancing(Balancing::RoundRobin));
    channel.connect_now();
    sleep(Duration::from_secs(60)).await;
    let dials = net.dialled().len();
    assert!((5..20).contains(&dials), "{dials}");
    let status = call(&channel).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable);
    assert!(
        status.message.contains("ended as soon as they were made"),
        "{status}"
    );
    // It comes to its senses.
    let _host = net.host(1);
    assert_eq!(patient_call(&channel).await.unwrap().unwrap(), 1);
    let _ = address(1);
}

#[tokio::test]
async fn a_channel_outlives_the_runtime_that_it_worked_on() {
    let (net, [_host]) = Net::with_hosts([1]);
    let channel = net.channel([1]);
    let elsewhere = channel.clone();
    let on_another = std::thread::spawn(move || {
        let runtime = ::tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(call(&elsewhere)).unwrap()
    });
    assert_eq!(on_another.join().unwrap(), 1);
    let again = timeout(Duration::from_secs(20), call(&channel));
    assert_eq!(again.await.unwrap().unwrap(), 1);
}

#[test]
fn a_channel_that_has_no_runtime_to_connect_on_says_so() {
    let channel = Channel::lazy("http://127.0.0.1:1").unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    channel.connect_now();
    let Poll::Ready(Err(status)) = pin!(channel.ready()).poll(&mut cx) else {
        panic!("it waits for ever");
    };
    assert_eq!(status.code, Code::Internal);
    assert_eq!(
        status.message,
        "a channel cannot connect outside of a tokio runtime"
    );
    let request = String::new();
    let path = MethodPath::from_static("/test.Host/Call");
    let mut call = pin!(channel.unary::<String, String>(path, request));
    let Poll::Ready(Err(status)) = call.as_mut().poll(&mut cx) else {
        panic!("it waits for ever");
    };
    assert_eq!((status.code, channel.state()), (Code::Internal, Idle));
}

#[test]
fn a_channel_on_a_runtime_that_has_shut_down_does_not_try_for_ever() {
    let (done, ended) = std::sync::mpsc::channel();
    // It would never give its thread back.
    std::thread::spawn(move || {
        let runtime = ::tokio::runtime::Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let channel = Channel::lazy("http://127.0.0.1:1").unwrap();
        done.send((handle.block_on(channel.ready()), channel.state()))
    });
    let (ready, state) = ended.recv_timeout(PATIENCE).expect("an end");
    let status = ready.unwrap_err();
    assert_eq!((status.code, state), (Code::Unavailable, Idle));
    assert!(status.message.contains("shuts down"), "{status}");
}

/// A bug in a program.
#[derive(Default)]
struct Panics(AtomicUsize);

impl Dialer for Panics {
    fn dial<'a>(&'a self, _: &'a Address) -> Dialing<'a> {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("not today");
    }
}

impl Resolver for Panics {
    fn resolve<'a>(&'a self, _: &'a Target) -> Resolving<'a> {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("not today");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plug_that_panics_fails_like_others_and_is_asked_again_later() {
    let cases = [
        "cannot connect to 10.0.0.1:50051: the dialer panicked",
        "cannot resolve \"http://10.0.0.1:50051\": the resolver panicked",
    ];
    for (which, message) in cases.into_iter().enumerate() {
        let plug = Arc::new(Panics::default());
        let mut config = ChannelConfig::default();
        if which == 0 {
            config.dialer = Some(plug.clone());
        } else {
            config.resolver = Some(plug.clone());
        }
        let channel = Channel::with_config("http://10.0.0.1:50051", config).unwrap();
        let status = call(&channel).await.unwrap_err();
        assert_eq!(
            (status.code, &*status.message),
            (Code::Unavailable, message)
        );
        assert!(status.unprocessed);
        sleep(Duration::from_secs(10)).await;
        let asked = plug.0.load(Ordering::SeqCst);
        assert!((4..=6).contains(&asked), "{asked}: {message}");
        assert_eq!(channel.state(), TransientFailure);
    }
}

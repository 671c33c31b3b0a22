//! SIGTERM while ten thousand calls are under way: those end as they would have, and new ones go to
//! another server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use barewire::wire::framing::{RawMessage, encode_message};
use barewire::{Channel, ChannelConfig};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::calls::{ECHO, HOLD, echo};
use crate::numbered::seal;
use crate::process::{Backend, Figures};
use crate::size;
use crate::support::{DATA, END_HEADERS, END_STREAM, HEADERS, RawPeer, block, frame};

const CONNECTIONS: u64 = 100;
/// Calls under way on each.
const HELD: u64 = 100;
/// New calls that the other server must have served before those may end.
const NEW_CALLS: u64 = 5_000;
/// From the signal to the end of the process.
const LIMIT: Duration = Duration::from_secs(30);

pub async fn all_pings_answered() {
    for _ in 0..size("DRAIN_REPEATS", 1) {
        drain(Peers::Orderly).await;
    }
}

pub async fn a_peer_answers_no_ping() {
    for _ in 0..size("DRAIN_REPEATS", 1) {
        drain(Peers::OneWithoutPing).await;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Peers {
    Orderly,
    /// One more that answers no PING, with a call that must end well.
    OneWithoutPing,
}

async fn drain(peers: Peers) {
    let [mut old, mut new] = [Backend::start(&[]), Backend::start(&[])];
    let target = format!("ipv4:{},{}", old.address, new.address);
    // The second server is for later, however slowly the first one takes connections.
    let config = ChannelConfig {
        happy_eyeballs_delay: Duration::from_secs(2),
        ..ChannelConfig::default()
    };
    let channels: Vec<_> = (0..CONNECTIONS)
        .map(|_| Channel::with_config(&target, config.clone()).unwrap())
        .collect();
    let mut held = JoinSet::new();
    for number in 0..CONNECTIONS * HELD {
        let channel = channels[(number % CONNECTIONS) as usize].clone();
        held.spawn(async move { echo(&channel, HOLD, number).await });
    }
    let mut under_way = CONNECTIONS * HELD;
    let mut deaf = None;
    if peers == Peers::OneWithoutPing {
        deaf = Some(call_without_ping(&old, under_way).await);
        under_way += 1;
    }
    let are_all = |figures: &Figures| figures.of("running") == under_way;
    let figures = old.wait_for(are_all).await;
    assert!(are_all(&figures), "{figures:?}");

    let over = Arc::new(AtomicBool::new(false));
    let mut callers = JoinSet::new();
    for (place, channel) in (1..).zip(&channels) {
        let (channel, over) = (channel.clone(), Arc::clone(&over));
        callers.spawn(async move {
            let (mut made, mut failed) = (0, Vec::new());
            while !over.load(Ordering::Relaxed) {
                let number = under_way + place + made * CONNECTIONS;
                // The servers remember so many numbers.
                failed.extend(echo(&channel, ECHO, number % 1_000_000).await.err());
                made += 1;
            }
            (made, failed)
        });
    }
    // New calls are under way before the signal as well.
    old.wait_for(|figures| figures.of("Echo") >= CONNECTIONS)
        .await;
    old.terminate();
    let began_at = Instant::now();
    let figures = new
        .wait_for(|figures| figures.of("Echo") >= NEW_CALLS)
        .await;
    assert!(figures.of("Echo") >= NEW_CALLS, "{figures:?}");
    if deaf.is_some() {
        let has_given_up = |figures: &Figures| figures.of("drain_ping_timeout") == 1;
        let figures = old.wait_for(has_given_up).await;
        assert!(has_given_up(&figures), "{figures:?}");
    }

    old.tell("open");
    let outcomes = held.join_all().await;
    if let Some(deaf) = &mut deaf {
        hear_answer(deaf).await;
    }
    let report = old.last_line();
    let elapsed = began_at.elapsed();
    over.store(true, Ordering::Relaxed);
    let (mut made, mut failed) = (0, Vec::new());
    while let Some(ended) = callers.join_next().await {
        let (more, why) = ended.unwrap();
        made += more;
        failed.extend(why);
    }
    println!("\n  {report}; it was gone after {elapsed:.1?}; {made} new calls");
    let lost: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(
        lost.is_empty(),
        "{} calls were lost: {}",
        lost.len(),
        lost[0]
    );
    assert!(
        failed.is_empty(),
        "{} new calls failed: {}",
        failed.len(),
        failed[0]
    );
    assert!(report.ends_with(" 0 cut"), "{report}");
    assert!(elapsed <= LIMIT, "{elapsed:?}");
}

/// Begins a call that is held, on a connection where nobody answers PINGs.
async fn call_without_ping(server: &Backend, number: u64) -> RawPeer<TcpStream> {
    let io = TcpStream::connect(server.address).await.unwrap();
    let mut peer = RawPeer::begin(io).await;
    let fields = block(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/test.Endurance/Hold"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
    ]);
    let body = seal(number, 0).encode_to_vec().into();
    let message = encode_message(&RawMessage {
        compressed: false,
        body,
    });
    let call = [
        frame(HEADERS, END_HEADERS, 1, &fields),
        frame(DATA, END_STREAM, 1, &message.unwrap()),
    ];
    peer.write(&call.concat()).await;
    peer
}

/// The answer must come whole.
async fn hear_answer(peer: &mut RawPeer<TcpStream>) {
    loop {
        let frame = peer.frame().await.expect("the answer");
        if frame.kind == HEADERS && frame.stream == 1 && frame.flags & END_STREAM != 0 {
            return;
        }
    }
}

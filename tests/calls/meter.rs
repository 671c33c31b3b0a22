//! What a peer may do how often. The counters under h2 show themselves by the GOAWAY that they lead
//! to, so they are compared with counters of our own, over frames that are cut anywhere.
//!
//! Time stands still in these tests, and no counter is filled up again, but where it is said.

use std::time::Duration;

use barewire::spec::http2::frame::PRIORITY;
use barewire::{Counter, Counters, Http2Config, Rate, ServerConfig};
use tokio::io::DuplexStream;
use tokio::time::sleep;

use crate::chance::Chance;
use crate::support::{
    ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PING, Probe, RST_STREAM, RawPeer, SETTINGS,
    WINDOW_UPDATE, block, counted_server, encoded, frame, hits, request_block,
};
use crate::tokio;

/// Small, and different from each other.
fn limits() -> Http2Config {
    let rate = |burst| Rate {
        burst,
        per_second: 0,
    };
    Http2Config {
        pings: rate(6),
        max_ping_strikes: 100,
        settings_frames: rate(5),
        idle_frames: rate(7),
        window_update_slack: 9,
        cancelled_streams: rate(3),
        faulty_streams: rate(4),
        ..Http2Config::default()
    }
}

/// A peer that has said its SETTINGS and acknowledged ours.
async fn peer_of(http2: Http2Config) -> RawPeer<DuplexStream> {
    counted_peer_of(http2).await.0
}

/// The same, with what the server counts.
async fn counted_peer_of(http2: Http2Config) -> (RawPeer<DuplexStream>, Counters) {
    let config = ServerConfig {
        http2,
        ..ServerConfig::default()
    };
    let (io, counters) = counted_server(Probe::default(), config);
    (RawPeer::begin(io).await, counters)
}

/// Writes pieces of these sizes, each of which the server reads by itself. Many thousands would show
/// no more than hundreds, so that the rest goes in large ones.
async fn write_in_pieces(
    peer: &mut RawPeer<DuplexStream>,
    mut bytes: &[u8],
    mut size: impl FnMut() -> usize,
) {
    let mut pieces = 0;
    while !bytes.is_empty() {
        pieces += 1;
        let size = if pieces < 500 { size() } else { 40_000 };
        let (piece, rest) = bytes.split_at(size.clamp(1, bytes.len()));
        peer.write(piece).await;
        tokio::task::yield_now().await;
        bytes = rest;
    }
}

/// A call that tells whether the connection lives.
fn canary() -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, 1001, &request_block("Echo"));
    bytes.extend(frame(DATA, END_STREAM, 1001, &encoded("hello")));
    bytes
}

/// What the connection ends with: a text, or nothing if the canary is answered.
async fn end(peer: &mut RawPeer<DuplexStream>, what: &str) -> Option<String> {
    loop {
        let frame = peer
            .frame()
            .await
            .unwrap_or_else(|| panic!("{what}: no last word"));
        match (frame.kind, frame.stream) {
            (HEADERS, 1001) => return None,
            (crate::support::GOAWAY, _) => {
                assert_eq!(frame.payload[4..8], [0, 0, 0, 11], "{what}");
                return Some(String::from_utf8(frame.payload[8..].to_vec()).unwrap());
            }
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn each_limit_is_reached_by_one_more_however_frames_are_cut() {
    let ping = frame(PING, 0, 0, b"still up");
    let flood = frame(0xbe, 0, 0, &ping.repeat(50));
    let bad = block(&[(":method", "POST"), (":scheme", "http"), (":path", "/a/b"), ("upgrade", "h2c")]);
    let strict = Http2Config { max_ping_strikes: 2, ..limits() };
    let call = |stream, fields: &[u8]| frame(HEADERS, END_HEADERS | END_STREAM, stream, fields);
    let cancelled = |stream| [call(stream, &request_block("Never")), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat();
    let cases: [(Http2Config, &dyn Fn(u32) -> Vec<u8>, u32, &str, Counter); 12] = [
        // limits   frames, of which this is one                                      so many   one more
        (limits(),  &|_| ping.clone(),                                                      6, "too_many_pings", Counter::Pings),
        (strict,    &|_| ping.clone(),                                                      3, "too_many_pings", Counter::MaxPingStrikes),
        (limits(),  &|_| frame(SETTINGS, 0, 0, &[]),                                        3, "too_many_settings", Counter::SettingsFrames), // two to begin with
        (limits(),  &|_| frame(SETTINGS, 0, 0, &[0, 9, 0, 0, 0, 1].repeat(300)),            3, "too_many_settings", Counter::SettingsFrames),
        (limits(),  &|_| frame(PING, ACK, 0, b"unasked!"),                                  7, "too_many_idle_frames", Counter::IdleFrames),
        (limits(),  &|_| frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]),                          7, "too_many_idle_frames", Counter::IdleFrames),
        (limits(),  &|_| frame(0xbe, 0xff, 7, b""),                                         7, "too_many_idle_frames", Counter::IdleFrames),
        (limits(),  &|_| flood.clone(),                                                     7, "too_many_idle_frames", Counter::IdleFrames), // no PINGs: a payload
        (limits(),  &|_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),                         9, "too_many_window_updates", Counter::WindowUpdateSlack),
        (limits(),  &|number| frame(0x0a, 0, number, &[0; 16_384]),                         7, "too_many_idle_frames", Counter::IdleFrames),
        (limits(),  &|number| call(number * 2 + 1, &bad),                                   4, "too_many_stream_errors", Counter::FaultyStreams),
        (limits(),  &|number| cancelled(number * 2 + 1),                                    3, "too_many_cancellations", Counter::CancelledStreams),
    ];
    for (http2, one, allowed, text, counter) in &cases {
        for piece in [1, 2, 8, 9, 10, 13, 100_000] {
            let what = format!("{text} in pieces of {piece}");
            let as_many = (0..*allowed).flat_map(one).collect::<Vec<_>>();
            let (mut peer, counters) = counted_peer_of(http2.clone()).await;
            write_in_pieces(&mut peer, &[&as_many[..], &canary()].concat(), || piece).await;
            assert_eq!(end(&mut peer, &what).await, None, "{what}");
            assert_eq!(hits(&counters), [], "{what}");

            let (mut peer, counters) = counted_peer_of(http2.clone()).await;
            write_in_pieces(&mut peer, &[&as_many[..], &one(*allowed)].concat(), || piece).await;
            assert_eq!(end(&mut peer, &what).await.as_deref(), Some(*text), "{what}");
            assert_eq!(hits(&counters), [(*counter, 1)], "{what}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answers_make_room_for_window_updates_and_pings() {
    let http2 = Http2Config {
        max_ping_strikes: 0,
        pings: Rate {
            burst: 1_000,
            per_second: 0,
        },
        ..limits()
    };
    let mut peer = peer_of(http2).await;
    // Each answer is HEADERS, DATA of twelve bytes and HEADERS: thirty-three updates more, and a PING that
    // is no strike.
    for number in 0..20 {
        let stream = number * 2 + 1;
        let mut bytes = frame(PING, 0, 0, b"bdp-ping");
        bytes.extend(frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(33));
        if number == 0 {
            bytes.truncate(frame(PING, 0, 0, b"bdp-ping").len());
        }
        bytes.extend(frame(HEADERS, END_HEADERS, stream, &request_block("Echo")));
        bytes.extend(frame(DATA, END_STREAM, stream, &encoded("hello")));
        peer.write(&bytes).await;
        for _ in 0..3 {
            assert!(peer.frame_on(stream).await.is_some(), "call {number}");
        }
    }
    // Thirty-three for the last answer, nine for nothing, and then it is enough.
    peer.write(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]).repeat(43))
        .await;
    let text = peer.last_goaway().await.map(|(_, text)| text);
    assert_eq!(text.as_deref(), Some("too_many_window_updates"));
}

/// Sends so many calls as a client does that measures bandwidth: a PING on each answer.
async fn call_and_ping(peer: &mut RawPeer<DuplexStream>, streams: std::ops::Range<u32>) {
    for number in streams {
        let stream = number * 2 + 1;
        let mut bytes = frame(HEADERS, END_HEADERS, stream, &request_block("Echo"));
        bytes.extend(frame(DATA, END_STREAM, stream, &encoded("hello")));
        peer.write(&bytes).await;
        for _ in 0..3 {
            assert!(peer.frame_on(stream).await.is_some(), "call {number}");
        }
        peer.write(&frame(PING, 0, 0, b"bdp-ping")).await;
        assert!(peer.frame_of(PING).await.is_some(), "call {number}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ping_costs_nothing_if_an_answer_came_since_the_last_one() {
    let ping = frame(PING, 0, 0, b"still up");
    for (more, counter) in [(0, None), (1, Some(Counter::Pings))] {
        let (mut peer, counters) = counted_peer_of(limits()).await;
        // The very first one has none before it: it costs one of six.
        call_and_ping(&mut peer, 0..50).await;
        peer.write(&ping.repeat(2)).await;
        call_and_ping(&mut peer, 50..100).await;
        peer.write(&ping.repeat(3 + more)).await;
        let what = format!("{more} too many");
        match counter {
            // All six are spent, and a hundred more cost nothing.
            None => call_and_ping(&mut peer, 100..200).await,
            Some(_) => {
                let text = end(&mut peer, &what).await;
                assert_eq!(text.as_deref(), Some("too_many_pings"), "{what}");
            }
        }
        let hit: Vec<_> = counter.map(|counter| (counter, 1)).into_iter().collect();
        assert_eq!(hits(&counters), hit, "{what}");
    }
}

/// A kind of frame, and how often it may come.
struct Flood {
    rate: Rate,
    /// One of it, or of a stream of its own: what makes it count once.
    one: fn(u32) -> Vec<u8>,
    text: &'static str,
    counter: Counter,
}

/// A peer that sends it, and has said nothing for an hour.
struct Flooding<'a> {
    flood: &'a Flood,
    peer: RawPeer<DuplexStream>,
    counters: Counters,
    /// Used up, as stream ids are.
    number: u32,
}

impl<'a> Flooding<'a> {
    async fn after_an_hour(flood: &'a Flood) -> Self {
        // The server asks nothing, and forgives PINGs that are merely early.
        let http2 = Http2Config {
            keepalive_time: None,
            max_ping_strikes: u32::MAX,
            cancelled_streams: match flood.counter {
                Counter::CancelledStreams => flood.rate,
                _ => Http2Config::default().cancelled_streams,
            },
            ..Http2Config::default()
        };
        let (peer, counters) = counted_peer_of(http2).await;
        sleep(Duration::from_secs(3_600)).await;
        Self {
            flood,
            peer,
            counters,
            number: 0,
        }
    }

    /// So many at this moment.
    async fn send(&mut self, count: u32) {
        for _ in 0..count {
            self.number += 1;
            let stream = self.number * 2 + 1;
            self.peer.write(&(self.flood.one)(stream)).await;
            if self.number.is_multiple_of(20) {
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// A call is answered, and nothing is counted.
    async fn is_borne(&mut self, what: &str) {
        self.number += 1;
        let stream = self.number * 2 + 1;
        let mut call = frame(HEADERS, END_HEADERS, stream, &request_block("Echo"));
        call.extend(frame(DATA, END_STREAM, stream, &encoded("hello")));
        self.peer.write(&call).await;
        while !self.answers(stream, what).await {}
        assert_eq!(hits(&self.counters), [], "{what}");
        // This one comes after an answer, and so for nothing.
        if self.flood.counter == Counter::Pings {
            self.send(1).await;
        }
    }

    async fn answers(&mut self, stream: u32, what: &str) -> bool {
        let frame = self.peer.frame().await;
        let frame = frame.unwrap_or_else(|| panic!("{what}: the connection ended"));
        assert_ne!(frame.kind, crate::support::GOAWAY, "{what}");
        (frame.kind, frame.stream) == (DATA, stream)
    }

    async fn is_ended(&mut self, what: &str) {
        let text = end(&mut self.peer, what).await;
        assert_eq!(text.as_deref(), Some(self.flood.text), "{what}");
        assert_eq!(hits(&self.counters), [(self.flood.counter, 1)], "{what}");
    }
}

/// After an hour a burst passes and no more; then one each time that the rate gives one.
async fn is_filled_up_again(flood: Flood) {
    let Rate { burst, per_second } = flood.rate;
    let step = Duration::from_secs(1) / per_second;
    let (ms, counter) = (Duration::from_millis(1), flood.counter);

    let mut peer = Flooding::after_an_hour(&flood).await;
    peer.send(burst + 1).await;
    peer.is_ended(&format!("{counter}: a burst and one more"))
        .await;

    let mut peer = Flooding::after_an_hour(&flood).await;
    peer.send(burst).await;
    peer.is_borne(&format!("{counter}: a burst")).await;
    sleep(step - ms).await;
    peer.send(1).await;
    peer.is_ended(&format!("{counter}: one too early")).await;

    let mut peer = Flooding::after_an_hour(&flood).await;
    peer.send(burst).await;
    peer.is_borne(&format!("{counter}: a burst")).await;
    for _ in 0..2 {
        sleep(step).await;
        peer.send(1).await;
        peer.is_borne(&format!("{counter}: one in time")).await;
    }
    peer.send(1).await;
    peer.is_ended(&format!("{counter}: two in time")).await;
}

#[tokio::test(start_paused = true)]
async fn pings_may_come_again_at_their_rate() {
    is_filled_up_again(Flood {
        rate: Http2Config::default().pings,
        one: |_| frame(PING, 0, 0, b"still up"),
        text: "too_many_pings",
        counter: Counter::Pings,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn settings_may_come_again_at_their_rate() {
    is_filled_up_again(Flood {
        rate: Http2Config::default().settings_frames,
        one: |_| frame(SETTINGS, 0, 0, &[]),
        text: "too_many_settings",
        counter: Counter::SettingsFrames,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn idle_frames_may_come_again_at_their_rate() {
    is_filled_up_again(Flood {
        rate: Http2Config::default().idle_frames,
        one: |stream| frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 16]),
        text: "too_many_idle_frames",
        counter: Counter::IdleFrames,
    })
    .await;
}

// The default is ten thousand and a thousand more each second, which would take long to provoke.
#[tokio::test(start_paused = true)]
async fn streams_may_be_cancelled_again_at_their_rate() {
    is_filled_up_again(Flood {
        rate: Rate {
            burst: 500,
            per_second: 50,
        },
        one: |stream| {
            let call = frame(HEADERS, END_HEADERS, stream, &request_block("Never"));
            [call, frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        },
        text: "too_many_cancellations",
        counter: Counter::CancelledStreams,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn streams_may_be_faulty_again_at_their_rate() {
    is_filled_up_again(Flood {
        rate: Http2Config::default().faulty_streams,
        one: |stream| {
            let fields = [
                (":method", "POST"),
                (":scheme", "http"),
                (":path", "/a/b"),
                ("upgrade", "h2c"),
            ];
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&fields))
        },
        text: "too_many_stream_errors",
        counter: Counter::FaultyStreams,
    })
    .await;
}

/// The counters, written down once more.
#[derive(Default)]
struct Counted {
    pings: u32,
    settings: u32,
    idle: u32,
    window_updates: u32,
}

impl Counted {
    /// Counts one more frame, and says what it is too many of.
    fn count(&mut self, kind: u8, flags: u8) -> Option<&'static str> {
        let (counter, limit, text) = match (kind, flags) {
            (PING, 0) => (&mut self.pings, 6, "too_many_pings"),
            (SETTINGS, _) => (&mut self.settings, 3, "too_many_settings"),
            (WINDOW_UPDATE, _) => (&mut self.window_updates, 9, "too_many_window_updates"),
            _ => (&mut self.idle, 7, "too_many_idle_frames"),
        };
        *counter += 1;
        (*counter > limit).then_some(text)
    }
}

/// One frame of a kind that is counted, often of the favourite one, and its kind and flags.
fn any_frame(chance: &mut Chance, favourite: usize) -> (Vec<u8>, u8, u8) {
    let stream = u32::try_from(chance.below(9)).unwrap();
    let length = [0, 1, 9, 200, 1_024, 3_000, 16_384][chance.below(7)];
    let entries = [0, 1, 2, 170, 171, 400][chance.below(6)];
    let other = chance.below(12);
    let (kind, flags, stream, payload) = match if other < 6 { other } else { favourite } {
        0 => (PING, 0, 0, vec![6; 8]),
        1 => (PING, ACK, 0, vec![6; 8]),
        2 => (SETTINGS, 0, 0, [0, 6, 0, 0, 0xff, 0xff].repeat(entries)),
        3 => (WINDOW_UPDATE, 0, 0, vec![0, 0, 0, 1]),
        4 => (PRIORITY, 0, stream | 1, vec![0, 0, 0, 0, 16]),
        // Full of what would be frames, were it not a payload.
        _ => (
            0x20,
            0xff,
            stream,
            [0, 0, 0, SETTINGS, 0].repeat(length).split_off(length * 4),
        ),
    };
    (frame(kind, flags, stream, &payload), kind, flags)
}

#[tokio::test(start_paused = true)]
async fn counters_agree_with_counters_that_see_whole_frames() {
    let mut ends = std::collections::BTreeMap::new();
    for seed in 1..=600 {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
        let (mut bytes, mut counted, mut expected) = (Vec::new(), Counted::default(), None);
        let favourite = chance.below(6);
        for _ in 0..chance.below(24) {
            let (one, kind, flags) = any_frame(&mut chance, favourite);
            bytes.extend(one);
            expected = counted.count(kind, flags);
            if expected.is_some() {
                break;
            }
        }
        if expected.is_none() {
            bytes.extend(canary());
        }
        let what = format!("seed {seed}");
        let mut peer = peer_of(limits()).await;
        let largest = [3, 20, 1_000, 40_000][chance.below(4)];
        write_in_pieces(&mut peer, &bytes, || 1 + chance.below(largest)).await;
        assert_eq!(end(&mut peer, &what).await.as_deref(), expected, "{what}");
        *ends.entry(expected).or_insert(0) += 1;
    }
    // All ends are there, and none is rare.
    assert_eq!(ends.len(), 5, "{ends:?}");
    assert!(ends.values().all(|count| *count > 10), "{ends:?}");
}

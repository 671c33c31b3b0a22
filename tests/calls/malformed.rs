//! Connections on which a rule of HTTP/2 is broken, one row for each: what is said, and what comes
//! of it. After each row calls go on: on the same connection where that lives, and at the end of
//! each table on a new one.
//!
//! Each row is played in clear text and over TLS, where its fate is the same.

use std::net::SocketAddr;
use std::sync::Arc;

use barewire::spec::http2::error::{
    ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, NO_ERROR, PROTOCOL_ERROR,
    STREAM_CLOSED,
};
use barewire::spec::http2::flag::{PADDED, PRIORITY as WITH_PRIORITY};
use barewire::spec::http2::frame::{PRIORITY, PUSH_PROMISE};
use barewire::{ByteStream, Server, ServerTls};
use rustls::pki_types::ServerName;
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

use crate::rows::Fate::{self, Closed, Goaway, Ignored, Refused, Reset, Served};
use crate::rows::{BIG, NO_FIELD, NO_HPACK, NOT_OPEN, WRONG_LENGTH, padded, tls};
use crate::support::{
    ACK, CONTINUATION, Client, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PATIENCE,
    PING, PREFACE, Probe, RST_STREAM, RawPeer, SETTINGS, Seen, WINDOW_UPDATE, block, connect,
    encoded, frame, request_block,
};
use crate::tokio;

/// A server, and how it is reached.
struct Place {
    address: SocketAddr,
    tls: Option<TlsConnector>,
    seen: Arc<Seen>,
}

impl Place {
    /// One in clear text, and one over TLS.
    async fn both() -> [Self; 2] {
        let (server, client) = tls();
        let server = Server::new().tls(ServerTls::from_config(server).unwrap());
        [
            Self::of(Server::new(), None).await,
            Self::of(server, Some(TlsConnector::from(Arc::new(client)))).await,
        ]
    }

    async fn of(server: Server, tls: Option<TlsConnector>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let probe = Probe::default();
        let seen = Arc::clone(&probe.seen);
        tokio::spawn(server.add(probe).serve(listener));
        Self { address, tls, seen }
    }

    async fn connect(&self) -> Box<dyn ByteStream> {
        let io = connect(self.address).await;
        let Some(tls) = &self.tls else {
            return Box::new(io);
        };
        let name = ServerName::try_from("localhost").unwrap();
        let io = tokio::time::timeout(PATIENCE, tls.connect(name, io)).await;
        Box::new(io.expect("a handshake in time").unwrap())
    }
}

/// The stream of the call after each row.
const CANARY: u32 = 1001;

/// Plays each row on a connection of its own that begins with SETTINGS as it should.
async fn play(rows: &[(&str, Vec<u8>, Fate)]) {
    let mut begin = PREFACE.to_vec();
    begin.extend(frame(SETTINGS, 0, 0, &[]));
    begin.extend(frame(SETTINGS, ACK, 0, &[]));
    play_after(&begin, rows).await;
}

async fn play_after(begin: &[u8], rows: &[(&str, Vec<u8>, Fate)]) {
    let mut wrong = Vec::new();
    for place in Place::both().await {
        let over = if place.tls.is_some() {
            ", over TLS"
        } else {
            ""
        };
        for (what, bytes, expected) in rows {
            let bytes = [begin, bytes, &echo(CANARY)].concat();
            let found = fate(&place, &bytes).await;
            if found != *expected {
                wrong.push(format!("{what}{over}: {found:?} instead of {expected:?}"));
            }
        }
        let client = Client::over(place.connect().await).await;
        assert_eq!(client.call("Echo", &["hello"]).await.messages, ["hello"]);
        let seen = &place.seen;
        seen.wait_for("no handler is left", |seen| seen.running() == 0)
            .await;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the server says first to `bytes`, up to its answer to the canary.
async fn fate(place: &Place, bytes: &[u8]) -> Fate {
    let mut peer = RawPeer::silent(place.connect().await);
    peer.write(bytes).await;
    let mut first = None;
    loop {
        let Some(frame) = peer.frame().await else {
            return Closed;
        };
        let said = match frame {
            Frame {
                kind: HEADERS,
                stream: CANARY,
                ..
            } => return first.unwrap_or(Ignored),
            Frame {
                kind: GOAWAY,
                payload,
                ..
            } => {
                // The end follows, and nothing else.
                assert_eq!(peer.frame().await, None);
                return Goaway(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
            Frame {
                kind: RST_STREAM,
                payload,
                ..
            } => Reset(u32::from_be_bytes(payload.try_into().unwrap())),
            // The index of `:status: 200`. RFC 7541 §6.1, Appendix A.
            Frame {
                kind: HEADERS,
                payload,
                ..
            } if payload[0] == 0x88 => Served,
            Frame { kind: HEADERS, .. } => Refused,
            _ => continue,
        };
        first.get_or_insert(said);
    }
}

/// A whole call that is answered.
fn echo(stream: u32) -> Vec<u8> {
    let mut bytes = frame(HEADERS, END_HEADERS, stream, &request_block("Echo"));
    bytes.extend(frame(DATA, END_STREAM, stream, &encoded("hello")));
    bytes
}

/// A call whose request is open, and that is never answered.
fn open(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &request_block("Never"))
}

/// A call whose request is complete, and that is never answered.
fn half_closed(stream: u32) -> Vec<u8> {
    frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        stream,
        &request_block("Never"),
    )
}

/// A call that its client has given up.
fn reset(stream: u32) -> Vec<u8> {
    [open(stream), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
}

/// A frame behind an open call on stream 1.
fn opened(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    [open(1), frame(kind, flags, stream, payload)].concat()
}

fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    let mut payload = Vec::new();
    for (identifier, value) in entries {
        payload.extend(identifier.to_be_bytes());
        payload.extend(value.to_be_bytes());
    }
    frame(SETTINGS, 0, 0, &payload)
}

fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

#[tokio::test]
#[rustfmt::skip]
async fn frames_belong_to_a_stream_or_to_none() {
    let request = request_block("Echo");
    play(&[
        ("DATA on stream 0",             frame(DATA, 0, 0, b"x"),                        Goaway(PROTOCOL_ERROR)),
        ("empty DATA on stream 0",       frame(DATA, END_STREAM, 0, b""),                Goaway(PROTOCOL_ERROR)),
        ("HEADERS on stream 0",          frame(HEADERS, END_HEADERS, 0, &request),       Goaway(PROTOCOL_ERROR)),
        ("PRIORITY on stream 0",         frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 16]),       Goaway(PROTOCOL_ERROR)),
        ("RST_STREAM on stream 0",       frame(RST_STREAM, 0, 0, &[0, 0, 0, 8]),         Goaway(PROTOCOL_ERROR)),
        ("CONTINUATION on stream 0",     frame(CONTINUATION, END_HEADERS, 0, &request),  Goaway(PROTOCOL_ERROR)),
        ("PUSH_PROMISE on stream 0",     frame(PUSH_PROMISE, END_HEADERS, 0, &[0, 0, 0, 2]), Goaway(PROTOCOL_ERROR)),
        ("SETTINGS on stream 1",         frame(SETTINGS, 0, 1, &[]),                     Goaway(PROTOCOL_ERROR)),
        ("SETTINGS on an open stream",   opened(SETTINGS, 0, 1, &[]),                    Goaway(PROTOCOL_ERROR)),
        ("SETTINGS ACK on stream 1",     frame(SETTINGS, ACK, 1, &[]),                   Goaway(PROTOCOL_ERROR)),
        ("PING on stream 1",             frame(PING, 0, 1, &[0; 8]),                     Goaway(PROTOCOL_ERROR)),
        ("PING ACK on stream 1",         frame(PING, ACK, 1, &[0; 8]),                   Goaway(PROTOCOL_ERROR)),
        ("PING on an open stream",       opened(PING, 0, 1, &[0; 8]),                    Goaway(PROTOCOL_ERROR)),
        ("GOAWAY on stream 1",           frame(GOAWAY, 0, 1, &[0; 8]),                   Goaway(PROTOCOL_ERROR)),
    ]).await;
}

#[tokio::test]
#[rustfmt::skip]
async fn frames_have_the_length_of_their_type() {
    let large = vec![0; 16_385];
    play(&[
        ("SETTINGS of 1 byte",           frame(SETTINGS, 0, 0, &[0]),                    WRONG_LENGTH),
        ("SETTINGS of 5 bytes",          frame(SETTINGS, 0, 0, &[0; 5]),                 WRONG_LENGTH),
        ("SETTINGS of 7 bytes",          frame(SETTINGS, 0, 0, &[0; 7]),                 WRONG_LENGTH),
        ("SETTINGS ACK of 1 byte",       frame(SETTINGS, ACK, 0, &[0]),                  WRONG_LENGTH),
        ("SETTINGS ACK with a setting",  frame(SETTINGS, ACK, 0, &[0, 3, 0, 0, 0, 1]),   WRONG_LENGTH),
        ("PING of 0 bytes",              frame(PING, 0, 0, &[]),                         WRONG_LENGTH),
        ("PING of 7 bytes",              frame(PING, 0, 0, &[0; 7]),                     WRONG_LENGTH),
        ("PING of 9 bytes",              frame(PING, 0, 0, &[0; 9]),                     WRONG_LENGTH),
        ("PING ACK of 7 bytes",          frame(PING, ACK, 0, &[0; 7]),                   WRONG_LENGTH),
        ("PRIORITY of 0 bytes",          frame(PRIORITY, 0, 1, &[]),                     WRONG_LENGTH),
        ("PRIORITY of 4 bytes",          frame(PRIORITY, 0, 1, &[0; 4]),                 WRONG_LENGTH), // a stream error
        ("PRIORITY of 6 bytes",          opened(PRIORITY, 0, 1, &[0; 6]),                WRONG_LENGTH),
        ("RST_STREAM of 0 bytes",        opened(RST_STREAM, 0, 1, &[]),                  WRONG_LENGTH),
        ("RST_STREAM of 3 bytes",        opened(RST_STREAM, 0, 1, &[0; 3]),              WRONG_LENGTH),
        ("RST_STREAM of 5 bytes",        opened(RST_STREAM, 0, 1, &[0; 5]),              WRONG_LENGTH),
        ("WINDOW_UPDATE of 0 bytes",     frame(WINDOW_UPDATE, 0, 0, &[]),                WRONG_LENGTH),
        ("WINDOW_UPDATE of 3 bytes",     frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1]),         WRONG_LENGTH),
        ("WINDOW_UPDATE of 5 bytes",     opened(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 0, 1]),  WRONG_LENGTH),
        ("GOAWAY of 0 bytes",            frame(GOAWAY, 0, 0, &[]),                       WRONG_LENGTH),
        ("GOAWAY of 7 bytes",            frame(GOAWAY, 0, 0, &[0; 7]),                   WRONG_LENGTH),
        ("HEADERS without its priority", frame(HEADERS, END_HEADERS | WITH_PRIORITY, 1, &[0; 4]), WRONG_LENGTH),
        ("DATA above the limit",         opened(DATA, 0, 1, &large),                     Goaway(FRAME_SIZE_ERROR)),
        ("HEADERS above the limit",      frame(HEADERS, END_HEADERS, 1, &large),         Goaway(FRAME_SIZE_ERROR)),
        ("an unknown frame above it",    frame(0xbe, 0, 0, &large),                      Goaway(FRAME_SIZE_ERROR)),
        ("a PING of 16 MiB",             [0xff, 0xff, 0xff, PING, 0, 0, 0, 0, 0].to_vec(), Goaway(FRAME_SIZE_ERROR)),
        ("DATA at the limit",            opened(DATA, 0, 1, &large[1..]),                Ignored),
        ("an unknown frame at it",       frame(0xbe, 0, 0, &large[1..]),                 Ignored),
    ]).await;
}

#[tokio::test]
#[rustfmt::skip]
async fn padding_is_within_its_frame() {
    let request = request_block("Echo");
    let with_priority = [&[0, 0, 0, 0, 16][..], &request].concat();
    let end = END_HEADERS | END_STREAM;
    play(&[
        ("DATA without the length of it", opened(DATA, PADDED, 1, &[]),                   WRONG_LENGTH),
        ("DATA padded by all of it",      opened(DATA, PADDED, 1, &padded(1, &[], 0)),    Goaway(PROTOCOL_ERROR)),
        ("DATA padded by one more",       opened(DATA, PADDED, 1, &padded(5, b"abc", 1)), Goaway(PROTOCOL_ERROR)),
        ("DATA padded by far more",       opened(DATA, PADDED, 1, &padded(255, b"abc", 9)), Goaway(PROTOCOL_ERROR)),
        ("HEADERS without the length",    frame(HEADERS, PADDED | end, 1, &[]),           WRONG_LENGTH),
        ("HEADERS padded by all of it",   frame(HEADERS, PADDED | end, 1, &padded(1, &[], 0)), Goaway(PROTOCOL_ERROR)),
        ("HEADERS padded by far more",    frame(HEADERS, PADDED | end, 1, &padded(255, &request, 0)), Goaway(PROTOCOL_ERROR)),
        ("HEADERS padded over its priority", frame(HEADERS, PADDED | WITH_PRIORITY | end, 1, &padded(3, &[0, 0, 0, 0, 16], 0)), Goaway(PROTOCOL_ERROR)),
        ("DATA that is all padding",      opened(DATA, PADDED, 1, &padded(255, &[], 255)), Ignored),
        ("DATA with padding of length 0", opened(DATA, PADDED, 1, &padded(0, b"", 0)),    Ignored),
        ("DATA with padding",             [open(1), frame(DATA, PADDED, 1, &padded(9, &encoded("hello"), 9))].concat(), Ignored),
        ("padding that is not zero",      opened(DATA, PADDED, 1, &[2, b'x', 1, 1]),      Ignored), // an error if one likes
        ("HEADERS with padding",          frame(HEADERS, PADDED | end, 1, &padded(7, &request, 7)), Served),
        ("HEADERS with padding of length 0", frame(HEADERS, PADDED | end, 1, &padded(0, &request, 0)), Served),
        ("HEADERS with both",             frame(HEADERS, PADDED | WITH_PRIORITY | end, 1, &padded(7, &with_priority, 7)), Served),
    ]).await;
}

#[tokio::test]
#[rustfmt::skip]
async fn a_header_block_is_one_piece() {
    let request = request_block("Echo");
    let (first, second) = request.split_at(30);
    let begun = frame(HEADERS, END_STREAM, 1, first);
    let then = |kind, flags, stream, payload: &[u8]| [&begun[..], &frame(kind, flags, stream, payload)].concat();
    let rest = frame(CONTINUATION, END_HEADERS, 1, second);
    let empty = frame(CONTINUATION, 0, 1, &[]);
    play(&[
        ("CONTINUATION out of nowhere",    frame(CONTINUATION, END_HEADERS, 1, &request),        Goaway(PROTOCOL_ERROR)),
        ("CONTINUATION after an end",      opened(CONTINUATION, END_HEADERS, 1, second),         Goaway(PROTOCOL_ERROR)),
        ("CONTINUATION after its end",     [&begun[..], &rest, &rest].concat(),                  Goaway(PROTOCOL_ERROR)),
        ("CONTINUATION of DATA",           [open(1), frame(DATA, 0, 1, b""), rest.clone()].concat(), Goaway(PROTOCOL_ERROR)),
        ("CONTINUATION on another stream", then(CONTINUATION, END_HEADERS, 3, second),           Goaway(PROTOCOL_ERROR)),
        ("CONTINUATION on stream 0",       then(CONTINUATION, END_HEADERS, 0, second),           Goaway(PROTOCOL_ERROR)),
        ("DATA inside",                    then(DATA, END_STREAM, 1, b"x"),                      Goaway(PROTOCOL_ERROR)),
        ("HEADERS inside",                 then(HEADERS, END_HEADERS, 1, &request),              Goaway(PROTOCOL_ERROR)),
        ("another stream's HEADERS inside", then(HEADERS, END_HEADERS, 3, &request),             Goaway(PROTOCOL_ERROR)),
        ("PRIORITY inside",                then(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]),              Goaway(PROTOCOL_ERROR)),
        ("RST_STREAM inside",              then(RST_STREAM, 0, 1, &[0, 0, 0, 8]),                Goaway(PROTOCOL_ERROR)),
        ("SETTINGS inside",                then(SETTINGS, 0, 0, &[]),                            Goaway(PROTOCOL_ERROR)),
        ("PUSH_PROMISE inside",            then(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),    Goaway(PROTOCOL_ERROR)),
        ("PING inside",                    then(PING, 0, 0, &[0; 8]),                            Goaway(PROTOCOL_ERROR)),
        ("GOAWAY inside",                  then(GOAWAY, 0, 0, &[0; 8]),                          Goaway(PROTOCOL_ERROR)),
        ("WINDOW_UPDATE inside",           then(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),             Goaway(PROTOCOL_ERROR)),
        ("an unknown frame inside",        then(0xbe, 0, 1, &[]),                                Goaway(PROTOCOL_ERROR)),
        ("a flood of empty ones",          [&begun[..], &empty.repeat(1_000)].concat(),          Goaway(ENHANCE_YOUR_CALM)),
        ("one that is empty",              [&begun[..], &empty, &rest].concat(),                 Served),
        ("all of it in CONTINUATION",      [frame(HEADERS, END_STREAM, 1, &[]), frame(CONTINUATION, END_HEADERS, 1, &request)].concat(), Served),
        ("flags that mean nothing there",  then(CONTINUATION, 0xff, 1, second),                  Served),
    ]).await;
    // Cut at each byte, with an empty rest at the end.
    let cuts = (0..=request.len()).map(|cut| {
        let (first, second) = request.split_at(cut);
        ("cut anywhere", [frame(HEADERS, END_STREAM, 1, first), frame(CONTINUATION, END_HEADERS, 1, second)].concat(), Served)
    });
    play(&cuts.collect::<Vec<_>>()).await;
}

#[tokio::test]
#[rustfmt::skip]
async fn settings_have_values_that_can_be() {
    let many: Vec<(u16, u32)> = (0..2_000).map(|number| (0x100 + number, 0)).collect();
    play(&[
        ("ENABLE_PUSH of 2",               settings(&[(2, 2)]),               Goaway(PROTOCOL_ERROR)),
        ("ENABLE_PUSH of -1",              settings(&[(2, u32::MAX)]),        Goaway(PROTOCOL_ERROR)),
        ("INITIAL_WINDOW_SIZE of 2^31",    settings(&[(4, BIG + 1)]),         Goaway(PROTOCOL_ERROR)), // FLOW_CONTROL_ERROR
        ("INITIAL_WINDOW_SIZE of 2^32-1",  settings(&[(4, u32::MAX)]),        Goaway(PROTOCOL_ERROR)), // FLOW_CONTROL_ERROR
        ("MAX_FRAME_SIZE of 0",            settings(&[(5, 0)]),               Goaway(PROTOCOL_ERROR)),
        ("MAX_FRAME_SIZE of 2^14-1",       settings(&[(5, 16_383)]),          Goaway(PROTOCOL_ERROR)),
        ("MAX_FRAME_SIZE of 2^24",         settings(&[(5, 1 << 24)]),         Goaway(PROTOCOL_ERROR)),
        ("ENABLE_CONNECT_PROTOCOL of 2",   settings(&[(8, 2)]),               Goaway(PROTOCOL_ERROR)), // RFC 8441 §3
        ("one bad value among good ones",  settings(&[(1, 0), (2, 7), (3, 1)]), Goaway(PROTOCOL_ERROR)),
        ("a bad value that is taken back", settings(&[(5, 0), (5, 16_384)]),  Goaway(PROTOCOL_ERROR)),
        ("an ACK too many",                frame(SETTINGS, ACK, 0, &[]),      Goaway(PROTOCOL_ERROR)), // RFC 9113 does not say
        ("an initial window that overflows a stream's",
            [settings(&[(4, 0)]), open(1), window_update(1, BIG), settings(&[(4, 1)])].concat(), Goaway(FLOW_CONTROL_ERROR)),
        ("HEADER_TABLE_SIZE of 0",         settings(&[(1, 0)]),               Ignored),
        ("HEADER_TABLE_SIZE of 2^32-1",    settings(&[(1, u32::MAX)]),        Ignored),
        ("ENABLE_PUSH of 0, then 1",       settings(&[(2, 0), (2, 1)]),       Ignored),
        ("MAX_CONCURRENT_STREAMS of 0",    settings(&[(3, 0)]),               Ignored),
        ("MAX_CONCURRENT_STREAMS of 2^32-1", settings(&[(3, u32::MAX)]),      Ignored),
        ("INITIAL_WINDOW_SIZE of 2^31-1",  settings(&[(4, BIG)]),             Ignored),
        ("INITIAL_WINDOW_SIZE of 0",       settings(&[(4, 0)]),               Ignored),
        ("the smallest MAX_FRAME_SIZE",    settings(&[(5, 16_384)]),          Ignored),
        ("the largest MAX_FRAME_SIZE",     settings(&[(5, (1 << 24) - 1)]),   Ignored),
        ("MAX_HEADER_LIST_SIZE of 2^32-1", settings(&[(6, u32::MAX)]),        Ignored),
        ("MAX_HEADER_LIST_SIZE of 0",      settings(&[(6, 0)]),               Ignored),
        ("settings that nobody knows",     settings(&[(0, 1), (7, 2), (9, 3), (0xffff, u32::MAX)]), Ignored),
        ("very many of them",              settings(&many),                   Ignored),
        ("flags that mean nothing there",  frame(SETTINGS, 0xfe, 0, &[]),     Ignored),
    ]).await;
}

#[tokio::test]
#[rustfmt::skip]
async fn windows_grow_by_something_and_not_without_end() {
    let past_the_window = [open(1), frame(DATA, 0, 1, &[0; 16_384]).repeat(16), frame(DATA, 0, 1, b"x")].concat();
    play(&[
        ("0 for the connection",           window_update(0, 0),                            Goaway(PROTOCOL_ERROR)),
        ("0 for a stream",                 [open(1), window_update(1, 0)].concat(),        Goaway(PROTOCOL_ERROR)), // a stream error
        ("0 with the reserved bit",        window_update(0, 1 << 31),                      Goaway(PROTOCOL_ERROR)),
        ("too much for the connection",    window_update(0, BIG),                          Goaway(FLOW_CONTROL_ERROR)),
        ("too much in two steps",          [window_update(0, BIG - 65_535), window_update(0, 1)].concat(), Goaway(FLOW_CONTROL_ERROR)),
        ("too much for a stream",          [open(1), window_update(1, BIG)].concat(),      Reset(FLOW_CONTROL_ERROR)),
        ("too much for one half-closed",   [half_closed(1), window_update(1, BIG)].concat(), Reset(FLOW_CONTROL_ERROR)),
        ("for an idle stream",             window_update(1, 1),                            Goaway(PROTOCOL_ERROR)),
        ("for a stream that we never open", window_update(2, 1),                           Goaway(PROTOCOL_ERROR)),
        ("DATA past a stream's window",    past_the_window,                                Goaway(FLOW_CONTROL_ERROR)),
        ("as much as there can be",        window_update(0, BIG - 65_535),                 Ignored),
        ("for a stream",                   [open(1), window_update(1, 1)].concat(),        Ignored),
        ("with the reserved bit",          window_update(0, (1 << 31) + 1),                Ignored),
        ("for a closed stream",            [reset(1), window_update(1, 1)].concat(),       Ignored),
        ("too much for a closed stream",   [reset(1), window_update(1, BIG)].concat(),     Ignored),
        ("flags that mean nothing there",  frame(WINDOW_UPDATE, 0xff, 0, &[0, 0, 0, 1]),   Ignored),
    ]).await;
}

#[tokio::test]
#[rustfmt::skip]
async fn p253_empty_data_is_borne_for_a_while() {
    let empty = frame(DATA, 0, 1, b"");
    play(&[
        ("50 of them",                     [open(1), empty.repeat(50)].concat(),           Ignored),
        ("a flood",                        [open(1), empty.repeat(101)].concat(),          Goaway(ENHANCE_YOUR_CALM)),
        ("a flood with padding",           [open(1), frame(DATA, PADDED, 1, &[0]).repeat(101)].concat(), Goaway(ENHANCE_YOUR_CALM)),
    ]).await;

    // Where they come slowly, the client is sent away before it is too late, and its calls go on.
    for place in Place::both().await {
        let mut peer = RawPeer::begin(place.connect().await).await;
        peer.write(&frame(HEADERS, END_HEADERS, 1, &request_block("Echo"))).await;
        peer.write(&empty.repeat(51)).await;
        let goaway = peer.frame_of(GOAWAY).await.expect("a farewell");
        assert_eq!(goaway.payload, [BIG.to_be_bytes(), NO_ERROR.to_be_bytes()].concat());
        peer.write(&frame(DATA, END_STREAM, 1, &encoded("hello"))).await;
        assert_eq!(peer.frame_on(1).await.map(|frame| frame.kind), Some(HEADERS));
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn streams_live_from_headers_to_their_end() {
    let request = request_block("Never");
    let trailers = block(&[("x-end", "here")]);
    let end = END_HEADERS | END_STREAM;
    play(&[
        ("DATA on an idle stream",         frame(DATA, 0, 1, b"x"),                               Goaway(PROTOCOL_ERROR)),
        ("RST_STREAM on an idle stream",   frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),                Goaway(PROTOCOL_ERROR)),
        ("PRIORITY on an idle stream",     frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16]),              Ignored),
        ("DATA after the end",             [half_closed(1), frame(DATA, 0, 1, b"x")].concat(),    NOT_OPEN),
        ("empty DATA after the end",       [half_closed(1), frame(DATA, END_STREAM, 1, b"")].concat(), NOT_OPEN),
        ("DATA after END_STREAM of DATA",  [open(1), frame(DATA, END_STREAM, 1, b"").repeat(2)].concat(), NOT_OPEN),
        ("HEADERS after the end",          [half_closed(1), half_closed(1)].concat(),             NOT_OPEN),
        ("trailers after the end",         [half_closed(1), frame(HEADERS, end, 1, &trailers)].concat(), NOT_OPEN),
        ("DATA after trailers",            [open(1), frame(HEADERS, end, 1, &trailers), frame(DATA, 0, 1, b"x")].concat(), NOT_OPEN),
        ("trailers after trailers",        [open(1), frame(HEADERS, end, 1, &trailers).repeat(2)].concat(), NOT_OPEN),
        ("DATA after RST_STREAM",          [reset(1), frame(DATA, 0, 1, b"x")].concat(),          Reset(STREAM_CLOSED)),
        ("HEADERS after RST_STREAM",       [reset(1), frame(HEADERS, END_HEADERS, 1, &request)].concat(), NOT_OPEN),
        ("RST_STREAM after RST_STREAM",    [reset(1), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])].concat(), Ignored),
        ("PRIORITY after RST_STREAM",      [reset(1), frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 16])].concat(), Ignored),
        ("RST_STREAM after the end",       [half_closed(1), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])].concat(), Ignored),
        ("RST_STREAM with NO_ERROR",       [open(1), frame(RST_STREAM, 0, 1, &[0; 4])].concat(),  Ignored),
        ("RST_STREAM with an unknown code", [open(1), frame(RST_STREAM, 0, 1, &[0xff; 4])].concat(), Ignored),
        ("RST_STREAM with flags",          [open(1), frame(RST_STREAM, 0xff, 1, &[0, 0, 0, 8])].concat(), Ignored),
        ("flags that DATA does not have",  [open(1), frame(DATA, 0xf6, 1, b"")].concat(),         Ignored),
        ("flags that HEADERS does not have", frame(HEADERS, 0xd3 | end, 1, &request),             Ignored),
    ]).await;
}

#[tokio::test]
#[rustfmt::skip]
async fn stream_ids_are_odd_and_grow() {
    let reserved = 1 << 31;
    play(&[
        ("an even stream",                 open(2),                                    Goaway(PROTOCOL_ERROR)),
        ("an even stream after an odd one", [open(1), open(4)].concat(),               Goaway(PROTOCOL_ERROR)),
        ("a smaller stream",               [half_closed(3), open(1)].concat(),         Goaway(PROTOCOL_ERROR)),
        ("one that was passed over",       [half_closed(101), open(51)].concat(),      Goaway(PROTOCOL_ERROR)),
        ("DATA on one that was passed over", [half_closed(3), frame(DATA, 0, 1, b"x")].concat(), Reset(STREAM_CLOSED)),
        ("RST_STREAM on one passed over",  [half_closed(3), frame(RST_STREAM, 0, 1, &[0; 4])].concat(), Ignored),
        ("DATA on an even stream",         frame(DATA, 0, 2, b"x"),                    Goaway(PROTOCOL_ERROR)),
        ("RST_STREAM on an even stream",   frame(RST_STREAM, 0, 2, &[0; 4]),           Goaway(PROTOCOL_ERROR)),
        ("PRIORITY on an even stream",     frame(PRIORITY, 0, 2, &[0, 0, 0, 1, 16]),   Ignored),
        ("an old stream anew",             [echo(1), echo(1)].concat(),                Reset(PROTOCOL_ERROR)), // STREAM_CLOSED
        ("the reserved bit",               echo(reserved | 1),                         Served),
        ("PING with the reserved bit",     frame(PING, 0, reserved, &[0; 8]),          Ignored),
        ("streams far apart",              [half_closed(1), half_closed(999)].concat(), Ignored),
    ]).await;
    // After the last stream of a connection there is no other.
    let begin = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for place in Place::both().await {
        assert_eq!(fate(&place, &[&begin[..], &echo(BIG), &frame(DATA, 0, 0, b"")].concat()).await, Goaway(PROTOCOL_ERROR));
    }
}

#[tokio::test]
#[rustfmt::skip]
async fn what_clients_do_not_send_and_what_nobody_knows() {
    let itself = [&[0, 0, 0, 1, 16][..], &request_block("Echo")].concat();
    let promise = [&[0, 0, 0, 2][..], &request_block("Echo")].concat();
    let goaway = |last: u32, code: u32| frame(GOAWAY, 0, 0, &[last.to_be_bytes(), code.to_be_bytes()].concat());
    play(&[
        // RFC 9113 has no word on dependencies any more; RFC 7540 §5.3.1 had this stream error.
        ("PRIORITY that depends on itself", frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 16]),              Reset(PROTOCOL_ERROR)),
        ("HEADERS that depend on themselves", frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, &itself), Reset(PROTOCOL_ERROR)),
        // The fields of such HEADERS are not even decoded, so that tables differ from there on.
        ("an entry from HEADERS that do",  [frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, &[&itself, &b"\x40\x03x-a\x01b"[..]].concat()),
            frame(HEADERS, END_HEADERS, 3, &[0xbe])].concat(), NO_HPACK),
        ("an exclusive dependency",        frame(PRIORITY, 0, 1, &[0x80, 0, 0, 0, 255]),           Ignored),
        ("PRIORITY with flags",            frame(PRIORITY, 0xff, 1, &[0, 0, 0, 3, 0]),             Ignored),
        ("PUSH_PROMISE on an idle stream", frame(PUSH_PROMISE, END_HEADERS, 1, &promise),          Goaway(PROTOCOL_ERROR)),
        ("PUSH_PROMISE on an open stream", opened(PUSH_PROMISE, END_HEADERS, 1, &promise),         Goaway(PROTOCOL_ERROR)),
        ("PUSH_PROMISE of an odd stream",  opened(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 3]),    Goaway(PROTOCOL_ERROR)),
        ("PUSH_PROMISE of no stream",      opened(PUSH_PROMISE, END_HEADERS, 1, &[]),              Goaway(PROTOCOL_ERROR)),
        ("PUSH_PROMISE in pieces",         opened(PUSH_PROMISE, 0, 1, &promise),                   Goaway(PROTOCOL_ERROR)),
        ("GOAWAY",                         goaway(0, NO_ERROR),                                    Ignored),
        ("GOAWAY with an error",           goaway(0, PROTOCOL_ERROR),                              Ignored),
        ("GOAWAY with an unknown error",   goaway(BIG, 0xdead_beef),                               Ignored),
        ("GOAWAY whose last stream grows", [goaway(0, NO_ERROR), goaway(2, NO_ERROR)].concat(),    Goaway(PROTOCOL_ERROR)),
        ("GOAWAY with much to say",        frame(GOAWAY, 0, 0, &[0; 16_000]),                      Ignored),
        ("PING ACK that nobody waits for", frame(PING, ACK, 0, &[0; 8]),                           Ignored),
        ("PING with flags",                frame(PING, 0xfe, 0, &[0; 8]),                          Ignored),
        ("an unknown frame",               frame(0xbe, 0xff, 0, b"what is this"),                  Ignored),
        ("an unknown frame on an idle stream", frame(0x0b, 0, 7, b"what is this"),                 Ignored),
        ("an unknown frame on an even one", frame(0xff, 0, 2, b""),                                Ignored),
        ("an unknown frame on an open one", opened(0x0a, END_STREAM, 1, b"ALTSVC"),                Ignored),
        ("an unknown frame on a closed one", [reset(1), frame(0xbe, 0, 1, b"")].concat(),          Ignored),
        ("PRIORITY_UPDATE of RFC 9218",    frame(0x10, 0, 0, b"\0\0\0\x01u=7"),                    Ignored),
    ]).await;
}

/// A whole request on stream 1 whose header block is the fields of a good one and then `more`.
fn hpack(more: &[u8]) -> Vec<u8> {
    let block = [&request_block("Echo"), more].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

/// The same with `first` before the fields.
fn hpack_before(first: &[u8]) -> Vec<u8> {
    let block = [first, &request_block("Echo")].concat();
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block)
}

#[tokio::test]
#[rustfmt::skip]
async fn header_blocks_are_hpack() {
    let entry = b"\x40\x03x-a\x01b";
    let large = [&b"\x40\x03x-a\x7f\x81\x20"[..], &[b'v'; 4_224]].concat();
    play(&[
        ("index 0",                        hpack(&[0x80]),                              NO_HPACK),
        ("an index past the tables",       hpack(&[0xbe]),                              NO_HPACK),
        ("an index far past them",         hpack(&[0xff, 0xff, 0xff, 0xff, 0x07]),      NO_HPACK),
        ("an index without an end",        hpack(&[0xff]),                              NO_HPACK),
        ("an integer that goes on",        hpack(&[0xff, 0x80, 0x80]),                  NO_HPACK),
        ("an integer that overflows",      hpack(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), NO_HPACK),
        ("zeros in an integer for ever",   hpack(&[0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), NO_HPACK),
        ("a name past the tables",         hpack(b"\x7e\x01b"),                         NO_HPACK),
        ("a name far past them",           hpack(b"\x7f\x07\x00"),                      NO_HPACK), // 70
        ("a name without an end",          hpack(b"\x00\x05x-a"),                       NO_HPACK),
        ("no value",                       hpack(b"\x00\x03x-a"),                       NO_HPACK),
        ("a value without an end",         hpack(b"\x00\x03x-a\x05b"),                  NO_HPACK),
        ("a string of 2^28 bytes",         hpack(b"\x00\x03x-a\x7f\x81\xff\xff\x7f"),   NO_HPACK),
        ("Huffman code without an end",    hpack(b"\x00\x03x-a\x85\x1c"),               NO_HPACK),
        ("Huffman padding of zeros",       hpack(b"\x00\x03x-a\x81\x18"),               NO_HPACK), // a is 00011
        ("Huffman padding of 8 bits",      hpack(b"\x00\x03x-a\x82\x1f\xff"),           NO_HPACK),
        ("the end of Huffman's string",    hpack(b"\x00\x03x-a\x84\xff\xff\xff\xff"),   NO_HPACK),
        ("a table above the limit",        hpack_before(&[0x3f, 0xe2, 0x1f]),           NO_HPACK), // 4097
        ("a table far above it",           hpack_before(&[0x3f, 0xff, 0xff, 0xff, 0x07]), NO_HPACK),
        ("a table size after a field",     hpack(&[0x20]),                              NO_HPACK),
        ("an entry that was evicted",      [hpack(entry), frame(HEADERS, END_HEADERS, 3, &[&[0x20][..], &request_block("Echo"), &[0xbe]].concat())].concat(), NO_HPACK),
        ("an entry that was too large",    hpack(&[&large, &[0xbe][..]].concat()),      NO_HPACK),
        ("a bad block for trailers",       [open(1), frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x80])].concat(), NO_HPACK),
        ("a bad block on a closed stream", [reset(1), frame(HEADERS, END_HEADERS, 1, &[0x80])].concat(), NO_HPACK),
        ("a bad block in CONTINUATION",    [frame(HEADERS, END_STREAM, 1, &request_block("Echo")), frame(CONTINUATION, END_HEADERS, 1, &[0x80])].concat(), NO_HPACK),
        ("a block that ends in a field",   [frame(HEADERS, END_STREAM, 1, &request_block("Echo")), frame(CONTINUATION, END_HEADERS, 1, b"\x00\x03x-a")].concat(), NO_HPACK),
        ("a table of 4096",                hpack_before(&[0x3f, 0xe1, 0x1f]),           Served),
        ("a table of 0",                   hpack_before(&[0x20]),                       Served),
        ("two sizes at the start",         hpack_before(&[0x20, 0x3f, 0xe1, 0x1f]),     Served),
        ("zeros in an integer",            hpack(&[0x1f, 0x80, 0x80, 0x00, 0x01, b'b']), Served), // accept-charset is 15
        ("an entry used again",            [hpack(entry), frame(HEADERS, END_HEADERS, 3, &[&request_block("Echo"), &[0xbe][..]].concat())].concat(), Served),
        ("an entry larger than the table", hpack(&large),                               Served),
        ("a field never to be indexed",    hpack(b"\x10\x03x-a\x01b"),                  Served),
        ("Huffman code",                   hpack(b"\x00\x03x-a\x81\x1f"),               Served),
        ("an empty value in Huffman code", hpack(b"\x00\x03x-a\x80"),                   Served),
        ("an empty value",                 hpack(b"\x00\x03x-a\x00"),                   Served),
    ]).await;
}

/// A whole request on stream 1 with one field more.
fn with(name: &str, value: &str) -> Vec<u8> {
    hpack(&block(&[(name, value)]))
}

fn with_value(value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap();
    hpack(&[b"\x00\x03x-a", &[length][..], value].concat())
}

#[tokio::test]
#[rustfmt::skip]
async fn fields_are_made_of_what_they_may_be_made_of() {
    play(&[
        ("a name in upper case",           with("X-Upper", "1"),                NO_FIELD),
        ("one letter in upper case",       with("x-Upper", "1"),                NO_FIELD),
        ("no name",                        with("", "1"),                       NO_FIELD),
        ("a space in a name",              with("x a", "1"),                    NO_FIELD),
        ("a colon in a name",              with("x:a", "1"),                    NO_FIELD),
        ("a NUL in a name",                with("x\0a", "1"),                   NO_FIELD),
        ("a line end in a name",           with("x\r\na", "1"),                 NO_FIELD),
        ("a DEL in a name",                with("x\x7f", "1"),                  NO_FIELD),
        ("another script in a name",       with("x-ä", "1"),                    NO_FIELD),
        ("upper case in Huffman code",     hpack(b"\x00\x82\x87\x9f\x01b"),     NO_FIELD), // "A" is 100001
        ("a NUL in a value",               with_value(b"a\0b"),                 NO_FIELD),
        ("a line feed in a value",         with_value(b"a\nb"),                 NO_FIELD),
        ("a carriage return in a value",   with_value(b"a\rb"),                 NO_FIELD),
        ("a control in a value",           with_value(b"a\x01b"),               NO_FIELD), // RFC 9110 §5.5
        ("a DEL in a value",               with_value(b"a\x7fb"),               NO_FIELD), // RFC 9110 §5.5
        ("a space before a value",         with_value(b" a"),                   Served), // malformed, RFC 9113 §8.2.1
        ("a tab after a value",            with_value(b"a\t"),                  Served), // malformed, RFC 9113 §8.2.1
        ("a tab in a value",               with_value(b"a\tb"),                 Served),
        ("bytes above ASCII in a value",   with_value(b"\xff\x80"),             Served),
        ("connection",                     with("connection", "close"),         Reset(PROTOCOL_ERROR)),
        ("connection, empty",              with("connection", ""),              Reset(PROTOCOL_ERROR)),
        ("keep-alive",                     with("keep-alive", "timeout=5"),     Reset(PROTOCOL_ERROR)),
        ("proxy-connection",               with("proxy-connection", "close"),   Reset(PROTOCOL_ERROR)),
        ("transfer-encoding",              with("transfer-encoding", "chunked"), Reset(PROTOCOL_ERROR)),
        ("upgrade",                        with("upgrade", "h2c"),              Reset(PROTOCOL_ERROR)),
        ("te with gzip",                   with("te", "gzip"),                  Reset(PROTOCOL_ERROR)),
        ("te with more than trailers",     with("te", "trailers, gzip"),        Reset(PROTOCOL_ERROR)),
        ("te, empty",                      with("te", ""),                      Reset(PROTOCOL_ERROR)),
        ("te twice",                       with("te", "trailers"),              Served),
        ("cookies in crumbs",              hpack(&block(&[("cookie", "a=b"), ("cookie", "c=d")])), Served),
    ]).await;
}

/// A whole request on stream 1 with just these fields.
fn only(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))
}

const METHOD: (&str, &str) = (":method", "POST");
const SCHEME: (&str, &str) = (":scheme", "http");
const PATH: (&str, &str) = (":path", "/test.Probe/Echo");
const AUTHORITY: (&str, &str) = (":authority", "localhost");
const GRPC: (&str, &str) = ("content-type", "application/grpc");

#[tokio::test]
#[rustfmt::skip]
async fn requests_have_their_pseudo_fields_once_and_first() {
    play(&[
        ("no fields",                      only(&[]),                                               Reset(PROTOCOL_ERROR)),
        ("no pseudo fields",               only(&[GRPC]),                                           Reset(PROTOCOL_ERROR)),
        ("no :method",                     only(&[SCHEME, PATH, AUTHORITY, GRPC]),                  Reset(PROTOCOL_ERROR)),
        ("no :scheme",                     only(&[METHOD, PATH, AUTHORITY, GRPC]),                  Reset(PROTOCOL_ERROR)),
        ("no :path",                       only(&[METHOD, SCHEME, AUTHORITY, GRPC]),                Reset(PROTOCOL_ERROR)),
        ("two :method",                    only(&[METHOD, METHOD, SCHEME, PATH, AUTHORITY, GRPC]),  Reset(PROTOCOL_ERROR)),
        ("two :scheme",                    only(&[METHOD, SCHEME, SCHEME, PATH, AUTHORITY, GRPC]),  Reset(PROTOCOL_ERROR)),
        ("two :path",                      only(&[METHOD, SCHEME, PATH, PATH, AUTHORITY, GRPC]),    Reset(PROTOCOL_ERROR)),
        ("two :authority",                 only(&[METHOD, SCHEME, PATH, AUTHORITY, AUTHORITY, GRPC]), Reset(PROTOCOL_ERROR)),
        (":path after a field",            only(&[METHOD, SCHEME, AUTHORITY, GRPC, PATH]),          Reset(PROTOCOL_ERROR)),
        (":authority after a field",       only(&[METHOD, SCHEME, PATH, GRPC, AUTHORITY]),          Reset(PROTOCOL_ERROR)),
        (":status in a request",           only(&[METHOD, SCHEME, PATH, (":status", "200"), GRPC]), Reset(PROTOCOL_ERROR)),
        ("an unknown one",                 only(&[METHOD, SCHEME, PATH, (":what", "x"), GRPC]),     NO_FIELD),
        ("one without a name",             only(&[METHOD, SCHEME, PATH, (":", "x"), GRPC]),         NO_FIELD),
        ("one in upper case",              only(&[(":METHOD", "POST"), SCHEME, PATH, GRPC]),        NO_FIELD),
        ("an empty :path",                 only(&[METHOD, SCHEME, (":path", ""), GRPC]),            Reset(PROTOCOL_ERROR)),
        ("an empty :method",               only(&[(":method", ""), SCHEME, PATH, GRPC]),            NO_FIELD),
        ("an empty :scheme",               only(&[METHOD, (":scheme", ""), PATH, GRPC]),            Served), // malformed, RFC 9113 §8.3.1
        ("an empty :authority",            only(&[METHOD, SCHEME, PATH, (":authority", ""), GRPC]), Reset(PROTOCOL_ERROR)),
        ("a :method that is no token",     only(&[(":method", "PO ST"), SCHEME, PATH, GRPC]),       NO_FIELD),
        ("a :scheme that is none",         only(&[METHOD, (":scheme", "1:/"), PATH, AUTHORITY, GRPC]), Reset(PROTOCOL_ERROR)),
        ("a :path without a slash",        only(&[METHOD, SCHEME, (":path", "test.Probe/Echo"), GRPC]), Reset(PROTOCOL_ERROR)),
        ("a :path with a space",           only(&[METHOD, SCHEME, (":path", "/test.Probe/Ec ho"), GRPC]), Reset(PROTOCOL_ERROR)),
        ("a :path with a line end",        only(&[METHOD, SCHEME, (":path", "/a\r\nb"), GRPC]),     Reset(PROTOCOL_ERROR)),
        ("a :path with a NUL",             only(&[METHOD, SCHEME, (":path", "/a\0b"), GRPC]),       Reset(PROTOCOL_ERROR)),
        ("a :path with a fragment",        only(&[METHOD, SCHEME, (":path", "/test.Probe/Echo#x"), GRPC]), Served), // no part of a path
        ("a :path that is an address",     only(&[METHOD, SCHEME, (":path", "http://a/b"), GRPC]),  Reset(PROTOCOL_ERROR)),
        ("an :authority with a space",     only(&[METHOD, SCHEME, PATH, (":authority", "a b"), GRPC]), Reset(PROTOCOL_ERROR)),
        ("an :authority with a user",      only(&[METHOD, SCHEME, PATH, (":authority", "me@a"), GRPC]), Served), // RFC 9113 §8.3.1 forbids it
        ("an :authority with a path",      only(&[METHOD, SCHEME, PATH, (":authority", "a/b"), GRPC]), Reset(PROTOCOL_ERROR)),
        ("an :authority with a bad port",  only(&[METHOD, SCHEME, PATH, (":authority", "a:b"), GRPC]), Served), // malformed, RFC 3986 §3.2.3
        ("CONNECT with a path",            only(&[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY]), Reset(PROTOCOL_ERROR)),
        ("CONNECT",                        only(&[(":method", "CONNECT"), AUTHORITY]),              Refused),
        ("CONNECT to nobody",              only(&[(":method", "CONNECT")]),                         Refused), // malformed, RFC 9113 §8.5
        (":protocol without CONNECT",      only(&[METHOD, SCHEME, PATH, AUTHORITY, (":protocol", "websocket")]), Reset(PROTOCOL_ERROR)),
        // RFC 8441 §3: we have not said that we take it.
        ("CONNECT with :protocol",         only(&[(":method", "CONNECT"), SCHEME, PATH, AUTHORITY, (":protocol", "websocket")]), Reset(PROTOCOL_ERROR)),
        ("no :authority",                  only(&[METHOD, SCHEME, PATH, GRPC]),                     Served),
        ("a :path of one star",            only(&[METHOD, SCHEME, (":path", "*"), AUTHORITY, GRPC]), Served),
        ("a :scheme that nobody knows",    only(&[METHOD, (":scheme", "gopher"), PATH, AUTHORITY, GRPC]), Served),
        ("a :method that nobody knows",    only(&[(":method", "POUST"), SCHEME, PATH, AUTHORITY, GRPC]), Refused),
        ("pseudo fields in another order", only(&[AUTHORITY, PATH, SCHEME, METHOD, GRPC]),          Served),
        ("a host of another name",         only(&[METHOD, SCHEME, PATH, AUTHORITY, ("host", "b"), GRPC]), Served),
    ]).await;
}

/// A request to a handler that waits for a whole message, with this length and this body.
fn sized(lengths: &[&str], body: &[&[u8]]) -> Vec<u8> {
    let mut fields = vec![
        METHOD,
        SCHEME,
        ("\u{3a}path", "/test.Probe/Sum"),
        AUTHORITY,
        GRPC,
    ];
    fields.extend(lengths.iter().map(|length| ("content-length", *length)));
    let Some((last, first)) = body.split_last() else {
        return only(&fields);
    };
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &block(&fields));
    for part in first {
        bytes.extend(frame(DATA, 0, 1, part));
    }
    bytes.extend(frame(DATA, END_STREAM, 1, last));
    bytes
}

#[tokio::test]
#[rustfmt::skip]
async fn a_content_length_is_the_length_of_the_content() {
    let message = &*encoded("12345678"); // 15 bytes
    let (first, second) = message.split_at(7);
    play(&[
        ("less than there is",             sized(&["14"], &[message]),                  Reset(PROTOCOL_ERROR)),
        ("more than there is",             sized(&["16"], &[message]),                  Reset(PROTOCOL_ERROR)),
        ("nothing, and there is something", sized(&["0"], &[message]),                  Reset(PROTOCOL_ERROR)),
        ("something, and there is nothing", sized(&["15"], &[]),                        Reset(PROTOCOL_ERROR)),
        ("something, and empty DATA",      sized(&["15"], &[b""]),                      Reset(PROTOCOL_ERROR)),
        ("less than there is, in parts",   sized(&["14"], &[first, second]),            Reset(PROTOCOL_ERROR)),
        ("more than there is, in parts",   sized(&["16"], &[first, second, b""]),       Reset(PROTOCOL_ERROR)),
        ("no number",                      sized(&["abc"], &[message]),                 Reset(PROTOCOL_ERROR)),
        ("an empty one",                   sized(&[""], &[message]),                    Reset(PROTOCOL_ERROR)),
        ("a number below zero",            sized(&["-15"], &[message]),                 Reset(PROTOCOL_ERROR)),
        ("a number with a plus",           sized(&["+15"], &[message]),                 Reset(PROTOCOL_ERROR)),
        ("2^64",                           sized(&["18446744073709551616"], &[message]), Reset(PROTOCOL_ERROR)),
        ("two that differ",                sized(&["15", "16"], &[message]),            Reset(PROTOCOL_ERROR)),
        ("the right one",                  sized(&["15"], &[message]),                  Served),
        ("the right one, in parts",        sized(&["15"], &[first, b"", second]),       Served),
        ("the right one with zeros",       sized(&["0015"], &[message]),                Served),
        ("nothing, and nothing",           sized(&["0"], &[]),                          Served),
        ("none",                           sized(&[], &[message]),                      Served),
    ]).await;
}

#[tokio::test]
#[rustfmt::skip]
async fn trailers_are_fields_at_the_end() {
    let trailers = |flags, fields: &[(&str, &str)]| {
        [open(1), frame(HEADERS, flags, 1, &block(fields))].concat()
    };
    let end = END_HEADERS | END_STREAM;
    play(&[
        ("not at the end",                 trailers(END_HEADERS, &[("x-a", "b")]),        Reset(PROTOCOL_ERROR)),
        ("with :path",                     trailers(end, &[PATH]),                        Ignored), // malformed, RFC 9113 §8.1
        ("with :status",                   trailers(end, &[(":status", "200")]),          Ignored), // malformed, RFC 9113 §8.1
        ("with :authority after a field",  trailers(end, &[("x-a", "b"), AUTHORITY]),     Reset(PROTOCOL_ERROR)),
        ("with connection",                trailers(end, &[("connection", "close")]),     Reset(PROTOCOL_ERROR)),
        ("with a name in upper case",      trailers(end, &[("X-A", "b")]),                NO_FIELD),
        ("that are a request",             [open(1), half_closed(1)].concat(),            Ignored), // malformed, RFC 9113 §8.1
        ("that depend on themselves",      [open(1), frame(HEADERS, end | WITH_PRIORITY, 1, &[0, 0, 0, 1, 16])].concat(), Reset(PROTOCOL_ERROR)),
        ("with a message too few",         [sized(&["15"], &[b""])[..].to_vec()].concat(), Reset(PROTOCOL_ERROR)),
        ("without a field",                trailers(end, &[]),                            Ignored),
        ("with fields",                    trailers(end, &[("x-a", "b"), ("grpc-status", "7")]), Ignored),
        ("in pieces",                      [open(1), frame(HEADERS, END_STREAM, 1, &block(&[("x-a", "b")])), frame(CONTINUATION, END_HEADERS, 1, &block(&[("x-b", "c")]))].concat(), Ignored),
    ]).await;
}

#[tokio::test]
#[rustfmt::skip]
async fn a_connection_begins_with_settings() {
    let settings = frame(SETTINGS, 0, 0, &[]);
    let ack = frame(SETTINGS, ACK, 0, &[]);
    // RFC 9113 §3.4 has PROTOCOL_ERROR for what is not SETTINGS. h2 does not look.
    play_after(PREFACE, &[
        ("a PING first",                   [frame(PING, 0, 0, &[0; 8]), settings.clone()].concat(),      Ignored),
        ("a request first",                [echo(1), settings.clone()].concat(),                         Served),
        ("GOAWAY first",                   [frame(GOAWAY, 0, 0, &[0; 8]), settings.clone()].concat(),    Ignored),
        ("an unknown frame first",         [frame(0xbe, 0, 0, b""), settings.clone()].concat(),          Ignored),
        ("an ACK first",                   [ack.clone(), settings.clone()].concat(),                     Ignored),
        ("a bad setting first",            frame(SETTINGS, 0, 0, &[0, 2, 0, 0, 0, 2]),                   Goaway(PROTOCOL_ERROR)),
        ("the preface again",              [PREFACE, &settings].concat(),                                Goaway(FRAME_SIZE_ERROR)),
        ("settings twice",                 [settings.clone(), settings.clone(), ack.clone()].concat(),   Ignored),
        ("calls before the ACK",           [settings.clone(), echo(1), ack.clone()].concat(),            Served),
    ]).await;
    play_after(b"", &[
        ("a preface with another version", b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n".to_vec(),                 Closed),
        ("a preface without SM",           b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec(),                 Closed),
        ("no preface",                     settings.clone(),                                             Closed),
    ]).await;
}

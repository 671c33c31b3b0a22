//! Servers that break a rule of HTTP/2, one row for each: what the server says, what the client says
//! to it, and how the call ends. The table of the server is `tests/calls/malformed.rs`.
//!
//! Two calls are under way on the connection. What is wrong concerns the second one, or nobody. Where
//! the connection lives, the first one then ends well and the next call is made there; where it does
//! not, the first one is UNAVAILABLE and the next call goes to a new connection. All of it is asked of
//! each row, in clear text and over TLS, where the outcome is the same.

use std::sync::Arc;
use std::time::Duration;

use barewire::spec::http2::error::{
    ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, STREAM_CLOSED,
};
use barewire::spec::http2::flag::PRIORITY as WITH_PRIORITY;
use barewire::spec::http2::frame::PRIORITY;
use barewire::{ChannelConfig, ClientHttp2Config, ClientTls, Code, Request, Status};
use tokio_rustls::TlsAcceptor;

use crate::raw_server::*;
use crate::rows::Fate::{self, Closed, Goaway, Ignored, Reset};
use crate::rows::{BIG, NO_FIELD, NO_HPACK, NOT_OPEN, WRONG_LENGTH, padded, tls};
use crate::support::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame,
};
use crate::tokio;

/// The stream of the call that is open besides.
const OTHER: u32 = 1;
/// The stream of the call that a row is about.
const ASK: u32 = 3;

/// What a row says: of what, the server's bytes, what the client says to them, how the call ends.
type Row = (&'static str, Vec<u8>, Fate, Result<(), Code>);

/// Longer than a call goes on when all is said that it waits for, on a clock that is ours.
const WHILE: Duration = Duration::from_secs(1);

/// The rest of a request that was answered is not wanted.
const ANSWERED: Fate = Reset(NO_ERROR);

const WELL: Result<(), Code> = Ok(());
/// A stream that broke a rule. gRPC-HTTP2 §Errors.
const INTERNAL: Result<(), Code> = Err(Code::Internal);
/// A connection that broke one.
const UNAVAILABLE: Result<(), Code> = Err(Code::Unavailable);

/// What rows are played over.
struct Way {
    tls: Option<(TlsAcceptor, ClientTls)>,
}

impl Way {
    /// Clear text, and TLS.
    fn both() -> [Self; 2] {
        let (server, client) = tls();
        let client = ClientTls::from_config(client).unwrap();
        let client = client.server_name("localhost").unwrap();
        let tls = (TlsAcceptor::from(Arc::new(server)), client);
        [Self { tls: None }, Self { tls: Some(tls) }]
    }

    fn name(&self) -> &'static str {
        if self.tls.is_some() { ", over TLS" } else { "" }
    }

    /// One that makes no second connection while the first one serves.
    fn line(&self, http2: ClientHttp2Config) -> Line {
        Line::with(ChannelConfig {
            http2,
            max_connections_per_address: 1,
            tls: self.tls.as_ref().map(|(_, client)| client.clone()),
            ..ChannelConfig::default()
        })
    }

    /// A server on the next connection that has said nothing yet.
    async fn silent(&self, line: &mut Line) -> RawServer {
        let io = line.dialled().await;
        match &self.tls {
            Some((server, _)) => RawServer::silent(within(server.accept(io)).await.unwrap()).await,
            None => RawServer::silent(io).await,
        }
    }

    /// The same behind preface and SETTINGS.
    async fn accept(&self, line: &mut Line) -> RawServer {
        let mut server = self.silent(line).await;
        server.greet(&[]).await;
        server
    }
}

/// What a call has said when the server begins.
#[derive(Clone, Copy, PartialEq)]
enum Asked {
    /// All. The stream is closed once the server has ended it.
    All,
    /// Its headers. More may come.
    Headers,
}

/// Plays each row to a call whose request has ended.
async fn play(rows: &[Row]) {
    play_to(Asked::All, rows).await;
}

/// Plays each row to a call whose request stays open.
async fn play_open(rows: &[Row]) {
    play_to(Asked::Headers, rows).await;
}

async fn play_to(asked: Asked, rows: &[Row]) {
    let mut wrong = Vec::new();
    for way in Way::both() {
        for (what, bytes, fate, end) in rows {
            let what = format!("{what}{}", way.name());
            let found = outcome(&way, asked, bytes, &what).await;
            let code = found.1.as_ref().map_err(|status| status.code).copied();
            if (found.0, code) != (*fate, *end) {
                wrong.push(format!("{what}: {found:?} instead of {:?}", (fate, end)));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the client says to `bytes`, and how its call ends.
async fn outcome(way: &Way, asked: Asked, bytes: &[u8], what: &str) -> (Fate, Result<(), Status>) {
    let mut line = way.line(ClientHttp2Config::default());
    let other = tokio::spawn({
        let channel = line.channel.clone();
        async move { unary(&channel, "other".to_owned()).await }
    });
    let mut server = way.accept(&mut line).await;
    assert_eq!(server.request().await.stream, OTHER);
    let (mut request, mut inbound) = bidi(&line.channel, ()).await;
    if asked == Asked::All {
        request.finish().unwrap();
    }
    assert_eq!(server.request().await.stream, ASK);
    idle().await;
    server.unasked().await;

    // Nobody reads before all is said.
    server.try_write(bytes).await;
    idle().await;
    let heard = tokio::time::timeout(WHILE, read_all(&mut inbound)).await;
    let Heard { messages, end } = heard.unwrap_or_else(|_| panic!("{what}: the call goes on"));
    match &end {
        // An answer is whole, or none.
        Ok(()) => assert_eq!(messages, ["well"], "{what}"),
        Err(status) => assert!(!status.unprocessed, "{what}: {status}"),
    }
    let fate = said(&mut server, what).await;

    let next = tokio::spawn({
        let channel = line.channel.clone();
        async move { unary(&channel, "next".to_owned()).await }
    });
    let lives = !matches!(fate, Goaway(_) | Closed);
    if lives {
        server.write(&answer(OTHER, "well")).await;
        assert_eq!(other.await.unwrap().expect(what).message, "well");
        let stream = server.request().await.stream;
        server.write(&answer(stream, "next")).await;
        assert_eq!(next.await.unwrap().expect(what).message, "next");
        assert!(!line.has_dialled(), "{what}: one connection serves all");
    } else {
        assert!(server.is_closed().await, "{what}");
        let status = other.await.unwrap().expect_err(what);
        assert_eq!(status.code, Code::Unavailable, "{what}: {status}");
        assert!(!status.unprocessed, "{what}: {status}");
        let mut server = way.accept(&mut line).await;
        let stream = server.request().await.stream;
        server.write(&answer(stream, "next")).await;
        assert_eq!(next.await.unwrap().expect(what).message, "next");
    }
    (fate, end)
}

/// What the client has said of the server's bytes, once it has come to rest.
async fn said(server: &mut RawServer, what: &str) -> Fate {
    let closed = tokio::time::timeout(Duration::from_millis(1), server.is_closed()).await;
    let unasked = server.unasked().await;
    let code = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let mut fates = unasked.iter().filter_map(|frame| match frame.kind {
        GOAWAY => Some(Goaway(code(&frame.payload[4..8]))),
        RST_STREAM => {
            assert_eq!(frame.stream, ASK, "{what}");
            Some(Reset(code(&frame.payload)))
        }
        _ => None,
    });
    let silence = if closed.is_ok() { Closed } else { Ignored };
    let first = fates.next().unwrap_or(silence);
    assert_eq!(fates.next(), None, "{what}: {unasked:?}");
    first
}

/// Plays each row as the first bytes of a server. The call waits for SETTINGS.
async fn play_first(rows: &[(&str, Vec<u8>, Fate)]) {
    for way in Way::both() {
        for (what, bytes, expected) in rows {
            let what = format!("{what}{}", way.name());
            let mut line = way.line(ClientHttp2Config::default());
            let channel = line.channel.clone();
            let call = tokio::spawn(async move { unary(&channel, "ask".to_owned()).await });
            let mut server = way.silent(&mut line).await;
            server.read_preface().await;
            server.try_write(bytes).await;
            idle().await;
            if *expected == Ignored {
                let stream = server.request().await.stream;
                server.write(&answer(stream, "well")).await;
                assert_eq!(call.await.unwrap().expect(&what).message, "well");
                assert_eq!(said(&mut server, &what).await, Ignored, "{what}");
                continue;
            }
            let head = server.next_now(|frame| frame.kind == HEADERS).await;
            assert_eq!(head, None, "{what}");
            assert_eq!(said(&mut server, &what).await, *expected, "{what}");
            assert!(server.is_closed().await, "{what}");
            let status = call.await.unwrap().expect_err(&what);
            assert_eq!(status.code, Code::Unavailable, "{what}: {status}");
            assert!(status.unprocessed, "{what}: {status}");
            let channel = line.channel.clone();
            let next = Request::new("next".to_owned()).with_wait_for_ready(true);
            let next = tokio::spawn(async move { unary(&channel, next).await });
            let mut server = way.accept(&mut line).await;
            let stream = server.request().await.stream;
            server.write(&answer(stream, "next")).await;
            assert_eq!(next.await.unwrap().expect(&what).message, "next");
        }
    }
}

/// A good answer behind what should not be there.
fn before(bytes: &[u8]) -> Vec<u8> {
    [bytes, &answer(ASK, "well")].concat()
}

/// A good answer with something in it that should not be there.
fn inside(bytes: &[u8]) -> Vec<u8> {
    let end = [message(ASK, "well"), trailers_ok(ASK)].concat();
    [&headers(ASK), bytes, &end].concat()
}

/// A good answer, and then something that should not be there.
fn after(bytes: &[u8]) -> Vec<u8> {
    [&answer(ASK, "well"), bytes].concat()
}

/// A frame before a good answer.
fn first(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    before(&frame(kind, flags, stream, payload))
}

/// A frame inside a good answer.
fn amid(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    inside(&frame(kind, flags, stream, payload))
}

/// SETTINGS before a good answer.
fn settings(entries: &[(u16, u32)]) -> Vec<u8> {
    before(&settings_frame(entries))
}

/// The block of Response-Headers.
fn response() -> Vec<u8> {
    block(&GRPC)
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn frames_belong_to_a_stream_or_to_none() {
    play(&[
        ("DATA on stream 0",             first(DATA, 0, 0, b"x"),                       Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("empty DATA on stream 0",       first(DATA, END_STREAM, 0, b""),               Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("HEADERS on stream 0",          first(HEADERS, END_HEADERS, 0, &response()),   Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PRIORITY on stream 0",         first(PRIORITY, 0, 0, &[0, 0, 0, 1, 16]),      Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("RST_STREAM on stream 0",       first(RST_STREAM, 0, 0, &[0, 0, 0, 8]),        Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("CONTINUATION on stream 0",     first(CONTINUATION, END_HEADERS, 0, &response()), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PUSH_PROMISE on stream 0",     first(PUSH_PROMISE, END_HEADERS, 0, &promise(2)), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("SETTINGS on the call's stream", first(SETTINGS, 0, ASK, &[]),                 Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("SETTINGS ACK on it",           first(SETTINGS, ACK, ASK, &[]),                Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PING on it",                   amid(PING, 0, ASK, &[0; 8]),                   Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PING ACK on it",               amid(PING, ACK, ASK, &[0; 8]),                 Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("GOAWAY on it",                 amid(GOAWAY, 0, ASK, &[0; 8]),                 Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("SETTINGS on an idle stream",   first(SETTINGS, 0, 5, &[]),                    Goaway(PROTOCOL_ERROR), UNAVAILABLE),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn frames_have_the_length_of_their_type() {
    let large = vec![0; FRAME_LIMIT + 1];
    play(&[
        ("SETTINGS of 1 byte",           first(SETTINGS, 0, 0, &[0]),                   WRONG_LENGTH, UNAVAILABLE),
        ("SETTINGS of 5 bytes",          first(SETTINGS, 0, 0, &[0; 5]),                WRONG_LENGTH, UNAVAILABLE),
        ("SETTINGS of 7 bytes",          first(SETTINGS, 0, 0, &[0; 7]),                WRONG_LENGTH, UNAVAILABLE),
        ("SETTINGS ACK of 1 byte",       first(SETTINGS, ACK, 0, &[0]),                 WRONG_LENGTH, UNAVAILABLE),
        ("SETTINGS ACK with a setting",  first(SETTINGS, ACK, 0, &[0, 3, 0, 0, 0, 1]),  WRONG_LENGTH, UNAVAILABLE),
        ("PING of 0 bytes",              amid(PING, 0, 0, &[]),                         WRONG_LENGTH, UNAVAILABLE),
        ("PING of 7 bytes",              amid(PING, 0, 0, &[0; 7]),                     WRONG_LENGTH, UNAVAILABLE),
        ("PING of 9 bytes",              amid(PING, 0, 0, &[0; 9]),                     WRONG_LENGTH, UNAVAILABLE),
        ("PING ACK of 7 bytes",          amid(PING, ACK, 0, &[0; 7]),                   WRONG_LENGTH, UNAVAILABLE),
        ("PRIORITY of 0 bytes",          first(PRIORITY, 0, ASK, &[]),                  WRONG_LENGTH, UNAVAILABLE), // a stream error
        ("PRIORITY of 4 bytes",          first(PRIORITY, 0, ASK, &[0; 4]),              WRONG_LENGTH, UNAVAILABLE), // a stream error
        ("PRIORITY of 6 bytes",          first(PRIORITY, 0, ASK, &[0; 6]),              WRONG_LENGTH, UNAVAILABLE), // a stream error
        ("RST_STREAM of 0 bytes",        first(RST_STREAM, 0, ASK, &[]),                WRONG_LENGTH, UNAVAILABLE),
        ("RST_STREAM of 3 bytes",        first(RST_STREAM, 0, ASK, &[0; 3]),            WRONG_LENGTH, UNAVAILABLE),
        ("RST_STREAM of 5 bytes",        amid(RST_STREAM, 0, ASK, &[0; 5]),             WRONG_LENGTH, UNAVAILABLE),
        ("WINDOW_UPDATE of 0 bytes",     first(WINDOW_UPDATE, 0, 0, &[]),               WRONG_LENGTH, UNAVAILABLE),
        ("WINDOW_UPDATE of 3 bytes",     first(WINDOW_UPDATE, 0, ASK, &[0, 0, 1]),      WRONG_LENGTH, UNAVAILABLE),
        ("WINDOW_UPDATE of 5 bytes",     amid(WINDOW_UPDATE, 0, ASK, &[0, 0, 0, 0, 1]), WRONG_LENGTH, UNAVAILABLE),
        ("GOAWAY of 0 bytes",            first(GOAWAY, 0, 0, &[]),                      WRONG_LENGTH, UNAVAILABLE),
        ("GOAWAY of 7 bytes",            first(GOAWAY, 0, 0, &[0; 7]),                  WRONG_LENGTH, UNAVAILABLE),
        ("HEADERS without its priority", first(HEADERS, END_HEADERS | WITH_PRIORITY, ASK, &[0; 4]), WRONG_LENGTH, UNAVAILABLE),
        ("PUSH_PROMISE of 3 bytes",      first(PUSH_PROMISE, END_HEADERS, ASK, &[0; 3]), WRONG_LENGTH, UNAVAILABLE),
        ("DATA above the limit",         amid(DATA, 0, ASK, &large),                    Goaway(FRAME_SIZE_ERROR), UNAVAILABLE),
        ("HEADERS above the limit",      first(HEADERS, END_HEADERS, ASK, &large),      Goaway(FRAME_SIZE_ERROR), UNAVAILABLE),
        ("an unknown frame above it",    first(0xbe, 0, 0, &large),                     Goaway(FRAME_SIZE_ERROR), UNAVAILABLE),
        ("a PING of 16 MiB",             inside(&[0xff, 0xff, 0xff, PING, 0, 0, 0, 0, 0]), Goaway(FRAME_SIZE_ERROR), UNAVAILABLE),
        ("an unknown frame at the limit", first(0xbe, 0, 0, &large[1..]),               Ignored, WELL),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn padding_is_within_its_frame() {
    let with_priority = [&[0, 0, 0, 0, 16][..], &response()].concat();
    let rest = [message(ASK, "well"), trailers_ok(ASK)].concat();
    let headers_of = |flags, payload: &[u8]| [&frame(HEADERS, flags | END_HEADERS, ASK, payload)[..], &rest].concat();
    let data_of = |payload: &[u8]| [headers(ASK), frame(DATA, PADDED, ASK, payload), trailers_ok(ASK)].concat();
    play(&[
        ("DATA without the length of it", amid(DATA, PADDED, ASK, &[]),                   WRONG_LENGTH, UNAVAILABLE),
        ("DATA padded by all of it",      amid(DATA, PADDED, ASK, &padded(1, &[], 0)),    Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("DATA padded by one more",       amid(DATA, PADDED, ASK, &padded(5, b"abc", 1)), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("DATA padded by far more",       amid(DATA, PADDED, ASK, &padded(255, b"abc", 9)), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("HEADERS without the length",    headers_of(PADDED, &[]),                        WRONG_LENGTH, UNAVAILABLE),
        ("HEADERS padded by all of it",   headers_of(PADDED, &padded(1, &[], 0)),         Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("HEADERS padded by far more",    headers_of(PADDED, &padded(255, &response(), 0)), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("HEADERS padded over its priority", headers_of(PADDED | WITH_PRIORITY, &padded(3, &[0, 0, 0, 0, 16], 0)), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PUSH_PROMISE padded by all of it", first(PUSH_PROMISE, END_HEADERS | PADDED, ASK, &padded(9, &promise(2)[..4], 0)), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("DATA that is all padding",      amid(DATA, PADDED, ASK, &padded(255, &[], 255)), Ignored, WELL),
        ("DATA with padding of length 0", data_of(&padded(0, &encoded("well"), 0)),       Ignored, WELL),
        ("DATA with padding",             data_of(&padded(9, &encoded("well"), 9)),       Ignored, WELL),
        ("padding that is not zero",      data_of(&[&[2][..], &encoded("well"), &[1, 1]].concat()), Ignored, WELL), // an error if one likes
        ("HEADERS with padding",          headers_of(PADDED, &padded(7, &response(), 7)), Ignored, WELL),
        ("HEADERS with padding of length 0", headers_of(PADDED, &padded(0, &response(), 0)), Ignored, WELL),
        ("HEADERS with both",             headers_of(PADDED | WITH_PRIORITY, &padded(7, &with_priority, 7)), Ignored, WELL),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn a_header_block_is_one_piece() {
    let response = response();
    let (start, second) = response.split_at(9);
    let begun = frame(HEADERS, 0, ASK, start);
    let rest = [frame(CONTINUATION, END_HEADERS, ASK, second), message(ASK, "well"), trailers_ok(ASK)].concat();
    let then = |bytes: &[u8]| [&begun, bytes, &rest].concat();
    let empty = frame(CONTINUATION, 0, ASK, &[]);
    play(&[
        ("CONTINUATION out of nowhere",    first(CONTINUATION, END_HEADERS, ASK, second),             Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("CONTINUATION after an end",      amid(CONTINUATION, END_HEADERS, ASK, second),              Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("CONTINUATION after trailers",    after(&frame(CONTINUATION, END_HEADERS, ASK, second)),     Goaway(PROTOCOL_ERROR), WELL), // of another time
        ("CONTINUATION on another stream", then(&frame(CONTINUATION, END_HEADERS, OTHER, second)),    Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("CONTINUATION on stream 0",       then(&frame(CONTINUATION, END_HEADERS, 0, second)),        Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("DATA inside",                    then(&message(ASK, "well")),                               Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("HEADERS inside",                 then(&headers(ASK)),                                       Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("another stream's HEADERS inside", then(&headers(OTHER)),                                    Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PRIORITY inside",                then(&frame(PRIORITY, 0, ASK, &[0, 0, 0, 0, 16])),         Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("RST_STREAM inside",              then(&reset(ASK, CANCEL)),                                 Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("SETTINGS inside",                then(&settings_frame(&[])),                                Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PUSH_PROMISE inside",            then(&frame(PUSH_PROMISE, END_HEADERS, ASK, &promise(2))), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PING inside",                    then(&ping([0; 8])),                                       Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("GOAWAY inside",                  then(&goaway(BIG, NO_ERROR, b"")),                         Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("WINDOW_UPDATE inside",           then(&window(0, 1)),                                       Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("an unknown frame inside",        then(&frame(0xbe, 0, ASK, &[])),                           Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("a frame inside trailers",        [headers(ASK), frame(HEADERS, END_STREAM, ASK, &[]), ping([0; 8])].concat(), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("a flood of empty ones",          then(&empty.repeat(1_000)),                                Goaway(ENHANCE_YOUR_CALM), UNAVAILABLE),
        ("one that is empty",              then(&empty),                                              Ignored, WELL),
        ("all of it in CONTINUATION",      [&frame(HEADERS, 0, ASK, &[]), &frame(CONTINUATION, END_HEADERS, ASK, &response), &message(ASK, "well")[..], &trailers_ok(ASK)].concat(), Ignored, WELL),
        ("flags that mean nothing there",  [&begun, &frame(CONTINUATION, 0xff, ASK, second), &message(ASK, "well")[..], &trailers_ok(ASK)].concat(), Ignored, WELL),
        ("trailers in pieces",             [&headers(ASK), &message(ASK, "well")[..], &frame(HEADERS, END_STREAM, ASK, &[]), &frame(CONTINUATION, END_HEADERS, ASK, &block(&[("grpc-status", "0")]))].concat(), Ignored, WELL),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn settings_have_values_that_can_be() {
    let many: Vec<(u16, u32)> = (0..2_000).map(|number| (0x100 + number, 0)).collect();
    play(&[
        ("ENABLE_PUSH of 1",               settings_frame(&[(2, 1)]),         Closed, UNAVAILABLE), // PROTOCOL_ERROR, RFC 9113 §6.5.2; h2 lets it pass
        ("ENABLE_PUSH of 2",               settings(&[(2, 2)]),               Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("ENABLE_PUSH of -1",              settings(&[(2, u32::MAX)]),        Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("INITIAL_WINDOW_SIZE of 2^31",    settings(&[(4, BIG + 1)]),         Goaway(PROTOCOL_ERROR), UNAVAILABLE), // FLOW_CONTROL_ERROR
        ("INITIAL_WINDOW_SIZE of 2^32-1",  settings(&[(4, u32::MAX)]),        Goaway(PROTOCOL_ERROR), UNAVAILABLE), // FLOW_CONTROL_ERROR
        ("MAX_FRAME_SIZE of 0",            settings(&[(5, 0)]),               Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("MAX_FRAME_SIZE of 2^14-1",       settings(&[(5, 16_383)]),          Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("MAX_FRAME_SIZE of 2^24",         settings(&[(5, 1 << 24)]),         Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("ENABLE_CONNECT_PROTOCOL of 2",   settings(&[(8, 2)]),               Goaway(PROTOCOL_ERROR), UNAVAILABLE), // RFC 8441 §3
        ("one bad value among good ones",  settings(&[(1, 0), (2, 7), (3, 100)]), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("a bad value that is taken back", settings(&[(5, 0), (5, 16_384)]),  Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("an ACK too many",                first(SETTINGS, ACK, 0, &[]),      Goaway(PROTOCOL_ERROR), UNAVAILABLE), // RFC 9113 does not say
        ("HEADER_TABLE_SIZE of 0",         settings(&[(1, 0)]),               Ignored, WELL),
        ("HEADER_TABLE_SIZE of 2^32-1",    settings(&[(1, u32::MAX)]),        Ignored, WELL),
        ("ENABLE_PUSH of 0",               settings(&[(2, 0)]),               Ignored, WELL),
        ("MAX_CONCURRENT_STREAMS of 2^32-1", settings(&[(3, u32::MAX)]),      Ignored, WELL),
        ("INITIAL_WINDOW_SIZE of 2^31-1",  settings(&[(4, BIG)]),             Ignored, WELL),
        ("the smallest MAX_FRAME_SIZE",    settings(&[(5, 16_384)]),          Ignored, WELL),
        ("the largest MAX_FRAME_SIZE",     settings(&[(5, (1 << 24) - 1)]),   Ignored, WELL),
        ("MAX_HEADER_LIST_SIZE of 2^32-1", settings(&[(6, u32::MAX)]),        Ignored, WELL),
        ("settings that nobody knows",     settings(&[(0, 1), (7, 2), (9, 3), (0xffff, u32::MAX)]), Ignored, WELL),
        ("very many of them",              settings(&many),                   Ignored, WELL),
        ("flags that mean nothing there",  first(SETTINGS, 0xfe, 0, &[]),     Ignored, WELL),
    ]).await;
    play_open(&[
        ("an initial window that overflows a stream's", before(&[settings_frame(&[(4, 0)]), window(ASK, BIG), settings_frame(&[(4, 1)])].concat()), Goaway(FLOW_CONTROL_ERROR), INTERNAL), // h2 resets the stream besides
        ("an initial window below zero",   [settings_frame(&[(4, 0)]), settings_frame(&[(4, 65_535)]), answer(ASK, "well")].concat(), ANSWERED, WELL),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn windows_grow_by_something_and_not_without_end() {
    play(&[
        ("0 for the connection",           before(&window(0, 0)),                 Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("0 for the call's stream",        before(&window(ASK, 0)),               Goaway(PROTOCOL_ERROR), UNAVAILABLE), // a stream error
        ("0 with the reserved bit",        before(&window(0, 1 << 31)),           Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("too much for the connection",    before(&window(0, BIG)),               Goaway(FLOW_CONTROL_ERROR), UNAVAILABLE),
        ("too much in two steps",          before(&[window(0, BIG - 65_535), window(0, 65_535)].concat()), Goaway(FLOW_CONTROL_ERROR), UNAVAILABLE),
        ("too much for a stream",          before(&window(ASK, BIG)),             Ignored, WELL), // FLOW_CONTROL_ERROR; nothing is left to send
        ("for an idle stream",             before(&window(5, 1)),                 Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("for a stream that nobody opens", before(&window(2, 1)),                 Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("as much as there can be",        before(&window(0, BIG - 65_535)),      Ignored, WELL),
        ("for a stream",                   before(&window(ASK, 1)),               Ignored, WELL),
        ("with the reserved bit",          before(&window(0, (1 << 31) + 1)),     Ignored, WELL),
        ("for a closed stream",            after(&window(ASK, 1)),                Ignored, WELL),
        ("too much for a closed stream",   after(&window(ASK, BIG)),              Ignored, WELL),
        ("flags that mean nothing there",  first(WINDOW_UPDATE, 0xff, 0, &[0, 0, 0, 1]), Ignored, WELL),
    ]).await;
    play_open(&[
        ("too much for an open stream",    before(&window(ASK, BIG)),             Reset(FLOW_CONTROL_ERROR), INTERNAL),
        ("as much as one can have",        before(&window(ASK, BIG - 65_535)),    ANSWERED, WELL),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn servers_send_no_more_than_the_windows_take() {
    // The beginning of a message of 4 MiB, as much as a stream's window takes.
    let full = data(ASK, &[&[0, 0, 0x40, 0, 0][..], &vec![0; 1024 * 1024 - 5]].concat());
    play(&[
        ("past the stream's window",       [&headers(ASK), &full[..], &frame(DATA, 0, ASK, b"x")].concat(), Reset(FLOW_CONTROL_ERROR), INTERNAL),
        ("past it by padding",             [&headers(ASK), &full[..], &frame(DATA, PADDED, ASK, &[0])].concat(), Reset(FLOW_CONTROL_ERROR), INTERNAL),
    ]).await;
}

#[tokio::test(start_paused = true)]
async fn servers_send_no_more_than_the_window_of_the_connection_takes() {
    const STREAM: u32 = 64 * 1024;
    for way in Way::both() {
        let mut line = way.line(ClientHttp2Config {
            stream_window: STREAM,
            connection_window: 4 * STREAM,
            ..ClientHttp2Config::default()
        });
        let mut calls = Vec::new();
        let first = line.channel.clone();
        let first = tokio::spawn(async move { bidi(&first, ()).await });
        let mut server = way.accept(&mut line).await;
        calls.push(first.await.unwrap());
        for _ in 1..5 {
            calls.push(bidi(&line.channel, ()).await);
        }
        // The beginnings of four messages of 4 MiB, as much as the connection's window takes.
        let beginning = [&[0, 0, 0x40, 0, 0][..], &vec![0; STREAM as usize - 5]].concat();
        for stream in [1, 3, 5, 7, 9] {
            assert_eq!(server.request().await.stream, stream);
            server.write(&headers(stream)).await;
            if stream < 9 {
                server.write(&data(stream, &beginning)).await;
            }
        }
        idle().await;
        assert_eq!(said(&mut server, way.name()).await, Ignored);
        server.write(&frame(DATA, 0, 9, b"\0")).await;
        idle().await;
        let said = said(&mut server, way.name()).await;
        assert_eq!(said, Goaway(FLOW_CONTROL_ERROR), "{}", way.name());
        for (_request, mut inbound) in calls {
            let status = read_all(&mut inbound).await.end.unwrap_err();
            assert_eq!(status.code, Code::Unavailable, "{status}");
        }
    }
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn empty_data_is_borne_for_a_while() {
    let empty = frame(DATA, 0, ASK, b"");
    play(&[
        ("50 of them",                     inside(&empty.repeat(50)),                            Ignored, WELL),
        ("a flood",                        inside(&empty.repeat(101)),                           Goaway(ENHANCE_YOUR_CALM), UNAVAILABLE),
        ("a flood with padding",           inside(&frame(DATA, PADDED, ASK, &[0]).repeat(101)),  Goaway(ENHANCE_YOUR_CALM), UNAVAILABLE),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn streams_live_from_headers_to_their_end() {
    let ends = frame(DATA, END_STREAM, ASK, b"");
    let cancelled = [headers(ASK), reset(ASK, CANCEL)].concat();
    const CANCELLED: Result<(), Code> = Err(Code::Cancelled);
    play(&[
        ("DATA before HEADERS",            before(&message(ASK, "a")),                       Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("empty DATA before HEADERS",      before(&frame(DATA, 0, ASK, b"")),                Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("DATA in place of HEADERS",       ends.clone(),                                     Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("DATA on an idle stream",         before(&message(5, "a")),                         Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("DATA on an even stream",         before(&message(2, "a")),                         Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("HEADERS on an idle stream",      before(&headers(5)),                              Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("HEADERS on an idle stream far on", before(&headers(1_001)),                        Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("HEADERS on an even stream",      before(&headers(2)),                              Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("RST_STREAM on an idle stream",   before(&reset(5, CANCEL)),                        Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("RST_STREAM on an even stream",   before(&reset(2, CANCEL)),                        Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PRIORITY on an idle stream",     first(PRIORITY, 0, 5, &[0, 0, 0, 3, 16]),         Ignored, WELL),
        ("PRIORITY on an even stream",     first(PRIORITY, 0, 2, &[0, 0, 0, 3, 16]),         Ignored, WELL),
        ("DATA after trailers",            after(&message(ASK, "a")),                        Reset(STREAM_CLOSED), WELL),
        ("empty DATA after trailers",      after(&ends),                                     Reset(STREAM_CLOSED), WELL),
        ("HEADERS after trailers",         after(&headers(ASK)),                             Reset(STREAM_CLOSED), WELL),
        ("trailers after trailers",        after(&trailers_ok(ASK)),                         Reset(STREAM_CLOSED), WELL),
        ("RST_STREAM after trailers",      after(&reset(ASK, CANCEL)),                       Ignored, WELL),
        ("PRIORITY after trailers",        after(&frame(PRIORITY, 0, ASK, &[0, 0, 0, 1, 16])), Ignored, WELL),
        ("DATA after END_STREAM of DATA",  [headers(ASK), ends.clone(), message(ASK, "a")].concat(), Reset(STREAM_CLOSED), INTERNAL),
        ("trailers after END_STREAM of DATA", [headers(ASK), message(ASK, "well"), ends.clone(), trailers_ok(ASK)].concat(), Reset(STREAM_CLOSED), INTERNAL),
        ("HEADERS after END_STREAM of HEADERS", [trailers_only(ASK, &[("grpc-status", "5")]), headers(ASK)].concat(), Reset(STREAM_CLOSED), Err(Code::NotFound)),
        ("RST_STREAM",                     cancelled.clone(),                                Ignored, CANCELLED),
        ("RST_STREAM twice",               [&cancelled[..], &reset(ASK, CANCEL)].concat(),   Ignored, CANCELLED),
        ("DATA after RST_STREAM",          [&cancelled[..], &message(ASK, "a")].concat(),    Reset(STREAM_CLOSED), CANCELLED),
        ("HEADERS after RST_STREAM",       [&cancelled[..], &headers(ASK)].concat(),         Reset(STREAM_CLOSED), CANCELLED),
        ("WINDOW_UPDATE after RST_STREAM", [&cancelled[..], &window(ASK, 1)].concat(),       Ignored, CANCELLED),
        ("RST_STREAM with an unknown code", [headers(ASK), reset(ASK, 0xdead_beef)].concat(), Ignored, Err(Code::Unknown)),
        ("RST_STREAM with flags",          [headers(ASK), frame(RST_STREAM, 0xff, ASK, &[0, 0, 0, 8])].concat(), Ignored, CANCELLED),
        // What was on its way when we reset the stream does no harm. RFC 9113 §5.1.
        ("an answer after our RST_STREAM", [&headers_with(ASK, &[("connection", "close")]), &message(ASK, "a")[..], &trailers_ok(ASK)].concat(), Reset(PROTOCOL_ERROR), INTERNAL),
        ("the reserved bit",               answer(1 << 31 | ASK, "well"),                    Ignored, WELL),
        ("flags that DATA does not have",  amid(DATA, 0xf6, ASK, b""),                       Ignored, WELL),
        ("flags that HEADERS does not have", [frame(HEADERS, 0xd2 | END_HEADERS, ASK, &response()), message(ASK, "well"), trailers_ok(ASK)].concat(), Ignored, WELL),
    ]).await;
    play_open(&[
        ("DATA before HEADERS, the request open", before(&message(ASK, "a")),                Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("DATA after trailers, the request open", after(&message(ASK, "a")),                 NOT_OPEN, WELL),
        ("HEADERS after trailers, the request open", after(&headers(ASK)),                   Reset(PROTOCOL_ERROR), WELL), // STREAM_CLOSED
        ("DATA after RST_STREAM, the request open", [&cancelled[..], &message(ASK, "a")].concat(), Reset(STREAM_CLOSED), CANCELLED),
    ]).await;
}

/// The payload of a PUSH_PROMISE of a stream.
fn promise(stream: u32) -> Vec<u8> {
    let request = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/x"),
        (":authority", "localhost"),
    ];
    [&stream.to_be_bytes()[..], &block(&request)].concat()
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p008_servers_promise_nothing() {
    // We have said ENABLE_PUSH of 0. RFC 9113 §8.4.
    play(&[
        ("PUSH_PROMISE on the call's stream", first(PUSH_PROMISE, END_HEADERS, ASK, &promise(2)),   Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PUSH_PROMISE amid its answer",   amid(PUSH_PROMISE, END_HEADERS, ASK, &promise(2)),       Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PUSH_PROMISE after its answer",  after(&frame(PUSH_PROMISE, END_HEADERS, ASK, &promise(2))), Goaway(PROTOCOL_ERROR), WELL),
        ("PUSH_PROMISE on an idle stream", first(PUSH_PROMISE, END_HEADERS, 5, &promise(2)),        Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PUSH_PROMISE of an odd stream",  first(PUSH_PROMISE, END_HEADERS, ASK, &promise(5)),      Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PUSH_PROMISE of stream 0",       first(PUSH_PROMISE, END_HEADERS, ASK, &promise(0)),      Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PUSH_PROMISE in pieces",         before(&[frame(PUSH_PROMISE, 0, ASK, &promise(2)), frame(CONTINUATION, END_HEADERS, ASK, &[])].concat()), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("PUSH_PROMISE without an end",    first(PUSH_PROMISE, 0, ASK, &promise(2)),                Goaway(PROTOCOL_ERROR), UNAVAILABLE),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn what_concerns_nobody_is_ignored() {
    let itself = [&[0, 0, 0, 3, 16][..], &response()].concat();
    play(&[
        // RFC 9113 has no word on dependencies any more; RFC 7540 §5.3.1 had this stream error.
        ("PRIORITY that depends on itself", first(PRIORITY, 0, ASK, &[0, 0, 0, 3, 16]),    Reset(PROTOCOL_ERROR), INTERNAL),
        ("HEADERS that depend on themselves", frame(HEADERS, END_HEADERS | WITH_PRIORITY, ASK, &itself), Reset(PROTOCOL_ERROR), INTERNAL),
        ("an exclusive dependency",        first(PRIORITY, 0, ASK, &[0x80, 0, 0, 1, 255]), Ignored, WELL),
        ("PRIORITY with flags",            first(PRIORITY, 0xff, ASK, &[0, 0, 0, 1, 0]),   Ignored, WELL),
        ("PING ACK that nobody waits for", amid(PING, ACK, 0, &[0; 8]),                    Ignored, WELL),
        ("PING with flags",                amid(PING, 0xfe, 0, &[0; 8]),                   Ignored, WELL),
        ("an unknown frame",               first(0xbe, 0xff, 0, b"what is this"),          Ignored, WELL),
        ("an unknown frame on an idle stream", first(0x0b, 0, 7, b"what is this"),         Ignored, WELL),
        ("an unknown frame on an even one", first(0xff, 0, 2, b""),                        Ignored, WELL),
        ("an unknown frame on the call's", amid(0x0a, END_STREAM, ASK, b"ALTSVC"),         Ignored, WELL),
        ("an unknown frame on a closed one", after(&frame(0xbe, 0, ASK, b"")),             Ignored, WELL),
        ("ORIGIN of RFC 8336",             first(0x0c, 0, 0, b"\x00\x0bhttps://a.b"),        Ignored, WELL),
        ("GOAWAY whose last stream grows", before(&[goaway(ASK, NO_ERROR, b""), goaway(5, NO_ERROR, b"")].concat()), Goaway(PROTOCOL_ERROR), UNAVAILABLE),
    ]).await;
}

/// A good answer whose first block is the fields of Response-Headers and then `more`.
fn hpack(more: &[u8]) -> Vec<u8> {
    any_answer(&[&response(), more].concat())
}

/// The same with `first` before the fields.
fn hpack_before(first: &[u8]) -> Vec<u8> {
    any_answer(&[first, &response()].concat())
}

/// An answer that is good if this block is.
fn any_answer(block: &[u8]) -> Vec<u8> {
    [
        &frame(HEADERS, END_HEADERS, ASK, block),
        &message(ASK, "well")[..],
        &trailers_ok(ASK),
    ]
    .concat()
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn header_blocks_are_hpack() {
    let entry = b"\x40\x03x-a\x01b";
    let large = [&b"\x40\x03x-a\x7f\x81\x20"[..], &[b'v'; 4_224]].concat();
    let trailers_of = |bytes: &[u8]| [&headers(ASK), &message(ASK, "well")[..], &frame(HEADERS, END_HEADERS | END_STREAM, ASK, bytes)].concat();
    let zero = block(&[("grpc-status", "0")]);
    play(&[
        ("index 0",                        hpack(&[0x80]),                              NO_HPACK, UNAVAILABLE),
        ("an index past the tables",       hpack(&[0xbe]),                              NO_HPACK, UNAVAILABLE),
        ("an index far past them",         hpack(&[0xff, 0xff, 0xff, 0xff, 0x07]),      NO_HPACK, UNAVAILABLE),
        ("an index without an end",        hpack(&[0xff]),                              NO_HPACK, UNAVAILABLE),
        ("an integer that goes on",        hpack(&[0xff, 0x80, 0x80]),                  NO_HPACK, UNAVAILABLE),
        ("an integer that overflows",      hpack(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), NO_HPACK, UNAVAILABLE),
        ("a name past the tables",         hpack(b"\x7e\x01b"),                         NO_HPACK, UNAVAILABLE),
        ("a name without an end",          hpack(b"\x00\x05x-a"),                       NO_HPACK, UNAVAILABLE),
        ("no value",                       hpack(b"\x00\x03x-a"),                       NO_HPACK, UNAVAILABLE),
        ("a value without an end",         hpack(b"\x00\x03x-a\x05b"),                  NO_HPACK, UNAVAILABLE),
        ("a string of 2^28 bytes",         hpack(b"\x00\x03x-a\x7f\x81\xff\xff\x7f"),   NO_HPACK, UNAVAILABLE),
        ("Huffman code without an end",    hpack(b"\x00\x03x-a\x85\x1c"),               NO_HPACK, UNAVAILABLE),
        ("Huffman padding of zeros",       hpack(b"\x00\x03x-a\x81\x18"),               NO_HPACK, UNAVAILABLE), // a is 00011
        ("Huffman padding of 8 bits",      hpack(b"\x00\x03x-a\x82\x1f\xff"),           NO_HPACK, UNAVAILABLE),
        ("the end of Huffman's string",    hpack(b"\x00\x03x-a\x84\xff\xff\xff\xff"),   NO_HPACK, UNAVAILABLE),
        ("a table above the limit",        hpack_before(&[0x3f, 0xe2, 0x1f]),           NO_HPACK, UNAVAILABLE), // 4097
        ("a table far above it",           hpack_before(&[0x3f, 0xff, 0xff, 0xff, 0x07]), NO_HPACK, UNAVAILABLE),
        ("a table size after a field",     hpack(&[0x20]),                              NO_HPACK, UNAVAILABLE),
        ("an entry that was evicted",      [headers_of(&[&response(), &entry[..]].concat()), message(ASK, "well"), frame(HEADERS, END_HEADERS | END_STREAM, ASK, &[0x20, 0xbe])].concat(), NO_HPACK, UNAVAILABLE),
        ("an entry that was too large",    hpack(&[&large, &[0xbe][..]].concat()),      NO_HPACK, UNAVAILABLE),
        ("a bad block for trailers",       trailers_of(&[0x80]),                        NO_HPACK, UNAVAILABLE),
        ("a bad block on a closed stream", after(&frame(HEADERS, END_HEADERS, ASK, &[0x80])), NO_HPACK, WELL),
        ("a bad block of PUSH_PROMISE",    first(PUSH_PROMISE, END_HEADERS, ASK, &[0, 0, 0, 2, 0x80]), NO_HPACK, UNAVAILABLE),
        ("a bad block in CONTINUATION",    [frame(HEADERS, 0, ASK, &response()), frame(CONTINUATION, END_HEADERS, ASK, &[0x80])].concat(), NO_HPACK, UNAVAILABLE),
        ("a block that ends in a field",   [frame(HEADERS, 0, ASK, &response()), frame(CONTINUATION, END_HEADERS, ASK, b"\x00\x03x-a")].concat(), NO_HPACK, UNAVAILABLE),
        ("a table of 4096",                hpack_before(&[0x3f, 0xe1, 0x1f]),           Ignored, WELL),
        ("a table of 0",                   hpack_before(&[0x20]),                       Ignored, WELL),
        ("two sizes at the start",         hpack_before(&[0x20, 0x3f, 0xe1, 0x1f]),     Ignored, WELL),
        ("zeros in an integer",            hpack(&[0x1f, 0x80, 0x80, 0x00, 0x01, b'b']), Ignored, WELL), // accept-charset is 15
        ("an entry used again",            [headers_of(&[&response(), &entry[..]].concat()), message(ASK, "well"), frame(HEADERS, END_HEADERS | END_STREAM, ASK, &[&zero, &[0xbe][..]].concat())].concat(), Ignored, WELL),
        ("an entry larger than the table", hpack(&large),                               Ignored, WELL),
        ("a field never to be indexed",    hpack(b"\x10\x03x-a\x01b"),                  Ignored, WELL),
        ("Huffman code",                   hpack(b"\x00\x03x-a\x81\x1f"),               Ignored, WELL),
        ("an empty value",                 hpack(b"\x00\x03x-a\x00"),                   Ignored, WELL),
    ]).await;
}

/// HEADERS of the call's stream.
fn headers_of(block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, ASK, block)
}

/// A good answer with one field more.
fn with(name: &str, value: &str) -> Vec<u8> {
    hpack(&block(&[(name, value)]))
}

fn with_value(value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap();
    hpack(&[b"\x00\x03x-a", &[length][..], value].concat())
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn fields_are_made_of_what_they_may_be_made_of() {
    play(&[
        ("a name in upper case",           with("X-Upper", "1"),                NO_FIELD, UNAVAILABLE),
        ("one letter in upper case",       with("x-Upper", "1"),                NO_FIELD, UNAVAILABLE),
        ("no name",                        with("", "1"),                       NO_FIELD, UNAVAILABLE),
        ("a space in a name",              with("x a", "1"),                    NO_FIELD, UNAVAILABLE),
        ("a colon in a name",              with("x:a", "1"),                    NO_FIELD, UNAVAILABLE),
        ("a NUL in a name",                with("x\0a", "1"),                   NO_FIELD, UNAVAILABLE),
        ("another script in a name",       with("x-ä", "1"),                    NO_FIELD, UNAVAILABLE),
        ("upper case in Huffman code",     hpack(b"\x00\x82\x87\x9f\x01b"),     NO_FIELD, UNAVAILABLE), // "A" is 100001
        ("a NUL in a value",               with_value(b"a\0b"),                 NO_FIELD, UNAVAILABLE),
        ("a line feed in a value",         with_value(b"a\nb"),                 NO_FIELD, UNAVAILABLE),
        ("a carriage return in a value",   with_value(b"a\rb"),                 NO_FIELD, UNAVAILABLE),
        ("a space before a value",         with_value(b" a"),                   Ignored, WELL), // malformed, RFC 9113 §8.2.1
        ("a tab after a value",            with_value(b"a\t"),                  Ignored, WELL), // malformed, RFC 9113 §8.2.1
        ("a tab in a value",               with_value(b"a\tb"),                 Ignored, WELL),
        ("bytes above ASCII in a value",   with_value(b"\xff\x80"),             Ignored, WELL),
        ("connection",                     with("connection", "close"),         Reset(PROTOCOL_ERROR), INTERNAL),
        ("keep-alive",                     with("keep-alive", "timeout=5"),     Reset(PROTOCOL_ERROR), INTERNAL),
        ("proxy-connection",               with("proxy-connection", "close"),   Reset(PROTOCOL_ERROR), INTERNAL),
        ("transfer-encoding",              with("transfer-encoding", "chunked"), Reset(PROTOCOL_ERROR), INTERNAL),
        ("upgrade",                        with("upgrade", "h2c"),              Reset(PROTOCOL_ERROR), INTERNAL),
        ("te with gzip",                   with("te", "gzip"),                  Reset(PROTOCOL_ERROR), INTERNAL),
        ("te",                             with("te", "trailers"),              Ignored, WELL), // malformed, RFC 9113 §8.2.2: of requests only
        ("a field twice",                  hpack(&block(&[("x-a", "b"), ("x-a", "c")])), Ignored, WELL),
    ]).await;
}

/// An answer whose first block has just these fields.
fn only(fields: &[(&str, &str)]) -> Vec<u8> {
    any_answer(&block(fields))
}

const STATUS: (&str, &str) = (":status", "200");
const TYPE: (&str, &str) = ("content-type", "application/grpc");

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn responses_have_their_status_once_and_first() {
    play(&[
        ("no fields",                      only(&[]),                                    Reset(PROTOCOL_ERROR), INTERNAL),
        ("no :status",                     only(&[TYPE]),                                Reset(PROTOCOL_ERROR), INTERNAL),
        ("two :status",                    only(&[STATUS, STATUS, TYPE]),                Reset(PROTOCOL_ERROR), INTERNAL),
        ("two :status that differ",        only(&[STATUS, (":status", "404"), TYPE]),    Reset(PROTOCOL_ERROR), INTERNAL),
        (":status after a field",          only(&[TYPE, STATUS]),                        Reset(PROTOCOL_ERROR), INTERNAL),
        ("an empty :status",               only(&[(":status", ""), TYPE]),               NO_FIELD, UNAVAILABLE),
        (":status of two digits",          only(&[(":status", "20"), TYPE]),             NO_FIELD, UNAVAILABLE),
        (":status of four digits",         only(&[(":status", "2000"), TYPE]),           NO_FIELD, UNAVAILABLE),
        (":status that is no number",      only(&[(":status", "2x0"), TYPE]),            NO_FIELD, UNAVAILABLE),
        (":status below 100",              only(&[(":status", "099"), TYPE]),            NO_FIELD, UNAVAILABLE),
        (":status with a sign",            only(&[(":status", "+20"), TYPE]),            NO_FIELD, UNAVAILABLE),
        (":path in a response",            only(&[STATUS, (":path", "/x"), TYPE]),       Ignored, WELL), // malformed, RFC 9113 §8.3
        (":method in a response",          only(&[STATUS, (":method", "GET"), TYPE]),    Ignored, WELL), // malformed, RFC 9113 §8.3
        (":scheme in a response",          only(&[STATUS, (":scheme", "http"), TYPE]),   Ignored, WELL), // malformed, RFC 9113 §8.3
        (":authority in a response",       only(&[STATUS, (":authority", "a"), TYPE]),   Ignored, WELL), // malformed, RFC 9113 §8.3
        (":protocol in a response",        only(&[STATUS, (":protocol", "a"), TYPE]),    Ignored, WELL), // malformed, RFC 9113 §8.3
        ("an unknown one",                 only(&[STATUS, (":what", "x"), TYPE]),        NO_FIELD, UNAVAILABLE),
        ("one without a name",             only(&[STATUS, (":", "x"), TYPE]),            NO_FIELD, UNAVAILABLE),
        ("one in upper case",              only(&[(":STATUS", "200"), TYPE]),            NO_FIELD, UNAVAILABLE),
        (":status 200",                    only(&[STATUS, TYPE]),                        Ignored, WELL),
        // A grpc-status outweighs them. gRPC-HTTP2 §HTTP2 Transport Mapping (Errors).
        (":status 404",                    only(&[(":status", "404"), TYPE]),            Ignored, WELL),
        (":status 999",                    only(&[(":status", "999"), TYPE]),            Ignored, WELL),
    ]).await;
}

/// An answer with this length and this body.
fn sized(lengths: &[&str], body: &[&[u8]]) -> Vec<u8> {
    let lengths: Vec<_> = lengths
        .iter()
        .map(|length| ("content-length", *length))
        .collect();
    let body = body.iter().flat_map(|part| frame(DATA, 0, ASK, part));
    let body: Vec<u8> = body.collect();
    [headers_with(ASK, &lengths), body, trailers_ok(ASK)].concat()
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p049_a_content_length_is_the_length_of_the_content() {
    let message = &*encoded("well"); // 11 bytes
    let (first, second) = message.split_at(7);
    // Where the end shows what is missing, no stream is left to reset.
    play(&[
        ("less than there is",             sized(&["10"], &[message]),                  Reset(PROTOCOL_ERROR), INTERNAL),
        ("more than there is",             sized(&["12"], &[message]),                  Ignored, INTERNAL),
        ("nothing, and there is something", sized(&["0"], &[message]),                  Reset(PROTOCOL_ERROR), INTERNAL),
        ("something, and there is nothing", sized(&["11"], &[]),                        Ignored, INTERNAL),
        ("something, and Trailers-Only",   trailers_only(ASK, &[("content-length", "11"), ("grpc-status", "5")]), Ignored, INTERNAL),
        ("less than there is, in parts",   sized(&["10"], &[first, second]),            Reset(PROTOCOL_ERROR), INTERNAL),
        ("more than there is, in parts",   sized(&["12"], &[first, second, b""]),       Ignored, INTERNAL),
        ("no number",                      sized(&["abc"], &[message]),                 Reset(PROTOCOL_ERROR), INTERNAL),
        ("an empty one",                   sized(&[""], &[message]),                    Reset(PROTOCOL_ERROR), INTERNAL),
        ("a number below zero",            sized(&["-11"], &[message]),                 Reset(PROTOCOL_ERROR), INTERNAL),
        ("a number with a plus",           sized(&["+11"], &[message]),                 Reset(PROTOCOL_ERROR), INTERNAL),
        ("2^64",                           sized(&["18446744073709551616"], &[message]), Reset(PROTOCOL_ERROR), INTERNAL),
        ("two that differ",                sized(&["11", "12"], &[message]),            Reset(PROTOCOL_ERROR), INTERNAL),
        ("the right one",                  sized(&["11"], &[message]),                  Ignored, WELL),
        ("the right one, in parts",        sized(&["11"], &[first, b"", second]),       Ignored, WELL),
        ("the right one twice",            sized(&["11", "11"], &[message]),            Ignored, WELL),
        ("none",                           sized(&[], &[message]),                      Ignored, WELL),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p098_interim_responses_come_before_the_response() {
    let interim = |flags, fields: &[(&str, &str)]| any_block(ASK, flags, fields);
    let hint = interim(0, &[(":status", "103")]);
    play(&[
        ("100",                            before(&interim(0, &[(":status", "100")])),                Ignored, WELL),
        ("103 with a field",               before(&interim(0, &[(":status", "103"), ("link", "</x>")])), Ignored, WELL),
        ("199",                            before(&interim(0, &[(":status", "199")])),                Ignored, WELL),
        ("sixteen of them",                before(&hint.repeat(16)),                                  Ignored, WELL),
        ("seventeen of them",              hint.repeat(17),                                           Reset(CANCEL), UNAVAILABLE),
        ("seventeen of them before all",   before(&hint.repeat(17)),                                  Ignored, UNAVAILABLE), // nothing is left to reset
        ("101",                            before(&interim(0, &[(":status", "101")])),                Ignored, WELL), // there is none, RFC 9113 §8.6
        ("one that ends the stream",       interim(END_STREAM, &[(":status", "103")]),                Ignored, INTERNAL), // nothing is left to reset
        ("one behind the response",        inside(&hint),                                             Reset(PROTOCOL_ERROR), INTERNAL),
        ("DATA behind one",                before(&[&hint[..], &message(ASK, "a")].concat()),         Goaway(PROTOCOL_ERROR), UNAVAILABLE),
        ("one with a field of a connection", before(&interim(0, &[(":status", "103"), ("upgrade", "h2c")])), Reset(PROTOCOL_ERROR), INTERNAL),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn trailers_are_fields_at_the_end() {
    let zero = ("grpc-status", "0");
    let trailers_of = |flags, fields: &[(&str, &str)]| [headers(ASK), message(ASK, "well"), any_block(ASK, flags, fields)].concat();
    play(&[
        ("not at the end",                 trailers_of(0, &[zero]),                                   Reset(PROTOCOL_ERROR), INTERNAL),
        ("not at the end, then DATA that is", [trailers_of(0, &[zero]), frame(DATA, END_STREAM, ASK, b"")].concat(), Reset(PROTOCOL_ERROR), INTERNAL),
        ("a second response",              trailers_of(0, &GRPC),                                     Reset(PROTOCOL_ERROR), INTERNAL),
        ("with :status",                   trailers_of(END_STREAM, &[STATUS, zero]),                  Ignored, WELL), // malformed, RFC 9113 §8.1
        ("with :path",                     trailers_of(END_STREAM, &[(":path", "/x"), zero]),         Ignored, WELL), // malformed, RFC 9113 §8.1
        ("with :status after a field",     trailers_of(END_STREAM, &[zero, STATUS]),                  Reset(PROTOCOL_ERROR), INTERNAL),
        ("with an unknown one",            trailers_of(END_STREAM, &[(":what", "x"), zero]),          NO_FIELD, UNAVAILABLE),
        ("with connection",                trailers_of(END_STREAM, &[zero, ("connection", "close")]), Reset(PROTOCOL_ERROR), INTERNAL),
        ("with a name in upper case",      trailers_of(END_STREAM, &[zero, ("X-A", "b")]),            NO_FIELD, UNAVAILABLE),
        ("that depend on themselves",      [headers(ASK), frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, ASK, &[0, 0, 0, 3, 16])].concat(), Reset(PROTOCOL_ERROR), INTERNAL),
        ("without a field",                trailers_of(END_STREAM, &[]),                              Ignored, Err(Code::Unknown)),
        ("with one more",                  trailers_of(END_STREAM, &[zero, ("x-a", "b")]),            Ignored, WELL),
        ("none",                           [headers(ASK), message(ASK, "well"), frame(DATA, END_STREAM, ASK, b"")].concat(), Ignored, INTERNAL),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn blocks_have_a_limit() {
    const EXHAUSTED: Result<(), Code> = Err(Code::ResourceExhausted);
    let list = |bytes: usize| { let value = "v".repeat(bytes); block_frames(ASK, 0, &block(&[STATUS, TYPE, ("x-a", &value)])) };
    let rest = [message(ASK, "well"), trailers_ok(ASK)].concat();
    play(&[
        ("15 KiB of metadata",             [&list(15 * 1024)[..], &rest].concat(),   Ignored, WELL),
        ("17 KiB of metadata",             [&list(17 * 1024)[..], &rest].concat(),   Ignored, EXHAUSTED),
        ("a list of 65 KiB",               [&list(65 * 1024)[..], &rest].concat(),   Reset(PROTOCOL_ERROR), EXHAUSTED),
        ("a list of 1 MiB",                [&list(1024 * 1024)[..], &rest].concat(), Goaway(ENHANCE_YOUR_CALM), EXHAUSTED),
    ]).await;
}

#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn p005_a_connection_begins_with_settings() {
    let settings = settings_frame(&[]);
    let ack = frame(SETTINGS, ACK, 0, &[]);
    // An invalid preface is a connection error; the GOAWAY may be left out. RFC 9113 §3.4.
    play_first(&[
        ("a PING",                         [&ping([0; 8]), &settings[..]].concat(),          Closed),
        ("a WINDOW_UPDATE",                [&window(0, 100), &settings[..]].concat(),        Closed),
        ("an unknown frame",               [&frame(0xbe, 0, 0, b""), &settings[..]].concat(), Closed),
        ("an ACK",                         [&ack, &settings[..]].concat(),                   Closed),
        ("an answer",                      [answer(1, "well"), settings.clone()].concat(),   Closed),
        ("SETTINGS on a stream",           frame(SETTINGS, 0, 1, &[]),                       Closed),
        ("SETTINGS of 5 bytes",            frame(SETTINGS, 0, 0, &[0; 5]),                   WRONG_LENGTH),
        ("a bad setting",                  settings_frame(&[(5, 0)]),                        Goaway(PROTOCOL_ERROR)),
        ("ENABLE_PUSH of 1",               settings_frame(&[(2, 1)]),                        Closed),
        ("zeros",                          vec![0; 40],                                      Closed),
        ("a preface",                      PREFACE.to_vec(),                                 Closed),
        ("HTTP/1",                         b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),     Closed),
        ("SETTINGS without an ACK",        settings.clone(),                                 Ignored),
        ("SETTINGS twice",                 [&settings, &settings, &ack[..]].concat(),        Ignored),
        ("a WINDOW_UPDATE behind them",    [&settings, &window(0, 100), &ack[..]].concat(),  Ignored),
    ]).await;
}

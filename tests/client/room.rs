//! What calls leave to others: streams, memory, time.

use std::time::Duration;

use barewire::{ChannelConfig, Code, Inbound, Outbound, Server, ServerConfig, ServiceConfig, Status};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::scripted::{up_to_headers, End, Kind, Script, Step, all, channel, echo, hedge, path, with_config, with_policy};
use crate::support::{DATA, PATIENCE, WINDOW_UPDATE, frame};

/// A channel of one connection, whose server takes so many streams.
fn narrow(script: &Script, streams: u32, config: ChannelConfig) -> barewire::Channel {
    let script = script.clone();
    let mut config = config;
    let service_config = config.service_config.get_or_insert_default();
    service_config.max_connections_per_address = Some(1);
    channel(config, move |_, io| {
        let mut server = ServerConfig::default();
        server.http2.max_concurrent_streams = streams;
        let server = Server::new().with_config(server).add(script.clone());
        tokio::spawn(server.serve_io(io));
    })
}

#[tokio::test(start_paused = true)]
async fn p009_calls_that_are_given_up_make_room_for_those_that_wait() {
    for streams in [1, 2, 3, 10] {
        let script = Script::new(vec![vec![Step::Hang]; streams]);
        let limit = u32::try_from(streams).unwrap();
        let channel = narrow(&script, limit, ChannelConfig::default());
        let mut given_up = JoinSet::new();
        for _ in 0..streams {
            let channel = channel.clone();
            given_up.spawn(async move { Kind::Unary.call(&channel, "never").await });
        }
        script.wait_for("all are there", |seen| seen.len() == streams).await;
        let mut waiting = JoinSet::new();
        for _ in 0..3 * streams {
            let channel = channel.clone();
            waiting.spawn(async move { Kind::Unary.call(&channel, "hello").await });
        }
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(script.count(), streams);
        given_up.abort_all();
        for ended in timeout(PATIENCE, waiting.join_all()).await.unwrap() {
            assert_eq!(ended.unwrap(), ["hello"], "{streams}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_say_its_farewell_takes_no_calls() {
    let script = Script::default();
    let service = script.clone();
    let channel = channel(ChannelConfig::default(), move |number, io| {
        if number > 0 {
            return service.serve_io(io);
        }
        tokio::spawn(async move {
            let (mut peer, _) = up_to_headers(io, &[]).await;
            // Room to send, but nobody reads any more; and then a frame of stream 0 that has none.
            let room = [frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0]), frame(WINDOW_UPDATE, 0, 1, &[0x7f, 0, 0, 0])];
            peer.write(&room.concat()).await;
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            peer.write(&frame(DATA, 0, 0, b"x")).await;
            std::future::pending::<()>().await;
            drop(peer);
        });
    });
    let large = "x".repeat(2 * 1024 * 1024);
    let status = Kind::Unary.call(&channel, &large).await.unwrap_err();
    assert_eq!(status.code, Code::Unavailable, "{status}");
    for kind in Kind::ALL {
        let call = kind.call(&channel, "hello");
        assert_eq!(timeout(PATIENCE, call).await.unwrap().unwrap(), ["hello"]);
    }
}

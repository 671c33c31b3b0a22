//! What calls leave to others: streams, memory, time.

use std::time::Duration;

use barewire::{ChannelConfig, Code, Inbound, Outbound, Server, ServerConfig, ServiceConfig, Status};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::scripted::{End, Kind, Script, Step, all, channel, echo, hedge, path, with_config, with_policy};
use crate::support::PATIENCE;

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

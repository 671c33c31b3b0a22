//! The negative cases: our client against a server that misbehaves on HTTP/2.

use std::sync::Arc;

use barewire::{Channel, ChannelConfig};

use crate::http2_server::{Http2Server, Misbehaves, Seen};
use crate::support::{client_of, run};
use crate::tokio;

/// Runs a case against a server that misbehaves, and tells what the server saw.
async fn passes(name: &str, misbehaves: Misbehaves) -> Seen {
    let server = Http2Server::new(misbehaves);
    let config = ChannelConfig {
        dialer: Some(Arc::new(server.clone())),
        ..ChannelConfig::default()
    };
    let client =
        client_of(move || Channel::with_config("passthrough:///server", config.clone()).unwrap());
    run(&client, name)
        .await
        .unwrap_or_else(|failure| panic!("{name}: {failure}"));
    server.seen_all().await
}

#[tokio::test(start_paused = true)]
async fn p155_after_goaway_the_next_call_takes_a_new_connection() {
    let seen = passes("goaway", Misbehaves::Goaway).await;
    assert_eq!(seen.requests, [0, 1], "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn p117_a_reset_after_the_headers_is_a_failure() {
    passes("rst_after_header", Misbehaves::RstAfterHeader).await;
}

#[tokio::test(start_paused = true)]
async fn p087_a_reset_within_a_message_is_a_failure() {
    passes("rst_during_data", Misbehaves::RstDuringData).await;
}

#[tokio::test(start_paused = true)]
async fn p099_a_reset_in_place_of_trailers_is_a_failure() {
    passes("rst_after_data", Misbehaves::RstAfterData).await;
}

#[tokio::test(start_paused = true)]
async fn p139_every_ping_is_answered() {
    let seen = passes("ping", Misbehaves::Ping).await;
    assert_eq!((seen.pings, seen.pings_answered), (4, 4), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn p009_calls_wait_while_the_server_allows_no_more_streams() {
    let seen = passes("max_streams", Misbehaves::MaxStreams).await;
    assert_eq!(
        (seen.open_at_once, seen.requests.len()),
        (1, 16),
        "{seen:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn p071_padding_is_given_back_to_the_windows() {
    passes("data_frame_padding", Misbehaves::DataFramePadding).await;
}

#[tokio::test(start_paused = true)]
async fn p252_many_small_data_frames_are_no_fault() {
    passes("no_df_padding_sanity_test", Misbehaves::SmallDataFrames).await;
}

//! TCP_USER_TIMEOUT: where keepalive is on, the system gives up on a peer that takes nothing, and sooner
//! than a PING would find out. What the option is, only the socket could tell, and that is the library's.
//! gRFC A18.

use std::sync::Arc;
use std::time::Duration;

use barewire::{Counter, Counters, Server, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::support::{
    ACK, END_HEADERS, HEADERS, PREFACE, Probe, SETTINGS, Seen, WINDOW_UPDATE, frame, request_block,
};
use crate::tokio;

/// Calls a server that sends without end, and takes no byte of it.
async fn takes_nothing(keepalive_time: Option<Duration>) -> (TcpStream, Arc<Seen>, Counters) {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let mut config = ServerConfig::default();
    config.http2.keepalive_time = keepalive_time;
    config.http2.keepalive_timeout = Duration::from_millis(100);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new().with_config(config).add(probe);
    let counters = server.counters();
    tokio::spawn(server.serve(listener));
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut io = socket.connect(address).await.unwrap();
    // HTTP/2 has room for all of it: SETTINGS_INITIAL_WINDOW_SIZE, and the connection's window.
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]));
    bytes.extend(frame(SETTINGS, ACK, 0, &[]));
    bytes.extend(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0, 0]));
    bytes.extend(frame(HEADERS, END_HEADERS, 1, &request_block("Flood")));
    io.write_all(&bytes).await.unwrap();
    seen.wait_for("the handler runs", |seen| seen.begun() == 1)
        .await;
    (io, seen, counters)
}

#[tokio::test]
async fn the_system_gives_up_on_a_peer_that_takes_nothing_where_keepalive_is_on() {
    let (_io, without, _) = takes_nothing(None).await;
    // Twice, so that the one without has had more time than it took.
    for _ in 0..2 {
        let (_io, with, counters) = takes_nothing(Some(Duration::from_secs(300))).await;
        with.wait_for("the handler is dropped", |seen| seen.running() == 0)
            .await;
        for counter in [Counter::KeepaliveTimeout, Counter::SendStallTimeout] {
            assert_eq!(counters.of(counter), 0, "{counter}");
        }
    }
    assert_eq!(without.running(), 1);
}

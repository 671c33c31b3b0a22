//! TCP_USER_TIMEOUT: where keepalive is on, the system gives up on a server that takes nothing, and sooner
//! than a PING would find out. What the option is, only the socket could tell, and that is the library's.
//! gRFC A18.

use std::time::Duration;

use barewire::{Channel, ChannelConfig, ClientHttp2Config, Code, Counter, Status};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::raw_server::*;
use crate::support::PATIENCE;
use crate::tokio;

/// Sends without end to a server that takes no byte of it. Yields how that ends.
fn takes_nothing(keepalive_time: Option<Duration>) -> JoinHandle<Status> {
    let config = ChannelConfig {
        http2: ClientHttp2Config {
            keepalive_time,
            keepalive_timeout: Duration::from_millis(100),
            ..ClientHttp2Config::default()
        },
        ..ChannelConfig::default()
    };
    tokio::spawn(async move {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let target = format!("http://{}", listener.local_addr().unwrap());
        let channel = Channel::with_config(&target, config).unwrap();
        let call = channel.bidi::<String, String>(path(), ());
        let (call, _server) = tokio::join!(call, async {
            let (mut io, _) = listener.accept().await.unwrap();
            // HTTP/2 has room for all of it.
            let room = [
                settings_frame(&[(INITIAL_WINDOW_SIZE, 0x7fff_ffff)]),
                window(0, 0x7fff_0000),
            ];
            io.write_all(&room.concat()).await.unwrap();
            io
        });
        let (mut outbound, mut inbound) = call.unwrap();
        while outbound.send("x".repeat(64 * 1024)).await.is_ok() {}
        let status = inbound.next().await.unwrap_err();
        let asked = channel.counters().of(Counter::KeepaliveTimeout);
        assert_eq!(asked, 0, "{status}");
        status
    })
}

#[tokio::test]
async fn the_system_gives_up_on_a_server_that_takes_nothing_where_keepalive_is_on() {
    let without = takes_nothing(None);
    // Twice, so that the one without has had more time than it took.
    for _ in 0..2 {
        let with = takes_nothing(Some(Duration::from_secs(300)));
        let status = timeout(PATIENCE, with).await.expect("an end").unwrap();
        assert_eq!(status.code, Code::Unavailable, "{status}");
    }
    assert!(!without.is_finished());
}

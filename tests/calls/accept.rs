//! What a server does when the system yields no connection but an error, and whom it turns away.
//!
//! Its listener is a queue of what the system would yield, by the numbers of Linux. The clock is ours.

use std::io;
use std::time::Duration;

use barewire::{ByteStream, Counter, Counters, Server, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::support::{
    Client, DATA, END_HEADERS, END_STREAM, HEADERS, PATIENCE, PREFACE, Probe, RawPeer, SETTINGS,
    connect, encoded, frame, hits, request_block,
};
use crate::tokio;

type Yielded = io::Result<Box<dyn ByteStream>>;

/// What the system is to yield, one after the other.
struct System {
    queue: mpsc::Sender<Yielded>,
    counters: Counters,
}

impl System {
    fn of_a_server(config: ServerConfig) -> Self {
        let (queue, listener) = mpsc::channel(1);
        let server = Server::new().with_config(config).add(Probe::default());
        let counters = server.counters();
        tokio::spawn(server.serve(listener));
        Self { queue, counters }
    }

    /// Yields this as soon as the server asks; says how long that took, in milliseconds.
    async fn yields(&self, result: Yielded) -> u128 {
        let start = Instant::now();
        self.queue.send(result).await.unwrap();
        // There is room for another one when this one was taken.
        drop(self.queue.reserve().await.unwrap());
        start.elapsed().as_millis()
    }

    /// So many errors of this number.
    async fn fails(&self, count: usize, number: i32) -> Vec<u128> {
        let mut waits = Vec::new();
        for _ in 0..count {
            let error = io::Error::from_raw_os_error(number);
            waits.push(self.yields(Err(error)).await);
        }
        waits
    }

    /// A connection, which must be served.
    async fn connects(&self) -> u128 {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let wait = self.yields(Ok(Box::new(theirs))).await;
        let client = Client::over(ours).await;
        assert_eq!(client.call("Echo", &["hello"]).await.messages, ["hello"]);
        wait
    }

    fn pauses(&self) -> u64 {
        let hits = hits(&self.counters);
        let counted = self.counters.of(Counter::AcceptBackoff);
        let expected: Vec<_> = (counted > 0)
            .then_some((Counter::AcceptBackoff, counted))
            .into_iter()
            .collect();
        assert_eq!(hits, expected, "nothing else");
        counted
    }
}

const EMFILE: i32 = 24;
const ECONNABORTED: i32 = 103;

#[tokio::test(start_paused = true)]
async fn when_the_system_runs_out_of_something_a_server_waits_longer_and_longer() {
    let [enomem, enfile, enobufs] = [12, 23, 105];
    for number in [EMFILE, enfile, enobufs, enomem] {
        let system = System::of_a_server(ServerConfig::default());
        let waits = system.fails(11, number).await;
        let expected = [0, 5, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000];
        assert_eq!(waits, expected, "{number}");
        assert_eq!(system.pauses(), 11, "{number}");
        assert_eq!(system.connects().await, 1_000, "{number}");
        // From the start again.
        assert_eq!(system.fails(3, number).await, [0, 5, 10], "{number}");
        assert_eq!(system.connects().await, 20, "{number}");
        assert_eq!(system.connects().await, 0, "{number}");
        assert_eq!(system.pauses(), 14, "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_pauses_are_as_they_are_set() {
    let system = System::of_a_server(ServerConfig {
        accept_backoff_min: Duration::from_millis(7),
        accept_backoff_max: Duration::from_millis(20),
        ..ServerConfig::default()
    });
    assert_eq!(system.fails(5, EMFILE).await, [0, 7, 14, 20, 20]);
    assert_eq!(system.connects().await, 20);
    assert_eq!(system.pauses(), 5);
}

/// What `accept` passes on of the network is among them.
#[tokio::test(start_paused = true)]
#[rustfmt::skip]
async fn after_any_other_error_the_next_connection_is_asked_for_at_once() {
    let cases = [
        (1, "EPERM"), (4, "EINTR"), (9, "EBADF"), (22, "EINVAL"), (64, "ENONET"), (71, "EPROTO"),
        (92, "ENOPROTOOPT"), (95, "EOPNOTSUPP"), (100, "ENETDOWN"), (101, "ENETUNREACH"),
        (ECONNABORTED, "ECONNABORTED"), (104, "ECONNRESET"), (110, "ETIMEDOUT"), (112, "EHOSTDOWN"),
        (113, "EHOSTUNREACH"),
    ];
    for (number, name) in cases {
        let system = System::of_a_server(ServerConfig::default());
        for _ in 0..2 {
            assert_eq!(system.fails(100, number).await, [0; 100], "{name}");
            assert_eq!(system.connects().await, 0, "{name}");
        }
        assert_eq!(system.pauses(), 0, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_broken_for_good_is_asked_less_and_less_often() {
    let system = System::of_a_server(ServerConfig::default());
    assert_eq!(system.fails(101, ECONNABORTED).await, [0; 101]);
    assert_eq!(system.pauses(), 1);
    for (number, pause) in [5, 10, 20, 40, 80, 160, 320, 640, 1_000, 1_000]
        .into_iter()
        .enumerate()
    {
        let waits = system.fails(101, ECONNABORTED).await;
        assert_eq!(waits[0], pause, "{number}");
        assert_eq!(waits[1..], [0; 100], "{number}");
        assert_eq!(system.pauses(), u64::try_from(number).unwrap() + 2);
    }
    assert_eq!(system.connects().await, 1_000);
    assert_eq!(system.fails(100, ECONNABORTED).await, [0; 100]);
    assert_eq!(system.connects().await, 0);
    assert_eq!(system.pauses(), 11);
}

#[tokio::test(start_paused = true)]
async fn an_error_in_between_does_not_shorten_the_pauses() {
    let system = System::of_a_server(ServerConfig::default());
    assert_eq!(system.fails(1, EMFILE).await, [0]);
    assert_eq!(system.fails(1, ECONNABORTED).await, [5]);
    assert_eq!(system.fails(2, EMFILE).await, [0, 10]);
    assert_eq!(system.connects().await, 20);
    assert_eq!(system.pauses(), 3);
}

/// Has another address than `connect`, of those that Linux gives to the machine itself.
async fn connect_from_elsewhere(address: std::net::SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    socket.connect(address).await.unwrap()
}

#[tokio::test]
async fn who_has_too_many_connections_takes_no_place_from_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new().add(Probe::default());
    let server = server.with_config(ServerConfig {
        max_connections: 2,
        max_connections_per_ip: Some(1),
        // Whoever needs a place would get that of an idle connection at once.
        evict_idle_after: Duration::ZERO,
        ..ServerConfig::default()
    });
    let counters = server.counters();
    tokio::spawn(server.serve(listener));
    let echo = async |client: &Client| client.call("Echo", &["x"]).await.messages;

    let first = Client::tcp(address).await;
    assert_eq!(echo(&first).await, ["x"]);
    let elsewhere = Client::over(connect_from_elsewhere(address).await).await;
    assert_eq!(echo(&elsewhere).await, ["x"]);
    assert_eq!(hits(&counters), []);

    // All places are taken, and these may not even wait for one.
    for number in 1..=20 {
        assert!(is_closed(&mut connect(address).await).await);
        assert_eq!(hits(&counters), [(Counter::MaxConnectionsPerIp, number)]);
    }
    assert_eq!(echo(&first).await, ["x"]);
    assert_eq!(echo(&elsewhere).await, ["x"]);

    // A place becomes free, and is given to the next who may have one.
    drop(elsewhere);
    let mut again = loop {
        let mut io = connect_from_elsewhere(address).await;
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frame(SETTINGS, 0, 0, &[]));
        // The server may not have seen yet that the place is free.
        if io.write_all(&bytes).await.is_ok() && !is_closed(&mut io).await {
            break RawPeer::silent(io);
        }
    };
    let mut call = frame(HEADERS, END_HEADERS, 1, &request_block("Echo"));
    call.extend(frame(DATA, END_STREAM, 1, &encoded("x")));
    again.write(&call).await;
    assert_eq!(again.frame_on(1).await.unwrap().kind, HEADERS);
    assert_eq!(echo(&first).await, ["x"]);
    let hit = counters.of(Counter::MaxConnectionsPerIp);
    assert_eq!(hits(&counters), [(Counter::MaxConnectionsPerIp, hit)]);
}

/// The other end closes, and says nothing.
async fn is_closed(io: &mut TcpStream) -> bool {
    let read = timeout(PATIENCE, io.peek(&mut [0; 1])).await;
    matches!(read.expect("an answer in time"), Ok(0) | Err(_))
}

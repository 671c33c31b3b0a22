//! A server at fault, or its client: what a row needs on either side, with the canaries around it.
//!
//! ```text
//!   a connection of its own    the canary, which calls all the time
//!   the faulty connection      the neighbour, a call that is open before the fault and ends well after it
//!                              the call at fault
//! ```

use std::net::SocketAddr;
use std::sync::Arc;

use barewire::wire::framing::{RawMessage, encode_message};
use barewire::{
    Channel, ChannelConfig, Counter, Counters, Inbound, MethodPath, Outbound, Response, Server,
    ServerConfig, Service, Status,
};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::canary::Canary;
use crate::raw_server::{
    Heard, Line, RawServer, bidi, headers, message, path, read_all, trailers_ok, unary, window,
    within,
};
use crate::support::{
    ACK, Answer, Call, Client, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PATIENCE,
    PING, PREFACE, Probe, RST_STREAM, RawPeer, Seen, connect, encoded, frame, piped_server,
    request_block,
};
use crate::tokio;

/// A server with the probe on a real socket, and a canary that calls it.
pub struct Scene {
    pub address: SocketAddr,
    pub counters: Counters,
    pub seen: Arc<Seen>,
    canary: Canary,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(ServerConfig::default()).await
    }

    pub async fn with(config: ServerConfig) -> Self {
        let probe = Probe::default();
        let seen = Arc::clone(&probe.seen);
        Self::of(Server::new().with_config(config).add(probe), seen).await
    }

    /// One whose service is named as the probe, and is it but for methods of its own.
    pub async fn serving(service: impl Service, seen: Arc<Seen>) -> Self {
        Self::of(Server::new().add(service), seen).await
    }

    /// A server whose service is the probe, with whatever else.
    pub async fn of(server: Server, seen: Arc<Seen>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let counters = server.counters();
        tokio::spawn(server.serve(listener));
        let config = ChannelConfig {
            authority: Some(CANARY.to_owned()),
            ..ChannelConfig::default()
        };
        let channel = Channel::with_config(&format!("http://{address}"), config).unwrap();
        Self {
            address,
            counters,
            seen,
            canary: Canary::start(channel, method(CANARY_METHOD)).await,
        }
    }

    /// A client that writes its frames by hand, with a neighbour.
    pub async fn raw(&self) -> RawCaller {
        RawCaller::begin(connect(self.address).await).await
    }

    /// A client on bare h2, with a neighbour.
    pub async fn client(&self) -> (Client, Neighbour) {
        let client = Client::tcp(self.address).await;
        let neighbour = Neighbour::begin(&client).await;
        (client, neighbour)
    }

    /// The canary is well, and no handler is left behind.
    pub async fn ends_well(self) {
        self.canary.ends_well().await;
        self.seen
            .wait_for("no handler is left", |seen| seen.running() == 0)
            .await;
    }
}

/// What the canary calls the server. It is told so by the method that it calls, and that no other test
/// does.
const CANARY: &str = "canary.test";
pub const CANARY_METHOD: &str = "Authority";

/// Waits until something was counted so often. A peer may know of the end of a connection before that.
pub async fn counted(counters: &Counters, counter: Counter, times: u64) {
    let counts = async {
        while counters.of(counter) < times {
            tokio::task::yield_now().await;
        }
    };
    let in_time = timeout(PATIENCE, counts).await;
    assert!(in_time.is_ok(), "{counter}: {} times", counters.of(counter));
    assert_eq!(counters.of(counter), times, "{counter}");
}

/// A method of the probe.
pub fn method(name: &str) -> MethodPath {
    let path = format!("/test.Probe/{name}").try_into();
    MethodPath::parse(path.unwrap()).unwrap()
}

pub fn channel_to(address: SocketAddr) -> Channel {
    Channel::with_config(&format!("http://{address}"), ChannelConfig::default()).unwrap()
}

/// A chat of a client on bare h2, before a fault and after it.
pub struct Neighbour {
    call: h2::SendStream<Bytes>,
    body: h2::RecvStream,
}

impl Neighbour {
    pub async fn begin(client: &Client) -> Self {
        let mut call = client.start("Chat", &[]).await;
        call.send_message("before").await;
        let body = call.response.await.unwrap().into_body();
        let mut neighbour = Self {
            call: call.send,
            body,
        };
        assert_eq!(neighbour.hears().await, encoded("before"));
        neighbour
    }

    async fn hears(&mut self) -> Bytes {
        let chunk = self.body.data().await.unwrap().unwrap();
        self.body
            .flow_control()
            .release_capacity(chunk.len())
            .unwrap();
        chunk
    }

    /// The call goes on on the same connection, and ends OK.
    pub async fn ends_well(mut self) {
        self.call.send_data(encoded("after"), true).unwrap();
        assert_eq!(self.hears().await, encoded("after"));
        assert!(self.body.data().await.is_none());
        let trailers = self.body.trailers().await.unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
    }
}

/// A client that writes its frames by hand, and a neighbour on stream 1.
///
/// What the server answers is shown to a client on bare h2, which has opened the same streams and so
/// understands it.
pub struct RawCaller {
    peer: RawPeer<TcpStream>,
    shadow: Client,
    shown: RawPeer<DuplexStream>,
    calls: Vec<Option<Call>>,
}

impl RawCaller {
    async fn begin(io: TcpStream) -> Self {
        let (far, mut shown) = tokio::io::duplex(1024 * 1024);
        let mut builder = h2::client::Builder::new();
        builder.initial_connection_window_size(WINDOW);
        let shadow = Client::with(far, &mut builder).await;
        shown.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
        let mut caller = Self {
            peer: RawPeer::begin(io).await,
            shadow,
            shown: RawPeer::silent(shown),
            calls: Vec::new(),
        };
        caller
            .say(&[
                window(0, WINDOW),
                request(1, &request_block("Chat")),
                frame(DATA, 0, 1, &encoded("before")),
            ])
            .await;
        caller.neighbour_hears("before").await;
        caller
    }

    pub async fn say(&mut self, frames: &[Vec<u8>]) {
        self.peer.write(&frames.concat()).await;
    }

    /// The next frame of the server.
    async fn frame(&mut self) -> Option<Frame> {
        let next = self.peer.frame().await?;
        if (next.kind, next.flags) != (PING, ACK) {
            let Frame {
                kind,
                flags,
                stream,
                payload,
            } = &next;
            let bytes = frame(*kind, *flags, *stream, payload);
            self.shown.write(&bytes).await;
        }
        Some(next)
    }

    async fn neighbour_hears(&mut self, text: &str) {
        self.open(1).await;
        loop {
            let frame = self.frame().await.expect("the neighbour's answer");
            if frame.stream == 1 && frame.kind == DATA {
                assert_eq!(frame.payload, encoded(text));
                return;
            }
        }
    }

    // The shadow has opened all streams up to this one, and said so.
    async fn open(&mut self, stream: u32) {
        while self.calls.len() <= index(stream) {
            self.calls.push(Some(self.shadow.start("Echo", &[]).await));
            self.shown.frame_of(HEADERS).await.unwrap();
        }
    }

    /// How the server ends this stream. None of its frames was read before.
    pub async fn answer(&mut self, stream: u32) -> Answer {
        self.open(stream).await;
        loop {
            let frame = self.frame().await.expect("the end of the stream");
            assert_ne!(frame.kind, GOAWAY, "{:?}", frame.payload.escape_ascii());
            let ends = frame.kind == RST_STREAM || frame.flags & END_STREAM != 0;
            if frame.stream == stream && matches!(frame.kind, HEADERS | DATA | RST_STREAM) && ends {
                break;
            }
        }
        let call = self.calls[index(stream)].take().expect("asked for once");
        call.answer().await
    }

    /// What the server says on this stream until it has answered a PING, which follows all that it has
    /// said by then.
    pub async fn said_on(&mut self, stream: u32) -> Vec<Frame> {
        self.open(stream).await;
        self.say(&[frame(PING, 0, 0, b"and then")]).await;
        let mut said = Vec::new();
        loop {
            let frame = self.frame().await.expect("the answer to a PING");
            if (frame.kind, frame.flags) == (PING, ACK) {
                return said;
            }
            if frame.stream == stream {
                said.push(frame);
            }
        }
    }

    /// The neighbour goes on on the same connection, and ends OK.
    pub async fn ends_well(mut self) {
        self.say(&[frame(DATA, END_STREAM, 1, &encoded("after"))])
            .await;
        self.neighbour_hears("after").await;
        let answer = self.answer(1).await;
        assert_eq!(answer.messages, ["before", "after"]);
        assert_eq!(answer.code(), Some("0"));
    }

    /// The connection ends with GOAWAY of this code and text.
    pub async fn last_words(mut self) -> (u32, String) {
        self.peer.last_goaway().await.expect("GOAWAY")
    }

    /// The socket, for the test to end the connection as it likes.
    pub fn into_socket(self) -> TcpStream {
        self.peer.io
    }
}

/// What a connection may be sent: more than all streams but one take together.
const WINDOW: u32 = 16 * 1024 * 1024;

fn index(stream: u32) -> usize {
    usize::try_from(stream / 2).unwrap()
}

/// The headers of a request whose messages follow.
pub fn request(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, block)
}

/// A message with any flag and any body, and a length that is right.
pub fn flagged(flag: u8, body: &[u8]) -> Vec<u8> {
    let plain = encode_message(&RawMessage {
        compressed: false,
        body: Bytes::copy_from_slice(body),
    });
    let mut bytes = plain.unwrap().to_vec();
    bytes[0] = flag;
    bytes
}

/// A channel to a server that writes its frames by hand, with a neighbour on stream 1, and a canary on
/// another channel. Under paused time.
pub struct Stage {
    pub line: Line,
    pub server: RawServer,
    neighbour: (Outbound<String>, Inbound<String>),
    canary: Canary,
}

impl Stage {
    pub async fn new() -> Self {
        Self::with(ChannelConfig {
            max_connections_per_address: 1,
            ..ChannelConfig::default()
        })
        .await
    }

    pub async fn with(config: ChannelConfig) -> Self {
        let channel = Channel::over(piped_server(Probe::default(), ServerConfig::default()));
        let canary = Canary::start(channel, method("Echo")).await;
        let mut line = Line::with(config);
        let channel = line.channel.clone();
        let ((outbound, mut inbound), server) = tokio::join!(bidi(&channel, ()), async {
            let mut server = line.accept().await;
            assert_eq!(server.request().await.stream, 1);
            let before = [headers(1), message(1, "before")].concat();
            server.write(&before).await;
            server
        });
        assert_eq!(
            within(inbound.next()).await.unwrap().as_deref(),
            Some("before")
        );
        Self {
            line,
            server,
            neighbour: (outbound, inbound),
            canary,
        }
    }

    /// How a call ends when the server does this with its stream.
    pub async fn unary(
        &mut self,
        script: impl AsyncFnOnce(&mut RawServer, u32),
    ) -> Result<Response<String>, Status> {
        let channel = self.line.channel.clone();
        let server = &mut self.server;
        let (answer, ()) = tokio::join!(unary(&channel, "ask".to_owned()), async {
            let stream = server.request().await.stream;
            script(server, stream).await;
        });
        answer
    }

    /// What a call for a stream of answers hears when the server does this with its stream.
    pub async fn heard(&mut self, script: impl AsyncFnOnce(&mut RawServer, u32)) -> Heard {
        let channel = self.line.channel.clone();
        let server = &mut self.server;
        let client = async {
            let call = channel.server_streaming(path(), "ask".to_owned());
            read_all(&mut within(call).await.unwrap()).await
        };
        let (heard, ()) = tokio::join!(client, async {
            let stream = server.request().await.stream;
            script(server, stream).await;
        });
        heard
    }

    /// The canary is well; the neighbour goes on on the same connection, which is the only one, and ends
    /// OK.
    pub async fn ends_well(mut self) {
        assert!(!self.line.has_dialled(), "another connection was begun");
        self.neighbour_ends_well().await;
        self.canary.ends_well().await;
    }

    pub async fn neighbour_ends_well(&mut self) {
        let (outbound, inbound) = &mut self.neighbour;
        within(outbound.send("after".to_owned())).await.unwrap();
        outbound.finish().unwrap();
        assert_eq!(self.server.messages_of(1, 1).await, ["after"]);
        let rest = [message(1, "after"), trailers_ok(1)].concat();
        self.server.write(&rest).await;
        let heard = read_all(inbound).await;
        assert_eq!(heard.messages, ["after"]);
        heard.end.unwrap();
    }

    /// The connection is gone, and the neighbour with it; the canary does not notice.
    pub async fn ends_without_its_connection(mut self) -> Status {
        let status = read_all(&mut self.neighbour.1).await.end.unwrap_err();
        self.canary.ends_well().await;
        status
    }
}

/// Has the panics of the probe's handlers, which are meant, leave no trace on standard error.
pub fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let text = panic.payload().downcast_ref::<&str>();
            if !text.is_some_and(|text| text.starts_with("the secret of")) {
                others(panic);
            }
        }));
    });
}

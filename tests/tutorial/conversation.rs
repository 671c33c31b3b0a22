//! A call in typed messages, said and heard one by one, on a client of bare h2.

use std::time::Duration;

use barewire::tutorial::{RouteDatabase, TutorialOptions, add_all};
use barewire::wire::framing::{Deframer, RawMessage, encode_message};
use barewire::{Code, Server};
use bytes::Bytes;
use prost::Message;

use crate::support::Client;
use crate::tokio;

/// The database of the tests: few places, of which two have no name and two share a point.
pub const PLACES: &str = r#"[
    {"location": {"latitude": 10, "longitude": 10}, "name": "south-west"},
    {"location": {"latitude": 30, "longitude": 30}, "name": "north-east"},
    {"location": {"latitude": 20, "longitude": 20}, "name": ""},
    {"location": {"latitude": 20, "longitude": 21}, "name": "middle"},
    {"location": {"latitude": 20, "longitude": 21}, "name": "in the shade of middle"},
    {"location": {"latitude": -5, "longitude": 5}, "name": ""}
]"#;

/// A client of the tutorials' services.
pub async fn client() -> Client {
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    tokio::spawn(server().serve_io(theirs));
    Client::over(ours).await
}

/// The tutorials' services with the places above, and tasks every 40 seconds.
pub fn server() -> Server {
    let options = TutorialOptions {
        route_database: RouteDatabase::parse(PLACES.as_bytes()).unwrap(),
        task_interval: Duration::from_secs(40),
    };
    add_all(Server::new(), options)
}

/// How a call ended: its code, `None` for OK, and its text.
pub type Ended = (Option<Code>, String);

pub const OK: Ended = (None, String::new());

/// One call.
pub struct Conversation {
    send: h2::SendStream<Bytes>,
    response: Option<h2::client::ResponseFuture>,
    body: Option<h2::RecvStream>,
    /// Of Response-Headers that were all there was.
    trailers_only: Option<http::HeaderMap>,
    deframer: Deframer,
}

impl Conversation {
    pub async fn open(client: &Client, path: &str) -> Self {
        let request = http::Request::post(format!("http://localhost{path}"))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let call = client.send_request(request, false).await;
        Self {
            send: call.send,
            response: Some(call.response),
            body: None,
            trailers_only: None,
            deframer: Deframer::new(usize::MAX),
        }
    }

    /// Sends a message.
    pub fn say(&mut self, message: &impl Message) {
        let body = message.encode_to_vec().into();
        let raw = RawMessage {
            compressed: false,
            body,
        };
        let bytes = encode_message(&raw).unwrap();
        self.send.send_data(bytes, false).unwrap();
    }

    /// Sends END_STREAM.
    pub fn end(&mut self) {
        self.send.send_data(Bytes::new(), true).unwrap();
    }

    /// The next message of the server; `None` when there are no more.
    pub async fn hear<M: Message + Default>(&mut self) -> Option<M> {
        loop {
            if let Some(message) = self.deframer.next_message().unwrap() {
                return Some(M::decode(message.body).unwrap());
            }
            let body = self.body().await;
            let chunk = body.data().await?.unwrap();
            body.flow_control().release_capacity(chunk.len()).unwrap();
            self.deframer.push(chunk);
        }
    }

    /// The next so many messages.
    pub async fn hear_many<M: Message + Default>(&mut self, count: usize) -> Vec<M> {
        let mut messages = Vec::new();
        while messages.len() < count {
            messages.push(self.hear().await.expect("one more message"));
        }
        messages
    }

    /// All messages, and how the call ended.
    pub async fn hear_all<M: Message + Default>(mut self) -> (Vec<M>, Ended) {
        let mut messages = Vec::new();
        while let Some(message) = self.hear().await {
            messages.push(message);
        }
        (messages, self.ended().await)
    }

    /// How the call ended, once all messages were heard.
    pub async fn ended(&mut self) -> Ended {
        let trailers = match self.trailers_only.take() {
            Some(headers) => headers,
            None => self.body().await.trailers().await.unwrap().unwrap(),
        };
        let number = trailers["grpc-status"].to_str().unwrap();
        let code = Code::from_number(number.parse().unwrap());
        let text = trailers.get("grpc-message").map(|text| text.to_str());
        (code, text.map_or("", Result::unwrap).to_owned())
    }

    async fn body(&mut self) -> &mut h2::RecvStream {
        if let Some(response) = self.response.take() {
            let (head, body) = response.await.unwrap().into_parts();
            self.trailers_only = body.is_end_stream().then_some(head.headers);
            self.body = Some(body);
        }
        self.body.as_mut().unwrap()
    }
}

/// A whole call: these messages, and then the end of the request.
pub async fn call<M: Message + Default>(
    client: &Client,
    path: &str,
    messages: &[impl Message],
) -> (Vec<M>, Ended) {
    let mut conversation = Conversation::open(client, path).await;
    for message in messages {
        conversation.say(message);
    }
    conversation.end();
    conversation.hear_all().await
}

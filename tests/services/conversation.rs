//! One call, message by message.

use barewire::Server;
use barewire::wire::framing::{Deframer, RawMessage, encode_message};
use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::HeaderMap;
use prost::Message;
use tokio::time::timeout;

use crate::support::{Client, PATIENCE};
use crate::tokio;

/// A client of `server`, on a pipe.
pub async fn client_of(server: Server) -> Client {
    let (ours, theirs) = tokio::io::duplex(1024 * 1024);
    tokio::spawn(server.serve_io(theirs));
    Client::over(ours).await
}

/// How a call ended.
#[derive(Debug, PartialEq)]
pub struct End {
    pub code: u8,
    pub text: String,
}

pub struct Conversation {
    send: SendStream<Bytes>,
    response: Option<ResponseFuture>,
    headers: HeaderMap,
    body: Option<RecvStream>,
    deframer: Deframer,
}

impl Conversation {
    pub async fn start(client: &Client, path: &str) -> Self {
        let request = http::Request::post(format!("http://localhost{path}"))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .body(())
            .unwrap();
        let call = client.send_request(request, false).await;
        Self {
            send: call.send,
            response: Some(call.response),
            headers: HeaderMap::new(),
            body: None,
            deframer: Deframer::new(usize::MAX),
        }
    }

    /// Sends a message. Those of these tests fit into any window.
    pub fn say(&mut self, message: &impl Message) {
        self.say_bytes(&message.encode_to_vec());
    }

    pub fn say_bytes(&mut self, message: &[u8]) {
        let message = RawMessage {
            compressed: false,
            body: Bytes::copy_from_slice(message),
        };
        let bytes = encode_message(&message).unwrap();
        self.send.send_data(bytes, false).unwrap();
    }

    /// Ends the request.
    pub fn say_no_more(&mut self) {
        self.send.send_data(Bytes::new(), true).unwrap();
    }

    /// The next message; `None` at the end of the messages.
    pub async fn hear<M: Message + Default>(&mut self) -> Option<M> {
        let bytes = self.hear_bytes().await?;
        Some(M::decode(bytes).unwrap())
    }

    pub async fn hear_bytes(&mut self) -> Option<Bytes> {
        let next = timeout(PATIENCE, self.next_message());
        next.await.expect("a message, or the end, in time")
    }

    async fn next_message(&mut self) -> Option<Bytes> {
        if let Some(response) = self.response.take() {
            let (head, body) = response.await.unwrap().into_parts();
            assert_eq!(head.status, 200);
            self.headers = head.headers;
            self.body = Some(body);
        }
        let body = self.body.as_mut().unwrap();
        loop {
            if let Some(message) = self.deframer.next_message().unwrap() {
                assert!(!message.compressed);
                return Some(message.body);
            }
            let chunk = body.data().await?.unwrap();
            body.flow_control().release_capacity(chunk.len()).unwrap();
            self.deframer.push(chunk);
        }
    }

    /// The status, when no message comes before it.
    pub async fn end(mut self) -> End {
        let unexpected = self.hear_bytes().await;
        assert_eq!(unexpected, None, "there should be no more messages");
        let body = self.body.as_mut().unwrap();
        let trailers = timeout(PATIENCE, body.trailers()).await;
        let trailers = trailers.expect("trailers in time").unwrap();
        let fields = trailers.unwrap_or(self.headers);
        let field = |name| fields.get(name).map_or("", |value| value.to_str().unwrap());
        End {
            code: field("grpc-status").parse().unwrap(),
            text: field("grpc-message").to_owned(),
        }
    }
}

/// A whole call of one message each way.
pub async fn ask<M: Message + Default>(
    client: &Client,
    path: &str,
    question: &impl Message,
) -> Result<M, End> {
    let mut call = Conversation::start(client, path).await;
    call.say(question);
    call.say_no_more();
    let answer = call.hear().await;
    let end = call.end().await;
    match answer {
        Some(answer) if end.code == 0 => Ok(answer),
        _ => Err(end),
    }
}

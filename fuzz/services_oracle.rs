//! What must hold for the services that servers are expected to have, whatever they are asked. It needs
//! the features `client`, `health` and `reflection`; `tests/client/corpus.rs` replays its corpus.

#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

use std::sync::LazyLock;
use std::time::Duration;

use barewire::services::{Health, HealthCheckRequest, HealthClient, Reflection, ServingStatus};
use barewire::{Channel, Code, MethodPath, Request, Server};
use bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};

use crate::virtual_time::play;

/// Input: a byte that chooses the method, then the messages of the request, each behind a byte with its
/// length.
///
/// Nothing panics; the call ends by its deadline, with a code that these services have; reflection answers
/// every question that it understands; and the next call is served.
pub fn services(data: &[u8]) {
    let Some((choice, mut rest)) = data.split_first() else {
        return;
    };
    let (path, codes) = METHODS[usize::from(*choice) % METHODS.len()];
    let mut messages = Vec::new();
    while let Some((length, after)) = rest.split_first() {
        let (message, after) = after.split_at(usize::from(*length).min(after.len()));
        messages.push(Raw(message.to_vec()));
        rest = after;
    }
    play(async {
        let (near, far) = tokio::io::duplex(16 * 1024);
        let [v1, v1alpha] = REFLECTION.clone();
        let server = Server::new().add(Health::new()).add(v1).add(v1alpha);
        let server = tokio::spawn(server.serve_io(far));
        let channel = Channel::over(near);

        let asked = messages.len();
        let request = Request::new(()).with_timeout(Duration::from_secs(5));
        let call = channel.bidi(MethodPath::from_static(path), request).await;
        let (mut requests, mut replies) = call.unwrap();
        let sending = tokio::spawn(async move {
            for message in messages {
                if requests.send(message).await.is_err() {
                    return;
                }
            }
            let _ = requests.finish();
        });
        let mut answered = 0;
        let code = loop {
            match replies.next().await {
                Ok(Some(Raw(_))) => answered += 1,
                Ok(None) => break None,
                Err(status) => break Some(status.code),
            }
        };
        drop(replies);
        sending.await.unwrap();
        match code {
            None if path.contains("Reflection") => assert_eq!(answered, asked),
            None => assert!(answered == 1 && asked == 1),
            Some(code) => assert!(codes.contains(&code), "{code}"),
        }
        assert!(answered <= asked);

        let health = HealthClient::new(channel);
        let answer = health.check(HealthCheckRequest::default()).await.unwrap();
        assert_eq!(answer.message.status(), ServingStatus::Serving);
        drop(health);
        server.await.unwrap().unwrap();
    });
}

/// Made once: descriptors take a while to be read.
static REFLECTION: LazyLock<[Reflection; 2]> =
    LazyLock::new(|| Reflection::of(&Server::new().add(Health::new())));

/// The methods, and how calls of them may end badly: a request that is no such message, none or several
/// of them where one is due, a question that there is no answer to, a stream without end.
const METHODS: [(&str, &[Code]); 5] = {
    use Code::{DeadlineExceeded, Internal, InvalidArgument, NotFound, Unimplemented};
    [
        (
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            &[Internal, InvalidArgument],
        ),
        (
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            &[Internal, InvalidArgument],
        ),
        (
            "/grpc.health.v1.Health/Check",
            &[Internal, NotFound, Unimplemented],
        ),
        (
            "/grpc.health.v1.Health/Watch",
            &[Internal, DeadlineExceeded, Unimplemented],
        ),
        ("/grpc.health.v1.Health/List", &[Internal, Unimplemented]),
    ]
};

/// A message of any type, as it travels.
#[derive(Clone, Debug, Default, PartialEq)]
struct Raw(Vec<u8>);

impl Message for Raw {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(&self.0);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::skip_field(wire_type, tag, buffer, context)
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

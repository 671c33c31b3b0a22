//! Calls of the service of these tests, and what each must come to.

use std::time::Duration;

use barewire::{Channel, ChannelConfig, ClientTls, Code, MethodPath, Request, Status};
use bytes::Bytes;

use crate::identity::Identity;
use crate::numbered::{Wrong, check, seal};
use crate::process::Backend;
use crate::server::code_of;

pub const ECHO: &str = "/test.Endurance/Echo";
pub const CHAT: &str = "/test.Endurance/Chat";
pub const HOLD: &str = "/test.Endurance/Hold";
const MANY: &str = "/test.Endurance/Many";
const SUM: &str = "/test.Endurance/Sum";
const BEGIN: &str = "/test.Endurance/Begin";
const NEVER: &str = "/test.Endurance/Never";
const FAIL: &str = "/test.Endurance/Fail";

/// A clear text channel to `server`.
pub fn channel(server: &Backend) -> Channel {
    Channel::lazy(&format!("http://{}", server.address)).unwrap()
}

/// A server with TLS, and what its clients need.
pub fn start_tls(name: &str) -> (Backend, ClientTls) {
    let identity = Identity::new(name);
    let certificate = format!("cert={}", identity.certificate.display());
    let key = format!("key={}", identity.key.display());
    let server = Backend::start(&[&certificate, &key]);
    let root = std::fs::read(&identity.certificate).unwrap();
    let tls = ClientTls::with_roots(&root)
        .and_then(|tls| tls.server_name("localhost"))
        .unwrap();
    (server, tls)
}

pub fn tls_channel(server: &Backend, tls: &ClientTls) -> Channel {
    let config = ChannelConfig {
        tls: Some(tls.clone()),
        ..ChannelConfig::default()
    };
    Channel::with_config(&format!("https://{}", server.address), config).unwrap()
}

/// A call that is answered by its request.
pub async fn echo(channel: &Channel, path: &'static str, number: u64) -> Result<(), String> {
    let filler = usize::from(number.to_be_bytes()[7]);
    let response =
        channel.unary::<Bytes, Bytes>(MethodPath::from_static(path), seal(number, filler));
    let response = response.await.map_err(|status| status.to_string())?;
    right(check(&response.message, number, filler))
}

fn right(outcome: Result<(), Wrong>) -> Result<(), String> {
    outcome.map_err(|wrong| format!("the answer is {wrong:?}"))
}

/// One kind of call of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Unary,
    ServerStreaming,
    ClientStreaming,
    Bidi,
    /// Ends with the status that its number says.
    Fails,
    /// Cancelled after the first message of the answer.
    CancelledLate,
    /// Cancelled when it has begun to leave.
    CancelledEarly,
    /// Ends by its deadline.
    Overdue,
}

impl Kind {
    /// The kind that a call of this number has in a mixture.
    pub fn of(number: u64) -> Self {
        match number % 20 {
            0..8 => Self::Unary,
            8..11 => Self::ServerStreaming,
            11..13 => Self::ClientStreaming,
            13..16 => Self::Bidi,
            16 | 17 => Self::Fails,
            18 => Self::CancelledLate,
            _ if number % 40 == 19 => Self::CancelledEarly,
            _ => Self::Overdue,
        }
    }

    /// The method that is called. Whether a handler sees the call of the last one, nobody knows.
    pub fn method(self) -> &'static str {
        match self {
            Self::Unary => "Echo",
            Self::ServerStreaming => "Many",
            Self::ClientStreaming => "Sum",
            Self::Bidi => "Chat",
            Self::Fails => "Fail",
            Self::CancelledLate => "Begin",
            Self::CancelledEarly | Self::Overdue => "Never",
        }
    }

    /// Makes a call, and says what was wrong with how it went.
    pub async fn call(self, channel: &Channel, number: u64) -> Result<(), String> {
        let outcome = self.try_call(channel, number).await;
        outcome.map_err(|why| format!("{self:?} {number}: {why}"))
    }

    async fn try_call(self, channel: &Channel, number: u64) -> Result<(), String> {
        let text = |status: Status| status.to_string();
        let filler = usize::from(number.to_be_bytes()[7]);
        let message = seal(number, filler);
        match self {
            Self::Unary => echo(channel, ECHO, number).await,
            Self::ServerStreaming => {
                let replies = channel
                    .server_streaming::<_, Bytes>(MethodPath::from_static(MANY), message)
                    .await;
                let mut replies = replies.map_err(text)?;
                let mut count = 0;
                while let Some(reply) = replies.next().await.map_err(text)? {
                    right(check(&reply, number, filler))?;
                    count += 1;
                }
                equal(count, number % 10)
            }
            Self::ClientStreaming => {
                let call = channel
                    .client_streaming::<_, Bytes>(MethodPath::from_static(SUM), ())
                    .await;
                let (mut requests, summary) = call.map_err(text)?;
                let more = number % 5;
                for _ in 0..=more {
                    requests.send(message.clone()).await.map_err(text)?;
                }
                requests.finish().map_err(text)?;
                let summary = summary.single().await.map_err(text)?;
                right(check(&summary.message, more, 0))
            }
            Self::Bidi => {
                let call = channel
                    .bidi::<_, Bytes>(MethodPath::from_static(CHAT), ())
                    .await;
                let (mut requests, mut replies) = call.map_err(text)?;
                for _ in 0..=number % 4 {
                    requests.send(message.clone()).await.map_err(text)?;
                    let reply = replies.next().await.map_err(text)?;
                    right(check(&reply.unwrap_or_default(), number, filler))?;
                }
                requests.finish().map_err(text)?;
                equal(replies.next().await.map_err(text)?, None)
            }
            Self::Fails => {
                let response = channel
                    .unary::<Bytes, Bytes>(MethodPath::from_static(FAIL), message)
                    .await;
                let status = response.err().ok_or("it did not fail")?;
                equal(
                    (status.code, &*status.message),
                    (code_of(number), &*number.to_string()),
                )
            }
            Self::CancelledLate => {
                let replies = channel
                    .server_streaming::<_, Bytes>(MethodPath::from_static(BEGIN), message)
                    .await;
                let mut replies = replies.map_err(text)?;
                let reply = replies.next().await.map_err(text)?;
                right(check(&reply.unwrap_or_default(), number, filler))
            }
            Self::CancelledEarly => {
                let replies = channel
                    .server_streaming::<_, Bytes>(MethodPath::from_static(NEVER), message)
                    .await;
                replies.map(drop).map_err(text)
            }
            Self::Overdue => {
                let request = Request::new(message).with_timeout(Duration::from_millis(20));
                let response = channel
                    .unary::<Bytes, Bytes>(MethodPath::from_static(NEVER), request)
                    .await;
                let status = response.err().ok_or("it did not fail")?;
                equal(status.code, Code::DeadlineExceeded)
            }
        }
    }
}

fn equal<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Result<(), String> {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{found:?} came, not {expected:?}"))
    }
}

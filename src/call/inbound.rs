//! Messages coming in.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::Response;
use super::long_work::{LONG, Turn, Work};
use super::message::{decode_message, decompress_message};
use crate::wire::compression::most_decompressed;
use crate::wire::{Encoding, Metadata, RawMessage, Status, WireError};

#[cfg(feature = "server")]
use super::requests::Requests;

/// The messages that the other side sends, in order.
///
/// On a client it also has what came around them: the server's [headers](Self::headers) and its
/// [trailers](Self::trailers). To drop it before the end cancels the call.
pub struct Inbound<M> {
    source: Source,
    message_limit: usize,
    /// Of the message that was given out last.
    compressed: bool,
    /// A message that waits for its turn, which may be given up and asked for again.
    waiting: Option<RawMessage>,
    messages: PhantomData<fn() -> M>,
}

/// Where messages come from.
pub(super) enum Source {
    /// A client's request.
    #[cfg(feature = "server")]
    Requests(Requests),
    /// A server's response.
    #[cfg(feature = "client")]
    Responses(Box<dyn Responses>),
}

/// A server's response, as a client's call reads it.
#[cfg(feature = "client")]
pub(crate) trait Responses: Send {
    /// Ready when Response-Headers have come, or the response has ended without any.
    ///
    /// # Errors
    ///
    /// The call's status, if it ended badly before.
    fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>>;

    /// The next message; `None` when the call has ended well.
    ///
    /// # Errors
    ///
    /// The call's status, if it ended badly. From then on, always the same.
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawMessage>, Status>>;

    /// Exactly one message is due: a response without any is a failure, whatever its status says.
    fn expect_one(&mut self);

    /// How the server compresses.
    fn encoding(&self) -> Encoding;

    /// Initial metadata, once it has come.
    fn headers(&self) -> &Metadata;

    /// Trailing metadata of a call that has ended well.
    fn trailers(&self) -> Option<&Metadata>;

    /// Initial and trailing metadata, to be given away at the end.
    fn take_metadata(&mut self) -> (Metadata, Metadata);

    /// What came broke this rule: counted if it is a limit.
    fn count(&self, error: &WireError);

    /// The response breaks a rule that only its reader sees: the call ends with this.
    fn fail(&mut self, status: Status);
}

impl<M: prost::Message + Default> Inbound<M> {
    pub(super) fn of(source: Source, message_limit: usize) -> Self {
        Self {
            source,
            message_limit,
            compressed: false,
            waiting: None,
            messages: PhantomData,
        }
    }

    /// The messages of a response, each up to `message_limit` bytes long when decompressed.
    #[cfg(feature = "client")]
    pub(crate) fn of_response(responses: Box<dyn Responses>, message_limit: usize) -> Self {
        Self::of(Source::Responses(responses), message_limit)
    }

    /// The next message; `None` when the other side has said all it will say. On a client that means
    /// that the call ended with OK.
    ///
    /// # Errors
    ///
    /// - RESOURCE_EXHAUSTED: the message is larger than the limit, as sent or decompressed; or the
    ///   messages of all calls together take too much memory.
    /// - INTERNAL: the message is cut, badly framed, badly compressed, or no such message.
    /// - On a server, CANCELLED: the client gave up, or the connection is lost.
    /// - On a client, the status with which the call ended.
    ///
    /// # Cancel safety
    ///
    /// Safe. A message of which a part has come stays buffered, and the next call goes on with it; so
    /// does one that waits to be decoded.
    pub async fn next(&mut self) -> Result<Option<M>, Status> {
        let raw = match self.waiting.take() {
            Some(raw) => raw,
            None => {
                self.source.forget_last();
                match poll_fn(|cx| self.source.poll_message(cx)).await? {
                    Some(raw) => raw,
                    None => return Ok(None),
                }
            }
        };
        self.compressed = raw.compressed;
        let decoded = if raw.compressed || raw.body.len() >= LONG {
            // Boxed: a stream that waits for messages should not keep the room.
            Box::pin(self.decode_sorted(raw)).await
        } else {
            self.decode(raw.body)
        };
        match decoded {
            Ok(message) => Ok(Some(message)),
            Err(status) => {
                self.source.fail(&status);
                Err(status)
            }
        }
    }

    /// Whether the message that was given out last came compressed. Headers name a coding for a whole
    /// stream, and each message says for itself whether it uses it. gRPC-Compression.
    pub fn came_compressed(&self) -> bool {
        self.compressed
    }

    /// The only message, where exactly one is due, with what came around it.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next), and UNIMPLEMENTED if none came, or more than one. gRPC-Codes. What came
    /// around the failure is in [`Status::headers`] and [`Status::metadata`].
    ///
    /// # Cancel safety
    ///
    /// Dropping it before the end cancels the call.
    pub async fn single(mut self) -> Result<Response<M>, Status> {
        self.source.expect_one();
        let outcome = self.only().await;
        let encoding = Some(self.source.encoding());
        let (metadata, trailers) = self.source.take_metadata();
        match outcome {
            Ok(message) => Ok(Response {
                metadata,
                message,
                trailers,
                encoding,
            }),
            Err(status) => Err(Status {
                headers: metadata,
                ..status
            }),
        }
    }

    /// Initial metadata: what the server said before its first message. Waits for it. On a server
    /// there is none, since a client says all of it in the [`Request`](super::Request).
    ///
    /// # Errors
    ///
    /// The status with which the call ended before.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn headers(&mut self) -> Result<&Metadata, Status> {
        poll_fn(|cx| self.source.poll_headers(cx)).await?;
        Ok(self.source.headers())
    }

    /// Trailing metadata, once [`next`](Self::next) has said that there are no more messages. Of a call
    /// that ended badly it is in [`Status::metadata`]. On a server there is none.
    pub fn trailers(&self) -> Option<&Metadata> {
        self.source.trailers()
    }

    pub(super) async fn only(&mut self) -> Result<M, Status> {
        let Some(message) = self.next().await? else {
            let status = Status::from(WireError::MissingMessage);
            self.source.fail(&status);
            return Err(status);
        };
        // The second message is not decoded: that there is one is the fault. On a client the call's
        // status may still follow, and an error outweighs the message.
        if poll_fn(|cx| self.source.poll_message(cx)).await?.is_some() {
            let status = Status::from(WireError::ExtraMessage);
            self.source.fail(&status);
            return Err(status);
        }
        Ok(message)
    }

    fn decode(&mut self, body: Bytes) -> Result<M, Status> {
        self.source.charge(&body)?;
        Ok(decode_message(body)?)
    }

    async fn decode_sorted(&mut self, raw: RawMessage) -> Result<M, Status> {
        match self.source.sort(raw, self.message_limit)? {
            Work::Short(body) => self.decode(body),
            Work::Long(raw) => self.decode_in_turn(raw).await,
        }
    }

    async fn decode_in_turn(&mut self, raw: RawMessage) -> Result<M, Status> {
        self.source.charge_bytes(raw.body.len())?;
        self.waiting = Some(raw);
        let _turn = self.source.turn().await;
        let Some(raw) = self.waiting.take() else {
            unreachable!("nobody else could take it meanwhile");
        };
        if raw.compressed {
            // Where there is no room for it, it is refused before the work is done.
            let most = most_decompressed(raw.body.len()).min(self.message_limit);
            self.source.charge_bytes(most)?;
        }
        let body = decompress_message(raw, self.source.encoding(), self.message_limit)
            .inspect_err(|error| self.source.count(error))?;
        self.decode(body)
    }
}

#[cfg(feature = "server")]
impl<M> Inbound<M> {
    pub(super) fn source(&mut self) -> &mut Source {
        &mut self.source
    }
}

#[cfg_attr(
    not(all(feature = "server", feature = "client")),
    allow(
        clippy::unnecessary_wraps,
        unused_variables,
        reason = "one of the two sides is left out"
    )
)]
impl Source {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawMessage>, Status>> {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(requests) => requests.poll_message(cx),
            #[cfg(feature = "client")]
            Self::Responses(responses) => responses.poll_message(cx),
        }
    }

    fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(_) => Poll::Ready(Ok(())),
            #[cfg(feature = "client")]
            Self::Responses(responses) => responses.poll_headers(cx),
        }
    }

    fn expect_one(&mut self) {
        match self {
            // Whoever reads a request sees for himself.
            #[cfg(feature = "server")]
            Self::Requests(_) => {}
            #[cfg(feature = "client")]
            Self::Responses(responses) => responses.expect_one(),
        }
    }

    fn encoding(&self) -> Encoding {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(requests) => requests.encoding(),
            #[cfg(feature = "client")]
            Self::Responses(responses) => responses.encoding(),
        }
    }

    fn headers(&self) -> &Metadata {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(_) => &NO_METADATA,
            #[cfg(feature = "client")]
            Self::Responses(responses) => responses.headers(),
        }
    }

    fn trailers(&self) -> Option<&Metadata> {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(_) => None,
            #[cfg(feature = "client")]
            Self::Responses(responses) => responses.trailers(),
        }
    }

    fn take_metadata(&mut self) -> (Metadata, Metadata) {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(_) => (Metadata::new(), Metadata::new()),
            #[cfg(feature = "client")]
            Self::Responses(responses) => responses.take_metadata(),
        }
    }

    /// The message that was given out last may be gone by now.
    fn forget_last(&mut self) {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(requests) => requests.forget_last(),
            #[cfg(feature = "client")]
            Self::Responses(_) => {}
        }
    }

    /// Says whether a message takes long to decode. A client decodes each where it stands: it chose its
    /// server.
    ///
    /// # Errors
    ///
    /// It cannot be decompressed, which is counted if that is for a limit.
    fn sort(&self, raw: RawMessage, limit: usize) -> Result<Work, WireError> {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(requests) => requests.sort(raw, limit),
            #[cfg(feature = "client")]
            Self::Responses(responses) => decompress_message(raw, responses.encoding(), limit)
                .map(Work::Short)
                .inspect_err(|error| responses.count(error)),
        }
    }

    /// Counts a message that waits for its turn, or is being decompressed.
    fn charge_bytes(&mut self, bytes: usize) -> Result<(), Status> {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(requests) => requests.charge_bytes(bytes),
            #[cfg(feature = "client")]
            Self::Responses(_) => Ok(()),
        }
    }

    /// Waits for the turn of a message that takes long to decode.
    async fn turn(&mut self) -> Option<Turn> {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(requests) => requests.turn().await,
            #[cfg(feature = "client")]
            Self::Responses(_) => None,
        }
    }

    /// Counts a message that is about to be decoded.
    fn charge(&mut self, body: &Bytes) -> Result<(), Status> {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(requests) => requests.charge(body),
            #[cfg(feature = "client")]
            Self::Responses(_) => Ok(()),
        }
    }

    /// What came broke this rule.
    fn count(&self, error: &WireError) {
        match self {
            #[cfg(feature = "server")]
            Self::Requests(requests) => requests.count(error),
            #[cfg(feature = "client")]
            Self::Responses(responses) => responses.count(error),
        }
    }

    fn fail(&mut self, status: &Status) {
        match self {
            // The handler is told, and decides.
            #[cfg(feature = "server")]
            Self::Requests(_) => {}
            #[cfg(feature = "client")]
            Self::Responses(responses) => responses.fail(status.clone()),
        }
    }
}

#[cfg(feature = "server")]
static NO_METADATA: Metadata = Metadata::new();

impl<M> fmt::Debug for Inbound<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").finish_non_exhaustive()
    }
}

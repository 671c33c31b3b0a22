//! Interceptor: two hooks at the two ends of a call, on either side.
//!
//! ```text
//!   before a ─▶ before b ─▶ the call, with all its messages ─▶ after b ─▶ after a
//! ```
//!
//! The hooks do not wrap the call, so there is no `next` to be called, and none to be forgotten: when a
//! call has ended, everyone is told. Who must wrap calls writes a service that holds a service.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Extensions;
use http::uri::Authority;
use tokio::time::Instant;
use tracing::Span;

use super::Deadline;
use crate::transport::peer::Peer;
use crate::wire::{Metadata, MethodPath, Status};

/// Sees every call of a [`Server`](crate::Server) or a [`Channel`](crate::Channel) when it begins, and
/// when it has ended.
///
/// [`before`](Self::before) may read and write what is said before the messages, wait for something,
/// open a span for the call, and refuse it. [`after`](Self::after) is told how the call ended, and how
/// much was said. Whatever the call is, one message or streams of them, both run once. A closure
/// `Fn(&CallRecord<'_>)` is an interceptor too, with that as its `after`.
///
/// What to say in `before` for `after`, or for a server's handler, is left in
/// [`CallStart::extensions`].
///
/// # Example: on a client
///
/// ```
/// use std::time::Duration;
///
/// use barewire::{CallStart, Deadline, Interceptor, Status};
///
/// /// No call without a deadline, and all of them on behalf of one tenant.
/// struct Polite {
///     tenant: String,
/// }
///
/// impl Interceptor for Polite {
///     async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
///         if call.deadline().is_none() {
///             call.shorten_deadline(Deadline::after(Duration::from_secs(10)));
///         }
///         call.metadata.insert("tenant", &self.tenant)
///     }
/// }
///
/// # fn make(channel: barewire::Channel) -> barewire::Channel {
/// channel.intercept(Polite { tenant: "blue".to_owned() })
/// # }
/// ```
///
/// # Example: on a server
///
/// ```
/// use barewire::{CallRecord, CallStart, Interceptor, Server, Status};
///
/// /// Who calls, for handlers to find in `request.extensions`.
/// #[derive(Clone)]
/// struct User(String);
///
/// struct Gate;
///
/// impl Interceptor for Gate {
///     async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
///         let token = call.metadata.get("authorization").unwrap_or_default();
///         let user = look_up(token).await.ok_or_else(|| Status::unauthenticated("who are you?"))?;
///         call.extensions.insert(user);
///         Ok(())
///     }
///
///     fn after(&self, call: &CallRecord<'_>) {
///         let user = call.extensions.get().map_or("nobody", |User(name)| name);
///         println!("{} for {user}: {:?} in {:?}", call.path, call.outcome, call.duration);
///     }
/// }
///
/// # async fn look_up(token: &str) -> Option<User> { Some(User(token.to_owned())) }
/// let server = Server::new().intercept(Gate);
/// ```
pub trait Interceptor: Send + Sync + 'static {
    /// Runs before the call: on a client before anything is sent, and before a connection is looked
    /// for; on a server before the handler, and before a message of the request is looked at. The
    /// interceptors of a server or a channel are asked one after the other, in the order in which they
    /// were added.
    ///
    /// It runs within the call: its future is dropped when the call's deadline passes, when a client
    /// gives up, or when whoever made the call does. It runs once per call, however often a client tries
    /// to make it. By default it lets the call pass.
    ///
    /// On a server it does not run for requests that there is no room for
    /// ([`max_concurrent_calls`](crate::ServerConfig::max_concurrent_calls)), whose deadline has passed
    /// when they come, or that are malformed; on a client, not for a message that cannot be sent.
    ///
    /// # Errors
    ///
    /// Refuses the call. Interceptors that were added later are not asked, no handler is called and
    /// nothing is sent: the caller sees this status. One who panics refuses with UNKNOWN.
    fn before(&self, call: &mut CallStart) -> impl Future<Output = Result<(), Status>> + Send {
        let _ = call;
        Pass
    }

    /// Runs when the call has ended, in the opposite order of `before`. By default it does nothing.
    ///
    /// It runs exactly once for every call, also for one that was refused by another interceptor, and
    /// for one that never came to `before`: see [`CallRecord::before_ran`]. A caller who loses interest
    /// ends the call too, with CANCELLED.
    ///
    /// On a client a call has ended when its status is known, at the latest when the
    /// [`Inbound`](crate::Inbound) is dropped. On a server it has when the last of the answer has been
    /// handed over, or cannot be any more.
    ///
    /// Nobody is told of a request that is no gRPC at all: of another method than POST, of another
    /// content type, or without a path of two names. Nor of streams that a server turns away unread.
    ///
    /// It runs in the call's task, or where its caller drops it: whatever takes long delays others. If
    /// it panics, the log says so, and nothing else happens.
    fn after(&self, call: &CallRecord<'_>) {
        let _ = call;
    }
}

/// A closure is told how calls end.
///
/// ```
/// # use barewire::{CallRecord, Server};
/// let server = Server::new().intercept(|call: &CallRecord<'_>| {
///     println!("{} took {:?}", call.path, call.duration);
/// });
/// ```
impl<F: Fn(&CallRecord<'_>) + Send + Sync + 'static> Interceptor for F {
    fn after(&self, call: &CallRecord<'_>) {
        self(call);
    }
}

/// On which side of a call one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This process makes the call.
    Client,
    /// This process serves it.
    Server,
}

/// A call that is about to begin. What an interceptor may change is a field.
#[derive(Debug)]
pub struct CallStart {
    /// Custom metadata of the client: what goes out with the request, or what the handler will find in
    /// it.
    pub metadata: Metadata,
    /// What stays in this process. On a client, what the caller put into
    /// [`Request::extensions`](crate::Request::extensions); on a server, what the handler will find
    /// there. It is copied for [`CallRecord::extensions`], so keep it small, or in an [`Arc`].
    ///
    /// [`Arc`]: std::sync::Arc
    pub extensions: Extensions,
    /// The span that the call runs in, none by default: on a server the handler and all that is sent
    /// for it; on a client whatever its caller awaits of the call. Hooks that follow run in it too, so
    /// that a span that is opened there becomes its child, and the call's if it is put here.
    pub span: Span,
    pub(crate) side: Side,
    pub(crate) path: MethodPath,
    pub(crate) authority: Option<Authority>,
    pub(crate) peer: Option<Peer>,
    pub(crate) secure: bool,
    /// Only ever shortened: nobody has more time than the caller gave.
    pub(crate) deadline: Option<Deadline>,
    pub(crate) began_at: Instant,
}

impl CallStart {
    /// Whether the call is made here, or served.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Which method is called. On a server it need not exist.
    pub fn path(&self) -> &MethodPath {
        &self.path
    }

    /// The server that the client means to reach, if it says so.
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// Who calls. `None` on a client, which has not chosen a connection yet.
    pub fn peer(&self) -> Option<&Peer> {
        self.peer.as_ref()
    }

    /// Whether nobody on the way can read the call: it goes over TLS, or a Unix socket. A byte stream
    /// that the program brought itself is not, since nobody here knows where it leads.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// When the call must have ended.
    pub fn deadline(&self) -> Option<Deadline> {
        self.deadline
    }

    /// Gives the call less time: it ends with DEADLINE_EXCEEDED at `deadline`, if it would not end
    /// before. Holds from the end of this `before` on.
    pub fn shorten_deadline(&mut self, deadline: Deadline) {
        let earlier = self
            .deadline
            .map_or(deadline, |before| before.min(deadline));
        self.deadline = Some(earlier);
    }

    /// The audience of a token for the service that is called: `https://example.com/helloworld.Greeter`.
    /// `None` without an authority. It names the port, unless that is 443.
    pub fn audience(&self) -> Option<String> {
        let authority = self.authority.as_ref()?.as_str();
        let host = authority.strip_suffix(":443").unwrap_or(authority);
        Some(format!("https://{host}/{}", self.path.service()))
    }
}

/// What can be said of a call when it has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallRecord<'a> {
    /// Whether the call was made here, or served.
    pub side: Side,
    /// Which method was called; on a server, of a service that is not served too. Clients can make up
    /// any number of these: who counts calls by method counts those that end with UNIMPLEMENTED
    /// together.
    pub path: &'a MethodPath,
    /// Who is at the other end: on a server who called, on a client who answered. `None` if nobody did.
    pub peer: Option<&'a Peer>,
    /// How it ended: on a server what the client was told, if it was still there; on a client what the
    /// caller was.
    pub outcome: &'a Result<(), Status>,
    /// From Request-Headers to the end of the answer on a server; on a client all that the caller waited
    /// for, interceptors included.
    pub duration: Duration,
    /// Messages that were taken: by the handler, or by the caller.
    pub messages_received: u64,
    /// Body bytes that came, prefixes included, as sent.
    pub bytes_received: u64,
    /// Messages that the handler sent, or the caller.
    pub messages_sent: u64,
    /// Their bytes, prefixes included, as sent. Of a call that was tried several times, counted once.
    pub bytes_sent: u64,
    /// How many streams a client opened for the call, transparent retries and hedges included. Zero on a
    /// server.
    pub attempts: u32,
    /// What the interceptors and the caller have left in [`CallStart::extensions`].
    pub extensions: &'a Extensions,
    /// The span in which the call ran, and this hook runs.
    pub span: &'a Span,
    /// Whether the interceptor that is told was asked before. It was not if another one refused the
    /// call, or if the call ended before anyone was asked.
    pub before_ran: bool,
}

/// Lets the call pass. In a box it takes no memory, so that who has no `before` costs nothing there.
struct Pass;

impl Future for Pass {
    type Output = Result<(), Status>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(()))
    }
}

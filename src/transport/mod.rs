//! Layer 2: HTTP/2, by h2, with what h2 leaves open closed. One stream is one call.
//!
//! ```text
//!   socket ─▶ TLS ─▶ FrameMeter ─▶ h2 ─▶ ServerConnection ─▶ ServerStream: a head,
//!                                                              RecvHalf: messages in,
//!                                                              ResponseWriter: messages out
//! ```
//!
//! h2 is named in this folder and nowhere above it.
//!
//! | file | what |
//! |---|---|
//! | [`config`] | every limit and timer, with its default |
//! | `meter`, `frame_scanner`, `frame_counts` | the byte stream under h2: joined, read ahead, counted |
//! | `large_blocks` | header blocks that h2 would cut |
//! | `late_frames` | small frames that h2 never forgives |
//! | [`counters`] | which limits were run into, and how often |
//! | `ping_policy`, `rate`, `timer` | how much of what a peer may do, and for how long |
//! | `turn` | no turn of a task for what it does itself |
//! | `leaks` | what must be at nothing in the end |
//! | `sync` | locks and counters, so that a model checker can have its own |
//! | `preface` | is this HTTP/2 at all? |
//! | `stream_slots` | streams that a client may open |
//! | `server_connection`, `connection_shared` | accepts streams; drain, age, idleness, keepalive |
//! | `server_transport`, `open_connections`, `buffered` | what all connections of a server share |
//! | `recv`, `unread` | bytes in, deframed, window given back |
//! | `reply_queue`, `response_writer`, `send`, `unsent` | bytes out, in order, under flow control |
//! | `errors` | what h2 says, as a status |
//! | [`faults`], `seed` | a byte stream that breaks, and chance that can be foreseen, for tests |
//! | `peer`, `phase` | who is there; what the server is doing |
//! | `tls` | rustls, with ALPN `h2` (feature `tls`) |

#[cfg(feature = "server")]
mod buffered;
#[cfg(feature = "client")]
pub(crate) mod client_config;
#[cfg(feature = "client")]
pub(crate) mod client_connection;
#[cfg(feature = "server")]
pub(crate) mod config;
#[cfg(feature = "client")]
pub(crate) mod connect;
#[cfg(feature = "server")]
pub(crate) mod connection_shared;
pub(crate) mod counters;
mod errors;
pub mod faults;
mod frame_counts;
mod frame_scanner;
mod large_blocks;
mod late_frames;
#[cfg(any(feature = "client", feature = "server"))]
pub(crate) mod leaks;
mod limits;
mod meter;
#[cfg(feature = "server")]
mod open_connections;
pub(crate) mod peer;
#[cfg(feature = "server")]
pub(crate) mod phase;
mod ping_policy;
#[cfg(feature = "server")]
mod preface;
pub(crate) mod rate;
#[cfg(feature = "server")]
pub(crate) mod recv;
#[cfg(feature = "server")]
pub(crate) mod reply_queue;
#[cfg(feature = "client")]
pub(crate) mod response_reader;
#[cfg(feature = "server")]
pub(crate) mod response_writer;
pub(crate) mod seed;
pub(crate) mod send;
#[cfg(feature = "server")]
pub(crate) mod server_connection;
#[cfg(feature = "server")]
pub(crate) mod server_stream;
#[cfg(feature = "server")]
pub(crate) mod server_transport;
#[cfg(feature = "client")]
mod stream_slots;
pub(crate) mod sync;
pub(crate) mod timer;
#[cfg(feature = "tls")]
pub(crate) mod tls;
#[cfg(feature = "server")]
mod turn;
#[cfg(feature = "server")]
mod unread;
#[cfg(feature = "server")]
mod unsent;

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream in both directions: a TCP or Unix socket, TLS over one, a pipe in memory.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// One kind for all of them, so that nothing above is generic over sockets.
pub(crate) type Io = Box<dyn ByteStream>;

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
//! | `ping_policy`, `rate`, `timer` | how much of what a peer may do, and for how long |
//! | `preface` | is this HTTP/2 at all? |
//! | `server_connection`, `connection_shared` | accepts streams; drain, age, idleness, keepalive |
//! | `recv` | bytes in, deframed, window given back |
//! | `reply_queue`, `response_writer`, `send` | bytes out, in order, under flow control |
//! | `errors` | what h2 says, as a status |
//! | `peer`, `phase` | who is there; what the server is doing |
//! | `tls` | rustls, with ALPN `h2` (feature `tls`) |

pub(crate) mod config;
pub(crate) mod connection_shared;
mod errors;
mod frame_counts;
mod frame_scanner;
mod meter;
pub(crate) mod peer;
pub(crate) mod phase;
mod ping_policy;
mod preface;
mod rate;
pub(crate) mod recv;
pub(crate) mod reply_queue;
pub(crate) mod response_writer;
mod send;
pub(crate) mod server_connection;
pub(crate) mod server_stream;
pub(crate) mod timer;
#[cfg(feature = "tls")]
pub(crate) mod tls;

use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream in both directions: a TCP or Unix socket, TLS over one, a pipe in memory.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// One kind for all of them, so that nothing above is generic over sockets.
pub(crate) type Io = Box<dyn ByteStream>;

//! Connectivity state: whether a channel has a connection, is making one, or cannot.
//!
//! ```text
//!            a call comes          connected
//!    IDLE ──────────────▶ CONNECTING ──────▶ READY
//!     ▲ ▲                  ▲      │            │
//!     │ └──────────────────│──────│────────────┘ GOAWAY, connection lost
//!     │    again, by back-off     │ all addresses failed
//!     │                    │      ▼
//!     │                TRANSIENT_FAILURE
//!     └─── no calls for a long time ───
//! ```
//!
//! Only TRANSIENT_FAILURE and SHUTDOWN fail calls, and wait-for-ready calls wait in the former too.
//! In TRANSIENT_FAILURE a channel goes on connecting, and says so again only when it has succeeded:
//! a state that flickered would let some calls wait and others fail.
//!
//! Spec: gRPC Connectivity Semantics, gRFC A62.

use std::fmt;

/// What a channel can do for a call at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectivityState {
    /// It is not even trying to connect. A call makes it try.
    Idle,
    /// It is looking up names, or connecting. Calls wait.
    Connecting,
    /// Calls go out.
    Ready,
    /// It could not connect, and tries again later. Calls fail unless they wait for ready.
    TransientFailure,
    /// It will not connect any more. Calls fail.
    Shutdown,
}

impl fmt::Display for ConnectivityState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Idle => "IDLE",
            Self::Connecting => "CONNECTING",
            Self::Ready => "READY",
            Self::TransientFailure => "TRANSIENT_FAILURE",
            Self::Shutdown => "SHUTDOWN",
        })
    }
}

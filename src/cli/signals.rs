//! What the system tells a server to do.
//!
//! | signal | meaning |
//! |---|---|
//! | SIGINT, SIGTERM | drain and end; the second time, end at once |
//! | SIGHUP | read the TLS files again; without TLS, what it means to every program |

use std::io;

use tokio::signal::unix::{Signal as Incoming, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    /// To end, by the signal of this number.
    Stop(u8),
    /// To read the TLS files again.
    Reload,
}

/// The signals of the system from here on.
pub(super) struct Signals {
    interrupt: Incoming,
    terminate: Incoming,
    hangup: Option<Incoming>,
}

/// A server that has nothing to reload ends with its terminal, like other programs.
pub(super) enum Hangup {
    Reloads,
    EndsTheServer,
}

impl Signals {
    pub(super) fn new(hangup: Hangup) -> io::Result<Self> {
        let hangup = match hangup {
            Hangup::Reloads => Some(signal(SignalKind::hangup())?),
            Hangup::EndsTheServer => None,
        };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup,
        })
    }

    pub(super) async fn next(&mut self) -> Signal {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        // Whichever comes first. Signals that come together are heard one after the other.
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop(2),
            _ = self.terminate.recv() => Signal::Stop(15),
            _ = hangup => Signal::Reload,
        }
    }
}

//! What the system tells a server to do, where there are no signals but Ctrl-C: drain and end; the
//! second time, end at once.

use std::io;

/// What a signal asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    /// To end, by the signal of this number.
    Stop(u8),
    /// To read the TLS files again. Nothing asks for that here.
    #[expect(
        dead_code,
        reason = "the enum is the same where there are more signals"
    )]
    Reload,
}

/// The signals of the system from here on.
pub(super) struct Signals;

/// What the end of a terminal would mean, if it were told.
pub(super) enum Hangup {
    Reloads,
    EndsTheServer,
}

impl Signals {
    pub(super) fn new(_: Hangup) -> io::Result<Self> {
        Ok(Self)
    }

    pub(super) async fn next(&mut self) -> Signal {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without a way to hear of it, the server ends with its process.
            std::future::pending::<()>().await;
        }
        Signal::Stop(2)
    }
}

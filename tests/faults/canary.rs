//! The canary: a client that does no harm, on a connection of its own, which calls all the time.

use std::time::Duration;

use barewire::{Channel, MethodPath, Response};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::support::PATIENCE;
use crate::tokio;

/// A canary that sings.
pub struct Canary {
    stop: oneshot::Sender<()>,
    song: JoinHandle<Song>,
}

struct Song {
    calls: usize,
    failures: Vec<String>,
}

/// The pause between two calls, at first. It grows to a hundredth of the time that has passed, so that a
/// hang on a clock that is the test's has an end.
const PACE: Duration = Duration::from_millis(2);

impl Canary {
    /// Begins to call this method, of which a text comes back. Returns when the first call was answered.
    pub async fn start(channel: Channel, path: MethodPath) -> Self {
        call(&channel, &path).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let song = tokio::spawn(sing(channel, path, stopped));
        Self { stop, song }
    }

    /// Calls once more, and checks that no call ever failed.
    pub async fn ends_well(self) {
        self.stop.send(()).expect("a canary that still sings");
        let song = self.song.await.unwrap();
        assert!(
            song.failures.is_empty(),
            "{} of {} calls of the canary: {:?}",
            song.failures.len(),
            song.calls,
            song.failures
        );
    }
}

async fn sing(channel: Channel, path: MethodPath, mut stopped: oneshot::Receiver<()>) -> Song {
    let mut song = Song {
        calls: 0,
        failures: Vec::new(),
    };
    let began = Instant::now();
    loop {
        // The next call, or the last one.
        let last = tokio::select! {
            () = sleep(PACE.max(began.elapsed() / 100)) => false,
            _ = &mut stopped => true,
        };
        song.calls += 1;
        song.failures.extend(call(&channel, &path).await.err());
        if last {
            return song;
        }
    }
}

async fn call(channel: &Channel, path: &MethodPath) -> Result<(), String> {
    let call = channel.unary::<String, String>(path.clone(), "canary".to_owned());
    match timeout(PATIENCE, call).await {
        Ok(Ok(Response { message, .. })) if message.contains("canary") => Ok(()),
        Ok(Ok(answer)) => Err(format!("the answer {:?}", answer.message)),
        Ok(Err(status)) => Err(status.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}

//! A client that does nothing wrong, beside those that do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use barewire::{Channel, MethodPath, Status};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::site::in_time;

/// A stream that stays, and one call after the other.
pub(crate) struct Victim {
    task: JoinHandle<Result<(), Status>>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    stop: AtomicBool,
    /// Calls that were answered.
    calls: AtomicUsize,
    /// It has failed, or was stopped.
    ended: AtomicBool,
    changed: Notify,
}

impl Victim {
    /// Starts it. When this returns, the proxy has its connection to the server.
    pub(crate) async fn start(channel: Channel) -> Self {
        let progress = Arc::new(Progress::default());
        let shared = Arc::clone(&progress);
        let path = MethodPath::from_static("/test.Probe/Chat");
        let (mut outbound, mut inbound) = channel.bidi::<String, String>(path, ()).await.unwrap();
        outbound.send("first".to_owned()).await.unwrap();
        in_time("an answer", inbound.next()).await.unwrap();
        let calls = async move {
            while !shared.stop.load(Ordering::SeqCst) {
                let path = MethodPath::from_static("/test.Probe/Echo");
                let answer = channel
                    .unary::<String, String>(path, "you".to_owned())
                    .await?;
                assert_eq!(answer.message, "you");
                let calls = shared.calls.load(Ordering::SeqCst);
                // What is wrong is told by the other half.
                let _ = outbound.send(calls.to_string()).await;
                assert_eq!(inbound.next().await?, Some(calls.to_string()));
                shared.calls.store(calls + 1, Ordering::SeqCst);
                shared.changed.notify_waiters();
            }
            let _ = outbound.finish();
            assert_eq!(inbound.next().await?, None);
            Ok(())
        };
        let ending = Arc::clone(&progress);
        let task = tokio::spawn(async move {
            let outcome = calls.await;
            ending.ended.store(true, Ordering::SeqCst);
            ending.changed.notify_waiters();
            outcome
        });
        Self { task, progress }
    }

    /// Waits until it has made some more calls, or has failed.
    pub(crate) async fn goes_on(&self) {
        let enough = self.calls() + 5;
        loop {
            let changed = self.progress.changed.notified();
            if self.calls() >= enough || self.progress.ended.load(Ordering::SeqCst) {
                return;
            }
            in_time("a call of the victim", changed).await;
        }
    }

    /// How many calls it has made.
    pub(crate) fn calls(&self) -> usize {
        self.progress.calls.load(Ordering::SeqCst)
    }

    /// Panics if one of its calls failed.
    pub(crate) async fn stop(self) {
        self.goes_on().await;
        self.progress.stop.store(true, Ordering::SeqCst);
        let ended = in_time("the victim", self.task).await.unwrap();
        ended.expect("no call of the victim fails");
        assert!(self.progress.calls.load(Ordering::SeqCst) >= 5);
    }
}

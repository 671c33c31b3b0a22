//! A client that does nothing wrong, beside those that do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use barewire::{Channel, MethodPath, Status};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::site::in_time;

/// A stream that stays, and one call after the other.
pub(crate) struct Victim {
    calls: JoinHandle<Result<usize, Status>>,
    progress: Arc<Progress>,
}

#[derive(Default)]
struct Progress {
    stop: AtomicBool,
    call: Notify,
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
        let calls = tokio::spawn(async move {
            let mut calls = 0;
            while !shared.stop.load(Ordering::SeqCst) {
                let path = MethodPath::from_static("/test.Probe/Echo");
                let answer = channel
                    .unary::<String, String>(path, "you".to_owned())
                    .await?;
                assert_eq!(answer.message, "you");
                // What is wrong is told by the other half.
                let _ = outbound.send(calls.to_string()).await;
                assert_eq!(inbound.next().await?, Some(calls.to_string()));
                calls += 1;
                shared.call.notify_waiters();
            }
            let _ = outbound.finish();
            assert_eq!(inbound.next().await?, None);
            Ok(calls)
        });
        Self { calls, progress }
    }

    /// Waits until it has made some more calls, or has failed.
    pub(crate) async fn goes_on(&self) {
        for _ in 0..5 {
            let call = self.progress.call.notified();
            if !self.calls.is_finished() {
                in_time("a call of the victim", call).await;
            }
        }
    }

    /// Says how many calls it has made. Panics if one of them failed.
    pub(crate) async fn stop(self) -> usize {
        self.goes_on().await;
        self.progress.stop.store(true, Ordering::SeqCst);
        let calls = in_time("the victim", self.calls).await.unwrap();
        let calls = calls.expect("no call of the victim fails");
        assert!(calls >= 5);
        calls
    }
}

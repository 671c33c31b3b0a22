//! Calls that a client cancels by the thousand, on one connection to a server of ours. None of it is
//! abuse: neither side ends the connection, and a call beside them fails on neither.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use barewire::{Channel, ClientHttp2Config, Counter, MethodPath, Server};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::support::{Probe, connect, hits};
use crate::tokio;

/// Fewer than a server takes at once.
const AT_ONCE: usize = 500;

/// Makes so many calls and cancels them: four of five after their first message, the others before any
/// answer. Either limit is far above.
pub async fn storm(calls: usize) {
    let probe = Probe::default();
    let seen = probe.seen.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::new().add(probe);
    let at_server = server.counters();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(listener, async {
        let _ = stopped.await;
    }));
    // There is no other connection that a call could go to.
    let channel = Channel::over(connect(address).await);
    let at_client = channel.counters();
    let is_over = Arc::new(AtomicBool::new(false));
    let canary = tokio::spawn(sing(channel.clone(), Arc::clone(&is_over)));

    for _ in 0..calls.div_ceil(AT_ONCE) {
        let mut begun = Vec::new();
        for _ in 0..AT_ONCE {
            let path = MethodPath::from_static("/test.Probe/Begin");
            begun.push(channel.bidi::<String, String>(path, ()).await.unwrap());
        }
        for (number, (_outbound, mut inbound)) in begun.into_iter().enumerate() {
            if number % 5 > 0 {
                let first = inbound.next().await.unwrap();
                assert_eq!(first.as_deref(), Some("begun"));
            }
        }
    }
    is_over.store(true, Ordering::SeqCst);
    assert!(canary.await.unwrap() > 0);
    seen.wait_for("all handlers are dropped", |seen| seen.running() == 0)
        .await;
    assert_eq!(hits(&at_server), []);
    let mut hit = hits(&at_client);
    if calls > ClientHttp2Config::default().max_concurrent_reset_streams {
        // What the server says on one that h2 does not remember is refused, and harms nobody.
        hit.retain(|(counter, _)| *counter != Counter::MaxConcurrentResetStreams);
    }
    assert_eq!(hit, []);
    drop((channel, stop));
    let report = serving.await.unwrap().unwrap();
    assert!(report.cut.is_empty(), "{report:?}");
}

/// Calls all the time. Yields how often.
async fn sing(channel: Channel, is_over: Arc<AtomicBool>) -> usize {
    let mut calls = 0;
    while !is_over.load(Ordering::SeqCst) {
        let path = MethodPath::from_static("/test.Probe/Echo");
        let call = channel.unary::<String, String>(path, "tweet".to_owned());
        assert_eq!(call.await.unwrap().message, "tweet");
        calls += 1;
    }
    calls
}

//! A service whose handlers are of all kinds, and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use barewire::{Inbound, Replies, Request, Response, ServerCall, Service, Serving};

/// Clones count together.
#[derive(Clone, Default)]
pub(crate) struct Bystander {
    begun: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
}

impl Bystander {
    /// Calls that came to a handler.
    #[allow(dead_code, reason = "for oracles of a client")]
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// Handlers at work.
    #[allow(dead_code, reason = "for oracles of a server")]
    pub(crate) fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

impl Service for Bystander {
    fn name(&self) -> &'static str {
        "a"
    }

    fn serve(&self, mut call: ServerCall) -> Serving<'_> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&self.running));
        Box::pin(async move {
            let _running = running;
            match call.method() {
                "Echo" => {
                    let request: Request<String> = call.request().await?;
                    let mut response = Response::new(request.message);
                    response.metadata = request.metadata.clone();
                    response.trailers = request.metadata;
                    call.reply(response).await
                }
                "Chat" => {
                    let mut requests: Request<Inbound<String>> = call.requests();
                    let mut replies: Replies<String> = call.replies();
                    while let Some(message) = requests.next().await? {
                        replies.send(message).await?;
                    }
                    Ok(())
                }
                "Flood" => {
                    let mut replies: Replies<String> = call.replies();
                    loop {
                        replies.send("x".repeat(1_000)).await?;
                    }
                }
                "Never" => {
                    let _requests: Request<Inbound<String>> = call.requests();
                    std::future::pending().await
                }
                _ => Err(call.unknown_method()),
            }
        })
    }
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

//! Code of the application that is run in a call: if it panics, that is the end of the call and of
//! nothing else.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use crate::wire::Status;

/// Runs code that is not ours. If it panics, the call ends with UNKNOWN and nothing else does. The
/// panic's text stays here: it may hold what the peer must not know.
pub(crate) fn unwinding<T>(whose: &'static str, code: impl FnOnce() -> T) -> Result<T, Status> {
    // What panicked is not looked at again, so nobody sees what it left half done.
    catch_unwind(AssertUnwindSafe(code)).map_err(|panic| {
        tracing::error!(panic = panic_text(&*panic), "{whose} panicked");
        Status::unknown(format!("{whose} panicked"))
    })
}

/// As [`unwinding`], of code that waits.
pub(crate) async fn unwinding_future<T>(
    whose: &'static str,
    code: impl Future<Output = T>,
) -> Result<T, Status> {
    let mut code = pin!(code);
    poll_fn(|cx| match unwinding(whose, || code.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(status) => Poll::Ready(Err(status)),
    })
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&'static str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no text")
}

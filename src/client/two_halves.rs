//! A call whose request and response are handled apart, perhaps by different tasks.
//!
//! Both halves work on the same [`Call`], each for as long as it runs. Whatever the call waits for
//! wakes both: which of them can go on is known only when one has looked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::call::Call;
use crate::call::Responses;
use crate::wire::{Encoding, Metadata, RawMessage, Status};

/// One call, seen from either half.
pub(super) struct SharedCall {
    call: Mutex<Box<Call>>,
    halves: Arc<Halves>,
    /// Wakes both halves.
    waker: Waker,
}

/// Who waits.
#[derive(Default)]
struct Halves {
    request: Mutex<Option<Waker>>,
    response: Mutex<Option<Waker>>,
}

/// One of the halves.
#[derive(Clone, Copy)]
pub(super) enum Half {
    Request,
    Response,
}

impl Half {
    const fn other(self) -> Self {
        match self {
            Self::Request => Self::Response,
            Self::Response => Self::Request,
        }
    }
}

impl SharedCall {
    pub(super) fn new(call: Box<Call>) -> Arc<Self> {
        let halves = Arc::<Halves>::default();
        Arc::new(Self {
            call: Mutex::new(call),
            waker: Waker::from(Arc::clone(&halves)),
            halves,
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Box<Call>> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls the call for one half.
    pub(super) fn poll<T>(
        &self,
        half: Half,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Call, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.halves.wait(half, cx);
        let (polled, changed) = {
            let mut call = self.lock();
            let before = call.standing();
            let polled = poll(&mut call, &mut Context::from_waker(&self.waker));
            (polled, call.standing() != before)
        };
        if polled.is_ready() {
            self.halves.stop_waiting(half);
        }
        // The other half may have waited for just that.
        if changed {
            self.halves.notify(half.other());
        }
        polled
    }

    /// Does something that may be news for the other half.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut Call, &mut Context<'_>) -> T) -> T {
        let done = act(&mut self.lock(), &mut Context::from_waker(&self.waker));
        self.waker.wake_by_ref();
        done
    }
}

impl Halves {
    fn of(&self, half: Half) -> MutexGuard<'_, Option<Waker>> {
        match half {
            Half::Request => &self.request,
            Half::Response => &self.response,
        }
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, half: Half, cx: &Context<'_>) {
        let mut waiting = self.of(half);
        if !waiting
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *waiting = Some(cx.waker().clone());
        }
    }

    fn stop_waiting(&self, half: Half) {
        *self.of(half) = None;
    }

    fn notify(&self, half: Half) {
        let waiting = self.of(half).take();
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl Wake for Halves {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.notify(Half::Request);
        self.notify(Half::Response);
    }
}

/// The response's half.
pub(super) struct ResponseHalf {
    shared: Arc<SharedCall>,
    headers: Metadata,
    encoding: Encoding,
    trailers: Option<Metadata>,
}

impl ResponseHalf {
    pub(super) fn new(shared: Arc<SharedCall>) -> Self {
        Self {
            shared,
            headers: Metadata::new(),
            encoding: Encoding::Identity,
            trailers: None,
        }
    }
}

impl Responses for ResponseHalf {
    fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Status>> {
        let (headers, encoding) = (&mut self.headers, &mut self.encoding);
        self.shared.poll(Half::Response, cx, |call, cx| {
            let polled = call.poll_headers(cx);
            if polled.is_ready() {
                take_headers(call, headers, encoding);
            }
            polled
        })
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<RawMessage>, Status>> {
        let Self {
            shared,
            headers,
            encoding,
            trailers,
        } = self;
        shared.poll(Half::Response, cx, |call, cx| {
            let polled = call.poll_message(cx);
            match &polled {
                Poll::Ready(Ok(Some(_))) => take_headers(call, headers, encoding),
                Poll::Ready(_) => {
                    let (initial, trailing) = call.take_metadata();
                    if !initial.is_empty() {
                        *headers = initial;
                    }
                    trailers.get_or_insert(trailing);
                }
                Poll::Pending => {}
            }
            polled
        })
    }

    fn expect_one(&mut self) {
        self.shared.lock().expect_one();
    }

    fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn headers(&self) -> &Metadata {
        &self.headers
    }

    fn trailers(&self) -> Option<&Metadata> {
        self.trailers.as_ref()
    }

    fn take_metadata(&mut self) -> (Metadata, Metadata) {
        (
            std::mem::take(&mut self.headers),
            self.trailers.take().unwrap_or_default(),
        )
    }

    fn fail(&mut self, status: Status) {
        self.shared.act(|call, _| call.fail(status));
    }
}

fn take_headers(call: &mut Call, headers: &mut Metadata, encoding: &mut Encoding) {
    *encoding = call.encoding();
    if !call.headers().is_empty() {
        *headers = call.take_headers();
    }
}

impl Drop for ResponseHalf {
    fn drop(&mut self) {
        self.shared
            .act(|call, _| call.fail(Status::cancelled("the caller dropped the response")));
    }
}

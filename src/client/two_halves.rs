//! A call whose request and response are handled apart, perhaps by different tasks.
//!
//! Both halves work on the same [`Call`], each for as long as it runs. Whatever the call waits for
//! wakes both: which of them can go on is known only when one has looked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};

use bytes::BytesMut;

use super::call::Call;
use crate::call::Responses;
use crate::transport::client_connection::{ConnectionState, Speaker};
use crate::wire::{Encoding, Metadata, RawMessage, Status, WireError};

/// One call, seen from either half.
pub(super) struct SharedCall {
    call: Mutex<Box<Call>>,
    halves: Arc<Halves>,
    /// Wakes both halves.
    waker: Waker,
    /// The turn of the connection in which a message was handed over last.
    spoke_in: AtomicU64,
}

/// Who waits.
struct Halves {
    request: Mutex<Option<Waker>>,
    response: Mutex<Option<Waker>>,
    unsent: Mutex<Unsent>,
    call: Weak<SharedCall>,
}

/// Messages that the caller has left to a connection.
#[derive(Default)]
enum Unsent {
    #[default]
    Nothing,
    /// The connection looks at them in its next turn.
    Queued(Arc<ConnectionState>),
    /// The server has no room for them. The connection looks again when the call is woken.
    Blocked(Arc<ConnectionState>),
}

impl Unsent {
    fn is_queued_at(&self, connection: &Arc<ConnectionState>) -> bool {
        matches!(self, Self::Queued(queued_at) if Arc::ptr_eq(queued_at, connection))
    }
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
        Arc::new_cyclic(|this: &Weak<Self>| {
            let halves = Arc::new(Halves {
                request: Mutex::default(),
                response: Mutex::default(),
                unsent: Mutex::default(),
                call: this.clone(),
            });
            Self {
                call: Mutex::new(call),
                waker: Waker::from(Arc::clone(&halves)),
                spoke_in: AtomicU64::new(u64::MAX),
                halves,
            }
        })
    }

    /// Whether one more message may be said at once.
    pub(super) fn has_room(&self) -> bool {
        self.lock().has_room()
    }

    /// One more message is to be sent, which is taken out of `message`. Says whether that is the
    /// connection's to do from here on.
    ///
    /// The first message since the connection's last turn is handed over at once; those that follow before
    /// its next one leave with each other.
    pub(super) fn push(&self, message: &mut BytesMut) -> bool {
        let mut call = self.lock();
        call.push(message);
        let Some(connection) = call.unsent() else {
            return false;
        };
        let turn = connection.turn();
        if self.spoke_in.swap(turn, Ordering::Relaxed) != turn {
            call.send_unsent(&mut Context::from_waker(&self.waker));
            return call.is_handed_over();
        }
        let queued = {
            let mut unsent = self.halves.unsent();
            let queued = unsent.is_queued_at(connection)
                || connection.send_soon(Weak::<Self>::clone(&self.halves.call));
            if queued {
                *unsent = Unsent::Queued(Arc::clone(connection));
            }
            queued
        };
        // A connection that is gone has no turns. To send shows what became of it.
        if !queued {
            call.send_unsent(&mut Context::from_waker(&self.waker));
        }
        queued
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

/// The connection's turn has come.
impl Speaker for SharedCall {
    fn speak(&self) {
        let mut call = self.lock();
        let before = call.standing();
        // Woken from here on, the call is queued once more.
        *self.halves.unsent() = match call.unsent() {
            Some(connection) => Unsent::Blocked(Arc::clone(connection)),
            None => Unsent::Nothing,
        };
        call.send_unsent(&mut Context::from_waker(&self.waker));
        if call.unsent().is_none() {
            *self.halves.unsent() = Unsent::Nothing;
        }
        let changed = call.standing() != before;
        drop(call);
        if changed {
            self.halves.notify(Half::Request);
        }
    }
}

impl Halves {
    fn unsent(&self) -> MutexGuard<'_, Unsent> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, half: Half) -> MutexGuard<'_, Option<Waker>> {
        match half {
            Half::Request => &self.request,
            Half::Response => &self.response,
        }
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
    }

    /// There may be room for what the connection has to send.
    fn speak_again(&self) {
        let mut unsent = self.unsent();
        if let Unsent::Blocked(connection) = &*unsent {
            let connection = Arc::clone(connection);
            *unsent = if connection.send_soon(Weak::<SharedCall>::clone(&self.call)) {
                Unsent::Queued(connection)
            } else {
                Unsent::Nothing
            };
        }
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
        self.speak_again();
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

    fn count(&self, error: &WireError) {
        self.shared.lock().count(error);
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

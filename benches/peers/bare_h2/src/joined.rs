//! A byte stream whose small writes are joined, and which reads much at once.
//!
//! h2 flushes whenever it has nothing more to do at the moment. Here that does nothing: the connection's
//! task calls [`Joined::poll_drain`] when it has really done all it can.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

const JOIN_LIMIT: usize = 256 << 10;
const READ_AHEAD: usize = 64 << 10;
/// A piece of this size goes to the socket by itself.
const PASS_BY: usize = 64 << 10;

pub struct Joined<Io>(Arc<Mutex<Buffers<Io>>>);

struct Buffers<Io> {
    io: Io,
    out: BytesMut,
    ahead: BytesMut,
    /// The last read filled all the room there was.
    more_is_likely: bool,
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Joined<Io> {
    pub fn new(io: Io) -> Self {
        Self(Arc::new(Mutex::new(Buffers {
            io,
            out: BytesMut::new(),
            ahead: BytesMut::new(),
            more_is_likely: false,
        })))
    }

    /// The same stream, for whoever drains it.
    pub fn share(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    /// Writes what was joined.
    pub fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.lock().poll_write_out(cx)
    }

    /// Whether there is anything to drain.
    pub fn has_out(&self) -> bool {
        !self.lock().out.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Buffers<Io>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Buffers<Io> {
    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(cx, &self.out))?;
            self.out.advance(written);
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.ahead.reserve(READ_AHEAD);
        let read = std::pin::pin!(self.io.read_buf(&mut self.ahead));
        let length = ready!(read.poll(cx))?;
        self.more_is_likely = length >= READ_AHEAD / 2;
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncRead for Joined<Io> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut buffers = self.lock();
        if buffers.ahead.is_empty() && buffers.more_is_likely {
            ready!(buffers.poll_read_ahead(cx))?;
        }
        if buffers.ahead.is_empty() {
            let room = into.remaining();
            ready!(Pin::new(&mut buffers.io).poll_read(cx, into))?;
            buffers.more_is_likely = into.remaining() == 0 && room > 0;
        } else {
            let length = buffers.ahead.len().min(into.remaining());
            into.put_slice(&buffers.ahead.split_to(length));
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Joined<Io> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut buffers = self.lock();
        if bytes.len() >= PASS_BY {
            ready!(buffers.poll_write_out(cx))?;
            return Pin::new(&mut buffers.io).poll_write(cx, bytes);
        }
        if buffers.out.len() >= JOIN_LIMIT {
            ready!(buffers.poll_write_out(cx))?;
        }
        buffers.out.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffers = self.lock();
        ready!(buffers.poll_write_out(cx))?;
        Pin::new(&mut buffers.io).poll_shutdown(cx)
    }
}

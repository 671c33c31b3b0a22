//! A TLS stream whose errors explain themselves.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::failure::{explain_first_read, explain_read};
use super::first_bytes::FirstBytes;

/// What is inside TLS. A server that does not accept the client says so to the first read.
pub(super) struct ClientStream {
    tls: TlsStream<FirstBytes>,
    /// Whether a read has yielded anything yet.
    heard: bool,
}

impl ClientStream {
    pub(super) fn new(tls: TlsStream<FirstBytes>) -> Self {
        Self { tls, heard: false }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match ready!(Pin::new(&mut self.tls).poll_read(cx, buffer)) {
            Ok(()) => {
                self.heard |= buffer.filled().len() > before;
                Poll::Ready(Ok(()))
            }
            Err(error) if self.heard => Poll::Ready(Err(explain_read(error))),
            Err(error) => Poll::Ready(Err(explain_first_read(error))),
        }
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

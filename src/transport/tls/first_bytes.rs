//! The byte stream under TLS, which remembers what it began with: the first bytes tell who does not
//! speak TLS, and what they speak instead.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::spec::http2::frame;
use crate::transport::Io;

/// Enough for the head of a frame, and for a line that people know.
const REMEMBERED_BYTES: usize = 24;

/// Passes everything on unchanged.
pub(super) struct FirstBytes {
    io: Io,
    read: Vec<u8>,
}

impl FirstBytes {
    pub(super) fn new(io: Io) -> Self {
        Self {
            io,
            read: Vec::new(),
        }
    }

    /// Whether the peer has said nothing at all.
    pub(super) fn is_empty(&self) -> bool {
        self.read.is_empty()
    }

    /// What the peer speaks, if that is not TLS.
    pub(super) fn instead_of_tls(&self) -> Option<String> {
        match *self.read {
            // A record: its type, and the major version. RFC 8446 §5.1.
            [] | [20..=24] | [20..=24, 3, ..] => None,
            [b'H', b'T', b'T', b'P', b'/', ..] => Some("it answered in HTTP/1".to_owned()),
            // The head of a frame for the whole connection. RFC 9113 §4.1.
            [0, _, _, frame::SETTINGS | frame::GOAWAY, _, 0, 0, 0, 0, ..] => {
                Some("it sent plain HTTP/2".to_owned())
            }
            _ => Some(format!("it began with \"{}\"", self.read.escape_ascii())),
        }
    }
}

impl AsyncRead for FirstBytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let missing = REMEMBERED_BYTES.saturating_sub(self.read.len());
        if missing > 0 {
            let new = buffer.filled().iter().skip(before).take(missing);
            self.read.extend(new);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for FirstBytes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

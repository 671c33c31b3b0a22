//! Is this HTTP/2 at all? The first bytes of a connection tell.
//!
//! A client without TLS begins with twenty-four fixed bytes. Load balancers probe with HTTP/1 or with
//! nothing, and people connect with TLS to a port that has none: h2 would answer all of them with
//! silence or a GOAWAY that they cannot read.
//!
//! Spec: RFC 9113 §3.4.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use super::counters::Counter;
use super::meter::{FrameMeter, SharedMeter};
use crate::spec::http2::PREFACE;

/// What a connection that is not HTTP/2 began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotHttp2 {
    /// Nothing, or the first bytes of the preface: it was closed again. Probes do this.
    Closed,
    /// A request of HTTP/1.
    Http1,
    /// A TLS ClientHello.
    Tls,
    /// Anything else.
    Junk,
}

/// HTTP/1's way to say that the version is the fault, as short as it can be said.
const HTTP1_ANSWER: &[u8] =
    b"HTTP/1.1 505 HTTP Version Not Supported\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Waits for the preface, and leaves it in place for h2.
pub(crate) async fn expect_preface(meter: &SharedMeter) -> io::Result<Result<(), NotHttp2>> {
    let found = poll_fn(|cx| poll_preface(&mut meter.lock(), cx)).await?;
    if found == Err(NotHttp2::Http1) {
        meter.lock().join(HTTP1_ANSWER);
    }
    Ok(found)
}

fn poll_preface(
    meter: &mut FrameMeter,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Result<(), NotHttp2>>> {
    let mut wanted = 1;
    loop {
        let bytes = ready!(meter.poll_peek(cx, wanted))?;
        let expected = PREFACE.get(..bytes.len()).unwrap_or(PREFACE);
        let found = if !bytes.starts_with(expected) {
            Err(NotHttp2::of(bytes))
        } else if bytes.len() >= PREFACE.len() {
            Ok(())
        } else if bytes.len() < wanted {
            Err(NotHttp2::Closed)
        } else {
            wanted = bytes.len() + 1;
            continue;
        };
        return Poll::Ready(Ok(found));
    }
}

/// How requests of HTTP/1 begin. RFC 9110 §9.1.
const HTTP1_METHODS: [&[u8]; 9] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"CONNECT ",
    b"OPTIONS ",
    b"TRACE ",
    b"PATCH ",
];

impl NotHttp2 {
    /// Where it is counted. Who only looked whether the port is open did nothing worth counting.
    pub(crate) const fn counter(self) -> Option<Counter> {
        match self {
            Self::Closed => None,
            Self::Http1 => Some(Counter::NotHttp2Http1),
            Self::Tls => Some(Counter::NotHttp2Tls),
            Self::Junk => Some(Counter::NotHttp2Junk),
        }
    }

    fn of(bytes: &[u8]) -> Self {
        // A TLS record of a handshake: type 22, major version 3. RFC 8446 §5.1.
        if bytes.starts_with(&[0x16, 0x03]) || bytes == [0x16] {
            return Self::Tls;
        }
        let begins_as = |method: &&[u8]| {
            let length = method.len().min(bytes.len());
            bytes.get(..length) == method.get(..length)
        };
        if HTTP1_METHODS.iter().any(begins_as) {
            Self::Http1
        } else {
            Self::Junk
        }
    }
}

impl fmt::Display for NotHttp2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the peer closed the connection before it said anything",
            Self::Http1 => "the peer speaks HTTP/1, this port speaks HTTP/2 with prior knowledge",
            Self::Tls => "the peer speaks TLS, this port has none",
            Self::Junk => "the peer's first bytes are not the HTTP/2 preface",
        })
    }
}

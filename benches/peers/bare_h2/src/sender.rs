//! Messages out, under flow control.

use std::future::poll_fn;

use bytes::{Bytes, BytesMut};
use h2::SendStream;
use harness::Fault;
use http::HeaderMap;
use prost::Message;

use crate::messages::put;

/// Whether messages wait for others to share a DATA frame with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Coalescing {
    No,
    Yes,
}

/// So much is gathered before it is sent.
const GATHERED: usize = 32 << 10;

pub struct Sender {
    stream: SendStream<Bytes>,
    coalescing: Coalescing,
    gathered: BytesMut,
}

impl Sender {
    pub fn new(stream: SendStream<Bytes>, coalescing: Coalescing) -> Self {
        Self {
            stream,
            coalescing,
            gathered: BytesMut::new(),
        }
    }

    /// Sends a message, or keeps it until there is more or [`flush`](Self::flush) is called.
    pub async fn send(&mut self, message: &impl Message) -> Result<(), Fault> {
        put(&mut self.gathered, message)?;
        if self.coalescing == Coalescing::No || self.gathered.len() >= GATHERED {
            self.flush().await?;
        }
        Ok(())
    }

    /// Waits until the peer's window and the connection have room for what was gathered.
    pub async fn flush(&mut self) -> Result<(), Fault> {
        let mut gathered = self.gathered.split().freeze();
        while !gathered.is_empty() {
            self.stream.reserve_capacity(gathered.len());
            let mut room = self.stream.capacity();
            if room == 0 {
                let granted = poll_fn(|cx| self.stream.poll_capacity(cx)).await;
                room = granted.ok_or("the stream is closed")??;
            }
            let part = gathered.split_to(room.min(gathered.len()));
            self.stream.send_data(part, false)?;
        }
        Ok(())
    }

    pub async fn finish(mut self, trailers: HeaderMap) -> Result<(), Fault> {
        self.flush().await?;
        Ok(self.stream.send_trailers(trailers)?)
    }

    /// Ends without trailers, as a client does.
    pub async fn end(mut self) -> Result<(), Fault> {
        self.flush().await?;
        Ok(self.stream.send_data(Bytes::new(), true)?)
    }
}

//! A client's messages, as a server's handler reads them.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::Inbound;
use super::inbound::Source;
use super::inflight::{Charge, InflightBytes};
use super::long_work::{Turn, Work};
use crate::transport::recv::RecvHalf;
use crate::wire::decode_cost::SCANNED_FROM;
use crate::wire::{Encoding, RawMessage, Status, WireError};

/// Where the messages of a request come from.
pub(super) struct Requests {
    recv: RecvHalf,
    encoding: Encoding,
    inflight: Arc<InflightBytes>,
    /// For the message that was given out last, until the next is asked for.
    charge: Option<Charge>,
}

impl Requests {
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<RawMessage>, Status>> {
        self.recv.poll_message(cx)
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// What came broke this rule: counted if it is a limit.
    pub(super) fn count(&self, error: &WireError) {
        self.recv.counters().count_received(error);
    }

    /// The message before is no longer the reader's to count.
    pub(super) fn forget_last(&mut self) {
        self.charge = None;
    }

    /// Says whether a message takes long to decode.
    pub(super) fn sort(&self, raw: RawMessage, limit: usize) -> Result<Work, WireError> {
        Work::of(raw, self.encoding, limit).inspect_err(|error| self.count(error))
    }

    /// A message that waits for its turn is the reader's, though not decoded.
    pub(super) fn charge_bytes(&mut self, bytes: usize) -> Result<(), Status> {
        self.charge = None;
        // What it takes in the end is counted then. A guess must not keep out what has room.
        let bytes = bytes.min(self.inflight.quarter());
        self.charge = Some(self.inflight.charge(bytes)?);
        Ok(())
    }

    pub(super) async fn turn(&self) -> Option<Turn> {
        self.inflight.long_work().turn().await
    }

    pub(super) fn charge(&mut self, body: &Bytes) -> Result<(), Status> {
        if body.len() >= SCANNED_FROM {
            self.charge = None;
            self.charge = Some(self.inflight.charge_message(body)?);
        }
        Ok(())
    }
}

/// A request that nobody reads any more is thrown away as it comes.
impl Drop for Requests {
    fn drop(&mut self) {
        self.recv.discard();
    }
}

impl<M: prost::Message + Default> Inbound<M> {
    pub(crate) fn of_request(
        recv: RecvHalf,
        encoding: Encoding,
        message_limit: usize,
        inflight: Arc<InflightBytes>,
    ) -> Self {
        let requests = Requests {
            recv,
            encoding,
            inflight,
            charge: None,
        };
        Self::of(Source::Requests(requests), message_limit)
    }

    /// The only message, and its share of memory.
    pub(crate) async fn only_request(&mut self) -> Result<(M, Option<Charge>), Status> {
        let message = self.only().await?;
        let charge = match self.source() {
            Source::Requests(requests) => requests.charge.take(),
            #[cfg(feature = "client")]
            Source::Responses(_) => None,
        };
        Ok((message, charge))
    }
}

//! The client under test: makes the calls that the suite asks for, several side by side.

use std::io;

use barewire::{Channel, ChannelConfig, ClientTls, Encoding, Status, TlsError};
use tokio::task::JoinSet;

use crate::calls::make_call;
use crate::conformance::client_compat_response::Result as Outcome;
use crate::conformance::{
    ClientCompatRequest, ClientCompatResponse, ClientErrorResult, ClientResponseResult, Compression,
};
use crate::delimited::{read_message, write_message};

/// Reads cases to the end of standard input, and tells what came of each.
pub(crate) async fn run() -> io::Result<()> {
    let mut input = tokio::io::stdin();
    let mut calls = JoinSet::new();
    while let Some(case) = read_message(&mut input).await? {
        if calls.len() == CALLS_AT_ONCE
            && let Some(told) = calls.join_next().await
        {
            told??;
        }
        calls.spawn(async { write_message(&run_case(case).await) });
    }
    while let Some(told) = calls.join_next().await {
        told??;
    }
    Ok(())
}

/// Most cases only wait. Some tell 5 ms from 200 ms, so that the machine must not be too busy.
const CALLS_AT_ONCE: usize = 8;

async fn run_case(case: ClientCompatRequest) -> ClientCompatResponse {
    let result = match call(&case).await {
        Ok(result) => Outcome::Response(result),
        Err(why) => Outcome::Error(ClientErrorResult { message: why.0 }),
    };
    ClientCompatResponse {
        test_name: case.test_name,
        result: Some(result),
    }
}

/// Why a call cannot be made.
pub(crate) struct CannotCall(pub(crate) String);

async fn call(case: &ClientCompatRequest) -> Result<ClientResponseResult, CannotCall> {
    let mut config = ChannelConfig {
        encoding: encoding(case.compression())?,
        ..ChannelConfig::default()
    };
    if let Ok(limit @ 1..) = usize::try_from(case.message_receive_limit) {
        config.max_recv_message = limit;
    }
    let mut scheme = "http";
    if !case.server_tls_cert.is_empty() {
        scheme = "https";
        config.tls = Some(tls(case)?);
    }
    let target = format!("{scheme}://{}:{}", case.host, case.port);
    let channel = Channel::with_config(&target, config)?;
    channel.ready().await?;
    make_call(case, channel).await
}

fn tls(case: &ClientCompatRequest) -> Result<ClientTls, TlsError> {
    let tls = ClientTls::with_roots(&case.server_tls_cert)?;
    match &case.client_tls_creds {
        Some(own) => tls.identity(&own.cert, &own.key),
        None => Ok(tls),
    }
}

fn encoding(compression: Compression) -> Result<Encoding, CannotCall> {
    match compression {
        Compression::Unspecified | Compression::Identity => Ok(Encoding::Identity),
        Compression::Gzip => Ok(Encoding::Gzip),
        Compression::Deflate => Ok(Encoding::Deflate),
        other @ (Compression::Br | Compression::Zstd | Compression::Snappy) => {
            Err(CannotCall(format!("{other:?} is not among our codings")))
        }
    }
}

impl From<Status> for CannotCall {
    fn from(status: Status) -> Self {
        Self(status.to_string())
    }
}

impl From<TlsError> for CannotCall {
    fn from(error: TlsError) -> Self {
        Self(error.to_string())
    }
}

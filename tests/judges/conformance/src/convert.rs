//! Metadata and statuses as messages of the suite, and back.

use std::collections::BTreeMap;

use barewire::wire::MetadataValue;
use barewire::{Code, Metadata, Status};
use prost::Message;
use prost_types::Any;

use crate::conformance::{Error, Header};
use crate::rpc;

/// Metadata with these fields.
pub(crate) fn to_metadata(headers: &[Header]) -> Result<Metadata, Status> {
    let mut metadata = Metadata::new();
    for header in headers {
        for value in &header.value {
            metadata.append(&header.name, value)?;
        }
    }
    Ok(metadata)
}

/// The fields of metadata. Those whose values are bytes are left out: the suite has none.
pub(crate) fn to_headers(metadata: &Metadata) -> Vec<Header> {
    let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in metadata.iter() {
        if let MetadataValue::Ascii(value) = value {
            let value = String::from_utf8_lossy(value).into_owned();
            headers.entry(name).or_default().push(value);
        }
    }
    let header = |(name, value): (&str, _)| Header {
        name: name.to_owned(),
        value,
    };
    headers.into_iter().map(header).collect()
}

/// The status that a request asks for.
pub(crate) fn to_status(error: Error) -> Status {
    let code = u32::try_from(error.code).ok().and_then(Code::from_number);
    let message = error.message.unwrap_or_default();
    let details = rpc::Status {
        code: error.code,
        message: message.clone(),
        details: error.details,
    };
    Status::new(code.unwrap_or(Code::Unknown), message).with_details(details.encode_to_vec().into())
}

/// What is told of a status that came.
pub(crate) fn to_error(status: &Status) -> Error {
    let details = rpc::Status::decode(status.details.clone()).unwrap_or_default();
    Error {
        code: status.code.number().into(),
        message: Some(status.message.clone().into_owned()),
        details: details.details,
    }
}

/// A message as one of any type. `name` is its own, without the package.
pub(crate) fn to_any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/connectrpc.conformance.v1.{name}"),
        value: message.encode_to_vec(),
    }
}

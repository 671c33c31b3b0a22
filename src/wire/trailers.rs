//! Trailers: how the call ended.
//!
//! ```text
//!  grpc-status: 5                              always, also for success (0)
//!  grpc-message: no feature at 0, 0            if there is something to say, percent-encoded
//!  grpc-status-details-bin: CAUSBG5vbmU        if there is more to say
//!  …                                           trailing metadata
//! ```
//!
//! Trailers are a header block after the last message. A server that fails before it has sent
//! anything merges them with Response-Headers into a single block, Trailers-Only.
//!
//! What a client makes of them: `grpc-status` decides, whatever the HTTP status says. Only where
//! it is missing is the HTTP status looked up in [`code_for_http_status`]. A call that is not
//! known to have gone well has failed: nothing but `grpc-status: 0` is a success.
//!
//! Spec: gRPC-HTTP2 §Responses (Trailers, Trailers-Only, Status, Status-Message), gRPC-Codes.

use std::borrow::Cow;
use std::sync::LazyLock;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue};
use http::{Response, StatusCode};

use crate::spec::grpc::{CONTENT_TYPE, MESSAGE, STATUS, STATUS_DETAILS, names};
use crate::wire::content_type::ContentType;
use crate::wire::error::{WireError, quote};
use crate::wire::header_size::{STATUS_FIELD_SIZE, header_list_size};
use crate::wire::metadata::{Metadata, check_binary, encode_binary};
use crate::wire::percent::{percent_decode, percent_encode, shorten};
use crate::wire::status::{Code, Origin, Status};
use crate::wire::status_details::read_details;
use crate::wire::tables::code_for_http_status;

/// The end of a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Trailers {
    /// How it ended.
    pub outcome: Result<(), Status>,
    /// Trailing metadata. That of a call that failed is in its status, where the caller finds it;
    /// a server may have some here as well, and sends both.
    pub metadata: Metadata,
}

impl Trailers {
    /// Reads the trailers of a response with this HTTP status.
    #[must_use]
    pub fn parse(headers: HeaderMap, http_status: StatusCode) -> Self {
        let Fields {
            status,
            repeated,
            message,
            has_metadata,
            broken,
        } = Fields::read(&headers);
        let outcome = match status {
            None => Err(status_without_grpc(http_status, WireError::MissingStatus)),
            Some(_) if repeated => read_outcome(Err(WireError::RepeatedStatus), message, &headers),
            Some(status) => read_outcome(read_code(status.as_bytes()), message, &headers),
        };
        let metadata = if has_metadata {
            Metadata::from_checked_headers(headers)
        } else {
            Metadata::new()
        };
        match (outcome, broken) {
            (Ok(()), None) => Self {
                outcome: Ok(()),
                metadata,
            },
            (Ok(()), Some(broken)) => Self::failed(Status::from(broken), metadata),
            (Err(status), _) => Self::failed(status, metadata),
        }
    }

    /// What stands for the trailers of a response that ended with its messages.
    #[must_use]
    pub fn missing(http_status: StatusCode) -> Self {
        let status = status_without_grpc(http_status, WireError::MissingTrailers);
        Self::failed(status, Metadata::new())
    }

    /// The fields of the trailers, to be sent after the last message.
    #[must_use]
    pub fn into_headers(self) -> HeaderMap {
        self.write(HeaderMap::new())
    }

    /// The same, made to fit what the peer takes: first the details go, then as much of the text
    /// as must.
    ///
    /// # Errors
    ///
    /// [`WireError::HeaderListTooLarge`] if status and metadata alone are too large. Metadata is
    /// never dropped silently.
    pub fn into_headers_within(self, limit: Option<usize>) -> Result<HeaderMap, WireError> {
        shrink(self.into_headers(), 0, limit)
    }

    /// Trailers-Only: the whole response in one header block.
    #[must_use]
    pub fn into_trailers_only(self, content_type: ContentType) -> Response<()> {
        respond(self.write_trailers_only(content_type))
    }

    /// The same, made to fit as in [`Trailers::into_headers_within`].
    ///
    /// # Errors
    ///
    /// [`WireError::HeaderListTooLarge`] if what may not be dropped is too large.
    pub fn into_trailers_only_within(
        self,
        content_type: ContentType,
        limit: Option<usize>,
    ) -> Result<Response<()>, WireError> {
        let headers = self.write_trailers_only(content_type);
        shrink(headers, STATUS_FIELD_SIZE, limit).map(respond)
    }

    pub(super) fn failed(mut status: Status, metadata: Metadata) -> Self {
        status.metadata = metadata;
        Self {
            outcome: Err(status),
            metadata: Metadata::new(),
        }
    }

    fn write_trailers_only(self, content_type: ContentType) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(FIXED_FIELDS);
        headers.insert(CONTENT_TYPE, content_type.header_value());
        self.write(headers)
    }

    fn write(self, mut headers: HeaderMap) -> HeaderMap {
        match self.outcome {
            Ok(()) if headers.is_empty() => headers = SUCCESS.clone(),
            Ok(()) => {
                headers.insert(STATUS, OK);
            }
            Err(status) => write_status(status, &mut headers),
        }
        self.metadata.append_to(&mut headers);
        headers
    }
}

fn write_status(status: Status, headers: &mut HeaderMap) {
    headers.reserve(FIXED_FIELDS + status.metadata.capacity());
    headers.insert(STATUS, code_value(status.code));
    if !status.message.is_empty() {
        headers.insert(MESSAGE, message_value(status.message));
    }
    status.metadata.append_to(headers);
    // The details of the status replace those that the application put into the metadata.
    if !status.details.is_empty() {
        headers.insert(STATUS_DETAILS, encode_binary(&status.details));
    }
}

fn message_value(message: Cow<'static, str>) -> HeaderValue {
    let bytes = match (percent_encode(&message), &message) {
        (Cow::Borrowed(_), Cow::Borrowed(text)) => return HeaderValue::from_static(text),
        (Cow::Borrowed(_), Cow::Owned(_)) => Bytes::from(message.into_owned()),
        (Cow::Owned(encoded), _) => Bytes::from(encoded),
    };
    match HeaderValue::from_maybe_shared(bytes) {
        Ok(value) => value,
        // Percent-encoding leaves only printable ASCII, which every header value may have.
        Err(_) => unreachable!("a percent-encoded text is a legal header value"),
    }
}

fn respond(headers: HeaderMap) -> Response<()> {
    let mut response = Response::new(());
    *response.headers_mut() = headers;
    response
}

/// Makes a header list fit that is `extra` bytes larger than its map.
fn shrink(
    mut headers: HeaderMap,
    extra: usize,
    limit: Option<usize>,
) -> Result<HeaderMap, WireError> {
    let Some(limit) = limit else {
        return Ok(headers);
    };
    let excess = |headers: &HeaderMap| {
        let size = header_list_size(headers).saturating_add(extra);
        size.checked_sub(limit).filter(|excess| *excess > 0)
    };
    if excess(&headers).is_some() {
        headers.remove(STATUS_DETAILS);
    }
    if let Some(excess) = excess(&headers)
        && let Some(message) = headers.remove(MESSAGE)
        && let Ok(text) = message.to_str()
        && let Some(room) = text.len().checked_sub(excess)
        && let Ok(shorter) = HeaderValue::from_str(shorten(text, room))
    {
        headers.insert(MESSAGE, shorter);
    }
    match excess(&headers) {
        None => Ok(headers),
        Some(excess) => Err(WireError::HeaderListTooLarge {
            size: limit + excess,
            limit,
        }),
    }
}

/// What the fields of trailers say.
#[derive(Default)]
struct Fields<'a> {
    status: Option<&'a HeaderValue>,
    /// There are several.
    repeated: bool,
    message: Option<&'a HeaderValue>,
    /// There are others, or details.
    has_metadata: bool,
    /// What is wrong with them.
    broken: Option<WireError>,
}

impl<'a> Fields<'a> {
    // One pass, since this is done for every call: most trailers have one field or two.
    fn read(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                names::STATUS => fields.repeated = fields.status.replace(value).is_some(),
                names::MESSAGE => fields.message = fields.message.or(Some(value)),
                // Details that cannot be read are left out.
                names::STATUS_DETAILS => fields.has_metadata = true,
                name => {
                    fields.has_metadata = true;
                    if let Err(error) = check_binary(name, value) {
                        fields.broken.get_or_insert(error);
                    }
                }
            }
        }
        fields
    }
}

fn read_outcome(
    code: Result<Option<Code>, WireError>,
    message: Option<&HeaderValue>,
    headers: &HeaderMap,
) -> Result<(), Status> {
    let text = || message.map_or(Cow::Borrowed(""), |text| percent_decode(text.as_bytes()));
    match code {
        Ok(None) => Ok(()),
        Ok(Some(code)) => {
            let details = read_details(headers, code).unwrap_or_default();
            let mut status = Status::new(code, text().into_owned()).with_details(details);
            status.origin = Origin::Peer;
            Err(status)
        }
        // The text is the peer's, and may be all that tells what happened.
        Err(error) if message.is_none_or(HeaderValue::is_empty) => Err(error.into()),
        Err(error) => Err(Status::new(error.code(), format!("{error}: {}", text()))),
    }
}

/// The code of a `grpc-status`, `None` for success.
fn read_code(value: &[u8]) -> Result<Option<Code>, WireError> {
    let invalid = || WireError::InvalidStatus(quote(value));
    let mut number: u32 = 0;
    for digit in value {
        if !digit.is_ascii_digit() {
            return Err(invalid());
        }
        let larger = number
            .checked_mul(10)
            .and_then(|n| n.checked_add(u32::from(digit - b'0')));
        number = larger.ok_or_else(invalid)?;
    }
    match (value, Code::from_number(number)) {
        // Leading zeros are as wrong as no digit at all.
        ([] | [b'0', _, ..], _) => Err(invalid()),
        ([b'0'], _) => Ok(None),
        (_, Some(code)) => Ok(Some(code)),
        (_, None) => Err(WireError::UnknownStatus(number)),
    }
}

/// The status of a response that does not say it in the words of gRPC.
fn status_without_grpc(http_status: StatusCode, error: WireError) -> Status {
    if http_status == StatusCode::OK {
        return error.into();
    }
    let code = code_for_http_status(http_status.as_u16());
    Status::new(code, format!("{error}, HTTP status {http_status}"))
}

const fn code_value(code: Code) -> HeaderValue {
    HeaderValue::from_static(match code {
        Code::Cancelled => "1",
        Code::Unknown => "2",
        Code::InvalidArgument => "3",
        Code::DeadlineExceeded => "4",
        Code::NotFound => "5",
        Code::AlreadyExists => "6",
        Code::PermissionDenied => "7",
        Code::ResourceExhausted => "8",
        Code::FailedPrecondition => "9",
        Code::Aborted => "10",
        Code::OutOfRange => "11",
        Code::Unimplemented => "12",
        Code::Internal => "13",
        Code::Unavailable => "14",
        Code::DataLoss => "15",
        Code::Unauthenticated => "16",
    })
}

const OK: HeaderValue = HeaderValue::from_static("0");

/// The trailers of almost every call, ready to be copied.
static SUCCESS: LazyLock<HeaderMap> = LazyLock::new(|| HeaderMap::from_iter([(STATUS, OK)]));

/// How many fields there are beside the metadata, at most.
const FIXED_FIELDS: usize = 4;

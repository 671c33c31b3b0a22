//! Response-Headers, or Trailers-Only: how a response begins.
//!
//! ```text
//!  :status: 200
//!  content-type: application/grpc
//!  grpc-encoding: gzip                     if messages may be compressed
//!  grpc-accept-encoding: identity, gzip    if the server says what it can read
//!  …                                       initial metadata
//! ```
//!
//! If this block also ends the stream it is Trailers-Only: there will be no message, and what it
//! holds beside the call's own fields is *trailing* metadata. The end of the stream makes the
//! difference, not the presence of `grpc-status`, which a broken server may send too early.
//!
//! A client may also find that nobody here speaks gRPC: a proxy answers with a page. Then the HTTP
//! status is all there is, and the start of the page goes into the text for people.
//!
//! Spec: gRPC-HTTP2 §Responses (Response-Headers, Trailers-Only), RFC 9113 §8.1; gRPC, HTTP to
//! gRPC Status Code Mapping.

use std::sync::LazyLock;

use http::header::{HeaderMap, HeaderValue};
use http::response::Parts;
use http::{Response, StatusCode};

use crate::spec::grpc::{ACCEPT_ENCODING, CONTENT_TYPE, ENCODING, names};
use crate::wire::compression::{AcceptEncoding, Encoding};
use crate::wire::content_type::ContentType;
use crate::wire::error::{WireError, quote};
use crate::wire::metadata::{Metadata, check_binary};
use crate::wire::status::Status;
use crate::wire::tables::code_for_http_status;
use crate::wire::trailers::Trailers;

/// What a server says before its messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ResponseHeaders {
    /// The media type, that of the request.
    pub content_type: ContentType,
    /// The coding of the response's compressed messages.
    pub encoding: Encoding,
    /// The codings that the server can read, if it says.
    pub accept_encoding: Option<AcceptEncoding>,
    /// Initial metadata.
    pub metadata: Metadata,
}

/// What the first header block of a response is.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseStart {
    /// A response begins; messages and trailers follow.
    Headers(ResponseHeaders),
    /// The response begins and ends with this block.
    TrailersOnly(Trailers),
    /// An interim response (1xx). The real one is still to come.
    Interim,
    /// The answer is not gRPC.
    NotGrpc(NotGrpc),
}

/// An answer of somebody who does not speak gRPC, such as a proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct NotGrpc {
    /// The HTTP status.
    pub http_status: StatusCode,
    /// The media type of the answer, if it has one.
    pub content_type: Option<HeaderValue>,
}

impl ResponseHeaders {
    /// The head of a response to send.
    #[must_use]
    pub fn into_response(self) -> Response<()> {
        let mut headers = match self.content_type {
            ContentType::Grpc => HEAD.clone(),
            ContentType::GrpcProto => HEAD_PROTO.clone(),
        };
        if self.encoding != Encoding::Identity {
            headers.insert(ENCODING, self.encoding.header_value());
        }
        if let Some(accepted) = self.accept_encoding {
            headers.insert(ACCEPT_ENCODING, accepted.header_value());
        }
        self.metadata.append_to(&mut headers);

        let mut response = Response::new(());
        *response.headers_mut() = headers;
        response
    }
}

impl ResponseStart {
    /// Reads the first header block of a response, which may also be its last.
    ///
    /// # Errors
    ///
    /// - [`WireError::InterimResponseEnded`] if a 1xx response ends the stream.
    /// - [`WireError::UnsupportedResponseEncoding`] if we cannot read the messages to come.
    /// - [`WireError::InvalidBase64`] if initial metadata cannot be decoded.
    pub fn parse(response: Parts, end_stream: bool) -> Result<Self, WireError> {
        let Parts {
            status, headers, ..
        } = response;
        match (status.is_informational(), end_stream) {
            (true, true) => return Err(WireError::InterimResponseEnded(status)),
            (true, false) => return Ok(Self::Interim),
            (false, _) => {}
        }
        let fields = Fields::read(&headers);
        // Not before the stream's end: until then a grpc-status has no meaning.
        if end_stream && fields.has_status {
            return Ok(Self::TrailersOnly(Trailers::parse(headers, status)));
        }
        let known = fields.content_type.map(HeaderValue::as_bytes);
        let Some(content_type) = known.and_then(ContentType::parse) else {
            let content_type = fields.content_type.cloned();
            return Ok(Self::NotGrpc(NotGrpc {
                http_status: status,
                content_type,
            }));
        };
        if end_stream {
            return Ok(Self::TrailersOnly(Trailers::parse(headers, status)));
        }
        let encoding = fields
            .encoding
            .map_or(Ok(Encoding::Identity), parse_encoding)?;
        if let Some(broken) = fields.broken {
            return Err(broken);
        }
        Ok(Self::Headers(ResponseHeaders {
            content_type,
            encoding,
            accept_encoding: fields.accept_encoding,
            metadata: if fields.has_metadata {
                Metadata::from_checked_headers(headers)
            } else {
                Metadata::new()
            },
        }))
    }
}

/// What the fields of a response's first block say, the first of each name.
#[derive(Default)]
struct Fields<'a> {
    has_status: bool,
    content_type: Option<&'a HeaderValue>,
    encoding: Option<&'a HeaderValue>,
    accept_encoding: Option<AcceptEncoding>,
    /// There are others.
    has_metadata: bool,
    /// What is wrong with them.
    broken: Option<WireError>,
}

impl<'a> Fields<'a> {
    // One pass, since this is done for every call: most responses have less than five fields.
    fn read(headers: &'a HeaderMap) -> Self {
        let mut fields = Self::default();
        for (name, value) in headers {
            match name.as_str() {
                names::STATUS => fields.has_status = true,
                names::CONTENT_TYPE => fields.content_type = fields.content_type.or(Some(value)),
                names::ENCODING => fields.encoding = fields.encoding.or(Some(value)),
                names::ACCEPT_ENCODING => {
                    let accepted = fields.accept_encoding.unwrap_or(AcceptEncoding::IDENTITY);
                    fields.accept_encoding = Some(accepted.with_list(value.as_bytes()));
                }
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

impl NotGrpc {
    /// The status that this becomes, with the start of the answer's body in its text.
    #[must_use]
    pub fn into_status(self, body: &[u8]) -> Status {
        let content_type = self
            .content_type
            .as_ref()
            .map(|value| quote(value.as_bytes()));
        let content_type = content_type.as_deref().unwrap_or("none");
        let mut text = format!(
            "answer is not gRPC: HTTP status {}, content-type {content_type}",
            self.http_status
        );
        let quoted = body.get(..QUOTED_BODY_LIMIT).unwrap_or(body);
        if !quoted.is_empty() {
            text.push_str(": ");
            text.push_str(&String::from_utf8_lossy(quoted));
        }
        Status::new(code_for_http_status(self.http_status.as_u16()), text)
    }
}

fn parse_encoding(value: &HeaderValue) -> Result<Encoding, WireError> {
    let name = value.as_bytes();
    Encoding::supported(name).ok_or_else(|| WireError::UnsupportedResponseEncoding(quote(name)))
}

/// The head of almost every response, ready to be copied.
static HEAD: LazyLock<HeaderMap> = LazyLock::new(|| head(ContentType::Grpc));

/// The same for clients that name the subtype.
static HEAD_PROTO: LazyLock<HeaderMap> = LazyLock::new(|| head(ContentType::GrpcProto));

fn head(content_type: ContentType) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, content_type.header_value())])
}

/// The most of a foreign body that goes into a text.
pub const QUOTED_BODY_LIMIT: usize = 1024;

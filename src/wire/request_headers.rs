//! Request-Headers: what a client says before its messages.
//!
//! ```text
//!  :method: POST                       always
//!  :scheme: http                       or https
//!  :path: /routeguide.RouteGuide/GetFeature
//!  :authority: localhost:50051
//!  grpc-timeout: 1S                    if there is a deadline
//!  te: trailers                        proxies may drop it, so nobody insists
//!  content-type: application/grpc
//!  user-agent: grpc-…
//!  grpc-encoding: gzip                 if messages may be compressed
//!  grpc-accept-encoding: identity, gzip
//!  …                                   custom metadata
//! ```
//!
//! The order after the pseudo-header fields is good manners and nothing to rely on.
//!
//! A request can fail here in two ways. What is not a call at all gets an HTTP status and a sentence
//! of plain text, since its sender may be a person with a browser, and no grpc-status: 405 for
//! another method than POST, 415 for another content type.
//! A call that breaks a rule gets a status in Trailers-Only, like a call that fails in its
//! handler. That includes a broken timeout; grpc-go answers that with HTTP 400, others ignore it.
//!
//! Spec: gRPC-HTTP2 §Requests (Request-Headers, Call-Definition), RFC 9113 §8.3.1, gRFC A41.

use std::sync::LazyLock;
use std::time::Duration;

use http::header::{HeaderMap, HeaderValue};
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{Extensions, Method, Request, Response, StatusCode, Uri, Version};

use crate::spec::grpc::{
    ACCEPT_ENCODING, ALLOW, CONTENT_TYPE, ENCODING, METHOD, PREVIOUS_RPC_ATTEMPTS, TE, TIMEOUT,
    TRAILERS, USER_AGENT, names,
};
use crate::wire::compression::{AcceptEncoding, Encoding};
use crate::wire::content_type::ContentType;
use crate::wire::error::{WireError, quote};
use crate::wire::metadata::{Metadata, check_binary};
use crate::wire::path::MethodPath;
use crate::wire::status::Status;
use crate::wire::timeout::{format_timeout, parse_timeout};
use crate::wire::trailers::Trailers;

/// What a client says before its messages.
#[derive(Clone, Debug)]
pub struct RequestHeaders {
    /// Which method is called.
    pub path: MethodPath,
    /// The host that the client believes to speak with.
    pub authority: Option<Authority>,
    /// Whether the client says that it came by TLS. It may have, up to a proxy.
    pub https: bool,
    /// How long the client will wait.
    pub timeout: Option<Duration>,
    /// The coding of the request's compressed messages.
    pub encoding: Encoding,
    /// The codings that the client can read.
    pub accept_encoding: AcceptEncoding,
    /// The media type, which the response repeats.
    pub content_type: ContentType,
    /// What the application of the client adds.
    pub metadata: Metadata,
    /// What this process adds on the way to the handler. Nothing of it travels.
    pub extensions: Extensions,
}

/// Why a request does not become a call.
#[derive(Clone, Debug)]
pub enum Rejection {
    /// It is not gRPC: answer with this HTTP status and nothing else.
    Http(StatusCode),
    /// It is gRPC and breaks a rule: answer with Trailers-Only.
    Status {
        /// How the call ends. In a box, which few requests ever need.
        status: Box<Status>,
        /// Which method was called, where that can be read.
        path: Option<MethodPath>,
        /// Whether the answer lists the codings that we can read, because the request's is not
        /// among them.
        accept_encoding: bool,
        /// The media type of the answer.
        content_type: ContentType,
    },
}

impl RequestHeaders {
    /// Reads the head of a request. Whether the method exists is not decided here.
    ///
    /// # Errors
    ///
    /// The answer that the client gets instead of a call.
    pub fn parse(request: Parts) -> Result<Self, Rejection> {
        if request.method != Method::POST {
            return Err(Rejection::Http(StatusCode::METHOD_NOT_ALLOWED));
        }
        let content_type = request.headers.get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| ContentType::parse(value.as_bytes()));
        let Some(content_type) = content_type else {
            return Err(Rejection::Http(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        };
        let reject = |error: WireError, path| Rejection::Status {
            accept_encoding: matches!(error, WireError::UnsupportedRequestEncoding(_)),
            status: Box::new(error.into()),
            path,
            content_type,
        };
        let uri = request.uri.into_parts();
        let path = match uri.path_and_query {
            Some(path) => MethodPath::parse(path),
            None => Err(WireError::InvalidPath(quote(b""))),
        };
        let path = path.map_err(|error| reject(error, None))?;
        let fields = match Fields::parse(&request.headers, uri.authority) {
            Ok(fields) => fields,
            Err(error) => return Err(reject(error, Some(path))),
        };
        Ok(Self {
            path,
            authority: fields.authority,
            https: uri.scheme == Some(Scheme::HTTPS),
            timeout: fields.timeout,
            encoding: fields.encoding,
            accept_encoding: fields.accept_encoding,
            content_type,
            metadata: Metadata::from_checked_headers(request.headers),
            extensions: request.extensions,
        })
    }

    /// The head of a request to send.
    #[must_use]
    pub fn to_request(&self) -> Request<()> {
        self.to_attempt(self.timeout, 0)
    }

    /// The head of one of several attempts to send a request: with the time that is left, and with how
    /// many attempts went before, if there were any. gRFC A6 §Exposed Retry Metadata.
    #[must_use]
    pub fn to_attempt(&self, timeout: Option<Duration>, previous_attempts: u32) -> Request<()> {
        let heads = match self.content_type {
            ContentType::Grpc => &*HEADS,
            ContentType::GrpcProto => &*HEADS_PROTO,
        };
        let mut headers = match timeout {
            None => heads.untimed.clone(),
            Some(timeout) => {
                let mut headers = heads.timed.clone();
                headers.insert(TIMEOUT, format_timeout(timeout));
                headers
            }
        };
        headers.reserve(self.metadata.capacity());
        let as_usual = self.encoding == Encoding::Identity
            && self.accept_encoding == AcceptEncoding::SUPPORTED;
        if !as_usual {
            headers.remove(ACCEPT_ENCODING);
            // A field that says "not compressed" would only cost bytes.
            if self.encoding != Encoding::Identity {
                headers.insert(ENCODING, self.encoding.header_value());
            }
            if self.accept_encoding != AcceptEncoding::IDENTITY {
                headers.insert(ACCEPT_ENCODING, self.accept_encoding.header_value());
            }
        }
        self.metadata.append_to(&mut headers);
        // It is the library's to say, whatever the application has in its metadata.
        if previous_attempts > 0 {
            headers.insert(PREVIOUS_RPC_ATTEMPTS, previous_attempts.into());
        } else if self.metadata.capacity() > 0 {
            headers.remove(PREVIOUS_RPC_ATTEMPTS);
        }

        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = headers;
        request
    }

    fn uri(&self) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.path_and_query = Some(self.path.path_and_query());
        // The type takes a scheme only together with an authority.
        if let Some(authority) = &self.authority {
            parts.scheme = Some(if self.https {
                Scheme::HTTPS
            } else {
                Scheme::HTTP
            });
            parts.authority = Some(authority.clone());
        }
        match Uri::from_parts(parts) {
            Ok(uri) => uri,
            // It asks for all three parts or for the path alone, and that is what it gets.
            Err(_) => unreachable!("a path, with or without scheme and authority, is a URI"),
        }
    }
}

impl Rejection {
    /// What follows the head of the answer: a sentence for people where the request was no gRPC,
    /// nothing otherwise.
    #[must_use]
    pub const fn body(&self) -> &'static str {
        match self {
            Self::Http(_) => {
                "This is a gRPC server: it takes POST with an application/grpc body.\n"
            }
            Self::Status { .. } => "",
        }
    }

    /// The head of the answer. It ends the stream where [`Rejection::body`] is empty.
    #[must_use]
    pub fn into_response(self) -> Response<()> {
        match self {
            Self::Http(status) => {
                let mut response = Response::new(());
                *response.status_mut() = status;
                response.headers_mut().insert(CONTENT_TYPE, PLAIN_TEXT);
                if status == StatusCode::METHOD_NOT_ALLOWED {
                    // RFC 9110 §15.5.6 wants the methods that would be allowed.
                    response
                        .headers_mut()
                        .insert(ALLOW, HeaderValue::from_static(METHOD));
                }
                response
            }
            Self::Status {
                status,
                path: _,
                accept_encoding,
                content_type,
            } => {
                let trailers = Trailers {
                    outcome: Err(*status),
                    metadata: Metadata::new(),
                };
                let mut response = trailers.into_trailers_only(content_type);
                if accept_encoding {
                    let supported = AcceptEncoding::SUPPORTED.header_value();
                    response.headers_mut().insert(ACCEPT_ENCODING, supported);
                }
                response
            }
        }
    }
}

/// What the header fields say of a call.
struct Fields {
    timeout: Option<Duration>,
    encoding: Encoding,
    accept_encoding: AcceptEncoding,
    authority: Option<Authority>,
}

impl Fields {
    fn parse(headers: &HeaderMap, authority: Option<Authority>) -> Result<Self, WireError> {
        let mut timeout = None;
        let mut encoding = Encoding::Identity;
        let mut accept_encoding = AcceptEncoding::IDENTITY;
        let mut host = None;
        // One pass, since this is done for every call: most requests have less than ten fields.
        for (name, value) in headers {
            match name.as_str() {
                names::TIMEOUT => timeout = Some(parse_timeout(value.as_bytes())?),
                names::ENCODING => encoding = parse_encoding(value)?,
                names::ACCEPT_ENCODING => {
                    accept_encoding = accept_encoding.with_list(value.as_bytes());
                }
                names::HOST if host.is_some() => return Err(WireError::RepeatedHost),
                names::HOST => host = Some(value),
                name => check_binary(name, value)?,
            }
        }
        let authority = match (authority, host) {
            (Some(authority), _) => Some(authority),
            (None, Some(host)) => Some(parse_host(host)?),
            (None, None) => None,
        };
        Ok(Self {
            timeout,
            encoding,
            accept_encoding,
            authority,
        })
    }
}

// The document speaks of the first message that is compressed. Like grpc-go we do not wait for it:
// a client that names a coding means to use it.
fn parse_encoding(value: &HeaderValue) -> Result<Encoding, WireError> {
    let name = value.as_bytes();
    Encoding::supported(name).ok_or_else(|| WireError::UnsupportedRequestEncoding(quote(name)))
}

fn parse_host(host: &HeaderValue) -> Result<Authority, WireError> {
    Authority::try_from(host.as_bytes()).map_err(|_| WireError::InvalidHost(quote(host.as_bytes())))
}

/// What `user-agent` says of us.
const OWN_NAME: HeaderValue =
    HeaderValue::from_static(concat!("grpc-rust-barewire/", env!("CARGO_PKG_VERSION")));

/// The media type of what people read.
const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The fields of almost every request, ready to be copied.
static HEADS: LazyLock<Heads> = LazyLock::new(|| Heads::new(ContentType::Grpc));

/// The same for a request that names the subtype.
static HEADS_PROTO: LazyLock<Heads> = LazyLock::new(|| Heads::new(ContentType::GrpcProto));

struct Heads {
    untimed: HeaderMap,
    /// With a place for the timeout, which comes first. gRPC-HTTP2 §Requests.
    timed: HeaderMap,
}

impl Heads {
    fn new(content_type: ContentType) -> Self {
        let mut fields = vec![
            (TIMEOUT, HeaderValue::from_static("")),
            (TE, HeaderValue::from_static(TRAILERS)),
            (CONTENT_TYPE, content_type.header_value()),
            (USER_AGENT, OWN_NAME),
        ];
        let supported = AcceptEncoding::SUPPORTED;
        if supported != AcceptEncoding::IDENTITY {
            fields.push((ACCEPT_ENCODING, supported.header_value()));
        }
        Self {
            untimed: fields.iter().skip(1).cloned().collect(),
            timed: fields.into_iter().collect(),
        }
    }
}

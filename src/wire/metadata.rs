//! Custom-Metadata: the header fields that belong to the application.
//!
//! ```text
//!  authorization: Bearer 0a1b…     ASCII: printable bytes, 0x20 to 0x7E
//!  request-id-bin: q6ur            binary: the name ends in -bin, the value is base64
//! ```
//!
//! Names are lower-case letters, digits, `_`, `-` and `.`. Those that begin with `grpc-`, and some
//! that HTTP needs for itself, are reserved: they define the call and are no metadata.
//! [`Metadata`] wraps the header map as it arrived and does not remove them, because that would
//! cost every call; it never *shows* them, and refuses to set them.
//!
//! A name may have several values, and their order counts. Proxies may join values with commas.
//! For binary values that is harmless, since base64 has no comma: they are split again. ASCII
//! values are never split, since a comma may be theirs.
//!
//! Blanks around an ASCII value may get lost on the way.
//!
//! Spec: gRPC-HTTP2 §Requests (Custom-Metadata), RFC 4648 §4, RFC 9110 §5.6.1.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::spec::grpc::names;
use crate::wire::error::{WireError, quote};
use crate::wire::status::Status;

/// The application's own header fields, sent before the messages or after them.
///
/// Empty metadata costs no memory.
#[derive(Clone, Default)]
pub struct Metadata {
    /// Invariant: what [`is_visible`] says no to is never shown and never written again, and a
    /// value that a setter took is legal on the wire.
    headers: Option<Box<HeaderMap>>,
}

/// A value as [`Metadata::iter`] shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataValue<'a> {
    /// The value of a plain name, as it came: printable ASCII if the peer keeps to the rules.
    Ascii(&'a [u8]),
    /// The value of a `-bin` name, decoded.
    Binary(Bytes),
}

impl Metadata {
    /// Metadata without fields.
    #[must_use]
    pub const fn new() -> Self {
        Self { headers: None }
    }

    /// Takes the header fields that a peer sent.
    ///
    /// # Errors
    ///
    /// [`WireError::InvalidBase64`] if the value of a `-bin` field cannot be decoded.
    pub fn from_headers(headers: HeaderMap) -> Result<Self, WireError> {
        for (name, value) in &headers {
            check_binary(name.as_str(), value)?;
        }
        Ok(Self::from_checked_headers(headers))
    }

    /// Takes header fields whose `-bin` values have been checked.
    pub(super) fn from_checked_headers(headers: HeaderMap) -> Self {
        if headers.is_empty() {
            return Self::new();
        }
        Self {
            headers: Some(Box::new(headers)),
        }
    }

    /// Whether there is no field.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.visible().next().is_none()
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.visible().count()
    }

    /// The first value of a plain name, if it is printable ASCII. For other values there is
    /// [`Metadata::get_bytes`], for `-bin` names [`Metadata::get_bin`].
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// All values of a plain name that are printable ASCII, in their order.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = if is_binary(name) {
            None
        } else {
            Some(self.values(name))
        };
        values
            .into_iter()
            .flatten()
            .filter_map(|value| value.to_str().ok())
    }

    /// The first value of a name as it stands on the wire: bytes that need not be ASCII, or the
    /// base64 of a `-bin` name.
    #[must_use]
    pub fn get_bytes(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next().map(HeaderValue::as_bytes)
    }

    /// The first value of a `-bin` name, decoded.
    #[must_use]
    pub fn get_bin(&self, name: &str) -> Option<Bytes> {
        self.get_all_bin(name).next()
    }

    /// All values of a `-bin` name, decoded, in their order. Values that a proxy joined with
    /// commas come one by one.
    pub fn get_all_bin(&self, name: &str) -> impl Iterator<Item = Bytes> {
        let values = if is_binary(name) {
            Some(self.values(name))
        } else {
            None
        };
        values.into_iter().flatten().flat_map(decode_list)
    }

    /// Whether the name has a value.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.values(name).next().is_some()
    }

    /// All fields. Values of one name keep their order; the order of names means nothing.
    pub fn iter(&self) -> impl Iterator<Item = (&str, MetadataValue<'_>)> {
        self.visible().flat_map(|(name, value)| {
            let name = name.as_str();
            let binary = is_binary(name).then(|| decode_list(value));
            let ascii = (!is_binary(name)).then(|| MetadataValue::Ascii(value.as_bytes()));
            let binary = binary.into_iter().flatten().map(MetadataValue::Binary);
            ascii
                .into_iter()
                .chain(binary)
                .map(move |value| (name, value))
        })
    }

    /// Sets a plain name to one value. The name is folded to lower case.
    ///
    /// # Errors
    ///
    /// INTERNAL if the name is illegal, reserved or ends in `-bin`, or if the value has a byte
    /// outside 0x20–0x7E.
    pub fn insert(&mut self, name: &str, value: &str) -> Result<(), Status> {
        let (name, value) = ascii_field(name, value)?;
        self.headers_mut().insert(name, value);
        Ok(())
    }

    /// Adds a value to a plain name.
    ///
    /// # Errors
    ///
    /// As [`Metadata::insert`].
    pub fn append(&mut self, name: &str, value: &str) -> Result<(), Status> {
        let (name, value) = ascii_field(name, value)?;
        self.headers_mut().append(name, value);
        Ok(())
    }

    /// Sets a `-bin` name to one value, any bytes.
    ///
    /// # Errors
    ///
    /// INTERNAL if the name is illegal, reserved or does not end in `-bin`.
    pub fn insert_bin(&mut self, name: &str, value: &[u8]) -> Result<(), Status> {
        let (name, value) = binary_field(name, value)?;
        self.headers_mut().insert(name, value);
        Ok(())
    }

    /// Adds a value to a `-bin` name.
    ///
    /// # Errors
    ///
    /// As [`Metadata::insert_bin`].
    pub fn append_bin(&mut self, name: &str, value: &[u8]) -> Result<(), Status> {
        let (name, value) = binary_field(name, value)?;
        self.headers_mut().append(name, value);
        Ok(())
    }

    /// Takes a name and all its values out. Says whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(headers) = &mut self.headers else {
            return false;
        };
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            return false;
        };
        is_visible(name.as_str()) && headers.remove(name).is_some()
    }

    /// Adds all fields of another metadata, behind the values that are there.
    pub fn extend(&mut self, other: &Self) {
        if !other.is_empty() {
            other.append_to(self.headers_mut());
        }
    }

    /// Adds the fields to a header map that will be sent.
    pub fn append_to(&self, headers: &mut HeaderMap) {
        let Some(own) = &self.headers else { return };
        headers.reserve(own.len());
        for (name, value) in self
            .visible()
            .filter(|(name, _)| is_settable(name.as_str()))
        {
            headers.append(name, value.clone());
        }
    }

    /// The fields as a header map that can be sent.
    #[must_use]
    pub fn into_headers(self) -> HeaderMap {
        let Some(headers) = self.headers else {
            return HeaderMap::new();
        };
        if headers.keys().all(|name| is_settable(name.as_str())) {
            return *headers;
        }
        let mut sendable = HeaderMap::with_capacity(headers.len());
        Self {
            headers: Some(headers),
        }
        .append_to(&mut sendable);
        sendable
    }

    /// How many fields a header map needs room for to take this in.
    pub(super) fn capacity(&self) -> usize {
        self.headers.as_ref().map_or(0, |headers| headers.len())
    }

    fn visible(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        let fields = self.headers.iter().flat_map(|headers| headers.iter());
        fields.filter(|(name, _)| is_visible(name.as_str()))
    }

    /// All values of a name as they stand on the wire.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &HeaderValue> {
        let headers = self.headers.as_ref().filter(|_| is_visible(name));
        headers
            .into_iter()
            .flat_map(move |headers| headers.get_all(name))
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers.get_or_insert_default()
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        let same = |(name, _): (&HeaderName, _)| {
            self.values(name.as_str()).eq(other.values(name.as_str()))
        };
        self.len() == other.len() && self.visible().all(same)
    }
}

/// Shows what may stand in a log: no credentials, no binary values.
impl fmt::Debug for Metadata {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.visible().map(|(name, value)| {
            let hidden = is_binary(name.as_str()) || *name == http::header::AUTHORIZATION;
            let text = String::from_utf8_lossy(value.as_bytes());
            (name.as_str(), if hidden { "…".into() } else { text })
        });
        formatter.debug_map().entries(shown).finish()
    }
}

/// Whether a received field is shown to the application. Case does not matter.
fn is_visible(name: &str) -> bool {
    let reserved = starts_with(name, names::RESERVED_PREFIX)
        && !METADATA_BY_DESIGN
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other));
    !reserved
        && !HTTP_FIELDS
            .iter()
            .any(|other| name.eq_ignore_ascii_case(other))
}

/// Whether the application may set a field: all that it sees but `user-agent`, in which the
/// library names itself.
fn is_settable(name: &str) -> bool {
    is_visible(name) && !name.eq_ignore_ascii_case(names::USER_AGENT)
}

/// Whether a name's values are base64.
pub(super) fn is_binary(name: &str) -> bool {
    let suffix = names::BINARY_SUFFIX;
    let start = name.len().checked_sub(suffix.len());
    start
        .and_then(|start| name.get(start..))
        .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn ascii_field(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), Status> {
    let name = settable_name(name)?;
    if is_binary(name.as_str()) {
        return Err(refuse(
            &name,
            "ends in -bin, so its value is bytes, not text",
        ));
    }
    let printable = value.bytes().all(|byte| matches!(byte, 0x20..=0x7e));
    match HeaderValue::from_str(value) {
        Ok(value) if printable => Ok((name, value)),
        Ok(_) | Err(_) => Err(refuse(
            &name,
            "has a value with a byte outside 0x20 to 0x7E",
        )),
    }
}

fn binary_field(name: &str, value: &[u8]) -> Result<(HeaderName, HeaderValue), Status> {
    let name = settable_name(name)?;
    if !is_binary(name.as_str()) {
        return Err(refuse(
            &name,
            "does not end in -bin, so its value is text, not bytes",
        ));
    }
    Ok((name, encode_binary(value)))
}

fn settable_name(name: &str) -> Result<HeaderName, Status> {
    let legal = name
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'_' | b'-' | b'.'));
    if !is_settable(name) {
        return Err(refuse(&name, "is reserved"));
    }
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(name) if legal => Ok(name),
        Ok(_) | Err(_) => Err(refuse(
            &name,
            "has a character that is none of 0-9 a-z _ - .",
        )),
    }
}

// The application asks for something that cannot be sent. grpc-go calls it INTERNAL as well.
fn refuse(name: &impl fmt::Display, why: &str) -> Status {
    Status::internal(format!("metadata name \"{name}\" {why}"))
}

/// The value of a `-bin` field: base64 without padding, as gRPC-HTTP2 asks of senders.
pub(super) fn encode_binary(value: &[u8]) -> HeaderValue {
    match HeaderValue::from_maybe_shared(Bytes::from(BASE64.encode(value))) {
        Ok(value) => value,
        // The alphabet of base64 is printable ASCII, which every header value may have.
        Err(_) => unreachable!("base64 is a legal header value"),
    }
}

/// Checks a received value if its name says that it is binary.
pub(super) fn check_binary(name: &str, value: &HeaderValue) -> Result<(), WireError> {
    if name.ends_with(names::BINARY_SUFFIX) && !parts(value).all(is_base64) {
        return Err(WireError::InvalidBase64(quote(name.as_bytes())));
    }
    Ok(())
}

/// Decodes a `-bin` value, part by part. Parts that are not base64 are left out.
pub(super) fn decode_list(value: &HeaderValue) -> impl Iterator<Item = Bytes> {
    decode_parts(value).flatten()
}

/// Decodes a `-bin` value, part by part. `None` stands for one that is not base64.
pub(super) fn decode_parts(value: &HeaderValue) -> impl Iterator<Item = Option<Bytes>> {
    parts(value).map(|part| BASE64.decode(part).ok().map(Bytes::from))
}

fn parts(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
}

/// Whether [`BASE64`] can decode this. Found out without decoding, which would allocate.
fn is_base64(part: &[u8]) -> bool {
    let digits = part
        .iter()
        .take_while(|byte| is_base64_digit(**byte))
        .count();
    let padding = part.get(digits..).unwrap_or_default();
    let padding_limit = match digits % 4 {
        0 => 0,
        1 => return false,
        rest => 4 - rest,
    };
    padding.len() <= padding_limit && padding.iter().all(|byte| *byte == b'=')
}

const fn is_base64_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

/// Writes no padding; reads any. Bits that are left over at the end may be anything: encoders
/// exist that leave them dirty, and grpc-go reads them too.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Names that look reserved and are metadata all the same: applications may read and set them.
const METADATA_BY_DESIGN: [&str; 5] = [
    names::PREVIOUS_RPC_ATTEMPTS,
    names::RETRY_PUSHBACK,
    names::STATUS_DETAILS,
    names::TRACE,
    names::TAGS,
];

/// Fields of HTTP that define the call or its connection. `content-length` is among them because
/// a wrong one would break the stream and a right one says nothing that the messages do not.
const HTTP_FIELDS: [&str; 9] = [
    names::TE,
    names::CONTENT_TYPE,
    names::HOST,
    names::CONTENT_LENGTH,
    names::CONNECTION,
    names::KEEP_ALIVE,
    names::PROXY_CONNECTION,
    names::TRANSFER_ENCODING,
    names::UPGRADE,
];

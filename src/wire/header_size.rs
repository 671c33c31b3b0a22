//! How large header fields are, and whether that is too much.
//!
//! ```text
//!  size of a field = length of its name + length of its value + 32
//! ```
//!
//! HTTP/2 counts a header list before compression, pseudo-header fields included, `-bin` values as
//! the base64 that travels. SETTINGS_MAX_HEADER_LIST_SIZE and all limits here are in this unit.
//!
//! Spec: RFC 9113 §6.5.2, §10.5.1, gRPC-HTTP2 §Requests (Custom-Metadata).

use http::{HeaderMap, Method, Uri};

use crate::spec::http2::{FIELD_OVERHEAD, pseudo};
use crate::wire::error::WireError;

/// What `:status` adds to the size of a response's header list. Every status has three digits.
pub const STATUS_FIELD_SIZE: usize = field_size(pseudo::STATUS.len(), 3);

/// The size of header fields or trailers.
#[must_use]
pub fn header_list_size(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| field_size(name.as_str().len(), value.len()))
        .sum()
}

/// The size of a request's header list, with its pseudo-header fields.
#[must_use]
pub fn request_header_list_size(method: &Method, uri: &Uri, headers: &HeaderMap) -> usize {
    let pseudo_header_fields = [
        (pseudo::METHOD, Some(method.as_str())),
        (pseudo::SCHEME, uri.scheme_str()),
        (
            pseudo::AUTHORITY,
            uri.authority().map(|authority| authority.as_str()),
        ),
        (pseudo::PATH, uri.path_and_query().map(|path| path.as_str())),
    ];
    let fields = pseudo_header_fields.into_iter();
    let sizes = fields.filter_map(|(name, value)| Some(field_size(name.len(), value?.len())));
    header_list_size(headers) + sizes.sum::<usize>()
}

/// Checks a header list against the limits on its size and on the number of its fields.
///
/// # Errors
///
/// [`WireError::HeaderListTooLarge`] or [`WireError::TooManyHeaderFields`].
pub fn check_header_list(
    size: usize,
    fields: usize,
    size_limit: usize,
    field_limit: usize,
) -> Result<(), WireError> {
    if size > size_limit {
        return Err(WireError::HeaderListTooLarge {
            size,
            limit: size_limit,
        });
    }
    if fields > field_limit {
        return Err(WireError::TooManyHeaderFields {
            count: fields,
            limit: field_limit,
        });
    }
    Ok(())
}

const fn field_size(name: usize, value: usize) -> usize {
    name + value + FIELD_OVERHEAD
}

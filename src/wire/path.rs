//! Path: which method of which service is called.
//!
//! ```text
//!  /routeguide.RouteGuide/GetFeature
//!   +--------------------+ +--------+
//!         service            method
//! ```
//!
//! The service's name is the fully qualified one of the `.proto` file; without a `package` it has
//! no dot. The path is compared byte for byte: case counts, nothing is percent-decoded, a slash at
//! the end is not forgiven. What looks like a query to HTTP (`/S/M?x`) is part of the method here,
//! so it names a method that does not exist. A fragment (`/S/M#x`) has no place in a request; the
//! `http` crate cuts it off before anybody here can see it.
//!
//! Spec: gRPC-HTTP2 §Requests (Path, Service-Name).

use std::fmt;

use http::uri::PathAndQuery;

use crate::wire::error::{WireError, quote};

/// The name of a method, as `/service/method`.
#[derive(Clone, PartialEq, Eq)]
pub struct MethodPath {
    path: PathAndQuery,
    /// Where the last slash is. Invariant: the first byte is another slash, and neither name
    /// beside the last one is empty.
    slash: usize,
}

impl MethodPath {
    /// Reads the path of a request. The names are split at the last slash, so that a service's
    /// name may have slashes in it: `/a/b/C` is the method `C` of the service `a/b`.
    ///
    /// # Errors
    ///
    /// [`WireError::InvalidPath`] if there are no two names behind two slashes.
    pub fn parse(path: PathAndQuery) -> Result<Self, WireError> {
        // Not `path()`, which would leave out the query and so find the wrong method.
        let text = path.as_str();
        match text.bytes().rposition(|byte| byte == b'/') {
            Some(slash) if text.starts_with('/') && slash > 1 && slash + 1 < text.len() => {
                Ok(Self { path, slash })
            }
            Some(_) | None => Err(WireError::InvalidPath(quote(text.as_bytes()))),
        }
    }

    /// The path of a method whose name is known when the program is written.
    ///
    /// # Panics
    ///
    /// If the text is not `/service/method`. Generated code only says what is.
    #[must_use]
    pub fn from_static(path: &'static str) -> Self {
        match Self::parse(PathAndQuery::from_static(path)) {
            Ok(path) => path,
            Err(error) => panic!("{error}"),
        }
    }

    /// The service's name, such as `routeguide.RouteGuide`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.as_str().get(1..self.slash).unwrap_or_default()
    }

    /// The method's name, such as `GetFeature`.
    #[must_use]
    pub fn method(&self) -> &str {
        self.as_str().get(self.slash + 1..).unwrap_or_default()
    }

    /// What is wrong if nobody serves this service. The name is cut where it is long: a few bytes of
    /// request must not call for kilobytes of answer.
    #[must_use]
    pub fn unknown_service(&self) -> WireError {
        WireError::UnknownService(quote(self.service().as_bytes()))
    }

    /// What is wrong if the service does not have this method.
    #[must_use]
    pub fn unknown_method(&self) -> WireError {
        WireError::UnknownMethod {
            service: quote(self.service().as_bytes()),
            method: quote(self.method().as_bytes()),
        }
    }

    /// The whole path, with its slashes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.path.as_str()
    }

    pub(super) fn path_and_query(&self) -> PathAndQuery {
        self.path.clone()
    }
}

impl fmt::Display for MethodPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for MethodPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(formatter)
    }
}

//! Status: how a call failed.
//!
//! Every call ends with a status code, a text and perhaps details. The code 0 says that all went
//! well; a call that went well has no [`Status`] here but ends as `Ok(())`, and the sixteen
//! variants of [`Code`] are the sixteen ways to fail.
//!
//! The text is for people. A program decides by the code, or by the details: a serialized
//! `google.rpc.Status` that travels beside the plain fields.
//!
//! Spec: gRPC-HTTP2 §Responses (Status, Status-Message, Status-Details), gRPC-Codes.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::spec::grpc::status;
use crate::wire::metadata::Metadata;

/// How a call ended that did not end well.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The kind of failure.
    pub code: Code,
    /// What happened, in words.
    pub message: Cow<'static, str>,
    /// A serialized `google.rpc.Status`, or nothing. Its code and message should be those above:
    /// a client drops details that contradict the code.
    pub details: Bytes,
    /// Trailing metadata that goes with the failure.
    pub metadata: Metadata,
    /// Initial metadata that a client had received before, of a call whose response is one message; that
    /// of a stream is had from the stream. A server sends none with a status.
    pub headers: Metadata,
    /// Who says so.
    pub origin: Origin,
    /// The server's application has certainly not seen the request, so that the call can be made
    /// again whatever it does. `false` says nothing. gRFC A6 §Transparent Retries.
    pub unprocessed: bool,
}

/// Who made a [`Status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// This process: its handler, or barewire itself.
    Local,
    /// The other end of the call, in its trailers.
    Peer,
}

/// The sixteen kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The call was cancelled, typically by the caller.
    Cancelled = 1,
    /// The cause is not known, or has no code here.
    Unknown,
    /// The request makes no sense, whatever the state of the system.
    InvalidArgument,
    /// The deadline passed before the call was done. It may have been done all the same.
    DeadlineExceeded,
    /// What was asked for is not there.
    NotFound,
    /// What was to be made is there already.
    AlreadyExists,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// A quota, a limit or the memory is used up.
    ResourceExhausted,
    /// The system is not in the state that the call needs; do not try again before it is.
    FailedPrecondition,
    /// The call lost against another one that ran beside it; try again from further up.
    Aborted,
    /// The request goes past the end of what is there now.
    OutOfRange,
    /// The server does not have this method.
    Unimplemented,
    /// Something that always holds did not hold.
    Internal,
    /// The service cannot be reached now; trying again may help.
    Unavailable,
    /// Data is lost or damaged for good.
    DataLoss,
    /// It is not known who the caller is.
    Unauthenticated,
}

impl Status {
    /// A status of this process with a code and a text.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Bytes::new(),
            metadata: Metadata::new(),
            headers: Metadata::new(),
            origin: Origin::Local,
            unprocessed: false,
        }
    }

    /// The same status with details: a serialized `google.rpc.Status`.
    #[must_use]
    pub fn with_details(mut self, details: Bytes) -> Self {
        self.details = details;
        self
    }

    /// The same status with trailing metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// The same status, of a request that the server's application has certainly not seen.
    #[must_use]
    pub fn unprocessed(mut self) -> Self {
        self.unprocessed = true;
        self
    }

    /// A status [`Code::Cancelled`].
    pub fn cancelled(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Cancelled, message)
    }

    /// A status [`Code::Unknown`].
    pub fn unknown(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unknown, message)
    }

    /// A status [`Code::InvalidArgument`].
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// A status [`Code::DeadlineExceeded`].
    pub fn deadline_exceeded(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::DeadlineExceeded, message)
    }

    /// A status [`Code::NotFound`].
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// A status [`Code::AlreadyExists`].
    pub fn already_exists(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::AlreadyExists, message)
    }

    /// A status [`Code::PermissionDenied`].
    pub fn permission_denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::PermissionDenied, message)
    }

    /// A status [`Code::ResourceExhausted`].
    pub fn resource_exhausted(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ResourceExhausted, message)
    }

    /// A status [`Code::FailedPrecondition`].
    pub fn failed_precondition(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::FailedPrecondition, message)
    }

    /// A status [`Code::Aborted`].
    pub fn aborted(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Aborted, message)
    }

    /// A status [`Code::OutOfRange`].
    pub fn out_of_range(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::OutOfRange, message)
    }

    /// A status [`Code::Unimplemented`].
    pub fn unimplemented(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unimplemented, message)
    }

    /// A status [`Code::Internal`].
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// A status [`Code::Unavailable`].
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// A status [`Code::DataLoss`].
    pub fn data_loss(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::DataLoss, message)
    }

    /// A status [`Code::Unauthenticated`].
    pub fn unauthenticated(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unauthenticated, message)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            return self.code.fmt(formatter);
        }
        write!(formatter, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Status {}

impl Code {
    /// All codes, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The code's number on the wire, 1 to 16.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.entry().0
    }

    /// The code of a number; `None` for 0, which is no failure, and for numbers that have no code.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|code| u32::from(code.number()) == number)
    }

    /// The code of a name such as `NOT_FOUND`, in any case; `None` for `OK`, which is no failure, and
    /// for what is no name of a code.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|code| code.name().eq_ignore_ascii_case(name))
    }

    /// The code's name as the documents write it, such as `NOT_FOUND`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.entry().1
    }

    const fn entry(self) -> (u8, &'static str) {
        match self {
            Self::Cancelled => status::CANCELLED,
            Self::Unknown => status::UNKNOWN,
            Self::InvalidArgument => status::INVALID_ARGUMENT,
            Self::DeadlineExceeded => status::DEADLINE_EXCEEDED,
            Self::NotFound => status::NOT_FOUND,
            Self::AlreadyExists => status::ALREADY_EXISTS,
            Self::PermissionDenied => status::PERMISSION_DENIED,
            Self::ResourceExhausted => status::RESOURCE_EXHAUSTED,
            Self::FailedPrecondition => status::FAILED_PRECONDITION,
            Self::Aborted => status::ABORTED,
            Self::OutOfRange => status::OUT_OF_RANGE,
            Self::Unimplemented => status::UNIMPLEMENTED,
            Self::Internal => status::INTERNAL,
            Self::Unavailable => status::UNAVAILABLE,
            Self::DataLoss => status::DATA_LOSS,
            Self::Unauthenticated => status::UNAUTHENTICATED,
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

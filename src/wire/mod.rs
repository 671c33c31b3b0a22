//! The grammar of gRPC over HTTP/2, one production to a file.
//!
//! ```text
//!  Request          →  Request-Headers *Length-Prefixed-Message EOS
//!  Response         →  (Response-Headers *Length-Prefixed-Message Trailers) / Trailers-Only
//!
//!  Request-Headers  →  Call-Definition *Custom-Metadata              request_headers
//!  Call-Definition  →  Method Scheme Path Authority                  path
//!                      TE [Timeout] Content-Type                     timeout, content_type
//!                      [Message-Encoding] [Message-Accept-Encoding]  compression
//!  Custom-Metadata  →  Binary-Header / ASCII-Header                  metadata
//!
//!  Length-Prefixed-Message
//!                   →  Compressed-Flag Message-Length Message        framing
//!
//!  Response-Headers →  HTTP-Status Content-Type … *Custom-Metadata   response_headers
//!  Trailers-Only    →  HTTP-Status Content-Type Trailers             response_headers, trailers
//!  Trailers         →  Status [Status-Message] [Status-Details]      trailers, status, percent,
//!                      *Custom-Metadata                              status_details
//! ```
//!
//! Beside the productions stand [`header_size`], how header fields are counted, [`tables`], what a
//! call's end means that has no status, [`retry`], what is said about trying again,
//! [`decode_cost`], what a message takes once it is decoded, and [`error`], every rule that a peer
//! can break.
//!
//! All of this is pure: bytes and header maps in, values out. There is no I/O, no clock and no
//! task, so each rule can be read and tested by itself. In which order the parts come is the
//! business of the layers above.
//!
//! Spec: gRPC-HTTP2 §Outline, §Requests, §Responses.

pub mod compression;
pub mod content_type;
pub mod decode_cost;
pub mod error;
pub mod framing;
pub mod header_size;
pub mod metadata;
pub mod path;
pub mod percent;
pub mod request_headers;
pub mod response_headers;
pub mod retry;
pub mod status;
pub mod status_details;
pub mod tables;
pub mod timeout;
pub mod trailers;

pub use compression::{AcceptEncoding, Encoding};
pub use content_type::ContentType;
pub use error::WireError;
pub use framing::{Deframer, RawMessage};
pub use metadata::{Metadata, MetadataValue};
pub use path::MethodPath;
pub use request_headers::{Rejection, RequestHeaders};
pub use response_headers::{NotGrpc, ResponseHeaders, ResponseStart};
pub use retry::Pushback;
pub use status::{Code, Origin, Status};
pub use trailers::Trailers;

//! gRPC on the bare wire: a server, written by hand on the `h2` crate, with prost messages.
//!
//! It is made to be used, and to be read. The folders are the protocol stack, and a file of [`wire`]
//! is a production of the grammar that the gRPC document gives:
//!
//! ```text
//!   spec ─▶ wire ─▶ transport ─▶ call ─▶ server ─▶ services, tutorial ─▶ cli
//!   numbers  grammar  HTTP/2      types    calls    users of the API      the command
//! ```
//!
//! # Reading tour
//!
//! 1. [`wire`]: the grammar. 2. [`wire::framing`]: the five bytes before a message.
//!    3. [`wire::request_headers`], [`wire::response_headers`], [`wire::trailers`].
//! 4. `transport/recv.rs`, `reply_queue.rs`, `response_writer.rs`: flow control and order.
//! 5. `transport/server_connection.rs`: one connection, from preface to farewell.
//! 6. `server/serve_call.rs`: one call, straight down.
//!
//! # A server
//!
//! ```no_run
//! use barewire::{Request, Response, Server, ServerCall, Service, Serving, Status};
//!
//! /// A service by hand. The code generator writes this for a `.proto` file.
//! struct Shout;
//!
//! impl Service for Shout {
//!     fn name(&self) -> &'static str {
//!         "example.Shout"
//!     }
//!
//!     fn serve(&self, mut call: ServerCall) -> Serving<'_> {
//!         Box::pin(async move {
//!             match call.method() {
//!                 "Loud" => {
//!                     let request: Request<String> = call.request().await?;
//!                     call.reply(Response::new(request.message.to_uppercase())).await
//!                 }
//!                 _ => Err(call.unknown_method()),
//!             }
//!         })
//!     }
//! }
//!
//! # async fn run() -> std::io::Result<()> {
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:50051").await?;
//! Server::new().add(Shout).serve(listener).await
//! # }
//! ```
//!
//! # A client
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use barewire::{Channel, MethodPath, Request, Status};
//!
//! # async fn run() -> Result<(), Status> {
//! let channel = Channel::connect("http://127.0.0.1:50051").await?;
//!
//! // A call by hand. The code generator writes a method for each call of a `.proto` file.
//! let path = MethodPath::from_static("/example.Shout/Loud");
//! let request = Request::new("hello".to_owned()).with_timeout(Duration::from_secs(2));
//! let response = channel.unary::<String, String>(path, request).await?;
//! assert_eq!(response.message, "HELLO");
//! # Ok(())
//! # }
//! ```

// Generated code names this crate as its users do, inside of it too.
extern crate self as barewire;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "codegen")]
pub mod codegen;
pub mod spec;
pub mod wire;

#[cfg(any(feature = "client", feature = "server"))]
mod call;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "cli")]
pub mod interop;
#[cfg(feature = "server")]
mod server;
#[cfg(any(feature = "health", feature = "reflection"))]
pub mod services;
#[cfg(any(feature = "client", feature = "server"))]
mod transport;
#[cfg(feature = "cli")]
pub mod tutorial;

#[cfg(any(feature = "client", feature = "server"))]
pub use call::{
    CallRecord, CallSpans, CallStart, Deadline, Inbound, Interceptor, Request, Response, Side,
};
#[cfg(feature = "client")]
pub use client::{
    AttemptPolicy, Backend, Backoff, Balancer, Balancing, CallInfo, Channel, ChannelConfig,
    ConnectivityState, Credentials, Destination, HedgingPolicy, LoadBalancingConfig, MethodConfig,
    Outbound, RetryPolicy, RetryThrottling, Scheme, ServiceConfig, ServiceConfigError, Target,
    TargetError, proxy, resolve,
};
#[cfg(feature = "server")]
pub use server::{
    CutCall, DrainReport, Listeners, Replies, ReplyEncoding, Server, ServerCall, ServerConfig,
    Service, Serving,
};
#[cfg(any(feature = "client", feature = "server"))]
pub use transport::ByteStream;
#[cfg(feature = "client")]
pub use transport::client_config::ClientHttp2Config;
#[cfg(feature = "server")]
pub use transport::config::{FirstPoll, Http2Config};
#[cfg(feature = "client")]
pub use transport::connect::{Address, Dialer, Dialing};
#[cfg(any(feature = "client", feature = "server"))]
pub use transport::counters::{Counter, Counters};
#[cfg(any(feature = "client", feature = "server"))]
pub use transport::faults;
#[cfg(any(feature = "client", feature = "server"))]
pub use transport::peer::{Peer, PeerAddress};
#[cfg(any(feature = "client", feature = "server"))]
pub use transport::rate::Rate;
#[cfg(all(feature = "client", feature = "tls"))]
pub use transport::tls::ClientTls;
#[cfg(all(feature = "server", feature = "tls"))]
pub use transport::tls::{ClientCertificates, ServerTls};
#[cfg(all(any(feature = "client", feature = "server"), feature = "tls"))]
pub use transport::tls::{TlsError, TlsPart};
pub use wire::{Code, Encoding, Metadata, MethodPath, Origin, Status};

/// Brings in what `codegen` printed for a package: its messages, and of its services what it takes to
/// serve them (feature `server`) and to call them (feature `client`).
///
/// The argument is the package as the `.proto` file has it. What has no package is `"_"`.
///
/// ```ignore
/// mod shop {
///     barewire::include_proto!("my.shop");
/// }
///
/// mod contact {
///     barewire::include_proto!("_");
/// }
/// ```
///
/// A package that uses messages of another looks for it where the packages' names say: what is
/// printed for `my.shop` finds `my.bank.Account` at `super::bank::Account`. So packages that import
/// each other are brought into modules that lie as the packages do:
///
/// ```ignore
/// mod my {
///     pub mod bank {
///         barewire::include_proto!("my.bank");
///     }
///     pub mod shop {
///         barewire::include_proto!("my.shop");
///     }
/// }
/// ```
///
/// A program that uses only some of a package's messages is told so by the compiler, unless a service
/// has them: `#[allow(dead_code)]` above the module says that this is meant.
#[macro_export]
macro_rules! include_proto {
    ($package:literal) => {
        ::std::include!(::std::concat!(::std::env!("OUT_DIR"), "/", $package, ".rs"));
    };
}

/// Holds what is printed to serve with. Without the feature `server` it is not there.
///
/// Nobody is warned of a service that the program does not serve, nor of a method's name, which the
/// `.proto` file chose.
#[cfg(feature = "server")]
#[doc(hidden)]
#[macro_export]
macro_rules! __server {
    ($($item:item)*) => { $(#[allow(dead_code, clippy::wrong_self_convention)] $item)* };
}

#[cfg(not(feature = "server"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __server {
    ($($item:item)*) => {};
}

/// Holds what is printed to call with. Without the feature `client` it is not there.
#[cfg(feature = "client")]
#[doc(hidden)]
#[macro_export]
macro_rules! __client {
    ($($item:item)*) => { $(#[allow(dead_code, clippy::wrong_self_convention)] $item)* };
}

#[cfg(not(feature = "client"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __client {
    ($($item:item)*) => {};
}

//! `.proto` files to Rust: the code generator, for build scripts.
//!
//! ```text
//!  hello.proto ─▶ protox ─▶ descriptors ─┬─▶ prost-build ─▶ messages ─┬─▶ OUT_DIR/hello.rs
//!                                        ├─▶ service.rs ──▶ services ─┤
//!                                        ├─▶ client.rs ───▶ clients ──┘
//!                                        └─▶ OUT_DIR/hello.descriptor_set.bin
//! ```
//!
//! Nobody needs `protoc`: protox reads the files, and knows `google/protobuf/*.proto` by heart.
//! A build script is one line:
//!
//! ```no_run
//! # mod build_script {
//! fn main() -> std::io::Result<()> {
//!     barewire::codegen::compile_protos(&["proto/hello.proto"], &["proto"])
//! }
//! # }
//! ```
//!
//! Messages derive traits of `prost`, so that crate stands in `Cargo.toml` too. Files that import
//! `google/protobuf/timestamp.proto` and its like also need `prost-types`.
//!
//! ```toml
//! [dependencies]
//! barewire = { version = "0.1", default-features = false, features = ["server", "client"] }
//! prost = "0.14"
//! prost-types = "0.14"
//!
//! [build-dependencies]
//! barewire = { version = "0.1", default-features = false, features = ["codegen"] }
//! ```
//!
//! Then [`include_proto!`](crate::include_proto) brings in what was printed.
//!
//! # What becomes of a file
//!
//! - A package becomes one file of Rust with its name: `package my.shop;` is `my.shop.rs`. What has
//!   no package is in `_.rs`.
//! - A service `Hello` becomes a trait `Hello` with a method per call, for users to implement, and
//!   `HelloServer`, which wraps what implements it and is added to a server. Both are there if the
//!   program's `barewire` has the feature `server`.
//! - It also becomes `HelloClient` with a method per call, if there is the feature `client`. Who
//!   drops the future of a call, or the `Inbound` that it gave, cancels the call.
//! - Names become Rust's: `sayHello` is `say_hello`, `type` is `r#type`, and `self`, which Rust
//!   allows in no form, is `self_`. A call `New` is `new_` of a client, whose `new` makes one. Two
//!   names that become one are an error that tells both.
//! - Messages of `google.protobuf` become what `prost` has for them: `Empty` is `()`, `StringValue`
//!   is `String`, `Timestamp` is `prost_types::Timestamp`.
//! - Comments become documentation. What rustdoc would stumble over is escaped.
//! - The descriptors of all files of a compilation, with all that they import, become one more file,
//!   named after the first package. Each `HelloServer` carries it, for the reflection service.
//!
//! This folder imports nothing of the crate, because the crate's own build script compiles it too.
//!
//! | file | what it does |
//! |---|---|
//! | `compile.rs` | [`Options`]: reads, prints and writes |
//! | `service.rs` | prints a service's trait and wrapper |
//! | `client.rs` | prints a service's client |
//! | `comments.rs` | takes comments out of the files, and puts them into the Rust |
//! | `markdown.rs` | makes them fit for rustdoc |
//! | `layout.rs` | breaks lines as rustfmt would |
//! | `errors.rs` | says what is wrong with a `.proto` file, and where |

mod client;
mod comments;
mod compile;
mod errors;
mod layout;
mod markdown;
mod service;

pub use compile::{Options, compile_protos};

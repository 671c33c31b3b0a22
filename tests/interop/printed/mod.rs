//! What the generator prints for `control.proto`. It is committed, since a test has no build script;
//! `tests/codegen/committed.rs` says how it is written anew.

/// `control.proto`
#[allow(dead_code, missing_docs, reason = "Python serves it")]
pub mod control {
    include!("barewire.control.rs");
}

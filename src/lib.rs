//! gRPC on the bare wire.

extern crate self as barewire;

pub mod spec;
pub mod wire;

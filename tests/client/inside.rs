//! The machines, compiled once more: pure code that is no part of the public API.

#![allow(dead_code, reason = "the library uses the rest")]

#[path = "../../src/client/backoff.rs"]
pub mod backoff;
#[path = "../../src/client/flaw.rs"]
pub mod flaw;
#[path = "../../src/client/hedge.rs"]
pub mod hedge;
#[path = "../../src/client/service_config/in_force.rs"]
pub mod in_force;
#[path = "../../src/client/random.rs"]
pub mod random;
#[path = "../../src/client/retry.rs"]
pub mod retry;
#[path = "../../src/client/retry_policy.rs"]
pub mod retry_policy;
#[path = "../../src/client/throttle.rs"]
pub mod throttle;

use barewire::{ServiceConfig, ServiceConfigError};

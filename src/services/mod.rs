//! Layer 5: the services that every gRPC server is expected to have. They are users of
//! [`Server`](crate::Server) and [`Service`](crate::Service) like any other.
//!
//! | type | service | feature |
//! |---|---|---|
//! | `Health` | `grpc.health.v1.Health` | `health` |
//! | `HealthClient` | the same, asked of another server | `health` and `client` |
//! | `Reflection` | `grpc.reflection.v1.ServerReflection`, and the same of `v1alpha` | `reflection` |
//!
//! The Rust of their `.proto` files is in `generated/`, printed by the code generator and
//! committed, so that these features need no build step.

#[cfg(feature = "health")]
mod health;
#[cfg(feature = "reflection")]
mod reflection;

#[cfg(all(feature = "health", feature = "client"))]
pub use health::generated::{
    HealthCheckRequest, HealthCheckResponse, HealthClient, HealthListRequest, HealthListResponse,
};
#[cfg(feature = "health")]
pub use health::{Health, ServingStatus};
#[cfg(feature = "reflection")]
pub use reflection::Reflection;

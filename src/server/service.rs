//! What a server serves.

use std::pin::Pin;
use std::sync::Arc;

use super::ServerCall;
use crate::wire::Status;

/// A call being served. Its value is the call's status.
pub type Serving<'a> = Pin<Box<dyn Future<Output = Result<(), Status>> + Send + 'a>>;

/// A gRPC service: a name, and what to do with a call.
///
/// The code generator writes one for each service of a `.proto` file. By hand, one can serve methods
/// that no file declares, or wrap another service:
///
/// ```
/// use barewire::{ServerCall, Service, Serving};
///
/// /// Tells how long each call took.
/// struct Timed<S>(S);
///
/// impl<S: Service> Service for Timed<S> {
///     fn name(&self) -> &'static str {
///         self.0.name()
///     }
///
///     fn serve(&self, call: ServerCall) -> Serving<'_> {
///         Box::pin(async move {
///             let start = std::time::Instant::now();
///             let outcome = self.0.serve(call).await;
///             println!("{:?}", start.elapsed());
///             outcome
///         })
///     }
/// }
/// ```
pub trait Service: Send + Sync + 'static {
    /// The full name, as in a call's path: `helloworld.Greeter`.
    fn name(&self) -> &'static str;

    /// Serves one call. `Ok` is the only way for a call to end well. The future is dropped when the
    /// client is gone or the call's deadline has passed.
    fn serve(&self, call: ServerCall) -> Serving<'_>;

    /// The service's file and all that it imports, as a serialised `FileDescriptorSet`. Reflection
    /// hands them out. Empty if there are none.
    fn file_descriptor_set(&self) -> &'static [u8] {
        &[]
    }

    /// The server begins to drain: no calls come any more, and those under way should end.
    fn drain(&self) {}
}

impl<S: Service> Service for Arc<S> {
    fn name(&self) -> &'static str {
        S::name(self)
    }

    fn serve(&self, call: ServerCall) -> Serving<'_> {
        S::serve(self, call)
    }

    fn file_descriptor_set(&self) -> &'static [u8] {
        S::file_descriptor_set(self)
    }

    fn drain(&self) {
        S::drain(self);
    }
}

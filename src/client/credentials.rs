//! Credentials: an interceptor that says who calls.
//!
//! What it says is a secret, so it does not go where others can read it; and how it fails says nothing
//! about the call that it was asked for.
//!
//! Spec: gRPC-Codes; gRFC A54.

use crate::call::{CallRecord, CallStart, Interceptor, unwinding_future};
use crate::wire::Status;
use crate::wire::tables::code_for_control_plane;

/// Call credentials: an [`Interceptor`] for a [`Channel`](crate::Channel) whose
/// [`before`](Interceptor::before) puts a secret into the metadata, a token for example.
///
/// Where others could read it, it is not asked, and the call ends with UNAUTHENTICATED before anything
/// is sent: see [`CallStart::is_secure`], and [`allow_clear_text`](Self::allow_clear_text).
///
/// If it fails, the caller sees its code, but for those seven that only a server's application may say:
/// a token that was NOT_FOUND must not look as if what the call asks for was not. They become INTERNAL,
/// with the original in the text. If it panics, that is UNAUTHENTICATED.
///
/// # Example
///
/// ```
/// use barewire::{CallStart, Channel, Credentials, Interceptor, Status};
///
/// /// Has tokens made by someone else.
/// struct Tokens {
///     issuer: Issuer,
/// }
///
/// impl Interceptor for Tokens {
///     async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
///         let audience = call.audience().unwrap_or_default();
///         let token = self.issuer.token_for(&audience).await?;
///         call.metadata.insert("authorization", &format!("Bearer {token}"))
///     }
/// }
///
/// fn authenticated(channel: Channel, issuer: Issuer) -> Channel {
///     channel.intercept(Credentials::new(Tokens { issuer }))
/// }
/// # struct Issuer;
/// # impl Issuer {
/// #     async fn token_for(&self, _: &str) -> Result<String, Status> { Ok(String::new()) }
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Credentials<I> {
    interceptor: I,
    clear_text: ClearText,
}

#[derive(Clone, Copy, Debug)]
enum ClearText {
    Refused,
    Allowed,
}

impl<I: Interceptor> Credentials<I> {
    /// What `interceptor` says is a secret.
    pub fn new(interceptor: I) -> Self {
        Self {
            interceptor,
            clear_text: ClearText::Refused,
        }
    }

    /// The same, sent also where others can read it: for tests, and for networks that are secured by
    /// other means.
    #[must_use]
    pub fn allow_clear_text(mut self) -> Self {
        self.clear_text = ClearText::Allowed;
        self
    }
}

impl<I: Interceptor> Interceptor for Credentials<I> {
    async fn before(&self, call: &mut CallStart) -> Result<(), Status> {
        match (call.is_secure(), self.clear_text) {
            (true, _) | (false, ClearText::Allowed) => {}
            (false, ClearText::Refused) => return Err(readable()),
        }
        let asking = async { self.interceptor.before(call).await };
        match unwinding_future("call credentials", asking).await {
            Ok(asked) => asked.map_err(rewrite),
            Err(panicked) => Err(Status::unauthenticated(panicked.message)),
        }
    }

    fn after(&self, call: &CallRecord<'_>) {
        self.interceptor.after(call);
    }
}

fn readable() -> Status {
    Status::unauthenticated(
        "call credentials are not sent in clear text; use TLS, or Credentials::allow_clear_text",
    )
}

fn rewrite(status: Status) -> Status {
    match code_for_control_plane(status.code) {
        code if code == status.code => status,
        code => Status::new(code, format!("the call credentials failed with {status}")),
    }
}

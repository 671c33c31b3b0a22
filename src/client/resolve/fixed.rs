//! Fixed: addresses that are known beforehand.

use super::resolver::{Resolution, Resolver, Resolving};
use crate::client::target::Target;
use crate::transport::connect::Address;

/// Yields a given list of addresses, whatever the target.
#[derive(Clone, Debug)]
pub struct Fixed(Resolution);

impl Fixed {
    /// A resolver that yields these addresses.
    pub fn new(addresses: impl IntoIterator<Item = Address>) -> Self {
        Self(Resolution::new(addresses))
    }

    /// A resolver that leaves the name to whoever dials, as is done when there is a proxy: it can
    /// look up what we cannot. gRFC A1.
    pub fn unresolved(target: &Target) -> Self {
        Self::new(target.unresolved())
    }
}

impl Resolver for Fixed {
    fn resolve<'a>(&'a self, _: &'a Target) -> Resolving<'a> {
        Box::pin(async move { Ok(self.0.clone()) })
    }
}

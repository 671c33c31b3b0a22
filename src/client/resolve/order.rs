//! The order in which addresses are tried.
//!
//! ```text
//!  found   6a 6b 6c 4a 4b
//!  tried   6a 4a 6b 4b 6c
//! ```
//!
//! A network often lacks one of IPv4 and IPv6, and an attempt into nowhere takes its time to fail. So
//! the families take turns, that of the first address first: whoever found the addresses prefers it.
//!
//! Spec: RFC 8305 §4, gRFC A61.

use std::collections::{HashSet, VecDeque};

use crate::transport::connect::Address;

/// What address families an address may be of. What is no IP address is one by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    Other,
}

impl Family {
    const fn of(address: &Address) -> Self {
        match address {
            Address::Tcp(address) if address.is_ipv4() => Self::V4,
            Address::Tcp(_) => Self::V6,
            Address::Unix(_) | Address::UnixAbstract(_) | Address::Named(_) => Self::Other,
        }
    }
}

/// Lets the families take turns. Within a family the order stays.
pub(crate) fn interleave(addresses: Vec<Address>) -> Vec<Address> {
    let count = addresses.len();
    let mut families: Vec<(Family, VecDeque<Address>)> = Vec::new();
    for address in addresses {
        let family = Family::of(&address);
        match families.iter_mut().find(|(known, _)| *known == family) {
            Some((_, members)) => members.push_back(address),
            None => families.push((family, VecDeque::from([address]))),
        }
    }
    let mut ordered = Vec::with_capacity(count);
    while ordered.len() < count {
        let next = families
            .iter_mut()
            .filter_map(|(_, members)| members.pop_front());
        ordered.extend(next);
    }
    ordered
}

/// Each address once, where it stood first.
pub(crate) fn distinct(addresses: impl IntoIterator<Item = Address>) -> Vec<Address> {
    let mut known = HashSet::new();
    let addresses = addresses.into_iter();
    addresses
        .filter(|address| known.insert(address.clone()))
        .collect()
}

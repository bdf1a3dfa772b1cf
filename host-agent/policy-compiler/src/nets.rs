//! Addresses as numbers, right aligned in their family's width.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use policy_model::Family;

/// Bits of an address.
pub(crate) const fn width(family: Family) -> u8 {
    match family {
        Family::V4 => 32,
        Family::V6 => 128,
    }
}

/// Family of a net.
pub(crate) const fn family_of(net: &IpNet) -> Family {
    match net {
        IpNet::V4(_) => Family::V4,
        IpNet::V6(_) => Family::V6,
    }
}

/// Family of an address.
pub(crate) const fn family_of_addr(addr: &IpAddr) -> Family {
    match addr {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// An address as a number.
pub(crate) fn number(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(addr) => u128::from(u32::from(addr)),
        IpAddr::V6(addr) => u128::from(addr),
    }
}

/// The low half of an IPv4 address' number.
pub(crate) fn low(number: u128) -> u32 {
    let [.., a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// Bits of a prefix that count.
pub(crate) fn mask(family: Family, prefix_len: u8) -> u128 {
    let width = width(family);
    let all = u128::MAX >> (128 - u32::from(width));
    let spare = u32::from(width.saturating_sub(prefix_len));
    all.checked_shl(spare).unwrap_or(0) & all
}

/// The last address of a prefix.
pub(crate) fn last(family: Family, first: u128, prefix_len: u8) -> u128 {
    first | (mask(family, width(family)) & !mask(family, prefix_len))
}

/// A net as (first address, prefix length).
pub(crate) fn prefix(net: &IpNet) -> (u128, u8) {
    (number(net.network()), net.prefix_len())
}

/// A single address?
pub(crate) fn is_host(net: &IpNet) -> bool {
    net.prefix_len() == net.max_prefix_len()
}

/// The net of its whole family?
pub(crate) fn is_everything(net: &IpNet) -> bool {
    net.prefix_len() == 0
}

/// Whether `outer` holds all of `inner`.
pub(crate) fn holds(outer: &IpNet, inner: &IpNet) -> bool {
    family_of(outer) == family_of(inner)
        && outer.prefix_len() <= inner.prefix_len()
        && outer.contains(&inner.addr())
}

/// A net and all nets that hold it.
pub(crate) fn parents(net: &IpNet) -> impl Iterator<Item = IpNet> {
    let addr = net.addr();
    (0..=net.prefix_len()).rev().map(move |len| match addr {
        IpAddr::V4(addr) => Ipv4Net::new_assert(addr, len.min(32)).trunc().into(),
        IpAddr::V6(addr) => Ipv6Net::new_assert(addr, len.min(128)).trunc().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_the_extremes() {
        assert_eq!(mask(Family::V4, 0), 0);
        assert_eq!(mask(Family::V4, 32), 0xffff_ffff);
        assert_eq!(mask(Family::V4, 24), 0xffff_ff00);
        assert_eq!(mask(Family::V6, 0), 0);
        assert_eq!(mask(Family::V6, 128), u128::MAX);
        assert_eq!(last(Family::V4, 0x0a00_0000, 8), 0x0aff_ffff);
        assert_eq!(last(Family::V6, 0, 0), u128::MAX);
    }

    #[test]
    fn parents_of_a_host() {
        let host: IpNet = "10.1.2.3/32".parse().unwrap();
        let all: Vec<IpNet> = parents(&host).collect();
        assert_eq!(all.len(), 33);
        assert!(all.iter().all(|net| holds(net, &host)));
        assert_eq!(all[8].to_string(), "10.1.2.0/24");
    }
}
